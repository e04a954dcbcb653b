//! Who wants to change a destination.

use std::fmt;

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The number that the system knows the user by.
    id: u32,
    /// The name of that number, if it has one.
    name: Option<String>,
    /// Does the home belong to this user?
    has_home: bool,
}

impl Caller {
    /// The user of this number and name; `home` is the number of the user that the home belongs to.
    #[must_use]
    pub const fn new(id: u32, name: Option<String>, home: u32) -> Self {
        Self { id, name, has_home: id == home }
    }

    /// May this user do everything?
    #[must_use]
    pub const fn is_root(&self) -> bool {
        self.id == 0
    }

    /// Does the home belong to this user?
    #[must_use]
    pub const fn has_home(&self) -> bool {
        self.has_home
    }

    /// Is this user meant by what a file says: a name, or a number?
    #[must_use]
    pub fn is(&self, owner: &str) -> bool {
        self.name.as_deref() == Some(owner) || owner.parse() == Ok(self.id)
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(formatter, "`{name}`"),
            None => write!(formatter, "user {}", self.id),
        }
    }
}
