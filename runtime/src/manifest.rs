//! The manifest: everything that a connector can say, as its vendor declares it.
//!
//! Parsed once, when a connector is packed and again when it is installed or loaded; inside, nobody
//! re-checks. Unknown fields, duplicate keys and addresses that could mean more than they seem are
//! errors. What an operator *granted* of it is not here but in [`crate::grant`].

pub mod folder;
mod names;
mod oauth;
mod options;
mod permission;
mod route;
pub mod section;
mod upload;

use std::collections::BTreeMap;

pub use folder::FolderUse;
pub use names::Names;
pub use oauth::{OAuth, Scopes};
pub use options::{OptionError, OptionKind, OptionSpec, Options};
pub use permission::Permission;
pub use route::{
    Access, Address, Confine, Credential, HostPattern, JsonPlace, JsonRule, KeyPattern, Method, Mint,
    MintSource, PayloadKind, Piece, Replay, Route, Template,
};
pub use upload::{Rewrites, Upload};

/// The contract that this host speaks.
pub const WORLD: &str = "wharf:connector@0.1.0";
/// Longest manifest, in bytes: the shipped ones have under 10 KiB, and an operator reads it.
pub const MANIFEST_BYTES_MAX: usize = 256 * 1024;
/// Most routes of one manifest: the shipped ones have under 20, and an operator grants them one by one.
pub const ROUTES_MAX: usize = 128;
/// Longest `id`, in characters: it becomes part of file names.
const ID_LENGTH_MAX: usize = 100;
/// Longest text that an operator is shown, in characters: one line of a terminal.
const PHRASE_LENGTH_MAX: usize = 120;

/// What is wrong with a manifest: where, and what was expected.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Longer than [`MANIFEST_BYTES_MAX`].
    #[error("the manifest is longer than {MANIFEST_BYTES_MAX} bytes")]
    TooLong,
    /// Not JSON of the right shape: the parser says where.
    #[error("the manifest is malformed: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A field holds what it must not.
    #[error("the manifest's `{field}` {problem}")]
    Field {
        /// Where, as a path: `routes/put/url`.
        field: String,
        /// What is wrong with it, to follow the field's name.
        problem: String,
    },
}

pub(crate) fn problem(field: impl Into<String>, problem: impl Into<String>) -> Error {
    Error::Field { field: field.into(), problem: problem.into() }
}

/// A manifest that holds together.
#[derive(Debug)]
pub struct Manifest {
    /// Reverse domain name.
    pub id: String,
    /// Which release.
    pub version: semver::Version,
    /// What operators type.
    pub kind: String,
    /// What operators read.
    pub name: String,
    /// What requests call themselves.
    pub user_agent: Option<String>,
    /// What it can be used as.
    pub roles: Vec<Role>,
    /// Blanks of addresses that the destination's options fill.
    pub bind: BTreeMap<String, Binding>,
    /// Everything it can ask, in the manifest's order.
    pub routes: Vec<Route>,
    /// What it wants to do in a directory of this machine; none when nothing.
    pub folder: Option<FolderUse>,
    /// How accounts of it sign in; none when it needs no account.
    pub oauth: Option<OAuth>,
    /// What an operator may set.
    pub options: Options,
    /// Which names the service keeps apart.
    pub names: Names,
    /// How files go up.
    pub upload: Upload,
}

/// What a connector can be used as, in the words of products that use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Backups are read from it.
    Source,
    /// Backups are written to it.
    Destination,
    /// It can hold a repository: ranges and create-if-absent.
    Storage,
}

/// How a blank of an address is filled.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// The option that decides.
    pub option: String,
    /// The text when the option is set, `{}` standing for its value.
    pub set: String,
    /// The text when it is not.
    pub unset: String,
}

