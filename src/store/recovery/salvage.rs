//! Opening a damaged store with all that is left of it.
//!
//! | Evidence | Says |
//! |---|---|
//! | trees that were closed cleanly and are whole | everything |
//! | the manifest's snapshot; where it is damaged, each record that is whole; without it, the newest other one | everything up to it, but for what is missing |
//! | frames of the journal, each by its own checksum, on both sides of what is damaged | what changed since, and what is gone |
//! | page images in the page files, each by its own checksum | messages, their queue and its name, where entries or changes are missing |
//! | trees and snapshots that do not count otherwise | names, and what is gone |
//! | the catalogue of the control store, for a pool | names |
//!
//! 1. Nothing is written before all of it has been read. Then comes a new snapshot, then the manifest that names it; a
//!    salvage that is cut short can be done again.
//! 2. What is damaged is moved aside; all else stays, for the next snapshot to give up.
//! 3. A message that any record says is gone does not come back.
//! 4. What the device cannot read is damage; any other refusal ends the salvage with an error that names the file.
//!
//! Cost: every file is read whole, one after the other; 80 bytes of memory an image.

mod facts;
mod images;
mod journal;
mod merge;
mod ranges;
mod reading;
mod replay;
mod snapshots;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::facts::Facts;
use self::images::{Images, note};
use self::journal::Journal;
use self::merge::Merge;
use self::snapshots::{Base, Gap};
use super::outline::Outline;
use super::report::{Damaged, LostMessages};
use super::{Recovered, Recovery, RecoveryReport, RecoverySource, open_page_files, parse_trees_name, trees_path};
use crate::config::Config;
use crate::disk::Disk;
use crate::disk::trees::{Tree, Trees};
use crate::model::error::{Error, Result};
use crate::model::numbering::incarnation_of;
use crate::state::OUTBOX;
use crate::storage::budget::Budget;
use crate::storage::journal::naming;
use crate::storage::journal::naming::JOURNAL;
use crate::storage::journal::scan::Damage;
use crate::storage::journal::segment;
use crate::storage::keys;
use crate::storage::manifest::{self, Manifest};
use crate::storage::page_files::PageFiles;
use crate::storage::records::Digest;
use crate::storage::snapshot;

/// Opens the store in `root`, which was found damaged, with what is left of it.
pub(super) fn salvage(config: &Config, root: &Path, cause: &Error) -> Result<Recovered> {
    let disk = &*config.disk;
    let (manifest, store) = match load_manifest(disk, root)? {
        Some(manifest) => (Some(manifest.clone()), manifest.store),
        None => (None, store_id(disk, root)?.ok_or_else(|| lost(root, cause))?),
    };
    let (page_files, budget) = (open_page_files(config, root, store)?, Budget::new(config.memory));
    let salvage = Salvage { config, root, disk, store, manifest, page_files: page_files.clone(), budget };
    salvage.run(cause).inspect_err(|_| page_files.abandon())
}

fn lost(root: &Path, cause: &Error) -> Error {
    Error::Corrupt { file: root.join(manifest::FILE), offset: 0, reason: cause.to_string() }
}

/// The manifest, if it is whole.
fn load_manifest(disk: &dyn Disk, root: &Path) -> Result<Option<Manifest>> {
    match Manifest::load(disk, root) {
        Err(error) if error.is_damage() => Ok(None),
        loaded => loaded,
    }
}

/// The store's id, as a segment of its journal or its trees tell it.
fn store_id(disk: &dyn Disk, root: &Path) -> Result<Option<[u8; 16]>> {
    let directory = root.join(JOURNAL);
    for name in list(disk, &directory)?.iter().filter(|name| naming::parse_file_name(name).is_some()) {
        let file = reading::read(disk, &directory.join(name))?;
        if let Some(store) = file.and_then(|file| segment::store_of(&file.bytes)) {
            return Ok(Some(store));
        }
    }
    Ok(None)
}

fn list(disk: &dyn Disk, directory: &Path) -> Result<Vec<String>> {
    match disk.list(directory) {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        names => names.map_err(|e| Error::file("listing", directory, e)),
    }
}

struct Salvage<'a> {
    config: &'a Config,
    root: &'a Path,
    disk: &'a dyn Disk,
    store: [u8; 16],
    /// If it is whole.
    manifest: Option<Manifest>,
    page_files: Arc<PageFiles>,
    budget: Arc<Budget>,
}

