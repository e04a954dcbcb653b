//! The body of a reply: small bytes or a stored object streamed from its file, with the faults
//! that may befall it on the way out, and a meter for the log.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use http_body::{Body, Frame, SizeHint};
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use crate::log::Meter;
use crate::number;
use crate::store::Blob;

/// Bytes read from a file at a time.
const PIECE_BYTES: u64 = 256 * 1024;
/// A trickled body is cut into this many pieces a second, so that it is slow but never silent.
const TRICKLE_PIECES_PER_SECOND: u64 = 10;

/// What a reply carries.
#[derive(Clone, Debug)]
pub(crate) enum Payload {
    /// Nothing.
    Empty,
    /// A document.
    Bytes(Bytes),
    /// A part of a stored object.
    Stored { blob: Arc<Blob>, start: u64, length: u64 },
}

impl Payload {
    /// Its length in bytes.
    pub(crate) fn length(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Bytes(bytes) => number::size(bytes.len()),
            Self::Stored { length, .. } => *length,
        }
    }
}

/// What a fault does to a body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tamper {
    /// The connection dies after so many bytes.
    Truncate(u64),
    /// The byte at this place is wrong.
    Flip(u64),
    /// So many bytes a second.
    Trickle(u64),
}

type Pieces = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// A reply body as hyper sends it.
pub(crate) struct Outbound {
    pieces: Pieces,
    /// What is left to send, so that hyper knows the length.
    left: u64,
    meter: Option<Meter>,
}

impl std::fmt::Debug for Outbound {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Outbound").field("left", &self.left).finish_non_exhaustive()
    }
}

impl Outbound {
    pub(crate) fn new(payload: Payload, tamper: Option<Tamper>, meter: Option<Meter>) -> Self {
        let left = payload.length();
        let pieces = source(payload);
        let pieces = match tamper {
            None => pieces,
            Some(Tamper::Truncate(after)) => truncate(pieces, after),
            Some(Tamper::Flip(at)) => flip(pieces, at),
            Some(Tamper::Trickle(rate)) => trickle(pieces, rate),
        };
        Self { pieces, left, meter }
    }
}

impl Body for Outbound {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.pieces.as_mut().poll_next(context).map(|piece| {
            let piece = piece?;
            if let Ok(bytes) = &piece {
                let count = number::size(bytes.len());
                self.left = self.left.saturating_sub(count);
                if let Some(meter) = &self.meter {
                    meter.sent(count);
                }
            }
            Some(piece.map(Frame::data))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

fn source(payload: Payload) -> Pieces {
    match payload {
        Payload::Empty => stream::empty().boxed(),
        Payload::Bytes(bytes) => stream::iter([Ok(bytes)])
            .filter(|piece: &io::Result<Bytes>| {
                std::future::ready(piece.as_ref().is_ok_and(|bytes| !bytes.is_empty()))
            })
            .boxed(),
        Payload::Stored { blob, start, length } => {
            stream::try_unfold(Reading::Closed(blob, start, length), Reading::next).boxed()
        }
    }
}

/// A stored object on its way out; the object is held, so that deleting it cannot cut a download.
enum Reading {
    Closed(Arc<Blob>, u64, u64),
    Open(Arc<Blob>, File, u64),
}

impl Reading {
    async fn next(self) -> io::Result<Option<(Bytes, Self)>> {
        let (blob, mut file, left) = match self {
            Self::Closed(blob, start, length) => {
                let file = blob.open(start).await?;
                (blob, file, length)
            }
            Self::Open(blob, file, left) => (blob, file, left),
        };
        if left == 0 {
            return Ok(None);
        }
        let mut piece = vec![0; number::index(left.min(PIECE_BYTES))];
        let count = file.read(&mut piece).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        piece.truncate(count);
        let left = left - number::size(count);
        Ok(Some((Bytes::from(piece), Self::Open(blob, file, left))))
    }
}

fn truncate(pieces: Pieces, after: u64) -> Pieces {
    let cut = stream::once(std::future::ready(Err(io::Error::from(io::ErrorKind::ConnectionReset))));
    pieces
        .scan(after, |room, piece| {
            std::future::ready(match piece {
                Ok(_) if *room == 0 => None,
                Ok(mut bytes) => {
                    bytes.truncate(number::index(*room));
                    *room -= number::size(bytes.len());
                    Some(Ok(bytes))
                }
                Err(error) => Some(Err(error)),
            })
        })
        .chain(cut)
        .boxed()
}

fn flip(pieces: Pieces, at: u64) -> Pieces {
    pieces
        .scan(at, |place, piece| {
            let piece = piece.map(|bytes| {
                let here = number::index(*place);
                *place = place.checked_sub(number::size(bytes.len())).unwrap_or(u64::MAX);
                if here >= bytes.len() {
                    return bytes;
                }
                let mut spoilt = bytes.to_vec();
                spoilt[here] ^= 0x01;
                Bytes::from(spoilt)
            });
            std::future::ready(Some(piece))
        })
        .boxed()
}

fn trickle(pieces: Pieces, rate: u64) -> Pieces {
    let step = number::index((rate / TRICKLE_PIECES_PER_SECOND).max(1));
    let pause = Duration::from_millis(1000 / TRICKLE_PIECES_PER_SECOND);
    pieces
        .flat_map(move |piece| match piece {
            Ok(bytes) => stream::iter(split(bytes, step)).map(Ok).boxed(),
            Err(error) => stream::iter([Err(error)]).boxed(),
        })
        .then(move |piece| async move {
            tokio::time::sleep(pause).await;
            piece
        })
        .boxed()
}

fn split(mut bytes: Bytes, step: usize) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || (!bytes.is_empty()).then(|| bytes.split_to(step.min(bytes.len()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    async fn sent(tamper: Tamper) -> (Vec<u8>, bool) {
        let payload = Payload::Bytes(Bytes::from_static(b"abcdef"));
        let mut body = Outbound::new(payload, Some(tamper), None);
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => bytes.extend_from_slice(&frame.into_data().unwrap()),
                Err(_) => return (bytes, true),
            }
        }
        (bytes, false)
    }

    #[tokio::test]
    async fn faults_of_a_reply() {
        assert_eq!(sent(Tamper::Truncate(2)).await, (b"ab".to_vec(), true));
        assert_eq!(sent(Tamper::Flip(1)).await, (b"accdef".to_vec(), false));
        assert_eq!(sent(Tamper::Flip(99)).await, (b"abcdef".to_vec(), false));
        assert_eq!(sent(Tamper::Trickle(40)).await, (b"abcdef".to_vec(), false));
    }
}
