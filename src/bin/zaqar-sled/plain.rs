//! Text from a store, such as names and bodies, as a terminal may show it.
//!
//! 1. Nothing that is shown moves the cursor, changes colours or the direction of the text, or ends the line.

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

/// The beginning of a body on one line: text if it is UTF-8, else bytes that are escaped.
pub(crate) fn body(body: &[u8]) -> String {
    let head = body.get(..LONGEST_BODY).unwrap_or(body);
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // A character that was cut in two at the end.
        Err(error) if error.error_len().is_none() && head.len() < body.len() => {
            head.get(..error.valid_up_to()).and_then(|valid| std::str::from_utf8(valid).ok()).unwrap_or_default()
        }
        Err(_) => return head.escape_ascii().to_string(),
    };
    text.chars().flat_map(escaped).collect()
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
        assert_eq!(body(format!("a{long}").as_bytes()), format!("a{}", "ü".repeat(LONGEST_BODY / 2 - 1)));
    }
}
