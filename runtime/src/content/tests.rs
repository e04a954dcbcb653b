//! Sources that stay, and sources that change under the reader.

use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use http_body::Body as _;
use http_body_util::BodyExt;

use super::*;
use crate::hash::Digests;

const ALGORITHMS: [Algorithm; 2] = [Algorithm::BlockSha256, Algorithm::QuickXor];
const READ: usize = 256 * 1024;

/// A file of `size` bytes in a folder of its own, and its bytes.
fn file(size: usize) -> (tempfile::TempDir, PathBuf, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("source");
    let bytes: Vec<u8> = (0..size).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect();
    std::fs::write(&path, &bytes).unwrap();
    (folder, path, bytes)
}

fn opened(path: &Path) -> Arc<Source> {
    Arc::new(Source::open(path).unwrap())
}

fn digests(bytes: &[u8]) -> Digests {
    let mut running = Running::new(&ALGORITHMS);
    running.update(bytes);
    running.finish()
}

/// Send all of a body to nobody: what was sent, and how it ended.
async fn drain(mut body: Body) -> (Vec<u8>, Result<(), Error>) {
    let mut sent = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => sent.extend_from_slice(&frame.into_data().unwrap()),
            Err(error) => return (sent, Err(error)),
        }
    }
    (sent, Ok(()))
}

#[test]
fn only_regular_files_are_sources() {
    let (folder, path, _) = file(10);
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert_eq!(Source::open(&link).unwrap().size(), 10);

    let pipe = folder.path().join("pipe");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    for other in [folder.path(), &pipe, Path::new("/dev/zero")] {
        assert!(matches!(Source::open(other), Err(Error::NotAFile(_))), "{other:?}");
    }
    assert!(matches!(Source::open(&folder.path().join("none")), Err(Error::Read { .. })));
}

#[test]
fn sections_lie_within_their_source() {
    let (_folder, path, bytes) = file(1000);
    let in_memory = Source::from_bytes(bytes.clone().into(), "memory".to_owned());
    for source in [opened(&path), Arc::new(in_memory)] {
        let check = |offset: u64, size: u64, fits: bool| {
            let section = Section::new(Arc::clone(&source), offset, size);
            assert_eq!(section.is_ok(), fits, "{offset} {size}");
        };
        check(0, 1000, true);
        check(1000, 0, true);
        check(1000, 1, false);
        check(1001, 0, false);
        check(u64::MAX, 2, false);

        let section = Section::new(Arc::clone(&source), 100, 300).unwrap();
        let check = |offset: u64, size: u32, expected: &[u8]| {
            assert_eq!(section.read(offset, size).unwrap(), expected, "{offset} {size}");
        };
        check(0, 10, &bytes[100..110]);
        check(290, 1000, &bytes[390..400]);
        check(300, 10, &[]);
        check(u64::MAX, u32::MAX, &[]);
        assert!(section.part(1, 300).is_err());
        assert_eq!(section.part(50, 100).unwrap().read(0, 1000).unwrap(), &bytes[150..250]);
        assert_eq!(section.digests(&ALGORITHMS).unwrap(), digests(&bytes[100..400]));
    }
}

#[tokio::test]
async fn a_body_is_the_section_and_its_hash() {
    for size in [0, 1, READ - 1, READ, READ + 1, 5 * READ, 5 * READ + 17] {
        let (_folder, path, bytes) = file(size);
        let in_memory = Source::from_bytes(bytes.clone().into(), "memory".to_owned());
        for source in [opened(&path), Arc::new(in_memory)] {
            let section = Section::whole(source);
            let (tap, receipt) = Tap::hashing(Running::new(&ALGORITHMS));
            let told = Arc::new(Mutex::new(Vec::new()));
            let listener = Arc::clone(&told);
            let body =
                section.body(tap.with_progress(Arc::new(move |bytes| listener.lock().unwrap().push(bytes))));
            assert_eq!(body.size_hint().exact(), Some(u64::try_from(size).unwrap()));
            assert_eq!(body.is_end_stream(), size == 0);
            let (sent, outcome) = drain(body).await;
            outcome.unwrap();
            assert!(sent == bytes, "{size}");
            assert_eq!(receipt.take().unwrap().finish(), digests(&bytes), "{size}");
            assert_eq!(told.lock().unwrap().iter().sum::<u64>(), section.size());
            assert_eq!(told.lock().unwrap().len(), size.div_ceil(READ));
        }
    }
}

