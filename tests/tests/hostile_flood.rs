//! What a guest writes cannot fill a log, repaint a terminal or forge a line. In a file of its own,
//! since a process has one log.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::io::Write;
use std::sync::{Arc, Mutex};

use wharf_runtime::sandbox::limits::{LOG_BYTES_MAX, Limits};
use wharf_tests::{Rig, Service, path};

#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Lines of a log that one operation may write: as many as its budget has room for ten bytes each.
const LINES_MAX: usize = LOG_BYTES_MAX / 10;

#[tokio::test(flavor = "multi_thread")]
async fn a_log_stays_small_and_harmless() {
    let kept = Kept::default();
    let writer = kept.clone();
    let log = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
    let filter = tracing_subscriber::EnvFilter::new("connector=debug");
    log.with_env_filter(filter).init();
    let rig = Rig::new().await;
    let attached = rig.hostile("flood", Service::Dropbox).await;
    let mut wrong = Vec::new();
    for what in ["lines", "long", "output", "empty"] {
        kept.0.lock().unwrap().clear();
        attached.stat(&path(what)).await.unwrap();
        let text = String::from_utf8(std::mem::take(&mut *kept.0.lock().unwrap())).unwrap();
        let lines = text.lines().count();
        if lines > LINES_MAX || text.len() > 8 * LOG_BYTES_MAX {
            wrong.push(format!("{what}: {lines} lines, {} bytes", text.len()));
        }
        if text.chars().any(|character| character != '\n' && character.is_control()) {
            wrong.push(format!("{what}: a control character"));
        }
        if text.contains('\u{202e}') {
            wrong.push(format!("{what}: a character that turns the text around"));
        }
        if text.lines().any(|line| !line.contains("connector")) {
            wrong.push(format!("{what}: a line that does not say who wrote it"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    rig.assert_harmless(&attached).await;
    // As much as an operator says, and not what is usual.
    let little = Limits { log_bytes: 1024, ..Limits::default() };
    let rig = Rig::with(cloud::Options::default(), little).await;
    let attached = rig.hostile("flood", Service::Dropbox).await;
    kept.0.lock().unwrap().clear();
    attached.stat(&path("lines")).await.unwrap();
    let bytes = kept.0.lock().unwrap().len();
    assert!(bytes > 0 && bytes <= 8 * 1024, "{bytes} bytes");
}
