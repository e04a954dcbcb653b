//! `cargo xtask test`: everything that a change must pass. Extra arguments go to the test runner.

use anyhow::Result;

use crate::run::{cargo, run};
use crate::{build, foreign, tools};

pub(crate) fn test(rest: &[String]) -> Result<()> {
    tools::wasm_target()?;
    tools::nextest()?;
    if rest.is_empty() {
        tools::component("rustfmt", "fmt")?;
        tools::component("clippy", "clippy")?;
        run(cargo().args(["fmt", "--all", "--check"]))?;
        run(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    }
    build::connectors(build::With::Tests)?;
    build::hostile()?;
    foreign::clients()?;
    run(cargo().args(["nextest", "run", "--workspace"]).args(rest))
}
