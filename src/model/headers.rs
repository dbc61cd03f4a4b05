//! The headers of a message.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::error::{Error, Result};

/// Names and values that travel with a message (ours): up to [`MOST`](Self::MOST) of them, of
/// [`MOST_BYTES`](Self::MOST_BYTES) together.
///
/// Headers keep their order, and a name may appear more than once. They are posted with the message
/// and never change: claims, retries, moves to another pool, dead letters and redrives keep them. They
/// count as bytes of the post, and take no space in a message that has none.
///
/// A name has 1 to 256 bytes and no control characters, and is compared exactly. Two names are
/// reserved, may appear once, and have a form that is checked when the message is posted:
/// [`TRACE_PARENT`](Self::TRACE_PARENT) and [`CONTENT_TYPE`](Self::CONTENT_TYPE).
///
/// As JSON they are a list of pairs.
///
/// ```
/// use zaqar_sled::{ClientId, Config, Headers, Metadata, NewMessage, Project};
///
/// # let disk = std::sync::Arc::new(zaqar_sled::SimulatedDisk::new());
/// let engine = Config::new().disk(disk).open("store")?;
/// let orders = engine.queue(Project::none(), "orders")?;
/// orders.create(Metadata::new())?;
/// let order = NewMessage::json(&7)?
///     .header(Headers::CONTENT_TYPE, "application/json")
///     .header("customer", "ann");
/// let ids = orders.post(ClientId::random(), &[order])?;
///
/// let headers = orders.get(&ids[0])?.headers().clone();
/// assert_eq!(headers.get("customer"), Some("ann"));
/// let names: Vec<&str> = headers.iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["content-type", "customer"]);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// The most headers of one message.
    pub const MOST: usize = 64;

    /// The most bytes of all names and values of one message: 8 KiB.
    pub const MOST_BYTES: u64 = 8 << 10;

    /// The reserved name for the trace that a message belongs to. The value is a `traceparent` of the
    /// W3C's *Trace Context*, such as `00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01`.
    pub const TRACE_PARENT: &str = "traceparent";

    /// The reserved name for the media type of the body. The value begins with a type and a subtype, such
    /// as `application/json` or `text/plain; charset=utf-8`.
    pub const CONTENT_TYPE: &str = "content-type";

    /// No headers.
    ///
    /// ```
    /// assert!(zaqar_sled::Headers::new().is_empty());
    /// ```
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a header behind the others.
    ///
    /// ```
    /// let headers = zaqar_sled::Headers::new().with("tried", "a").with("tried", "b");
    /// assert_eq!(headers.len(), 2);
    /// ```
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.push((name.into(), value.into()));
        self
    }

    /// The value of the first header of that name.
    ///
    /// ```
    /// let headers = zaqar_sled::Headers::new().with("tried", "a").with("tried", "b");
    /// assert_eq!((headers.get("tried"), headers.get("Tried")), (Some("a"), None));
    /// ```
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The names and values, in their order.
    ///
    /// ```
    /// let headers = zaqar_sled::Headers::new().with("tried", "a").with("tried", "b");
    /// assert_eq!(headers.iter().next_back(), Some(("tried", "b")));
    /// ```
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The number of headers.
    ///
    /// ```
    /// assert_eq!(zaqar_sled::Headers::new().with("customer", "ann").len(), 1);
    /// ```
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no headers.
    ///
    /// ```
    /// assert!(!zaqar_sled::Headers::new().with("customer", "").is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes of all names and values.
    pub(crate) fn bytes(&self) -> u64 {
        self.iter().fold(0, |sum: u64, (name, value)| sum.saturating_add(name.len() as u64 + value.len() as u64))
    }

    /// Checks what the type's documentation says.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        if self.len() > Self::MOST {
            return Err(Error::invalid("headers", format!("{} are more than {}", self.len(), Self::MOST)));
        }
        let size = self.bytes();
        if size > Self::MOST_BYTES {
            return Err(Error::TooLarge { what: "bytes of the headers", size, limit: Self::MOST_BYTES });
        }
        for (name, _) in self.iter() {
            if name.is_empty() || name.len() > MOST_NAME_BYTES || name.chars().any(char::is_control) {
                let reason =
                    format!("the name {name:?} is not 1 to {MOST_NAME_BYTES} bytes without control characters");
                return Err(Error::invalid("headers", reason));
            }
        }
        self.check_reserved(Self::TRACE_PARENT, is_trace_parent)?;
        self.check_reserved(Self::CONTENT_TYPE, is_media_type)
    }

    fn check_reserved(&self, reserved: &str, has_form: fn(&str) -> bool) -> Result<()> {
        let mut values = self.iter().filter(|(name, _)| *name == reserved).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (Some(_), Some(_)) => Err(Error::invalid(reserved, "is given twice")),
            (Some(value), None) if !has_form(value) => Err(Error::invalid(reserved, format!("cannot be {value:?}"))),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

const MOST_NAME_BYTES: usize = 256;

/// `version-trace-parent-flags`, each in lower-case hex. A later version may have more behind it.
fn is_trace_parent(value: &str) -> bool {
    let mut parts = value.split('-');
    let mut next = |digits: usize| {
        parts
            .next()
            .filter(|part| part.len() == digits && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
    };
    let (Some(version), Some(trace), Some(parent), Some(_)) = (next(2), next(32), next(16), next(2)) else {
        return false;
    };
    let is_nonzero = |part: &str| part.bytes().any(|byte| byte != b'0');
    version != "ff" && is_nonzero(trace) && is_nonzero(parent) && (version != "00" || parts.next().is_none())
}

/// A type and a subtype, and perhaps parameters behind a semicolon.
fn is_media_type(value: &str) -> bool {
    let is_token = |part: &str| {
        let is_mark = |byte: u8| b"!#$%&'*+-.^_`|~".contains(&byte);
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || is_mark(byte))
    };
    let essence = value.split(';').next().unwrap_or_default().trim_end();
    let has_control = value.chars().any(char::is_control);
    !has_control && essence.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(count: usize, value: &str) -> Headers {
        (0..count).map(|index| (format!("{index:04}"), value)).collect()
    }

    #[test]
    fn the_number_and_the_bytes_have_bounds() {
        assert!(Headers::new().check().is_ok());
        assert!(of(Headers::MOST, "x").check().is_ok());
        assert!(of(Headers::MOST + 1, "").check().unwrap_err().is_invalid());
        assert!(of(64, &"x".repeat(124)).check().is_ok());
        let over = of(64, &"x".repeat(124)).0.into_iter().skip(1).chain([("0".into(), "x".repeat(128))]);
        assert!(over.collect::<Headers>().check().unwrap_err().is_too_large());
    }

    #[test]
    fn names_have_1_to_256_bytes_without_control_characters() {
        for name in ["a", "Ä b", &"x".repeat(256)] {
            assert!(Headers::new().with(name, "\0").check().is_ok(), "{name}");
        }
        for name in ["", "a\0", "a\n", "\u{7f}", &"x".repeat(257)] {
            assert!(Headers::new().with(name, "x").check().unwrap_err().is_invalid(), "{name:?}");
        }
    }

    #[test]
    fn reserved_names_have_a_form_and_appear_once() {
        let check = |name: &str, value: &str| Headers::new().with(name, value).check();
        let (trace, parent) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        let right = format!("00-{trace}-{parent}-01");
        for value in [right.clone(), format!("cc-{trace}-{parent}-00-more")] {
            assert!(check(Headers::TRACE_PARENT, &value).is_ok(), "{value}");
        }
        for value in [
            String::new(),
            format!("ff-{trace}-{parent}-01"),
            format!("00-{trace}-{parent}-01-more"),
            format!("00-{trace}-{parent}"),
            format!("00-{}-{parent}-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            right.to_uppercase(),
        ] {
            assert!(check(Headers::TRACE_PARENT, &value).unwrap_err().is_invalid(), "{value}");
        }
        for value in ["text/plain", "text/plain; charset=utf-8", "application/vnd.x+json"] {
            assert!(check(Headers::CONTENT_TYPE, value).is_ok(), "{value}");
        }
        for value in ["", "text", "text/", "/plain", "te xt/plain", "text/plain;\n"] {
            assert!(check(Headers::CONTENT_TYPE, value).unwrap_err().is_invalid(), "{value:?}");
        }
        let twice = Headers::new().with(Headers::CONTENT_TYPE, "a/b").with(Headers::CONTENT_TYPE, "a/b");
        assert!(twice.check().unwrap_err().is_invalid());
        assert!(check("Content-Type", "anything").is_ok(), "names are compared exactly");
    }

    #[test]
    fn headers_are_pairs_in_json() {
        let headers = Headers::new().with("b", "1").with("a", "2").with("b", "3");
        let json = serde_json::to_string(&headers).unwrap();
        assert_eq!(json, r#"[["b","1"],["a","2"],["b","3"]]"#);
        assert_eq!(serde_json::from_str::<Headers>(&json).unwrap(), headers);
    }
}
