//! Writing the lines of an export.

use std::io::{self, BufWriter, Write};

use super::line::{Counts, Line};
use super::report::ExportReport;
use crate::model::error::{Error, Result};
use crate::storage::codec::crc32_from;

/// Writes lines, and counts them.
pub(super) struct LineWriter<'a> {
    output: BufWriter<&'a mut dyn Write>,
    line: Vec<u8>,
    counts: Counts,
    crc32: u32,
    lines: u64,
    bytes: u64,
}

impl<'a> LineWriter<'a> {
    pub(super) fn new(output: &'a mut dyn Write) -> Self {
        let output = BufWriter::with_capacity(BUFFER_BYTES, output);
        Self { output, line: Vec::new(), counts: Counts::default(), crc32: 0, lines: 0, bytes: 0 }
    }

    pub(super) fn write(&mut self, line: &Line<'_>) -> Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, line).map_err(|error| failed(error.into()))?;
        self.line.push(b'\n');
        if !matches!(line, Line::Export(_) | Line::End(_)) {
            self.crc32 = crc32_from(self.crc32, &self.line);
        }
        self.counts.add(line);
        self.lines = self.lines.saturating_add(1);
        self.bytes = self.bytes.saturating_add(self.line.len() as u64);
        self.output.write_all(&self.line).map_err(failed)?;
        if self.line.capacity() > BUFFER_BYTES {
            self.line = Vec::new();
        }
        Ok(())
    }

    /// Writes the last line, and everything that is still in memory.
    pub(super) fn finish(mut self) -> Result<ExportReport> {
        let counts = Counts { crc32: Some(format!("{:08x}", self.crc32)), ..self.counts.clone() };
        self.write(&Line::End(counts))?;
        self.output.flush().map_err(failed)?;
        Ok(ExportReport::of(&self.counts, self.lines, self.bytes))
    }
}

fn failed(cause: io::Error) -> Error {
    Error::io("writing the export", cause)
}

const BUFFER_BYTES: usize = 64 << 10;
