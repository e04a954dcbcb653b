//! `wharf`: the operator's side of the runtime.
//!
//! This file only chooses an exit code. The command line is understood in `args`, acted upon in
//! `command`, and everything that is printed goes through `output`; what may be done, and how, is the
//! runtime's business.

mod args;
mod ask;
mod command;
mod exit;
mod file;
mod filter;
mod format;
mod location;
mod log;
mod output;
mod progress;
mod report;
mod screen;
mod sentence;
mod table;

use std::process::ExitCode;

use clap::Parser as _;

use args::Arguments;
use exit::Exit;
use output::Output;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return misunderstood(&error).into(),
    };
    let global = &arguments.global;
    let output = Output::new(global.json, global.quiet, global.verbose, global.color, args::is_plain());
    log::start(global.log.as_deref(), global.log_format, global.verbose);
    let ran = command::run(&arguments, &output);
    let ran = ran.and_then(|()| Ok(output.flush()?));
    match ran {
        Ok(()) => Exit::Done.into(),
        Err(failure) => {
            // What was printed before it comes before it; a second complaint would help nobody.
            let _ = output.flush();
            failure.print(&output);
            failure.exit().into()
        }
    }
}

/// Help and the version are no errors; anything else is the operator's to mend.
fn misunderstood(error: &clap::Error) -> Exit {
    if error.use_stderr() && args::is_json_asked_for() {
        Output::new(true, false, 0, args::ColorChoice::Never, true).message(report::usage_json(error));
        return Exit::Usage;
    }
    // A reader who has gone wants no more of it.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage } else { Exit::Done }
}
