//! `cargo xtask bench [ROUNDS [MIB [large|small|call|curl]]]`: Wharf beside a native client that makes
//! the same requests. `cargo xtask bench rclone [ROUNDS [small|throttled|list|large]]`: beside rclone.
//! `cargo xtask bench neighbour`: an operation beside eight hostile components.

use anyhow::Result;

use crate::run::{run, target};
use crate::{build, foreign, tools};

pub(crate) fn bench(rest: &[String]) -> Result<()> {
    tools::wasm_target()?;
    build::connectors(build::With::Optimisation)?;
    let (program, rest) = match rest.split_first() {
        Some((first, rest)) if first == "rclone" => {
            foreign::clients()?;
            ("release/rival", rest)
        }
        Some((first, rest)) if first == "neighbour" => {
            build::hostile()?;
            ("release/neighbour", rest)
        }
        Some(_) | None => ("release/bench", rest),
    };
    run(std::process::Command::new(target().join(program)).args(rest))
}
