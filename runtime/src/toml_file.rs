//! Reading what an operator wrote.
//!
//! A misspelt key is an error, and so is a value of the wrong kind; both are reported as one line that
//! says on which line of the file, because that is what a person can go to.

use serde::de::DeserializeOwned;

/// Parse a file; the error reads as the end of a sentence that begins with the file's name.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())?;
    toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        // The parser's own words may run over several lines.
        let message: Vec<_> = error.message().split_whitespace().collect();
        let message = message.join(" ");
        // A value of the wrong kind is reported without its key, which is what a person looks for.
        let written = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        let key = written.split_once('=').map(|(key, _)| key.trim()).filter(|key| !key.is_empty());
        match key.filter(|key| !message.contains(&format!("`{key}`"))) {
            Some(key) => format!("line {line}: `{key}`: {message}"),
            None => format!("line {line}: {message}"),
        }
    })
}
