//! Taking a backup of an open store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checking::{blamed_on, check_rest, read_snapshot};
use super::copier::{Copier, Original};
use super::report::BackupReport;
use super::target::{Filled, Target};
use crate::disk::DiskFile;
use crate::model::PoolUri;
use crate::model::error::{Error, Result};
use crate::state::PoolRow;
use crate::storage::archive;
use crate::storage::backup_record::StoreCopy;
use crate::storage::journal::naming::JOURNAL;
use crate::storage::journal::scan::Damage;
use crate::storage::manifest::Manifest;
use crate::storage::page_files::{self, PAGE_FILES, PinnedPageFile};
use crate::storage::snapshot;
use crate::store::Store;

/// A copy of a store that is being made.
pub(crate) struct CopyInProgress<'a> {
    store: &'a Store,
    /// The directory of the copy.
    root: PathBuf,
    /// Whether the copying goes on.
    goes_on: &'a dyn Fn() -> Result<()>,
}

/// The files of a store as of one LSN, which can still be read whatever the store does meanwhile.
pub(crate) struct Frozen {
    copy: StoreCopy,
    snapshot: Option<Arc<dyn DiskFile>>,
    archive: Option<Arc<dyn DiskFile>>,
    page_files: Vec<PinnedPageFile>,
    /// The copied segments, not synced yet.
    journal: Vec<Arc<dyn DiskFile>>,
    report: BackupReport,
}

impl Store {
    /// Takes a backup, or continues the one in the directory.
    pub(crate) fn backup(&self, path: &Path) -> Result<BackupReport> {
        self.check_place()?;
        self.check_has_no_pools("back them up", "PooledDriver::backup")?;
        let target = Target::open(&self.context.disk, path, self.id(), &[&self.root])?;
        let goes_on = || if self.is_closed() { Err(Error::Closed) } else { Ok(()) };
        target.fill(|target| {
            let copy = CopyInProgress::begin(self, target.root(0), &goes_on)?;
            let frozen = copy.freeze(None)?;
            let copied = copy.finish(frozen, target.former(self.id()).as_deref())?;
            Ok(Filled::of(self.now(), vec![copied]))
        })
    }

    /// A copy of a control store without its pools would be that of a driver that uses the pools of the original. The
    /// error says to `copy_them` together, with `method`.
    pub(crate) fn check_has_no_pools(&self, copy_them: &str, method: &str) -> Result<()> {
        let registry = self.registry.read();
        let has_directory = |row: &PoolRow| PoolUri::new(&row.uri).is_ok_and(|uri| uri.directory().is_some());
        if registry.pools.iter().any(|(_, row)| has_directory(row)) {
            return Err(Error::invalid("store", format!("it has pools: {copy_them} together, with {method}")));
        }
        Ok(())
    }

    /// Writes a snapshot, so that there is little journal behind it, unless nothing has changed since the last one.
    fn renew_snapshot(&self) -> Result<()> {
        let mut housekeeping = self.housekeeping.lock();
        let is_current = housekeeping.manifest.snapshot.is_some_and(|mark| mark.from == self.journal.appended());
        if is_current || self.write_snapshot(&mut housekeeping).is_ok() {
            return Ok(());
        }
        // The former snapshot, or none, and the journal behind it are the same state.
        match self.journal.poisoned() {
            Some(cause) => Err(Error::Poisoned { cause }),
            None => self.check_place(),
        }
    }
}

impl<'a> CopyInProgress<'a> {
    /// Creates the directories of the copy, and does the work that takes long and that other stores need not wait for.
    pub(crate) fn begin(store: &'a Store, root: PathBuf, goes_on: &'a dyn Fn() -> Result<()>) -> Result<Self> {
        for directory in [root.join(JOURNAL), root.join(PAGE_FILES)] {
            store.context.disk.create_dir_all(&directory).map_err(|e| Error::file("creating", &directory, e))?;
        }
        goes_on()?;
        store.renew_snapshot()?;
        goes_on()?;
        Ok(Self { store, root, goes_on })
    }

