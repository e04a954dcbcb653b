//! The host names the emulators answer to, and what each of them is for.
//!
//! The minted ones are concrete names out of the services' wildcards, so that a client can be
//! pointed here name by name and a list of them is complete.

/// Graph itself.
pub(crate) const GRAPH: &str = "graph.microsoft.com";
/// Sign-in and tokens of Microsoft.
pub(crate) const LOGIN: &str = "login.microsoftonline.com";
/// Uploads, downloads and monitors of a business drive.
pub(crate) const SHAREPOINT: &str = "contoso-my.sharepoint.com";
/// The same for a document library.
pub(crate) const SHAREPOINT_SITE: &str = "contoso.sharepoint.com";
/// Uploads and downloads of a personal drive, since 2024.
pub(crate) const PERSONAL: &str = "my.microsoftpersonalcontent.com";
/// Uploads of a personal drive, before that.
pub(crate) const UPLOAD_OLD: &str = "sn3302.up.1drv.com";
/// Downloads of a personal drive, before that.
pub(crate) const DOWNLOAD_OLD: &str = "public.sn3302.files.1drv.com";
/// Monitors of copy jobs of a personal drive.
pub(crate) const MONITOR: &str = "api.onedrive.com";
/// Calls of the Dropbox API.
pub(crate) const DROPBOX_API: &str = "api.dropboxapi.com";
/// Uploads and downloads of Dropbox.
pub(crate) const DROPBOX_CONTENT: &str = "content.dropboxapi.com";
/// Long polls of Dropbox.
pub(crate) const DROPBOX_NOTIFY: &str = "notify.dropboxapi.com";
/// Sign-in of Dropbox.
pub(crate) const DROPBOX_WEB: &str = "www.dropbox.com";
/// Temporary links of Dropbox.
pub(crate) const DROPBOX_LINK: &str = "uc7a91f3e2d4b.dl.dropboxusercontent.com";

/// Every concrete name that can be served or minted.
pub(crate) const ALL: [&str; 15] = [
    GRAPH,
    LOGIN,
    SHAREPOINT,
    SHAREPOINT_SITE,
    PERSONAL,
    UPLOAD_OLD,
    DOWNLOAD_OLD,
    MONITOR,
    DROPBOX_API,
    "api.dropbox.com",
    DROPBOX_CONTENT,
    DROPBOX_NOTIFY,
    DROPBOX_WEB,
    "dropbox.com",
    DROPBOX_LINK,
];

/// What the certificate also covers: wildcards for names that a test makes up, and the machine.
pub(crate) const ALSO_CERTIFIED: [&str; 7] = [
    "*.up.1drv.com",
    "*.files.1drv.com",
    "*.sharepoint.com",
    "*.dl.dropboxusercontent.com",
    "*.dropboxapi.com",
    "localhost",
    "127.0.0.1",
];

/// What a host name is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Graph calls, with a token.
    Graph,
    /// Tokens of Microsoft.
    Login,
    /// Pre-authenticated addresses of OneDrive: no token may come here.
    Storage,
    /// Dropbox calls with JSON bodies.
    DropboxApi,
    /// Dropbox calls with content bodies.
    DropboxContent,
    /// Dropbox long polls: no token may come here.
    DropboxNotify,
    /// Dropbox sign-in page.
    DropboxWeb,
    /// Dropbox temporary links: no token may come here.
    DropboxLink,
    /// This machine: the path tells which service is meant, and Dropbox's hosts are one.
    Local,
    /// No host of either service.
    Unknown,
}

impl Role {
    /// The role of a host name, in any case.
    pub(crate) fn of(host: &str) -> Self {
        let host = host.to_ascii_lowercase();
        match host.as_str() {
            GRAPH => Self::Graph,
            LOGIN => Self::Login,
            PERSONAL | MONITOR => Self::Storage,
            DROPBOX_API | "api.dropbox.com" => Self::DropboxApi,
            DROPBOX_CONTENT => Self::DropboxContent,
            DROPBOX_NOTIFY => Self::DropboxNotify,
            DROPBOX_WEB | "dropbox.com" => Self::DropboxWeb,
            "localhost" | "127.0.0.1" => Self::Local,
            other => Self::by_suffix(other),
        }
    }

    fn by_suffix(host: &str) -> Self {
        let storage = [".sharepoint.com", ".up.1drv.com", ".files.1drv.com"];
        if storage.iter().any(|suffix| host.ends_with(suffix)) {
            return Self::Storage;
        }
        match host.ends_with(".dropboxusercontent.com") {
            true => Self::DropboxLink,
            false => Self::Unknown,
        }
    }

    /// Whether an `Authorization` header must not be sent to a host of this role.
    pub(crate) fn is_preauthenticated(self) -> bool {
        match self {
            Self::Storage | Self::DropboxNotify | Self::DropboxLink => true,
            Self::Graph
            | Self::Login
            | Self::DropboxApi
            | Self::DropboxContent
            | Self::DropboxWeb
            | Self::Local
            | Self::Unknown => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_concrete_name_has_a_role() {
        for host in ALL {
            assert!(!matches!(Role::of(host), Role::Unknown | Role::Local), "{host}");
        }
        assert_eq!(Role::of("Graph.Microsoft.com"), Role::Graph);
        assert_eq!(Role::of("evil-sharepoint.com"), Role::Unknown);
    }
}
