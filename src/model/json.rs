//! JSON values that are returned as they were given, also where Rust's numbers and strings cannot hold them.
//!
//! 1. A whole number is kept as its digits, however many, and is never read as a float.
//! 2. A string that has half a surrogate pair, which JSON can write and UTF-8 cannot, is kept as UTF-16.
//! 3. Objects keep the order of their keys. Of a duplicate key, the last value counts.
//! 4. A parsed value is at most [`MAX_DEPTH`] deep, so that every parser can read it again.

mod parser;

use std::fmt::{self, Write};
use std::hash::{Hash, Hasher};

use indexmap::{Equivalent, IndexMap};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{Error as _, Serialize, SerializeMap, SerializeSeq, Serializer};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Integer(Integer),
    /// Finite.
    Float(f64),
    Text(Text),
    List(Vec<Self>),
    Object(Object),
}

pub(super) type Object = IndexMap<Text, Json>;

/// A whole number as JSON writes it.
#[derive(Debug, Clone)]
pub(super) struct Integer(Box<str>);

/// A string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Text {
    Plain(Box<str>),
    /// A string with an unpaired surrogate; `shown` has replacement characters in place of such surrogates.
    Halved {
        units: Box<[u16]>,
        shown: Box<str>,
    },
}

/// The deepest nesting of lists and objects: the same as `serde_json` reads.
pub(super) const MAX_DEPTH: usize = 127;
pub(super) const TOO_DEEP: &str = "is nested too deep";

impl Json {
    /// A whole number of Rust's.
    pub(super) fn whole(value: impl ToString) -> Self {
        Self::Integer(Integer(value.to_string().into()))
    }

    /// The number of lists and objects around the innermost value.
    pub(super) fn depth(&self) -> usize {
        match self {
            Self::List(values) => 1 + values.iter().map(Self::depth).max().unwrap_or(0),
            Self::Object(object) => 1 + object.values().map(Self::depth).max().unwrap_or(0),
            _ => 0,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    pub(super) fn is_bool(&self) -> bool {
        matches!(self, Self::Bool(_))
    }

    pub(super) fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    pub(super) fn is_object(&self) -> bool {
        matches!(self, Self::Object(_))
    }

    /// `None` if it is no whole number, or none from 0 to 2^64 - 1.
    pub(super) fn as_u64(&self) -> Option<u64> {
        if let Self::Integer(Integer(digits)) = self { digits.parse().ok() } else { None }
    }

    /// `None` if it is no string, or none that Rust can hold.
    pub(super) fn as_str(&self) -> Option<&str> {
        if let Self::Text(Text::Plain(text)) = self { Some(text) } else { None }
    }
}

/// The compact text, which parses to the same value. In the alternate form -0 is written as 0, for readers that would
/// read -0 as a float.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(Integer(digits)) if f.alternate() && &**digits == "-0" => f.write_str("0"),
            Self::Integer(Integer(digits)) => f.write_str(digits),
            Self::Float(value) => write!(f, "{}", serde_json::Number::from_f64(*value).ok_or(fmt::Error)?),
            Self::Text(text) => text.fmt(f),
            Self::List(values) => {
                f.write_char('[')?;
                for (index, value) in values.iter().enumerate() {
                    separate(f, index)?;
                    fmt::Display::fmt(value, f)?;
                }
                f.write_char(']')
            }
            Self::Object(object) => write_object(f, object),
        }
    }
}

pub(super) fn write_object(f: &mut fmt::Formatter<'_>, object: &Object) -> fmt::Result {
    f.write_char('{')?;
    for (index, (key, value)) in object.iter().enumerate() {
        separate(f, index)?;
        fmt::Display::fmt(key, f)?;
        f.write_char(':')?;
        fmt::Display::fmt(value, f)?;
    }
    f.write_char('}')
}

fn separate(f: &mut fmt::Formatter<'_>, index: usize) -> fmt::Result {
    if index > 0 { f.write_char(',') } else { Ok(()) }
}

/// -0 is 0: it is only written otherwise.
impl PartialEq for Integer {
    fn eq(&self, other: &Self) -> bool {
        let plain = |one: &Self| if &*one.0 == "-0" { "0".into() } else { one.0.clone() };
        self.0 == other.0 || plain(self) == plain(other)
    }
}

impl Text {
    /// The string as valid UTF-8, for display.
    pub(super) fn shown(&self) -> &str {
        match self {
            Self::Plain(text) | Self::Halved { shown: text, .. } => text,
        }
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::Plain(text.into())
    }
}

/// Hashes like `str`, so that a plain string is found by a `str`.
impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.shown().hash(state);
    }
}

impl Equivalent<Text> for str {
    fn equivalent(&self, key: &Text) -> bool {
        matches!(key, Text::Plain(text) if &**text == self)
    }
}

/// The quoted string, with the fewest escapes.
impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        match self {
            Self::Plain(text) => text.chars().try_for_each(|c| write_char(f, c))?,
            Self::Halved { units, .. } => {
                for unit in char::decode_utf16(units.iter().copied()) {
                    match unit {
                        Ok(c) => write_char(f, c)?,
                        Err(half) => write!(f, "\\u{:04x}", half.unpaired_surrogate())?,
                    }
                }
            }
        }
        f.write_char('"')
    }
}

