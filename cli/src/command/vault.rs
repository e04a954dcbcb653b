//! `wharf vault …`: the key that seals what is secret, which is never shown.

use serde::Serialize;
use wharf_runtime::home::Home;
use wharf_runtime::rotation;
use wharf_runtime::vault::Source;

use super::{Desk, waiting};
use crate::args::{Vault, given_keys};
use crate::format::count;
use crate::report::Failure;

/// Do what the command line says about the vault.
pub(super) fn run(desk: Desk<'_>, command: &Vault) -> Result<(), Failure> {
    match command {
        Vault::Show => show(desk),
        Vault::Rotate => waiting(rotate(desk)),
    }
}

/// What may be shown of the key.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    source: Source,
    fingerprint: &'a str,
    rotation_unfinished: bool,
}

fn show(desk: Desk<'_>) -> Result<(), Failure> {
    let host = desk.host()?;
    let vault = host.vault();
    let (source, fingerprint) = (vault.source(), vault.fingerprint());
    if desk.output.is_json() {
        let rotation_unfinished = vault.is_unfinished();
        return Ok(desk.output.json(&Shown { source, fingerprint, rotation_unfinished })?);
    }
    desk.output.line(format_args!("key          {source}"))?;
    desk.output.line(format_args!("fingerprint  {fingerprint}"))?;
    if vault.is_unfinished() {
        desk.output.warning("a rotation was interrupted; run `wharf vault rotate` to finish it");
    }
    Ok(())
}

async fn rotate(desk: Desk<'_>) -> Result<(), Failure> {
    let home = Home::open_existing(&desk.home_path()?)?;
    let summary = rotation::rotate(&home, &given_keys()?).await?;
    for name in &summary.accounts_unopened {
        desk.output.warning(format_args!(
            "the secrets of account `{name}` open with no key: run `wharf account authorize {name}`"
        ));
    }
    if desk.output.is_json() {
        return Ok(desk.output.json(&summary)?);
    }
    desk.output.note(format_args!(
        "sealed anew: {}, {}, {}",
        count(summary.accounts, "account"),
        count(summary.uploads, "upload"),
        count(summary.artefacts, "compiled connector"),
    ));
    if summary.uploads_forgotten > 0 {
        desk.output.note(format_args!(
            "{} of destinations that are gone will start over",
            count(summary.uploads_forgotten, "upload")
        ));
    }
    desk.output.note(format_args!("the key is {} now (fingerprint {})", summary.source, summary.key));
    Ok(())
}
