//! Jobs: work that is accepted now, done a little later, and asked about by id.
//!
//! A job that is due is done before the account's next call is answered, so that what a client
//! sees does not depend on whether it asks.

use std::collections::HashMap;
use std::sync::Mutex;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::args::Poll;
use super::route::{self, Context};
use super::{Account, Dropbox, error};
use crate::clock;
use crate::reply::{Answer, Reply};
use crate::seal;
use crate::sync::lock;

/// What a job does; it gives the fields of its result.
type Work = Box<dyn FnOnce(&Account, Timestamp) -> Value + Send>;

/// The jobs of all accounts, by id.
#[derive(Default)]
pub(crate) struct Jobs {
    table: Mutex<HashMap<String, Job>>,
}

impl std::fmt::Debug for Jobs {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Jobs")
    }
}

struct Job {
    account: String,
    due: Timestamp,
    state: State,
}

enum State {
    Waiting(Work),
    Done(Value),
}

impl Jobs {
    /// Does the jobs of an account that are due.
    pub(crate) fn settle(&self, service: &Dropbox, account: &Account) {
        let now = service.clock.now();
        let mut table = lock(&self.table);
        let due = table.values_mut().filter(|job| job.account == account.name && now >= job.due);
        for job in due {
            let state = std::mem::replace(&mut job.state, State::Done(Value::Null));
            job.state = match state {
                State::Waiting(work) => State::Done(work(account, now)),
                done @ State::Done(_) => done,
            };
        }
        drop(table);
        account.changed.notify_waiters();
    }
}

/// Starts a job, or does its work at once where the switch allows that.
pub(crate) fn launch<F>(context: &Context<'_>, force: bool, work: F) -> Reply
where
    F: FnOnce(&Account, Timestamp) -> Value + Send + 'static,
{
    let now = context.now();
    if !force && !context.switches.batches_are_jobs {
        let result = work(&context.account, now);
        context.changed();
        return route::ok(&tagged("complete", result));
    }
    let id = format!("dbjid:{}", seal::random(40));
    let delay = std::time::Duration::from_millis(context.switches.job_ms);
    let job = Job {
        account: context.account.name.clone(),
        due: clock::later(now, delay),
        state: State::Waiting(Box::new(work)),
    };
    lock(&context.service.jobs.table).insert(id.clone(), job);
    route::ok(&json!({".tag": "async_job_id", "async_job_id": id}))
}

/// A job's state.
pub(crate) fn check(context: &Context<'_>) -> Answer {
    let args: Poll = context.args()?;
    let table = lock(&context.service.jobs.table);
    let job = table.get(&args.async_job_id);
    let job = job.filter(|job| job.account == context.account.name);
    let Some(job) = job else {
        return Err(error::endpoint(json!({".tag": "invalid_async_job_id"})).into());
    };
    match &job.state {
        State::Waiting(_) => Ok(route::ok(&json!({".tag": "in_progress"}))),
        State::Done(result) => Ok(route::ok(&tagged("complete", result.clone()))),
    }
}

fn tagged(tag: &str, fields: Value) -> Value {
    let mut out = json!({".tag": tag});
    if let (Value::Object(out), Value::Object(fields)) = (&mut out, fields) {
        out.extend(fields);
    }
    out
}
