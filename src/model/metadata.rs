//! JSON objects with their keys in the order they were given: metadata, options, capabilities.
//!
//! 1. A value that is read back equals the stored value. Integers and floats stay different, and so
//!    do `null` and an absent key. This includes integers beyond 64 bits and strings with half a
//!    surrogate pair, which Rust's own types cannot hold.
//! 2. The text of an object parses again: values that are nested deeper than a parser accepts are refused.

mod value;

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _};
use serde::ser::Serializer;

use super::json::{Json, MAX_DEPTH, Object, TOO_DEEP, Text, serialize_object, write_object};
use crate::model::error::{Error, Result};

pub use value::MetadataValue;

/// A JSON object: the metadata of a queue, the options of a subscription or a pool, or the
/// capabilities of a flavor. In a queue's metadata, keys that begin with `_` are settings of the
/// storage (contract 13).
///
/// Two objects are equal whatever the order of their keys, but the order is kept.
///
/// ```
/// use zaqar_sled::Metadata;
///
/// let metadata = Metadata::new().with("owner", "ann")?.with("_default_message_ttl", 600)?;
/// assert_eq!(metadata.get::<u32>("_default_message_ttl")?, Some(600));
/// assert_eq!(metadata.to_json(), r#"{"owner":"ann","_default_message_ttl":600}"#);
/// let other = Metadata::from_json(r#"{"_default_message_ttl":600, "owner":"ann"}"#)?;
/// assert_eq!(metadata, other);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Default)]
pub struct Metadata(Object);

/// The floats in the object are finite.
impl Eq for Metadata {}

impl Metadata {
    /// An empty object.
    ///
    /// ```
    /// let metadata = zaqar_sled::Metadata::new();
    /// assert_eq!(metadata.to_json(), "{}");
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a JSON object. Every value is kept as it is (contract 2): whole numbers of any size,
    /// and strings with half a surrogate pair (`"\ud800"`), which [`get`](Self::get) cannot return
    /// as a `String` but [`get_json`](Self::get_json) returns as text.
    ///
    /// Cost: O(bytes).
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) if the text is not a JSON object, is nested more
    /// than 127 deep, or has a float beyond 64 bits.
    ///
    /// # Example
    ///
    /// ```
    /// use zaqar_sled::Metadata;
    ///
    /// let text = r#"{"large":18446744073709551616,"zero":-0,"half":"\ud800"}"#;
    /// assert_eq!(Metadata::from_json(text)?.to_json(), text);
    /// assert!(Metadata::from_json("[]").unwrap_err().is_invalid());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn from_json(text: &str) -> Result<Self> {
        match Json::parse(text) {
            Ok(Json::Object(object)) => Ok(Self(object)),
            Ok(_) => Err(invalid("must be an object")),
            Err(reason) => Err(invalid(reason)),
        }
    }

    /// The object as compact JSON, keys in order.
    ///
    /// Cost: O(bytes).
    ///
    /// ```
    /// let metadata = zaqar_sled::Metadata::new().with("b", 1)?.with("a", 2)?;
    /// assert_eq!(metadata.to_json(), r#"{"b":1,"a":2}"#);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn to_json(&self) -> String {
        self.to_string()
    }

    /// The same object with a key set, as [`insert`](Self::insert) sets it.
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) as [`insert`](Self::insert).
    ///
    /// # Example
    ///
    /// ```
    /// let metadata = zaqar_sled::Metadata::new().with("team", 7)?;
    /// assert_eq!(metadata.to_json(), r#"{"team":7}"#);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn with(mut self, key: impl Into<String>, value: impl Serialize) -> Result<Self> {
        self.insert(key, value)?;
        Ok(self)
    }

    /// Sets a key. A key that exists keeps its place. Floats that are not finite become `null`.
    ///
    /// Cost: O(bytes of the value).
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) if the value cannot be JSON, or is nested more than
    /// 126 deep.
    ///
    /// # Example
    ///
    /// ```
    /// let mut metadata = zaqar_sled::Metadata::new();
    /// metadata.insert("tags", ["a", "b"])?;
    /// assert_eq!(metadata.get_json("tags").as_deref(), Some(r#"["a","b"]"#));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn insert(&mut self, key: impl Into<String>, value: impl Serialize) -> Result<()> {
        let key = key.into();
        let text = serde_json::to_string(&value).map_err(|error| Error::invalid(key.as_str(), error.to_string()))?;
        self.insert_json(key, &text)
    }

    /// Sets a key to a value that is given as JSON text.
    ///
    /// Cost: O(bytes of the value).
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) if the text is not JSON, or is nested more than 126
    /// deep.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::Metadata;
    /// let mut metadata = Metadata::new();
    /// metadata.insert_json("n", "18446744073709551616")?;
    /// assert_eq!(metadata.get::<u128>("n")?, Some(1 << 64));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn insert_json(&mut self, key: impl Into<String>, text: &str) -> Result<()> {
        let key = key.into();
        let value = Json::parse(text).map_err(|reason| Error::invalid(key.as_str(), reason))?;
        if value.depth() >= MAX_DEPTH {
            return Err(Error::invalid(key, TOO_DEEP));
        }
        self.0.insert(key.into(), value);
        Ok(())
    }

    /// The value of a key; `None` if the key is absent.
    ///
    /// Cost: O(bytes of the value).
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) if the value is not a `T`.
    ///
    /// # Example
    ///
    /// ```
    /// let metadata = zaqar_sled::Metadata::new().with("team", 7)?;
    /// assert_eq!(metadata.get::<u8>("team")?, Some(7));
    /// assert_eq!(metadata.get::<u8>("owner")?, None);
    /// assert!(metadata.get::<String>("team").unwrap_err().is_invalid());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        let value = self.0.get(key).map(|value| serde_json::from_str(&format!("{value:#}")));
        value.transpose().map_err(|error| Error::invalid(key, error.to_string()))
    }

    /// The value of a key as compact JSON, whatever its type; `None` if the key is absent.
    ///
    /// ```
    /// # use zaqar_sled::Metadata;
    /// let metadata = Metadata::from_json(r#"{"half": "\ud800"}"#)?;
    /// assert!(metadata.get::<String>("half").is_err());
    /// assert_eq!(metadata.get_json("half").as_deref(), Some(r#""\ud800""#));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn get_json(&self, key: &str) -> Option<String> {
        self.0.get(key).map(Json::to_string)
    }

    /// Whether the key exists, also if its value is `null`.
    ///
    /// ```
    /// let metadata = zaqar_sled::Metadata::from_json(r#"{"team": null}"#)?;
    /// assert!(metadata.contains("team") && !metadata.contains("owner"));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn contains(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The keys, in order. Half a surrogate pair in a key is shown as U+FFFD; such a key is in
    /// [`to_json`](Self::to_json), but [`get`](Self::get) does not find it.
    ///
    /// ```
    /// let metadata = zaqar_sled::Metadata::new().with("b", 1)?.with("a", 2)?;
    /// assert_eq!(metadata.keys().collect::<Vec<_>>(), ["b", "a"]);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(Text::shown)
    }

    /// The number of keys.
    ///
    /// ```
    /// assert_eq!(zaqar_sled::Metadata::new().with("team", 7)?.len(), 1);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no keys.
    ///
    /// ```
    /// assert!(zaqar_sled::Metadata::new().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Removes a key and returns whether it existed. The other keys keep their order.
    ///
    /// ```
    /// let mut metadata = zaqar_sled::Metadata::new().with("team", 7)?;
    /// assert!(metadata.remove("team"));
    /// assert!(metadata.is_empty() && !metadata.remove("team"));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn remove(&mut self, key: &str) -> bool {
        self.0.shift_remove(key).is_some()
    }

    /// Whether every key of `filter` is here with an equal value.
    pub(crate) fn matches(&self, filter: &Self) -> bool {
        filter.0.iter().all(|(key, value)| self.0.get(key) == Some(value))
    }

    /// `null` is as good as absent for a reserved key.
    pub(super) fn set_value(&self, key: &str) -> Option<&Json> {
        self.0.get(key).filter(|value| !value.is_null())
    }
}

