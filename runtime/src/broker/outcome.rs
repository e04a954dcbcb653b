//! What became of an attempt, in the words of the retry table.

use std::time::SystemTime;

use crate::network::{Incoming, Reached, SendError, SendErrorKind};
use crate::retry::{self, Outcome};

/// What an attempt's end means to the retry table.
pub(super) fn outcome(sent: &Result<Incoming, SendError>, now: SystemTime) -> Outcome {
    let error = match sent {
        Ok(incoming) => {
            let retry_after = retry::retry_after(incoming.headers(), now);
            return Outcome::Status { code: incoming.status().as_u16(), retry_after };
        }
        Err(error) => error,
    };
    match &error.kind {
        SendErrorKind::Refused(_) | SendErrorKind::Malformed(_) => Outcome::Refused,
        SendErrorKind::Content(_) => Outcome::SourceChanged,
        SendErrorKind::HeadersTooLong => Outcome::TooLarge,
        SendErrorKind::Setup(_)
        | SendErrorKind::Resolve(_)
        | SendErrorKind::Connect(_)
        | SendErrorKind::Tls(_)
        | SendErrorKind::ConnectTimedOut
        | SendErrorKind::Stalled
        | SendErrorKind::ReplyTimedOut
        | SendErrorKind::Lost(_) => match error.reached {
            Reached::No => Outcome::NotReached,
            Reached::Maybe => Outcome::MaybeReached,
        },
    }
}
