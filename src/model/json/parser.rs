//! The parser of JSON.

use super::{Integer, Json, MAX_DEPTH, Object, TOO_DEEP, TOO_LARGE, Text};

/// Reads JSON by RFC 8259.
pub(super) struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

/// A parsed value, or the reason of a failure at the position `at`.
type Parsed<T> = Result<T, &'static str>;

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    /// One value, with nothing but white space around it.
    pub(super) fn whole(mut self) -> Result<Json, String> {
        let parsed = self.value().and_then(|value| {
            self.skip_space();
            if self.at == self.text.len() { Ok(value) } else { Err("there is something behind the value") }
        });
        parsed.map_err(|reason| format!("{reason} (byte {})", self.at))
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Skips `byte` if it is next.
    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Parsed<Json> {
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::list),
            Some(b'"') => self.string().map(Json::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'n') => self.word("null", Json::Null),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(_) => Err("a value should be here"),
            None => Err("it ends where a value should be"),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Parsed<Json>) -> Parsed<Json> {
        if self.depth >= MAX_DEPTH {
            return Err(TOO_DEEP);
        }
        self.depth += 1;
        self.at += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn list(&mut self) -> Parsed<Json> {
        let mut values = Vec::new();
        self.skip_space();
        if self.take(b']') {
            return Ok(Json::List(values));
        }
        loop {
            values.push(self.value()?);
            self.skip_space();
            if self.take(b']') {
                return Ok(Json::List(values));
            }
            if !self.take(b',') {
                return Err("a comma or ] should be here");
            }
        }
    }

    fn object(&mut self) -> Parsed<Json> {
        let mut object = Object::new();
        self.skip_space();
        if self.take(b'}') {
            return Ok(Json::Object(object));
        }
        loop {
            self.skip_space();
            let key = self.string()?;
            self.skip_space();
            if !self.take(b':') {
                return Err("a colon should be here");
            }
            object.insert(key, self.value()?);
            self.skip_space();
            if self.take(b'}') {
                return Ok(Json::Object(object));
            }
            if !self.take(b',') {
                return Err("a comma or } should be here");
            }
        }
    }

    fn word(&mut self, word: &'static str, value: Json) -> Parsed<Json> {
        if !self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return Err("a value should be here");
        }
        self.at += word.len();
        Ok(value)
    }

    fn number(&mut self) -> Parsed<Json> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        let mut is_whole = true;
        if self.take(b'.') {
            is_whole = false;
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            is_whole = false;
            // The sign is optional.
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        if is_whole {
            return Ok(Json::Integer(Integer(text.into())));
        }
        let value: f64 = text.parse().map_err(|_| "a number should be here")?;
        if value.is_finite() { Ok(Json::Float(value)) } else { Err(TOO_LARGE) }
    }

    fn digits(&mut self) -> Parsed<()> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err("a digit should be here") }
    }

    fn string(&mut self) -> Parsed<Text> {
        if !self.take(b'"') {
            return Err("a string should be here");
        }
        let mut string = Building::default();
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let run = rest.find(|c| matches!(c, '"' | '\\' | '\0'..='\u{1f}')).ok_or("a string does not end")?;
            string.push_str(rest.get(..run).unwrap_or_default());
            self.at += run;
            if self.take(b'"') {
                return Ok(string.finish());
            }
            if !self.take(b'\\') {
                return Err("a control character in a string");
            }
            self.escape(&mut string)?;
        }
    }

    fn escape(&mut self, string: &mut Building) -> Parsed<()> {
        let escape = self.peek().ok_or("a string does not end")?;
        self.at += 1;
        string.push(match escape {
            b'"' | b'\\' | b'/' => escape.into(),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unit().map(|unit| string.push_unit(unit)),
            _ => return Err("there is no such escape"),
        });
        Ok(())
    }

    fn unit(&mut self) -> Parsed<u16> {
        let digits = self.text.get(self.at..self.at.saturating_add(4)).unwrap_or_default();
        let are_hex = digits.len() == 4 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let unit =
            u16::from_str_radix(digits, 16).ok().filter(|_| are_hex).ok_or("four hexadecimal digits should be here")?;
        self.at += 4;
        Ok(unit)
    }
}

