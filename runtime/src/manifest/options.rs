//! What an operator may set for a destination of this connector.
//!
//! The manifest writes it as a JSON schema so that vendors and editors know the language; only the
//! part that makes sense for one flat object of settings is accepted, and every option says in words
//! what it does.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Error, check_phrase, problem};

/// Longest value, in bytes: ids and names of a service, not documents.
const VALUE_BYTES_MAX: usize = 1024;

/// The schema of a flat object.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    #[serde(rename = "type", default)]
    kind: ObjectKind,
    /// The options by name.
    #[serde(default)]
    pub properties: BTreeMap<String, OptionSpec>,
    /// Those that must be set.
    #[serde(default)]
    pub required: Vec<String>,
}

/// The schema is of an object.
#[derive(Debug, Clone, Copy, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum ObjectKind {
    #[default]
    Object,
}

/// One option.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptionSpec {
    /// What it may be.
    #[serde(rename = "type")]
    pub kind: OptionKind,
    /// What it does, for the operator.
    pub description: String,
    /// The values it may have; empty for any.
    #[serde(rename = "enum", default)]
    pub values: Vec<Value>,
}

/// What an option may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptionKind {
    /// Text of at most 1 KiB.
    String,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
}

/// Why an operator's options do not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// The connector has no such option.
    #[error("there is no option `{name}`; the connector has {known}")]
    Unknown {
        /// The name that was given.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The value does not fit.
    #[error("the option `{name}` must be {expected}")]
    Value {
        /// Which.
        name: String,
        /// What it may be.
        expected: String,
    },
    /// A required option is not set.
    #[error("the option `{0}` must be set")]
    Missing(String),
}

impl Options {
    pub(super) fn has(&self, name: &str) -> bool {
        self.properties.contains_key(name)
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let ObjectKind::Object = self.kind;
        for (name, spec) in &self.properties {
            let field = format!("options/properties/{name}");
            if !super::is_word(name) {
                return Err(problem(field, "may have only a-z, 0-9, `-` and `_` in its name"));
            }
            check_phrase(&field, &spec.description)?;
            if spec.values.iter().any(|value| !spec.kind.takes(value)) {
                return Err(problem(field, "lists a value of another type than its own"));
            }
        }
        for name in &self.required {
            if !self.has(name) {
                return Err(problem("options/required", format!("names `{name}`, which is not a property")));
            }
        }
        Ok(())
    }

    /// Do an operator's options fit?
    ///
    /// # Errors
    /// The first that does not, with what it may be.
    pub fn validate(&self, options: &Map<String, Value>) -> Result<(), OptionError> {
        for (name, value) in options {
            let Some(spec) = self.properties.get(name) else {
                return Err(OptionError::Unknown { name: name.clone(), known: self.known() });
            };
            if !spec.kind.takes(value) || !(spec.values.is_empty() || spec.values.contains(value)) {
                return Err(OptionError::Value { name: name.clone(), expected: spec.expected() });
            }
        }
        match self.required.iter().find(|name| !options.contains_key(*name)) {
            Some(name) => Err(OptionError::Missing(name.clone())),
            None => Ok(()),
        }
    }

    fn known(&self) -> String {
        if self.properties.is_empty() {
            return "none".to_owned();
        }
        let names: Vec<String> = self.properties.keys().map(|name| format!("`{name}`")).collect();
        names.join(", ")
    }
}

impl OptionSpec {
    fn expected(&self) -> String {
        if self.values.is_empty() {
            return match self.kind {
                OptionKind::String => {
                    format!("text of at most {VALUE_BYTES_MAX} bytes without control characters")
                }
                OptionKind::Integer => "a whole number".to_owned(),
                OptionKind::Boolean => "true or false".to_owned(),
            };
        }
        let values: Vec<String> = self.values.iter().map(|value| format!("`{value}`")).collect();
        values.join(" or ")
    }
}

impl OptionKind {
    fn takes(self, value: &Value) -> bool {
        match self {
            Self::String => value.as_str().is_some_and(|text| {
                !text.is_empty() && text.len() <= VALUE_BYTES_MAX && !text.chars().any(char::is_control)
            }),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Boolean => value.is_boolean(),
        }
    }
}
