//! `wharf destination types`.

use std::collections::BTreeSet;

use serde::Serialize;
use wharf_runtime::registry::Installed;

use crate::command::Desk;
use crate::output::harmless;
use crate::report::Failure;
use crate::table::{Align, Table};

/// A type of destination, with the fields of JetBackup's list of types; ours come after them.
#[derive(Debug, Serialize)]
struct TypeJson {
    key: String,
    name: Option<String>,
    version: Option<String>,
    /// 1: for backups, as all connectors are.
    r#type: u8,
    id: Option<String>,
    state: &'static str,
}

/// List the types that are installed, and those that are named somewhere and missing.
pub(super) fn list(desk: Desk<'_>) -> Result<(), Failure> {
    let host = desk.host()?;
    let mut types = Vec::new();
    for installed in host.registry().list()? {
        types.push(of(&host, &installed));
    }
    let mut missing = BTreeSet::new();
    for account in host.accounts().names()? {
        // A broken account is for `wharf account list` to tell.
        missing.extend(host.accounts().connector_type(&account).ok());
    }
    for destination in host.destinations().list()?.into_iter().flatten() {
        missing.insert(destination.connector.name);
    }
    let is_known = |types: &[TypeJson], key: &str| {
        types.iter().any(|one| one.key == key || one.id.as_deref() == Some(key))
    };
    for key in missing {
        if !is_known(&types, &key) {
            types.push(TypeJson { key, name: None, version: None, r#type: 1, id: None, state: "missing" });
        }
    }
    print(desk, &types)
}

fn of(host: &wharf_runtime::host::Host, installed: &Installed) -> TypeJson {
    let reference = wharf_runtime::destination::ConnectorReference {
        name: installed.id.clone(),
        version: Some(installed.version.clone()),
    };
    TypeJson {
        key: installed.r#type.clone(),
        name: host.manifest(&reference).ok().map(|(_, manifest)| manifest.name),
        version: Some(installed.version.to_string()),
        r#type: 1,
        id: Some(installed.id.clone()),
        state: if installed.disabled { "disabled" } else { "installed" },
    }
}

fn print(desk: Desk<'_>, types: &[TypeJson]) -> Result<(), Failure> {
    let output = desk.output;
    if output.is_json() {
        for one in types {
            output.json(one)?;
        }
        return Ok(());
    }
    if types.is_empty() {
        output.note("there are no types yet; see `wharf connector install --help`");
        return Ok(());
    }
    let columns = ["TYPE", "NAME", "VERSION", "CONNECTOR", "STATE"];
    let mut table = Table::new(&columns.map(|column| (column, Align::Left)));
    for one in types {
        let text = |text: &Option<String>| text.as_deref().map(harmless).unwrap_or_default();
        table.row(vec![
            one.key.clone(),
            text(&one.name),
            text(&one.version),
            text(&one.id),
            one.state.to_owned(),
        ]);
    }
    for line in table.lines() {
        output.line(line)?;
    }
    Ok(())
}
