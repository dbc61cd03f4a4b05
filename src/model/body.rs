//! Message bodies and their checksums.
//!
//! A body is bytes, given back byte for byte; JSON is one way to fill and read it.

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use md5::{Digest, Md5};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::python_json;
use crate::error::{Error, Result};

/// What a message carries: any bytes. A clone shares them.
///
/// ```
/// use zaqar_sled::Body;
///
/// assert_eq!(&*Body::from("42"), b"42");
/// let body = Body::json(&("a", 1.0, Some("ü")))?;
/// assert_eq!(body, Body::from(r#"["a", 1.0, "\u00fc"]"#));
/// let (text, number): (String, f64) = Body::json(&("a", 1.0))?.to_json()?;
/// assert_eq!((text.as_str(), number), ("a", 1.0));
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Body(Bytes);

impl Body {
    /// A value as JSON, in the very text Python's `json.dumps` writes, so that checksums agree with
    /// Zaqar's. Floats that are not finite become `null`.
    ///
    /// # Errors
    /// `is_invalid` if the value cannot be JSON, such as a map whose keys are lists.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        python_json::to_vec(&value)
            .map(Self::from)
            .map_err(|error| Error::invalid("body", error.to_string()))
    }

    /// Reads the body as JSON.
    ///
    /// # Errors
    /// `is_invalid` if it is not JSON, or not that of a `T`.
    pub fn to_json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.0).map_err(|error| Error::invalid("body", error.to_string()))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) const fn from_bytes(bytes: Bytes) -> Self {
        Self(bytes)
    }

    pub(crate) const fn bytes(&self) -> &Bytes {
        &self.0
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&[u8]> for Body {
    fn from(bytes: &[u8]) -> Self {
        Self(Bytes::copy_from_slice(bytes))
    }
}

impl From<&str> for Body {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

impl<const N: usize> From<&[u8; N]> for Body {
    fn from(bytes: &[u8; N]) -> Self {
        bytes.as_slice().into()
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// The MD5 of a body, as Zaqar shows it: `MD5:` and 32 hexadecimal digits.
///
/// It lets a receiver see that a body is the one that was posted; it is no protection against
/// anyone who means harm. Made at post if the store is opened with checksums on.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Checksum(pub(crate) [u8; 16]);

impl Checksum {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(Md5::digest(bytes).into())
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MD5:{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checksum({self})")
    }
}
