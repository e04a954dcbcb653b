//! The account: who it is, how much space it has, and whether a path root fits it.

use serde_json::{Value, json};

use super::route::{self, Context};
use super::{Account, account_id, error};
use crate::call::Call;
use crate::reply::{Answer, Reply, Stop};
use crate::sync::lock;

/// `users/get_current_account`
pub(crate) fn current_account(context: &Context<'_>) -> Answer {
    let account = &context.account;
    let name = &account.name;
    Ok(route::ok(&json!({
        "account_id": account_id(name),
        "name": {
            "given_name": name,
            "surname": "Cloud",
            "familiar_name": name,
            "display_name": format!("{name} Cloud"),
            "abbreviated_name": "C",
        },
        "email": format!("{name}@example.com"),
        "email_verified": true,
        "disabled": false,
        "country": "US",
        "locale": "en",
        "referral_link": "https://www.dropbox.com/referrals/AAAA",
        "is_paired": false,
        "account_type": {".tag": "basic"},
        "root_info": root_info(account),
    })))
}

fn root_info(account: &Account) -> Value {
    json!({
        ".tag": "user",
        "root_namespace_id": account.namespace_id,
        "home_namespace_id": account.namespace_id,
    })
}

/// `users/get_space_usage`
pub(crate) fn space_usage(context: &Context<'_>) -> Answer {
    let namespace = lock(&context.account.namespace);
    Ok(route::ok(&json!({
        "used": namespace.used,
        "allocation": {".tag": "individual", "allocated": namespace.allocated},
    })))
}

/// Checks the `Dropbox-API-Path-Root` header.
pub(crate) fn check_path_root(account: &Account, call: &Call) -> Result<(), Stop> {
    let Some(text) = call.header("dropbox-api-path-root") else {
        return Ok(());
    };
    let bad = |why: &str| {
        let text = format!("Invalid HTTP header \"Dropbox-API-Path-Root\": {why}");
        Stop::from(Reply::text(http::StatusCode::BAD_REQUEST, text))
    };
    if account.app_folder {
        return Err(bad("Path root is not supported for sandbox app"));
    }
    let value: Value = serde_json::from_str(text).map_err(|_| bad("could not decode as JSON"))?;
    let tag = value.as_str().or_else(|| value.get(".tag")?.as_str());
    let own = |key: &str| value.get(key).and_then(Value::as_str) == Some(&account.namespace_id);
    match tag {
        Some("home") => Ok(()),
        Some("root") if own("root") => Ok(()),
        Some("root") => {
            Err(error::path_root(json!({".tag": "invalid_root", "invalid_root": root_info(account)})).into())
        }
        Some("namespace_id") if own("namespace_id") => Ok(()),
        Some("namespace_id") => Err(error::path_root(json!({".tag": "no_permission"})).into()),
        Some(_) | None => Err(bad("unknown tag")),
    }
}
