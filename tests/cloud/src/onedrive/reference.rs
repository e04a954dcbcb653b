//! The folder that a document names as a `parentReference`: by its id, or by a path as the service itself
//! writes one, its names percent-encoded.
//!
//! A path that is no path is a bad request, one to nothing is not found, and a business drive takes none for
//! its root: that wants an id.

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::address::{self, Address, DriveName, Place, Start};
use super::drive::Drive;
use super::node::Key;
use super::route::Context;
use super::switches::DriveKind;
use super::{Failure, is_same_drive};

/// Where an item is to go, if the document says so.
pub(crate) fn folder(
    context: &Context<'_>,
    drive: &mut Drive,
    key: Key,
    document: &Value,
) -> Result<Option<Key>, Failure> {
    let Some(reference) = document.get("parentReference") else {
        return Ok(None);
    };
    let text = |field: &str| reference.get(field).and_then(Value::as_str);
    if let Some(id) = text("driveId") {
        check_drive(drive, id)?;
    }
    let parent = match (text("id"), text("path")) {
        (Some("root"), _) => drive.root,
        (Some(id), _) => drive.by_id(id)?,
        (None, Some(path)) => by_path(context, drive, path)?,
        (None, None) => return Ok(drive.get(key)?.parent),
    };
    Ok(Some(parent))
}

fn by_path(context: &Context<'_>, drive: &mut Drive, path: &str) -> Result<Key, Failure> {
    let address = parse(path).ok_or_else(|| Failure::invalid("Invalid request"))?;
    if let DriveName::Id(id) = &address.drive {
        check_drive(drive, id)?;
    }
    match drive.kind {
        DriveKind::Business | DriveKind::DocumentLibrary
            if address.start == Start::Root && address.names.is_empty() =>
        {
            Err(Failure::invalid("One of the provided arguments is not acceptable"))
        }
        DriveKind::Business | DriveKind::DocumentLibrary | DriveKind::Personal => {
            context.resolve(drive, &address)
        }
    }
}

/// `/drive/root:/a/b`, `/drives/ID/root:/a/b` and the same below `special/approot`, decoded once.
fn parse(path: &str) -> Option<Address> {
    let whole = path.split('%').skip(1).all(|after| {
        let digits = after.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    let decoded = percent_decode_str(path).decode_utf8().ok().filter(|_| whole)?;
    match address::parse(&format!("/v1.0{decoded}"))? {
        Place::Item(address) if address.action.is_empty() => Some(address),
        Place::Item(_) | Place::Me | Place::Batch | Place::Drive(_) | Place::Drives => None,
    }
}

fn check_drive(drive: &Drive, id: &str) -> Result<(), Failure> {
    match is_same_drive(id, &drive.id) {
        true => Ok(()),
        false => Err(Failure::invalid("Items cannot be moved between drives")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_as_the_service_writes_them() {
        let check = |path: &str, expected: Option<(DriveName, Start, &[&str])>| {
            let found = parse(path).map(|address| (address.drive, address.start, address.names));
            let expected = expected.map(|(drive, start, names)| {
                (drive, start, names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
            });
            assert_eq!(found, expected, "{path}");
        };
        check("/drive/root:/a/b", Some((DriveName::Mine, Start::Root, &["a", "b"])));
        check("/drive/root:", Some((DriveName::Mine, Start::Root, &[])));
        check("/drive/root", Some((DriveName::Mine, Start::Root, &[])));
        check("/drive/root:/a%20b/%25", Some((DriveName::Mine, Start::Root, &["a b", "%"])));
        check("/drives/b!X/root:/a", Some((DriveName::Id("b!X".to_owned()), Start::Root, &["a"])));
        check("/drive/special/approot:/a", Some((DriveName::Mine, Start::AppFolder, &["a"])));
        for bad in
            ["a/b", "/a/b", "/drive/root:/@$%^&", "/drive/root:/%f", "/drive/root:/a:/children", "/drive", ""]
        {
            check(bad, None);
        }
    }
}
