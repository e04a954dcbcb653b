//! What went wrong, for people and for programs.
//!
//! A [`Failure`] is an error with the exit code it ends in and, where there is one, the remedy. People
//! read the message, its causes and the hint on lines of their own; with `--json` programs get one
//! object. Nothing here decides what an error means: the runtime's errors say that themselves.

use std::error::Error as StdError;
use std::fmt::Display;
use std::io;
use std::path::Path;

use anyhow::anyhow;
use serde::Serialize;
use wharf_runtime::hint::Hint;
use wharf_runtime::{
    account, attached, audit, catalog, destination, exam, home, host, oci, recovery, registry, rotation,
    sandbox, state, survey, transfer, trust, validate, vault,
};

use crate::exit::Exit;
use crate::output::{self, Output, Tone, harmless_lines};

/// Why a command ended without what was asked of it.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    error: Option<anyhow::Error>,
    hint: Option<String>,
}

impl Failure {
    /// An error of the command's own.
    pub(crate) fn new(exit: Exit, message: impl Display) -> Self {
        Self { exit, error: Some(anyhow!("{message}")), hint: None }
    }

    /// Something that was reported already; only the exit code is left to say.
    pub(crate) const fn reported(exit: Exit) -> Self {
        Self { exit, error: None, hint: None }
    }

    /// A file of this machine that could not be used.
    pub(crate) fn local(doing: &str, path: &Path, problem: io::Error) -> Self {
        let message = format!("cannot {doing} `{}`", path.display());
        Self { exit: Exit::Local, error: Some(anyhow::Error::new(problem).context(message)), hint: None }
    }

    /// An error that is somebody else's to keep: its words are taken over.
    pub(crate) fn of(exit: Exit, error: &(dyn StdError + 'static), hint: Option<String>) -> Self {
        let messages: Vec<String> = anyhow::Chain::new(error).map(ToString::to_string).collect();
        let mut messages = messages.into_iter().rev();
        let innermost = anyhow!("{}", messages.next().unwrap_or_default());
        let error = messages.fold(innermost, |error, message| error.context(message));
        Self { exit, error: Some(error), hint }
    }

    /// With a remedy, in place of the error's own.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With what was being done in front.
    pub(crate) fn with_context(mut self, context: impl Display) -> Self {
        self.error = self.error.map(|error| error.context(context.to_string()));
        self
    }

    /// The code that it ends in.
    pub(crate) const fn exit(&self) -> Exit {
        self.exit
    }

    /// Tell the operator.
    pub(crate) fn print(&self, output: &Output) {
        let Some(report) = self.report() else { return };
        if output.is_json() {
            // Text and numbers always become JSON.
            output.message(serde_json::to_string(&report).unwrap_or_default());
        } else {
            output.message(report.text(|tone, text| output.paint_err(tone, text)));
        }
    }

    /// The error as one line, for a list of many.
    pub(crate) fn line(&self) -> String {
        let Some(report) = self.report() else { return String::new() };
        let mut line = report.error;
        for cause in report.causes {
            line.push_str(": ");
            line.push_str(&cause);
        }
        line.replace('\n', " ")
    }

    fn report(&self) -> Option<Report> {
        let error = self.error.as_ref()?;
        let mut messages: Vec<String> = Vec::new();
        for message in error.chain().map(|error| harmless_lines(&error.to_string())) {
            // An error often repeats its cause, and a transparent one is nothing but it.
            let is_told = messages.last().is_some_and(|last| last.ends_with(&message));
            if !is_told {
                messages.push(message);
            }
        }
        let mut messages = messages.into_iter();
        Some(Report {
            error: messages.next()?,
            causes: messages.collect(),
            hint: self.hint.as_deref().map(harmless_lines),
            kind: self.exit.word(),
            exit_code: self.exit.code(),
        })
    }
}

/// An error as it is shown.
#[derive(Debug, Serialize)]
struct Report {
    error: String,
    causes: Vec<String>,
    hint: Option<String>,
    kind: &'static str,
    exit_code: u8,
}

impl Report {
    fn text(&self, paint: impl Fn(Tone, &str) -> String) -> String {
        let mut text = format!("{}: {}", paint(Tone::Error, "error"), self.error);
        for cause in &self.causes {
            text.push_str(&format!("\n  {}: {cause}", paint(Tone::Strong, "caused by")));
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!("\n{}: {hint}", paint(Tone::Hint, "hint")));
        }
        text
    }
}

/// The runtime's errors: they know their exit code and their remedy.
macro_rules! known {
    ($($error:ty => $exit:expr;)*) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                let exit: fn(&$error) -> Exit = $exit;
                Self { exit: exit(&error), hint: error.hint(), error: Some(anyhow::Error::new(error)) }
            }
        }
    )*};
}

