//! What one operation of a guest may use. Every bound is here, with its unit and its reason.

use std::str::FromStr;
use std::time::Duration;

/// Limits of one operation. The defaults are the constants of this file; an operator may set others, up
/// to the ceilings of [`NAMED`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Time that the guest's own instructions may take.
    pub cpu: Duration,
    /// Time that may pass outside the host: a guest that sleeps uses this up, one that waits for the
    /// service does not.
    pub wall: Duration,
    /// Linear memory, in bytes, all memories of the instance together.
    pub memory_bytes: usize,
    /// The guest's stack, in bytes.
    pub stack_bytes: usize,
    /// Elements of all tables together.
    pub table_elements: usize,
    /// Open handles on either side of the border.
    pub handles: usize,
    /// Bytes that it may log.
    pub log_bytes: usize,
    /// Bytes of a reply that it gets to see.
    pub reply_bytes: u32,
    /// Bytes of a reply's headers.
    pub header_bytes: usize,
    /// Bytes of an address that it asks for.
    pub url_bytes: usize,
    /// Requests that it may make.
    pub requests: u64,
}

impl Limits {
    /// All that an operator can allow.
    #[must_use]
    pub fn ceilings() -> Self {
        let mut limits = Self::default();
        for limit in &NAMED {
            (limit.set)(&mut limits, limit.most);
        }
        limits
    }

    /// As far as the ceilings allow.
    #[must_use]
    pub fn within_ceilings(mut self) -> Self {
        for limit in &NAMED {
            if (limit.get)(&self) > limit.most {
                (limit.set)(&mut self, limit.most);
            }
        }
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cpu: CPU_MAX,
            wall: WALL_MAX,
            memory_bytes: MEMORY_BYTES_MAX,
            stack_bytes: STACK_BYTES_MAX,
            table_elements: TABLE_ELEMENTS_MAX,
            handles: HANDLES_MAX,
            log_bytes: LOG_BYTES_MAX,
            reply_bytes: REPLY_BYTES_MAX,
            header_bytes: HEADER_BYTES_MAX,
            url_bytes: URL_BYTES_MAX,
            requests: REQUESTS_MAX,
        }
    }
}

/// A limit as an operator names it.
#[derive(Debug, Clone, Copy)]
pub struct Named {
    /// Its name.
    pub name: &'static str,
    /// What it counts, in what an operator counts it in.
    pub what: &'static str,
    /// The most that an operator can allow, in that.
    pub most: u64,
    /// What it is, in that; begun ones count.
    pub get: fn(&Limits) -> u64,
    /// Make it this many.
    pub set: fn(&mut Limits, u64),
}

/// Bytes of a MiB.
const MIB: usize = 1024 * 1024;
/// Bytes of a KiB.
const KIB: usize = 1024;

fn bytes(amount: u64, unit: usize) -> usize {
    usize::try_from(amount).unwrap_or(usize::MAX).saturating_mul(unit)
}

fn units(bytes: usize, unit: usize) -> u64 {
    u64::try_from(bytes.div_ceil(unit)).unwrap_or(u64::MAX)
}

/// All that an operator can set.
pub const NAMED: [Named; 11] = [
    Named {
        name: "cpu",
        what: "seconds of computing",
        // What runs for a minute is not waiting for a service.
        most: 60,
        get: |limits| limits.cpu.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX),
        set: |limits, seconds| limits.cpu = Duration::from_secs(seconds),
    },
    Named {
        name: "wait",
        what: "seconds of waiting by itself",
        // A service that is polled by the guest itself; transfers wait inside the host.
        most: 300,
        get: |limits| limits.wall.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX),
        set: |limits, seconds| limits.wall = Duration::from_secs(seconds),
    },
    Named {
        name: "memory",
        what: "MiB of memory",
        // An interpreter with its heap, and still four of them in a gigabyte.
        most: 256,
        get: |limits| units(limits.memory_bytes, MIB),
        set: |limits, amount| limits.memory_bytes = bytes(amount, MIB),
    },
    Named {
        name: "stack",
        what: "KiB of stack",
        // What the host does inside a call needs the rest of the 2 MiB that both run on.
        most: 1024,
        get: |limits| units(limits.stack_bytes, KIB),
        set: |limits, amount| limits.stack_bytes = bytes(amount, KIB),
    },
    Named {
        name: "tables",
        what: "elements of tables",
        // Ten times what a large guest has; 8 MB.
        most: 1_000_000,
        get: |limits| units(limits.table_elements, 1),
        set: |limits, amount| limits.table_elements = bytes(amount, 1),
    },
    Named {
        name: "handles",
        what: "open handles",
        // Each has a place in a table of the host's.
        most: 4096,
        get: |limits| units(limits.handles, 1),
        set: |limits, amount| limits.handles = bytes(amount, 1),
    },
    Named {
        name: "log",
        what: "KiB of log lines",
        // A log that is read by a vendor who looks for a defect.
        most: 16 * 1024,
        get: |limits| units(limits.log_bytes, KIB),
        set: |limits, amount| limits.log_bytes = bytes(amount, KIB),
    },
    Named {
        name: "reply",
        what: "MiB of a reply",
        // It is in memory on both sides of the border.
        most: 32,
        get: |limits| u64::from(limits.reply_bytes.div_ceil(1024 * 1024)),
        set: |limits, amount| limits.reply_bytes = u32::try_from(bytes(amount, MIB)).unwrap_or(u32::MAX),
    },
    Named {
        name: "headers",
        what: "KiB of a reply's headers",
        // All of them are in memory before one is looked at.
        most: 1024,
        get: |limits| units(limits.header_bytes, KIB),
        set: |limits, amount| limits.header_bytes = bytes(amount, KIB),
    },
    Named {
        name: "url",
        what: "KiB of an address",
        // What the libraries on the way hold.
        most: 60,
        get: |limits| units(limits.url_bytes, KIB),
        set: |limits, amount| limits.url_bytes = bytes(amount, KIB),
    },
    Named {
        name: "requests",
        what: "requests",
        // A folder of a million items, removed one by one.
        most: 1_000_000,
        get: |limits| limits.requests,
        set: |limits, amount| limits.requests = amount,
    },
];

