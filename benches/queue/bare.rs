//! The references: only the system calls that the journal needs.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::Result;

/// A file written front to back, a frame a call.
pub(crate) struct Bare {
    file: File,
    at: u64,
    /// Where it begins again; never, if it grows.
    end: Option<u64>,
    frame: Vec<u8>,
}

impl Bare {
    /// Space that was written out before, as the journal's segments are.
    pub(crate) fn written_out(folder: &Path) -> Result<Self> {
        let bare = Self { end: Some(SPACE), ..Self::growing(folder)? };
        let zeros = vec![0; 1 << 20];
        for at in (0..SPACE).step_by(zeros.len()) {
            bare.file.write_all_at(&zeros, at)?;
        }
        bare.file.sync_all()?;
        Ok(bare)
    }

    /// A file that grows with every write.
    pub(crate) fn growing(folder: &Path) -> Result<Self> {
        let path = folder.join("bare");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        Ok(Self { file, at: 0, end: None, frame: vec![0x5a; 1 << 20] })
    }

    /// Truncates the file.
    pub(crate) fn restart(&mut self) -> Result<()> {
        self.at = 0;
        Ok(self.file.set_len(0)?)
    }

    pub(crate) fn write(&mut self, bytes: usize) -> Result<()> {
        let frame = self.frame.get(..bytes).ok_or("a frame larger than any measured")?;
        if self.end.is_some_and(|end| self.at + bytes as u64 > end) {
            self.at = 0;
        }
        self.file.write_all_at(frame, self.at)?;
        self.at += bytes as u64;
        Ok(())
    }

    pub(crate) fn sync(&self) -> Result<()> {
        Ok(self.file.sync_data()?)
    }
}

/// The bytes that the calls write: header, time and operation, per call and per message.
pub(crate) fn post_bytes(messages: usize) -> usize {
    73 + 266 * messages
}

/// A claim of neighbours.
pub(crate) const CLAIM_BYTES: usize = 84;
/// A deletion of neighbours.
pub(crate) const DELETE_BYTES: usize = 58;

const SPACE: u64 = 256 << 20;
