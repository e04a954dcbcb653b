//! The two range headers: `Range` of a download and `Content-Range` of an upload part.
//!
//! Only what the services accept is parsed; several ranges in one request are treated as if no
//! range had been asked for, which HTTP permits and both services do.

/// What a `Range` header asks of a body of known size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// No usable range: the whole body, 200.
    Whole,
    /// From `start`, `length` bytes, 206.
    Part { start: u64, length: u64 },
    /// Nothing of the body lies in the range, 416.
    Unsatisfiable,
}

/// Reads a `Range` header against a body of `size` bytes.
pub(crate) fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some(spec) = header.and_then(|value| value.trim().strip_prefix("bytes=")) else {
        return Wanted::Whole;
    };
    let Some((first, last)) = spec.split_once('-') else {
        return Wanted::Whole;
    };
    match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(start), Ok(end)) if start <= end => part(start, end, size),
        (Ok(start), Err(_)) if last.trim().is_empty() => part(start, size.saturating_sub(1).max(start), size),
        (Err(_), Ok(suffix)) if first.trim().is_empty() && suffix > 0 && size > 0 => {
            let length = suffix.min(size);
            Wanted::Part { start: size - length, length }
        }
        (Err(_), Ok(_)) if first.trim().is_empty() => Wanted::Unsatisfiable,
        _ => Wanted::Whole,
    }
}

fn part(start: u64, end: u64, size: u64) -> Wanted {
    if start >= size {
        return Wanted::Unsatisfiable;
    }
    let end = end.min(size - 1);
    Wanted::Part { start, length: end - start + 1 }
}

/// A `Content-Range: bytes a-b/total` of an upload part; `end` is inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) total: u64,
}

impl Sent {
    /// Reads the header; `None` when it is not of that form, names no total, or is inverted.
    pub(crate) fn parse(header: &str) -> Option<Self> {
        let (span, total) = header.trim().strip_prefix("bytes")?.trim().split_once('/')?;
        let (start, end) = span.split_once('-')?;
        let sent = Self {
            start: start.trim().parse().ok()?,
            end: end.trim().parse().ok()?,
            total: total.trim().parse().ok()?,
        };
        (sent.start <= sent.end && sent.end < sent.total).then_some(sent)
    }

    /// Bytes in the part.
    pub(crate) fn length(self) -> u64 {
        self.end - self.start + 1
    }

    /// Whether this part ends the file.
    pub(crate) fn is_last(self) -> bool {
        self.end + 1 == self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_downloads() {
        let part = |start, length| Wanted::Part { start, length };
        let cases = [
            (None, 10, Wanted::Whole),
            (Some("bytes=0-3"), 10, part(0, 4)),
            (Some("bytes=4-"), 10, part(4, 6)),
            (Some("bytes=-3"), 10, part(7, 3)),
            (Some("bytes=-30"), 10, part(0, 10)),
            (Some("bytes=8-100"), 10, part(8, 2)),
            (Some("bytes=10-"), 10, Wanted::Unsatisfiable),
            (Some("bytes=10-12"), 10, Wanted::Unsatisfiable),
            (Some("bytes=0-"), 0, Wanted::Unsatisfiable),
            (Some("bytes=-0"), 10, Wanted::Unsatisfiable),
            (Some("bytes=5-2"), 10, Wanted::Whole),
            (Some("bytes=0-1,4-5"), 10, Wanted::Whole),
            (Some("lines=0-1"), 10, Wanted::Whole),
        ];
        for (header, size, expected) in cases {
            assert_eq!(wanted(header, size), expected, "{header:?} of {size}");
        }
    }

    #[test]
    fn ranges_of_parts() {
        let sent = Sent::parse("bytes 0-25/128").unwrap();
        assert_eq!((sent.length(), sent.is_last()), (26, false));
        assert!(Sent::parse("bytes 101-127/128").unwrap().is_last());
        for bad in ["bytes 0-25/*", "bytes */128", "bytes 9-8/10", "bytes 0-10/10", "bytes 0--1/0", "0-1/2x"]
        {
            assert_eq!(Sent::parse(bad), None, "{bad}");
        }
    }
}
