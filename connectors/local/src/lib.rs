//! A folder of this machine: a disk, a mounted share, a stick.
//!
//! The host does the work (`folder` of the contract), and it does it durably: a file is whole and on
//! disk, or is not there. So nothing here is in parts or in doubt. What is left to decide is what the
//! host's answers mean to an operation.
//!
//! The manifest's sizes: `put` takes every file, since one that is cut short leaves nothing behind and
//! nothing is saved by sending it in parts. No hash is declared, because a file system keeps none; the
//! host compares with its own.

#[cfg(test)]
mod testing;

use wharf_connector::{
    Connector, Download, Entry, Error, Folder, Info, Kind, Mode, Page, Progress, Relocation, Removal, Space,
    Staged, Upload, path as paths,
};

wharf_connector::component!(crate::Local);

/// The connector.
#[derive(Debug, Clone, Copy)]
pub struct Local;

impl<B: Folder> Connector<B> for Local {
    fn stat(broker: &mut B, path: &str) -> Result<Entry, Error> {
        Ok(Folder::stat(broker, path)?.entry(path.to_owned()))
    }

    fn list(broker: &mut B, path: &str, recursive: bool, next: Option<&str>) -> Result<Page, Error> {
        if recursive {
            // The host asks for folder after folder then, which costs nothing here.
            return Err(Error::Unsupported);
        }
        let listing = Folder::list(broker, path, next)?;
        let entries = listing.items.into_iter().map(|named| named.item.entry(paths::join(path, &named.name)));
        Ok(Page { entries: entries.collect(), next: listing.next })
    }

    fn make_folder(broker: &mut B, path: &str) -> Result<Entry, Error> {
        Ok(Folder::make_folder(broker, path)?.entry(path.to_owned()))
    }

    fn put(broker: &mut B, path: &str, source: &B::Content, info: &Info) -> Result<Entry, Error> {
        Ok(broker.write(path, source, &info.mode, info.modified)?.entry(path.to_owned()))
    }

    fn begin_upload(_: &mut B, _: &str, _: &Info, _: Option<&B::Content>) -> Result<Upload, Error> {
        Err(Error::Unsupported)
    }

    fn upload_part(_: &mut B, _: &str, _: u64, _: &Info, _: &B::Content, _: bool) -> Result<Progress, Error> {
        Err(Error::Unsupported)
    }

    fn upload_status(_: &mut B, _: &str, _: &str, _: &Info) -> Result<Progress, Error> {
        Err(Error::Unsupported)
    }

    fn abort_upload(_: &mut B, _: &str) -> Result<(), Error> {
        Err(Error::Unsupported)
    }

    fn finish_uploads(_: &mut B, _: &[Staged]) -> Result<Vec<Result<Entry, Error>>, Error> {
        Err(Error::Unsupported)
    }

    fn get(
        broker: &mut B,
        path: &str,
        offset: u64,
        len: Option<u64>,
        revision: Option<&str>,
    ) -> Result<Download<B::Body>, Error> {
        let (item, body) = broker.open(path, offset, len)?;
        // Of the file that is open: what comes is of this revision or the body ends with an error.
        if revision.is_some_and(|revision| revision != item.revision) {
            return Err(Error::Conflict);
        }
        let offset = offset.min(item.size);
        Ok(Download { body, offset, entry: Some(item.entry(path.to_owned())) })
    }

    fn remove(broker: &mut B, items: &[Removal]) -> Result<Vec<Result<(), Error>>, Error> {
        Ok(items.iter().map(|item| remove(broker, item)).collect())
    }

    fn relocate(broker: &mut B, from: &str, to: &str) -> Result<Relocation, Error> {
        let item = broker.rename(from, to, &Mode::Create)?;
        Ok(Relocation::Done(item.entry(to.to_owned())))
    }

    fn usage(broker: &mut B) -> Result<Space, Error> {
        let space = Folder::usage(broker)?;
        Ok(Space { used: Some(space.total.saturating_sub(space.free)), total: Some(space.total) })
    }
}

fn remove<B: Folder>(broker: &mut B, item: &Removal) -> Result<(), Error> {
    if item.kind == Kind::Folder && item.revision.is_some() {
        // Entries of folders have none, so this is of something that was a file.
        return Err(Error::Conflict);
    }
    Ok(Folder::remove(broker, item)?)
}

#[cfg(test)]
mod tests {
    use wharf_connector::folder::{Item, ItemKind, Listing, Moment, Named, Problem};
    use wharf_connector::{Datetime, Mode};

    use super::testing::Fake;
    use super::*;

    const MOMENT: Moment = Moment { seconds: 100, nanoseconds: 5 };

    fn item(kind: ItemKind) -> Item {
        Item { kind, size: 7, modified: Some(MOMENT), revision: "r1".to_owned() }
    }

