//! How the emulated Dropbox behaves where the real one is known to differ or to be moody.

use serde::{Deserialize, Serialize};

/// What happens to a commit while another of the same namespace is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CommitLock {
    /// Nothing: commits do not notice each other.
    #[default]
    Off,
    /// It waits.
    Queue,
    /// It is refused with `too_many_write_operations`.
    Refuse,
}

/// How a refused commit is told, outside of batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TooManyWrites {
    /// 429 with the reason `too_many_write_operations`.
    #[default]
    RateLimit,
    /// 409 with the endpoint's own tag.
    Conflict,
}

/// The switches of the emulated Dropbox. Every field has a default; JSON may name only some.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DropboxSwitches {
    /// What parallel commits of one namespace do to each other.
    pub commit_lock: CommitLock,
    /// How long a commit holds the namespace, in real milliseconds.
    pub commit_ms: u64,
    /// How a refused commit is told.
    pub too_many_writes: TooManyWrites,
    /// The `Retry-After` of a refused commit, in seconds.
    pub retry_after_seconds: u64,
    /// Tells rate limits in plain text instead of JSON.
    pub plain_rate_limit: bool,
    /// Upload sessions end after so many seconds.
    pub session_seconds: u64,
    /// Keeps what arrived of an append that broke off.
    pub keep_partial_appends: bool,
    /// A finished session is `closed` instead of `not_found`.
    pub finished_is_closed: bool,
    /// Refuses names with characters beyond the basic plane, as was once so.
    pub refuse_emoji: bool,
    /// Composes the letters of every path (Unicode's NFC), so that two spellings of a name are one file.
    pub normalize: bool,
    /// Refuses argument headers that are not pure ASCII.
    pub require_escaped_header: bool,
    /// Entries of a page when `limit` is not given.
    pub page_entries: usize,
    /// Batch jobs take so many milliseconds of emulated time.
    pub job_ms: u64,
    /// Batches of deletes and relocations are always jobs, never done at once.
    pub batches_are_jobs: bool,
    /// Temporary links end after so many seconds.
    pub link_seconds: u64,
    /// The largest body of one request.
    pub request_bytes_max: u64,
    /// `path_display` has the parents' case as requested, not as stored.
    pub display_as_requested: bool,
    /// The most files of one delete or relocation.
    pub files_max: usize,
}

impl Default for DropboxSwitches {
    fn default() -> Self {
        Self {
            commit_lock: CommitLock::Off,
            commit_ms: 0,
            too_many_writes: TooManyWrites::RateLimit,
            retry_after_seconds: 1,
            plain_rate_limit: false,
            session_seconds: 7 * 24 * 3600,
            keep_partial_appends: false,
            finished_is_closed: false,
            refuse_emoji: false,
            normalize: false,
            require_escaped_header: false,
            page_entries: 500,
            job_ms: 200,
            batches_are_jobs: true,
            link_seconds: 4 * 3600,
            request_bytes_max: 150 * 1024 * 1024,
            display_as_requested: false,
            files_max: 10_000,
        }
    }
}
