//! The lines that were given up, and why.
//!
//! 1. The reason of a line's last try is remembered by a hash of the line, so that it costs a few bytes a dead line. It is
//!    not stored: of a line that an earlier run or a killed worker had last, only that is known.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::hash::{DefaultHasher, Hash, Hasher};

use parking_lot::Mutex;
use zaqar_sled::Message;

use crate::command::Reason;

/// The reasons of the last tries.
#[derive(Debug, Default)]
pub(crate) struct LastTries(Mutex<BTreeMap<u64, (u32, Reason)>>);

/// A line that was given up.
#[derive(Debug)]
pub(crate) struct DeadLine {
    line: String,
    last_try: Option<(u32, Reason)>,
}

impl LastTries {
    pub(crate) fn note(&self, message: &Message, reason: Reason) {
        self.0.lock().insert(hash(message), (message.claim_count(), reason));
    }

    /// The dead letter as a line for the user.
    pub(crate) fn describe(&self, message: &Message) -> DeadLine {
        DeadLine { line: quoted(message.body().as_bytes()), last_try: self.0.lock().get(&hash(message)).copied() }
    }
}

fn hash(message: &Message) -> u64 {
    let mut hasher = DefaultHasher::new();
    message.body().hash(&mut hasher);
    hasher.finish()
}

impl fmt::Display for DeadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.last_try {
            Some((1, reason)) => write!(f, "{} is dead after 1 try: {reason}", self.line),
            Some((tries, reason)) => write!(f, "{} is dead after {tries} tries: {reason}", self.line),
            None => write!(f, "{} is dead: the runs that had it were stopped or killed", self.line),
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
