//! How full a drive is.

use serde::Deserialize;
use wharf_connector::{Broker, Error, Request, Space};

use crate::{ITEM_BYTES_MAX, error};

#[derive(Deserialize)]
struct Drive {
    quota: Option<Quota>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Quota {
    total: Option<u64>,
    used: Option<u64>,
    remaining: Option<u64>,
}

/// What the drive says of its quota. A SharePoint library that says nothing but zeros does not know.
///
/// # Errors
/// Why it cannot be told.
pub(crate) fn usage<B: Broker>(broker: &mut B) -> Result<Space, Error> {
    let reply = broker.ask(&Request::route("usage").query("$select", "quota"), ITEM_BYTES_MAX)?;
    if !reply.is_success() {
        return Err(error::read(&reply));
    }
    let quota = reply.json::<Drive>()?.quota.unwrap_or_default();
    let knows =
        [quota.total, quota.used, quota.remaining].iter().any(|bytes| bytes.is_some_and(|bytes| bytes > 0));
    Ok(Space {
        used: quota.used.filter(|_| knows),
        // A total of nothing would be a drive that is always full.
        total: quota.total.filter(|total| *total > 0),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wharf_connector::testing::{Script, reply};

    use super::*;
    use crate::tests::MANIFEST;

    #[track_caller]
    fn check(quota: Value, used: Option<u64>, total: Option<u64>) {
        let drive = json!({"id": "b!1", "quota": quota});
        let mut script =
            Script::new(MANIFEST).on("usage", json!({"query": {"$select": "quota"}}), reply(200, &drive));
        assert_eq!(usage(&mut script), Ok(Space { used, total }));
    }

    #[test]
    fn zeros_are_no_answer() {
        check(json!({"total": 1000, "used": 10, "remaining": 990, "state": "normal"}), Some(10), Some(1000));
        check(json!({"total": 1000, "used": 0, "remaining": 1000}), Some(0), Some(1000));
        check(json!({"total": 0, "used": 0, "remaining": 0}), None, None);
        check(json!({"used": 5}), Some(5), None);
        check(Value::Null, None, None);
        let mut script = Script::new(MANIFEST).on("usage", json!({}), reply(403, &Value::Null));
        assert_eq!(usage(&mut script), Err(Error::Denied));
    }
}
