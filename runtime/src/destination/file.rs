//! `destinations/NAME.toml`: the text, its keys and their bounds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    ALLOWS_MAX, ConnectorReference, DISK_LIMIT_PERCENT_MAX, Destination, GRANTS_MAX, HttpVersion, JobType,
    OPTIONS_MAX, PARENTS_MAX, RETRIES_DEFAULT, RETRIES_MAX, Setting, TASKS_MAX, TEXT_BYTES_MAX,
    THREADS_DEFAULT, THREADS_MAX, is_connector_name, shorten,
};
use crate::{
    grant::{Granted, GrantedRoute, Scope},
    home::Name,
    path::{self, Directory},
    rate::{Bandwidth, REQUESTS_PER_SECOND_MAX, Rates},
    toml_file,
};

/// The file as it is spelled. Numbers are wide here, so that one out of bounds is told its bounds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    connector: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    parents: Vec<String>,
    backup_directory: String,
    #[serde(default, skip_serializing_if = "is_default")]
    read_only: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    threads: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tasks: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bandwidth_up: Option<Speed>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bandwidth_down: Option<Speed>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    requests_per_second: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retries: Option<i64>,
    #[serde(default, skip_serializing_if = "is_default")]
    http_version: HttpVersion,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disk_limit: Option<i64>,
    #[serde(default, skip_serializing_if = "is_default")]
    hidden: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    disabled: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    job_type: JobType,
    #[serde(default, skip_serializing_if = "is_default")]
    dr: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    options: BTreeMap<String, Setting>,
    /// The id of the connector that has the grants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    granted_to: Option<String>,
    /// Routes that somebody decided against.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    denied: Vec<String>,
    #[serde(default, rename = "grant", skip_serializing_if = "Vec::is_empty")]
    grants: Vec<Grant>,
}

