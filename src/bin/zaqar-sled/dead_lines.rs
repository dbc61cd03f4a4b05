//! The lines that were given up, and why.

use std::fmt::{self, Write};

use zaqar_sled::{DeadLetterOrigin, Message};

/// A line that was given up.
#[derive(Debug)]
pub(crate) struct DeadLine {
    line: String,
    tries: u32,
    /// Why its last try failed.
    reason: Option<String>,
}

impl DeadLine {
    pub(crate) fn of(letter: &Message) -> Self {
        let origin = letter.dead_letter_origin();
        Self {
            line: quoted(letter.body().as_bytes()),
            tries: origin.map_or(0, DeadLetterOrigin::claim_count),
            reason: origin.and_then(DeadLetterOrigin::reason).map(str::to_owned),
        }
    }
}

impl fmt::Display for DeadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tries = if self.tries == 1 { "1 try".to_owned() } else { format!("{} tries", self.tries) };
        match &self.reason {
            Some(reason) => write!(f, "{} is dead after {tries}: {reason}", self.line),
            None => write!(f, "{} is dead after {tries}: the runs that had it were stopped or killed", self.line),
        }
    }
}

/// The beginning of a line in quotes, with everything escaped that a terminal would act on.
fn quoted(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line.get(..LONGEST_QUOTE * 4).unwrap_or(line));
    let mut quoted = String::from("\"");
    for c in text.chars().take(LONGEST_QUOTE) {
        let _ = write!(quoted, "{}", c.escape_debug());
    }
    let is_cut = text.chars().count() > LONGEST_QUOTE || line.len() > LONGEST_QUOTE * 4;
    quoted.push_str(if is_cut { "…\"" } else { "\"" });
    quoted
}

/// In characters.
const LONGEST_QUOTE: usize = 40;

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_line_is_quoted_so_that_a_terminal_only_shows_it() {
        assert_eq!(quoted(b"50"), "\"50\"");
        assert_eq!(quoted(b"a\x1b[2J\n\"\xff"), "\"a\\u{1b}[2J\\n\\\"\u{fffd}\"");
        assert_eq!(quoted(&[b'x'; 41]), format!("\"{}…\"", "x".repeat(40)));
        assert_eq!(quoted("ä".repeat(200).as_bytes()), format!("\"{}…\"", "ä".repeat(40)));
    }
}
