//! `cargo xtask bench`: Wharf beside a native client that makes the same requests.

use anyhow::Result;

use crate::run::{cargo, run};
use crate::{build, tools};

pub(crate) fn bench(rest: &[String]) -> Result<()> {
    tools::wasm_target()?;
    build::connectors()?;
    run(cargo().args(["build", "--release", "--workspace", "--bins"]))?;
    run(cargo().args(["run", "--release", "--quiet", "-p", "wharf-tests", "--bin", "bench", "--"]).args(rest))
}
