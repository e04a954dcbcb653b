//! `wharf mkdir`, `wharf move` and `wharf rm`, and copies within a destination.

use wharf_runtime::attached::Attached;
use wharf_runtime::entry::{Entry, Kind};
use wharf_runtime::sandbox::operation::Removal;
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

/// Remove a file or a folder.
pub(super) async fn remove(desk: Desk<'_>, remove: &Remove) -> Result<(), Failure> {
    let place = &remove.place;
    if place.path.is_root() {
        let message = format!("`{place}` is the backup directory itself, which is not removed");
        return Err(Failure::new(Exit::Usage, message)
            .with_hint(format!("name what to remove in it; `wharf ls {place}` shows what there is")));
    }
    let host = desk.host()?;
    let attached = host.attach(&place.destination).await?;
    let removed = remove_from(desk, &attached, remove).await;
    recorded(&host, &attached, removed).await
}

async fn remove_from(desk: Desk<'_>, attached: &Attached, remove: &Remove) -> Result<(), Failure> {
    let place = &remove.place;
    let entry = attached.stat(&place.path).await?;
    match entry.kind {
        Kind::File => {}
        Kind::Folder if remove.recursive => {
            let question = format!("Remove the folder `{place}` and everything in it?");
            ask::confirm(desk.output, desk.global.yes, &question, Unattended::Goes)?;
        }
        Kind::Folder => {
            return Err(Failure::new(Exit::Usage, format!("`{place}` is a folder")).with_hint(format!(
                "run `wharf rm --recursive {place}` to remove it with everything in it"
            )));
        }
    }
    // A file that somebody replaces between the look and the removal is not what was asked about.
    let revision = match entry.kind {
        Kind::File => entry.revision.clone(),
        Kind::Folder => None,
    };
    let removal = Removal { path: place.path.clone(), kind: entry.kind, revision };
    for result in attached.remove(&[removal]).await? {
        result?;
    }
    told(desk, "removed", &entry)?;
    desk.output.note(format_args!("removed `{}`", harmless(&place.to_string())));
    Ok(())
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