known! {
    account::Error => |error| Exit::from(error);
    account::sign_in::Error => |error| Exit::from(error);
    attached::Error => |error| Exit::from(error.kind());
    audit::Error => |_| Exit::Home;
    catalog::Error => |_| Exit::Home;
    destination::Error => |error| Exit::from(error);
    home::Error => |_| Exit::Home;
    oci::Error => |error| Exit::from(error);
    host::Error => |error| Exit::from(error);
    recovery::Error => |error| Exit::from(error);
    registry::Error => |error| Exit::from(error);
    rotation::Error => |error| Exit::from(error);
    vault::Error => |error| Exit::from(error);
    state::Error => |_| Exit::Home;
    survey::Error => |error| Exit::from(error.kind());
    transfer::Error => |error| Exit::from(error.kind());
    trust::Error => |error| Exit::from(error);
    trust::sign::Error => |_| Exit::Usage;
}

impl From<exam::Error> for Failure {
    fn from(error: exam::Error) -> Self {
        match error {
            exam::Error::Host(error) => error.into(),
            exam::Error::Setup(_) => Self::new(Exit::Failed, error),
        }
    }
}

impl From<validate::Failure> for Failure {
    fn from(failure: validate::Failure) -> Self {
        match failure {
            validate::Failure::Operation(error) => error.into(),
            validate::Failure::Account(error) => error.into(),
            validate::Failure::Mismatch(_) | validate::Failure::Wrong(_) => Self::new(Exit::Corrupt, failure),
        }
    }
}

impl From<sandbox::Error> for Failure {
    fn from(error: sandbox::Error) -> Self {
        host::Error::from(error).into()
    }
}

impl From<output::Error> for Failure {
    fn from(error: output::Error) -> Self {
        match error {
            // As `head` does: whoever asked has what they wanted.
            output::Error::Closed => Self::reported(Exit::Done),
            output::Error::Io(error) => Self {
                exit: Exit::Local,
                error: Some(anyhow::Error::new(error).context("cannot write to stdout")),
                hint: None,
            },
        }
    }
}

/// A usage error that clap found, as the object that `--json` promises.
pub(crate) fn usage_json(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    let message = first.strip_prefix("error: ").unwrap_or(first).trim().replace("\n  ", " ");
    let report = Report {
        error: harmless_lines(&message),
        causes: Vec::new(),
        hint: Some("run the same command with `--help`".to_owned()),
        kind: Exit::Usage.word(),
        exit_code: Exit::Usage.code(),
    };
    serde_json::to_string(&report).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_runtime::home::Name;

    fn text(failure: &Failure) -> String {
        failure.report().unwrap().text(|_, text| text.to_owned())
    }

    #[test]
    fn a_message_its_causes_and_a_remedy() {
        let failure = Failure::local(
            "read",
            Path::new("/srv/token.json"),
            io::Error::new(io::ErrorKind::NotFound, "no such file"),
        )
        .with_hint("name another file");
        insta::assert_snapshot!(text(&failure), @"
        error: cannot read `/srv/token.json`
          caused by: no such file
        hint: name another file
        ");
        insta::assert_snapshot!(serde_json::to_string(&failure.report().unwrap()).unwrap(), @r#"{"error":"cannot read `/srv/token.json`","causes":["no such file"],"hint":"name another file","kind":"local","exit_code":12}"#);
        assert_eq!(failure.line(), "cannot read `/srv/token.json`: no such file");
    }

    #[test]
    fn the_runtime_s_errors_bring_their_hint_and_code() {
        let failure = Failure::from(destination::Error::NotFound(Name::parse("archive").unwrap()));
        insta::assert_snapshot!(text(&failure), @"
        error: there is no destination `archive`
        hint: run `wharf destination list` to see which there are
        ");
        assert_eq!(failure.exit(), Exit::NotFound);
    }

    #[test]
    fn a_cause_is_not_said_twice() {
        let failure = Failure::new(Exit::Failed, "x: y").with_context("cannot do z: x: y");
        assert_eq!(text(&failure), "error: cannot do z: x: y");
    }

    #[test]
    fn what_a_service_says_cannot_repaint_the_terminal() {
        let failure = Failure::new(Exit::Failed, "bad \u{1b}[2Jname");
        assert_eq!(text(&failure), "error: bad \\u{1b}[2Jname");
    }

    #[test]
    fn nobody_listening_is_no_failure() {
        let failure = Failure::from(output::Error::from(io::Error::from(io::ErrorKind::BrokenPipe)));
        assert_eq!(failure.exit(), Exit::Done);
        assert!(failure.report().is_none());
    }
}
