//! Somebody wants a command to stop: Ctrl-C, or a service manager.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Exit;
use crate::report::Failure;

/// Whoever may want it to stop.
pub(super) struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    pub(super) fn new() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|problem| {
                Failure::new(Exit::Failed, format!("signals cannot be listened to: {problem}"))
            })
        };
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Until the next.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
