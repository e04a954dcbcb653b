//! Requests as a test wrote them, sent one after the other, and everything that came of each.

use serde::Deserialize;
use serde_json::{Value, json};
use wharf_connector::{Broker, Failure, Payload, Reply, Request};

/// Longest answer that is read, in bytes.
const REPLY_BYTES_MAX: u32 = 1024 * 1024;

/// One request. What is absent is not sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Step {
    route: String,
    item: Option<String>,
    handle: Option<String>,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    /// The JSON arguments as text, so that they may be malformed.
    json: Option<String>,
    bytes: Option<String>,
    section: Option<(u64, u64)>,
    /// Fetch, and keep nothing of the body.
    fetch: bool,
}

/// Send them all. One result each: what failed, or status, headers and body.
pub fn run<B: Broker>(broker: &mut B, steps: &[Step], content: Option<&B::Content>) -> Value {
    steps.iter().map(|step| send(broker, step, content)).collect()
}

fn send<B: Broker>(broker: &mut B, step: &Step, content: Option<&B::Content>) -> Value {
    let mut request = Request::route(leak(&step.route));
    request.item = step.item.as_deref().map(Into::into);
    request.handle = step.handle.as_deref();
    request.query = pairs(&step.query);
    request.headers = pairs(&step.headers);
    request.json.clone_from(&step.json);
    if let Some(bytes) = &step.bytes {
        request.payload = Payload::Bytes(bytes.clone().into_bytes());
    }
    if let (Some((offset, len)), Some(content)) = (step.section, content) {
        request.payload = Payload::Section { content, offset, len };
    }
    let sent = if step.fetch {
        broker.fetch(&request).map(|(reply, _)| reply)
    } else {
        broker.exchange(&request, REPLY_BYTES_MAX)
    };
    match sent {
        Ok(reply) => shown(&reply),
        Err(Failure::Invalid(text)) => json!({ "failure": "invalid", "text": text }),
        Err(Failure::Denied) => json!({ "failure": "denied" }),
        Err(failure) => json!({ "failure": format!("{failure:?}") }),
    }
}

fn shown(reply: &Reply) -> Value {
    let body = String::from_utf8_lossy(&reply.body);
    json!({ "status": reply.status, "headers": reply.headers, "body": body })
}

fn pairs(pairs: &[(String, String)]) -> Vec<(&'static str, String)> {
    pairs.iter().map(|(name, value)| (leak(name), value.clone())).collect()
}

/// The kit wants names that are known when a connector is written; ours are not.
fn leak(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}
