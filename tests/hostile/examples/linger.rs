//! Does not come to its end: it loops where what it gave away is taken apart.

use hostile::{Abuse, file};
use wharf_connector::{Broker, Entry, Error};

wharf_connector::component!(hostile::Hostile<crate::Linger>);

/// The abuse.
#[derive(Debug)]
pub struct Linger;

/// Something that is not let go of.
struct Clinging;

impl Drop for Clinging {
    fn drop(&mut self) {
        loop {
            std::hint::spin_loop();
        }
    }
}

impl<B: Broker> Abuse<B> for Linger {
    fn abuse(_broker: &mut B, what: &str) -> Result<Entry, Error> {
        let entry = file(what);
        match what {
            // Freed by what runs after the answer was read.
            #[cfg(target_family = "wasm")]
            "after" => memory::cling_to(entry.path.as_ptr()),
            _ => drop(Clinging),
        }
        Ok(entry)
    }
}

#[cfg(target_family = "wasm")]
#[expect(unsafe_code, reason = "what frees memory is called with raw pointers")]
mod memory {
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// The address that is never freed.
    static CLUNG_TO: AtomicUsize = AtomicUsize::new(0);

    pub(super) fn cling_to(address: *const u8) {
        CLUNG_TO.store(address.addr(), Ordering::Relaxed);
    }

    struct Clinging;

    // SAFETY: the system's allocator does the work.
    unsafe impl GlobalAlloc for Clinging {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: as the caller promised.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, address: *mut u8, layout: Layout) {
            while address.addr() == CLUNG_TO.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
            // SAFETY: as the caller promised.
            unsafe { System.dealloc(address, layout) }
        }
    }

    #[global_allocator]
    static MEMORY: Clinging = Clinging;
}
