//! Message bodies and their checksums.
//!
//! A body is bytes and is returned byte for byte. JSON is one way to write and read a body.

use std::fmt;

use bytes::Bytes;
use md5::{Digest, Md5};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::python_json;
use crate::model::error::{Error, Result};

/// The body of a message: any bytes. A clone shares the bytes.
///
/// ```
/// use zaqar_sled::Body;
///
/// assert_eq!(Body::from("42").as_bytes(), b"42");
/// let body = Body::json(&("a", 1.0, Some("ü")))?;
/// assert_eq!(body, Body::from(r#"["a", 1.0, "\u00fc"]"#));
/// let (text, number): (String, f64) = Body::json(&("a", 1.0))?.to_json()?;
/// assert_eq!((text.as_str(), number), ("a", 1.0));
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Body(Bytes);

impl Body {
    /// A value as JSON, in exactly the text that Python's `json.dumps` writes, so that checksums
    /// agree with Zaqar's (contract 15). Floats that are not finite become `null`.
    ///
    /// Cost: O(bytes).
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) if the value cannot be JSON, for example a map
    /// whose keys are lists, or is nested more than 127 deep, which [`to_json`](Self::to_json)
    /// would not read.
    ///
    /// # Example
    ///
    /// ```
    /// let body = zaqar_sled::Body::json(&[1, 2])?;
    /// assert_eq!(body.as_bytes(), b"[1, 2]");
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        python_json::to_vec(&value).map(Self::from).map_err(|error| Error::invalid("body", error.to_string()))
    }

    /// Reads the body as JSON.
    ///
    /// Cost: O(bytes).
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) if the body is not JSON, or not the JSON of a `T`.
    ///
    /// # Example
    ///
    /// ```
    /// let body = zaqar_sled::Body::from("[1, 2]");
    /// assert_eq!(body.to_json::<Vec<u8>>()?, [1, 2]);
    /// assert!(body.to_json::<String>().unwrap_err().is_invalid());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn to_json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.0).map_err(|error| Error::invalid("body", error.to_string()))
    }

    /// The bytes of the body.
    ///
    /// ```
    /// assert_eq!(zaqar_sled::Body::from("42").as_bytes(), b"42");
    /// ```
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The number of bytes.
    ///
    /// ```
    /// assert_eq!(zaqar_sled::Body::from("42").len(), 2);
    /// ```
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the body has no bytes.
    ///
    /// ```
    /// assert!(zaqar_sled::Body::default().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) const fn from_bytes(bytes: Bytes) -> Self {
        Self(bytes)
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

impl From<Body> for Vec<u8> {
    fn from(body: Body) -> Self {
        body.0.into()
    }
}

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// The MD5 of a body, as Zaqar shows it: `MD5:` and 32 hexadecimal digits (contract 15).
///
/// With it a receiver can see that the body is the one that was posted. It is no protection against
/// an attacker. The checksum is computed by the post if the store is opened with
/// [`checksums`](crate::Config::checksums).
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// let engine = Config::new().disk(disk).checksums(true).open("store")?;
/// # let orders = engine.queue(Project::none(), "orders")?;
/// # orders.create(Metadata::new())?;
/// orders.post(ClientId::random(), &[NewMessage::new("abc")])?;
/// let checksum = orders.first(Sort::Oldest)?.checksum().map(|sum| sum.to_string());
/// assert_eq!(checksum.as_deref(), Some("MD5:900150983cd24fb0d6963f7d28e17f72"));
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_given_back_byte_for_byte() {
        let bytes = [0_u8, 255, 10, 34];
        for body in [
            Body::from(bytes.to_vec()),
            Body::from(bytes.as_slice()),
            Body::from(&bytes),
            Body::from_bytes(Bytes::copy_from_slice(&bytes)),
        ] {
            assert_eq!((body.as_bytes(), body.len()), (bytes.as_slice(), 4));
            assert_eq!(body.as_bytes(), body.as_ref());
            assert_eq!(Vec::from(body), bytes);
        }
        assert_eq!(Body::from(String::from("ü")), Body::from("ü"));
        assert!(Body::default().is_empty());
    }

    #[test]
    fn a_clone_shares_the_bytes() {
        let body = Body::from("42");
        assert_eq!(body.clone().as_bytes().as_ptr(), body.as_bytes().as_ptr());
    }

    #[test]
    fn invalid_json_is_refused_both_ways() {
        let lists_as_keys = std::collections::BTreeMap::from([(vec![1], 2)]);
        assert!(Body::json(&lists_as_keys).unwrap_err().is_invalid());
        assert!(Body::from("{").to_json::<u32>().unwrap_err().is_invalid());
        assert!(Body::from("\"1\"").to_json::<u32>().is_err());
        assert!(Body::json("unsized").is_ok());
    }

    #[test]
    fn a_written_body_can_be_read_however_deep() {
        let nested = |depth| (0..depth).fold(serde_json::Value::Null, |inner, _| serde_json::json!({ "a": [inner] }));
        let deep = serde_json::json!([nested(63)]);
        assert_eq!(Body::json(&deep).unwrap().to_json::<serde_json::Value>().unwrap(), deep);
        assert!(Body::json(&nested(64)).unwrap_err().is_invalid());
        let wide = serde_json::json!([[], [], {}, [[]]]);
        assert_eq!(
            Body::json(&vec![&wide; 200]).unwrap().to_json::<Vec<serde_json::Value>>().unwrap(),
            vec![wide; 200]
        );
    }

    #[test]
    fn checksums_are_md5_in_zaqars_form() {
        let shown = |bytes| Checksum::of(bytes).to_string();
        assert_eq!(shown(b""), "MD5:d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(shown(b"abc"), "MD5:900150983cd24fb0d6963f7d28e17f72");
        // Leading zeros are shown.
        assert_eq!(shown(b"168"), "MD5:006f52e9102a8d3be2fe5614f42ba989");
    }
}
