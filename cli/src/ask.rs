//! Questions to the operator.

use std::fmt::Display;
use std::io::{self, IsTerminal as _};

use wharf_runtime::secret::Secret;

use crate::exit::Exit;
use crate::output::Output;
use crate::report::Failure;

/// What happens when there is nobody to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unattended {
    /// It is done: the command line said clearly enough what is wanted.
    Goes,
    /// It is refused: somebody has to agree, on a terminal or with `--yes`.
    Stops,
}

/// Say what a question is about: also to those who want no messages, if they will be asked.
pub(crate) fn explain(output: &Output, yes: bool, text: impl Display) {
    if yes || !is_attended() { output.note(text) } else { output.message(text) }
}

/// Ask a question that is answered with yes or no. Returns when the answer is yes.
///
/// # Errors
/// When the answer is no, or there is nobody to ask and somebody must be.
pub(crate) fn confirm(
    output: &Output,
    yes: bool,
    question: &str,
    unattended: Unattended,
) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !is_attended() {
        return match unattended {
            Unattended::Goes => Ok(()),
            Unattended::Stops => Err(Failure::new(
                Exit::Unconfirmed,
                format!("nobody is there to answer: {}", question.to_lowercase()),
            )
            .with_hint("add `--yes` if you agree")),
        };
    }
    output.question(format_args!("{question} [y/N] "));
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    if read.is_ok() && is_yes(&answer) {
        return Ok(());
    }
    Err(Failure::new(Exit::Unconfirmed, "not confirmed, nothing was done"))
}

/// Ask for a password, which is not shown while it is typed; none when there is nobody to ask.
///
/// # Errors
/// When the terminal cannot be read.
pub(crate) fn password(output: &Output, question: &str) -> Result<Option<Secret>, Failure> {
    if !is_attended() {
        return Ok(None);
    }
    output.question(question);
    let typed = console::Term::stderr().read_secure_line();
    let typed =
        typed.map_err(|problem| Failure::new(Exit::Local, format!("cannot read the password: {problem}")))?;
    Ok(Some(Secret::new(typed)))
}

/// Does a person see the question and type the answer?
fn is_attended() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        let check = |answer: &str, expected: bool| assert_eq!(is_yes(answer), expected, "{answer:?}");
        check("y\n", true);
        check("YES", true);
        check(" yes ", true);
        check("", false);
        check("\n", false);
        check("n", false);
        check("yess", false);
    }
}