/// A limit that an operator set, as `NAME=AMOUNT`.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    limit: Named,
    amount: u64,
}

impl Setting {
    /// Make it so.
    pub fn apply(&self, limits: &mut Limits) {
        (self.limit.set)(limits, self.amount);
    }
}

/// Why a text sets no limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// No name and amount.
    #[error("a limit is set as NAME=AMOUNT, like `memory=128`")]
    Form,
    /// There is no such limit.
    #[error("there is no limit `{0}`; there are: {names}", names = NAMED.map(|limit| limit.name).join(", "))]
    Name(String),
    /// Not a number in its range.
    #[error("`{name}` is a number from 1 to {most}: {what}")]
    Amount {
        /// Which limit.
        name: &'static str,
        /// What it counts.
        what: &'static str,
        /// The ceiling.
        most: u64,
    },
}

impl FromStr for Setting {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let (name, amount) = text.split_once('=').ok_or(SettingError::Form)?;
        let known = NAMED.into_iter().find(|limit| limit.name == name);
        let limit = known.ok_or_else(|| SettingError::Name(crate::shown::shown(name, NAME_BYTES_SHOWN)))?;
        match amount.parse() {
            Ok(amount) if (1..=limit.most).contains(&amount) => Ok(Self { limit, amount }),
            _ => Err(SettingError::Amount { name: limit.name, what: limit.what, most: limit.most }),
        }
    }
}

/// Bytes of a name that is none, in a message.
const NAME_BYTES_SHOWN: usize = 64;

/// A listing of 1,000 entries takes 20 to 40 ms to parse; a guest that needs a second is stuck.
pub const CPU_MAX: Duration = Duration::from_secs(1);
/// Nothing in the contract asks a guest to wait by itself.
pub const WALL_MAX: Duration = Duration::from_secs(10);
/// A transfer needs about 1 MiB, the largest reply (8 MiB) several times its size while it is parsed.
pub const MEMORY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Elements of all tables: function pointers of a large guest.
pub const TABLE_ELEMENTS_MAX: usize = 100_000;
/// Core instances of one component: Rust guests have 3, guests with an engine inside under 20.
pub const INSTANCES_MAX: usize = 64;
/// Memories and tables of one component.
pub const MEMORIES_MAX: usize = 8;
/// Open handles on either side of the border. The contract hands out one or two at a time.
pub const HANDLES_MAX: usize = 256;
/// Bytes that one call may carry from the guest to the host, lists and strings together: the largest
/// is a request with 2 MiB of JSON.
pub const HOSTCALL_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of an address: paths of 400 characters, thrice as long when they are encoded, and a cursor.
pub use crate::grant::URL_BYTES_MAX;
/// Bytes of a reply's headers: the services send 1 to 2 KiB.
pub use crate::network::HEADER_BYTES_MAX;
/// Bytes of a reply that the guest gets to see.
pub const REPLY_BYTES_MAX: u32 = 8 * 1024 * 1024;
/// Bytes that one `content.read` returns.
pub const READ_BYTES_MAX: u32 = 1024 * 1024;
/// How often a guest may have its content read or hashed: each of the four hashes once, and a look at
/// the bytes.
pub const LOOKS_MAX: u64 = 5;
/// Bytes that a look costs at the least: a look at one byte is a trip to the disk all the same.
pub const LOOK_BYTES_MIN: u64 = 4096;
/// Bytes of looking that even the smallest content allows for.
pub const LOOK_BYTES_FREE: u64 = 16 * 1024 * 1024;
/// Replies of one operation whose body is still open: a download has one, and a redirect before it.
pub const OPEN_BODIES_MAX: usize = 4;
/// Requests of one operation. Removing a folder of 1,000 items on OneDrive takes 1,000.
pub const REQUESTS_MAX: u64 = 10_000;
/// Log bytes of one operation, standard output and error included.
pub const LOG_BYTES_MAX: usize = 64 * 1024;
/// Random bytes per call: what seeds a hash map is 16.
pub const RANDOM_BYTES_MAX: u64 = 64 * 1024;
/// Length of a text that an operation returns (an error, a revision, a session), in bytes.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;
/// Length of an item's id, in bytes: OneDrive's have under 100.
pub const ID_BYTES_MAX: usize = 1024;
/// Entries of one page of a listing: Dropbox sends about 2,000.
pub const PAGE_ENTRIES_MAX: usize = 20_000;

/// The stack of a guest, in bytes; what wasmtime gives by default, stated so that it cannot change
/// under us.
pub const STACK_BYTES_MAX: usize = 512 * 1024;
/// The stack that a guest and the host functions it calls run on.
pub const ASYNC_STACK_BYTES: usize = 2 * 1024 * 1024;
/// How often running guests are interrupted to look at their budget, and at whether they go aside: what
/// the host may be late by. Waking a thread this often takes one per cent of a core, four at 1 ms.
pub const TICK: Duration = Duration::from_millis(5);
/// Operations that can be under way in one process: the most threads that a destination can have,
/// and some for its neighbours.
pub const OPERATIONS_MAX: u32 = 1000;
