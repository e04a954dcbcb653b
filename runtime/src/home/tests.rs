use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    process::{Child, Command},
    time::SystemTime,
};

use super::*;

/// A home of its own, gone when the test ends.
pub(crate) fn scratch() -> (tempfile::TempDir, Home) {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::open(&folder.path().join("home")).unwrap();
    (folder, home)
}

/// A second process, running one test of this binary as the program `role` on `home`.
pub(crate) fn child(test: &str, role: &str, home: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env(HOME, home)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap()
}

/// In such a process: the home, if this is the role; none in the test itself.
pub(crate) fn in_role(role: &str) -> Option<Home> {
    let ours = std::env::var_os(ROLE).is_some_and(|ours| ours == role);
    let path = std::env::var_os(HOME).filter(|_| ours)?;
    Some(Home::open_existing(Path::new(&path)).unwrap())
}

const ROLE: &str = "WHARF_TEST_ROLE";
const HOME: &str = "WHARF_TEST_HOME";

/// Every file below a folder, with its bytes.
pub(crate) fn all_files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(all_files(&path));
        } else {
            files.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    files
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_home_is_its_owners_alone() {
    let (_folder, home) = scratch();
    assert_eq!(mode(home.path()), 0o700);
    for name in FOLDERS {
        assert_eq!(mode(&home.path().join(name)), 0o700, "{name}");
    }
    home.accounts().write("a.toml", b"x").unwrap();
    assert_eq!(mode(&home.path().join("accounts/a.toml")), 0o600);
    drop(home.accounts().open_in_place("a.pause").unwrap());
    assert_eq!(mode(&home.path().join("accounts/a.pause")), 0o600);
    Home::open(home.path()).unwrap();
    Home::open_existing(home.path()).unwrap();
}

#[test]
fn a_home_that_is_open_to_others_is_refused() {
    let (_folder, home) = scratch();
    home.root().write(KEY_FILE, &[0; 32]).unwrap();
    let check = |path: &Path, bad: u32, good: u32, remedy: &str| {
        set_mode(path, bad);
        for error in [Home::open(home.path()).unwrap_err(), Home::open_existing(home.path()).unwrap_err()] {
            assert_eq!(error.hint().unwrap(), format!("run `chmod {remedy} {}`", path.display()), "{error}");
        }
        set_mode(path, good);
        Home::open(home.path()).unwrap();
    };
    check(&home.path().join(KEY_FILE), 0o640, 0o600, "600");
    check(&home.path().join(KEY_FILE), 0o604, 0o400, "600");
    check(home.path(), 0o770, 0o700, "go-w");
    check(home.path(), 0o702, 0o755, "go-w");
}

#[test]
fn only_an_empty_folder_becomes_a_home() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Home::open_existing(&folder.path().join("no")), Err(Error::Missing(_))));
    assert!(matches!(Home::open_existing(folder.path()), Err(Error::Missing(_))));
    fs::write(folder.path().join("letter.txt"), "dear").unwrap();
    assert!(matches!(Home::open_existing(&folder.path().join("letter.txt")), Err(Error::Missing(_))));
    assert!(matches!(Home::open(folder.path()), Err(Error::Foreign { found, .. }) if found == "letter.txt"));
    fs::remove_file(folder.path().join("letter.txt")).unwrap();
    Home::open(folder.path()).unwrap();
}

#[test]
fn a_home_may_be_behind_a_link() {
    let (folder, home) = scratch();
    let link = folder.path().join("link");
    symlink(home.path(), &link).unwrap();
    let behind = Home::open(&link).unwrap();
    assert_eq!(behind.path(), home.path());
    assert_eq!(Home::open_existing(&link).unwrap().path(), home.path());
    crate::state::State::open(&behind).unwrap();
}

#[test]
fn a_write_leaves_the_old_or_the_new_whatever_happens() {
    let (_folder, home) = scratch();
    let folder = home.root();
    folder.write("file", b"old").unwrap();
    crash::at_every_step(
        || folder.write("file", b"new and longer"),
        |steps, done| {
            let found = folder.read("file", 100).unwrap().unwrap();
            assert!(found == b"old" || found == b"new and longer", "after {steps} steps: {found:?}");
            if done.is_some() {
                assert_eq!(found, b"new and longer");
            }
            assert_eq!(folder.names().unwrap().iter().filter(|name| *name == "file").count(), 1);
        },
    );
}

#[test]
fn a_creation_leaves_nothing_or_everything() {
    let (_folder, home) = scratch();
    let folder = home.root();
    crash::at_every_step(
        || folder.create("file", b"whole"),
        |steps, done| {
            let found = folder.read("file", 100).unwrap();
            assert!(found.is_none() || found.as_deref() == Some(b"whole"), "after {steps} steps");
            if done == Some(Created::Yes) {
                assert_eq!(found.as_deref(), Some(b"whole".as_slice()));
            }
            folder.remove("file").unwrap();
        },
    );
    folder.write("file", b"first").unwrap();
    assert_eq!(folder.create("file", b"second").unwrap(), Created::Existed);
    assert_eq!(folder.read("file", 100).unwrap().unwrap(), b"first");
}

