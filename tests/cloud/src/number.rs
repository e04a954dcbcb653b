//! Conversions between the sizes of memory and the sizes of files.
//!
//! `as` is banned in this workspace, and both conversions below cannot fail on the 64-bit machines
//! the emulators run on; they saturate rather than wrap should that ever be untrue.

use std::time::Duration;

/// The length of something in memory, as a file offset.
pub(crate) fn size(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// A file offset, as an index into memory.
pub(crate) fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

/// Whole milliseconds of a duration.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
