//! `wharf destination modify`.

use wharf_runtime::destination::{self, Destination as Configured};

use super::{check_account, options, remind_of_key, show};
use crate::args::DestinationModify;
use crate::command::Desk;
use crate::exit::Exit;
use crate::report::Failure;

/// Change what may change, and say what may not.
pub(super) fn run(desk: Desk<'_>, modify: &DestinationModify) -> Result<(), Failure> {
    check_decided(modify)?;
    if !says_anything(modify) {
        return Err(Failure::new(
            Exit::Usage,
            format!("nothing is to be changed of destination `{}`", modify.name),
        )
        .with_hint("run `wharf destination modify --help` to see what can be"));
    }
    let host = desk.host()?;
    let caller = desk.caller(&host)?;
    let before = host.destinations().load(&modify.name)?;
    before.check_caller(&caller)?;
    let mut changed = before.clone();
    apply(modify, &mut changed);
    let mut installed = None;
    // A destination can be disabled while its connector is not there.
    if modify.account.is_some() || !modify.options.is_empty() || !modify.unset_options.is_empty() {
        let (found, manifest) = host.manifest(&before.connector)?;
        check_account(&host, &modify.name, changed.account.as_ref(), &manifest, before.read_only)?;
        changed.options = options(&modify.name, changed.options, &modify.options, &manifest)?;
        installed = Some(found);
    }
    let (account, settings) = (changed.account.clone(), changed.options.clone());
    let after = host.destinations().modify(&modify.name, &caller, |configured| {
        apply(modify, configured);
        configured.account = account;
        configured.options = settings;
    })?;
    if desk.output.is_json() {
        let installed = installed.or_else(|| host.registry().get(&after.connector).ok());
        desk.output.json(&show::json(&after, installed.as_ref(), None))?;
    }
    desk.output.note(format_args!("modified destination `{}`", modify.name));
    if modify.dr == Some(true) {
        remind_of_key(desk, &host, &after);
    }
    Ok(())
}

/// What was decided when it was created stays.
fn check_decided(modify: &DestinationModify) -> Result<(), Failure> {
    let decided = [
        (modify.read_only.is_some(), "read-only"),
        (modify.backup_directory.is_some(), "backup directory"),
        (modify.connector.is_some(), "type"),
    ];
    match decided.into_iter().find(|(named, _)| *named) {
        Some((_, what)) => Err(destination::Error::ForLife { name: modify.name.clone(), what }.into()),
        None => Ok(()),
    }
}

fn says_anything(modify: &DestinationModify) -> bool {
    modify.pace.is_said()
        || modify.account.is_some()
        || modify.threads.is_some()
        || modify.retries.is_some()
        || modify.http_version.is_some()
        || modify.owner.is_some()
        || !modify.parents.is_empty()
        || modify.no_parents
        || modify.job_type.is_some()
        || !modify.options.is_empty()
        || !modify.unset_options.is_empty()
        || modify.disk_limit.is_some()
        || modify.hidden.is_some()
        || modify.disabled.is_some()
        || modify.dr.is_some()
}

/// Everything but the options that are set, which the manifest has a say in.
fn apply(modify: &DestinationModify, configured: &mut Configured) {
    if let Some(account) = &modify.account {
        configured.account = Some(account.clone());
    }
    if let Some(owner) = &modify.owner {
        configured.owner = Some(owner.clone());
    }
    if modify.no_parents || !modify.parents.is_empty() {
        configured.parents.clone_from(&modify.parents);
    }
    configured.options.retain(|key, _| !modify.unset_options.contains(key));
    configured.threads = modify.threads.unwrap_or(configured.threads);
    configured.tasks = modify.pace.tasks.unwrap_or(configured.tasks);
    configured.rates = modify.pace.over(configured.rates);
    configured.retries = modify.retries.unwrap_or(configured.retries);
    configured.http_version = modify.http_version.map_or(configured.http_version, Into::into);
    configured.job_type = modify.job_type.map_or(configured.job_type, Into::into);
    configured.disk_limit = modify.disk_limit.unwrap_or(configured.disk_limit);
    configured.hidden = modify.hidden.unwrap_or(configured.hidden);
    configured.dr = modify.dr.unwrap_or(configured.dr);
    configured.disabled = modify.disabled.unwrap_or(configured.disabled);
}
