//! Bytes that arrive: over the network, or from a file of this machine.

use bytes::Bytes;
use http_body_util::BodyExt as _;

use crate::content::{self, Body};
use crate::network::{Incoming, ReadError};
use crate::rate::Flow;

/// Bytes on their way to whoever asked. Dropping them closes what is still open.
#[derive(Debug)]
pub struct Arriving {
    from: From,
    flow: Option<Flow>,
}

#[derive(Debug)]
enum From {
    /// The body of a reply.
    Network(Box<Incoming>),
    /// A part of a file, read ahead by a block on a thread that may block.
    File(Box<Body>),
}

/// Why not all of them arrive.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ArrivalError {
    /// The reply is not whole.
    #[error(transparent)]
    Network(#[from] ReadError),
    /// The file changed, or cannot be read.
    #[error(transparent)]
    File(#[from] content::Error),
}

impl Arriving {
    /// The body of a reply.
    pub(super) fn from_network(incoming: Incoming, flow: Option<Flow>) -> Self {
        Self { from: From::Network(Box::new(incoming)), flow }
    }

    /// A part of a file of this machine.
    pub(super) fn from_file(body: Body, flow: Option<Flow>) -> Self {
        Self { from: From::File(Box::new(body)), flow }
    }

    /// The next bytes, some hundred kilobytes at most; none after the last. They come no faster than the
    /// destination's bandwidth allows: who does not read is not sent more.
    ///
    /// # Errors
    /// When they stop coming, or are no longer what was opened.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ArrivalError> {
        let chunk = match &mut self.from {
            From::Network(incoming) => incoming.chunk().await?,
            From::File(body) => match body.frame().await {
                None => None,
                Some(frame) => frame?.into_data().ok(),
            },
        };
        let arrived = chunk.as_ref().map_or(0, |bytes| u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if let Some(hold) = self.flow.as_ref().and_then(|flow| flow.down(arrived)) {
            hold.await;
        }
        Ok(chunk)
    }
}
