//! JSON objects with their keys in the order they were given: metadata, options, capabilities.
//!
//! 1. What is read back equals what was stored: integers and floats, `null` and absence kept apart.
//! 2. Its text parses again: values nested deeper than a parser takes are refused on the way in.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _};
use serde::ser::Serializer;
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// A JSON object: a queue's metadata, where keys that begin with `_` are the storage's own; the options of a subscription
/// or a pool; a flavor's capabilities.
///
/// Equality does not look at the order of keys, but the order is kept.
///
/// ```
/// use zaqar_sled::Metadata;
///
/// let metadata = Metadata::new().with("owner", "ann")?.with("_default_message_ttl", 600)?;
/// assert_eq!(metadata.get::<u32>("_default_message_ttl")?, Some(600));
/// assert_eq!(metadata.to_json(), r#"{"owner":"ann","_default_message_ttl":600}"#);
/// assert_eq!(metadata, Metadata::from_json(r#"{"_default_message_ttl":600, "owner":"ann"}"#)?);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Metadata(Map<String, Value>);

impl Metadata {
    /// An empty object.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a JSON object.
    ///
    /// # Errors
    /// `is_invalid` if the text is not a JSON object, is nested more than 127 deep, or has a whole
    /// number beyond 64 bits, which could not be given back as it was.
    pub fn from_json(text: &str) -> Result<Self> {
        if let Some(number) = first_unkept_integer(text) {
            return Err(invalid(format!("{number} does not fit in 64 bits")));
        }
        serde_json::from_str(text).map(Self).map_err(|error| invalid(error.to_string()))
    }

    /// The object as compact JSON, keys in order.
    pub fn to_json(&self) -> String {
        self.to_string()
    }

    /// The same with a key set; see [`insert`](Self::insert).
    pub fn with(mut self, key: impl Into<String>, value: impl Serialize) -> Result<Self> {
        self.insert(key, value)?;
        Ok(self)
    }

    /// Sets a key. A key that was there keeps its place. Floats that are not finite become `null`.
    ///
    /// # Errors
    /// `is_invalid` if the value cannot be JSON, is nested more than 126 deep, or has a whole number
    /// beyond 64 bits.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Serialize) -> Result<()> {
        let key = key.into();
        let value = serde_json::to_value(value).map_err(|error| Error::invalid(key.as_str(), error.to_string()))?;
        if depth(&value) >= MAX_DEPTH {
            return Err(Error::invalid(key, TOO_DEEP));
        }
        self.0.insert(key, value);
        Ok(())
    }

    /// The value under a key; `None` if the key is absent.
    ///
    /// # Errors
    /// `is_invalid` if the value is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        self.0
            .get(key)
            .map(|value| T::deserialize(value))
            .transpose()
            .map_err(|error| Error::invalid(key, error.to_string()))
    }

    /// Whether the key is there, be it with `null`.
    pub fn contains(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes a key out; the others stay in order. Says whether it was there.
    pub fn remove(&mut self, key: &str) -> bool {
        self.0.shift_remove(key).is_some()
    }

    /// Whether every key of `filter` is here with an equal value.
    pub(crate) fn matches(&self, filter: &Self) -> bool {
        filter.0.iter().all(|(key, value)| self.0.get(key) == Some(value))
    }

    /// `null` is as good as absent for a reserved key.
    pub(super) fn set_value(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }
}

impl FromStr for Metadata {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::from_json(text)
    }
}

impl fmt::Display for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(&self.0).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Metadata({self})")
    }
}

/// An object in self-describing formats, its JSON text in others, which could not read it back.
impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { self.0.serialize(serializer) } else { serializer.collect_str(self) }
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            return text.parse().map_err(D::Error::custom);
        }
        let map = Map::deserialize(deserializer)?;
        if map.values().any(|value| depth(value) >= MAX_DEPTH) {
            return Err(D::Error::custom(TOO_DEEP));
        }
        Ok(Self(map))
    }
}

fn invalid(reason: impl Into<String>) -> Error {
    Error::invalid("metadata", reason)
}

