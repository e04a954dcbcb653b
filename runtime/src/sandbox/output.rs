//! What a guest writes: its log lines, standard output and standard error, on one budget.
//!
//! A guest's words are shown as a guest's, escaped and cut, and past the budget they are counted and
//! dropped: nothing that a guest writes can fill a disk or repaint a terminal.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// Longest line that is shown, in bytes.
const LINE_BYTES_MAX: usize = 1024;

/// What a line costs beyond its text, in bytes: the log puts a time, a level and a target before it.
const LINE_COST_BYTES: usize = 64;

/// The budget, and the line being written.
#[derive(Debug, Clone)]
pub(super) struct LogBudget(Arc<Mutex<Written>>);

#[derive(Debug, Default)]
struct Written {
    max: usize,
    used: usize,
    dropped: usize,
    line: Vec<u8>,
    last: Option<String>,
}

impl LogBudget {
    pub(super) fn new(max: usize) -> Self {
        Self(Arc::new(Mutex::new(Written { max, ..Written::default() })))
    }

    /// A log line of the guest's.
    pub(super) fn write(&self, level: tracing::Level, message: &str) {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !written.take(message.len().saturating_add(LINE_COST_BYTES)) {
            return;
        }
        let text = shown(message.as_bytes());
        match level {
            tracing::Level::WARN => tracing::warn!(target: "connector", "{text}"),
            tracing::Level::INFO => tracing::info!(target: "connector", "{text}"),
            _ => tracing::debug!(target: "connector", "{text}"),
        }
    }

    /// The last line that went to standard output or error: where a panic left its message.
    pub(super) fn last_words(&self) -> Option<String> {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        written.end_line();
        if written.dropped > 0 {
            tracing::debug!(target: "connector", bytes = written.dropped, "log lines beyond the budget were dropped");
        }
        written.last.take()
    }
}

impl Written {
    fn take(&mut self, bytes: usize) -> bool {
        if self.used.saturating_add(bytes) > self.max {
            self.dropped = self.dropped.saturating_add(bytes);
            return false;
        }
        self.used = self.used.saturating_add(bytes);
        true
    }

    fn push(&mut self, bytes: &[u8]) {
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
        if !self.take(bytes.len().saturating_add(lines.saturating_mul(LINE_COST_BYTES))) {
            return;
        }
        for byte in bytes {
            if *byte == b'\n' {
                self.end_line();
            } else {
                self.line.push(*byte);
            }
        }
    }

    fn end_line(&mut self) {
        if self.line.is_empty() {
            return;
        }
        let text = shown(&std::mem::take(&mut self.line));
        tracing::debug!(target: "connector", "{text}");
        // A panic's first line says where and why; what follows is advice for its author.
        if !text.starts_with("note:") {
            self.last = Some(match self.last.take() {
                Some(before) if before.contains("panicked at") => format!("{before} {text}"),
                _ => text,
            });
        }
    }
}

/// Escaped and cut, so that it stays one harmless line.
fn shown(text: &[u8]) -> String {
    crate::shown::shown(&String::from_utf8_lossy(text), LINE_BYTES_MAX)
}

/// Standard output and error of a guest.
#[derive(Debug, Clone)]
pub(super) struct Output(pub(super) LogBudget);

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).push(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(self.0.0.lock().unwrap_or_else(PoisonError::into_inner).max)
    }
}
