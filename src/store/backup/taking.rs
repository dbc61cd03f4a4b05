//! Taking a backup of an open store.

use std::path::Path;
use std::sync::Arc;

use super::checking::{blamed_on, check_rest, read_snapshot};
use super::copier::{Copier, Original};
use super::report::BackupReport;
use super::target::{Filled, Target};
use crate::disk::DiskFile;
use crate::model::error::{Error, Result};
use crate::storage::archive;
use crate::storage::backup_record::StoreCopy;
use crate::storage::journal::naming::JOURNAL;
use crate::storage::manifest::Manifest;
use crate::storage::page_files::{PAGE_FILES, PinnedPageFile};
use crate::storage::snapshot;
use crate::store::Store;
use crate::store::housekeeping::Housekeeping;

/// The files of a store as of one LSN, which can still be read whatever the store does meanwhile.
struct Frozen {
    copy: StoreCopy,
    snapshot: Option<Arc<dyn DiskFile>>,
    archive: Option<Arc<dyn DiskFile>>,
    page_files: Vec<PinnedPageFile>,
    /// The copied segments, not synced yet.
    journal: Vec<Arc<dyn DiskFile>>,
}

impl Store {
    /// Takes a backup, or continues the one in the directory.
    pub(crate) fn backup(&self, path: &Path) -> Result<BackupReport> {
        self.check_place()?;
        let target = Target::open(&self.context.disk, path, self.id(), &[&self.root])?;
        target.fill(|target| {
            let (copy, report) = self.copy_into(&target.root(0), target.former(self.id()).as_deref())?;
            Ok(Filled { time: self.now(), stores: vec![copy], report })
        })
    }

    /// Copies the store, as of one LSN, into the directory `root`, and reads the copy back. The files of the `former`
    /// backup are reused.
    fn copy_into(&self, root: &Path, former: Option<&Path>) -> Result<(StoreCopy, BackupReport)> {
        let disk = &*self.context.disk;
        for directory in [root.join(JOURNAL), root.join(PAGE_FILES)] {
            disk.create_dir_all(&directory).map_err(|e| Error::file("creating", &directory, e))?;
        }
        let goes_on = || if self.is_closed() { Err(Error::Closed) } else { Ok(()) };
        let mut copier = Copier::new(disk, Some(&*self.reserve), &goes_on);
        let frozen = self.freeze(&mut copier, root)?;
        // The store must not lose what the backup has.
        self.journal.wait_durable(frozen.copy.lsn)?;
        let synced = frozen.journal.iter().try_for_each(|segment| segment.sync_data());
        synced.map_err(|e| Error::file("syncing", &root.join(JOURNAL), e))?;
        let done = self.copy_files(&mut copier, &frozen, root, former);
        done.map_err(|error| blamed_on(disk, error, root, &self.root))?;
        for directory in [root.join(JOURNAL), root.join(PAGE_FILES), root.into()] {
            disk.sync_dir(&directory).map_err(|e| Error::file("syncing", &directory, e))?;
        }
        copier.report.last_lsn = frozen.copy.lsn;
        Ok((frozen.copy, copier.report))
    }

    /// Copies the journal, and makes sure that the other files can be read.
    fn freeze(&self, copier: &mut Copier<'_>, root: &Path) -> Result<Frozen> {
        let mut housekeeping = self.housekeeping.lock();
        self.renew_snapshot(&mut housekeeping)?;
        // Every operation up to here is in its segment. No segment is retired while housekeeping is locked.
        let lsn = self.journal.appended();
        let named = &housekeeping.manifest;
        let from = named.snapshot.map_or(0, |mark| mark.from);
        let mut journal = Vec::new();
        let segment = self.journal.copy_frames((from, lsn), &mut |name, bytes| {
            journal.push(copier.write(&root.join(JOURNAL).join(name), bytes)?);
            Ok(())
        })?;
        let open =
            |path: std::path::PathBuf| self.context.disk.open_read(&path).map_err(|e| Error::file("opening", &path, e));
        let snapshot = named.snapshot.map(|mark| open(snapshot::path(&self.root, mark.number))).transpose()?;
        let archive = named.archive.map(|mark| open(archive::path(&self.root, mark.number))).transpose()?;
        let page_files = self.page_files.pin(&housekeeping.snapshot_files)?;
        let manifest = Manifest { clean: None, synced: lsn, segment, ..named.clone() };
        Ok(Frozen { copy: StoreCopy { pool: None, lsn, manifest }, snapshot, archive, page_files, journal })
    }

    /// Writes a snapshot, so that there is little journal behind it, unless nothing has changed since the last one.
    fn renew_snapshot(&self, housekeeping: &mut Housekeeping) -> Result<()> {
        let is_current = housekeeping.manifest.snapshot.is_some_and(|mark| mark.from == self.journal.appended());
        if is_current || self.write_snapshot(housekeeping).is_ok() {
            return Ok(());
        }
        // The former snapshot, or none, and the journal behind it are the same state.
        match self.journal.poisoned() {
            Some(cause) => Err(Error::Poisoned { cause }),
            None => self.check_place(),
        }
    }

    /// Copies what the manifest names, and reads it back.
    fn copy_files(&self, copier: &mut Copier<'_>, frozen: &Frozen, root: &Path, former: Option<&Path>) -> Result<()> {
        let (disk, manifest) = (&*self.context.disk, &frozen.copy.manifest);
        if let (Some(mark), Some(file)) = (manifest.snapshot, &frozen.snapshot) {
            copier.copy(&**file, &snapshot::path(root, mark.number))?;
        }
        if let (Some(mark), Some(file)) = (manifest.archive, &frozen.archive) {
            copier.bring_archive(&**file, mark.number, former, root)?;
        }
        let images = read_snapshot(disk, root, manifest)?;
        for page_file in &frozen.page_files {
            if let Some(images) = images.get(&page_file.number()) {
                let original = Original { path: page_file.path(), open: &|| page_file.open() };
                copier.bring_page_file(&original, (page_file.number(), images), former, root)?;
            }
        }
        check_rest(disk, root, &frozen.copy).map(drop)
    }
}
