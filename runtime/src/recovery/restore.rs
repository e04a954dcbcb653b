//! What comes back from an export: told first, then written.
//!
//! Everything is looked at before anything is written. Then publishers come first, accounts next,
//! destinations last, since each names what is before it; each is created whole and only where there is
//! none of its name. So a crash leaves a home in which the same recovery can be run again, and finds the
//! first half there already. A destination comes back read-only, with what it was granted to read.

use semver::Version;

use super::{Archive, Error, Recovery};
use crate::{
    account::{self, Accounts},
    destination::{self, ConnectorReference, Destination},
    home::{Created, Name},
    registry::{self, Installed},
    trust::{Accepted, Publisher, Stands},
};

/// What happens to one thing of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is not here, and will be.
    New,
    /// It is here now.
    Restored,
    /// It was here already, as it should be.
    Same,
    /// Another one of that name is here, and stays.
    Kept(String),
    /// It cannot be here.
    Refused(String),
}

/// What kind of thing it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    Publisher,
    Revocations,
    Account,
    Destination,
}

/// One thing of an export.
#[derive(Debug)]
pub struct Item {
    /// Its name; of revocations, the publisher's.
    pub name: Name,
    /// What happens to it.
    pub fate: Fate,
    thing: Thing,
}

#[derive(Debug)]
enum Thing {
    Publisher(Publisher),
    Revocations(Accepted),
    Account(account::Exported),
    /// None where its file is broken.
    Destination(Option<Box<Destination>>),
}

/// A connector that was installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connector {
    /// As it was there.
    pub installed: Installed,
    /// Is it here?
    pub presence: Presence,
}

/// Is a connector here?
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// The very same.
    Same,
    /// Of the same id, in this version and with other contents.
    Other(Version),
    /// No.
    Missing,
}

/// What a recovery would do, or did.
#[derive(Debug)]
pub struct Plan {
    /// In the order in which it is written.
    pub items: Vec<Item>,
    /// Not restored: to be installed by the operator.
    pub connectors: Vec<Connector>,
}

impl Item {
    /// What kind of thing it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self.thing {
            Thing::Publisher(_) => Kind::Publisher,
            Thing::Revocations(_) => Kind::Revocations,
            Thing::Account(_) => Kind::Account,
            Thing::Destination(_) => Kind::Destination,
        }
    }
}

