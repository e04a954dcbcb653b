//! `cargo xtask fuzz`: every parser of outside text, under libFuzzer.
//!
//! Only what is in this repository is built for coverage: this very program stands before the compiler when
//! it compiles a member of the workspace, and adds the flags. All else, the WebAssembly engine above all,
//! is taken as it was built for the tests. Plain options of a stable compiler do; no other toolchain is
//! needed.

use std::ffi::OsString;
use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::run::{cargo, root, run, say, target};

/// Set where this program stands before the compiler.
pub(crate) const WRAPPER: &str = "WHARF_XTASK_COVERAGE";
/// What makes a crate tell libFuzzer where it went: counters of edges, a table of them, and what was compared
/// with what.
const COVERAGE: [&str; 6] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
];
/// Longest input, in bytes; see `fuzz::INPUT_BYTES_MAX`.
const INPUT_BYTES_MAX: u32 = 16 * 1024;
/// Time after which one input is a fault, in seconds.
const INPUT_SECONDS_MAX: u32 = 10;
/// Memory that one input may make a target use, in MiB.
const MEMORY_MIB_MAX: u32 = 1024;

/// One target, or each of them after the other.
pub(crate) fn fuzz(rest: &[String]) -> Result<()> {
    let (mut wanted, mut minutes) = (None, 1);
    let mut words = rest.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--minutes" => {
                let number = words.next().context("`--minutes` wants a number")?;
                minutes =
                    number.parse::<u64>().with_context(|| format!("`{number}` is no number of minutes"))?;
            }
            name => wanted = Some(name.to_owned()),
        }
    }
    let targets = match wanted {
        Some(name) if targets()?.contains(&name) => vec![name],
        Some(name) => bail!("there is no target `{name}`; there are {}", targets()?.join(", ")),
        None => targets()?,
    };
    run(cargo()
        .env("RUSTC_WORKSPACE_WRAPPER", std::env::current_exe().context("this program cannot be found")?)
        .env(WRAPPER, "1")
        .args(["build", "--workspace", "--bin", "guided", "--features", "fuzz/guided"]))?;
    let found: Vec<String> = targets.into_iter().filter(|name| one(name, minutes).is_err()).collect();
    if found.is_empty() { Ok(()) } else { bail!("faults in {}: see above", found.join(", ")) }
}

/// The targets: each has a folder of seeds.
fn targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root().join("fuzz/seeds")).context("there are no seeds")? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Let one target run. What it finds by coverage is kept for the next time; a fault is told with its input.
fn one(name: &str, minutes: u64) -> Result<()> {
    let room = target().join("fuzz").join(name);
    let corpus = room.join("corpus");
    fs::create_dir_all(&corpus).with_context(|| format!("cannot make {}", corpus.display()))?;
    if name == "manifest" {
        // Those of the connectors here are the best there are.
        for kind in crate::build::CONNECTORS {
            let manifest = root().join("connectors").join(kind).join("manifest.json");
            fs::copy(&manifest, corpus.join(kind))
                .with_context(|| format!("cannot copy {}", manifest.display()))?;
        }
    }
    let mut command = Command::new(target().join("debug/guided"));
    command.env("WHARF_FUZZ_TARGET", name).arg(&corpus).arg(root().join("fuzz/seeds").join(name));
    command.args([
        format!("-max_total_time={}", minutes.saturating_mul(60)),
        format!("-max_len={INPUT_BYTES_MAX}"),
        format!("-timeout={INPUT_SECONDS_MAX}"),
        format!("-rss_limit_mb={MEMORY_MIB_MAX}"),
        format!("-artifact_prefix={}/", room.display()),
        "-print_final_stats=1".to_owned(),
    ]);
    let ended = run(&mut command);
    if ended.is_err() {
        say(&format!(
            "the input is in {}; mend the fault, and keep the input in fuzz/seeds/{name}: the tests run it from then on",
            room.display()
        ));
    }
    ended
}

/// Be the compiler: called by cargo with its path and its arguments.
pub(crate) fn compile(mut arguments: impl Iterator<Item = OsString>) -> Result<()> {
    let compiler = arguments.next().context("cargo names no compiler")?;
    let mut command = Command::new(compiler);
    command.args(arguments).args(COVERAGE);
    let status = command.status().context("the compiler cannot be run")?;
    if status.success() { Ok(()) } else { bail!("the compiler ended with {status}") }
}
