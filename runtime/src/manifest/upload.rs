//! How files go up: the sizes that a service takes, and the hash that it reports.

use super::{Error, check_phrase, problem};
use crate::hash::Algorithm;

/// Largest part that is accepted from a manifest, in bytes: a part is what is sent again after a cut.
const PART_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Largest batch of commits, in uploads: Dropbox takes 1,000.
const COMMIT_BATCH_MAX: u32 = 1000;

/// Most kinds of files that a service changes: an operator may be shown them.
const ENDINGS_MAX: usize = 64;
/// Longest end of a name, in bytes.
const ENDING_BYTES_MAX: usize = 16;

/// What a service takes. Sizes in bytes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upload {
    /// Largest file that goes in one request.
    pub single_max: u64,
    /// How large the host makes a part.
    pub part_size: u64,
    /// Every part but the last is a multiple of this.
    pub part_quantum: u64,
    /// No part is larger.
    pub part_max: u64,
    /// Does the opening request carry the first part?
    #[serde(default)]
    pub opening_takes_bytes: bool,
    /// How many staged uploads one commit takes.
    #[serde(default = "one")]
    pub commit_batch_max: u32,
    /// The hash that the service reports.
    pub hash: Option<Algorithm>,
    /// The files that the service changes after an upload, if it does that.
    pub rewrites: Option<Rewrites>,
}

/// Files that a service is known to change after an upload: what it keeps of them is not what was sent.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rewrites {
    /// Ends of their names, in lower case, from the dot on.
    pub endings: Vec<String>,
    /// What an operator can do about it, to follow "hint:".
    pub remedy: String,
}

impl Rewrites {
    /// Is this the name of such a file? The ending that says so.
    #[must_use]
    pub fn ending(&self, name: &str) -> Option<&str> {
        let name = name.to_lowercase();
        self.endings.iter().find(|ending| name.ends_with(ending.as_str())).map(String::as_str)
    }

    fn check(&self) -> Result<(), Error> {
        let plain = |ending: &String| {
            ending.len() > 1
                && ending.len() <= ENDING_BYTES_MAX
                && ending.starts_with('.')
                && ending.bytes().skip(1).all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        if self.endings.is_empty() || self.endings.len() > ENDINGS_MAX || !self.endings.iter().all(plain) {
            let expected = format!("needs 1 to {ENDINGS_MAX} endings such as `.docx`, in lower case");
            return Err(problem("upload/rewrites/endings", expected));
        }
        check_phrase("upload/rewrites/remedy", &self.remedy)
    }
}

const fn one() -> u32 {
    1
}

impl Upload {
    pub(super) fn check(&self) -> Result<(), Error> {
        let fits = self.part_quantum > 0
            && self.part_size > 0
            && self.part_size.is_multiple_of(self.part_quantum)
            && self.part_size <= self.part_max
            && self.part_max <= PART_BYTES_MAX;
        if !fits {
            let expected =
                format!("needs part_quantum | part_size <= part_max <= {PART_BYTES_MAX}, all above 0");
            return Err(problem("upload", expected));
        }
        if !(1..=COMMIT_BATCH_MAX).contains(&self.commit_batch_max) {
            return Err(problem("upload/commit_batch_max", format!("is not 1 to {COMMIT_BATCH_MAX}")));
        }
        self.rewrites.as_ref().map_or(Ok(()), Rewrites::check)
    }
}