/// Sets each key in turn, as [`insert`](Metadata::insert) does.
impl<K: Into<String>, V: Into<MetadataValue>> Extend<(K, V)> for Metadata {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, pairs: I) {
        self.0.extend(pairs.into_iter().map(|(key, value)| (key.into().into(), value.into().0)));
    }
}

impl<K: Into<String>, V: Into<MetadataValue>> FromIterator<(K, V)> for Metadata {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut metadata = Self::new();
        metadata.extend(pairs);
        metadata
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
        write_object(f, &self.0)
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Metadata({self})")
    }
}

/// In self-describing formats an object, in other formats its JSON text, because those formats
/// could not read an object back. In a self-describing format a whole number beyond 128 bits, or
/// half a surrogate pair, is an error: use [`to_json`](Metadata::to_json) for such values.
impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serialize_object(&self.0, serializer)
        } else {
            serializer.collect_str(self)
        }
    }
}

/// Numbers and strings are read as the format gives them: `serde_json` turns whole numbers beyond
/// 64 bits into floats, which [`from_json`](Metadata::from_json) does not.
impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            return text.parse().map_err(D::Error::custom);
        }
        match Json::deserialize(deserializer)? {
            Json::Object(object) => Ok(Self(object)),
            _ => Err(D::Error::custom("must be an object")),
        }
    }
}

fn invalid(reason: impl Into<String>) -> Error {
    Error::invalid("metadata", reason)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

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
    fn values_beyond_rusts_types_are_read_back_too() -> Result<()> {
        let text = r#"{"n":18446744073709551616,"m":-9223372036854775809,"z":-0,"f":-0.0,"s":"\ud83d","\udc00":1}"#;
        let metadata = Metadata::from_json(text)?;
        assert_eq!(metadata.to_json(), text);
        assert_eq!(metadata.get::<u128>("n")?, Some(1 << 64));
        assert_eq!(metadata.get::<i64>("z")?, Some(0));
        assert_eq!(metadata.get::<f64>("f")?.map(f64::to_bits), Some((-0.0_f64).to_bits()));
        assert!(metadata.get::<String>("s").unwrap_err().is_invalid());
        assert_eq!(metadata.get_json("s").as_deref(), Some(r#""\ud83d""#));
        assert_eq!(metadata.keys().last(), Some("\u{fffd}"));
        assert!(!metadata.contains("\u{fffd}"));
        assert_ne!(metadata, Metadata::from_json(&text.replace("616", "617"))?);
        let bytes = bincode::serialize(&metadata).unwrap();
        assert_eq!(bincode::deserialize::<Metadata>(&bytes).unwrap().to_json(), text);
        // A value that the format's types cannot hold is refused.
        assert!(serde_json::to_string(&metadata).is_err());
        assert_eq!(Metadata::new().with("a", u128::MAX)?.get("a")?, Some(u128::MAX));
        Ok(())
    }

    #[test]
    fn accepted_metadata_can_be_read_again_however_deep() -> Result<()> {
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
