//! Text from a store, such as names and bodies, as a terminal may show it.
//!
//! 1. Nothing that is shown moves the cursor, changes colours or the direction of the text, or ends the line.
//! 2. What [`whole_body`] shows is the whole body, and no other body looks the same.

use zaqar_sled::Project;

/// A name as it is if it is plain, else in quotes with everything escaped that a terminal would act on.
pub(crate) fn name(name: &str) -> String {
    let escaped = name.escape_debug().to_string();
    let is_plain = escaped == name && name.trim() == name && !name.is_empty();
    if is_plain { escaped } else { format!("\"{escaped}\"") }
}

/// A project's name, `-` for none.
pub(crate) fn project(project: &Project) -> String {
    match project.name() {
        None => NO_PROJECT.into(),
        Some(NO_PROJECT) => format!("\"{NO_PROJECT}\""),
        Some(text) => name(text),
    }
}

/// The beginning of a body on one line, with a mark if that is not all: text if it is UTF-8, else bytes that are escaped.
pub(crate) fn body(body: &[u8]) -> String {
    let head = body.get(..LONGEST_BODY).unwrap_or(body);
    let is_cut = head.len() < body.len();
    let text = match std::str::from_utf8(head) {
        Ok(text) => Some(text),
        // A character that was cut in two at the end.
        Err(error) if error.error_len().is_none() && is_cut => {
            head.get(..error.valid_up_to()).and_then(|valid| std::str::from_utf8(valid).ok())
        }
        Err(_) => None,
    };
    let mark = if is_cut { "…" } else { "" };
    text.map_or_else(|| head.escape_ascii().to_string(), |text| text.chars().flat_map(escaped).collect()) + mark
}

/// A body on one line, whole, and with its backslashes escaped too. A text is in quotes if it is empty, begins with a
/// quote, or has space at an end.
pub(crate) fn whole_body(body: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(body) else { return body.escape_ascii().to_string() };
    if text.trim() != text || text.is_empty() || text.starts_with('"') {
        return format!("\"{}\"", text.escape_debug());
    }
    text.chars().flat_map(|c| (c == '\\').then_some('\\').into_iter().chain(escaped(c))).collect()
}

/// A message to the user. It may have several lines.
pub(crate) fn message(text: &str) -> String {
    text.chars()
        .flat_map(|c| (c == '\n').then_some(c).into_iter().chain(escaped(c).filter(move |_| c != '\n')))
        .collect()
}

/// As in a string, without the escapes that only a string in quotes needs.
fn escaped(c: char) -> impl Iterator<Item = char> {
    let is_kept = matches!(c, '"' | '\'' | '\\');
    let (kept, escape) = if is_kept { (Some(c), None) } else { (None, Some(c.escape_debug())) };
    kept.into_iter().chain(escape.into_iter().flatten())
}

const NO_PROJECT: &str = "-";

/// In bytes: no terminal shows more on a line.
const LONGEST_BODY: usize = 4096;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_plain_name_is_shown_as_it_is() {
        for plain in ["orders", "lines:./README.md", "Überweisung", "with space", "a/b"] {
            assert_eq!(name(plain), plain);
        }
    }

    #[test]
    fn a_name_cannot_act_on_the_terminal() {
        let names = ["", " x", "a\nb", "\x1b[2J", "\u{202e}gnp.exe", "say \"hi\"", "a\u{7f}", "\\"];
        for strange in names {
            let shown = name(strange);
            assert!(shown.starts_with('"') && shown.ends_with('"') && shown.len() > 1, "{strange:?}: {shown}");
            assert!(!shown.chars().any(|c| c.is_control() || c == '\u{202e}'), "{strange:?}: {shown}");
        }
        assert_eq!((project(&Project::none()), project(&Project::named("-").unwrap())), ("-".into(), "\"-\"".into()));
    }

    #[test]
    fn a_message_keeps_its_lines_and_quotes() {
        assert_eq!(message("the store \"a\\b\":\n\x1b[2J\tü"), "the store \"a\\b\":\n\\u{1b}[2J\\tü");
    }

    #[test]
    fn a_body_is_text_if_it_can_be() {
        assert_eq!(body(b"{\"a\": 'b\\c'}"), "{\"a\": 'b\\c'}");
        assert_eq!(body("Tee\n\x1b[2Jgrün".as_bytes()), "Tee\\n\\u{1b}[2Jgrün");
        assert_eq!(body(b"\xff\xfe\n\x00a"), "\\xff\\xfe\\n\\x00a");
        let long = "ü".repeat(LONGEST_BODY);
        assert_eq!(body(&long.as_bytes()[1..]).chars().next(), Some('\\'));
        assert_eq!(body(format!("a{long}").as_bytes()), format!("a{}…", "ü".repeat(LONGEST_BODY / 2 - 1)));
        assert_eq!(body(&b"x".repeat(LONGEST_BODY)), "x".repeat(LONGEST_BODY));
    }

    #[test]
    fn no_two_bodies_are_shown_whole_in_the_same_form() {
        let bodies: [&[u8]; 14] = [
            b"a\nb", b"a\\nb", b"a\\\\nb", b"\xff", b"\\xff", b"\"\xff", b"", b"\"\"", b" ", b"\" \"", b"a", b"a ",
            b"\"a \"", b"\"a",
        ];
        let shown: BTreeSet<String> = bodies.iter().map(|body| whole_body(body)).collect();
        assert_eq!(shown.len(), bodies.len(), "{shown:?}");
        assert!(shown.iter().all(|shown| shown.trim() == shown && !shown.is_empty()), "{shown:?}");
        assert_eq!(whole_body(b"{\"a\": 'b\\c'}"), "{\"a\": 'b\\\\c'}");
        assert_eq!(whole_body("ü\u{202e}".repeat(LONGEST_BODY).as_bytes()), "ü\\u{202e}".repeat(LONGEST_BODY));
    }
}
