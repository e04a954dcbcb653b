//! Whom a home trusts, on its way to another home.
//!
//! What is trusted there already stays as it is; what is new comes in whole, and only if nothing of it is
//! another publisher's. A revocation list is taken if it is newer than the one that is known.

use serde::{Deserialize, Serialize};

use super::{
    Error,
    revocation::Accepted,
    store::{self, Publisher, Trust},
};
use crate::{
    home::{REVOCATIONS_FILE, TRUST_FILE},
    shown::shown,
};

/// `trust.toml` and `revocations.json`, word for word.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exported {
    trust: Option<String>,
    revocations: Option<String>,
}

/// How what was exported stands with what is in a home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stands {
    /// It is not there.
    New,
    /// It is there, just so.
    Same,
    /// There is another one of that name.
    Differs,
    /// It cannot be there beside what is.
    Clashes(String),
}

impl Exported {
    /// How much text it is, in bytes.
    pub(crate) fn len(&self) -> usize {
        [&self.trust, &self.revocations].into_iter().flatten().map(String::len).sum()
    }

    /// The publishers.
    ///
    /// # Errors
    /// When it is not as `trust.toml` must be.
    pub fn publishers(&self) -> Result<Vec<Publisher>, Error> {
        self.trust.as_deref().map_or_else(|| Ok(Vec::new()), |text| store::parse(text.as_bytes()))
    }

    /// Their revocation lists.
    ///
    /// # Errors
    /// When it is not as `revocations.json` must be.
    pub fn lists(&self) -> Result<Vec<Accepted>, Error> {
        let Some(text) = &self.revocations else { return Ok(Vec::new()) };
        let lists = store::parse_lists(text.as_bytes())?;
        for accepted in &lists {
            accepted.list.to_text().map_err(Error::List)?;
        }
        Ok(lists)
    }
}

impl Trust {
    /// Take it all along, as it is written.
    ///
    /// # Errors
    /// When a file cannot be read, or is no text.
    pub(crate) fn export(&self) -> Result<Exported, Error> {
        let text = |file: &'static str, bytes: Option<Vec<u8>>| {
            let wrong = |_| Error::File { file, problem: "is no text".to_owned() };
            bytes.map(|bytes| String::from_utf8(bytes).map_err(wrong)).transpose()
        };
        let [trust, revocations] = self.raw()?;
        Ok(Exported { trust: text(TRUST_FILE, trust)?, revocations: text(REVOCATIONS_FILE, revocations)? })
    }

    /// How does this publisher stand with those of this home?
    ///
    /// # Errors
    /// When `trust.toml` cannot be read.
    pub(crate) fn stands(&self, publisher: &Publisher) -> Result<Stands, Error> {
        let known = self.publishers()?;
        if let Some(known) = known.iter().find(|known| known.name == publisher.name) {
            return Ok(if known == publisher { Stands::Same } else { Stands::Differs });
        }
        let clash = known.iter().find_map(|known| store::check_pair(known, publisher).err());
        Ok(clash.map_or(Stands::New, |error| Stands::Clashes(shown(&error.to_string(), 200))))
    }

    /// Trust a publisher that is not known here. Returns whether it was so.
    ///
    /// # Errors
    /// As [`stands`](Self::stands), and when it cannot be written.
    pub(crate) fn import(&self, publisher: &Publisher) -> Result<bool, Error> {
        if self.stands(publisher)? != Stands::New {
            return Ok(false);
        }
        self.change(|publishers| {
            let is_new = publishers.iter().all(|known| known.name != publisher.name);
            if is_new {
                publishers.push(publisher.clone());
            }
            Ok(is_new)
        })
    }

    /// Take a list of a publisher that is known, if it is newer. Returns whether it was.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub(crate) fn import_list(&self, accepted: &Accepted) -> Result<bool, Error> {
        let _lock = self.lock()?;
        if !self.is_newer(accepted)? {
            return Ok(false);
        }
        let mut lists = self.lists()?;
        lists.retain(|known| known.publisher != accepted.publisher);
        lists.push(accepted.clone());
        self.write_lists(lists)?;
        Ok(true)
    }

    /// Is this list newer than what is known of its publisher?
    ///
    /// # Errors
    /// When `revocations.json` cannot be read.
    pub(crate) fn is_newer(&self, accepted: &Accepted) -> Result<bool, Error> {
        let mut known = self.lists()?.into_iter().filter(|known| known.publisher == accepted.publisher);
        Ok(known.all(|known| known.list.number < accepted.list.number))
    }
}
