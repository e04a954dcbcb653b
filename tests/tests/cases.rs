//! The table of abuses: every one of the list has a test, every test that it names is there, and
//! `tests/README.md` says the same. `WHARF_WRITE=1` writes the page; without it, it is compared.

#[path = "cases/table.rs"]
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use table::{CASES, Case};

/// Abuses on the list.
const CASES_COUNT: usize = 62;

const HEAD: &str = "\
# Tests

`cargo xtask test` builds everything that these tests need, runs all of them, and fails if one fails.

| | |
|---|---|
| beside the code | tables of cases for the pure rooms, and property tests where text becomes a type |
| `tests/` | the built command and the library against the emulators of `cloud/` |
| `hostile/` | components that break the rules, one for each kind of abuse |
| `foreign/` | clients of others, held against what Wharf stores |
| `../fuzz/` | every parser of outside text, for seconds; `cargo xtask fuzz` for longer |

## Every abuse, and what is answered

Written by the test `every_abuse_has_its_row` from the table in `tests/cases/table.rs`, which fails if an abuse has no
test, if a test that is named is not there or is not run, or if this page says anything else. An abuse is answered
as long as `cargo xtask test` passes. What a row leaves open is said in it.

";

#[test]
fn every_abuse_has_its_row() {
    let numbers: Vec<usize> = CASES.iter().map(|case| case.number).collect();
    assert_eq!(numbers, (1..=CASES_COUNT).collect::<Vec<_>>());
    let page = page();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    if std::env::var_os("WHARF_WRITE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == page, "tests/README.md is not the table: run this test with WHARF_WRITE=1");
}

#[test]
fn every_test_that_is_named_is_there_and_is_run() {
    let mut sources: BTreeMap<PathBuf, String> = BTreeMap::new();
    let mut wrong = Vec::new();
    for case in CASES {
        if case.tests.is_empty() {
            wrong.push(format!("{}: no test", case.number));
        }
        for (file, test) in case.tests {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
            let source = sources
                .entry(path.clone())
                .or_insert_with(|| std::fs::read_to_string(&path).unwrap_or_default());
            if !is_run(source, test) {
                wrong.push(format!("{}: `{test}` is not a test of `{file}`", case.number));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Each component that breaks the rules plays in a row.
#[test]
fn every_hostile_component_has_a_row() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("hostile/examples");
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned();
        let word = format!("`{name}`");
        assert!(CASES.iter().any(|case| case.by.contains(&word)), "{name} plays in no row");
    }
}

/// Is there a test of this name, with the attribute that makes it one and none that leaves it out?
fn is_run(source: &str, test: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let (plain, waiting) = (format!("fn {test}("), format!("async fn {test}("));
    let Some(at) = lines.iter().position(|line| line.starts_with(&plain) || line.starts_with(&waiting))
    else {
        return false;
    };
    let above: Vec<&str> = lines[..at]
        .iter()
        .rev()
        .take_while(|line| line.starts_with("#[") || line.starts_with("//"))
        .copied()
        .collect();
    let is_test = |line: &&&str| line.starts_with("#[test]") || line.starts_with("#[tokio::test");
    above.iter().any(|line| is_test(&line)) && !above.iter().any(|line| line.starts_with("#[ignore"))
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("| | abuse | by | answer | test |\n|---|---|---|---|---|\n");
    for Case { number, name, by, answer, open, tests } in CASES {
        let tests: Vec<String> =
            tests.iter().map(|(file, test)| format!("{} `{test}`", short(file))).collect();
        let open = if open.is_empty() { String::new() } else { format!(" Open: {open}.") };
        page.push_str(&format!("| {number} | {name} | {by} | {answer}.{open} | {} |\n", tests.join(", ")));
    }
    page
}

/// A file as one word: `network/egress`, `hostile_reach`.
fn short(file: &str) -> String {
    let file = file.trim_start_matches("runtime/src/").trim_start_matches("tests/tests/");
    file.trim_end_matches(".rs").trim_end_matches("/tests").to_owned()
}

#[test]
fn a_test_that_is_left_out_is_none() {
    let check = |source: &str, expected: bool| assert_eq!(is_run(source, "it"), expected, "{source}");
    check("#[test]\nfn it() {", true);
    check("    #[tokio::test(flavor = \"multi_thread\")]\n    async fn it() {", true);
    check("/// Why.\n#[test]\n#[expect(x)]\nfn it() {", true);
    check("fn it() {", false);
    check("#[test]\n#[ignore]\nfn it() {", false);
    check("#[test]\nfn its() {", false);
    check("#[test]\nfn other() {\n}\nfn it() {", false);
}
