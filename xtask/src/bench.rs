//! `cargo xtask bench [ROUNDS [MIB [large|small|request|call|curl]]]`: Wharf beside a native client that makes
//! the same requests. `cargo xtask bench rclone [ROUNDS [small|throttled|list|large]]`: beside rclone.
//! `cargo xtask bench neighbour`: an operation beside eight hostile components.

use anyhow::{Result, bail};

use crate::run::{run, target};
use crate::{build, foreign, tools};

const USAGE: &str = "usage: cargo xtask bench [ROUNDS [MIB [large|small|request|call|curl]]]
       cargo xtask bench rclone [ROUNDS [small|throttled|list|large]]
       cargo xtask bench neighbour";

pub(crate) fn bench(rest: &[String]) -> Result<()> {
    let words: Vec<&str> = rest.iter().map(String::as_str).collect();
    let (program, arguments) = match words.as_slice() {
        ["neighbour"] => ("neighbour", &[][..]),
        ["rclone", arguments @ ..] => {
            ("rival", understood(arguments, 1, &["small", "throttled", "list", "large"])?)
        }
        arguments => ("bench", understood(arguments, 2, &["large", "small", "request", "call", "curl"])?),
    };
    tools::wasm_target()?;
    build::connectors(build::With::Optimisation)?;
    match program {
        "rival" => foreign::clients()?,
        _ => build::hostile()?,
    }
    run(std::process::Command::new(target().join("release").join(program)).args(arguments))
}

/// At most so many numbers, and the name of one part.
fn understood<'a>(arguments: &'a [&'a str], numbers: usize, parts: &[&str]) -> Result<&'a [&'a str]> {
    let fits = |(place, text): (usize, &&str)| match place < numbers {
        true => text.parse::<u64>().is_ok_and(|number| number > 0),
        false => place == numbers && parts.contains(text),
    };
    if arguments.iter().enumerate().all(fits) {
        return Ok(arguments);
    }
    bail!("{USAGE}")
}