    fn file() -> Fake {
        Fake::new(item(ItemKind::File))
    }

    fn info(mode: Mode) -> Info {
        let modified = Some(Datetime { seconds: 100, nanoseconds: 5 });
        Info { size: 7, modified, keep_modified: false, mode }
    }

    #[test]
    fn a_file_is_told_as_it_is() {
        let entry = Local::stat(&mut file(), "a/f").unwrap();
        assert_eq!((entry.path.as_str(), entry.kind, entry.size), ("a/f", Kind::File, 7));
        assert_eq!(entry.modified, Some(Datetime { seconds: 100, nanoseconds: 5 }));
        assert_eq!((entry.revision.as_deref(), entry.hash), (Some("r1"), None));
        let folder = Local::stat(&mut Fake::new(item(ItemKind::Folder)), "a").unwrap();
        assert_eq!((folder.kind, folder.revision), (Kind::Folder, None));
    }

    #[test]
    fn a_page_has_whole_paths() {
        let mut fake = file();
        let named = |name: &str| Named { name: name.to_owned(), item: item(ItemKind::File) };
        fake.listing = Listing { items: vec![named("b"), named("c d")], next: Some("c d".to_owned()) };
        let page = Local::list(&mut fake, "a", false, Some("a1")).unwrap();
        let paths: Vec<&str> = page.entries.iter().map(|entry| &*entry.path).collect();
        assert_eq!((paths, page.next.as_deref()), (vec!["a/b", "a/c d"], Some("c d")));
        assert_eq!(fake.asked, [r#"list a Some("a1")"#]);
        let page = Local::list(&mut fake, "", false, None).unwrap();
        assert_eq!(page.entries[0].path, "b");
        assert_eq!(Local::list(&mut fake, "", true, None), Err(Error::Unsupported));
    }

    #[test]
    fn a_file_is_one_write() {
        let mut fake = file();
        let revision = Mode::ReplaceIfRevision("r0".to_owned());
        for mode in [Mode::Replace, Mode::Create, revision] {
            let entry = Local::put(&mut fake, "f", &(), &info(mode)).unwrap();
            assert_eq!(entry.revision.as_deref(), Some("r1"));
        }
        assert_eq!(fake.asked[1], "write f Mode::Create Some(100)");
    }

    #[test]
    fn only_the_revision_that_was_asked_for_is_read() {
        let mut fake = file();
        let get = |fake: &mut Fake, offset, revision| {
            Local::get(fake, "f", offset, Some(3), revision).map(|download| download.offset)
        };
        assert_eq!(get(&mut fake, 2, None), Ok(2));
        assert_eq!(get(&mut fake, 2, Some("r1")), Ok(2));
        assert_eq!(get(&mut fake, 9, None), Ok(7), "beyond the end is at its end");
        assert_eq!(get(&mut fake, 0, Some("r0")), Err(Error::Conflict));
    }

    #[test]
    fn each_removal_has_its_own_result() {
        let removal = |kind, revision: Option<&str>| Removal {
            path: "x".to_owned(),
            kind,
            revision: revision.map(str::to_owned),
        };
        let items = [removal(Kind::File, Some("r1")), removal(Kind::Folder, Some("r1"))];
        let mut fake = file();
        let results = Local::remove(&mut fake, &items).unwrap();
        assert_eq!(results, [Ok(()), Err(Error::Conflict)]);
        fake.problem = Some(Problem::NotFound);
        assert_eq!(Local::remove(&mut fake, &items[..1]), Ok(vec![Err(Error::NotFound)]));
    }

    #[test]
    fn problems_keep_their_meaning() {
        let check = |problem: Problem, expected: Error| {
            let fake = &mut Fake { problem: Some(problem), ..file() };
            assert_eq!(Local::put(fake, "f", &(), &info(Mode::Create)), Err(expected));
        };
        check(Problem::Exists, Error::Exists);
        check(Problem::WrongKind, Error::WrongKind);
        check(Problem::Denied, Error::Denied);
        check(Problem::Conflict, Error::Conflict);
        check(Problem::NoSpace, Error::Quota);
        check(Problem::TooLarge, Error::TooLarge);
        check(Problem::SourceChanged, Error::SourceChanged);
        check(Problem::TimedOut, Error::Unavailable);
        check(Problem::BadName("why".to_owned()), Error::BadName("why".to_owned()));
        check(Problem::Other("why".to_owned()), Error::Other("why".to_owned()));
    }

    #[test]
    fn there_are_no_parts() {
        let fake = &mut file();
        assert_eq!(Local::begin_upload(fake, "f", &info(Mode::Replace), None), Err(Error::Unsupported));
        assert_eq!(Local::finish_uploads(fake, &[]), Err(Error::Unsupported));
        assert_eq!(Local::abort_upload(fake, "s"), Err(Error::Unsupported));
    }
}
