//! JSON text as Python's `json.dumps` writes it.
//!
//! Zaqar's body checksum is taken over that text, so the same value must give the same bytes here:
//! `", "` and `": "` between things, only ASCII, and numbers as Python's `repr` shows them.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::Formatter;

/// The text of a value. Cost: one pass. Not-a-number and infinities, which JSON lacks, become `null`.
pub(super) fn to_vec(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut text = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(
        &mut text, PythonJson,
    ))?;
    Ok(text)
}

struct PythonJson;

impl Formatter for PythonJson {
    fn begin_array_value<W: ?Sized + Write>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        separate(to, first)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        separate(to, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        to.write_all(b": ")
    }

    fn write_f32<W: ?Sized + Write>(&mut self, to: &mut W, value: f32) -> io::Result<()> {
        write_float(to, &format!("{value:?}"))
    }

    fn write_f64<W: ?Sized + Write>(&mut self, to: &mut W, value: f64) -> io::Result<()> {
        write_float(to, &format!("{value:?}"))
    }

    /// Only what JSON itself wants escaped arrives elsewhere; Python escapes all but printable ASCII.
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        to: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(|c| !matches!(c, ' '..='~')) {
            let (plain, tail) = rest.split_at(at);
            to.write_all(plain.as_bytes())?;
            let mut chars = tail.chars();
            for unit in chars.next().iter().flat_map(|c| units(*c)) {
                write!(to, "\\u{unit:04x}")?;
            }
            rest = chars.as_str();
        }
        to.write_all(rest.as_bytes())
    }
}

fn separate<W: ?Sized + Write>(to: &mut W, first: bool) -> io::Result<()> {
    to.write_all(if first { b"" } else { b", " })
}

/// Rust and Python agree on the digits, and on when to use an exponent, but not on how it looks:
/// `1e16` is `1e+16` there, and `1e-5` is `1e-05`.
fn write_float<W: ?Sized + Write>(to: &mut W, text: &str) -> io::Result<()> {
    let Some((digits, exponent)) = text.split_once('e') else {
        return to.write_all(text.as_bytes());
    };
    match exponent.strip_prefix('-') {
        Some(exponent) => write!(to, "{digits}e-{exponent:0>2}"),
        None => write!(to, "{digits}e+{exponent:0>2}"),
    }
}

/// A character's UTF-16 units: two beyond the basic plane.
fn units(c: char) -> impl Iterator<Item = u16> {
    let mut buffer = [0; 2];
    let len = c.encode_utf16(&mut buffer).len();
    buffer.into_iter().take(len)
}
