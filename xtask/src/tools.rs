//! What has to be on the machine, and how it gets there.

use std::process::{Command, Stdio};

use anyhow::Result;

use crate::run::{cargo, output, run, say};

/// The target that connectors are built for.
const WASM_TARGET: &str = "wasm32-wasip2";

/// See that connectors can be built.
pub(crate) fn wasm_target() -> Result<()> {
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]).current_dir(crate::run::root()))?;
    let library = std::path::Path::new(sysroot.trim()).join("lib/rustlib").join(WASM_TARGET);
    if library.exists() {
        return Ok(());
    }
    say(&format!("installing the Rust target {WASM_TARGET}, which connectors are built for"));
    run(Command::new("rustup").args(["target", "add", WASM_TARGET]).current_dir(crate::run::root()))
}

/// See that tests can be run.
pub(crate) fn nextest() -> Result<()> {
    let found = cargo().args(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if found.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    say("installing cargo-nextest, which runs the tests");
    run(cargo().args(["install", "--locked", "cargo-nextest"]))
}

/// See that a component of the toolchain (`clippy`, `rustfmt`) is there.
pub(crate) fn component(name: &str, subcommand: &str) -> Result<()> {
    let found = cargo().args([subcommand, "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if found.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    say(&format!("installing {name}, a component of the Rust toolchain"));
    run(Command::new("rustup").args(["component", "add", name]).current_dir(crate::run::root()))
}
