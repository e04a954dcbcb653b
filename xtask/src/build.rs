//! What is built, and where it ends up: connectors and hostile components for WASI, the command and
//! the emulators for this machine.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::run::{cargo, run, target};

/// The connectors, by package and type.
pub(crate) const CONNECTORS: &[&str] = &["onedrive", "dropbox", "local"];
/// Jobs at a time: linking wasmtime takes more than a gigabyte.
const JOBS: &str = "2";

/// Build the command and the emulators.
///
/// As part of the whole workspace, like everything else that is built for this machine: which
/// features a dependency has depends on who else is built, and a second set of features is a second
/// build of wasmtime.
pub(crate) fn programs(with: With) -> Result<Programs> {
    let mut build = cargo();
    build.args(["build", "--jobs", JOBS, "--workspace", "--bins"]);
    let folder = match with {
        With::Nothing => "debug",
        With::Tests => {
            build.arg("--tests");
            "debug"
        }
        With::Optimisation => {
            build.arg("--release");
            "release"
        }
    };
    run(&mut build)?;
    let folder = target().join(folder);
    Ok(Programs { wharf: folder.join("wharf"), cloud: folder.join("cloud") })
}

/// How the programs are built. The tests have dependencies of their own, so a command that needs both
/// builds them in one go, with one set of features.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum With {
    Nothing,
    Tests,
    Optimisation,
}

/// What [`programs`] built.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    pub(crate) wharf: PathBuf,
    pub(crate) cloud: PathBuf,
}

/// Build the connectors and pack each with its manifest: `target/connectors/TYPE.wasm`.
pub(crate) fn connectors(with: With) -> Result<Programs> {
    let mut build = cargo();
    build.args(["build", "--jobs", JOBS, "--profile", "connector", "--target", "wasm32-wasip2"]);
    for name in CONNECTORS {
        build.args(["-p", &format!("connector-{name}")]);
    }
    run(&mut build)?;
    let built = target().join("wasm32-wasip2/connector");
    let packed = target().join("connectors");
    fs::create_dir_all(&packed).with_context(|| format!("cannot make {}", packed.display()))?;
    let programs = programs(with)?;
    for name in CONNECTORS {
        let mut command = std::process::Command::new(&programs.wharf);
        command.args(["connector", "pack"]).arg(built.join(format!("connector_{name}.wasm")));
        command.arg("--manifest").arg(crate::run::root().join("connectors").join(name).join("manifest.json"));
        command.arg("--output").arg(packed.join(format!("{name}.wasm")));
        run(&mut command)?;
    }
    Ok(programs)
}

/// Build the components that break the rules: `target/wasm32-wasip2/connector/examples/*.wasm`.
pub(crate) fn hostile() -> Result<()> {
    let mut build = cargo();
    build.args(["build", "--jobs", JOBS, "--profile", "connector", "--target", "wasm32-wasip2"]);
    run(build.args(["-p", "hostile", "--examples"]))
}
