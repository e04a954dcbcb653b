//! `wharf connector test`: what a vendor sees of an examination.

use std::collections::BTreeMap;

use serde::Serialize;
use wharf_runtime::exam::{self, Finding, Outcome, Place, Subject};
use wharf_runtime::home::Name;
use wharf_runtime::host::Host;
use wharf_runtime::manifest::Manifest;
use wharf_runtime::manifest::section::COMPONENT_BYTES_MAX;
use wharf_runtime::path::Directory;

use crate::args::ConnectorTest;
use crate::command::interrupt::Interrupts;
use crate::command::{Desk, destination, moving};
use crate::exit::Exit;
use crate::file;
use crate::format::count;
use crate::output::{Output, Tone, harmless};
use crate::report::Failure;
use crate::sentence::{self, Detail};

/// Width of the column that says in which part something was found.
const PART_WIDTH: usize = 11;
/// What its destination is called in messages.
const DESTINATION: &str = "test";

/// Examine a component, and tell what was found.
pub(super) fn run(desk: Desk<'_>, test: &ConnectorTest) -> Result<(), Failure> {
    let component = file::read(&test.component, COMPONENT_BYTES_MAX)?;
    let mut report = Report::new(desk.output);
    if let Some(manifest) = exam::read(&component, &mut |finding| report.take(finding)) {
        examine(desk, test, &component, &manifest, &mut report)?;
    }
    report.end(&test.component.display().to_string())
}

fn examine(
    desk: Desk<'_>,
    test: &ConnectorTest,
    component: &[u8],
    manifest: &Manifest,
    report: &mut Report<'_>,
) -> Result<(), Failure> {
    let visit = visit(desk, test, manifest)?;
    let hint = "name each option with `--option KEY=VALUE`; the manifest's `options` say which there are";
    let name = Name::parse(DESTINATION).map_err(|error| Failure::new(Exit::Failed, error))?;
    let options = destination::options(&name, BTreeMap::new(), &test.options, manifest);
    let options = options.map_err(|failure| failure.with_hint(hint))?;
    introduce(desk, manifest);
    let room =
        tempfile::tempdir().map_err(|problem| Failure::local("make", &std::env::temp_dir(), problem))?;
    let (home, folder) = (room.path().join("home"), room.path().join("folder"));
    let subject = Subject { component, home: &home, folder: &folder, options };
    moving(async {
        exam::press(&subject, manifest, &mut |finding| report.take(finding)).await?;
        if report.failed > 0 && report.unfit {
            return Ok(());
        }
        let (accounts, directory) = match &visit {
            Visit::Service { host, directory } => (host.as_deref(), directory.clone()),
            Visit::Folder => (None, Directory::parse(&folder.display().to_string()).map_err(unusable)?),
            Visit::None => {
                let outcome =
                    Outcome::Skipped("no `--backup-directory` names a service to try it at".to_owned());
                report.take(Finding {
                    part: "service",
                    what: "what the contract promises".to_owned(),
                    outcome,
                });
                return Ok(());
            }
        };
        let place =
            Place { accounts, network: desk.network_options(), account: test.account.clone(), directory };
        let mut interrupts = Interrupts::new()?;
        let take = &mut |finding| report.take(finding);
        if Box::pin(exam::visit(&subject, manifest, place, interrupts.next(), take)).await? {
            return Ok(());
        }
        Err(Failure::new(Exit::Interrupted, "interrupted at the service; what was stored there is removed"))
    })
}

fn unusable(error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, error).with_context("the temporary folder cannot be used")
}

/// Where the connector is tried.
enum Visit {
    /// At its service, with an account of this home where it needs one.
    Service { host: Option<Box<Host>>, directory: Directory },
    /// In a folder that is made for it.
    Folder,
    /// Nowhere.
    None,
}

fn visit(desk: Desk<'_>, test: &ConnectorTest, manifest: &Manifest) -> Result<Visit, Failure> {
    let name = Name::parse(DESTINATION).map_err(|error| Failure::new(Exit::Failed, error))?;
    let Some(directory) = test.backup_directory.clone() else {
        return Ok(if manifest.folder.is_some() && manifest.oauth.is_none() {
            Visit::Folder
        } else {
            Visit::None
        });
    };
    let host = match (&manifest.oauth, &test.account) {
        (None, None) => None,
        (Some(_), _) | (_, Some(_)) => {
            let host = desk.host()?;
            destination::check_account(&host, &name, test.account.as_ref(), manifest, false)?;
            Some(Box::new(host))
        }
    };
    Ok(Visit::Service { host, directory })
}

