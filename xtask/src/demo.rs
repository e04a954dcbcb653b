//! `cargo xtask demo`: the main job, as an operator does it, against both emulated services.
//!
//! Every step is a command of `wharf` that is shown before it runs. It ends with an error if one byte
//! differs.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::build::{self, Programs, With};
use crate::emulators::Emulators;
use crate::run::{output, root, say, target};
use crate::tools;

/// Bytes of the generated file: enough for many parts.
const LARGE_BYTES: u64 = 200 * 1024 * 1024;
/// The client that the emulators know from the start; each token of theirs is bound to it.
const CLIENTS: &[(&str, &str, &str)] = &[
    ("onedrive", cloud_names::ONEDRIVE.0, cloud_names::ONEDRIVE.1),
    ("dropbox", cloud_names::DROPBOX.0, cloud_names::DROPBOX.1),
];

/// What the emulators call their clients.
mod cloud_names {
    pub(super) const ONEDRIVE: (&str, &str) = ("4f1c7a0e-2b7d-4c55-9a43-6f0c2f2d7e11", "onedrive~secret");
    pub(super) const DROPBOX: (&str, &str) = ("w4harfdropboxkey", "dropbox-secret");
}

pub(crate) fn demo() -> Result<()> {
    tools::wasm_target()?;
    let programs = build::connectors(With::Nothing)?;
    let folder = target().join("demo");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot clear {}", folder.display()))?;
    }
    let emulators = Emulators::start(&programs.cloud, &folder.join("cloud"), &[])?;
    let wharf = Wharf { programs, home: folder.join("home"), global: emulators.arguments() };
    publish(&wharf, &folder)?;
    step("A tree to back up: this repository's sources and a generated file of 200 MiB");
    let sources = folder.join("sources");
    let files = copy_sources(&root(), &sources)?;
    generate(&sources.join("generated.bin"), LARGE_BYTES)?;
    say(&format!("{} files in {}", files.saturating_add(1), sources.display()));
    for (service, client, secret) in CLIENTS {
        let secret_file = folder.join(format!("{service}.secret"));
        fs::write(&secret_file, secret)?;
        journey(&wharf, service, &emulators.token(service)?, client, &secret_file, &folder, &sources)?;
    }
    say("\nEvery byte came back, and the second copy sent none.");
    Ok(())
}

/// The `wharf` command with its own home and the emulators in place of the services.
struct Wharf {
    programs: Programs,
    home: PathBuf,
    global: Vec<String>,
}

