//! What running a connector has cost, and how often it had to be stopped.
//!
//! Counted in memory while a process runs, and added to the database of the home when a destination is
//! settled: nothing waits for a disk because of a figure. They belong to a digest, so that a new version
//! begins at nothing and can be compared with the old one. Nothing is decided by them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _};
use serde::Serialize;

use crate::registry::Digest;
use crate::state::{self, State};

/// Digests that figures are kept of: every version of every connector that a home sees in years.
const DIGESTS_MAX: i64 = 256;

/// Figures of one component.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Instances that were made: one for each operation.
    pub instances: u64,
    /// Processor time that they took, in microseconds.
    pub cpu_us: u64,
    /// The most memory that one of them had, in bytes.
    pub memory_peak: u64,
    /// Requests that were refused.
    pub refusals: u64,
    /// Operations that ended because it broke down.
    pub traps: u64,
    /// Operations that ended because it took too long.
    pub overdrawn: u64,
}

impl Figures {
    /// What is known of a component; none if it never ran.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn load(state: &State, digest: &Digest) -> Result<Option<Self>, state::Error> {
        let digest = digest.as_str().to_owned();
        state.read(move |connection| load(connection, &digest)).await
    }
}

/// Counts while a process runs. Cheap to clone; all clones count together.
#[derive(Debug, Clone)]
pub(crate) struct Counting(Arc<Counters>);

#[derive(Debug)]
struct Counters {
    digest: Digest,
    instances: AtomicU64,
    cpu_us: AtomicU64,
    memory_peak: AtomicU64,
    traps: AtomicU64,
    overdrawn: AtomicU64,
}

impl Counting {
    pub(crate) fn new(digest: Digest) -> Self {
        let zero = AtomicU64::default;
        let (instances, cpu_us, memory_peak) = (zero(), zero(), zero());
        let (traps, overdrawn) = (zero(), zero());
        Self(Arc::new(Counters { digest, instances, cpu_us, memory_peak, traps, overdrawn }))
    }

    pub(crate) fn instance(&self) {
        self.0.instances.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn computed(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.0.cpu_us.fetch_add(micros, Ordering::Relaxed);
    }

    pub(crate) fn memory(&self, bytes: usize) {
        self.0.memory_peak.fetch_max(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn trap(&self) {
        self.0.traps.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn overdrawn(&self) {
        self.0.overdrawn.fetch_add(1, Ordering::Relaxed);
    }

    /// Add what was counted since the last time to what the home knows.
    ///
    /// # Errors
    /// When the database cannot be written; what was counted is lost then, and nothing else.
    pub(crate) async fn keep(
        &self,
        state: &State,
        refusals: u64,
        now: std::time::SystemTime,
    ) -> Result<(), state::Error> {
        let take = |counter: &AtomicU64| counter.swap(0, Ordering::Relaxed);
        let counters = &self.0;
        let counted = Figures {
            instances: take(&counters.instances),
            cpu_us: take(&counters.cpu_us),
            memory_peak: take(&counters.memory_peak),
            refusals,
            traps: take(&counters.traps),
            overdrawn: take(&counters.overdrawn),
        };
        if counted == Figures::default() {
            return Ok(());
        }
        let digest = counters.digest.as_str().to_owned();
        let now_ms = now.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
        let now_ms = i64::try_from(now_ms).unwrap_or(i64::MAX);
        state.write(move |connection| add(connection, &digest, counted, now_ms)).await
    }
}

fn load(connection: &Connection, digest: &str) -> Result<Option<Figures>, rusqlite::Error> {
    let statement = "SELECT instances, cpu_us, memory_peak, refusals, traps, overdrawn
        FROM figure WHERE digest = ?1";
    connection
        .prepare_cached(statement)?
        .query_row([digest], |row| {
            let count = |column| Ok::<_, rusqlite::Error>(row.get::<_, i64>(column)?.unsigned_abs());
            Ok(Figures {
                instances: count(0)?,
                cpu_us: count(1)?,
                memory_peak: count(2)?,
                refusals: count(3)?,
                traps: count(4)?,
                overdrawn: count(5)?,
            })
        })
        .optional()
}

fn add(connection: &Connection, digest: &str, counted: Figures, now_ms: i64) -> Result<(), rusqlite::Error> {
    let statement =
        "INSERT INTO figure (digest, instances, cpu_us, memory_peak, refusals, traps, overdrawn, counted_ms)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
        ON CONFLICT (digest) DO UPDATE SET
            instances = instances + excluded.instances,
            cpu_us = cpu_us + excluded.cpu_us,
            memory_peak = max(memory_peak, excluded.memory_peak),
            refusals = refusals + excluded.refusals,
            traps = traps + excluded.traps,
            overdrawn = overdrawn + excluded.overdrawn,
            counted_ms = excluded.counted_ms";
    let integer = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    connection.prepare_cached(statement)?.execute((
        digest,
        integer(counted.instances),
        integer(counted.cpu_us),
        integer(counted.memory_peak),
        integer(counted.refusals),
        integer(counted.traps),
        integer(counted.overdrawn),
        now_ms,
    ))?;
    let forget = "DELETE FROM figure WHERE digest NOT IN
        (SELECT digest FROM figure ORDER BY counted_ms DESC LIMIT ?1)";
    connection.prepare_cached(forget)?.execute([DIGESTS_MAX])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::home::tests::scratch;

    #[tokio::test]
    async fn figures_add_up_and_the_oldest_go() {
        let (_folder, home) = scratch();
        let state = State::open(&home).unwrap();
        let digest = Digest::of(b"a component");
        assert_eq!(Figures::load(&state, &digest).await.unwrap(), None);
        for (memory, refusals) in [(300, 1), (200, 4)] {
            // Two processes, one after the other.
            let counting = Counting::new(digest.clone());
            counting.instance();
            counting.instance();
            counting.computed(Duration::from_micros(70));
            counting.memory(memory);
            counting.trap();
            counting.overdrawn();
            counting.keep(&state, refusals, SystemTime::UNIX_EPOCH).await.unwrap();
            counting.keep(&state, 0, SystemTime::UNIX_EPOCH).await.unwrap();
        }
        let expected =
            Figures { instances: 4, cpu_us: 140, memory_peak: 300, refusals: 5, traps: 2, overdrawn: 2 };
        assert_eq!(Figures::load(&state, &digest).await.unwrap(), Some(expected));
        for number in 0..DIGESTS_MAX {
            let other = Counting::new(Digest::of(number.to_string().as_bytes()));
            other.instance();
            let later = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
            other.keep(&state, 0, later).await.unwrap();
        }
        assert_eq!(Figures::load(&state, &digest).await.unwrap(), None);
    }
}
