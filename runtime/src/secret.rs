//! A secret cannot print.
//!
//! Tokens, client secrets and keys live in a [`Secret`] from the moment they are read to the moment
//! a request is signed. It has no `Display` and no `Serialize`, its `Debug` is stars, and its memory
//! is wiped when it is dropped; whoever needs the text says so by calling [`Secret::expose`].

use std::fmt;

use zeroize::Zeroizing;

/// One opaque value that cannot print.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Take a value into custody.
    #[must_use]
    pub fn new(value: String) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value itself. Every call is a place to look at in a review.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("****")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_as_stars() {
        assert_eq!(format!("{:?}", Some(Secret::new("token-value".to_owned()))), "Some(****)");
    }
}
