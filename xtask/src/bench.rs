//! `cargo xtask bench [ROUNDS [MIB]]`: Wharf beside a native client that makes the same requests.

use anyhow::Result;

use crate::run::{cargo, run, target};
use crate::{build, tools};

pub(crate) fn bench(rest: &[String]) -> Result<()> {
    tools::wasm_target()?;
    build::connectors()?;
    run(cargo().args(["build", "--release", "--workspace", "--bins"]))?;
    run(std::process::Command::new(target().join("release/bench")).args(rest))
}