    /// Decides the LSN of the copy: copies the journal up to it, and makes sure that the other files can be read. The
    /// store is that of the `pool`, if there is a name.
    pub(crate) fn freeze(&self, pool: Option<String>) -> Result<Frozen> {
        let store = self.store;
        let (mut copier, mut journal) = (self.copier(BackupReport::default()), Vec::new());
        // No segment is retired and no page file is removed while housekeeping is locked.
        let housekeeping = store.housekeeping.lock();
        // Every operation up to here is in its segment.
        let lsn = store.journal.appended();
        let named = &housekeeping.manifest;
        let from = named.snapshot.map_or(0, |mark| mark.from);
        let segment = store.journal.copy_frames((from, lsn), &mut |name, bytes| {
            (self.goes_on)()?;
            journal.push(copier.write(&self.root.join(JOURNAL).join(name), bytes)?);
            Ok(())
        })?;
        let open = |path: PathBuf| store.context.disk.open_read(&path).map_err(|e| Error::file("opening", &path, e));
        let snapshot = named.snapshot.map(|mark| open(snapshot::path(&store.root, mark.number))).transpose()?;
        let archive = named.archive.map(|mark| open(archive::path(&store.root, mark.number))).transpose()?;
        let page_files = store.page_files.pin(&housekeeping.snapshot_files)?;
        let manifest = Manifest { clean: None, synced: lsn, segment, ..named.clone() };
        let copy = StoreCopy { pool, lsn, manifest };
        Ok(Frozen { copy, snapshot, archive, page_files, journal, report: copier.report })
    }

    /// Copies the other files, syncs everything and reads it back. The files of the `former` backup are reused.
    pub(crate) fn finish(&self, frozen: Frozen, former: Option<&Path>) -> Result<(StoreCopy, BackupReport)> {
        let (store, root) = (self.store, self.root.as_path());
        let disk = &*store.context.disk;
        // The store must not lose what the backup has.
        store.journal.wait_durable(frozen.copy.lsn)?;
        let synced = frozen.journal.iter().try_for_each(|segment| segment.sync_data());
        synced.map_err(|e| Error::file("syncing", &root.join(JOURNAL), e))?;
        let mut copier = self.copier(frozen.report.clone());
        let done = self.copy_files(&mut copier, &frozen, former);
        done.map_err(|error| blamed_on(disk, error, root, &store.root))?;
        for directory in [root.join(JOURNAL), root.join(PAGE_FILES), root.into()] {
            disk.sync_dir(&directory).map_err(|e| Error::file("syncing", &directory, e))?;
        }
        copier.report.last_lsn = frozen.copy.lsn;
        Ok((frozen.copy, copier.report))
    }

    fn copier(&self, report: BackupReport) -> Copier<'a> {
        let disk = &*self.store.context.disk;
        // Another file system takes nothing of the store's space, and must not keep the store waiting.
        let reserve = disk.shares_space(&self.root, &self.store.root).then_some(&*self.store.reserve);
        Copier::new(disk, reserve, self.goes_on).continuing(report)
    }

    /// Copies what the manifest names, and reads it back.
    fn copy_files(&self, copier: &mut Copier<'_>, frozen: &Frozen, former: Option<&Path>) -> Result<()> {
        let (disk, manifest, root) = (&*self.store.context.disk, &frozen.copy.manifest, self.root.as_path());
        if let (Some(mark), Some(file)) = (manifest.snapshot, &frozen.snapshot) {
            copier.copy(&**file, &snapshot::path(root, mark.number))?;
        }
        if let (Some(mark), Some(file)) = (manifest.archive, &frozen.archive) {
            copier.bring_archive(&**file, mark.number, former, root)?;
        }
        for (number, images) in &read_snapshot(disk, root, manifest)? {
            let pinned = frozen.page_files.iter().find(|page_file| page_file.number() == *number);
            let pinned = pinned.ok_or_else(|| {
                let reason = "the snapshot names a page file that the store does not know".into();
                Error::from(Damage { file: page_files::path(&self.store.root, *number), offset: 0, reason })
            })?;
            let original = Original { path: pinned.path(), open: &|| pinned.open() };
            copier.bring_page_file(&original, (*number, images), former, root)?;
        }
        check_rest(disk, root, &frozen.copy).map(drop)
    }
}
