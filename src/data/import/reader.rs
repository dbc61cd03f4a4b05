//! Reading the lines of an export.
//!
//! Memory: the longest line, and no more than [`MOST_LINE_BYTES`].

use std::io::{BufRead, BufReader, Read};

use serde::Deserialize;

use crate::data::export::line::{FORMAT, Header, Line};
use crate::model::ExportFault;
use crate::model::error::{Error, Result};
use crate::storage::codec::crc32_from;

/// Reads lines, and counts them.
pub(crate) struct LineReader<'a> {
    input: BufReader<&'a mut dyn Read>,
    line: Vec<u8>,
    number: u64,
    bytes: u64,
    /// Of the lines behind the first one, without the last one that was read.
    crc32: u32,
}

impl<'a> LineReader<'a> {
    pub(crate) fn new(input: &'a mut dyn Read) -> Self {
        let input = BufReader::with_capacity(BUFFER_BYTES, input);
        Self { input, line: Vec::new(), number: 0, bytes: 0, crc32: 0 }
    }

    /// The number of the line that was read last, from 1 on.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The bytes of all lines that were read.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The checksum of the lines between the first one and the one that was read last.
    pub(crate) fn crc32(&self) -> u32 {
        self.crc32
    }

    /// The first line, in a format that this version reads.
    pub(crate) fn header(&mut self) -> Result<Header> {
        self.advance()?;
        let Ok(Probe { export: ProbedHeader { format: found } }) = serde_json::from_slice(&self.line) else {
            return Err(self.malformed("the first line is not that of an export"));
        };
        if found != FORMAT {
            return Err(self.fault(ExportFault::UnsupportedFormat { found, supported: FORMAT }));
        }
        match serde_json::from_slice(&self.line) {
            Ok(Line::Export(header)) => Ok(header),
            Ok(_) => Err(self.malformed("the first line is not that of an export")),
            Err(error) => Err(self.malformed(error)),
        }
    }

    /// Reads the next line, which [`Self::line`] gives; the lines do not end before the last line of an export.
    pub(crate) fn advance(&mut self) -> Result<()> {
        if self.number > 1 {
            self.crc32 = crc32_from(self.crc32, &self.line);
        }
        self.line.clear();
        self.line.shrink_to(BUFFER_BYTES);
        self.number = self.number.saturating_add(1);
        let mut input = (&mut self.input).take(MOST_LINE_BYTES.saturating_add(1));
        input.read_until(b'\n', &mut self.line).map_err(|e| Error::io("reading the export", e))?;
        self.bytes = self.bytes.saturating_add(self.line.len() as u64);
        if self.line.len() as u64 > MOST_LINE_BYTES {
            let (what, size, limit) = ("line bytes", self.line.len() as u64, MOST_LINE_BYTES);
            return Err(self.fault(ExportFault::TooLarge { what, size, limit }));
        }
        if self.line.is_empty() { Err(self.fault(ExportFault::Incomplete)) } else { Ok(()) }
    }

    /// The line that was read last.
    pub(crate) fn line(&self) -> Result<Line<'_>> {
        serde_json::from_slice(&self.line).map_err(|error| self.unread(&error))
    }

    /// Whether the line that was read last is the end of all.
    pub(crate) fn is_at_end(&mut self) -> Result<bool> {
        Ok(self.input.fill_buf().map_err(|e| Error::io("reading the export", e))?.is_empty())
    }

    /// A line that is cut short is the last that there is.
    fn unread(&self, error: &serde_json::Error) -> Error {
        if error.is_eof() && !self.line.ends_with(b"\n") {
            return self.fault(ExportFault::Incomplete);
        }
        self.malformed(error)
    }

    /// The error for the line that was read last.
    pub(crate) fn fault(&self, fault: ExportFault) -> Error {
        Error::InvalidExport { line: self.number, fault }
    }

    pub(crate) fn malformed(&self, reason: impl ToString) -> Error {
        self.fault(ExportFault::Malformed { reason: reason.to_string() })
    }
}

/// What every version's first line has.
#[derive(Deserialize)]
struct Probe {
    export: ProbedHeader,
}

#[derive(Deserialize)]
struct ProbedHeader {
    format: u32,
}

/// The longest line: twice the largest body, and what may be beside it.
const MOST_LINE_BYTES: u64 = 256 << 20;
const BUFFER_BYTES: usize = 64 << 10;
