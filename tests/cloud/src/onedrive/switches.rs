//! How the emulated OneDrive behaves where the real one is known to differ from place to place.

use serde::{Deserialize, Serialize};

/// What kind of drive an account has; it decides ids, hosts, versions and name rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DriveKind {
    /// OneDrive for work or school.
    #[default]
    Business,
    /// OneDrive of a private person.
    Personal,
    /// A SharePoint library.
    DocumentLibrary,
}

impl DriveKind {
    /// The word in `driveType`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Business => "business",
            Self::Personal => "personal",
            Self::DocumentLibrary => "documentLibrary",
        }
    }
}

/// When parts that are no multiple of 320 KiB are refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Multiples {
    /// At once.
    #[default]
    Early,
    /// Only when the file is complete, as the real service often does.
    AtCommit,
    /// Never.
    Ignored,
}

/// How `nextExpectedRanges` is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RangeStyle {
    /// `26-`
    #[default]
    Open,
    /// `26-99`
    Closed,
}

/// What a request does when its target exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conflict {
    /// 409.
    Fail,
    /// The old one is replaced.
    #[default]
    Replace,
    /// The new one gets a number.
    Rename,
}

impl Conflict {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "fail" => Some(Self::Fail),
            "replace" => Some(Self::Replace),
            "rename" => Some(Self::Rename),
            _ => None,
        }
    }
}

/// The switches of the emulated OneDrive. Every field has a default; JSON may name only some.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OneDriveSwitches {
    /// What an upload session does when it says nothing about conflicts.
    pub session_conflict: Conflict,
    /// When odd part sizes are refused.
    pub multiples: Multiples,
    /// How `nextExpectedRanges` is written.
    pub range_style: RangeStyle,
    /// Keeps what arrived of a part that broke off, instead of dropping it whole.
    pub keep_partial_parts: bool,
    /// Upload sessions end after so many seconds without a part.
    pub session_seconds: u64,
    /// Refuses `Authorization` on pre-authenticated hosts with 401.
    pub refuse_authorization: bool,
    /// The host of upload addresses; `None` follows the kind of drive.
    pub upload_host: Option<String>,
    /// The host of download addresses; `None` follows the kind of drive.
    pub download_host: Option<String>,
    /// Download addresses end after so many seconds.
    pub download_seconds: u64,
    /// Answers ranges with the whole body and 200.
    pub ignore_range: bool,
    /// `quickXorHash` is missing for good.
    pub hash_missing: bool,
    /// `quickXorHash` is missing for so many seconds after a write.
    pub hash_delay_seconds: u64,
    /// The largest body of `PUT …/content`.
    pub put_bytes_max: u64,
    /// Entries of a page when `$top` is not given.
    pub page_entries: usize,
    /// Gives an empty first page with a `nextLink`, as personal drives do now and then.
    pub empty_first_page: bool,
    /// Shows a `~tmp` item while an upload session is open, as business drives do.
    pub show_temporary: bool,
    /// Refuses a second session for a name that is being uploaded with 409.
    pub one_writer: bool,
    /// Rewrites Office files, HTML and photos after an upload, as SharePoint does.
    pub rewrite_office: bool,
    /// Copy jobs take so many milliseconds of emulated time.
    pub copy_ms: u64,
    /// Repeats items in delta pages.
    pub delta_repeats: bool,
    /// Writes drive ids in changing case and without their leading zeros (personal drives).
    pub drive_id_quirks: bool,
    /// Gives new items ids as on personal drives migrated in 2025; it cannot be switched off again.
    pub migrated_ids: bool,
    /// Puts a Personal Vault folder at the root whose descent fails (personal drives).
    pub vault: bool,
    /// Throttling by resource units.
    pub throttle: Throttle,
}

impl Default for OneDriveSwitches {
    fn default() -> Self {
        Self {
            session_conflict: Conflict::Replace,
            multiples: Multiples::Early,
            range_style: RangeStyle::Open,
            keep_partial_parts: false,
            session_seconds: 7 * 24 * 3600,
            refuse_authorization: true,
            upload_host: None,
            download_host: None,
            download_seconds: 3600,
            ignore_range: false,
            hash_missing: false,
            hash_delay_seconds: 0,
            put_bytes_max: 250 * 1024 * 1024,
            page_entries: 200,
            empty_first_page: false,
            show_temporary: false,
            one_writer: false,
            rewrite_office: false,
            copy_ms: 200,
            delta_repeats: false,
            drive_id_quirks: false,
            migrated_ids: false,
            vault: false,
            throttle: Throttle::default(),
        }
    }
}

/// Throttling by resource units, as SharePoint counts them. Off while `units_per_minute` is 0.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Throttle {
    /// Units an account may spend in a minute; 0: no limit.
    pub units_per_minute: u64,
    /// The `Retry-After` of a refusal; 0: the rest of the minute.
    pub retry_after_seconds: u64,
    /// Leaves `Retry-After` out, as the service sometimes does.
    pub silent: bool,
    /// Shows the `RateLimit-*` headers from 80 % of the budget on.
    pub headers: bool,
    /// Blocks an account with 503 after so many requests that came too early; 0: never.
    pub block_after: u64,
    /// How long such a block lasts, in seconds.
    pub block_seconds: u64,
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            units_per_minute: 0,
            retry_after_seconds: 10,
            silent: false,
            headers: true,
            block_after: 0,
            block_seconds: 60,
        }
    }
}
