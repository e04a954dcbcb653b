//! The body of a request, read piece by piece, with the faults that may befall it on the way in.
//!
//! Nothing here keeps a body: a handler either streams it into the store or reads a small JSON
//! document whole, under a bound.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::number;

/// JSON arguments and forms: 1,000 batch entries with long paths stay far below this.
pub(crate) const DOCUMENT_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// What is read of a body that was refused: more than the largest request of either service.
const DRAIN_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// The body did not arrive whole: the client went away, or a fault cut it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

/// Where the bytes come from.
#[derive(Debug)]
enum Source {
    Network(Incoming),
    Memory(Option<Bytes>),
}

/// A request body.
#[derive(Debug)]
pub(crate) struct Inbound {
    source: Source,
    received: Arc<AtomicU64>,
    cut_after: Option<u64>,
    flip_at: Option<u64>,
}

impl Inbound {
    pub(crate) fn network(body: Incoming) -> Self {
        Self::new(Source::Network(body))
    }

    /// A body that is already here: one request of a `$batch`.
    pub(crate) fn memory(bytes: Bytes) -> Self {
        Self::new(Source::Memory(Some(bytes)))
    }

    fn new(source: Source) -> Self {
        Self { source, received: Arc::default(), cut_after: None, flip_at: None }
    }

    /// Counts what has been read so far; the log keeps a clone.
    pub(crate) fn received(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.received)
    }

    /// Fault: the connection dies once `bytes` have arrived.
    pub(crate) fn cut_after(&mut self, bytes: u64) {
        self.cut_after = Some(bytes);
    }

    /// Fault: one byte is stored wrong.
    pub(crate) fn flip_at(&mut self, offset: u64) {
        self.flip_at = Some(offset);
    }

    /// The next piece, `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Broken> {
        let before = self.received.load(Ordering::Relaxed);
        if self.cut_after.is_some_and(|limit| before >= limit) {
            return Err(Broken);
        }
        let piece = match &mut self.source {
            Source::Memory(bytes) => bytes.take().filter(|bytes| !bytes.is_empty()),
            Source::Network(body) => data(body).await?,
        };
        let Some(piece) = piece else {
            return match self.cut_after {
                // The body was shorter than the place of the cut: it is cut at its end.
                Some(_) => Err(Broken),
                None => Ok(None),
            };
        };
        let piece = self.spoil(before, piece);
        self.received.fetch_add(number::size(piece.len()), Ordering::Relaxed);
        Ok(Some(piece))
    }

    fn spoil(&mut self, before: u64, mut piece: Bytes) -> Bytes {
        if let Some(limit) = self.cut_after {
            let room = number::index(limit.saturating_sub(before));
            piece.truncate(room);
        }
        let place = self.flip_at.and_then(|at| at.checked_sub(before));
        match place.map(number::index) {
            Some(place) if place < piece.len() => {
                let mut bytes = piece.to_vec();
                bytes[place] ^= 0x01;
                self.flip_at = None;
                Bytes::from(bytes)
            }
            _ => piece,
        }
    }

    /// The whole body, if it is at most `limit` bytes; `Ok(None)` when it is longer.
    pub(crate) async fn read(&mut self, limit: u64) -> Result<Option<Vec<u8>>, Broken> {
        let mut whole = Vec::new();
        while let Some(piece) = self.next().await? {
            whole.extend_from_slice(&piece);
            if number::size(whole.len()) > limit {
                return Ok(None);
            }
        }
        Ok(Some(whole))
    }

    /// Reads and forgets the rest, so that the client has finished sending before it is answered.
    /// A client that goes on beyond the bound finds its connection closed instead.
    pub(crate) async fn drain(&mut self) {
        let mut left = DRAIN_BYTES_MAX;
        while left > 0
            && let Ok(Some(piece)) = self.next().await
        {
            left = left.saturating_sub(number::size(piece.len()));
        }
    }
}

async fn data(body: &mut Incoming) -> Result<Option<Bytes>, Broken> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Broken)?;
        if let Ok(data) = frame.into_data()
            && !data.is_empty()
        {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn flips_one_byte() {
        let mut body = Inbound::memory(Bytes::from_static(b"abc"));
        body.flip_at(1);
        assert_eq!(body.read(10).await, Ok(Some(b"acc".to_vec())));
    }

    #[tokio::test]
    async fn cuts_in_the_middle_and_at_the_end() {
        for (limit, received) in [(2, 2), (9, 3)] {
            let mut body = Inbound::memory(Bytes::from_static(b"abc"));
            body.cut_after(limit);
            assert_eq!(body.read(10).await, Err(Broken));
            assert_eq!(body.received().load(Ordering::Relaxed), received);
        }
    }

    #[tokio::test]
    async fn refuses_a_long_document() {
        let mut body = Inbound::memory(Bytes::from_static(b"abc"));
        assert_eq!(body.read(2).await, Ok(None));
    }
}