/// The part of a string that has been read.
#[derive(Default)]
struct Building {
    text: String,
    /// The first half of a surrogate pair; the second half may follow.
    half: Option<u16>,
    /// The whole string in UTF-16, once it contains half a surrogate pair.
    units: Option<Vec<u16>>,
}

impl Building {
    fn push_str(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.settle();
        self.text.push_str(text);
        if let Some(units) = &mut self.units {
            units.extend(text.encode_utf16());
        }
    }

    fn push(&mut self, c: char) {
        self.push_str(c.encode_utf8(&mut [0; 4]));
    }

    fn push_unit(&mut self, unit: u16) {
        match (self.half.take(), unit) {
            (None, 0xd800..=0xdbff) => self.half = Some(unit),
            (Some(half), 0xdc00..=0xdfff) => char::decode_utf16([half, unit]).flatten().for_each(|c| self.push(c)),
            (half @ Some(_), _) => {
                self.half = half;
                self.settle();
                self.push_unit(unit);
            }
            (None, 0xdc00..=0xdfff) => self.push_half(unit),
            (None, _) => char::from_u32(unit.into()).into_iter().for_each(|c| self.push(c)),
        }
    }

    /// Keeps a first half whose second half did not follow.
    fn settle(&mut self) {
        if let Some(half) = self.half.take() {
            self.push_half(half);
        }
    }

    fn push_half(&mut self, half: u16) {
        let before = &self.text;
        self.units.get_or_insert_with(|| before.encode_utf16().collect()).push(half);
        self.text.push(char::REPLACEMENT_CHARACTER);
    }

    fn finish(mut self) -> Text {
        self.settle();
        match self.units {
            None => Text::Plain(self.text.into()),
            Some(units) => Text::Halved { units: units.into(), shown: self.text.into() },
        }
    }
}

impl Json {
    /// Reads one value, with nothing but white space around it.
    pub(in crate::model) fn parse(text: &str) -> Result<Self, String> {
        Parser::new(text).whole()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Json {
        Json::parse(text).unwrap()
    }

    #[test]
    fn invalid_json_is_refused() {
        for text in [
            "",
            " ",
            "nul",
            "nulls",
            "+1",
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "1e400",
            "-1e400",
            "\"",
            "\"\\\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u+123\"",
            "\"\n\"",
            "[",
            "[1",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{",
            "{a:1}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":1 \"b\":2}",
            "1 2",
            "NaN",
            "Infinity",
            "\u{a0}1",
            "\"\\u00ü\"",
        ] {
            assert!(Json::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn it_reads_as_deep_as_is_said() {
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(parse(&nested(MAX_DEPTH)).depth(), MAX_DEPTH);
        assert!(serde_json::from_str::<serde_json::Value>(&nested(MAX_DEPTH)).is_ok());
        assert!(Json::parse(&nested(MAX_DEPTH + 1)).unwrap_err().contains(TOO_DEEP));
        assert!(Json::parse(&"[".repeat(1_000_000)).is_err());
    }

    #[test]
    fn it_agrees_with_another_parser_on_random_texts() {
        let alphabet = br#"{}[],:"\u0dDcC18eE+-. ntrufalsxb"#;
        let (mut state, mut taken) = (1_u64, 0);
        for _ in 0..60_000 {
            let mut text = Vec::new();
            for _ in 0..=state % 9 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                text.push(alphabet[(state >> 33) as usize % alphabet.len()]);
            }
            let text = String::from_utf8(text).unwrap();
            match (serde_json::from_str::<serde_json::Value>(&text), Json::parse(&text)) {
                (Ok(theirs), Ok(ours)) => {
                    taken += 1;
                    let theirs_again: serde_json::Value = serde_json::from_str(&ours.to_string()).unwrap();
                    assert_eq!(theirs_again, theirs, "{text:?}");
                }
                (Ok(_), Err(reason)) => panic!("{text:?}: {reason}"),
                (Err(_), Ok(ours)) => assert!(ours.to_string().contains("\\ud"), "{text:?}"),
                (Err(_), Err(_)) => {}
            }
        }
        assert!(taken > 500, "{taken}");
    }
}