impl Binding {
    /// The blank's text, the option's value percent-encoded as one name.
    #[must_use]
    pub fn fill(&self, value: Option<&str>) -> String {
        match value {
            Some(value) => self.set.replace("{}", &route::encode_option(value)),
            None => self.unset.clone(),
        }
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    id: String,
    version: String,
    world: String,
    #[serde(rename = "type")]
    kind: String,
    name: String,
    user_agent: Option<String>,
    roles: Vec<Role>,
    #[serde(default)]
    bind: BTreeMap<String, Binding>,
    #[serde(default)]
    routes: Vec<route::Raw>,
    folder: Option<FolderUse>,
    oauth: Option<OAuth>,
    #[serde(default)]
    options: Options,
    #[serde(default)]
    names: Names,
    upload: Upload,
}

impl Manifest {
    /// Parse a manifest and check that it holds together.
    ///
    /// # Errors
    /// When it is too long, is not JSON of the right shape, or a field holds what it must not.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        if text.len() > MANIFEST_BYTES_MAX {
            return Err(Error::TooLong);
        }
        // Twice: first for duplicate keys at any depth, then for its shape.
        crate::json::parse(text)?;
        let raw: Raw = serde_json::from_slice(text)?;
        check_header(&raw)?;
        check_bindings(&raw)?;
        if let Some(folder) = &raw.folder {
            folder.check()?;
        }
        let routes = parse_routes(raw.routes, &raw.bind, raw.folder.is_some())?;
        check_conditions(&routes, &raw.options)?;
        check_mints(&routes)?;
        if let Some(oauth) = &raw.oauth {
            oauth.check()?;
        }
        if raw.oauth.is_none() && routes.iter().any(|route| route.credential == Credential::Account) {
            return Err(problem("oauth", "is missing, but a route wants the account's credential"));
        }
        raw.options.check()?;
        raw.upload.check()?;
        let version = parse_version(&raw.version)?;
        Ok(Self {
            id: raw.id,
            version,
            kind: raw.kind,
            name: raw.name,
            user_agent: raw.user_agent,
            roles: raw.roles,
            bind: raw.bind,
            routes,
            folder: raw.folder,
            oauth: raw.oauth,
            options: raw.options,
            names: raw.names,
            upload: raw.upload,
        })
    }

    /// The route of this name.
    #[must_use]
    pub fn route(&self, name: &str) -> Option<&Route> {
        self.routes.iter().find(|route| route.name == name)
    }

    /// `id@version`, as messages and records spell a connector.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}@{}", self.id, self.version)
    }

    /// Every host that some route can reach, each once, wildcards as they are written.
    #[must_use]
    pub fn hosts(&self) -> Vec<String> {
        let mut hosts: Vec<String> = Vec::new();
        for route in &self.routes {
            let of_route: Vec<String> = match &route.address {
                Address::Built { template, .. } => vec![template.host.clone()],
                Address::Minted { hosts, .. } => hosts.iter().map(ToString::to_string).collect(),
            };
            for host in of_route {
                if !hosts.contains(&host) {
                    hosts.push(host);
                }
            }
        }
        hosts
    }
}

fn check_header(raw: &Raw) -> Result<(), Error> {
    if raw.world != WORLD {
        return Err(problem("world", format!("is `{}`, but this host speaks `{WORLD}`", raw.world)));
    }
    let id_fits = raw.id.len() <= ID_LENGTH_MAX
        && raw.id.contains('.')
        && raw.id.split('.').all(|label| !label.is_empty() && is_word(label));
    if !id_fits {
        return Err(problem("id", "is not a reverse domain name such as `com.example.connector`"));
    }
    if !is_word(&raw.kind) {
        return Err(problem("type", "may have only a-z, 0-9 and `-`"));
    }
    check_phrase("name", &raw.name)?;
    if raw.user_agent.as_deref().is_some_and(|agent| !is_header_text(agent)) {
        return Err(problem("user_agent", "may have only printable ASCII characters"));
    }
    if raw.roles.is_empty() {
        return Err(problem("roles", "names no role"));
    }
    Ok(())
}

fn parse_version(text: &str) -> Result<semver::Version, Error> {
    semver::Version::parse(text)
        .map_err(|error| problem("version", format!("is not a semantic version: {error}")))
}

