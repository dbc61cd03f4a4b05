//! A message's body in an export: its exact bytes, in the most readable of three forms.
//!
//! | Form | For a body that is |
//! |---|---|
//! | `json` | one JSON value without a line break: the value stands in the line as it is, byte by byte |
//! | `text` | any other UTF-8 without control characters but tab and line breaks |
//! | `base64` | anything else |
//!
//! 1. The form depends on the bytes alone, and the bytes of a form are those that it was made of.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BodyForm<'a> {
    #[serde(borrow)]
    Json(&'a RawValue),
    #[serde(borrow)]
    Text(Cow<'a, str>),
    #[serde(borrow)]
    Base64(Cow<'a, str>),
}

impl<'a> BodyForm<'a> {
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        match (as_json(bytes), as_text(bytes)) {
            (Some(value), _) => Self::Json(value),
            (None, Some(text)) => Self::Text(text.into()),
            (None, None) => Self::Base64(STANDARD.encode(bytes).into()),
        }
    }

    /// The bytes; the error says what is wrong.
    pub(crate) fn bytes(&self) -> Result<Cow<'_, [u8]>, String> {
        match self {
            Self::Json(value) => Ok(value.get().as_bytes().into()),
            Self::Text(text) => Ok(text.as_bytes().into()),
            Self::Base64(text) => STANDARD.decode(text.as_bytes()).map(Into::into).map_err(|error| error.to_string()),
        }
    }
}

/// The value that the bytes are, if they are nothing else.
fn as_json(bytes: &[u8]) -> Option<&RawValue> {
    if bytes.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return None;
    }
    let value: &RawValue = serde_json::from_slice(bytes).ok()?;
    (value.get().len() == bytes.len()).then_some(value)
}

fn as_text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let is_plain = |byte: u8| byte >= b' ' && byte != 0x7f || matches!(byte, b'\t' | b'\n' | b'\r');
    text.bytes().all(is_plain).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(bytes: &[u8]) -> String {
        serde_json::to_string(&BodyForm::of(bytes)).unwrap()
    }

    #[test]
    fn every_body_comes_back_byte_for_byte() {
        for (bytes, expected) in [
            (
                b"{\"a\": [1.0, 1e3,\"\\u00fc\"], \"a\":2}".as_slice(),
                "{\"json\":{\"a\": [1.0, 1e3,\"\\u00fc\"], \"a\":2}}",
            ),
            (b"42", "{\"json\":42}"),
            (b"\"\\ud800\"", "{\"json\":\"\\ud800\"}"),
            (b" 42", "{\"text\":\" 42\"}"),
            (b"{\n}", "{\"text\":\"{\\n}\"}"),
            (b"", "{\"text\":\"\"}"),
            ("grün \"x\"".as_bytes(), "{\"text\":\"grün \\\"x\\\"\"}"),
            (b"a\0", "{\"base64\":\"YQA=\"}"),
            (&[0xff, 0xfe], "{\"base64\":\"//4=\"}"),
        ] {
            let text = form(bytes);
            assert_eq!(text, expected);
            let back: BodyForm<'_> = serde_json::from_str(&text).unwrap();
            assert_eq!(back.bytes().unwrap(), bytes);
        }
    }

    #[test]
    fn deep_json_is_no_danger() {
        let deep = ["[".repeat(100_000), "]".repeat(100_000)].concat();
        let text = form(deep.as_bytes());
        assert!(text.starts_with("{\"json\":[["));
        let back: BodyForm<'_> = serde_json::from_str(&text).unwrap();
        assert_eq!(back.bytes().unwrap(), deep.as_bytes());
    }

    #[test]
    fn wrong_base64_is_refused() {
        let wrong: BodyForm<'_> = serde_json::from_str("{\"base64\":\"Y\"}").unwrap();
        assert!(wrong.bytes().is_err());
    }
}