/// What an operator will be asked.
fn introduce(desk: Desk<'_>, manifest: &Manifest) {
    let output = desk.output;
    output.note(format_args!("{} ({}) asks operators for:", harmless(&manifest.name), manifest.label()));
    let warn = |text: &str| output.paint_err(Tone::Warning, text);
    for line in sentence::lines(manifest, manifest.permissions(), Detail::Host, warn) {
        output.note(line);
    }
}

/// What was found so far, printed part by part.
struct Report<'a> {
    output: &'a Output,
    part: &'static str,
    /// Of this part.
    good: u64,
    advice: u64,
    skipped: u64,
    failed: u64,
    /// Does it fail as a component, so that there is nothing to run?
    unfit: bool,
    unprinted: Result<(), Failure>,
}

impl<'a> Report<'a> {
    const fn new(output: &'a Output) -> Self {
        Self { output, part: "", good: 0, advice: 0, skipped: 0, failed: 0, unfit: false, unprinted: Ok(()) }
    }

    fn take(&mut self, finding: Finding) {
        if self.unprinted.is_ok() {
            self.unprinted = self.print(&finding);
        }
        match finding.outcome {
            Outcome::Good(_) => {}
            Outcome::Advice(_) => self.advice = self.advice.saturating_add(1),
            Outcome::Skipped(_) => self.skipped = self.skipped.saturating_add(1),
            Outcome::Failed(_) => {
                self.unfit |= finding.part == "component";
                self.failed = self.failed.saturating_add(1);
            }
        }
    }

    fn print(&mut self, finding: &Finding) -> Result<(), Failure> {
        let Finding { part, what, outcome } = finding;
        let (word, tone, said) = match outcome {
            Outcome::Good(said) => ("ok", None, said),
            Outcome::Advice(said) => ("advice", Some(Tone::Warning), said),
            Outcome::Skipped(said) => ("skipped", Some(Tone::Warning), said),
            Outcome::Failed(said) => ("FAILED", Some(Tone::Error), said),
        };
        let (what, said) = (harmless(what), harmless(said));
        if self.output.is_json() {
            return Ok(self.output.json(&FindingJson { part, what: &what, outcome: word, said: &said })?);
        }
        if self.part != *part {
            self.summary()?;
            self.part = part;
        }
        // A part of a hundred checks that are as they should be is one line; those of the file itself say something.
        let is_telling = ["component", "manifest", "cost", "end"].contains(part);
        if tone.is_none() && !is_telling && self.output.verbosity() == 0 {
            self.good = self.good.saturating_add(1);
            return Ok(());
        }
        let between = if said.is_empty() { "" } else { ": " };
        let word = match tone {
            Some(tone) => self.output.paint(tone, format_args!("{word:<7}")),
            None => format!("{word:<7}"),
        };
        Ok(self.output.line(format_args!("{word}  {part:<PART_WIDTH$}  {what}{between}{said}"))?)
    }

    /// What was as it should be in the part that ends.
    fn summary(&mut self) -> Result<(), Failure> {
        let good = std::mem::take(&mut self.good);
        if good > 0 {
            let good = count(good, "check");
            self.output.line(format_args!("{:<7}  {:<PART_WIDTH$}  {good} as promised", "ok", self.part))?;
        }
        Ok(())
    }

    fn end(mut self, file: &str) -> Result<(), Failure> {
        std::mem::replace(&mut self.unprinted, Ok(()))?;
        self.summary()?;
        if self.failed > 0 {
            let failed = count(self.failed, "thing");
            let hint = "`-v` shows each check, `--log connector=debug` what the connector itself writes; \
                        `wit/connector.wit` says what each operation promises";
            return Err(Failure::new(Exit::Unfit, format!("`{file}` fails: {failed} not as it must be"))
                .with_hint(hint));
        }
        let advice = if self.advice > 0 {
            format!(", {} of advice", count(self.advice, "piece"))
        } else {
            String::new()
        };
        let skipped = if self.skipped > 0 {
            format!(", {} not looked at", count(self.skipped, "thing"))
        } else {
            String::new()
        };
        self.output.note(format_args!("`{file}` is as it must be{advice}{skipped}"));
        Ok(())
    }
}

/// A finding as `--json` has it.
#[derive(Debug, Serialize)]
struct FindingJson<'a> {
    part: &'a str,
    what: &'a str,
    outcome: &'a str,
    said: &'a str,
}
