//! A value of metadata, so that metadata can be collected from pairs.
//!
//! 1. A value can be set in any object: it is at most one level less deep than an object may be.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::super::json::{Json, MAX_DEPTH, TOO_DEEP};
use crate::model::error::{Error, Result};

/// One value of a [`Metadata`](crate::Metadata), for collecting metadata from pairs without an
/// error for each.
///
/// Booleans, whole numbers and texts convert by themselves; [`json`](Self::json) makes a value of
/// anything else, and parsing makes one of JSON text.
///
/// ```
/// use zaqar_sled::{Metadata, MetadataValue};
///
/// let metadata: Metadata = [("team", "kitchen"), ("owner", "ann")].into_iter().collect();
/// assert_eq!(metadata.get::<String>("owner")?.as_deref(), Some("ann"));
///
/// let mut metadata = Metadata::new();
/// metadata.extend([("_default_message_ttl", 600)]);
/// metadata.extend([("tags", MetadataValue::json(&["a", "b"])?)]);
/// metadata.extend([("big", "18446744073709551616".parse::<MetadataValue>()?)]);
/// let text = r#"{"_default_message_ttl":600,"tags":["a","b"],"big":18446744073709551616}"#;
/// assert_eq!(metadata.to_json(), text);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct MetadataValue(pub(super) Json);

/// Its floats are finite.
impl Eq for MetadataValue {}

impl MetadataValue {
    /// A value of anything that can be JSON. Floats that are not finite become `null`.
    ///
    /// Cost: O(bytes).
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) if the value cannot be JSON, or is nested more than
    /// 126 deep.
    ///
    /// # Example
    ///
    /// ```
    /// let value = zaqar_sled::MetadataValue::json(&[1, 2])?;
    /// assert_eq!(value.to_string(), "[1,2]");
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        serde_json::to_string(value).map_err(|error| invalid(error.to_string()))?.parse()
    }
}

impl FromStr for MetadataValue {
    type Err = Error;

    /// Reads JSON text. Every value is kept as it is.
    fn from_str(text: &str) -> Result<Self> {
        let value = Json::parse(text).map_err(invalid)?;
        if value.depth() >= MAX_DEPTH { Err(invalid(TOO_DEEP)) } else { Ok(Self(value)) }
    }
}

/// Compact JSON.
impl fmt::Display for MetadataValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for MetadataValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MetadataValue({self})")
    }
}

impl From<bool> for MetadataValue {
    fn from(value: bool) -> Self {
        Self(Json::Bool(value))
    }
}

impl From<String> for MetadataValue {
    fn from(text: String) -> Self {
        Self(Json::Text(text.into()))
    }
}

impl From<&str> for MetadataValue {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// `None` is `null`.
impl<T: Into<MetadataValue>> From<Option<T>> for MetadataValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self(Json::Null), Into::into)
    }
}

macro_rules! from_whole {
    ($($whole:ty)*) => {$(
        impl From<$whole> for MetadataValue {
            fn from(value: $whole) -> Self {
                Self(Json::whole(value))
            }
        }
    )*};
}

from_whole!(i8 u8 i16 u16 i32 u32 i64 u64 i128 u128 isize usize);

fn invalid(reason: impl Into<String>) -> Error {
    Error::invalid("value", reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Metadata;

    #[test]
    fn pairs_become_metadata_and_the_last_value_of_a_key_counts() -> Result<()> {
        let mut metadata: Metadata = [("a", 1), ("b", 2), ("a", 3)].into_iter().collect();
        metadata.extend([(String::from("c"), "x")]);
        metadata.extend([("d", Some(true)), ("e", None)]);
        assert_eq!(metadata.to_json(), r#"{"a":3,"b":2,"c":"x","d":true,"e":null}"#);
        assert_eq!(metadata, Metadata::from_json(&metadata.to_json())?);
        Ok(())
    }

    #[test]
    fn a_value_is_what_insert_would_set() -> Result<()> {
        for text in ["null", "-0", "1.5", "\"\\ud800\"", r#"{"x":[1,{}]}"#, "18446744073709551616"] {
            let mut inserted = Metadata::new();
            inserted.insert_json("k", text)?;
            let collected: Metadata = [("k", text.parse::<MetadataValue>()?)].into_iter().collect();
            assert_eq!(collected.to_json(), inserted.to_json());
        }
        assert_eq!(MetadataValue::from(u128::MAX).to_string(), u128::MAX.to_string());
        assert_eq!(MetadataValue::json(&f64::NAN)?.to_string(), "null");
        Ok(())
    }

    #[test]
    fn a_value_that_would_be_too_deep_in_an_object_is_refused() -> Result<()> {
        let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
        let metadata: Metadata = [("k", nested(MAX_DEPTH - 1).parse::<MetadataValue>()?)].into_iter().collect();
        assert_eq!(Metadata::from_json(&metadata.to_json())?, metadata);
        assert!(nested(MAX_DEPTH).parse::<MetadataValue>().unwrap_err().is_invalid());
        assert!("{".parse::<MetadataValue>().unwrap_err().is_invalid());
        assert!(MetadataValue::json(&std::collections::BTreeMap::from([(vec![1], 2)])).unwrap_err().is_invalid());
        Ok(())
    }
}
