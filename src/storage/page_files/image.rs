//! The location of a page's image, and reading the image.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};

use super::page_file::PageFile;
use crate::model::error::{Error, Result};
use crate::storage::codec::crc32;
use crate::storage::journal::frame::HEADER_BYTES;
use crate::storage::journal::scan::Damage;

/// A location in the page files, as the directory has it on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImageLocation {
    pub(crate) file: u64,
    pub(crate) offset: u32,
    /// With the frame's header.
    pub(crate) bytes: u32,
    /// CRC-32 of the image.
    pub(crate) checksum: u32,
}

impl ImageLocation {
    /// No location.
    pub(crate) const NONE: Self = Self { file: 0, offset: 0, bytes: 0, checksum: 0 };

    pub(crate) fn end(self) -> u64 {
        u64::from(self.offset).saturating_add(u64::from(self.bytes))
    }
}

/// An image in use: its page file stays as long as the image does.
#[derive(Debug)]
pub(crate) struct Image {
    page_file: Arc<PageFile>,
    offset: u32,
    bytes: u32,
    checksum: u32,
    /// Set if a snapshot that counted names the image, or if it was read back whole after a sync of its file in this
    /// run.
    proven: bool,
}

impl Image {
    pub(super) fn new(page_file: Arc<PageFile>, location: ImageLocation) -> Self {
        page_file.live.fetch_add(u64::from(location.bytes), Ordering::Relaxed);
        Self { page_file, offset: location.offset, bytes: location.bytes, checksum: location.checksum, proven: false }
    }

    pub(crate) fn location(&self) -> ImageLocation {
        ImageLocation { file: self.page_file.number, offset: self.offset, bytes: self.bytes, checksum: self.checksum }
    }

    pub(crate) fn is_proven(&self) -> bool {
        self.proven
    }

    /// Marks the image as proven: its content is on the disk.
    pub(crate) fn prove(&mut self) {
        self.proven = true;
    }

    /// Reads the image back after a sync of its file. If the image is not whole, the file is never trusted again.
    ///
    /// # Errors
    /// `Corrupt` if the image is not what was written, or a sync of its file has failed; `Io` if reading fails.
    pub(crate) fn check(&self) -> Result<()> {
        if self.page_file.failed.load(Ordering::Acquire) {
            return Err(self.damage("a sync of the file has failed").into());
        }
        let read = self.read();
        if read.as_ref().is_err_and(Error::is_corrupt) {
            self.page_file.failed.store(true, Ordering::Release);
        }
        read.map(drop)
    }

    /// The bytes that were written.
    ///
    /// # Errors
    /// `Corrupt` if the file has other bytes, `Io` if reading fails.
    pub(crate) fn read(&self) -> Result<Vec<u8>> {
        let body = (self.bytes as usize).saturating_sub(HEADER_BYTES);
        let mut bytes = vec![0; body];
        let at = u64::from(self.offset).saturating_add(HEADER_BYTES as u64);
        let read = self.page_file.file()?.read_at(&mut bytes, at);
        let read = read.map_err(|e| Error::file_at("reading a page of", &self.page_file.path, at, e))?;
        if read != body || crc32(&bytes) != self.checksum {
            return Err(self.damage("a page's checksum does not match").into());
        }
        Ok(bytes)
    }

    pub(crate) fn damage(&self, reason: &str) -> Damage {
        Damage { file: self.page_file.path.clone(), offset: u64::from(self.offset), reason: reason.into() }
    }

    /// Tells the disk that the image will be read soon.
    pub(crate) fn will_need(&self) {
        // A hint, and no more.
        if let Ok(file) = self.page_file.file() {
            file.will_need(u64::from(self.offset), u64::from(self.bytes));
        }
    }
}

impl Clone for Image {
    fn clone(&self) -> Self {
        let mut image = Self::new(self.page_file.clone(), self.location());
        image.proven = self.proven;
        image
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        self.page_file.live.fetch_sub(u64::from(self.bytes), Ordering::Relaxed);
    }
}
