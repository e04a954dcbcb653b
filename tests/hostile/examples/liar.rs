//! Says that it stored what it never sent.

use hostile::{Abuse, file};
use wharf_connector::{Algorithm, Broker, Entry, Error, Hash, Info, Kind, Page, Progress, Removal, Upload};

wharf_connector::component!(hostile::Hostile<crate::Liar>);

/// The abuse.
#[derive(Debug)]
pub struct Liar;

impl<B: Broker> Abuse<B> for Liar {
    fn abuse(_broker: &mut B, _what: &str) -> Result<Entry, Error> {
        Err(Error::NotFound)
    }

    /// `eternal` names itself as its next page; everything else is empty.
    fn list(_broker: &mut B, path: &str, _next: Option<&str>) -> Result<Page, Error> {
        Ok(Page { entries: Vec::new(), next: (path == "eternal").then(|| "again".to_owned()) })
    }

    fn put(broker: &mut B, path: &str, source: &B::Content, info: &Info) -> Result<Entry, Error> {
        let value = broker.hash(source, Algorithm::BlockSha256).ok_or(Error::SourceChanged)?;
        let hash = Hash { algorithm: Algorithm::BlockSha256, value };
        let honest = Entry { size: info.size, hash: Some(hash), ..file(path) };
        let name = path.rsplit('/').next().unwrap_or_default();
        Ok(match name {
            "size" => Entry { size: info.size + 1, ..honest },
            "hash" => {
                Entry { hash: Some(Hash { algorithm: Algorithm::BlockSha256, value: vec![7; 32] }), ..honest }
            }
            "kind" => Entry { kind: Kind::Folder, ..honest },
            _ => honest,
        })
    }

    fn begin_upload(_broker: &mut B, path: &str, _info: &Info) -> Result<Upload, Error> {
        let session = path.rsplit('/').next().unwrap_or_default().to_owned();
        Ok(Upload { session, progress: Progress::More(0) })
    }

    fn upload_part(_broker: &mut B, session: &str, offset: u64, info: &Info) -> Result<Progress, Error> {
        Ok(match session {
            "beyond" => Progress::More(info.size + 1),
            "back" => Progress::More(0),
            // There and back again, for ever.
            "seesaw" => Progress::More(if offset == 0 { 1 } else { 0 }),
            _ => Progress::Done(Entry { size: info.size, ..file(session) }),
        })
    }

    fn remove(_broker: &mut B, items: &[Removal]) -> Result<Vec<Result<(), Error>>, Error> {
        Ok(items.iter().map(|_| Ok(())).collect())
    }
}
