//! What was found beside what the catalog knows, path by path.
//!
//! Length first, then a hash that both have, and only then the service's own name for the version: bytes
//! that hash alike are the same, whoever stored them. What was stored after the survey began is newer
//! than what was found, and is left alone.

use rusqlite::{Connection, params};

use super::stage::{FOUND, found_of};
use crate::catalog;
use crate::entry::Entry;
use crate::hash::{Algorithm, Digest};
use crate::path::RelativePath;

/// Paths compared at a time: some hundred kilobytes.
pub(super) const PATHS_MAX: u32 = 1000;

/// How what is stored differs from what the catalog knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// In length.
    #[error("{stored} bytes, and {known} were stored")]
    Size {
        /// What is there.
        stored: u64,
        /// What the catalog knows.
        known: u64,
    },
    /// In a hash.
    #[error("another {algorithm}")]
    Hash {
        /// Which.
        algorithm: &'static str,
    },
    /// There is no hash to compare, and the service calls it another version.
    #[error("another version")]
    Revision,
}

/// One path, as the catalog knows it and as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) path: RelativePath,
    pub(super) known: Option<catalog::Entry>,
    pub(super) found: Option<Entry>,
}

/// What the catalog remembers of a hash.
fn remembered(known: &catalog::Entry, algorithm: Algorithm) -> Option<Digest> {
    let bytes: &[u8] = match algorithm {
        Algorithm::BlockSha256 => known.block_sha256.as_ref()?,
        Algorithm::QuickXor => known.quickxor.as_ref()?,
        Algorithm::Sha256 | Algorithm::Sha1 => return None,
    };
    Digest::new(algorithm, bytes).ok()
}

/// How the two differ, if they do.
pub(super) fn difference(known: &catalog::Entry, found: &Entry) -> Option<Difference> {
    if known.size != found.size {
        return Some(Difference::Size { stored: found.size, known: known.size });
    }
    let hash = found.hash.as_ref();
    if let Some((hash, own)) =
        hash.and_then(|hash| remembered(known, hash.algorithm()).map(|own| (hash, own)))
    {
        let algorithm = hash.algorithm().name();
        return (*hash != own).then_some(Difference::Hash { algorithm });
    }
    match (&known.revision, &found.revision) {
        (Some(known), Some(found)) if known != found => Some(Difference::Revision),
        (Some(_) | None, Some(_) | None) => None,
    }
}

/// The next paths after this one, at most [`PATHS_MAX`], in the order of their bytes, of a folder or a
/// file.
pub(super) fn pairs(
    connection: &Connection,
    (shelf, survey): (i64, i64),
    below: &RelativePath,
    after: Option<&RelativePath>,
) -> Result<Vec<Pair>, rusqlite::Error> {
    let sql = format!(
        "WITH either (path) AS (
             SELECT path FROM (SELECT path FROM entry
                 WHERE shelf = ?1 AND path > ?3 AND (?4 = '' OR path = ?4 OR (path > ?4 || '/' AND path < ?4 || '0'))
                 ORDER BY path LIMIT ?5)
             UNION
             SELECT path FROM (SELECT path FROM survey_found
                 WHERE survey = ?2 AND path > ?3 AND (?4 = '' OR path = ?4 OR (path > ?4 || '/' AND path < ?4 || '0'))
                 ORDER BY path LIMIT ?5)
             ORDER BY path LIMIT ?5
         )
         SELECT either.path, {}, {} FROM either
         LEFT JOIN entry ON entry.shelf = ?1 AND entry.path = either.path
         LEFT JOIN survey_found AS found ON found.survey = ?2 AND found.path = either.path
         ORDER BY either.path",
        columns("entry", catalog::COLUMNS),
        columns("found", FOUND),
    );
    let after = after.map_or("", RelativePath::as_str);
    connection
        .prepare_cached(&sql)?
        .query_map(params![shelf, survey, after, below.as_str(), PATHS_MAX], |row| {
            Ok(Pair {
                path: catalog::path_of(row, 0)?,
                known: catalog::entry_at(row, 1)?,
                found: found_of(row, 8)?,
            })
        })?
        .collect()
}

/// Columns of a table by its name.
fn columns(table: &str, columns: &str) -> String {
    let named: Vec<String> = columns.split(", ").map(|column| format!("{table}.{column}")).collect();
    named.join(", ")
}
