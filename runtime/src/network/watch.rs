//! How far a request is.
//!
//! A body is the one thing of ours that a connection touches while it writes a request: it asks
//! whether there is a body just before it writes the head, and takes it block by block after that. So
//! the body is where one sees whether a request may have reached anybody, whether the peer still
//! takes bytes, and since when a reply is due.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, sleep_until};

use super::{SendErrorKind, Timeouts};
use crate::content;

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing of it was written.
    Connecting,
    /// The connection takes it.
    Sending,
    /// All of it was taken; a reply is due.
    Sent,
}

/// One request under way.
#[derive(Debug)]
pub(super) struct Watch {
    progress: Mutex<Progress>,
}

#[derive(Debug)]
struct Progress {
    phase: Phase,
    since: Instant,
    /// Why its content could not be sent. Not every version of HTTP lets that through to the error.
    failure: Option<content::Error>,
}

impl Watch {
    pub(super) fn new() -> Arc<Self> {
        let (phase, since) = (Phase::Connecting, Instant::now());
        let progress = Mutex::new(Progress { phase, since, failure: None });
        Arc::new(Self { progress })
    }

    /// May anybody have received any of it?
    pub(super) fn reached(&self) -> bool {
        self.progress().phase != Phase::Connecting
    }

    /// Why its content could not be sent, if that is what ended it.
    pub(super) fn failure(&self) -> Option<content::Error> {
        self.progress().failure.take()
    }

    /// Wait until it has stood still for too long.
    ///
    /// It looks now and then and is not told of each step: that would wake this task, often on another
    /// processor, twice for each request. The next phase's patience may be shorter, so it looks as often
    /// as the shortest of them asks for.
    pub(super) async fn expired(&self, timeouts: &Timeouts) -> SendErrorKind {
        let shortest = timeouts.connect.min(timeouts.send_stall).min(timeouts.reply);
        loop {
            let (phase, since) = {
                let progress = self.progress();
                (progress.phase, progress.since)
            };
            let (patience, expired) = match phase {
                Phase::Connecting => (timeouts.connect, SendErrorKind::ConnectTimedOut),
                Phase::Sending => (timeouts.send_stall, SendErrorKind::Stalled),
                Phase::Sent => (timeouts.reply, SendErrorKind::ReplyTimedOut),
            };
            let (now, deadline) = (Instant::now(), since + patience);
            if now >= deadline {
                return expired;
            }
            sleep_until(deadline.min(now + shortest)).await;
        }
    }

    /// The connection asks whether there is a body: the head is next.
    fn asked(&self, left: u64) {
        if !self.reached() {
            self.moved(left);
        }
    }

    /// The connection takes the head, or another block.
    fn moved(&self, left: u64) {
        let phase = if left == 0 { Phase::Sent } else { Phase::Sending };
        let mut progress = self.progress();
        progress.since = Instant::now();
        progress.phase = phase;
    }

    fn failed(&self, error: content::Error) {
        self.progress().failure = Some(error);
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The body of a request, watched.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) body: content::Body,
    pub(super) watch: Arc<Watch>,
    pub(super) sent_bytes: Arc<AtomicU64>,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = content::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, content::Error>>> {
        let watched = self.get_mut();
        watched.watch.asked(watched.body.left());
        let polled = Pin::new(&mut watched.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let size = frame.data_ref().map_or(0, Bytes::len);
                watched.sent_bytes.fetch_add(u64::try_from(size).unwrap_or(u64::MAX), Ordering::Relaxed);
                watched.watch.moved(watched.body.left());
            }
            Poll::Ready(Some(Err(error))) => watched.watch.failed(error.clone()),
            // A peer is not to blame for a bandwidth of ours.
            Poll::Pending if watched.body.is_held() => watched.watch.moved(watched.body.left()),
            Poll::Ready(None) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.watch.asked(self.body.left());
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Bytes that arrive, and how long they were waited for.
#[derive(Debug)]
pub(super) struct Pace {
    waited: Duration,
    arrived: u64,
}

impl Pace {
    pub(super) const fn new() -> Self {
        Self { waited: Duration::ZERO, arrived: 0 }
    }

    /// How much longer to wait, of a patience of `stall`.
    pub(super) const fn patience(&self, stall: Duration) -> Duration {
        stall.saturating_sub(self.waited)
    }

    /// `bytes` came after another wait. Patience is new once as many as `enough` have come.
    pub(super) fn arrived(&mut self, bytes: u64, waited: Duration, enough: u64) {
        self.arrived += bytes;
        self.waited += waited;
        if self.arrived >= enough {
            *self = Self::new();
        }
    }
}
