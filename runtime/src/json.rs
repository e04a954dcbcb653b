//! JSON that cannot be read in two ways.
//!
//! What a connector wants to say in JSON is parsed here, checked by the grant and written again by
//! the host, so that the service reads exactly what was checked. The parser refuses what readers
//! disagree about: a key that occurs twice. [`ascii`] writes JSON that fits into a header.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Nesting that is accepted, in levels: the deepest argument of either service has four.
pub const DEPTH_MAX: usize = 16;

/// Parse, refusing duplicate keys, nesting beyond [`DEPTH_MAX`] and anything after the value.
///
/// # Errors
/// The parser's own words, with line and column.
pub fn parse(text: &[u8]) -> Result<Value, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Strict { depth: 0 }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Write JSON in printable ASCII only, as a header needs it (Dropbox asks for 0x7F to be escaped too).
///
/// # Errors
/// Never for a [`Value`]; the type is the serialiser's.
pub fn ascii(value: &Value) -> Result<String, serde_json::Error> {
    let mut out = Vec::new();
    let mut writer = serde_json::Serializer::with_formatter(&mut out, Ascii);
    serde::Serialize::serialize(value, &mut writer)?;
    String::from_utf8(out).map_err(serde::ser::Error::custom)
}

struct Ascii;

impl serde_json::ser::Formatter for Ascii {
    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> std::io::Result<()>
    where
        W: ?Sized + std::io::Write,
    {
        let mut units = [0_u16; 2];
        for character in fragment.chars() {
            if matches!(character, ' '..='~') {
                write!(writer, "{character}")?;
                continue;
            }
            for unit in character.encode_utf16(&mut units) {
                write!(writer, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}

/// Reads one value and remembers how deep it is.
#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= DEPTH_MAX {
            return Err(E::custom(format_args!("nested deeper than {DEPTH_MAX} levels")));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(A::Error::custom(format_args!("the key `{key}` occurs twice")));
            }
            let value = members.next_value_seed(inner)?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        let check = |text: &str, expected: Option<&str>| {
            let error = parse(text.as_bytes()).err().map(|error| error.to_string());
            match expected {
                None => assert_eq!(error, None, "{text}"),
                Some(part) => assert!(error.as_deref().unwrap_or("").contains(part), "{text}: {error:?}"),
            }
        };
        check(r#"{"a":{"b":[1,-2,2.5,null,true]}}"#, None);
        check(r#"{"a":1,"a":2}"#, Some("`a` occurs twice"));
        check(r#"{"a":{"b":1,"\u0062":2}}"#, Some("`b` occurs twice"));
        check(r#"{"a":1} {"#, Some("trailing"));
        check(&format!("{}1{}", "[".repeat(17), "]".repeat(17)), Some("nested deeper"));
        check("", Some("EOF"));
    }

    #[test]
    fn header_json_is_ascii_and_means_the_same() {
        let value = serde_json::json!({"path": "/Zürich/😀/\u{7f}\"\\\n"});
        let text = ascii(&value).unwrap();
        assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text}");
        assert_eq!(text, r#"{"path":"/Z\u00fcrich/\ud83d\ude00/\u007f\"\\\n"}"#);
        assert_eq!(parse(text.as_bytes()).unwrap(), value);
    }
}
