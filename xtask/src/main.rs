//! The project's own commands: `cargo xtask demo`, `test`, `bench`, `fuzz`, `connectors`, `wkg`.
//!
//! Each installs or builds what it needs and says so; none needs anything but this repository, a
//! Rust toolchain and the package registries.

mod bench;
mod build;
mod demo;
mod emulators;
mod foreign;
mod fuzz;
mod run;
mod test;
mod tools;

use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
cargo xtask COMMAND

  demo         copy a real tree to both emulated services and back, and show what went over the wire
  test         format, lints, and every test: what a change must pass
  bench        compare with a native client, as `bench rclone` with rclone, as `bench neighbour` with hostile
               components beside it; figures are ratios from one run
  connectors   build and pack the connectors into target/connectors
  wkg          build wkg, and hold it against registries and `connector publish` (minutes; not in `test`)
  fuzz         try every parser of outside text with inputs that coverage finds: `fuzz [TARGET] [--minutes N]`, one
               minute each unless it says so; what is found stays in target/fuzz (`test` has a short run of all; this wants a C++ compiler)
";

fn main() -> ExitCode {
    if std::env::var_os(fuzz::WRAPPER).is_some() {
        // The compiler has said what is wrong.
        return fuzz::compile(std::env::args_os().skip(1)).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next();
    let rest: Vec<String> = arguments.collect();
    match dispatch(command.as_deref(), &rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            run::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Option<&str>, rest: &[String]) -> Result<()> {
    match command {
        Some("demo") => demo::demo(),
        Some("test") => test::test(rest),
        Some("bench") => bench::bench(rest),
        Some("wkg") => {
            build::connectors(build::With::Tests)?;
            foreign::wkg()
        }
        Some("fuzz") => fuzz::fuzz(rest),
        Some("connectors") => {
            tools::wasm_target()?;
            build::connectors(build::With::Nothing).map(drop)
        }
        None | Some("help" | "-h" | "--help") => {
            run::say(HELP);
            Ok(())
        }
        Some(other) => bail!("there is no command `{other}`\n{HELP}"),
    }
}
