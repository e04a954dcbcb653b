//! A broker for tests: a queue of expected requests and the replies to them.
//!
//! It holds every request against the connector's own manifest as the host would, as far as that is
//! cheap, and treats minted addresses as the host does: they arrive as handles, which are denied where
//! they lead to a host that is not listed, and every other address arrives blank. Whatever is unexpected fails the test on the spot, and so does a script
//! that was not played to its end.

#![allow(clippy::panic, reason = "a test double fails by panicking")]

mod manifest;

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::{Algorithm, Broker, Failure, Level, Payload, Reply, Request, Settings};
use manifest::Manifest;

/// How long the host lets an operation wait by itself.
const WALL_MAX: Duration = Duration::from_secs(10);

/// The bytes that a test sends: their length, and the hash that the host would compute.
#[derive(Debug, Clone, Default)]
pub struct Source {
    size: u64,
    hash: Option<(Algorithm, Vec<u8>)>,
}

impl Source {
    /// Bytes that cannot be hashed.
    #[must_use]
    pub const fn new(size: u64) -> Self {
        Self { size, hash: None }
    }

    /// Bytes with this hash.
    #[must_use]
    pub fn hashed(self, algorithm: Algorithm, hash: &[u8]) -> Self {
        Self { hash: Some((algorithm, hash.to_vec())), ..self }
    }
}

/// The bytes of a download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body(pub String);

/// What the script's service answers.
#[derive(Debug)]
pub struct Answer {
    outcome: Result<Reply, Failure>,
    body: String,
}

/// A reply of JSON; null for an empty body.
#[must_use]
pub fn reply(status: u16, json: &Value) -> Answer {
    let body = if json.is_null() { Vec::new() } else { json.to_string().into_bytes() };
    let outcome = Ok(Reply { status, headers: Vec::new(), body, maybe_applied: false });
    Answer { outcome, body: String::new() }
}

/// No reply.
#[must_use]
pub const fn failure(failure: Failure) -> Answer {
    Answer { outcome: Err(failure), body: String::new() }
}

impl Answer {
    /// With this header, its name in lower case.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Ok(reply) = &mut self.outcome {
            reply.headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// With these bytes to download.
    #[must_use]
    pub fn bytes(self, body: &str) -> Self {
        Self { body: body.to_owned(), ..self }
    }

    /// An earlier attempt of the request may have reached the service.
    #[must_use]
    pub fn maybe_applied(mut self) -> Self {
        if let Ok(reply) = &mut self.outcome {
            reply.maybe_applied = true;
        }
        self
    }
}

#[derive(Debug)]
struct Step {
    route: &'static str,
    expected: Value,
    answer: Answer,
}

/// The script.
#[derive(Debug)]
pub struct Script {
    manifest: Manifest,
    settings: Settings,
    steps: VecDeque<Step>,
    waited: Duration,
}

impl Script {
    /// An empty script for the connector with this manifest, its backup directory `/backups/server1`.
    #[must_use]
    pub fn new(manifest: &str) -> Self {
        let settings = Settings { directory: "/backups/server1".to_owned(), options: "{}".to_owned() };
        Self { manifest: Manifest::parse(manifest), settings, steps: VecDeque::new(), waited: Duration::ZERO }
    }

    /// With this backup directory.
    #[must_use]
    pub fn directory(mut self, directory: &str) -> Self {
        directory.clone_into(&mut self.settings.directory);
        self
    }

    /// With these options, as JSON.
    #[must_use]
    pub fn options(mut self, options: &str) -> Self {
        options.clone_into(&mut self.settings.options);
        self
    }

    /// Next, expect a request for `route`, and answer it. `expected` names what is to be compared of
    /// it: `item`, `handle`, `query`, `headers`, `json`, and `payload` as in `"5 bytes from 0"`. A key
    /// that is null must be absent; of `query`, only the keys that are named are compared.
    #[must_use]
    pub fn on(mut self, route: &'static str, expected: Value, answer: Answer) -> Self {
        self.steps.push_back(Step { route, expected, answer });
        self
    }

