//! A source as lines, with a count and checksum of the bytes read.

use std::io::{self, BufRead, BufReader, Read, Write};

use crc32fast::Hasher;

use crate::bookmark::Bookmark;
use crate::failure::Failure;
use crate::source::Source;

pub(crate) struct Lines {
    name: String,
    reader: BufReader<Box<dyn Read + Send>>,
    is_stream: bool,
    hasher: Checked,
    offset: u64,
    /// Lines before the offset.
    count: u64,
}

impl Lines {
    /// Opens the source at the bookmark, and reads and checks the part before it.
    pub(crate) fn open(source: &Source, bookmark: &Bookmark) -> Result<Self, Failure> {
        let name = source.name().to_owned();
        let reader = source.open().map_err(|source| Failure::Read { name: name.clone(), source })?;
        let reader = BufReader::with_capacity(BUFFER_BYTES, reader);
        let hasher = Checked(Hasher::new());
        let mut lines = Self { name, reader, is_stream: source.is_stream(), hasher, offset: 0, count: 0 };
        lines.skip_to(bookmark)?;
        Ok(lines)
    }

    fn skip_to(&mut self, bookmark: &Bookmark) -> Result<(), Failure> {
        let skipped = io::copy(&mut self.reader.by_ref().take(bookmark.offset), &mut self.hasher);
        (self.offset, self.count) = (skipped.map_err(|source| self.unreadable(source))?, bookmark.lines);
        if (self.offset, self.checksum()) != (bookmark.offset, bookmark.crc32) {
            return Err(Failure::Changed { name: self.name.clone(), offset: bookmark.offset });
        }
        Ok(())
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
    pub(crate) fn bookmark(&self) -> Bookmark {
        Bookmark { offset: self.offset, lines: self.count, crc32: self.checksum(), previous: None }
    }

    fn next_line(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let mut line = Vec::new();
        let most = LONGEST as u64 + 1;
        let read = self.reader.by_ref().take(most).read_until(b'\n', &mut line);
        let read = read.map_err(|source| self.unreadable(source))?;
        if read == 0 {
            return Ok(None);
        }
        (self.offset, self.count) = (self.offset + read as u64, self.count + 1);
        self.hasher.0.update(&line);
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if read > LONGEST {
            return Err(Failure::LongLine { name: self.name.clone(), line: self.count });
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

    fn lines(bytes: &'static [u8], is_stream: bool) -> Lines {
        let reader: Box<dyn Read + Send> = Box::new(bytes);
        let reader = BufReader::new(reader);
        Lines { name: "test".into(), reader, is_stream, hasher: Checked(Hasher::new()), offset: 0, count: 0 }
    }

    #[test]
    fn lines_are_bytes_and_the_last_need_not_end() -> Result<(), Failure> {
        let mut lines = lines(b"a\n\n\xff\r\nend", false);
        assert_eq!(lines.next_batch(2)?, [b"a".to_vec(), vec![]]);
        assert_eq!((lines.bookmark().offset, lines.bookmark().lines), (3, 2));
        assert_eq!(lines.next_batch(9)?, [b"\xff\r".to_vec(), b"end".to_vec()]);
        assert_eq!((lines.bookmark().offset, lines.bookmark().lines), (9, 4));
        assert!(lines.next_batch(9)?.is_empty());
        Ok(())
    }

    #[test]
    fn a_bookmark_is_gone_on_from_only_in_the_same_bytes() -> Result<(), Failure> {
        let mut first = lines(b"a\nb\nc\n", false);
        first.next_batch(2)?;
        let bookmark = first.bookmark();
        let mut again = lines(b"a\nb\nc\n", false);
        again.skip_to(&bookmark)?;
        assert_eq!(again.next_batch(9)?, [b"c"]);
        assert_eq!(again.bookmark().lines, 3);
        for other in [b"a\nB\nc\n".as_slice(), b"a\n"] {
            assert!(matches!(lines(other, false).skip_to(&bookmark), Err(Failure::Changed { .. })));
        }
        Ok(())
    }

    #[test]
    fn a_stream_gives_what_is_there() -> Result<(), Failure> {
        let parts: Box<dyn Read + Send> = Box::new(b"a\nb\nc".chain(b"d\n".as_slice()));
        let mut lines = Lines { reader: BufReader::new(parts), ..lines(b"", true) };
        assert_eq!(lines.next_batch(9)?, [b"a", b"b"]);
        assert_eq!(lines.next_batch(9)?, [b"cd"]);
        Ok(())
    }
}
