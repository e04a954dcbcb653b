//! What is exported, where to, and whether that is still so.
//!
//! An export is due when what would be in it is not what the last one to that place had. `exports.json`
//! remembers that as a mac under the recovery key: it tells nothing to who has only the home, and another
//! key or another backup directory makes every export due.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    EXPORTS_FILE, Error, Recovery, RecoveryKey,
    archive::{Archive, Contents, Server},
};
use crate::{attached::Attached, destination::Destination, home::Name, ownership, state::State};

/// Largest `exports.json`: thousands of destinations.
const EXPORTS_BYTES_MAX: u64 = 1024 * 1024;
/// What this version writes into it.
const EXPORTS_FORMAT: u32 = 1;

/// `exports.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    format: u32,
    exports: BTreeMap<Name, Entry>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    mac: String,
    stored: Timestamp,
}

/// An export that was stored.
#[derive(Debug)]
pub struct Export {
    /// What it holds.
    pub archive: Archive,
    /// How large it is.
    pub bytes: usize,
}

/// How the last export to a destination stands with the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// There was none.
    Never,
    /// It has what is configured now.
    Current(Timestamp),
    /// Something changed since.
    Changed(Timestamp),
}

impl Recovery<'_> {
    /// The destinations that exports go to, sorted by name. Broken ones are left out: nothing can be
    /// stored there.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn destinations(&self) -> Result<Vec<Destination>, Error> {
        let all = self.host.destinations().list()?;
        Ok(all.into_iter().flatten().filter(Destination::takes_exports).collect())
    }

    /// How the last export to each of these destinations stands.
    ///
    /// # Errors
    /// When the home cannot be read, or there is no recovery key.
    pub async fn standing(&self, destinations: &[Destination]) -> Result<Vec<Standing>, Error> {
        let key = self.key()?.ok_or(Error::NoKey)?;
        let (contents, record) = (self.contents().await?, self.record()?);
        destinations.iter().map(|destination| stands(&key, &contents, &record, destination)).collect()
    }

    /// Store an export at a destination, if what is configured is not what the last one there had.
    /// None when it has.
    ///
    /// # Errors
    /// As [`export`](Self::export).
    pub async fn export_if_due(&self, attached: &Attached) -> Result<Option<Export>, Error> {
        let destination = self.destination(attached)?;
        match self.standing(std::slice::from_ref(&destination)).await?.first() {
            Some(Standing::Current(_)) => Ok(None),
            Some(Standing::Never | Standing::Changed(_)) | None => self.export(attached).await.map(Some),
        }
    }

    /// Store an export at a destination, and remember it.
    ///
    /// # Errors
    /// [`Error::NotDr`], [`Error::NoKey`], [`Error::TooLarge`], or what the service says.
    pub async fn export(&self, attached: &Attached) -> Result<Export, Error> {
        let destination = self.destination(attached)?;
        let key = self.key()?.ok_or(Error::NoKey)?;
        let contents = self.contents().await?;
        let mac = mac(&key, &contents, &destination)?;
        let archive = Archive { made: self.now(), contents };
        let sealed = archive.seal(&key)?;
        attached.store_export(&sealed).await?;
        self.remember(attached.name(), Entry { mac, stored: archive.made })?;
        Ok(Export { bytes: sealed.len(), archive })
    }

    fn destination(&self, attached: &Attached) -> Result<Destination, Error> {
        let destination = self.host.destinations().load(attached.name())?;
        if destination.takes_exports() { Ok(destination) } else { Err(Error::NotDr(destination.name)) }
    }

    async fn contents(&self) -> Result<Contents, Error> {
        let (destinations, accounts) = (self.host.destinations(), self.host.accounts());
        let server = ownership::Server::of(&State::open(self.home())?).await?;
        let text = |name: Name| Ok((name.clone(), destinations.text(&name)?));
        let account = |name: Name| Ok((name.clone(), accounts.export(&name)?));
        Ok(Contents {
            server: Server { id: server.id, name: server.name },
            destinations: destinations.names()?.into_iter().map(text).collect::<Result<_, Error>>()?,
            accounts: accounts.names()?.into_iter().map(account).collect::<Result<_, Error>>()?,
            trust: self.host.trust().export()?,
            connectors: self.host.registry().list()?,
        })
    }

    fn record(&self) -> Result<Record, Error> {
        let Some(text) = self.home().root().read(EXPORTS_FILE, EXPORTS_BYTES_MAX)? else {
            return Ok(Record { format: EXPORTS_FORMAT, exports: BTreeMap::new() });
        };
        let record: Record =
            serde_json::from_slice(&text).map_err(|error| Error::Record(error.to_string()))?;
        if record.format == EXPORTS_FORMAT {
            return Ok(record);
        }
        Err(Error::Record(format!(
            "it has the format {}, and this Wharf knows {EXPORTS_FORMAT}",
            record.format
        )))
    }

    /// Destinations that are gone are forgotten on the way.
    fn remember(&self, name: &Name, entry: Entry) -> Result<(), Error> {
        let _lock = self.lock()?;
        let mut record = self.record()?;
        record.exports.insert(name.clone(), entry);
        record.exports.retain(|name, _| self.host.destinations().exists(name));
        let text = serde_json::to_vec_pretty(&record).map_err(|error| Error::Record(error.to_string()))?;
        Ok(self.home().root().write(EXPORTS_FILE, &text)?)
    }

    fn now(&self) -> Timestamp {
        Timestamp::try_from(self.host.clock().now()).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

fn stands(
    key: &RecoveryKey,
    contents: &Contents,
    record: &Record,
    destination: &Destination,
) -> Result<Standing, Error> {
    let Some(last) = record.exports.get(&destination.name) else { return Ok(Standing::Never) };
    let is_current = last.mac == mac(key, contents, destination)?;
    Ok(if is_current { Standing::Current(last.stored) } else { Standing::Changed(last.stored) })
}

/// What tells this export from every other. The contents say where each destination leads.
fn mac(key: &RecoveryKey, contents: &Contents, destination: &Destination) -> Result<String, Error> {
    Ok(key.sealer()?.mac(&[b"export", &contents.text()?, destination.name.as_str().as_bytes()]))
}