#[test]
fn what_a_killed_process_left_is_swept_away_once_it_is_old() {
    let (_folder, home) = scratch();
    let leftover = home.path().join("accounts/.tmp-1-0-0");
    fs::write(&leftover, "half").unwrap();
    Home::open(home.path()).unwrap();
    assert!(leftover.exists(), "it may be somebody's still");
    assert!(home.accounts().names().unwrap().is_empty());
    let old = SystemTime::now() - Duration::from_hours(2);
    fs::File::options().write(true).open(&leftover).unwrap().set_modified(old).unwrap();
    Home::open(home.path()).unwrap();
    assert!(!leftover.exists());
}

#[test]
fn only_regular_files_of_a_bounded_size_are_read() {
    let (folder, home) = scratch();
    home.root().write("state.db", b"12345").unwrap();
    assert_eq!(home.root().read("state.db", 5).unwrap().unwrap(), b"12345");
    assert!(matches!(home.root().read("state.db", 4), Err(Error::TooLarge { bytes_max: 4, .. })));
    assert!(home.root().read("nothing", 4).unwrap().is_none());
    let outside = folder.path().join("outside");
    fs::write(&outside, "secret").unwrap();
    symlink(&outside, home.path().join("accounts/a.toml")).unwrap();
    home.accounts().read("a.toml", 100).unwrap_err();
    symlink("state.db", home.path().join("link")).unwrap();
    home.root().read("link", 100).unwrap_err();
    home.root().open_in_place("link").unwrap_err();
    home.root().open_to_append("link").unwrap_err();
    let pipe = home.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    home.root().read("pipe", 100).unwrap_err();
    home.root().read("accounts", 100).unwrap_err();
    home.root().read("../outside", 100).unwrap_err();
    // A link in the place of a file that is written is replaced, not followed.
    home.accounts().write("a.toml", b"ours").unwrap();
    assert_eq!(fs::read(&outside).unwrap(), b"secret");
}

#[test]
fn a_lock_is_held_by_one_and_says_by_whom() {
    let (_folder, home) = scratch();
    let other = Home::open_existing(home.path()).unwrap();
    let subject = Subject::Account(Name::parse("work").unwrap());
    let lock = home.lock(&subject, Duration::ZERO).unwrap();
    assert!(other.try_lock(&subject).unwrap().is_none());
    assert!(other.try_lock(&Subject::Registry).unwrap().is_some());
    let error = other.lock(&subject, Duration::from_millis(20)).unwrap_err();
    let holder = std::process::id();
    assert_eq!(error.to_string(), format!("waited 0 s for account `work`, which process {holder} holds"));
    drop(lock);
    drop(other.try_lock(&subject).unwrap().unwrap());
    home.lock(&subject, Duration::ZERO).map(drop).unwrap();
}

#[test]
fn a_lock_ends_with_its_process() {
    let subject = Subject::Registry;
    if let Some(home) = in_role("holder") {
        let _lock = home.lock(&subject, Duration::ZERO).unwrap();
        home.root().write("state.db-held", b"").unwrap();
        std::thread::sleep(Duration::from_mins(1));
        return;
    }
    let (_folder, home) = scratch();
    let mut holder = child("home::tests::a_lock_ends_with_its_process", "holder", home.path());
    while !home.root().has("state.db-held") {
        std::thread::sleep(Duration::from_millis(5));
    }
    let error = home.lock(&subject, Duration::ZERO).unwrap_err().to_string();
    assert!(error.ends_with(&format!("which process {} holds", holder.id())), "{error}");
    holder.kill().unwrap();
    holder.wait().unwrap();
    home.lock(&subject, Duration::from_secs(5)).map(drop).unwrap();
}

#[test]
fn a_process_killed_at_any_moment_leaves_whole_files() {
    let contents = |number: u32| number.to_string().repeat(20_000).into_bytes();
    if let Some(home) = in_role("writer") {
        for number in 0.. {
            home.accounts().write("file", &contents(number)).unwrap();
        }
    }
    let (_folder, home) = scratch();
    for round in 0..8_u64 {
        let mut writer =
            child("home::tests::a_process_killed_at_any_moment_leaves_whole_files", "writer", home.path());
        while !home.accounts().has("file") {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(1_700 * round));
        writer.kill().unwrap();
        writer.wait().unwrap();
        let found = home.accounts().read("file", 10_000_000).unwrap().unwrap();
        let length = found.len() / 20_000;
        let number = std::str::from_utf8(&found[..length]).unwrap().parse().unwrap();
        assert_eq!(found, contents(number));
        home.accounts().remove("file").unwrap();
    }
}