    fn play(&mut self, request: &Request<'_, Source>) -> Result<(Reply, Body), Failure> {
        let route = self.manifest.check(request)?;
        if let Payload::Section { content, offset, len } = &request.payload {
            assert!(offset + len <= content.size, "{request:?} sends bytes beyond the end of its source");
        }
        let Some(step) = self.steps.pop_front() else { panic!("unexpected: {request:?}") };
        assert_eq!(request.route, step.route, "{request:?}");
        compare(request, &step.expected);
        let mut reply = step.answer.outcome?;
        self.manifest.mint(route, &mut reply);
        Ok((reply, Body(step.answer.body)))
    }
}

/// A script must be played to its end.
impl Drop for Script {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let left: Vec<&str> = self.steps.iter().map(|step| step.route).collect();
            assert!(left.is_empty(), "these requests were never sent: {left:?}");
        }
    }
}

fn compare(request: &Request<'_, Source>, expected: &Value) {
    let sent = describe(request);
    let Some(expected) = expected.as_object() else { panic!("what is expected of a request is an object") };
    for (key, expected) in expected {
        let found = match (key.as_str(), expected) {
            ("query", Value::Object(named)) => {
                let value = |key: &String| {
                    sent.get("query").and_then(|all| all.get(key)).cloned().unwrap_or(Value::Null)
                };
                named.keys().map(|key| (key.clone(), value(key))).collect()
            }
            _ => sent.get(key).cloned().unwrap_or(Value::Null),
        };
        assert_eq!(&found, expected, "`{key}` of {request:?}");
    }
}

fn describe(request: &Request<'_, Source>) -> Map<String, Value> {
    let pairs = |pairs: &[(&'static str, String)]| -> Value {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str()))).collect()
    };
    let mut sent = Map::new();
    sent.extend(request.item.as_ref().map(|item| ("item".to_owned(), json!(item))));
    sent.extend(request.handle.map(|handle| ("handle".to_owned(), json!(handle))));
    if !request.query.is_empty() {
        sent.insert("query".to_owned(), pairs(&request.query));
    }
    if !request.headers.is_empty() {
        sent.insert("headers".to_owned(), pairs(&request.headers));
    }
    if let Some(text) = &request.json {
        let Ok(json) = serde_json::from_str(text) else {
            panic!("{request:?} has arguments that are not JSON")
        };
        sent.insert("json".to_owned(), json);
    }
    if !matches!(request.payload, Payload::None) {
        sent.insert("payload".to_owned(), json!(format!("{:?}", request.payload)));
    }
    sent
}

impl Broker for Script {
    type Content = Source;
    type Body = Body;

    fn exchange(&mut self, request: &Request<'_, Source>, limit_bytes: u32) -> Result<Reply, Failure> {
        let (reply, _) = self.play(request)?;
        let fits = u32::try_from(reply.body.len()).is_ok_and(|length| length <= limit_bytes);
        if fits { Ok(reply) } else { Err(Failure::TooLarge) }
    }

    fn fetch(&mut self, request: &Request<'_, Source>) -> Result<(Reply, Body), Failure> {
        self.play(request)
    }

    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn size(&self, content: &Source) -> u64 {
        content.size
    }

    fn read(&self, content: &Source, offset: u64, len_bytes: u32) -> Option<Vec<u8>> {
        let len = content.size.checked_sub(offset)?.min(u64::from(len_bytes));
        Some(vec![0; usize::try_from(len).ok()?])
    }

    fn hash(&self, content: &Source, algorithm: Algorithm) -> Option<Vec<u8>> {
        content.hash.as_ref().filter(|(known, _)| *known == algorithm).map(|(_, hash)| hash.clone())
    }

    fn wait(&mut self, time: Duration) {
        self.waited += time;
        assert!(self.waited < WALL_MAX, "the host would have stopped the operation");
    }

    fn log(&mut self, _level: Level, _message: &str) {}
}
