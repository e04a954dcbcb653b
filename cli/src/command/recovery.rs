//! `wharf recovery …`: the recovery key, and exports of the configuration.

use serde::Serialize;
use wharf_runtime::attached::Attached;
use wharf_runtime::destination::Destination;
use wharf_runtime::home::Name;
use wharf_runtime::host::Host;
use wharf_runtime::recovery::{self, Export, Standing};

use super::{Desk, recorded, waiting};
use crate::args::Recovery;
use crate::ask::{self, Unattended};
use crate::format;
use crate::report::Failure;
use crate::table::{Align, Table};

mod restore;

/// Do what the command line says about recovery.
pub(super) fn run(desk: Desk<'_>, command: &Recovery) -> Result<(), Failure> {
    match command {
        Recovery::Key { replace } => key(desk, *replace),
        Recovery::Show => waiting(Box::pin(show(desk))),
        Recovery::Export { name } => waiting(Box::pin(export(desk, name.as_ref()))),
        Recovery::Restore(restore) => waiting(Box::pin(restore::run(desk, restore))),
    }
}

/// The key in clear: the only place and the only time.
#[derive(Debug, Serialize)]
struct Made<'a> {
    key: &'a str,
    fingerprint: &'a str,
}

fn key(desk: Desk<'_>, replace: bool) -> Result<(), Failure> {
    let host = desk.host()?;
    let recovery = recovery::Recovery::new(&host);
    if replace && recovery.key().is_ok_and(|key| key.is_some()) {
        let question = "Replace the recovery key? Exports that were sealed with it open with no other";
        ask::confirm(desk.output, desk.global.yes, &format!("{question}."), Unattended::Stops)?;
    }
    let made = recovery.make_key(replace)?;
    let (text, fingerprint) = (made.text(), made.fingerprint()?);
    if desk.output.is_json() {
        return Ok(desk.output.json(&Made { key: text.expose(), fingerprint: &fingerprint })?);
    }
    desk.output.line(text.expose())?;
    desk.output.note(format_args!(
        "write this down and keep it where this server is not: it is not shown again (fingerprint {fingerprint})"
    ));
    if recovery.destinations()?.is_empty() {
        desk.output
            .note("no destination takes exports yet; `wharf destination modify NAME --dr` says which do");
    }
    Ok(())
}

/// What may be shown.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    fingerprint: Option<&'a str>,
    destinations: Vec<ShownDestination<'a>>,
}

#[derive(Debug, Serialize)]
struct ShownDestination<'a> {
    name: &'a Name,
    stored: Option<jiff::Timestamp>,
    state: &'static str,
}

async fn show(desk: Desk<'_>) -> Result<(), Failure> {
    let host = desk.host()?;
    let recovery = recovery::Recovery::new(&host);
    let fingerprint = recovery.key()?.map(|key| key.fingerprint()).transpose()?;
    let destinations = recovery.destinations()?;
    let standing = match fingerprint {
        Some(_) => recovery.standing(&destinations).await?,
        None => vec![Standing::Never; destinations.len()],
    };
    let shown: Vec<_> = destinations.iter().zip(&standing).map(shown_destination).collect();
    if desk.output.is_json() {
        let fingerprint = fingerprint.as_deref();
        return Ok(desk.output.json(&Shown { fingerprint, destinations: shown })?);
    }
    match &fingerprint {
        Some(fingerprint) => desk.output.line(format_args!("fingerprint  {fingerprint}"))?,
        None => desk.output.note("there is no recovery key yet; see `wharf recovery key --help`"),
    }
    if shown.is_empty() {
        desk.output.note("no destination takes exports; `wharf destination modify NAME --dr` says which do");
        return Ok(());
    }
    let columns = [("DESTINATION", Align::Left), ("EXPORTED", Align::Left), ("STATE", Align::Left)];
    let mut table = Table::new(&columns);
    for one in shown {
        let stored = one.stored.map(format::moment).unwrap_or_default();
        table.row(vec![one.name.to_string(), stored, one.state.to_owned()]);
    }
    for line in table.lines() {
        desk.output.line(line)?;
    }
    Ok(())
}

