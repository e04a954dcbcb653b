//! Tries to get out of its folder, and to have more of it than it was given: the deeds are the test's.

use hostile::{Abuse, page};
use serde::Deserialize;
use serde_json::{Value, json};
use wharf_connector::folder::Problem;
use wharf_connector::{Download, Entry, Error, Folder, Info, Kind, Mode, Page, Removal};

wharf_connector::component!(hostile::Hostile<crate::Burrow>);

/// The abuse.
#[derive(Debug)]
pub struct Burrow;

/// One deed at one path; of a renaming, `to` another.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Deed {
    what: String,
    path: String,
    to: Option<String>,
}

impl<B: Folder> Abuse<B> for Burrow {
    /// Runs the deeds of `next`; what came of each is in the answer.
    fn list(folder: &mut B, _path: &str, next: Option<&str>) -> Result<Page, Error> {
        let deeds: Vec<Deed> = serde_json::from_str(next.unwrap_or_default())
            .map_err(|error| Error::Other(error.to_string()))?;
        let results: Value = deeds.iter().map(|deed| told(run(folder, deed))).collect();
        Ok(page(&results.to_string()))
    }

    /// Stores the file at another path than it was told, and says that it did as told.
    fn put(folder: &mut B, path: &str, source: &B::Content, info: &Info) -> Result<Entry, Error> {
        let other = path.replace("honest", "../elsewhere");
        Ok(folder.write(&other, source, &info.mode, info.modified)?.entry(path.to_owned()))
    }

    /// Opens a file thousands of times, keeps all, and hands the last over.
    fn get(folder: &mut B, path: &str) -> Result<Download<B::Body>, Error> {
        let mut open = Vec::new();
        let mut refused = 0_u32;
        for _ in 0..5000 {
            match folder.open(path, 0, None) {
                Ok((_, body)) => open.push(body),
                Err(Problem::Invalid(_)) => refused += 1,
                Err(problem) => return Err(problem.into()),
            }
        }
        Err(Error::Other(format!("{} open, {refused} refused", open.len())))
    }
}

fn run<B: Folder>(folder: &mut B, deed: &Deed) -> Result<(), Problem> {
    let path = deed.path.as_str();
    let removal = |kind| Removal { path: path.to_owned(), kind, revision: None };
    match deed.what.as_str() {
        "stat" => folder.stat(path).map(drop),
        "list" => Folder::list(folder, path, None).map(drop),
        "make-folder" => folder.make_folder(path).map(drop),
        "read" => folder.open(path, 0, None).map(drop),
        "remove" => folder.remove(&removal(Kind::File)),
        "remove-folder" => folder.remove(&removal(Kind::Folder)),
        "rename" => folder.rename(path, deed.to.as_deref().unwrap_or_default(), &Mode::Replace).map(drop),
        "usage" => folder.usage().map(drop),
        other => Err(Problem::Other(format!("there is no deed `{other}`"))),
    }
}

fn told(result: Result<(), Problem>) -> Value {
    match result {
        Ok(()) => json!("done"),
        Err(Problem::Invalid(text)) => json!(format!("invalid: {text}")),
        Err(problem) => json!(format!("{problem:?}")),
    }
}
