//! Reading a store that has a manifest: the state, and the evidence whether the state is valid.
//!
//! 1. Only page files are written, which a failed opening removes: a replay that exceeds the memory evicts pages.
//! 2. Damage is evidence. Only unreadable files, and files of another version, are errors.
//!
//! Cost: after a clean close every record of the trees, and snapshot and journal once, as a check; otherwise snapshot
//! and journal once. Trees that are older than the journal are read in vain. Of an archive only the
//! index is read.

use std::collections::BTreeSet;
use std::path::Path;

use super::evidence::{Evidence, StateFacts, Trees, is_overtaken};
use super::files::{snapshot_numbers, trees_path};
use super::opening::Opening;
use super::reading::{check_snapshot, load_all, open_archive, read_snapshot};
use crate::model::error::{Error, Result};
use crate::state::{Contents, Obstacle, Queue};
use crate::storage::journal::naming::JOURNAL;
use crate::storage::journal::scan::{self, Damage, Scan, Source};
use crate::storage::manifest::{Manifest, SnapshotMark};
use crate::storage::records::Digest;
use crate::storage::snapshot::Fault;

/// The state that was read.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) contents: Contents,
    /// The digest of the trees, if the state is from them and they stay in use.
    pub(super) filled: Option<Digest>,
    /// The page files that the manifest's snapshot names.
    pub(super) snapshot_files: BTreeSet<u64>,
}

/// The purpose of reading snapshot and journal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Load,
    /// Only to check that they could be loaded.
    Check,
}

/// The result of reading a snapshot.
struct SnapshotRead {
    fault: Option<Damage>,
    /// The damage, if a page file that it names is missing or too short.
    page_file: Option<Damage>,
    /// The page files that the snapshot names.
    names: BTreeSet<u64>,
}

/// The result of reading the journal.
struct JournalRead {
    scan: Scan,
    replayed: u64,
    /// The reason why an operation could not be replayed, or the replay could not be ended.
    fault: Option<Damage>,
}

