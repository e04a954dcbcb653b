//! `$batch`: up to twenty requests in one, each answered, logged and throttled by itself.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Map, Value, json};

use super::route::{self, Context};
use super::{Failure, address};
use crate::call::Call;
use crate::inbound::Inbound;
use crate::outbound::Payload;
use crate::pipeline;
use crate::reply::{Answer, Reply};
use crate::world::World;

/// Requests of one batch.
const REQUESTS_MAX: usize = 20;

/// Answers a batch.
pub(crate) async fn handle(world: &Arc<World>, call: &mut Call) -> Answer {
    Context::sign_in(&world.onedrive, call)?;
    let document = route::document(call).await?;
    let requests = document.get("requests").and_then(Value::as_array);
    let requests = requests.ok_or_else(|| Failure::invalid("The requests are missing"))?;
    if requests.len() > REQUESTS_MAX {
        let text = format!("A batch has at most {REQUESTS_MAX} requests");
        return Err(Failure::new(400, "BadRequest", text).into());
    }
    let mut statuses: HashMap<String, u16> = HashMap::new();
    let mut responses = Vec::new();
    for request in requests {
        let id = text(request, "id").to_owned();
        let failed = depends(request).any(|other| statuses.get(other).is_none_or(|status| *status >= 400));
        let reply = match failed {
            true => Failure::new(424, "FailedDependency", "A request it depends on failed").reply(false),
            false => one(world, call, request).await,
        };
        statuses.insert(id.clone(), reply.status.as_u16());
        responses.push(response(id, &reply));
    }
    let body = json!({ "responses": responses });
    Ok(Reply::json(StatusCode::OK, &body))
}

fn text<'a>(request: &'a Value, key: &str) -> &'a str {
    request.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn depends(request: &Value) -> impl Iterator<Item = &str> {
    let others = request.get("dependsOn").and_then(Value::as_array);
    others.into_iter().flatten().filter_map(Value::as_str)
}

async fn one(world: &Arc<World>, call: &Call, request: &Value) -> Reply {
    let method = text(request, "method").to_ascii_uppercase();
    let Ok(method) = Method::from_bytes(method.as_bytes()) else {
        return Failure::invalid("The method is not valid").reply(false);
    };
    let prefix = address::strip(&call.path).map_or("/v1.0", |(prefix, _)| prefix);
    let url = format!("{prefix}/{}", text(request, "url").trim_start_matches('/'));
    let body = match request.get("body") {
        None | Some(Value::Null) => Bytes::new(),
        Some(Value::String(coded)) => decode(coded),
        Some(value) => serde_json::to_vec(value).unwrap_or_default().into(),
    };
    let mut headers = headers(request);
    if let Some(token) = call.headers.get(http::header::AUTHORIZATION) {
        headers.insert(http::header::AUTHORIZATION, token.clone());
    }
    if let Ok(length) = HeaderValue::from_str(&body.len().to_string()) {
        headers.insert(http::header::CONTENT_LENGTH, length);
    }
    let inner = call.inner(method, &url, headers, Inbound::memory(body));
    match Box::pin(pipeline::answer(world, inner)).await {
        Some((reply, _)) => reply,
        // A connection cannot be cut for one request of a batch.
        None => Failure::new(500, "generalException", "General exception").reply(false),
    }
}

/// Bodies that are no JSON come as base64.
fn decode(coded: &str) -> Bytes {
    use base64::Engine;
    let decoded = base64::engine::general_purpose::STANDARD.decode(coded);
    decoded.map_or_else(|_| Bytes::copy_from_slice(coded.as_bytes()), Bytes::from)
}

fn headers(request: &Value) -> HeaderMap {
    let given = request.get("headers").and_then(Value::as_object);
    given
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| {
            let name = name.parse::<HeaderName>().ok()?;
            Some((name, HeaderValue::from_str(value.as_str()?).ok()?))
        })
        .collect()
}

fn response(id: String, reply: &Reply) -> Value {
    let headers: Map<String, Value> = reply
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.to_string(), json!(value.to_str().ok()?))))
        .collect();
    let body = match &reply.payload {
        Payload::Bytes(bytes) => serde_json::from_slice(bytes).unwrap_or(Value::Null),
        Payload::Empty | Payload::Stored { .. } => Value::Null,
    };
    json!({"id": id, "status": reply.status.as_u16(), "headers": headers, "body": body})
}
