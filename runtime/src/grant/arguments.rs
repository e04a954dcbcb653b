//! JSON arguments: every key permitted, every path inside the backup directory, written by the host.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};
use serde_json::Value;

use super::{Denial, JSON_BYTES_MAX, header_value, short};
use crate::json;
use crate::manifest::{JsonPlace, JsonRule, Route};
use crate::path::{Directory, RelativePath};

/// What the host puts around a connector's paths.
pub(super) struct Around<'a> {
    /// The backup directory.
    pub(super) directory: &'a Directory,
    /// The blanks that the destination's options fill.
    pub(super) bound: &'a BTreeMap<String, String>,
}

/// The rules of one route's arguments.
struct Rules<'a> {
    route: &'a Route,
    json: &'a JsonRule,
    around: Around<'a>,
}

/// Check the arguments and put them where the route wants them: the body is returned, a header added.
pub(super) fn place(
    route: &Route,
    asked: Option<&str>,
    around: Around<'_>,
    headers: &mut Vec<(HeaderName, HeaderValue)>,
) -> Result<Option<Vec<u8>>, Denial> {
    let (rule, text) = match (&route.json, asked) {
        (None, None) => return Ok(None),
        (None, Some(_)) => return Err(Denial::Json(format!("the route `{}` takes none", route.name))),
        // A call without arguments (`users/get_space_usage`) has an empty body.
        (Some(_), None) => return Ok(None),
        (Some(rule), Some(text)) => (rule, text),
    };
    if text.len() > JSON_BYTES_MAX {
        return Err(Denial::TooLong { what: "JSON arguments", max: JSON_BYTES_MAX });
    }
    let mut value = json::parse(text.as_bytes()).map_err(|error| Denial::Json(error.to_string()))?;
    if !value.is_object() {
        return Err(Denial::Json("they are not an object".to_owned()));
    }
    Rules { route, json: rule, around }.check(&mut Vec::new(), &mut value)?;
    let unwritable = |error: serde_json::Error| Denial::Json(error.to_string());
    match &rule.place {
        JsonPlace::Body => serde_json::to_vec(&value).map(Some).map_err(unwritable),
        JsonPlace::Header(name) => {
            let text = json::ascii(&value).map_err(unwritable)?;
            let value = header_value(name, &text)?;
            let name =
                HeaderName::from_bytes(name.as_bytes()).map_err(|_| Denial::HeaderValue(name.clone()))?;
            headers.push((name, value));
            Ok(None)
        }
    }
}

impl Rules<'_> {
    /// Walk the value; `key` is the path to it. An array's elements have the path of the array.
    fn check<'a>(&self, key: &mut Vec<&'a str>, value: &'a mut Value) -> Result<(), Denial> {
        match value {
            Value::Object(members) => {
                for (name, member) in members.iter_mut() {
                    key.push(name);
                    self.check_key(key, member)?;
                    self.check(key, member)?;
                    key.pop();
                }
                Ok(())
            }
            Value::Array(items) => {
                let holds_objects = self.json.keys.iter().any(|pattern| pattern.is_below(key));
                items.iter_mut().try_for_each(|item| {
                    let fits = match item {
                        Value::Object(_) => holds_objects,
                        // Neither service takes arrays of arrays, and what is in them would have no key.
                        Value::Array(_) => false,
                        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => !holds_objects,
                    };
                    if fits { self.check_item(key, item) } else { Err(self.denied(key)) }
                })
            }
            Value::String(text) => self.confine(key, text),
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        }
    }

    /// As [`check`](Self::check), for an element of an array: the names below it live only as long as the
    /// element.
    fn check_item(&self, key: &[&str], item: &mut Value) -> Result<(), Denial> {
        let mut key = key.to_vec();
        self.check(&mut key, item)
    }

    /// A key is permitted if it is listed, or leads to one that is and holds what can lead there.
    fn check_key(&self, key: &[&str], value: &Value) -> Result<(), Denial> {
        let listed = self.json.keys.iter().any(|pattern| pattern.is(key));
        let leads = self.json.keys.iter().any(|pattern| pattern.is_below(key));
        let confined = self.json.confine.iter().any(|confine| confine.key.is(key));
        let fits = match value {
            // What is inside is checked key by key. A path may be absent, but never hide in a structure.
            Value::Object(_) | Value::Array(_) => (listed || leads) && !confined,
            Value::String(_) | Value::Null => listed,
            Value::Bool(_) | Value::Number(_) => listed && !confined,
        };
        if fits { Ok(()) } else { Err(self.denied(key)) }
    }

    fn confine(&self, key: &[&str], text: &mut String) -> Result<(), Denial> {
        let Some(confine) = self.json.confine.iter().find(|confine| confine.key.is(key)) else {
            return Ok(());
        };
        let denied = |problem: String| Denial::Confined { key: short(&key.join("/")), problem };
        let path = RelativePath::parse(text).map_err(|error| denied(error.to_string()))?;
        let forbidden = self.route.item_forbid();
        if text.contains('\\') || text.chars().any(char::is_control) {
            return Err(denied("it has a backslash or a control character".to_owned()));
        }
        if let Some(character) = text.chars().find(|character| forbidden.contains(character)) {
            return Err(denied(format!("it has the character {character:?}, which could end the path")));
        }
        let Around { directory, bound } = &self.around;
        *text = confine.text(&directory.absolute(&path), |name| bound.get(name).map(String::as_str));
        Ok(())
    }

    fn denied(&self, key: &[&str]) -> Denial {
        Denial::JsonKey { route: self.route.name.clone(), key: short(&key.join("/")) }
    }
}
