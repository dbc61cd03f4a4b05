//! A source as lines, with a count and checksum of the bytes read.
//!
//! 1. A last line without a newline is returned only if its source is complete: somebody may still be writing it.
//! 2. A position says whether its last line had a newline. A line that was posted without one cannot grow any more.

use std::io::{self, BufRead, BufReader, Read, Write};

use crc32fast::Hasher;

use crate::failure::Failure;
use crate::position::Position;
use crate::source::Source;

pub(crate) struct Lines {
    name: String,
    reader: BufReader<Box<dyn Read + Send>>,
    is_stream: bool,
    hasher: Checked,
    offset: u64,
    /// Lines before the offset.
    count: u64,
    /// Whether a last line without a newline is a line. It is in a stream: nothing comes after its end.
    is_complete: bool,
    end: End,
}

/// What the reader has come to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// Behind a newline, or at the start.
    OfLine,
    /// Behind a last line that was returned without a newline.
    Unended,
    /// Before a last line that waits for its newline.
    HeldBack,
}

impl Lines {
    /// Opens the source at the position, and reads and checks the part before it.
    pub(crate) fn open(source: &Source, position: &Position, is_complete: bool) -> Result<Self, Failure> {
        let name = source.name().to_owned();
        let reader = source.open().map_err(|source| Failure::Read { name: name.clone(), source })?;
        let mut lines = Self::new(name, reader, source.is_stream());
        lines.is_complete |= is_complete;
        lines.skip_to(position)?;
        Ok(lines)
    }

    fn new(name: String, reader: Box<dyn Read + Send>, is_stream: bool) -> Self {
        let (reader, hasher) = (BufReader::with_capacity(BUFFER_BYTES, reader), Checked(Hasher::new()));
        Self { name, reader, is_stream, hasher, offset: 0, count: 0, is_complete: is_stream, end: End::OfLine }
    }

    fn skip_to(&mut self, position: &Position) -> Result<(), Failure> {
        let skipped = io::copy(&mut self.reader.by_ref().take(position.offset), &mut self.hasher);
        (self.offset, self.count) = (skipped.map_err(|source| self.unreadable(source))?, position.lines);
        if (self.offset, self.checksum()) != (position.offset, position.crc32) {
            return Err(Failure::Changed { name: self.name.clone(), offset: position.offset });
        }
        if position.unended { self.skip_newline() } else { Ok(()) }
    }

    /// Behind a line that was posted without its newline, only that newline may follow.
    fn skip_newline(&mut self) -> Result<(), Failure> {
        self.end = End::Unended;
        match self.reader.fill_buf().map(|bytes| bytes.first().copied()) {
            Ok(None) => Ok(()),
            Ok(Some(b'\n')) => {
                self.reader.consume(1);
                self.hasher.0.update(b"\n");
                (self.offset, self.end) = (self.offset + 1, End::OfLine);
                Ok(())
            }
            Ok(Some(_)) => Err(Failure::Grown { name: self.name.clone(), line: self.count }),
            Err(source) => Err(self.unreadable(source)),
        }
    }

    /// Up to `most` lines, without their newlines; none at the end. Of a stream, the lines that are available.
    pub(crate) fn next_batch(&mut self, most: usize) -> Result<Vec<Vec<u8>>, Failure> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < most && bytes < BATCH_BYTES && (batch.is_empty() || !self.would_wait()) {
            let Some(line) = self.next_line()? else { break };
            bytes += line.len();
            batch.push(line);
        }
        Ok(batch)
    }

    /// The position behind the lines that were returned.
    pub(crate) fn position(&self) -> Position {
        let (offset, lines, crc32) = (self.offset, self.count, self.checksum());
        Position { offset, lines, crc32, unended: self.end == End::Unended }
    }

    /// Whether the last line waits for its newline.
    pub(crate) fn is_held_back(&self) -> bool {
        self.end == End::HeldBack
    }

    fn next_line(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        if self.is_held_back() {
            return Ok(None);
        }
        let mut line = Vec::new();
        let most = LONGEST as u64 + 1;
        let read = self.reader.by_ref().take(most).read_until(b'\n', &mut line);
        let read = read.map_err(|source| self.unreadable(source))?;
        let is_ended = line.last() == Some(&b'\n');
        if !is_ended && read > LONGEST {
            return Err(Failure::LongLine { name: self.name.clone(), line: self.count + 1 });
        }
        if read == 0 {
            return Ok(None);
        }
        self.end = match (is_ended, self.is_complete) {
            (true, _) => End::OfLine,
            (false, true) => End::Unended,
            (false, false) => End::HeldBack,
        };
        if self.is_held_back() {
            return Ok(None);
        }
        (self.offset, self.count) = (self.offset + read as u64, self.count + 1);
        self.hasher.0.update(&line);
        if is_ended {
            line.pop();
        }
        Ok(Some(line))
    }

    /// Whether the next line of a stream is not complete yet.
    fn would_wait(&self) -> bool {
        self.is_stream && !self.reader.buffer().contains(&b'\n')
    }

    fn checksum(&self) -> u32 {
        self.hasher.0.clone().finalize()
    }

    fn unreadable(&self, source: io::Error) -> Failure {
        Failure::Read { name: self.name.clone(), source }
    }
}