fn shown_destination<'a>((destination, standing): (&'a Destination, &Standing)) -> ShownDestination<'a> {
    let (stored, state) = match standing {
        Standing::Never => (None, "never"),
        Standing::Current(stored) => (Some(*stored), "current"),
        Standing::Changed(stored) => (Some(*stored), "changed since"),
    };
    ShownDestination { name: &destination.name, stored, state }
}

/// An export that was stored.
#[derive(Debug, Serialize)]
struct Stored<'a> {
    destination: &'a Name,
    bytes: usize,
    stored: jiff::Timestamp,
}

/// To one destination or to all that take exports; one that fails does not hold up the others.
async fn export(desk: Desk<'_>, name: Option<&Name>) -> Result<(), Failure> {
    let host = desk.host()?;
    if let Some(name) = name {
        return export_to(desk, &host, name).await;
    }
    let destinations = recovery::Recovery::new(&host).destinations()?;
    let mut failed = None;
    match destinations.as_slice() {
        [] => return Err(recovery::Error::NoneDr.into()),
        [only] => return export_to(desk, &host, &only.name).await,
        several => {
            for destination in several {
                if let Err(failure) = export_to(desk, &host, &destination.name).await {
                    desk.output.warning(failure.line());
                    failed.get_or_insert(failure.exit());
                }
            }
        }
    }
    failed.map_or(Ok(()), |exit| Err(Failure::reported(exit)))
}

async fn export_to(desk: Desk<'_>, host: &Host, name: &Name) -> Result<(), Failure> {
    let recovery = recovery::Recovery::new(host);
    // Said before anything is sent.
    if !host.destinations().load(name)?.takes_exports() {
        return Err(recovery::Error::NotDr(name.clone()).into());
    }
    if recovery.key()?.is_none() {
        return Err(recovery::Error::NoKey.into());
    }
    let attached = host.attach(name).await?;
    let exported = recovery.export(&attached).await.map_err(Failure::from);
    let exported = recorded(host, &attached, exported).await?;
    told(desk, name, &exported)
}

fn told(desk: Desk<'_>, name: &Name, exported: &Export) -> Result<(), Failure> {
    for account in exported.archive.unopened() {
        desk.output.warning(format_args!(
            "the secrets of account `{account}` open with no key, and are not in the export: run `wharf account authorize {account}`"
        ));
    }
    if desk.output.is_json() {
        let stored = exported.archive.made;
        return Ok(desk.output.json(&Stored { destination: name, bytes: exported.bytes, stored })?);
    }
    let size = format::bytes(u64::try_from(exported.bytes).unwrap_or(u64::MAX));
    desk.output.note(format_args!("exported the configuration to destination `{name}` ({size})"));
    Ok(())
}

/// After a copy to a destination that takes exports: store one, if something changed since the last.
pub(super) async fn after_copy(desk: Desk<'_>, host: &Host, attached: &Attached) -> Result<(), Failure> {
    let name = attached.name();
    if !host.destinations().load(name)?.takes_exports() {
        return Ok(());
    }
    let recovery = recovery::Recovery::new(host);
    let failed = |error: recovery::Error| {
        let context =
            format!("everything was copied, but the configuration was not exported to destination `{name}`");
        Failure::from(error).with_context(context)
    };
    if recovery.key().map_err(failed)?.is_none() {
        desk.output.warning(format_args!(
            "destination `{name}` has `dr`, and there is no recovery key to seal exports with: run `wharf recovery key`"
        ));
        return Ok(());
    }
    // Data of a copy is what was copied, so this is a message.
    if recovery.export_if_due(attached).await.map_err(failed)?.is_some() {
        desk.output.note(format_args!("exported the configuration to destination `{name}`"));
    }
    Ok(())
}
