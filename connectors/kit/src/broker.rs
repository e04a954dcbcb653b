//! A connector's only way out, as a trait, so that its logic does not know whether a host or a test
//! answers.

use std::time::Duration;

use crate::{Algorithm, Error, Failure, Level, Reply, Request, Settings};

/// What `wit/connector.wit` imports, one function each.
pub trait Broker {
    /// Bytes to be sent, owned by the host.
    type Content;
    /// Bytes that arrive, owned by the host.
    type Body;

    /// Send a request and get its small answer whole.
    ///
    /// # Errors
    /// When there is no reply, or one of more than `limit_bytes`. A status is never an error here.
    fn exchange(&mut self, request: &Request<'_, Self::Content>, limit_bytes: u32) -> Result<Reply, Failure>;

    /// Ask something that changes nothing at the service, so that a lost answer leaves nothing in doubt.
    ///
    /// # Errors
    /// As [`exchange`](Self::exchange).
    fn ask(&mut self, request: &Request<'_, Self::Content>, limit_bytes: u32) -> Result<Reply, Error> {
        self.exchange(request, limit_bytes)
            .map_err(|failure| if failure == Failure::Lost { Error::Unavailable } else { failure.into() })
    }

    /// Send a request whose answer is a download: the bytes stay with the host.
    ///
    /// # Errors
    /// When there is no reply.
    fn fetch(&mut self, request: &Request<'_, Self::Content>) -> Result<(Reply, Self::Body), Failure>;

    /// What the operator chose for this destination.
    fn settings(&self) -> &Settings;

    /// Length in bytes.
    fn size(&self, content: &Self::Content) -> u64;

    /// Some bytes of a content, at most 1 MiB; none when the source changed.
    fn read(&self, content: &Self::Content, offset: u64, len_bytes: u32) -> Option<Vec<u8>>;

    /// The hash of a whole content; none when the source changed or the host does not compute it.
    /// It costs the host one more pass over the source.
    fn hash(&self, content: &Self::Content, algorithm: Algorithm) -> Option<Vec<u8>>;

    /// Let time pass, for a job of the service whose end must be seen. It counts against the operation's
    /// 10 seconds of wall clock; to wait until a request may be sent again is the host's, never ours.
    fn wait(&mut self, time: Duration);

    /// A line for whoever debugs.
    fn log(&mut self, level: Level, message: &str);
}
