//! Page files that stay while a copy is made of them, and the check of a copy.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::page_file::{self, PageFile};
use super::{ImageLocation, PAGE_FILES, PageFiles, damage_at};
use crate::disk::DiskFile;
use crate::model::error::{Error, Result};
use crate::storage::codec::crc32;

/// A page file that is not removed as long as this is there.
#[derive(Debug)]
pub(crate) struct PinnedPageFile(Arc<PageFile>);

impl PageFiles {
    /// Pins the files with these numbers.
    ///
    /// # Errors
    /// `Corrupt` if one is missing.
    pub(crate) fn pin(&self, numbers: &BTreeSet<u64>) -> Result<Vec<PinnedPageFile>> {
        numbers.iter().map(|number| self.page_file(*number).map(PinnedPageFile)).collect()
    }
}

impl PinnedPageFile {
    pub(crate) fn number(&self) -> u64 {
        self.0.number
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0.path
    }

    pub(crate) fn open(&self) -> Result<Arc<dyn DiskFile>> {
        self.0.file()
    }
}

/// The path of a page file of the store in `root`.
pub(crate) fn path(root: &Path, number: u64) -> std::path::PathBuf {
    page_file::path(&root.join(PAGE_FILES), number)
}

/// Checks that a file has these images, whole.
///
/// # Errors
/// `Corrupt` for the first that it does not have; `Io` if reading fails.
pub(crate) fn check_images(file: &dyn DiskFile, path: &Path, images: &[ImageLocation]) -> Result<()> {
    let mut bytes = Vec::new();
    for image in images {
        let (at, body) = image.body();
        bytes.clear();
        bytes.resize(body, 0);
        let read = file.read_at(&mut bytes, at).map_err(|e| Error::file_at("reading a page of", path, at, e))?;
        if read != bytes.len() || crc32(&bytes) != image.checksum {
            return Err(damage_at(path, u64::from(image.offset), "a page's checksum does not match").into());
        }
    }
    Ok(())
}
