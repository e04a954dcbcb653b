//! `wharf mkdir`, `wharf move` and `wharf rm`, and copies within a destination.

use wharf_runtime::ErrorKind;
use wharf_runtime::attached::Attached;
use wharf_runtime::entry::{Entry, Kind};
use wharf_runtime::transfer;

use super::{Desk, recorded};
use crate::args::{Move, Remove};
use crate::ask::{self, Unattended};
use crate::exit::Exit;
use crate::location::Remote;
use crate::output::harmless;
use crate::report::Failure;

/// Make a folder.
pub(super) async fn make_folder(desk: Desk<'_>, place: &Remote) -> Result<(), Failure> {
    let host = desk.host()?;
    let attached = host.attach(&place.destination).await?;
    let made = attached.make_folder(&place.path).await.map_err(Failure::from);
    let entry = recorded(&host, &attached, made).await?;
    told(desk, "made", &entry)?;
    desk.output.note(format_args!("made the folder `{place}`"));
    Ok(())
}

/// Remove files and folders.
pub(super) async fn remove(desk: Desk<'_>, remove: &Remove) -> Result<(), Failure> {
    let places = &remove.places;
    let Some(first) = places.first() else { return Ok(()) };
    for place in places {
        if place.path.is_root() {
            let message = format!("`{place}` is the backup directory itself, which is not removed");
            return Err(Failure::new(Exit::Usage, message)
                .with_hint(format!("name what to remove in it; `wharf ls {place}` shows what there is")));
        }
        if place.destination != first.destination {
            let message = format!("`{first}` and `{place}` are at different destinations");
            return Err(Failure::new(Exit::Usage, message)
                .with_hint("remove what is at one destination with one command".to_owned()));
        }
    }
    let host = desk.host()?;
    let attached = host.attach(&first.destination).await?;
    let removed = remove_from(desk, &attached, remove).await;
    recorded(&host, &attached, removed).await
}

async fn remove_from(desk: Desk<'_>, attached: &Attached, remove: &Remove) -> Result<(), Failure> {
    let (mut found, mut failures) = (Vec::with_capacity(remove.places.len()), Vec::new());
    for place in &remove.places {
        match transfer::removable(attached, &place.path).await {
            Ok(entry) => {
                may_remove(desk, remove, place, entry.kind)?;
                found.push((place, entry));
            }
            // The others go all the same: somebody may have been killed when only some were gone.
            Err(error) if error.kind() == ErrorKind::NotFound => failures.push(Failure::from(error)),
            Err(error) => return Err(error.into()),
        }
    }
    let entries: Vec<Entry> = found.iter().map(|(_, entry)| entry.clone()).collect();
    for ((place, entry), result) in found.iter().zip(transfer::remove(attached, &entries).await?) {
        match result {
            Ok(()) => {
                told(desk, "removed", entry)?;
                desk.output.note(format_args!("removed `{}`", harmless(&place.to_string())));
            }
            Err(error) => failures.push(Failure::from(error)),
        }
    }
    let Some(last) = failures.pop() else { return Ok(()) };
    failures.iter().for_each(|failure| failure.print(desk.output));
    Err(last)
}

fn may_remove(desk: Desk<'_>, remove: &Remove, place: &Remote, kind: Kind) -> Result<(), Failure> {
    match kind {
        Kind::File => Ok(()),
        Kind::Folder if remove.recursive => {
            let question = format!("Remove the folder `{place}` and everything in it?");
            ask::confirm(desk.output, desk.global.yes, &question, Unattended::Goes)
        }
        Kind::Folder => Err(Failure::new(Exit::Usage, format!("`{place}` is a folder"))
            .with_hint(format!("run `wharf rm --recursive {place}` to remove it with everything in it"))),
    }
}

/// Give something another path.
pub(super) async fn relocate(desk: Desk<'_>, moving: &Move) -> Result<(), Failure> {
    let Move { source, target } = moving;
    if source.destination != target.destination {
        let message = format!("`{source}` and `{target}` are at different destinations");
        return Err(Failure::new(Exit::Usage, message).with_hint(format!(
            "copy it to a local folder and on from there, then remove it with `wharf rm {source}`"
        )));
    }
    let host = desk.host()?;
    let attached = host.attach(&source.destination).await?;
    let moved = transfer::relocate(&attached, &source.path, &target.path).await.map_err(Failure::from);
    let entry = recorded(&host, &attached, moved).await?;
    told(desk, "moved", &entry)?;
    desk.output.note(format_args!(
        "moved `{}` to `{}`",
        harmless(&source.to_string()),
        harmless(&target.to_string())
    ));
    Ok(())
}

/// Copy something at the service.
pub(super) async fn copy(desk: Desk<'_>, source: &Remote, target: &Remote) -> Result<(), Failure> {
    let host = desk.host()?;
    let attached = host.attach(&source.destination).await?;
    let copied = transfer::copy(&attached, &source.path, &target.path).await.map_err(Failure::from);
    let entry = recorded(&host, &attached, copied).await?;
    told(desk, "copied", &entry)?;
    desk.output.note(format_args!(
        "copied `{}` to `{}`",
        harmless(&source.to_string()),
        harmless(&target.to_string())
    ));
    Ok(())
}

fn told(desk: Desk<'_>, event: &str, entry: &Entry) -> Result<(), Failure> {
    if desk.output.is_json() {
        desk.output
            .json(&serde_json::json!({ "event": event, "path": entry.path.as_str(), "kind": entry.kind }))?;
    }
    Ok(())
}
