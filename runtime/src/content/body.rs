//! A section on its way out.
//!
//! While one block is with the socket the next one is read and hashed on a thread that may block, so
//! a disk, a processor and a network work at the same time and memory stays at three blocks. The
//! last block is held back until the source has proved unchanged: a request whose content changed
//! under it ends unfinished instead of complete and wrong.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};

use super::{Error, READ_BYTES, Section, Source, length};
use crate::hash::Running;
use crate::rate::{Flow, Hold};

/// Told how many bytes went to the socket, each time some did. A retry tells it again.
pub type Progress = Arc<dyn Fn(u64) + Send + Sync>;

/// Listens to a body: hashes what is sent, and tells how far it is. One tap serves one attempt.
#[derive(Default)]
pub struct Tap {
    hash: Option<(Running, oneshot::Sender<Running>)>,
    progress: Option<Progress>,
    flow: Option<Flow>,
}

impl Tap {
    /// Hash what is sent into `running`, a clone that this attempt owns. The receipt gives it back.
    #[must_use]
    pub fn hashing(running: Running) -> (Self, Receipt) {
        let (sender, receiver) = oneshot::channel();
        (Self { hash: Some((running, sender)), ..Self::default() }, Receipt(receiver))
    }

    /// Tell `progress` as well.
    #[must_use]
    pub fn with_progress(mut self, progress: Progress) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Send no faster than the destination's bandwidth allows.
    #[must_use]
    pub fn with_flow(mut self, flow: Option<Flow>) -> Self {
        self.flow = flow;
        self
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hash = self.hash.as_ref().map(|(running, _)| running);
        formatter.debug_struct("Tap").field("hash", &hash).finish_non_exhaustive()
    }
}

/// What a [`Tap`] heard.
#[derive(Debug)]
pub struct Receipt(oneshot::Receiver<Running>);

impl Receipt {
    /// The hash with the section in it; none unless every byte of the section was handed to the
    /// socket and the source was unchanged after the last was read.
    #[must_use]
    pub fn take(mut self) -> Option<Running> {
        self.0.try_recv().ok()
    }
}

/// A section as the body of one request.
pub struct Body {
    source: Arc<Source>,
    reader: Reader,
    receipt: Option<oneshot::Sender<Running>>,
    progress: Option<Progress>,
    flow: Option<Box<Flow>>,
    /// What the block that is next waits for; it has asked when this is there.
    hold: Option<Mutex<Hold>>,
    /// Bytes not yet handed over.
    left: u64,
    /// The block that was handed over last; its memory is used again once the socket is done with it.
    sent: Bytes,
}

/// A block, and what is to be done after it.
type Read = Result<(Bytes, Work), Error>;

enum Reader {
    /// Nothing was read yet.
    Idle(Work),
    /// A block is being read.
    Reading(JoinHandle<Read>),
    /// A block was read.
    Read(Read),
    /// Nothing is left, or reading failed.
    Done,
}

impl Body {
    pub(super) fn new(section: Section, tap: Tap) -> Self {
        let (running, receipt) = tap.hash.unzip();
        let source = Arc::clone(&section.source);
        let left = section.size;
        let reader = Reader::Done;
        let (progress, flow) = (tap.progress, tap.flow.map(Box::new));
        let mut body = Self { source, reader, receipt, progress, flow, hold: None, left, sent: Bytes::new() };
        let work = Work { section, at: 0, running };
        if left == 0 {
            body.complete(work);
        } else {
            body.reader = Reader::Idle(work);
        }
        body
    }

    /// Bytes that are still to be sent.
    #[must_use]
    pub const fn left(&self) -> u64 {
        self.left
    }

    /// Hand a block over, and see to the next.
    fn hand_over(&mut self, block: Bytes, work: Work) -> Frame<Bytes> {
        let spare = std::mem::replace(&mut self.sent, block.clone());
        self.left = self.left.saturating_sub(length(&block));
        if self.left == 0 {
            self.complete(work);
        } else {
            self.reader = work.start(spare);
        }
        if let Some(progress) = &self.progress {
            progress(length(&block));
        }
        Frame::data(block)
    }

    /// Wait until the bandwidth lets the block go that was read.
    fn poll_hold(&mut self, read: &Read, context: &mut Context<'_>) -> Poll<()> {
        let (Some(flow), Ok((block, _))) = (&self.flow, read) else { return Poll::Ready(()) };
        let hold = self.hold.get_or_insert_with(|| Mutex::new(flow.up(length(block))));
        // A body is handed between threads, and polled by one: nobody is waited for here.
        let hold = hold.get_mut().unwrap_or_else(PoisonError::into_inner);
        let polled = hold.as_mut().map_or(Poll::Ready(()), |hold| hold.as_mut().poll(context));
        if polled.is_ready() {
            self.hold = None;
        }
        polled
    }

    /// Does it wait for its own bandwidth, and for nobody else?
    #[must_use]
    pub const fn is_held(&self) -> bool {
        self.hold.is_some()
    }

    fn complete(&mut self, work: Work) {
        if let (Some(receipt), Some(running)) = (self.receipt.take(), work.running) {
            // Nobody waits for it when the attempt has been given up meanwhile.
            let _ = receipt.send(running);
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let body = self.get_mut();
        loop {
            match std::mem::replace(&mut body.reader, Reader::Done) {
                Reader::Idle(work) => body.reader = work.start(Bytes::new()),
                Reader::Reading(mut reading) => match Pin::new(&mut reading).poll(context) {
                    Poll::Pending => {
                        body.reader = Reader::Reading(reading);
                        return Poll::Pending;
                    }
                    Poll::Ready(read) => {
                        let stopped = |problem| body.source.unreadable(io::Error::other(problem));
                        body.reader = Reader::Read(read.map_err(stopped).flatten());
                    }
                },
                Reader::Read(read) => {
                    if body.poll_hold(&read, context).is_pending() {
                        body.reader = Reader::Read(read);
                        return Poll::Pending;
                    }
                    return Poll::Ready(Some(read.map(|(block, work)| body.hand_over(block, work))));
                }
                Reader::Done => return Poll::Ready(None),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Body").field("left", &self.left).finish_non_exhaustive()
    }
}

/// What is left to be read.
struct Work {
    section: Section,
    /// Bytes of the section that were read.
    at: u64,
    running: Option<Running>,
}

impl Work {
    /// Begin the next block, in the memory of `spare` if nobody else looks at that any more.
    fn start(self, spare: Bytes) -> Reader {
        if self.section.source.is_in_memory() {
            // Hashing this little takes less than handing it to another thread, and a body that is
            // ready at once leaves with its head, in one packet.
            Reader::Read(self.next(spare))
        } else {
            Reader::Reading(spawn_blocking(move || self.next(spare)))
        }
    }

    fn next(mut self, spare: Bytes) -> Read {
        let source = &self.section.source;
        let start = self.section.offset + self.at;
        let size = READ_BYTES.min(self.section.size - self.at);
        let block = source.block(start, size, spare.try_into_mut().unwrap_or_default())?;
        if let Some(running) = &mut self.running {
            running.update(&block);
        }
        self.at += size;
        if self.at == self.section.size {
            source.changed()?;
        }
        Ok((block, self))
    }
}
