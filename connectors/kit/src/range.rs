//! Which bytes of a file: the header that asks for them, and where those begin that came.

use crate::{Error, Reply};

/// A part of a file, or all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// First byte.
    pub offset: u64,
    /// How many; none to the end.
    pub len: Option<u64>,
}

impl Range {
    /// The value of `range`; none for the whole file. A range has at least one byte: the host reads no more
    /// than it asked for.
    #[must_use]
    pub fn header(self) -> Option<String> {
        match self.len {
            None if self.offset == 0 => None,
            None => Some(format!("bytes={}-", self.offset)),
            Some(len) => {
                Some(format!("bytes={}-{}", self.offset, self.offset.saturating_add(len.max(1)) - 1))
            }
        }
    }

    /// Where a part begins that the service sent: at the range's first byte, unless it says otherwise.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for one that begins behind it: it is a part of something else.
    pub fn first_byte(self, reply: &Reply) -> Result<u64, Error> {
        let first = reply.header("content-range").and_then(start).unwrap_or(self.offset);
        if first > self.offset { Err(Error::Corrupt) } else { Ok(first) }
    }
}

/// The start of `bytes 5-9/100`.
fn start(range: &str) -> Option<u64> {
    range.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_as_a_header() {
        let header = |offset, len| Range { offset, len }.header();
        assert_eq!(header(0, None), None);
        assert_eq!(header(5, None).as_deref(), Some("bytes=5-"));
        assert_eq!(header(0, Some(1)).as_deref(), Some("bytes=0-0"));
        assert_eq!(header(5, Some(0)).as_deref(), Some("bytes=5-5"));
        assert_eq!(header(5, Some(u64::MAX)).as_deref(), Some("bytes=5-18446744073709551614"));
    }

    #[test]
    fn where_a_part_begins() {
        for (said, begins) in [
            ("bytes 5-9/100", Some(5)),
            ("bytes */100", None),
            ("items 5-9/100", None),
            ("bytes x-9/100", None),
            ("", None),
        ] {
            assert_eq!(start(said), begins, "{said}");
        }
    }
}
