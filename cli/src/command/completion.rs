//! `wharf completion`.

use clap_complete::Shell;

use super::Desk;
use crate::args::Arguments;
use crate::report::Failure;

/// Print the script for a shell.
pub(super) fn print(desk: Desk<'_>, shell: Shell) -> Result<(), Failure> {
    Ok(desk.output.line(script(shell).trim_end())?)
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::definition(), "wharf", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_has_a_script_that_knows_the_commands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::Elvish, Shell::PowerShell] {
            let script = script(shell);
            for word in ["destination", "backup-directory", "connect-to"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }
}
