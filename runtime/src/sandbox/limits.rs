//! What one operation of a guest may use. Every bound is here, with its unit and its reason.

use std::time::Duration;

/// Limits of one operation. The defaults are the constants of this file; an operator may set others, up
/// to the ceilings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Time that the guest's own instructions may take.
    pub cpu: Duration,
    /// Time that may pass outside the host: a guest that sleeps uses this up, one that waits for the
    /// service does not.
    pub wall: Duration,
    /// Linear memory, in bytes, all memories of the instance together.
    pub memory_bytes: usize,
}

impl Limits {
    /// As far as the ceilings allow.
    #[must_use]
    pub fn within_ceilings(self) -> Self {
        Self {
            cpu: self.cpu.min(CPU_CEILING),
            wall: self.wall.min(WALL_CEILING),
            memory_bytes: self.memory_bytes.min(MEMORY_BYTES_CEILING),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { cpu: CPU_MAX, wall: WALL_MAX, memory_bytes: MEMORY_BYTES_MAX }
    }
}

/// The most computing that an operator can allow: what runs for a minute is not waiting for a service.
pub const CPU_CEILING: Duration = Duration::from_secs(60);
/// The most waiting by itself that an operator can allow.
pub const WALL_CEILING: Duration = Duration::from_secs(300);
/// The most memory that an operator can allow, in bytes: an interpreter with its heap, and still four of
/// them in a gigabyte.
pub const MEMORY_BYTES_CEILING: usize = 256 * 1024 * 1024;

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
/// the host may be late by. Waking a thread this often takes one per cent of a core, five at 1 ms.
pub const TICK: Duration = Duration::from_millis(5);
/// Operations that can be under way in one process: the most threads that a destination can have,
/// and some for its neighbours.
pub const OPERATIONS_MAX: u32 = 1000;
