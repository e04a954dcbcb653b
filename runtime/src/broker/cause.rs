//! What an operator is told of a failure that a connector learns one word of. Of a denial: whose it was,
//! which rule said so, and the command that would allow it.

use super::Settings;
use crate::grant::Denial;

/// What the host knows of a failure, for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{said}")]
pub struct Cause {
    /// In words.
    pub said: String,
    /// What helps, where the host knows that as well.
    pub remedy: Option<String>,
    /// Would nothing else that is stored at the destination fare better?
    pub of_all: bool,
}

impl Cause {
    /// Words alone.
    #[must_use]
    pub const fn new(said: String) -> Self {
        Self { said, remedy: None, of_all: false }
    }
}

/// A denial as an operator reads it.
pub(super) fn denied(settings: &Settings, route: &str, denial: &Denial) -> Cause {
    let Settings { destination, connector, .. } = settings;
    let rule = denial.rule();
    let route = crate::shown::shown(route, ROUTE_BYTES_MAX);
    Cause {
        said: format!(
            "{denial} (destination `{destination}`, connector `{connector}`, route `{route}`, rule `{rule}`)"
        ),
        remedy: remedy(destination, denial),
        of_all: matches!(denial, Denial::Stopped(_)),
    }
}

/// Longest name of a route that is shown, in bytes: a guest may ask for any.
const ROUTE_BYTES_MAX: usize = 64;

/// The command that would allow it, where one would.
fn remedy(destination: &str, denial: &Denial) -> Option<String> {
    match denial {
        Denial::NotGranted(route) => {
            Some(format!("run `wharf grant allow {destination} {route}` if it is to be allowed"))
        }
        Denial::Wider { route, .. } => Some(format!(
            "`wharf grant show {destination}` has what changed; run `wharf grant allow {destination} {route}` to agree to it"
        )),
        Denial::AnotherConnector { .. } => Some(format!(
            "see `wharf grant show {destination}`; run `wharf grant allow {destination} --all` to trust this connector instead"
        )),
        Denial::ReadOnly(_) => Some(
            "a destination is read-only for life; create another one without `--read-only` to write"
                .to_owned(),
        ),
        Denial::OptionOff { option, .. } => Some(format!(
            "run `wharf destination modify {destination} --option {option}=true` if that is wanted"
        )),
        Denial::Stopped(_) => Some(format!("see `wharf destination show {destination}`")),
        Denial::UrlTooLong(_) => {
            Some("shorten the path; `--guest-limit url=KIB` allows longer ones".to_owned())
        }
        Denial::UnknownRoute(_)
        | Denial::Blank { .. }
        | Denial::Item { .. }
        | Denial::ItemCharacter { .. }
        | Denial::Query { .. }
        | Denial::Header { .. }
        | Denial::HeaderValue(_)
        | Denial::JsonKey { .. }
        | Denial::Json(_)
        | Denial::Confined { .. }
        | Denial::Payload(_)
        | Denial::TooLong { .. }
        | Denial::Handle
        | Denial::HandleKind { .. }
        | Denial::HandleHost { .. } => Some(format!(
            "the connector asks for what its own manifest does not permit: report it to its vendor, with `wharf audit {destination}`"
        )),
    }
}
