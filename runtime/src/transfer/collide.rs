//! Names here that are one name at the service.
//!
//! Linux keeps `README` and `readme` apart; sent to a service that does not, the second would replace the
//! first, or two folders would become one. Which of them is meant nobody can say, so none is sent: each is
//! an error that names another, found before the first byte moves. What a service calls the same
//! is for its manifest to say.

use std::collections::HashMap;

use super::Error;
use super::local::Found;
use crate::manifest::Manifest;

/// Turn what cannot be told apart at the service into errors, among what is in one folder. What `takes`
/// does not take is in nobody's way.
pub(super) fn refuse(
    found: Vec<Result<Found, Error>>,
    manifest: &Manifest,
    takes: impl Fn(&Found) -> bool,
) -> Vec<Result<Found, Error>> {
    let mut same: HashMap<String, Vec<String>> = HashMap::new();
    for found in found.iter().flatten().filter(|found| takes(found)) {
        let key = manifest.names.key(&found.name).into_owned();
        same.entry(key).or_default().push(found.name.clone());
    }
    same.retain(|_, names| names.len() > 1);
    if same.is_empty() {
        return found;
    }
    let check = |found: Found| {
        let rivals = same.get(&*manifest.names.key(&found.name)).filter(|_| takes(&found));
        let rival = rivals.and_then(|names| names.iter().find(|name| **name != found.name));
        match rival {
            Some(rival) => Err(collision(&found, rival, &manifest.name)),
            None => Ok(found),
        }
    };
    found.into_iter().map(|found| found.and_then(check)).collect()
}

fn collision(found: &Found, rival: &str, service: &str) -> Error {
    Error::Name {
        path: found.path.to_string_lossy().into_owned(),
        problem: format!("`{rival}` beside it is the same name to {service}"),
    }
}
