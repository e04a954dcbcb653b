//! Bytes that arrive: over the network, or from a file of this machine.

use bytes::Bytes;
use http_body_util::BodyExt as _;

use crate::content::{self, Body};
use crate::network::{Incoming, ReadError};

/// Bytes on their way to whoever asked. Dropping them closes what is still open.
#[derive(Debug)]
pub enum Arriving {
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
    /// The next bytes, some hundred kilobytes at most; none after the last.
    ///
    /// # Errors
    /// When they stop coming, or are no longer what was opened.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ArrivalError> {
        match self {
            Self::Network(incoming) => Ok(incoming.chunk().await?),
            Self::File(body) => match body.frame().await {
                None => Ok(None),
                Some(frame) => Ok(frame?.into_data().ok()),
            },
        }
    }
}