/// How many lists and objects are around the innermost value.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// The parser would turn such an integer into the nearest float without a word.
fn first_unkept_integer(json: &str) -> Option<&str> {
    outside_strings(json)
        .flat_map(|text| text.split(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E')))
        .find(|token| {
            let digits = token.strip_prefix('-').unwrap_or(token);
            !digits.is_empty()
                && digits.bytes().all(|byte| byte.is_ascii_digit())
                && token.parse::<i64>().is_err()
                && token.parse::<u64>().is_err()
        })
}

/// The stretches of JSON text that are not inside a string.
fn outside_strings(json: &str) -> impl Iterator<Item = &str> {
    let (mut inside, mut escaped) = (false, false);
    json.split(move |c| {
        let quote = c == '"' && !escaped;
        escaped = inside && c == '\\' && !escaped;
        inside ^= quote;
        inside || quote
    })
}

/// How deep a JSON text may be nested before the parser refuses it.
const MAX_DEPTH: usize = 127;
const TOO_DEEP: &str = "is nested too deep";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_were() -> Result<()> {
        let text = concat!(
            r#"{"z":1,"a":1.0,"n":null,"t":true,"deep":{"a.b":[1,"$x"],"":-5},"#,
            r#""most":18446744073709551615,"least":-9223372036854775808,"f":1e-7,"u":"ü\"\\"}"#
        );
        let metadata = Metadata::from_json(text)?;
        assert_eq!(metadata.to_json(), text);
        assert_eq!(metadata.keys().take(3).collect::<Vec<_>>(), ["z", "a", "n"]);
        assert_eq!(metadata.to_json().parse::<Metadata>()?, metadata);
        Ok(())
    }

    #[test]
    fn floats_come_back_to_the_last_bit() -> Result<()> {
        let mut bits = 1_u64;
        for _ in 0..20_000 {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let value = f64::from_bits(bits);
            if value.is_finite() {
                let text = Metadata::new().with("x", value)?.to_json();
                let back: Option<f64> = Metadata::from_json(&text)?.get("x")?;
                assert_eq!(back.map(f64::to_bits), Some(bits), "{text}");
            }
        }
        Ok(())
    }

    #[test]
    fn equality_ignores_order_but_not_kind() -> Result<()> {
        let read = Metadata::from_json;
        assert_eq!(read(r#"{"a":1,"b":2}"#)?, read(r#"{"b":2,"a":1}"#)?);
        assert_ne!(read(r#"{"a":1}"#)?, read(r#"{"a":1.0}"#)?);
        assert_ne!(read(r#"{"a":null}"#)?, read("{}")?);
        Ok(())
    }

    #[test]
    fn only_objects_are_metadata() {
        for text in ["", "[]", "1", "null", "{", r#"{"a":1}x"#, r#"{"a":1e400}"#] {
            assert!(Metadata::from_json(text).unwrap_err().is_invalid());
        }
    }

    #[test]
    fn integers_that_would_not_come_back_are_refused() {
        for number in ["18446744073709551616", "-9223372036854775809"] {
            for text in [format!(r#"{{"a":{number}}}"#), format!(r#"{{"\"\\":[0, {number} ]}}"#)] {
                assert!(Metadata::from_json(&text).unwrap_err().is_invalid());
            }
        }
        for text in [
            r#"{"a":"18446744073709551616"}"#,
            r#"{"a\"18446744073709551616":1}"#,
            r#"{"a":18446744073709551616.0}"#,
            r#"{"a":1e20}"#,
        ] {
            assert!(Metadata::from_json(text).is_ok(), "{text}");
        }
        assert!(Metadata::new().with("a", u128::MAX).is_err());
    }

    #[test]
    fn what_is_taken_can_be_read_again_however_deep() -> Result<()> {
        let nested = |depth| (0..depth).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
        let metadata = Metadata::new().with("a", nested(MAX_DEPTH - 1))?;
        assert_eq!(Metadata::from_json(&metadata.to_json())?, metadata);
        let error = Metadata::new().with("a", nested(MAX_DEPTH)).unwrap_err();
        assert!(error.is_invalid());
        let map = Value::from_iter([("a", nested(MAX_DEPTH))]);
        assert!(Metadata::deserialize(map).is_err());
        Ok(())
    }

    #[test]
    fn keys_are_set_read_and_taken_out() -> Result<()> {
        let mut metadata = Metadata::new().with("a", 1)?.with("b", 2)?.with("c", 3)?;
        metadata.insert("a", "x")?;
        assert!(metadata.remove("b") && !metadata.remove("b"));
        assert_eq!(metadata.keys().collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(metadata.get::<String>("a")?.as_deref(), Some("x"));
        assert_eq!(metadata.get::<String>("none")?, None);
        assert!(metadata.get::<u32>("a").unwrap_err().is_invalid());
        assert!(metadata.contains("c") && !metadata.is_empty());
        assert_eq!(metadata.len(), 2);
        Ok(())
    }

    #[test]
    fn a_filter_matches_when_all_its_keys_are_equal() -> Result<()> {
        let metadata = Metadata::from_json(r#"{"a":1,"b":{"x":[1]}}"#)?;
        for (filter, expected) in
            [("{}", true), (r#"{"b":{"x":[1]}}"#, true), (r#"{"a":1,"c":null}"#, false), (r#"{"a":2}"#, false)]
        {
            assert_eq!(metadata.matches(&Metadata::from_json(filter)?), expected);
        }
        Ok(())
    }

    #[test]
    fn binary_formats_can_read_it_back() -> Result<()> {
        let metadata = Metadata::new().with("b", 1.5)?.with("a", "x")?;
        let bytes = bincode::serialize(&metadata).unwrap();
        let back: Metadata = bincode::deserialize(&bytes).unwrap();
        assert_eq!(back.to_json(), metadata.to_json());
        let json = serde_json::to_string(&metadata).unwrap();
        assert_eq!(serde_json::from_str::<Metadata>(&json).unwrap(), metadata);
        Ok(())
    }
}