fn write_char(f: &mut fmt::Formatter<'_>, c: char) -> fmt::Result {
    match c {
        '"' => f.write_str("\\\""),
        '\\' => f.write_str("\\\\"),
        '\u{8}' => f.write_str("\\b"),
        '\t' => f.write_str("\\t"),
        '\n' => f.write_str("\\n"),
        '\u{c}' => f.write_str("\\f"),
        '\r' => f.write_str("\\r"),
        '\0'..='\u{1f}' => write!(f, "\\u{:04x}", u32::from(c)),
        c => f.write_char(c),
    }
}

/// Serializes to any format. A value that the format's numbers and strings cannot hold is an error and is never
/// changed.
impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Integer(integer) => integer.serialize(serializer),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Text(text) => text.serialize(serializer),
            Self::List(values) => {
                let mut list = serializer.serialize_seq(Some(values.len()))?;
                values.iter().try_for_each(|value| list.serialize_element(value))?;
                list.end()
            }
            Self::Object(object) => serialize_object(object, serializer),
        }
    }
}

pub(super) fn serialize_object<S: Serializer>(object: &Object, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(object.len()))?;
    object.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
    map.end()
}

impl Serialize for Integer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Ok(value) = self.0.parse() {
            return serializer.serialize_i64(value);
        }
        if let Ok(value) = self.0.parse() {
            return serializer.serialize_u64(value);
        }
        if let Ok(value) = self.0.parse() {
            return serializer.serialize_i128(value);
        }
        let value = self.0.parse().map_err(|_| S::Error::custom(format!("{} does not fit in 128 bits", self.0)))?;
        serializer.serialize_u128(value)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Plain(text) => serializer.serialize_str(text),
            Self::Halved { .. } => Err(S::Error::custom(format!("{self} has half a surrogate pair"))),
        }
    }
}

/// From a format of one's own, as its numbers and strings are.
impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_none<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        Json::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::whole(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::whole(value))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Json, E> {
        Ok(Json::whole(value))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Json, E> {
        Ok(Json::whole(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json, E> {
        if value.is_finite() { Ok(Json::Float(value)) } else { Err(E::custom(TOO_LARGE)) }
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(Text::Plain(text.into())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Json::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut object = Object::new();
        while let Some((key, value)) = map.next_entry::<String, Json>()? {
            object.insert(key.into(), value);
        }
        let value = Json::Object(object);
        if value.depth() > MAX_DEPTH { Err(A::Error::custom(TOO_DEEP)) } else { Ok(value) }
    }
}

const TOO_LARGE: &str = "the number is larger than any float";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Json {
        Json::parse(text).unwrap()
    }

    #[test]
    fn compact_text_is_returned_unchanged() {
        let digits = "9".repeat(5000);
        for text in [
            "null",
            "true",
            "0",
            "-0",
            "-0.0",
            "1.5",
            "1e-7",
            "18446744073709551616",
            "-170141183460469231731687303715884105729",
            &digits,
            r#""\ud800""#,
            r#""a\udc00\ud83dü\n\u0000\"\\""#,
            "\"\u{1f600}\u{7f}\u{2028}/\"",
            r#"{"\udfff":[{},[],[1,{"":null}]],"b":2,"a":1}"#,
        ] {
            assert_eq!(parse(text).to_string(), text);
            assert_eq!(parse(&parse(text).to_string()), parse(text));
        }
    }

    #[test]
    fn other_ways_to_write_a_value_are_that_value() {
        for (text, compact) in [
            (" [ 1 ,\t2\r\n] ", "[1,2]"),
            (r#""\u0041\/\ud83d\ude00\u00FC""#, "\"A/\u{1f600}ü\""),
            (r#""\uD800\uD800\uDC00""#, "\"\\ud800\u{10000}\""),
            (r#""\ud800x\udc00""#, r#""\ud800x\udc00""#),
            (r#"{"a":1,"b":2,"a":3}"#, r#"{"a":3,"b":2}"#),
            ("1E2", "100.0"),
            ("0.1000000000000000055511151231257827", "0.1"),
        ] {
            assert_eq!(parse(text).to_string(), compact);
        }
    }

    #[test]
    fn kinds_are_kept_apart_and_order_is_not_looked_at() {
        assert_ne!(parse("1"), parse("1.0"));
        assert_ne!(parse("-0"), parse("-0.0"));
        assert_eq!(parse("-0"), parse("0"));
        assert_ne!(parse("18446744073709551616"), parse("18446744073709551617"));
        assert_ne!(parse(r#""\ud800""#), parse(r#""\ud801""#));
        assert_ne!(parse(r#""\ud800""#), parse("\"\u{fffd}\""));
        assert_eq!(parse(r#"{"a":[1],"b":{}}"#), parse(r#"{"b":{},"a":[1]}"#));
    }
}