/// What the state is begun from.
enum FrozenQueue {
    /// Trees that hold everything up to that LSN.
    Trees(Box<dyn Trees>, u64),
    Base(Base),
    /// There was none yet: the journal holds everything.
    New,
    /// It is gone.
    Lost,
}

impl Salvage<'_> {
    fn run(self, cause: &Error) -> Result<Recovered> {
        let (directory, disk) = (self.root.join(JOURNAL), self.disk);
        let mut journal = Journal::gather(disk, &directory, self.store)?;
        let mut snapshots = self.snapshots()?;
        let images = Images::gather(disk, &self.page_files)?;
        let mut merge = Merge::new(&images, &self.page_files, &self.budget, directory.clone());
        merge.known_names = self.config.names.clone();
        images.damages.iter().for_each(|damage| note(&mut merge.damages, damage.clone()));
        snapshots
            .iter()
            .flat_map(|snapshot| &snapshot.damages)
            .for_each(|damage| note(&mut merge.damages, damage.clone()));
        let snapshot = self.snapshot(&mut snapshots, &journal)?;
        let after = self.from(&snapshot);
        merge.floor = after.unwrap_or(0);
        merge.facts = self.facts(&journal, merge.floor)?;
        self.load(&snapshot, &snapshots, &mut merge)?;
        if merge.search_images()? {
            journal.visit(disk, self.store, 0, &mut |_, body| merge.search_change(body))?;
        }
        merge.end_search()?;
        self.complete(&snapshot, &mut merge)?;
        if !matches!(snapshot, FrozenQueue::Trees(..)) {
            let proven = self.manifest.as_ref().map_or(0, |manifest| manifest.synced);
            merge.lost_changes = journal.note_gaps(&directory, after, proven);
            journal.visit(disk, self.store, merge.floor, &mut |lsn, body| merge.replay(lsn, body))?;
        }
        merge.finish()?;
        journal.damages.iter().for_each(|damage| note(&mut merge.damages, damage.clone()));
        if self.manifest.is_none() {
            let (file, reason) = (self.root.join(manifest::FILE), "the manifest is missing or damaged".into());
            note(&mut merge.damages, Damage { file, offset: 0, reason });
        }
        self.execute(merge, &journal, &snapshot, cause)
    }

    /// Every snapshot of the store's, the newest first.
    fn snapshots(&self) -> Result<Vec<Base>> {
        let names = list(self.disk, self.root)?;
        let numbers = names.iter().filter_map(|name| snapshot::parse_file_name(name)).rev();
        numbers.map(|number| Base::look_into(self.disk, self.root, self.store, number)).collect()
    }

    /// What to begin from: trees that count, the manifest's snapshot if it is whole, any whole one, or what is left of one. It
    /// is taken out of `snapshots`.
    fn snapshot(&self, snapshots: &mut Vec<Base>, journal: &Journal) -> Result<FrozenQueue> {
        if let Some((trees, lsn)) = self.clean_trees()? {
            return Ok(FrozenQueue::Trees(trees, lsn));
        }
        let named = self.manifest.as_ref().and_then(|manifest| manifest.snapshot).map(|mark| mark.number);
        let rank = |snapshot: &Base| (snapshot.is_whole(), Some(snapshot.number) == named, snapshot.number);
        let usable =
            (0..snapshots.len()).filter(|index| snapshots.get(*index).is_some_and(|snapshot| !snapshot.is_empty()));
        match usable.max_by_key(|index| snapshots.get(*index).map(rank)) {
            Some(best) => Ok(FrozenQueue::Base(snapshots.swap_remove(best))),
            None if named.is_none() && journal.first_lsn() <= 1 => Ok(FrozenQueue::New),
            None => Ok(FrozenQueue::Lost),
        }
    }

    /// The trees, if they were closed cleanly and hold what the manifest says.
    fn clean_trees(&self) -> Result<Option<(Box<dyn Trees>, u64)>> {
        let clean = self.manifest.as_ref().and_then(|manifest| Some((manifest.generation, manifest.clean?)));
        let Some((generation, mark)) = clean else { return Ok(None) };
        let Some(trees) = self.open_trees(generation)? else { return Ok(None) };
        let mut digest = Digest::default();
        let scanned = Tree::ALL.into_iter().try_for_each(|tree| {
            trees.scan(tree, &mut |key, value| {
                digest.add(tree, key, value);
                Ok(())
            })
        });
        Ok((scanned.is_ok() && digest == mark.digest).then_some((trees, mark.lsn)))
    }

    /// The trees of a generation; `None` if there are none, or none that can be opened.
    fn open_trees(&self, generation: u64) -> Result<Option<Box<dyn Trees>>> {
        let path = trees_path(self.root, generation);
        if !self.disk.exists(&path).map_err(|e| Error::file("looking for", &path, e))? {
            return Ok(None);
        }
        Ok(self.disk.trees_with(&path, self.config.cache_bytes()).ok())
    }

    /// The LSN from which the journal goes on, if that is known.
    fn from(&self, snapshot: &FrozenQueue) -> Option<u64> {
        match snapshot {
            FrozenQueue::Trees(_, lsn) => Some(*lsn),
            FrozenQueue::New => Some(0),
            FrozenQueue::Lost => None,
            FrozenQueue::Base(snapshot) => {
                let mark = self.manifest.as_ref().and_then(|manifest| manifest.snapshot);
                snapshot.from.or_else(|| mark.filter(|mark| mark.number == snapshot.number).map(|mark| mark.from))
            }
        }
    }

    /// What all of the journal says beside its changes.
    fn facts(&self, journal: &Journal, after: u64) -> Result<Facts> {
        let mut facts = Facts::default();
        journal.visit(self.disk, self.store, 0, &mut |lsn, body| {
            facts.note(body, lsn > after);
            Ok(())
        })?;
        Ok(facts)
    }

    /// Takes in the records of the snapshot.
    fn load(&self, snapshot: &FrozenQueue, others: &[Base], merge: &mut Merge<'_>) -> Result<()> {
        match snapshot {
            FrozenQueue::New => {}
            FrozenQueue::Trees(trees, _) => {
                Tree::ALL.into_iter().try_for_each(|tree| {
                    trees.scan(tree, &mut |key, value| {
                        // The digest has said that they are what was written.
                        merge.load(tree, key, value).map(drop)
                    })
                })?;
                merge.known_queues = u64::MAX;
            }
            FrozenQueue::Base(snapshot) => {
                if !snapshot.is_whole() {
                    self.hear(others, merge)?;
                }
                self.load_base(snapshot, merge)?;
            }
            FrozenQueue::Lost => self.hear(others, merge)?,
        }
        Ok(())
    }

    /// Fills what the snapshot has lost, as far as that can be, and ends the loading.
    fn complete(&self, snapshot: &FrozenQueue, merge: &mut Merge<'_>) -> Result<()> {
        let is_whole = match snapshot {
            FrozenQueue::New | FrozenQueue::Trees(..) => true,
            FrozenQueue::Base(snapshot) if snapshot.is_whole() => true,
            FrozenQueue::Base(snapshot) => {
                self.restore_registry(merge);
                merge.fill_gaps(&snapshot.gaps)?;
                false
            }
            FrozenQueue::Lost => {
                self.restore_registry(merge);
                let (file, reason) = (self.root.to_path_buf(), "the snapshot is missing".into());
                note(&mut merge.damages, Damage { file, offset: 0, reason });
                merge.fill_gaps(&[Gap { records: None, after: None, before: None }])?;
                false
            }
        };
        merge.settle(is_whole);
        Ok(())
    }

    fn load_base(&self, snapshot: &Base, merge: &mut Merge<'_>) -> Result<()> {
        snapshot.visit(self.disk, self.store, &mut |offset, tree, key, value| {
            if let Err(reason) = merge.load(tree, key, value)? {
                note(&mut merge.damages, Damage { file: snapshot.path.clone(), offset, reason });
            }
            Ok(())
        })?;
        if let Some(tail) = &snapshot.tail {
            merge.contents.time = merge.contents.time.max(tail.time);
            merge.contents.next_queue = merge.contents.next_queue.max(tail.next_queue);
            merge.known_queues = if snapshot.is_whole() { tail.next_queue } else { 0 };
        }
        Ok(())
    }

    /// Listens to the generations that do not count.
    fn hear(&self, others: &[Base], merge: &mut Merge<'_>) -> Result<()> {
        for snapshot in others {
            snapshot.visit(self.disk, self.store, &mut |_, tree, key, value| {
                merge.hear(tree, key, value);
                Ok(())
            })?;
        }
        for generation in self.generations()? {
            let Some(trees) = self.open_trees(generation)? else { continue };
            for tree in [Tree::Queues, Tree::Messages] {
                // What they do not give, they do not give.
                let _ = trees.scan(tree, &mut |key, value| {
                    merge.hear(tree, key, value);
                    Ok(())
                });
            }
        }
        Ok(())
    }

    fn generations(&self) -> Result<Vec<u64>> {
        let names = list(self.disk, self.root)?;
        Ok(names.iter().filter_map(|name| parse_trees_name(name)).collect())
    }

    /// Takes the registry from the newest trees if the snapshot has lost it: an older state is better than none.
    fn restore_registry(&self, merge: &mut Merge<'_>) {
        if merge.has_registry {
            return;
        }
        let newest = self.generations().ok().and_then(|all| all.into_iter().max());
        let trees = newest.and_then(|generation| self.open_trees(generation).ok().flatten());
        for tree in REGISTRY {
            let _ = trees.as_ref().map(|trees| {
                trees.scan(tree, &mut |key, value| {
                    if key != keys::STORE {
                        // One that is damaged is one less.
                        let _ = merge.load(tree, key, value)?;
                    }
                    Ok(())
                })
            });
        }
        merge.contents.registry.complete(self.config.control);
    }

    /// Writes what came of it, and moves aside what was damaged.
    fn execute(
        self,
        mut merge: Merge<'_>,
        journal: &Journal,
        snapshot: &FrozenQueue,
        cause: &Error,
    ) -> Result<Recovered> {
        let source =
            if matches!(snapshot, FrozenQueue::Trees(..)) { RecoverySource::Trees } else { RecoverySource::Journal };
        if !matches!(snapshot, FrozenQueue::Trees(..) | FrozenQueue::New) && merge.is_partial {
            merge.images.rubble.iter().for_each(|damage| note(&mut merge.damages, damage.clone()));
        }
        merge.leaving.extend(merge.damages.iter().filter_map(|damage| self.page_files.number_of(&damage.file)));
        let aside: BTreeSet<PathBuf> = merge
            .damages
            .iter()
            .map(|damage| damage.file.clone())
            .filter(|file| is_file_of_ours(self.root, file))
            .collect();
        let mut report = RecoveryReport::new(source);
        report.notes.push(format!("salvaged what is left of a damaged store: {cause}"));
        report.replayed = merge.replayed;
        report.lost = lost_of(&merge);
        report.lost_changes = merge.lost_changes;
        report.damaged = merge.damages.iter().map(Damaged::of).collect();
        let fresh = Manifest {
            store: self.store,
            incarnation: 0,
            snapshot: None,
            generation: 0,
            clean: None,
            synced: 0,
            segment: 0,
        };
        let mut manifest = self.manifest.clone().unwrap_or(fresh);
        let newest = self.generations()?.into_iter().max().unwrap_or(0).max(manifest.generation);
        manifest.generation = newest.saturating_add(1);
        let (to, lsn) = match snapshot {
            FrozenQueue::Base(snapshot) => (snapshot.tail.map_or(0, |tail| tail.to), snapshot.from.unwrap_or(0)),
            FrozenQueue::Trees(_, lsn) => (0, *lsn),
            FrozenQueue::New | FrozenQueue::Lost => (0, 0),
        };
        let outline = Outline {
            last: journal
                .highest_lsn
                .max(journal.proven())
                .max(manifest.synced)
                .max(to)
                .max(lsn)
                .max(merge.contents.highest_lsn()),
            incarnation: journal.incarnation.max(incarnation_of(merge.images.highest())),
            highest_number: journal.highest_number,
            spares: journal.spares.clone(),
            kept: journal.sound(),
            beheaded: Vec::new(),
            leaving: merge.leaving,
            aside: aside.into_iter().collect(),
            keeps_all: true,
        };
        let Self { config, root, page_files, budget, .. } = self;
        let recovery = Recovery::with(config, root, manifest, page_files, budget);
        recovery.rebase(merge.contents, outline, None, report)
    }
}

/// What is lost of each queue that is still there.
fn lost_of(merge: &Merge<'_>) -> Vec<LostMessages> {
    let named = merge.lost.iter().filter(|(number, lost)| **lost > 0 && **number != OUTBOX);
    named
        .filter_map(|(number, lost)| Some((merge.name_of(*number)?, *lost)))
        .map(|((project, queue), messages)| LostMessages { project, queue, messages })
        .collect()
}

/// Whether damage is in one file, and not in a folder.
fn is_file_of_ours(root: &Path, file: &Path) -> bool {
    file != root && file.file_name().is_some_and(|name| name != JOURNAL)
}

/// The trees that the registry is in.
const REGISTRY: [Tree; 5] = [Tree::Meta, Tree::Subscriptions, Tree::Catalogue, Tree::Pools, Tree::Flavors];
