//! Reading what the service said.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Error, Reply};

impl Reply {
    /// A header's value; names are in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Did it work?
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// The body as JSON of a known shape.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: a service that answers without sense may answer with sense later.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|_| Error::Unavailable)
    }

    /// The body as any JSON; null when it is none, as error bodies of proxies are.
    #[must_use]
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}
