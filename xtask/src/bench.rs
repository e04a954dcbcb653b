//! `cargo xtask bench [ROUNDS [MIB [large|small|call|curl]]]`: Wharf beside a native client that makes the same requests.

use anyhow::Result;

use crate::run::{run, target};
use crate::{build, tools};

pub(crate) fn bench(rest: &[String]) -> Result<()> {
    tools::wasm_target()?;
    build::connectors(build::With::Optimisation)?;
    run(std::process::Command::new(target().join("release/bench")).args(rest))
}
