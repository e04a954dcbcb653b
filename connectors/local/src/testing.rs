//! A folder for tests: it answers what it was told to, and remembers what it was asked.

use std::time::Duration;

use wharf_connector::folder::{Item, Listing, Problem, Space};
use wharf_connector::{
    Algorithm, Broker, Datetime, Failure, Folder, Level, Mode, Removal, Reply, Request, Settings,
};

/// Every answer is `item`, or `problem` if there is one.
#[derive(Debug)]
pub(crate) struct Fake {
    pub(crate) item: Item,
    pub(crate) problem: Option<Problem>,
    pub(crate) listing: Listing,
    pub(crate) asked: Vec<String>,
}

impl Fake {
    pub(crate) fn new(item: Item) -> Self {
        let listing = Listing { items: Vec::new(), next: None };
        Self { item, problem: None, listing, asked: Vec::new() }
    }

    fn answer(&mut self, asked: String) -> Result<Item, Problem> {
        self.asked.push(asked);
        self.problem.clone().map_or_else(|| Ok(self.item.clone()), Err)
    }
}

impl Folder for Fake {
    fn stat(&mut self, path: &str) -> Result<Item, Problem> {
        self.answer(format!("stat {path}"))
    }

    fn list(&mut self, path: &str, next: Option<&str>) -> Result<Listing, Problem> {
        self.answer(format!("list {path} {next:?}")).map(|_| self.listing.clone())
    }

    fn make_folder(&mut self, path: &str) -> Result<Item, Problem> {
        self.answer(format!("make-folder {path}"))
    }

    fn open(&mut self, path: &str, offset: u64, len: Option<u64>) -> Result<(Item, ()), Problem> {
        self.answer(format!("read {path} {offset} {len:?}")).map(|item| (item, ()))
    }

    fn write(
        &mut self,
        path: &str,
        _content: &(),
        mode: &Mode,
        modified: Option<Datetime>,
    ) -> Result<Item, Problem> {
        let seconds = modified.map(|modified| modified.seconds);
        self.answer(format!("write {path} {mode:?} {seconds:?}"))
    }

    fn remove(&mut self, removal: &Removal) -> Result<(), Problem> {
        self.answer(format!("remove {} {:?}", removal.path, removal.revision)).map(drop)
    }

    fn rename(&mut self, path: &str, to: &str, mode: &Mode) -> Result<Item, Problem> {
        self.answer(format!("rename {path} {to} {mode:?}"))
    }

    fn usage(&mut self) -> Result<Space, Problem> {
        self.answer("usage".to_owned()).map(|_| Space { total: 2, free: 1 })
    }
}

/// A connector for a folder sends no request.
impl Broker for Fake {
    type Content = ();
    type Body = ();

    fn exchange(&mut self, _: &Request<'_, ()>, _: u32) -> Result<Reply, Failure> {
        Err(Failure::Denied)
    }

    fn fetch(&mut self, _: &Request<'_, ()>) -> Result<(Reply, ()), Failure> {
        Err(Failure::Denied)
    }

    fn settings(&self) -> &Settings {
        unreachable!("nothing here depends on settings")
    }

    fn size(&self, (): &()) -> u64 {
        0
    }

    fn read(&self, (): &(), _: u64, _: u32) -> Option<Vec<u8>> {
        None
    }

    fn hash(&self, (): &(), _: Algorithm) -> Option<Vec<u8>> {
        None
    }

    fn wait(&mut self, _: Duration) {}

    fn log(&mut self, _: Level, _: &str) {}
}