impl Opening<'_> {
    /// Reads the store: its trees if they were closed cleanly, and snapshot and journal.
    pub(super) fn gather(&self, manifest: Manifest) -> Result<(Evidence, Loaded)> {
        let trees = match self.load_trees(&manifest) {
            Ok(Some((contents, filled, lsn))) => {
                let mut unused = self.empty_contents();
                let snapshot = self.read_snapshot(&manifest, Use::Check, &mut unused)?;
                let journal = self.read_journal(&manifest, false, &mut unused)?;
                if !is_overtaken(lsn, &journal.scan.end) {
                    let loaded = Loaded { contents, filled: Some(filled), snapshot_files: snapshot.names.clone() };
                    return self.weigh((manifest, Trees::Whole { lsn }), snapshot, journal, loaded);
                }
                Trees::OlderThanJournal
            }
            Ok(None) => Trees::NotClosed,
            Err(reason) => Trees::Unusable(reason),
        };
        let mut contents = self.empty_contents();
        let snapshot = self.read_snapshot(&manifest, Use::Load, &mut contents)?;
        let is_loaded = snapshot.fault.is_none() && snapshot.page_file.is_none();
        let journal = self.read_journal(&manifest, is_loaded, &mut contents)?;
        let loaded = Loaded { contents, filled: None, snapshot_files: snapshot.names.clone() };
        self.weigh((manifest, trees), snapshot, journal, loaded)
    }

    /// Collects the evidence. If salvage is allowed, every page of a valid state is read, so that damaged pages are
    /// repaired as far as possible.
    fn weigh(
        &self,
        (manifest, trees): (Manifest, Trees),
        snapshot: SnapshotRead,
        journal: JournalRead,
        mut loaded: Loaded,
    ) -> Result<(Evidence, Loaded)> {
        let mut evidence = Evidence {
            root: self.root.into(),
            manifest,
            trees,
            snapshots: snapshot_numbers(self.disk(), self.root)?,
            snapshot: snapshot.fault,
            page_file: snapshot.page_file,
            journal: journal.scan,
            replay: journal.fault,
            replayed: journal.replayed,
            page: None,
            state: StateFacts::of(&loaded.contents),
            driver: self.config.control,
        };
        if self.config.salvage && (loaded.filled.is_some() || evidence.damage().is_none()) {
            evidence.page = loaded.contents.first_unreadable();
            let archive = loaded.contents.archive.as_ref().filter(|_| evidence.page.is_none());
            evidence.page = evidence.page.or_else(|| archive.and_then(|archive| archive.check().err()));
        }
        Ok((evidence, loaded))
    }

    /// The trees' contents, their digest and their LSN, if they were closed cleanly and are whole.
    fn load_trees(&self, manifest: &Manifest) -> Result<Option<(Contents, Digest, u64)>, String> {
        let Some(clean) = manifest.clean else { return Ok(None) };
        let path = trees_path(self.root, manifest.generation);
        if !self.disk().exists(&path).map_err(|error| error.to_string())? {
            return Err("their directory is missing".into());
        }
        let trees = self.disk().trees_with(&path, self.config.cache_bytes()).map_err(|error| error.to_string())?;
        let mut contents = self.empty_contents();
        let digest = load_all(&*trees, &mut contents)?;
        let store = contents.store.as_ref().ok_or("their own record is missing")?;
        if digest != clean.digest {
            return Err("their digest does not match the manifest's".into());
        }
        if (store.store, store.generation, store.lsn) != (manifest.store, manifest.generation, clean.lsn) {
            return Err("they were written by another close than the one that the manifest records".into());
        }
        if let Some(error) = contents.lost.take() {
            return Err(error.to_string());
        }
        contents.settle()?;
        contents.time = contents.time.max(clean.time);
        // Before time advances: items that expire from here on are still in the trees.
        contents.queues.values_mut().for_each(|queue| queue.with(Queue::mark_stored));
        contents.registry.mark_stored();
        contents.finish()?;
        Ok(Some((contents, digest, clean.lsn)))
    }

    /// Reads the snapshot that the manifest names, if it names one.
    fn read_snapshot(&self, manifest: &Manifest, purpose: Use, contents: &mut Contents) -> Result<SnapshotRead> {
        let read = manifest.snapshot.map_or(Ok(()), |mark| match purpose {
            Use::Load => read_snapshot(self.disk(), self.root, self.store, mark, contents),
            Use::Check => check_snapshot(self.disk(), self.root, self.store, mark, &mut contents.named_files),
        });
        let read = read.and_then(|()| open_archive(self.disk(), self.root, manifest, contents));
        let fault = match read {
            Ok(()) => None,
            Err(Fault::Damaged(damage)) => Some(damage),
            Err(Fault::Failed(error)) => return Err(error),
        };
        let page_file = contents.lost.take().map(damage_of).transpose()?;
        Ok(SnapshotRead { fault, page_file, names: contents.named_files.clone() })
    }

    /// Reads the journal behind the snapshot, and applies its operations to `contents` if the snapshot `is_loaded`.
    fn read_journal(&self, manifest: &Manifest, is_loaded: bool, contents: &mut Contents) -> Result<JournalRead> {
        let directory = self.root.join(JOURNAL);
        let (mut replayed, mut wrong) = (0_u64, None);
        let scan = scan::scan(&self.source(manifest, &directory), &mut |lsn, body| {
            if is_loaded && wrong.is_none() {
                wrong = match contents.replay(lsn, body) {
                    Ok(()) => None,
                    Err(Obstacle::Wrong(reason)) => Some(format!("LSN {lsn}: {reason}")),
                    Err(Obstacle::Failed(error)) => return Err(error),
                };
                replayed = replayed.saturating_add(1);
            }
            Ok(())
        })?;
        let unfinished = contents.finish().err();
        let fault = wrong.or(unfinished).map(|reason| Damage { file: directory, offset: 0, reason });
        Ok(JournalRead { scan, replayed, fault })
    }

    /// The part of the journal to read, and the manifest's facts about it.
    fn source<'s>(&'s self, manifest: &Manifest, directory: &'s Path) -> Source<'s> {
        let snapshot = manifest.snapshot.unwrap_or(SnapshotMark { number: 0, from: 0, to: 0 });
        let clean = manifest.clean.map_or(0, |clean| clean.lsn);
        Source {
            disk: self.disk(),
            directory,
            store: self.store,
            after: snapshot.from,
            proven: manifest.synced.max(snapshot.to).max(clean),
            named: manifest.segment,
        }
    }
}

/// The damage that an error reports; any other error is returned.
fn damage_of(error: Error) -> Result<Damage> {
    match error {
        Error::Corrupt { file, offset, reason } => Ok(Damage { file, offset, reason }),
        error => Err(error),
    }
}
