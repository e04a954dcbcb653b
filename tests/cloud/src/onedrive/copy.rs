//! Copy jobs: accepted at once, done a little later, watched at an address without a token.
//!
//! A job that is due is carried out before the next Graph call is answered, so that what a client
//! sees does not depend on whether it watches.

use std::sync::{Arc, Mutex};

use http::StatusCode;
use http::header::LOCATION;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::address::Address;
use super::drive::Drive;
use super::node::Key;
use super::route::{self, Context, Refusal};
use super::switches::{Conflict, DriveKind};
use super::{Failure, OneDrive, Table, reference, ticket};
use crate::call::Call;
use crate::reply::{Answer, Reply};
use crate::seal;
use crate::sync::lock;

/// The copy jobs, by the secret in their monitor's address.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    table: Table<Job>,
}

#[derive(Debug)]
struct Job {
    account: String,
    drive: Arc<Mutex<Drive>>,
    source: Key,
    parent: Key,
    name: String,
    conflict: Conflict,
    due: Timestamp,
    outcome: Mutex<Option<Result<String, Failure>>>,
}

impl Jobs {
    pub(crate) fn account(&self, token: &str) -> Option<String> {
        let table = lock(&self.table);
        table.get(token).map(|job| job.account.clone())
    }

    /// Carries out every job that is due.
    pub(crate) fn settle(&self, service: &OneDrive) {
        let now = service.clock.now();
        let jobs: Vec<_> = lock(&self.table).values().cloned().collect();
        for job in jobs.iter().filter(|job| now >= job.due) {
            job.run(now);
        }
    }
}

impl Job {
    fn run(&self, now: Timestamp) {
        let mut outcome = lock(&self.outcome);
        if outcome.is_some() {
            return;
        }
        let mut drive = lock(&self.drive);
        let copied = drive.copy(self.source, self.parent, &self.name, self.conflict, now);
        let id = copied.and_then(|key| Ok(drive.get(key)?.id.clone()));
        *outcome = Some(id);
    }
}

/// `POST …/copy`.
pub(crate) async fn start(context: &Context<'_>, address: &Address, call: &mut Call) -> Answer {
    let service = context.service;
    let document = route::document(call).await?;
    let conflict = route::conflict(&document, call)?.unwrap_or(Conflict::Fail);
    let shared = context.drive(&address.drive)?;
    let mut drive = lock(&shared);
    let source = context.resolve(&mut drive, address)?;
    let parent = reference::folder(context, &mut drive, source, &document)?;
    let original = drive.get(source)?;
    let parent = parent.or(original.parent).ok_or_else(|| Failure::invalid("The root cannot be copied"))?;
    let name = document.get("name").and_then(Value::as_str);
    let name = name.unwrap_or(&original.name).to_owned();
    // Private drives do not listen to the conflict behaviour: they take the first free name.
    let conflict = match drive.kind {
        DriveKind::Personal => Conflict::Rename,
        DriveKind::Business | DriveKind::DocumentLibrary => conflict,
    };
    if conflict == Conflict::Fail && drive.child(parent, &name).is_some() {
        return Err(Failure::exists().into());
    }
    let token = seal::random(40);
    let (host, path) = ticket::monitor_path(drive.kind, &token);
    let job = Job {
        account: context.account.clone(),
        drive: Arc::clone(&shared),
        source,
        parent,
        name,
        conflict,
        due: super::after_ms(service.clock.now(), service.switches().copy_ms),
        outcome: Mutex::new(None),
    };
    lock(&service.jobs.table).insert(token, Arc::new(job));
    Ok(Reply::empty(StatusCode::ACCEPTED).header(LOCATION, call.mint(host, &path)))
}

/// The state of a job.
pub(crate) fn monitor(service: &OneDrive, token: &str) -> Result<Reply, Refusal> {
    service.jobs.settle(service);
    let job = lock(&service.jobs.table).get(token).cloned();
    let job = job.ok_or_else(Failure::not_found)?;
    let outcome = lock(&job.outcome);
    let (status, body) = match &*outcome {
        None => (
            StatusCode::ACCEPTED,
            json!({"operation": "ItemCopy", "percentageComplete": 42.0, "status": "inProgress"}),
        ),
        Some(Ok(id)) => (
            StatusCode::OK,
            json!({
                "operation": "ItemCopy",
                "percentageComplete": 100.0,
                "resourceId": id,
                "status": "completed",
            }),
        ),
        Some(Err(failure)) => (
            StatusCode::OK,
            json!({
                "operation": "ItemCopy",
                "percentageComplete": 0.0,
                "status": "failed",
                "errorCode": failure.code,
                "error": failure.body(true)["error"].clone(),
            }),
        ),
    };
    Ok(Reply::json(status, &body))
}
