//! How full an account is.

use serde_json::Value;
use wharf_connector::{Broker, Error, Request, Space};

use crate::{ITEM_BYTES_MAX, error};

/// What the account, or the team that it draws from, uses and may use.
///
/// # Errors
/// Why it cannot be told.
pub(crate) fn usage<B: Broker>(broker: &mut B) -> Result<Space, Error> {
    let reply = broker.ask(&Request::route("usage"), ITEM_BYTES_MAX)?;
    if !reply.is_success() {
        return Err(error::read(&reply));
    }
    let body = reply.value();
    let allocation = &body["allocation"];
    let number = |value: &Value| value.as_u64();
    // A member of a team draws from the team's space, unless the team gave them a limit of their own.
    let own_limit = number(&allocation["user_within_team_space_allocated"]).filter(|bytes| *bytes > 0);
    let used = match (allocation[".tag"].as_str(), own_limit) {
        (Some("team"), None) => number(&allocation["used"]),
        (Some("team"), Some(_)) => {
            number(&allocation["user_within_team_space_used_cached"]).or(number(&body["used"]))
        }
        _ => number(&body["used"]),
    };
    Ok(Space { used, total: own_limit.or(number(&allocation["allocated"])).filter(|bytes| *bytes > 0) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wharf_connector::testing::{Script, reply};

    use super::*;
    use crate::tests::MANIFEST;

    #[track_caller]
    fn check(body: Value, used: Option<u64>, total: Option<u64>) {
        let mut script = Script::new(MANIFEST).on("usage", json!({}), reply(200, &body));
        assert_eq!(usage(&mut script), Ok(Space { used, total }));
    }

    #[test]
    fn whoever_pays_sets_the_limit() {
        check(json!({"used": 5, "allocation": {".tag": "individual", "allocated": 100}}), Some(5), Some(100));
        let team =
            json!({".tag": "team", "used": 50, "allocated": 1000, "user_within_team_space_allocated": 0});
        check(json!({"used": 5, "allocation": team}), Some(50), Some(1000));
        let limited = json!({".tag": "team", "used": 50, "allocated": 1000, "user_within_team_space_allocated": 20,
            "user_within_team_space_used_cached": 6});
        check(json!({"used": 5, "allocation": limited}), Some(6), Some(20));
        check(json!({"used": 5, "allocation": {".tag": "other"}}), Some(5), None);
    }
}
