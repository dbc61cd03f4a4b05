//! Copying files into a backup, and out of one.

use std::path::Path;
use std::sync::Arc;

use super::checking::{have_same_bytes, read_back};
use super::report::BackupReport;
use crate::disk::{Disk, DiskFile};
use crate::model::error::{Error, Result};
use crate::storage::archive;
use crate::storage::journal::scan::Damage;
use crate::storage::page_files::{self, ImageLocation};
use crate::storage::reserve::Reserve;

/// Copies files, syncs the copies, and counts them.
pub(super) struct Copier<'a> {
    disk: &'a dyn Disk,
    /// Of the open store that is copied: nothing is written while it uses its reserve.
    reserve: Option<&'a Reserve>,
    /// Whether the copying goes on: asked before each portion.
    goes_on: &'a dyn Fn() -> Result<()>,
    pub(super) report: BackupReport,
}

/// A file to copy from: its path, and how to open it.
pub(super) struct Original<'a> {
    pub(super) path: &'a Path,
    pub(super) open: &'a dyn Fn() -> Result<Arc<dyn DiskFile>>,
}

impl<'a> Copier<'a> {
    pub(super) fn new(disk: &'a dyn Disk, reserve: Option<&'a Reserve>, goes_on: &'a dyn Fn() -> Result<()>) -> Self {
        Self { disk, reserve, goes_on, report: BackupReport::default() }
    }

    /// Counts on from that report.
    pub(super) fn continuing(self, report: BackupReport) -> Self {
        Self { report, ..self }
    }

    /// Writes a new file, which the caller syncs.
    pub(super) fn write(&mut self, path: &Path, bytes: &[u8]) -> Result<Arc<dyn DiskFile>> {
        let failed = |e| Error::file("writing", path, e);
        let file = self.disk.create(path).map_err(failed)?;
        self.put(&*file, bytes, 0).map_err(failed)?;
        self.report.copied(bytes.len() as u64);
        Ok(file)
    }

    /// Copies a whole file.
    pub(super) fn copy(&mut self, from: &dyn DiskFile, to: &Path) -> Result<()> {
        let bytes = from.len().map_err(|e| Error::file("measuring the original of", to, e))?;
        self.copy_bytes(from, to, bytes)
    }

    /// Brings the archive `number` to the store in `root`: from the `former` backup, if that has the same one.
    pub(super) fn bring_archive(
        &mut self,
        from: &dyn DiskFile,
        number: u64,
        former: Option<&Path>,
        root: &Path,
    ) -> Result<()> {
        let to = archive::path(root, number);
        let there = former.map(|former| archive::path(former, number));
        if let Some(there) = &there
            && let Ok(file) = self.disk.open_read(there)
            && have_same_bytes(&*file, from, None).unwrap_or(false)
            && self.disk.link(there, &to).is_ok()
        {
            self.report.reused(file.len().unwrap_or(0));
            return Ok(());
        }
        self.copy(from, &to)
    }

    /// Brings the page file `number` with these images to the store in `root`, and reads it back: from the `former`
    /// backup, if that has the images; cloned from the original, if the file system can do that; else copied.
    pub(super) fn bring_page_file(
        &mut self,
        original: &Original<'_>,
        (number, images): (u64, &[ImageLocation]),
        former: Option<&Path>,
        root: &Path,
    ) -> Result<()> {
        (self.goes_on)()?;
        let to = page_files::path(root, number);
        let bytes = images.iter().map(|image| image.end()).max().unwrap_or(0);
        let there = former.map(|former| page_files::path(former, number));
        if let Some(there) = &there
            && read_back(self.disk, there, images).is_ok()
            && self.disk.link(there, &to).is_ok()
        {
            self.report.reused(bytes);
            return Ok(());
        }
        if self.clone_file(original.path, &to, bytes).is_ok() {
            self.report.cloned(bytes);
        } else {
            self.copy_bytes(&*(original.open)()?, &to, bytes)?;
        }
        read_back(self.disk, &to, images)
    }

    /// Whatever fails here may succeed as a copy, or fails there too.
    fn clone_file(&self, from: &Path, to: &Path, bytes: u64) -> std::io::Result<()> {
        self.disk.clone_file(from, to)?;
        let file = self.disk.open(to)?;
        if file.len()? < bytes {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        file.set_len(bytes)?;
        file.sync_data()
    }

    fn copy_bytes(&mut self, from: &dyn DiskFile, to: &Path, bytes: u64) -> Result<()> {
        let failed = |e| Error::file("writing", to, e);
        let file = self.disk.create(to).map_err(failed)?;
        let mut buffer = vec![0; usize::try_from(bytes.min(PORTION_BYTES)).unwrap_or(0)];
        let mut at = 0;
        while at < bytes {
            (self.goes_on)()?;
            let portion = usize::try_from(bytes - at).unwrap_or(usize::MAX).min(buffer.len());
            let portion = buffer.get_mut(..portion).unwrap_or_default();
            let read = from.read_at(portion, at).map_err(|e| Error::file_at("reading the original of", to, at, e))?;
            if read == 0 {
                let reason = "the file that was copied ends before a page it is to hold".into();
                return Err(Damage { file: to.into(), offset: at, reason }.into());
            }
            self.put(&*file, portion.get(..read).unwrap_or_default(), at).map_err(failed)?;
            at = at.saturating_add(read as u64);
        }
        file.sync_data().map_err(|e| Error::file("syncing", to, e))?;
        self.report.copied(bytes);
        Ok(())
    }

    fn put(&self, file: &dyn DiskFile, bytes: &[u8], at: u64) -> std::io::Result<()> {
        let write = || file.write_all_at(bytes, at);
        self.reserve.map_or_else(write, |reserve| reserve.take_free(write))
    }
}

/// The bytes that are copied at once.
const PORTION_BYTES: u64 = 1 << 20;
