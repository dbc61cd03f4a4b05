//! A small file that is read and replaced as a whole.
//!
//! ```text
//! offset  bytes  little-endian
//!      0      8  magic
//!      8      4  format
//!     12      4  CRC-32 of bytes 0..12 and the body
//!     16      n  body (see `codec`)
//! ```
//!
//! A new file is written under another name and synced; then it replaces the old one by a rename, and the directory is
//! synced.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::disk::{Disk, read_all, write_new};
use crate::model::error::{Error, Result};
use crate::storage::codec::{self, array_at, crc32, crc32_from};

/// A kind of such files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WholeFile {
    pub(crate) name: &'static str,
    /// The name of the next one, until it replaces the file.
    pub(crate) fresh: &'static str,
    /// What it is, for errors.
    pub(crate) kind: &'static str,
    pub(crate) magic: [u8; 8],
    pub(crate) format: u32,
}

impl WholeFile {
    /// Reads the file in `directory`; `None` when there is none.
    pub(crate) fn load<T: DeserializeOwned>(self, disk: &dyn Disk, directory: &Path) -> Result<Option<T>> {
        let file = directory.join(self.name);
        if !disk.exists(&file).map_err(|e| Error::file("looking for", &file, e))? {
            return Ok(None);
        }
        let bytes = read_all(disk, &file).map_err(|e| Error::file("reading", &file, e))?;
        self.parse(&bytes, file).map(Some)
    }

    pub(crate) fn parse<T: DeserializeOwned>(self, bytes: &[u8], file: PathBuf) -> Result<T> {
        let corrupt = |reason: String| Error::Corrupt { file: file.clone(), offset: 0, reason };
        let (Some(head), Some(checksum)) = (array_at::<12>(bytes, 0), array_at(bytes, 12)) else {
            return Err(corrupt(format!("{} is cut short", self.kind)));
        };
        let body = bytes.get(HEADER_BYTES..).unwrap_or_default();
        if !head.starts_with(&self.magic) || crc32_from(crc32(&head), body) != u32::from_le_bytes(checksum) {
            return Err(corrupt(format!("the checksum of {} does not match", self.kind)));
        }
        let format = u32::from_le_bytes(array_at(&head, 8).unwrap_or_default());
        if format != self.format {
            return Err(Error::UnsupportedFormat { file, found: format, supported: self.format });
        }
        codec::decode(body).map_err(corrupt)
    }

    pub(crate) fn bytes(self, content: &impl Serialize) -> Result<Vec<u8>> {
        let mut head = self.magic.to_vec();
        head.extend_from_slice(&self.format.to_le_bytes());
        let mut body = Vec::new();
        codec::encode_into(content, &mut body)?;
        let checksum = crc32_from(crc32(&head), &body);
        head.extend_from_slice(&checksum.to_le_bytes());
        head.extend_from_slice(&body);
        Ok(head)
    }

    /// Replaces the file in `directory`, durably.
    pub(crate) fn save(self, content: &impl Serialize, disk: &dyn Disk, directory: &Path) -> Result<()> {
        let bytes = self.bytes(content)?;
        let save = || {
            write_new(disk, &directory.join(self.fresh), &bytes)?;
            disk.rename(&directory.join(self.fresh), &directory.join(self.name))?;
            disk.sync_dir(directory)
        };
        save().map_err(|e| Error::io(format!("writing {}", self.kind), e))
    }
}

const HEADER_BYTES: usize = 16;
