//! Who is at work.
//!
//! What a process does over a longer time (an upload in parts) is its own until it ends, however it
//! ends. Each process that has such work holds a lock on a file of its own in `locks/`, under a name
//! that it writes beside the work; whoever can take that lock knows that the owner is gone.

use cap_std::fs::File;
use rand::Rng as _;

use super::{Error, Home, lock_now};

/// How the files are named: `run-` and 32 hexadecimal digits.
const PREFIX: &str = "run-";

/// This process, as one that is at work. Dropped with its last work, its file goes.
#[derive(Debug)]
pub struct Run {
    home: Home,
    name: String,
    number: u128,
    _file: File,
}

impl Run {
    /// The name of the process that bears this number.
    #[must_use]
    pub fn name_of(number: u128) -> String {
        format!("{PREFIX}{number:032x}")
    }

    /// The number in its name, which no other process has.
    #[must_use]
    pub const fn number(&self) -> u128 {
        self.number
    }

    /// The name that its work bears.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Its lock goes with its handle; a file that stays behind is taken away by whoever looks next.
        self.home.locks().forget(&self.name).unwrap_or_default();
    }
}

impl Home {
    /// Be at work from now on.
    ///
    /// # Errors
    /// When the file cannot be made or locked.
    pub fn run(&self) -> Result<Run, Error> {
        loop {
            let number = rand::rng().random::<u128>();
            let name = Run::name_of(number);
            let file = self.locks().open_in_place(&name)?;
            let locked = lock_now(&file).map_err(|source| self.locks().error("lock", &name, source))?;
            // Between making and locking it, somebody may have taken it for a dead one's.
            if locked && self.locks().has(&name) {
                return Ok(Run { home: self.clone(), name, number, _file: file });
            }
        }
    }

    /// Is the process at work that calls itself so? If not, what it left of itself is taken away.
    ///
    /// # Errors
    /// When its file cannot be opened or locked.
    pub fn is_running(&self, name: &str) -> Result<bool, Error> {
        if !is_run(name) || !self.locks().has(name) {
            return Ok(false);
        }
        let file = self.locks().open_in_place(name)?;
        if lock_now(&file).map_err(|source| self.locks().error("lock", name, source))? {
            self.locks().forget(name)?;
            return Ok(false);
        }
        Ok(true)
    }
}

/// A name from the database must not lead to another file.
fn is_run(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|digits| {
        digits.len() == 32
            && digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use crate::home::tests::{child, in_role, scratch};

    #[test]
    fn a_process_is_at_work_until_it_ends() {
        if let Some(home) = in_role("worker") {
            let run = home.run().unwrap();
            home.root().write("state.db-worker", run.name().as_bytes()).unwrap();
            std::thread::sleep(std::time::Duration::from_secs(600));
        }
        let (_folder, home) = scratch();
        let own = home.run().unwrap();
        assert!(home.is_running(own.name()).unwrap());
        let mut worker = child("home::run::tests::a_process_is_at_work_until_it_ends", "worker", home.path());
        let name = loop {
            if let Some(name) = home.root().read("state.db-worker", 100).unwrap() {
                break String::from_utf8(name).unwrap();
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        };
        assert!(home.is_running(&name).unwrap());
        worker.kill().unwrap();
        worker.wait().unwrap();
        assert!(!home.is_running(&name).unwrap());
        assert!(!home.locks().has(&name), "nothing of it stays");
        let name = own.name().to_owned();
        drop(own);
        assert!(!home.is_running(&name).unwrap());
        assert!(!home.is_running("../key").unwrap());
    }
}
