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
    /// With the frame's header. The highest bit is set if the frame is one of the journal.
    bytes: u32,
    /// CRC-32 of the image.
    pub(crate) checksum: u32,
}

/// What an image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// The content of a page, as it was written to a page file.
    Page,
    /// The operation that posted the page's only message, in a segment of the journal.
    Post,
}

impl ImageLocation {
    /// No location.
    pub(crate) const NONE: Self = Self { file: 0, offset: 0, bytes: 0, checksum: 0 };

    /// A frame of so many bytes, with its header.
    pub(crate) fn new(file: u64, (offset, bytes): (u32, u32), checksum: u32, form: Form) -> Self {
        let flag = if form == Form::Post { OF_THE_JOURNAL } else { 0 };
        Self { file, offset, bytes: bytes | flag, checksum }
    }

    pub(crate) fn form(self) -> Form {
        if self.bytes & OF_THE_JOURNAL == 0 { Form::Page } else { Form::Post }
    }

    /// Bytes of the frame, with its header.
    pub(crate) fn bytes(self) -> u32 {
        self.bytes & !OF_THE_JOURNAL
    }

    /// Offset and bytes of the frame's body, which is the image.
    pub(crate) fn body(self) -> (u64, usize) {
        let header = HEADER_BYTES as u64;
        (u64::from(self.offset).saturating_add(header), (self.bytes() as usize).saturating_sub(HEADER_BYTES))
    }

    pub(crate) fn end(self) -> u64 {
        u64::from(self.offset).saturating_add(u64::from(self.bytes()))
    }
}

/// No frame is as long: see `frame::MAX_BODY_BYTES`.
const OF_THE_JOURNAL: u32 = 1 << 31;

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
        page_file.live.fetch_add(u64::from(location.bytes()), Ordering::Relaxed);
        Self { page_file, offset: location.offset, bytes: location.bytes, checksum: location.checksum, proven: false }
    }

    pub(crate) fn location(&self) -> ImageLocation {
        ImageLocation { file: self.page_file.number, offset: self.offset, bytes: self.bytes, checksum: self.checksum }
    }

    pub(crate) fn is_proven(&self) -> bool {
        self.proven
    }

    /// Whether it is a frame of this run's journal that was synced. Then nothing is removed that it is a copy of.
    pub(crate) fn is_synced_frame(&self) -> bool {
        self.location().form() == Form::Post && self.page_file.has_synced_frame(self.location().end())
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
        let (at, body) = self.location().body();
        let mut bytes = vec![0; body];
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
            file.will_need(u64::from(self.offset), u64::from(self.location().bytes()));
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
        self.page_file.live.fetch_sub(u64::from(self.location().bytes()), Ordering::Relaxed);
    }
}