impl Wharf {
    fn command(&self, arguments: &[&str]) -> Command {
        say(&format!("\n$ wharf {}", arguments.join(" ")));
        let mut command = Command::new(&self.programs.wharf);
        command.arg("--home").arg(&self.home).args(&self.global).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Result<()> {
        let status = self.command(arguments).status().context("cannot run wharf")?;
        ensure!(status.success(), "`wharf {}` ended with {status}", arguments.join(" "));
        Ok(())
    }

    /// One JSON value per line.
    fn json(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        let mut with_json = vec!["--json"];
        with_json.extend(arguments);
        let text = output(&mut self.command(&with_json))?;
        text.lines()
            .map(|line| serde_json::from_str(line).with_context(|| format!("not JSON: {line}")))
            .collect()
    }
}

/// What the vendor of the connectors does, and what the operator does once: a key, a signature beside each
/// connector in `FOLDER/shelf`, and the word that this key may sign them.
fn publish(wharf: &Wharf, folder: &Path) -> Result<()> {
    let (shelf, vendor) = (folder.join("shelf"), folder.join("vendor"));
    fs::create_dir_all(&shelf).with_context(|| format!("cannot make {}", shelf.display()))?;
    step("The vendor makes a key and signs the connectors");
    wharf.run(&["connector", "keygen", "--output", text(&vendor)?])?;
    for (service, ..) in CLIENTS {
        let name = format!("{service}.wasm");
        let (built, copy) = (target().join("connectors").join(&name), shelf.join(&name));
        fs::copy(&built, &copy).with_context(|| format!("cannot copy {}", built.display()))?;
        wharf.run(&["connector", "sign", text(&copy)?, "--key", text(&vendor.with_extension("key"))?])?;
    }
    step("The operator trusts that key for connectors of `dev.wharf`, and no others");
    let public = vendor.with_extension("pub");
    wharf.run(&["trust", "add", "wharf", "--key", text(&public)?, "--id-prefix", "dev.wharf"])
}

fn journey(
    wharf: &Wharf,
    service: &str,
    token: &Path,
    client: &str,
    secret: &Path,
    folder: &Path,
    sources: &Path,
) -> Result<()> {
    let connector = folder.join("shelf").join(format!("{service}.wasm"));
    let (connector, token, secret) = (text(&connector)?, text(token)?, text(secret)?);
    let place = format!("archive-{service}");
    let tree = format!("{place}:tree");
    let back = folder.join(format!("back-{service}"));
    step(&format!("{service}: install the connector and see what it asks for"));
    wharf.run(&["connector", "install", connector, "--yes"])?;
    wharf.run(&["connector", "show", service])?;
    wharf.run(&["connector", "verify", service])?;
    step(&format!(
        "{service}: an account, and a destination with everything granted that the connector asks for"
    ));
    wharf.run(&[
        "account",
        "add",
        service,
        "--type",
        service,
        "--token-file",
        token,
        "--client-id",
        client,
        "--client-secret-file",
        secret,
    ])?;
    wharf.run(&[
        "destination",
        "create",
        &place,
        "--type",
        service,
        "--account",
        service,
        "--backup-directory",
        "/backups/demo",
        "--grant-all",
        "--yes",
    ])?;
    step(&format!("{service}: copy the tree up, list it, bring it back"));
    let started = Instant::now();
    wharf.run(&["copy", text(sources)?, &tree])?;
    say(&format!("took {:.1} s", started.elapsed().as_secs_f64()));
    wharf.run(&["ls", "--long", &tree])?;
    wharf.run(&["copy", &tree, text(&back)?])?;
    compare(sources, &back)?;
    step(&format!("{service}: copy again: nothing is to be sent"));
    let summary = wharf.json(&["copy", text(sources)?, &tree])?;
    let last = summary.last().context("copy printed nothing")?;
    let sent = last.get("bytes_copied").and_then(Value::as_u64);
    ensure!(sent == Some(0), "the second copy sent {sent:?} bytes: {last}");
    say("0 bytes");
    step(&format!("{service}: what went over the wire, from the audit"));
    wharf.run(&["audit", &place, "--summary"])
}

fn step(title: &str) {
    say(&format!("\n== {title}"));
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}

/// The files that git tracks, or would: a real tree with real names.
fn copy_sources(from: &Path, to: &Path) -> Result<usize> {
    let listed = output(
        Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(from),
    )?;
    let mut count = 0_usize;
    for name in listed.split('\0').filter(|name| !name.is_empty()) {
        let source = from.join(name);
        if !source.is_file() {
            continue;
        }
        let copy = to.join(name);
        fs::create_dir_all(copy.parent().unwrap_or(to))?;
        fs::copy(&source, &copy).with_context(|| format!("cannot copy {name}"))?;
        count = count.saturating_add(1);
    }
    Ok(count)
}

/// Bytes that repeat nowhere, written piece by piece.
fn generate(path: &Path, bytes: u64) -> Result<()> {
    let mut file = std::io::BufWriter::new(fs::File::create(path)?);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..bytes / 8 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        file.write_all(&state.to_le_bytes())?;
    }
    Ok(file.flush()?)
}

/// Are two trees the same, byte for byte?
fn compare(one: &Path, other: &Path) -> Result<()> {
    let (mut left, mut right) = (names(one, one)?, names(other, other)?);
    left.sort();
    right.sort();
    if left != right {
        let missing: Vec<_> = left.iter().filter(|name| !right.contains(name)).take(5).collect();
        let extra: Vec<_> = right.iter().filter(|name| !left.contains(name)).take(5).collect();
        bail!("the trees differ: missing {missing:?}, too many {extra:?}");
    }
    for name in &left {
        ensure!(same(&one.join(name), &other.join(name))?, "{} came back different", name.display());
    }
    say(&format!("{} files came back, every byte the same", left.len()));
    Ok(())
}

fn names(root: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(names(root, &path)?);
        } else {
            found.push(path.strip_prefix(root)?.to_owned());
        }
    }
    Ok(found)
}

fn same(one: &Path, other: &Path) -> Result<bool> {
    let (mut left, mut right) = (fs::File::open(one)?, fs::File::open(other)?);
    let (mut a, mut b) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let read = left.read(&mut a)?;
        let (Some(chunk), Some(room)) = (a.get(..read), b.get_mut(..read)) else { return Ok(false) };
        if read == 0 {
            return Ok(right.read(&mut b)? == 0);
        }
        if right.read_exact(room).is_err() || room != chunk {
            return Ok(false);
        }
    }
}