struct Checked(Hasher);

impl Write for Checked {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The longest line, in bytes: the engine's longest body.
pub(crate) const LONGEST: usize = 64 << 20;

/// The bytes from which a batch takes no further line. With one more line of the longest size it still is a valid post.
const BATCH_BYTES: usize = 8 << 20;

const BUFFER_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &'static [u8], is_complete: bool) -> Lines {
        Lines { is_complete, ..Lines::new("test".into(), Box::new(bytes), false) }
    }

    #[test]
    fn lines_are_bytes_and_the_last_need_not_end() -> Result<(), Failure> {
        let mut lines = lines(b"a\n\n\xff\r\nend", true);
        assert_eq!(lines.next_batch(2)?, [b"a".to_vec(), vec![]]);
        assert_eq!((lines.position().offset, lines.position().lines), (3, 2));
        assert_eq!(lines.next_batch(9)?, [b"\xff\r".to_vec(), b"end".to_vec()]);
        assert_eq!((lines.position().offset, lines.position().lines), (9, 4));
        assert!(lines.next_batch(9)?.is_empty());
        Ok(())
    }

    #[test]
    fn a_position_is_gone_on_from_only_in_the_same_bytes() -> Result<(), Failure> {
        let mut first = lines(b"a\nb\nc\n", false);
        first.next_batch(2)?;
        let position = first.position();
        let mut again = lines(b"a\nb\nc\n", false);
        again.skip_to(&position)?;
        assert_eq!(again.next_batch(9)?, [b"c"]);
        assert_eq!(again.position().lines, 3);
        for other in [b"a\nB\nc\n".as_slice(), b"a\n"] {
            assert!(matches!(lines(other, false).skip_to(&position), Err(Failure::Changed { .. })));
        }
        Ok(())
    }

    #[test]
    fn a_stream_gives_what_is_there() -> Result<(), Failure> {
        let parts: Box<dyn Read + Send> = Box::new(b"a\nb\nc".chain(b"d\n".as_slice()));
        let mut lines = Lines::new("test".into(), parts, true);
        assert_eq!(lines.next_batch(9)?, [b"a", b"b"]);
        assert_eq!(lines.next_batch(9)?, [b"cd"]);
        Ok(())
    }

    #[test]
    fn a_last_line_waits_for_its_newline() -> Result<(), Failure> {
        let mut lines = lines(b"a\nb", false);
        assert_eq!(lines.next_batch(9)?, [b"a"]);
        assert!(lines.next_batch(9)?.is_empty() && lines.is_held_back());
        let mut grown = self::lines(b"a\nbc\n", false);
        grown.skip_to(&lines.position())?;
        assert_eq!(grown.next_batch(9)?, [b"bc"]);
        assert!(!grown.is_held_back());
        Ok(())
    }

    #[test]
    fn a_line_that_was_posted_without_its_newline_may_get_it_and_nothing_else() -> Result<(), Failure> {
        let mut first = lines(b"a\nb", true);
        first.next_batch(9)?;
        let position = first.position();
        for (bytes, rest) in [(b"a\nb".as_slice(), None), (b"a\nb\n", None), (b"a\nb\nc\n", Some(b"c".to_vec()))] {
            let mut again = lines(bytes, true);
            again.skip_to(&position)?;
            assert_eq!(again.next_batch(9)?.pop(), rest);
        }
        assert!(matches!(lines(b"a\nbc\n", true).skip_to(&position), Err(Failure::Grown { line: 2, .. })));
        Ok(())
    }
}
