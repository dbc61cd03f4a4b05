//! JSON text as Python's `json.dumps` writes it.
//!
//! Zaqar computes its body checksum over that text, so the same value must give the same bytes here:
//! `", "` and `": "` as separators, only ASCII, and numbers as Python's `repr` shows them.

use std::fmt::{Debug, Display, LowerExp};
use std::io::{self, Write};
use std::str::FromStr;

use serde::Serialize;
use serde_json::ser::Formatter;

use super::json::{MAX_DEPTH, TOO_DEEP};

/// The text of a value. Cost: one pass. Not-a-number and infinities, which JSON lacks, become `null`.
pub(super) fn to_vec(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut text = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, PythonJson { depth: 0 }))?;
    Ok(text)
}

struct PythonJson {
    /// The number of open lists and objects.
    depth: usize,
}

impl PythonJson {
    /// Refuses a value that is deeper than a parser reads.
    fn enter<W: ?Sized + Write>(&mut self, to: &mut W, bracket: &[u8]) -> io::Result<()> {
        if self.depth >= MAX_DEPTH {
            return Err(io::Error::other(TOO_DEEP));
        }
        self.depth = self.depth.saturating_add(1);
        to.write_all(bracket)
    }

    fn leave<W: ?Sized + Write>(&mut self, to: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth = self.depth.saturating_sub(1);
        to.write_all(bracket)
    }
}

impl Formatter for PythonJson {
    fn begin_array<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.enter(to, b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.leave(to, b"]")
    }

    fn begin_object<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.enter(to, b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.leave(to, b"}")
    }

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
        write_float(to, &shortest_even(value))
    }

    fn write_f64<W: ?Sized + Write>(&mut self, to: &mut W, value: f64) -> io::Result<()> {
        write_float(to, &shortest_even(value))
    }

    /// The characters that JSON itself escapes are handled elsewhere. Python escapes everything but printable ASCII.
    fn write_string_fragment<W: ?Sized + Write>(&mut self, to: &mut W, fragment: &str) -> io::Result<()> {
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

/// The fewest digits that read back as the value. Where two such texts are equally near to it, Rust
/// uses the upper one and Python the even one. Rounding to that many digits gives the even one.
fn shortest_even<T>(value: T) -> String
where
    T: Copy + Debug + Display + LowerExp + FromStr + PartialEq,
{
    let shortest = format!("{value:?}");
    let digits = shortest.split('e').next().unwrap_or_default();
    let decimals = digits.split_once('.').map_or(0, |(_, tail)| tail.len());
    let rounded = if shortest.contains('e') { format!("{value:.decimals$e}") } else { format!("{value:.decimals$}") };
    // Just above a power of two the nearest text may read back as the value below.
    match rounded.parse::<T>() {
        Ok(back) if back == value => rounded,
        _ => shortest,
    }
}

/// Rust and Python now agree on the digits, and on when to use an exponent. They differ in its form: Python writes
/// `1e+16` and `1e-05`, Rust `1e16` and `1e-5`.
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;

    fn text<T: Serialize + ?Sized>(value: &T) -> String {
        String::from_utf8(to_vec(&value).unwrap()).unwrap()
    }

    /// Python printed each text; parsing it and writing it again must change nothing.
    #[test]
    fn floats_are_written_as_python_writes_them() {
        for expected in [
            "0.0",
            "-0.0",
            "1.0",
            "-1.0",
            "0.1",
            "1.5",
            "100.0",
            "123456789.125",
            "1000000000000000.0",
            "1234567890123456.8",
            "4503599627370496.0",
            "9007199254740992.0",
            "9999999999999998.0",
            "1e+16",
            "1.5e+16",
            "1.2345678901234568e+17",
            "1e+21",
            "8.41e+21",
            "1e+22",
            "1e+23",
            "1e+100",
            "0.001",
            "0.0001",
            "0.00012345",
            "9.999e-05",
            "1e-05",
            "1.5e-05",
            "1e-07",
            "1.25e-07",
            "-1e-10",
            "-2.5e+20",
            "5e-324",
            "2.2250738585072014e-308",
            "1.7976931348623157e+308",
            "0.6666666666666666",
            "0.30000000000000004",
            "3.141592653589793",
            // Ties between two shortest texts, and a nearest one that reads back as another value.
            "1076205582847608.2",
            "-21916213143418.562",
            "5.684341886080802e-14",
        ] {
            let value: f64 = expected.parse().unwrap();
            assert_eq!(text(&value), expected);
        }
        assert_eq!(text(&0.1_f32), "0.1");
        assert_eq!(text(&1e16_f32), "1e+16");
    }

    #[test]
    fn floats_json_lacks_become_null() {
        assert_eq!(text(&[f64::NAN, f64::INFINITY]), "[null, null]");
    }

    #[test]
    fn integers_are_written_in_full() {
        assert_eq!(text(&(0, -5, u64::MAX)), "[0, -5, 18446744073709551615]");
        assert_eq!(text(&u128::MAX), "340282366920938463463374607431768211455");
    }

    #[test]
    fn strings_are_escaped_as_python_escapes_them() {
        for (value, expected) in [
            ("", r#""""#),
            ("plain / ~", r#""plain / ~""#),
            ("\"\\", r#""\"\\""#),
            ("\u{8}\u{c}\n\r\t", r#""\b\f\n\r\t""#),
            ("\0\u{1}\u{1f}", r#""\u0000\u0001\u001f""#),
            ("\u{7f}", r#""\u007f""#),
            ("\u{80}é", r#""\u0080\u00e9""#),
            ("\u{2028}\u{fffd}", r#""\u2028\ufffd""#),
            ("😀", r#""\ud83d\ude00""#),
            ("a😀b\n é", r#""a\ud83d\ude00b\n \u00e9""#),
            ("\u{d7ff}\u{e000}", r#""\ud7ff\ue000""#),
            ("\u{10ffff}", r#""\udbff\udfff""#),
        ] {
            assert_eq!(text(value), expected);
        }
    }

    #[test]
    fn lists_and_objects_have_pythons_separators() {
        let expected = concat!(
            r#"{"a": [1, 2.0, {}], "b": [], "c": {"d": null, "e": true, "f": -5}, "#,
            r#""\u00fc": 18446744073709551615}"#
        );
        let value: Value = serde_json::from_str(expected).unwrap();
        assert_eq!(text(&value), expected);
        assert_eq!(text(&BTreeMap::from([(1, 2), (3, 4)])), r#"{"1": 2, "3": 4}"#);
        assert_eq!(text(&("a", [0_u8; 0])), r#"["a", []]"#);
    }
}