fn check_bindings(raw: &Raw) -> Result<(), Error> {
    for (name, binding) in &raw.bind {
        let field = format!("bind/{name}");
        if [Confine::ITEM, Confine::ITEM_ENCODED].contains(&name.as_str()) || !is_word(name) {
            return Err(problem(
                field,
                "is not a name for a blank (`item` and `item-encoded` are the host's own)",
            ));
        }
        if !raw.options.has(&binding.option) {
            return Err(problem(
                field,
                format!("names the option `{}`, which `options` does not have", binding.option),
            ));
        }
        for text in [&binding.set.replace("{}", "x"), &binding.unset] {
            let plain = !text.is_empty()
                && text.split('/').all(|name| !matches!(name, "" | "." | ".."))
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte));
            if !plain {
                return Err(problem(field, "may have only names of a-z, 0-9, `-._~` between single slashes"));
            }
        }
    }
    Ok(())
}

/// The routes, of which there is at least one, unless the connector needs no network.
fn parse_routes(
    raw: Vec<route::Raw>,
    bind: &BTreeMap<String, Binding>,
    has_folder: bool,
) -> Result<Vec<Route>, Error> {
    if (raw.is_empty() && !has_folder) || raw.len() > ROUTES_MAX {
        return Err(problem("routes", format!("has {} routes; 1 to {ROUTES_MAX} are possible", raw.len())));
    }
    let mut routes: Vec<Route> = Vec::with_capacity(raw.len());
    for one in raw {
        let route = one.parse(bind)?;
        if [folder::READ, folder::WRITE].contains(&route.name.as_str()) {
            return Err(problem("routes", format!("has the name `{}`, which is the host's own", route.name)));
        }
        if routes.iter().any(|other| other.name == route.name) {
            return Err(problem("routes", format!("has the name `{}` twice", route.name)));
        }
        routes.push(route);
    }
    Ok(routes)
}

/// The options that routes depend on are there, and can be set or not.
fn check_conditions(routes: &[Route], options: &Options) -> Result<(), Error> {
    for route in routes {
        let Some(name) = &route.only_with else { continue };
        let kind = options.properties.get(name).map(|option| option.kind);
        if kind != Some(OptionKind::Boolean) {
            let field = format!("routes/{}/only_with", route.name);
            return Err(problem(field, format!("names `{name}`, which is not a boolean of `options`")));
        }
    }
    Ok(())
}

/// Whatever is minted has a route that takes it, and the other way round: a mistyped name would
/// otherwise show only when a backup runs.
fn check_mints(routes: &[Route]) -> Result<(), Error> {
    let taken: Vec<&str> = routes.iter().filter_map(|route| route.address.minted()).collect();
    for route in routes {
        for mint in &route.mints {
            if !taken.contains(&mint.name.as_str()) {
                let field = format!("routes/{}/mints", route.name);
                return Err(problem(field, format!("mints `{}`, which no route takes", mint.name)));
            }
        }
        if let Some(name) = route.address.minted()
            && !routes.iter().any(|other| other.mints.iter().any(|mint| mint.name == name))
        {
            let field = format!("routes/{}/minted", route.name);
            return Err(problem(field, format!("takes `{name}`, which no route mints")));
        }
    }
    Ok(())
}

/// `a-z`, `0-9`, `-` and `_`, not empty.
pub(crate) fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte))
}

/// Printable ASCII, spaces inside only: safe in a header and in a terminal.
pub(crate) fn is_header_text(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// A phrase that an operator will be shown: no control character may repaint the terminal around it.
pub(crate) fn check_phrase(field: &str, text: &str) -> Result<(), Error> {
    if text.is_empty() || text.chars().count() > PHRASE_LENGTH_MAX {
        return Err(problem(field, format!("is not a phrase of 1 to {PHRASE_LENGTH_MAX} characters")));
    }
    if !text.chars().all(crate::shown::is_harmless) {
        return Err(problem(field, "has a control or invisible character"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
