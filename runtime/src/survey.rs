//! What a service has, learned and held against the catalog.
//!
//! A survey learns in two ways: it asks what changed since the last time (`follow`), where the service
//! tells and the operator allows it, or it walks through the folders (`walk`). Either way every page
//! goes to the database with what gets the next one, in one transaction (`stage`; `tree` makes paths of
//! ids), so a run that was killed goes on, and memory holds a page. [`reindex`] then brings the catalog in line, and
//! [`check`] only tells what differs (`compare`). Nothing at a service is changed here, and what lies
//! outside of the backup directory is not kept.

mod check;
mod compare;
mod error;
mod follow;
mod reindex;
mod stage;
mod tree;
mod walk;

#[cfg(test)]
mod tests;

pub use check::{Checked, Finding, Options, What, check};
pub use compare::Difference;
pub use error::Error;
pub use reindex::{By, Reindexed, reindex};
pub(crate) use stage::reseal;
