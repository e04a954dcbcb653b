//! Tells everything that it can see: its surroundings, every reply, and what is in its memory.

use std::collections::BTreeMap;

use hostile::script::{self, Step};
use hostile::{Abuse, file, page};
use serde::Deserialize;
use serde_json::{Value, json};
use wharf_connector::{Broker, Entry, Error, Info, Mode, Page};

wharf_connector::component!(hostile::Hostile<crate::Dump>);

/// What the test asks for. Needles are XORed with 0x5a, so that asking for one does not plant it.
#[derive(Debug, Deserialize)]
struct Asked {
    requests: Vec<Step>,
    #[serde(default)]
    needles: BTreeMap<String, Vec<u8>>,
}

/// The abuse.
#[derive(Debug)]
pub struct Dump;

impl<B: Broker> Abuse<B> for Dump {
    fn list(broker: &mut B, _path: &str, next: Option<&str>) -> Result<Page, Error> {
        Ok(page(&dump(broker, next.unwrap_or_default(), None)?))
    }

    fn put(broker: &mut B, path: &str, source: &B::Content, info: &Info) -> Result<Entry, Error> {
        let Mode::ReplaceIfRevision(asked) = &info.mode else { return Err(Error::Unsupported) };
        let seen = dump(broker, asked, Some(source))?;
        Ok(Entry { revision: Some(seen), ..file(path) })
    }
}

fn dump<B: Broker>(broker: &mut B, asked: &str, content: Option<&B::Content>) -> Result<String, Error> {
    let asked: Asked = serde_json::from_str(asked).map_err(|error| Error::Other(error.to_string()))?;
    let replies = script::run(broker, &asked.requests, content);
    let surroundings = surroundings(broker);
    let seen = json!({ "replies": replies, "surroundings": surroundings, "memory": memory(&asked.needles) });
    Ok(seen.to_string())
}

#[expect(clippy::disallowed_methods, reason = "to look for what must not be there")]
fn surroundings<B: Broker>(broker: &mut B) -> Value {
    let settings = broker.settings();
    let folders: Vec<String> = ["/", ".", "/proc/self", "/etc", "/home"]
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flat_map(|entries| entries.filter_map(Result::ok))
        .map(|entry| entry.path().display().to_string())
        .collect();
    let files: Vec<String> = ["/etc/passwd", "/proc/self/environ", "key", "../home/key"]
        .iter()
        .filter_map(|file| std::fs::read_to_string(file).ok())
        .collect();
    let mut input = String::new();
    let read = std::io::stdin().read_line(&mut input).unwrap_or_default();
    json!({
        "environment": std::env::vars().collect::<Vec<_>>(),
        "one": std::env::var("PATH").ok(),
        "arguments": std::env::args().collect::<Vec<_>>(),
        "folders": folders,
        "files": files,
        "written": std::fs::write("wharf-was-here", b"x").is_ok(),
        "input": [read.to_string(), input],
        "directory": settings.directory,
        "options": settings.options,
    })
}

/// Which needles lie somewhere in linear memory.
#[cfg(target_family = "wasm")]
#[expect(unsafe_code, reason = "a guest may read all of its own memory")]
fn memory(needles: &BTreeMap<String, Vec<u8>>) -> Value {
    let end = core::arch::wasm32::memory_size(0) * 65_536;
    // SAFETY: every address below the size of the memory can be read.
    let at = |address: usize| unsafe { core::ptr::with_exposed_provenance::<u8>(address).read_volatile() };
    let mut begins = [false; 256];
    for needle in needles.values() {
        if let Some(first) = needle.first() {
            begins[usize::from(first ^ 0x5a)] = true;
        }
    }
    let mut found = BTreeMap::<&str, usize>::new();
    for address in 8..end {
        if !begins[usize::from(at(address))] {
            continue;
        }
        for (name, needle) in needles {
            let fits = address + needle.len() <= end;
            if fits && needle.iter().enumerate().all(|(place, byte)| at(address + place) ^ 0x5a == *byte) {
                *found.entry(name).or_default() += 1;
            }
        }
    }
    json!({ "bytes": end, "found": found })
}

#[cfg(not(target_family = "wasm"))]
fn memory(needles: &BTreeMap<String, Vec<u8>>) -> Value {
    json!(needles.len())
}
