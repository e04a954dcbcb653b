//! What to do about an error.
//!
//! A message says what is wrong; a hint says what helps, as one line that the command prints below
//! it. Errors that know a remedy implement [`Hint`]; the words stay beside the error they belong to.

/// An error that may know its remedy.
pub trait Hint: std::error::Error {
    /// The remedy, lower case and without a full stop; none when there is nothing to advise.
    fn hint(&self) -> Option<String>;
}
