//! The byte form of operations and records: bincode's variable-length integers, and CRC-32.
//!
//! Only this module names bincode. Decoding takes slices and a limit, never a reader, so a damaged length allocates no
//! memory. Every caller checks a checksum first. The form is simple, so that another crate can replace bincode:
//! integers below 251 are one byte, larger ones a marker byte (251, 252, 253) and 2, 4 or 8 bytes little-endian; a
//! sequence is its length and its elements; an enum is its variant's number and its fields; an option is a byte 0 or 1.

use bincode::{DefaultOptions, Options};
use serde::{Deserialize, Serialize};

use crate::model::error::{Error, Result};

/// Appends the byte form of `value` to `buffer`.
pub(crate) fn encode_into<T: Serialize>(value: &T, buffer: &mut Vec<u8>) -> Result<()> {
    options().serialize_into(buffer, value).map_err(|cause| Error::invalid("value", cause.to_string()))
}

/// The size of the encoded `value`, in bytes.
pub(crate) fn size<T: Serialize>(value: &T) -> u64 {
    options().serialized_size(value).unwrap_or(0)
}

/// Decodes a value that fills `bytes` exactly; the error says why that failed.
pub(crate) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, String> {
    options().with_limit(bytes.len() as u64).deserialize(bytes).map_err(|cause| cause.to_string())
}

/// CRC-32 (IEEE) of `bytes`.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// CRC-32 of `bytes`, continued from `seed`, the checksum of the bytes before them.
pub(crate) fn crc32_from(seed: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    hasher.update(bytes);
    hasher.finalize()
}

/// The `N` bytes of `bytes` at `at`, if `bytes` has them.
pub(crate) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// Bytes as hex, for golden-byte tests.
#[cfg(test)]
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn options() -> impl Options {
    DefaultOptions::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_and_nothing_may_follow_it() {
        let mut bytes = Vec::new();
        encode_into(&(7_u64, "text", Some(300_u16)), &mut bytes).unwrap();
        assert_eq!(bytes, [7, 4, b't', b'e', b'x', b't', 1, 251, 44, 1]);
        assert_eq!(decode::<(u64, &str, Option<u16>)>(&bytes), Ok((7, "text", Some(300))));
        bytes.push(0);
        assert!(decode::<(u64, &str, Option<u16>)>(&bytes).is_err());
    }

    #[test]
    fn a_length_beyond_the_bytes_is_an_error() {
        let poison_on_panic = [253, 255, 255, 255, 255, 255, 255, 255, 127];
        assert!(decode::<&[u8]>(&poison_on_panic).is_err());
        assert!(decode::<Vec<u64>>(&poison_on_panic).is_err());
    }
}