/// A bandwidth: `"10M"`, or bytes a second.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Speed {
    Bytes(i64),
    Text(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Grant {
    route: String,
    /// What somebody agreed to, line by line.
    allows: Vec<String>,
}

pub(super) fn parse(name: &Name, text: &[u8]) -> Result<Destination, String> {
    check(name, toml_file::parse(text)?)
}

pub(super) fn write(destination: &Destination) -> Result<String, String> {
    let number = |number, default| (number != default).then_some(number);
    let file = File {
        connector: destination.connector.to_string(),
        account: destination.account.as_ref().map(Name::to_string),
        owner: destination.owner.clone(),
        parents: destination.parents.clone(),
        backup_directory: destination.backup_directory.as_str().to_owned(),
        read_only: destination.read_only,
        threads: number(i64::from(destination.threads), i64::from(THREADS_DEFAULT)),
        tasks: number(i64::from(destination.tasks), 0),
        bandwidth_up: destination.rates.up.map(|rate| Speed::Text(rate.to_string())),
        bandwidth_down: destination.rates.down.map(|rate| Speed::Text(rate.to_string())),
        requests_per_second: destination.rates.requests.map(i64::from),
        retries: number(i64::from(destination.retries), i64::from(RETRIES_DEFAULT)),
        http_version: destination.http_version,
        disk_limit: number(i64::from(destination.disk_limit), 0),
        hidden: destination.hidden,
        disabled: destination.disabled,
        job_type: destination.job_type,
        dr: destination.dr,
        options: destination.options.clone(),
        granted_to: destination.grants.connector.clone(),
        denied: destination.grants.denied.clone(),
        grants: destination.grants.routes.iter().map(Grant::of).collect(),
    };
    let text = toml::to_string_pretty(&file).map_err(|error| format!("cannot be written: {error}"))?;
    // What is written must be readable: the same bounds, checked in one place.
    parse(&destination.name, text.as_bytes())?;
    Ok(text)
}

fn check(name: &Name, file: File) -> Result<Destination, String> {
    let name_of = |key: &str, text: &str| Name::parse(text).map_err(|error| format!("`{key}`: {error}"));
    let directory =
        |error: path::Error| format!("`backup_directory` is {:?}: {error}", shorten(&file.backup_directory));
    Ok(Destination {
        name: name.clone(),
        connector: ConnectorReference::parse(&file.connector)
            .map_err(|error| format!("`connector`: {error}"))?,
        account: file.account.as_deref().map(|account| name_of("account", account)).transpose()?,
        backup_directory: Directory::parse(&file.backup_directory).map_err(directory)?,
        read_only: file.read_only,
        threads: within("threads", file.threads, 1, THREADS_MAX, THREADS_DEFAULT)?,
        tasks: within("tasks", file.tasks, 0, TASKS_MAX, 0)?,
        rates: Rates {
            up: bandwidth("bandwidth_up", file.bandwidth_up.as_ref())?,
            down: bandwidth("bandwidth_down", file.bandwidth_down.as_ref())?,
            requests: requests(file.requests_per_second)?,
        },
        retries: within("retries", file.retries, 0, RETRIES_MAX, RETRIES_DEFAULT)?,
        http_version: file.http_version,
        disk_limit: within("disk_limit", file.disk_limit, 0, DISK_LIMIT_PERCENT_MAX, 0)?,
        hidden: file.hidden,
        disabled: file.disabled,
        job_type: file.job_type,
        dr: file.dr,
        owner: file.owner.map(|owner| check_user("owner", owner)).transpose()?,
        parents: check_parents(file.parents)?,
        options: check_options(file.options)?,
        grants: check_grants(file.granted_to, file.denied, file.grants)?,
    })
}

fn within<N>(key: &str, value: Option<i64>, min: N, max: N, default: N) -> Result<N, String>
where
    N: TryFrom<i64> + PartialOrd + std::fmt::Display,
{
    let Some(value) = value else { return Ok(default) };
    match N::try_from(value) {
        Ok(number) if number >= min && number <= max => Ok(number),
        _ => Err(format!("`{key}` is {value}; it must be from {min} to {max}")),
    }
}

/// `off` is what it is without the key.
fn bandwidth(key: &str, speed: Option<&Speed>) -> Result<Option<Bandwidth>, String> {
    let parsed = match speed {
        None => return Ok(None),
        Some(Speed::Text(text)) if text == "off" => return Ok(None),
        Some(Speed::Text(text)) => shorten(text).parse(),
        Some(Speed::Bytes(bytes)) => Bandwidth::new(u64::try_from(*bytes).unwrap_or_default()),
    };
    parsed.map(Some).map_err(|problem| format!("`{key}`: {problem}"))
}

fn requests(value: Option<i64>) -> Result<Option<u32>, String> {
    value.map(|_| within("requests_per_second", value, 1, REQUESTS_PER_SECOND_MAX, 1)).transpose()
}

fn check_user(key: &str, user: String) -> Result<String, String> {
    let is_plain = !user.is_empty() && user.len() <= 256 && !user.chars().any(char::is_control);
    if is_plain { Ok(user) } else { Err(format!("`{key}` is {:?}, which is no user's name", shorten(&user))) }
}

fn check_parents(parents: Vec<String>) -> Result<Vec<String>, String> {
    if parents.len() > PARENTS_MAX {
        return Err(format!("`parents` has more than {PARENTS_MAX} accounts"));
    }
    parents.into_iter().map(|parent| check_user("parents", parent)).collect()
}

fn check_options(options: BTreeMap<String, Setting>) -> Result<BTreeMap<String, Setting>, String> {
    if options.len() > OPTIONS_MAX {
        return Err(format!("`options` has more than {OPTIONS_MAX} keys"));
    }
    for (key, setting) in &options {
        let right = |byte| matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-');
        if key.is_empty() || key.len() > 64 || !key.bytes().all(right) {
            return Err(format!("`options` has the key {:?}, which no option has", shorten(key)));
        }
        if let Setting::Text(text) = setting
            && text.len() > TEXT_BYTES_MAX
        {
            return Err(format!("`options.{key}` is longer than {TEXT_BYTES_MAX} bytes"));
        }
    }
    Ok(options)
}

impl Grant {
    fn of(granted: &GrantedRoute) -> Self {
        Self { route: granted.name.clone(), allows: granted.scope.lines().map(str::to_owned).collect() }
    }
}

fn check_route(key: &str, route: &str) -> Result<(), String> {
    let right = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    if route.is_empty() || route.len() > 64 || !route.bytes().all(right) {
        return Err(format!("`{key}` is {:?}, which no route is called", shorten(route)));
    }
    Ok(())
}

fn check_grants(
    granted_to: Option<String>,
    denied: Vec<String>,
    grants: Vec<Grant>,
) -> Result<Granted, String> {
    if grants.len() > GRANTS_MAX || denied.len() > GRANTS_MAX {
        return Err(format!("there are more than {GRANTS_MAX} `[[grant]]`, or `denied`"));
    }
    denied.iter().try_for_each(|route| check_route("denied", route))?;
    match &granted_to {
        Some(id) if !is_connector_name(id) => {
            return Err(format!("`granted_to` is {:?}, which is no connector's id", shorten(id)));
        }
        None if !grants.is_empty() => {
            return Err("has `[[grant]]`, but `granted_to` names no connector".to_owned());
        }
        Some(_) | None => {}
    }
    let mut routes: Vec<GrantedRoute> = Vec::with_capacity(grants.len());
    for Grant { route, allows } in grants {
        check_route("grant.route", &route)?;
        if denied.contains(&route) {
            return Err(format!("`{route}` is in `denied`, and has a `[[grant]]`"));
        }
        if routes.iter().any(|other| other.name == route) {
            return Err(format!("`grant.route` has `{route}` twice"));
        }
        if allows.len() > ALLOWS_MAX {
            return Err(format!("`grant.allows` of `{route}` has more than {ALLOWS_MAX} lines"));
        }
        routes.push(GrantedRoute { name: route, scope: Scope::from_lines(allows) });
    }
    Ok(Granted { connector: granted_to, routes, denied })
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
