use clap::Parser as _;

use super::*;

fn parse(line: &str) -> Result<Arguments, String> {
    let words = std::iter::once("wharf").chain(line.split_whitespace());
    Arguments::try_parse_from(words).map_err(|error| error.to_string())
}

#[test]
fn the_definition_holds_together() {
    Arguments::definition().debug_assert();
}

#[test]
fn help_fits_a_terminal_and_teaches() {
    fn visit(command: &mut clap::Command, path: &str) {
        let help = command.render_long_help().to_string();
        for line in help.lines() {
            assert!(line.chars().count() <= 100, "{path}: {line}");
        }
        assert!(command.get_about().is_some(), "{path} says nothing of itself");
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{path}: {} is not explained", argument.get_id());
        }
        for sub in command.get_subcommands_mut() {
            let path = format!("{path} {}", sub.get_name());
            visit(sub, &path);
        }
    }
    let mut definition = Arguments::definition().term_width(100);
    definition.build();
    visit(&mut definition, "wharf");
}

#[test]
fn long_help_says_more() {
    let check = |line: &str, expected: &str| {
        let help = parse(line).map(|_| ()).unwrap_err();
        let words: Vec<&str> = help.split_whitespace().collect();
        assert!(words.join(" ").contains(expected), "{line}: {help}");
    };
    check("--help", "Exit codes:");
    check("copy --help", "running the same command again continues");
    check("copy -h", "Patterns are rclone's");
    check("connector install --help", "grants nothing");
    check("destination create --help", "Nothing is sent to the service yet");
    check("account add --help", "Secrets are read from files only");
    check("account authorize --help", "Until the new one is stored, the old one stays");
    check("account import --help", "The configuration stays as it is");
    check("vault rotate --help", "Refused while another command uses the home");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let check = |line: &str, expected: &str| {
        let error = parse(line).map(|_| ()).unwrap_err();
        assert!(error.contains(expected), "{line}: {error}");
    };
    check("ls photos", "as in `archive:photos`");
    check("copy /a archive:../b", "would leave the backup directory");
    check("copy /a archive:b --include a[", "not a pattern");
    check("destination create a --type x --backup-directory b", "starts with `/`");
    check("destination create a --type x --backup-directory /b --threads 0", "0 is not in 1..=400");
    check("destination create a --type x --backup-directory /b --retries 11", "11 is not in 0..=10");
    check("destination create a --type x --backup-directory /b --option y", "expected KEY=VALUE");
    check("destination create a --type x --backup-directory /b --grant r --grant-all", "cannot be used with");
    check("destination create A --type x --backup-directory /b", "is not a name");
    check("ls a: --connect-to graph.microsoft.com:443:localhost:1", "HOST:PORT:ADDRESS:PORT");
    check("ls a: -q -v", "cannot be used with");
    check("account add a --type x --token-file f --client-secret-file g", "--client-id");
    check("account add a --type x --paste --device", "cannot be used with");
    check("account authorize a --device --port 1", "cannot be used with");
    check("account authorize a --paste --token-file f", "cannot be used with");
    check("account authorize a --port 65536", "65536 is not in 0..=65535");
    check("account import", "--rclone <FILE>");
}

#[test]
fn global_options_go_anywhere() {
    let arguments =
        parse("ls archive: --json --home /h --connect-to a.example.com:443:127.0.0.1:8443").unwrap();
    assert!(arguments.global.json);
    assert_eq!(arguments.global.home(), Some("/h".into()));
    assert_eq!(arguments.global.connect_to.len(), 1);
    assert!(parse("--json ls archive:").unwrap().global.json);
}