impl Recovery<'_> {
    /// What of an export would come into this home? `signed_in` is the account that was signed in here to
    /// get at it, which may well be one of those that are exported.
    ///
    /// # Errors
    /// When the home cannot be read, or the export holds what no home has.
    pub fn plan(&self, archive: &Archive, signed_in: Option<&Name>) -> Result<Plan, Error> {
        let mut items = self.publishers(archive)?;
        for (name, exported) in &archive.contents.accounts {
            let fate = self.account(name, exported, signed_in)?;
            items.push(Item { name: name.clone(), fate, thing: Thing::Account(exported.clone()) });
        }
        for (name, text) in &archive.contents.destinations {
            items.push(self.planned(name, text, archive, &items));
        }
        let connectors = archive.contents.connectors.iter().map(|installed| self.connector(installed));
        Ok(Plan { connectors: connectors.collect::<Result<_, Error>>()?, items })
    }

    /// Do it. Interrupted at any instant, it can be planned and done again.
    ///
    /// # Errors
    /// When the home cannot be written.
    pub fn apply(&self, plan: &mut Plan) -> Result<(), Error> {
        for item in plan.items.iter_mut().filter(|item| item.fate == Fate::New) {
            item.fate = match &item.thing {
                Thing::Publisher(publisher) => done(self.host.trust().import(publisher)?),
                Thing::Revocations(accepted) => done(self.host.trust().import_list(accepted)?),
                Thing::Account(exported) => {
                    done(self.host.accounts().import(&item.name, exported)? == Created::Yes)
                }
                Thing::Destination(None) => continue,
                Thing::Destination(Some(destination)) => match self.host.destinations().create(destination) {
                    Ok(()) => Fate::Restored,
                    Err(destination::Error::Exists(_)) => done(false),
                    Err(error) => return Err(error.into()),
                },
            };
        }
        Ok(())
    }

    fn publishers(&self, archive: &Archive) -> Result<Vec<Item>, Error> {
        let (trust, mut items) = (self.host.trust(), Vec::new());
        for publisher in archive.contents.trust.publishers()? {
            let fate = match trust.stands(&publisher)? {
                Stands::New => Fate::New,
                Stands::Same => Fate::Same,
                Stands::Differs => {
                    Fate::Kept("has other keys or ids here; `wharf trust list` shows them".to_owned())
                }
                Stands::Clashes(problem) => Fate::Refused(problem),
            };
            items.push(Item { name: publisher.name.clone(), fate, thing: Thing::Publisher(publisher) });
        }
        for accepted in archive.contents.trust.lists()? {
            // The list of a publisher whom nobody trusts any more binds nobody.
            let is_known = items.iter().any(|item| item.name == accepted.publisher && !item.is_refused());
            if is_known && trust.is_newer(&accepted)? {
                let name = accepted.publisher.clone();
                items.push(Item { name, fate: Fate::New, thing: Thing::Revocations(accepted) });
            }
        }
        Ok(items)
    }

    fn account(
        &self,
        name: &Name,
        exported: &account::Exported,
        signed_in: Option<&Name>,
    ) -> Result<Fate, Error> {
        let can_sign_in = match Accounts::check_exported(name, exported) {
            Ok(can_sign_in) => can_sign_in,
            Err(error) => return Ok(Fate::Refused(error.to_string())),
        };
        let accounts = self.host.accounts();
        if accounts.exists(name) {
            let is_used =
                signed_in == Some(name) && accounts.connector_type(name)? == exported.connector_type(name)?;
            return Ok(if is_used || accounts.is_as_exported(name, exported) {
                Fate::Same
            } else {
                Fate::Kept("is another account here".to_owned())
            });
        }
        Ok(if can_sign_in {
            Fate::New
        } else {
            Fate::Refused(format!(
                "was exported without its secrets; run `wharf account add {name}`, then this command again"
            ))
        })
    }

    fn planned(&self, name: &Name, text: &str, archive: &Archive, before: &[Item]) -> Item {
        let destination = match Destination::parse(name.clone(), text.as_bytes()) {
            Ok(destination) => read_only(destination),
            Err(error) => {
                let fate = Fate::Refused(error.to_string());
                return Item { name: name.clone(), fate, thing: Thing::Destination(None) };
            }
        };
        let destinations = self.host.destinations();
        let fate = if destinations.exists(name) {
            let is_same = destinations.load(name).is_ok_and(|here| here == destination);
            if is_same { Fate::Same } else { Fate::Kept("is another destination here".to_owned()) }
        } else {
            match self.account_problem(&destination, archive, before) {
                Some(problem) => Fate::Refused(problem),
                None => Fate::New,
            }
        };
        Item { name: name.clone(), fate, thing: Thing::Destination(Some(Box::new(destination))) }
    }

    /// Why the account that a destination names is of no use to it here.
    fn account_problem(
        &self,
        destination: &Destination,
        archive: &Archive,
        before: &[Item],
    ) -> Option<String> {
        let account = destination.account.as_ref()?;
        let comes = before
            .iter()
            .any(|item| item.kind() == Kind::Account && item.name == *account && item.fate == Fate::New);
        if comes {
            return None;
        }
        let Ok(here) = self.host.accounts().connector_type(account) else {
            return Some(format!("names account `{account}`, which is not here"));
        };
        let exported = archive.contents.accounts.get(account)?;
        let there = exported.connector_type(account).ok()?;
        (here != there).then(|| {
            format!("names account `{account}`, which is of type `{here}` here, and was of type `{there}`")
        })
    }

    fn connector(&self, installed: &Installed) -> Result<Connector, Error> {
        let reference = ConnectorReference { name: installed.id.clone(), version: None };
        let presence = match self.host.registry().get(&reference) {
            Ok(here) if here.digest == installed.digest => Presence::Same,
            Ok(here) => Presence::Other(here.version),
            Err(registry::Error::NotInstalled(_)) => Presence::Missing,
            Err(error) => return Err(error.into()),
        };
        Ok(Connector { installed: installed.clone(), presence })
    }
}

impl Item {
    const fn is_refused(&self) -> bool {
        matches!(self.fate, Fate::Refused(_))
    }
}

/// Somebody may have been faster since it was planned.
fn done(is_done: bool) -> Fate {
    if is_done { Fate::Restored } else { Fate::Kept("came into this home meanwhile".to_owned()) }
}

/// The directory belongs to the server that is gone: nothing is written there from here.
fn read_only(mut destination: Destination) -> Destination {
    destination.read_only = true;
    destination.dr = false;
    destination.grants = destination.grants.only_reading();
    destination
}