#[tokio::test]
async fn an_attempt_that_is_given_up_leaves_no_trace() {
    let (_folder, path, bytes) = file(4 * READ);
    let source = opened(&path);
    let section = Section::new(Arc::clone(&source), 1000, 2_000_000.min(source.size() - 1000)).unwrap();
    let mut acknowledged = Running::new(&ALGORITHMS);
    acknowledged.update(&bytes[..1000]);

    let (tap, receipt) = Tap::hashing(acknowledged.clone());
    let mut body = section.body(tap);
    body.frame().await.unwrap().unwrap();
    drop(body);
    assert!(receipt.take().is_none());

    let (tap, receipt) = Tap::hashing(acknowledged.clone());
    drain(section.body(tap)).await.1.unwrap();
    assert_eq!(acknowledged.at(), 1000);
    assert_eq!(receipt.take().unwrap().finish(), digests(&bytes));
}

/// Change a file of several blocks after the first block was sent.
async fn change(doing: &str, change: impl FnOnce(&Path)) {
    let (_folder, path, bytes) = file(4 * READ);
    let source = opened(&path);
    source.changed().unwrap();
    let (tap, receipt) = Tap::hashing(Running::new(&ALGORITHMS));
    let mut body = Section::whole(Arc::clone(&source)).body(tap);
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, bytes[..READ]);
    change(&path);
    let (sent, outcome) = drain(body).await;
    assert!(matches!(outcome, Err(Error::Changed(_))), "{doing}: {outcome:?}");
    assert!(first.len() + sent.len() < bytes.len(), "{doing}: the last block was sent");
    assert!(receipt.take().is_none(), "{doing}");
    assert!(matches!(source.changed(), Err(Error::Changed(_))), "{doing}");
}

#[tokio::test]
async fn a_source_that_changes_is_never_sent_to_its_end() {
    let open = |path: &Path| std::fs::OpenOptions::new().write(true).open(path).unwrap();
    change("cut short", |path| open(path).set_len(10).unwrap()).await;
    change("emptied", |path| open(path).set_len(0).unwrap()).await;
    change("longer", |path| open(path).set_len(9 * READ_BYTES).unwrap()).await;
    change("written", |path| {
        open(path).write_all_at(b"other", 0).unwrap();
        open(path).set_modified(SystemTime::now() + Duration::from_millis(5)).unwrap();
    })
    .await;
    change("touched", |path| open(path).set_modified(SystemTime::UNIX_EPOCH).unwrap()).await;
    change("removed", |path| std::fs::remove_file(path).unwrap()).await;
    change("replaced", |path| {
        let twin = path.with_extension("twin");
        std::fs::copy(path, &twin).unwrap();
        std::fs::rename(&twin, path).unwrap();
    })
    .await;
    change("a folder now", |path| {
        std::fs::remove_file(path).unwrap();
        std::fs::create_dir(path).unwrap();
    })
    .await;
}

#[test]
fn hashing_a_changed_source_fails() {
    let (_folder, path, _) = file(READ);
    let section = Section::whole(opened(&path));
    section.digests(&ALGORITHMS).unwrap();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(100).unwrap();
    assert!(matches!(section.digests(&ALGORITHMS), Err(Error::Changed(_))));
    assert!(matches!(section.read(0, 1000), Err(Error::Changed(_))));
}
