//! Salvage: opening a damaged store with all intact parts.
//!
//! | Evidence | Provides |
//! |---|---|
//! | trees that were closed cleanly and are whole | everything |
//! | the manifest's snapshot; if it is damaged, each whole record; without it, the newest other one | everything up to it, except missing records |
//! | frames of the journal, each by its own checksum, on both sides of damage | later changes, and removals |
//! | page images in the page files, each by its own checksum | messages, their queue and its name, where entries or changes are missing |
//! | the archive that the snapshot names | queues without messages, unless they changed or were deleted since |
//! | trees and snapshots that are not used otherwise | names, and removals |
//! | the catalogue of the control store, for a pool | names |
//!
//! 1. Nothing is written before everything has been read. Then the new snapshot is written, and then the manifest that
//!    names it. A salvage that was cut off can be repeated.
//! 2. Damaged files are moved aside. All other files stay until the next snapshot.
//! 3. A message that any record reports as removed does not come back.
//! 4. A range that the device cannot read is damage. Any other refusal ends the salvage with an error that names the
//!    file.
//!
//! Cost: every file is read whole, one after the other; 80 bytes of memory for each image.

mod archived;
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

use self::facts::Facts;
use self::images::{Images, note};
use self::journal::Journal;
use self::merge::Merge;
use self::snapshots::{FoundSnapshot, Gap};
use super::evidence::StateFacts;
use super::execute::Recovered;
use super::files::{parse_trees_name, snapshot_numbers, trees_path};
use super::gather::Loaded;
use super::opening::Opening;
use super::plan::{Salvaged, plan_salvage};
use super::report::{Damaged, LostMessages, RecoveryReport, RecoverySource};
use crate::config::Config;
use crate::disk::trees::{Tree, Trees};
use crate::disk::{Disk, list_or_empty};
use crate::model::error::{Error, Result};
use crate::model::numbering::incarnation_of;
use crate::state::OUTBOX;
use crate::storage::journal::naming::{self, JOURNAL};
use crate::storage::journal::scan::Damage;
use crate::storage::journal::segment;
use crate::storage::keys;
use crate::storage::manifest::{self, Manifest};
use crate::storage::records::Digest;
use crate::storage::snapshot;

/// Opens the damaged store in `root` with its intact parts.
pub(super) fn salvage(config: &Config, root: &Path, cause: &Error) -> Result<Recovered> {
    let disk = &*config.disk;
    let (manifest, store) = match load_manifest(disk, root)? {
        Some(manifest) => (Some(manifest.clone()), manifest.store),
        None => (None, store_id(disk, root)?.ok_or_else(|| lost(root, cause))?),
    };
    Opening::new(config, root, store)?.attempt(|opening| {
        let (salvaged, loaded) = Salvage { opening: &opening, disk, root, store, manifest }.gather(cause)?;
        opening.execute(plan_salvage(salvaged)?, loaded)
    })
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

/// The store's id, from a segment of its journal or from its trees.
fn store_id(disk: &dyn Disk, root: &Path) -> Result<Option<[u8; 16]>> {
    let directory = root.join(JOURNAL);
    for name in list_or_empty(disk, &directory)?.iter().filter(|name| naming::parse_file_name(name).is_some()) {
        let file = reading::read(disk, &directory.join(name))?;
        if let Some(store) = file.and_then(|file| segment::store_of(&file.bytes)) {
            return Ok(Some(store));
        }
    }
    Ok(None)
}

struct Salvage<'a> {
    opening: &'a Opening<'a>,
    disk: &'a dyn Disk,
    root: &'a Path,
    store: [u8; 16],
    /// If it is whole.
    manifest: Option<Manifest>,
}

/// The state that salvage starts from.
enum Origin {
    /// Trees with everything up to that LSN.
    Trees(Box<dyn Trees>, u64),
    Snapshot(FoundSnapshot),
    /// There was no snapshot yet: the journal has everything.
    New,
    /// The snapshot is lost.
    Lost,
}

impl Salvage<'_> {
    /// Reads everything, and builds one state from it.
    fn gather(self, cause: &Error) -> Result<(Salvaged, Loaded)> {
        let (directory, disk) = (self.root.join(JOURNAL), self.disk);
        let mut journal = Journal::gather(disk, &directory, self.store)?;
        let mut snapshots = self.snapshots()?;
        let images = Images::gather(disk, &self.opening.page_files)?;
        let mut merge = Merge::new(&images, &self.opening.page_files, &self.opening.budget, directory.clone());
        merge.known_names = self.opening.config.names.clone();
        let damages = images.damages.iter().chain(snapshots.iter().flat_map(|snapshot| &snapshot.damages));
        damages.for_each(|damage| note(&mut merge.damages, damage.clone()));
        let origin = self.choose_origin(&mut snapshots, &journal)?;
        let after = self.replay_start(&origin);
        merge.floor = after.unwrap_or(0);
        merge.facts = self.facts(&journal, merge.floor)?;
        merge.facts.add_removed(&images.facts);
        self.load(&origin, &snapshots, &mut merge)?;
        if !matches!(origin, Origin::Trees(..)) {
            self.load_archive(&origin, &mut merge)?;
        }
        if merge.search_images()? {
            journal.visit(disk, self.store, 0, &mut |_, body| merge.search_change(body))?;
        }
        merge.end_search()?;
        self.complete(&origin, &mut merge)?;
        if !matches!(origin, Origin::Trees(..)) {
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
        self.sum_up(merge, &journal, &origin, cause)
    }

    /// Every snapshot of the store's, the newest first.
    fn snapshots(&self) -> Result<Vec<FoundSnapshot>> {
        let names = list_or_empty(self.disk, self.root)?;
        let numbers = names.iter().filter_map(|name| snapshot::parse_file_name(name)).rev();
        numbers.map(|number| FoundSnapshot::examine(self.disk, self.root, self.store, number)).collect()
    }

    /// Chooses the start: valid trees, the manifest's snapshot if it is whole, any whole snapshot, or the rest of one.
    /// The choice is taken out of `snapshots`.
    fn choose_origin(&self, snapshots: &mut Vec<FoundSnapshot>, journal: &Journal) -> Result<Origin> {
        if let Some((trees, lsn)) = self.clean_trees()? {
            return Ok(Origin::Trees(trees, lsn));
        }
        let named = self.manifest.as_ref().and_then(|manifest| manifest.snapshot).map(|mark| mark.number);
        let rank = |snapshot: &FoundSnapshot| (snapshot.is_whole(), Some(snapshot.number) == named, snapshot.number);
        let usable =
            (0..snapshots.len()).filter(|index| snapshots.get(*index).is_some_and(|snapshot| !snapshot.is_empty()));
        match usable.max_by_key(|index| snapshots.get(*index).map(rank)) {
            Some(best) => Ok(Origin::Snapshot(snapshots.swap_remove(best))),
            None if named.is_none() && journal.first_lsn() <= 1 => Ok(Origin::New),
            None => Ok(Origin::Lost),
        }
    }

    /// The trees, if they were closed cleanly and agree with the manifest.
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
        Ok(self.disk.trees_with(&path, self.opening.config.cache_bytes()).ok())
    }

    /// The LSN after which the journal continues, if known.
    fn replay_start(&self, origin: &Origin) -> Option<u64> {
        match origin {
            Origin::Trees(_, lsn) => Some(*lsn),
            Origin::New => Some(0),
            Origin::Lost => None,
            Origin::Snapshot(snapshot) => {
                let mark = self.manifest.as_ref().and_then(|manifest| manifest.snapshot);
                snapshot.from.or_else(|| mark.filter(|mark| mark.number == snapshot.number).map(|mark| mark.from))
            }
        }
    }

    /// The facts in the whole journal.
    fn facts(&self, journal: &Journal, after: u64) -> Result<Facts> {
        let mut facts = Facts::default();
        journal.visit(self.disk, self.store, 0, &mut |lsn, body| {
            facts.note(body, lsn > after);
            Ok(())
        })?;
        Ok(facts)
    }

    /// Loads the records that the state starts from.
    fn load(&self, origin: &Origin, others: &[FoundSnapshot], merge: &mut Merge<'_>) -> Result<()> {
        match origin {
            Origin::New => {}
            Origin::Trees(trees, _) => {
                Tree::ALL.into_iter().try_for_each(|tree| {
                    trees.scan(tree, &mut |key, value| {
                        // The digest has shown that the records are those that were written.
                        merge.load(tree, key, value).map(drop)
                    })
                })?;
                merge.known_queues = u64::MAX;
            }
            Origin::Snapshot(snapshot) => {
                if !snapshot.is_whole() {
                    self.consult(others, merge)?;
                }
                self.load_snapshot(snapshot, merge)?;
            }
            Origin::Lost => self.consult(others, merge)?,
        }
        Ok(())
    }

    /// Fills the gaps of the snapshot as far as possible, and ends the loading.
    fn complete(&self, origin: &Origin, merge: &mut Merge<'_>) -> Result<()> {
        let is_whole = match origin {
            Origin::New | Origin::Trees(..) => true,
            Origin::Snapshot(snapshot) if snapshot.is_whole() => true,
            Origin::Snapshot(snapshot) => {
                let missing = snapshot.gaps.iter().try_fold(0_u64, |sum, gap| Some(sum.saturating_add(gap.records?)));
                let rows = if missing == Some(1) { Rows::None } else { Rows::Absent };
                self.restore_registry(merge, rows);
                merge.fill_gaps(&snapshot.gaps)?;
                false
            }
            Origin::Lost => {
                self.restore_registry(merge, Rows::All);
                let (file, reason) = (self.root.to_path_buf(), "the snapshot is missing".into());
                note(&mut merge.damages, Damage { file, offset: 0, reason });
                merge.fill_gaps(&[Gap { records: None, after: None, before: None }])?;
                false
            }
        };
        merge.settle(is_whole);
        Ok(())
    }

    fn load_snapshot(&self, snapshot: &FoundSnapshot, merge: &mut Merge<'_>) -> Result<()> {
        snapshot.visit(self.disk, self.store, &mut |offset, tree, key, value| {
            if let Err(reason) = merge.load(tree, key, value)? {
                note(&mut merge.damages, Damage { file: snapshot.path.clone(), offset, reason });
            }
            Ok(())
        })?;
        if let Some(footer) = &snapshot.footer {
            merge.contents.time = merge.contents.time.max(footer.time);
            merge.contents.next_queue = merge.contents.next_queue.max(footer.next_queue);
            merge.known_queues = if snapshot.is_whole() { footer.next_queue } else { 0 };
        }
        Ok(())
    }

    /// Takes names and removals from snapshots and trees that are not used otherwise.
    fn consult(&self, others: &[FoundSnapshot], merge: &mut Merge<'_>) -> Result<()> {
        for snapshot in others {
            snapshot.visit(self.disk, self.store, &mut |_, tree, key, value| {
                merge.consult(tree, key, value);
                Ok(())
            })?;
        }
        for generation in self.generations()? {
            let Some(trees) = self.open_trees(generation)? else { continue };
            for tree in [Tree::Queues, Tree::Messages] {
                // Records that the trees do not return are ignored.
                let _ = trees.scan(tree, &mut |key, value| {
                    merge.consult(tree, key, value);
                    Ok(())
                });
            }
        }
        Ok(())
    }

    fn generations(&self) -> Result<Vec<u64>> {
        let names = list_or_empty(self.disk, self.root)?;
        Ok(names.iter().filter_map(|name| parse_trees_name(name)).collect())
    }

    /// Takes the registry from the newest trees if it is lost in the snapshot: an older state is better than none.
    fn restore_registry(&self, merge: &mut Merge<'_>, rows: Rows) {
        if merge.has_registry {
            return;
        }
        let newest = self.generations().ok().and_then(|all| all.into_iter().max());
        let trees = newest.and_then(|generation| self.open_trees(generation).ok().flatten());
        for tree in REGISTRY {
            let _ = trees.as_ref().map(|trees| {
                trees.scan(tree, &mut |key, value| {
                    let is_wanted = match rows {
                        Rows::All => true,
                        Rows::Absent => !merge.contents.registry.has(tree, key),
                        Rows::None => key == keys::REGISTRY,
                    };
                    if key != keys::STORE && is_wanted {
                        // One that is damaged is one less.
                        let _ = merge.load(tree, key, value)?;
                    }
                    Ok(())
                })
            });
        }
        if !matches!(rows, Rows::All) {
            // Its rows are the snapshot's, whatever the trees have.
            merge.contents.registry.stand_at(merge.floor);
        }
        merge.contents.registry.complete(self.opening.config.control);
    }

    /// The result, for the plan.
    fn sum_up(
        self,
        mut merge: Merge<'_>,
        journal: &Journal,
        origin: &Origin,
        cause: &Error,
    ) -> Result<(Salvaged, Loaded)> {
        if matches!(origin, Origin::Snapshot(_) | Origin::Lost) && merge.is_partial {
            merge.images.rubble.iter().for_each(|damage| note(&mut merge.damages, damage.clone()));
        }
        let page_files = &self.opening.page_files;
        merge.leaving.extend(merge.damages.iter().filter_map(|damage| page_files.number_of(&damage.file)));
        let files = merge.damages.iter().map(|damage| &damage.file).filter(|file| is_file_of_ours(self.root, file));
        let aside: BTreeSet<PathBuf> = files.cloned().collect();
        let manifest = self.next_manifest()?;
        let salvaged = Salvaged {
            snapshots: snapshot_numbers(self.disk, self.root)?,
            last_lsn: last_lsn(&manifest, journal, origin, &merge),
            manifest,
            incarnation: journal.incarnation.max(incarnation_of(merge.images.highest())),
            highest_number: journal.highest_number,
            sound: journal.sound(),
            spares: journal.spares.clone(),
            aside: aside.into_iter().collect(),
            state: StateFacts::of(&merge.contents),
            driver: self.opening.config.control,
            is_known: self.opening.config.known_store == Some(self.store),
            report: report(&merge, origin, cause),
            leaving: merge.leaving,
        };
        Ok((salvaged, Loaded { contents: merge.contents, filled: None, snapshot_files: BTreeSet::new() }))
    }

    /// The former manifest, with a generation of trees that does not exist yet.
    fn next_manifest(&self) -> Result<Manifest> {
        let fresh = Manifest { incarnation: 0, generation: 0, ..Manifest::new(self.store) };
        let manifest = self.manifest.clone().unwrap_or(fresh);
        let newest = self.generations()?.into_iter().max().unwrap_or(0).max(manifest.generation);
        Ok(Manifest { generation: newest.saturating_add(1), ..manifest })
    }
}

/// The highest LSN that anything names.
fn last_lsn(manifest: &Manifest, journal: &Journal, origin: &Origin, merge: &Merge<'_>) -> u64 {
    let (to, from) = match origin {
        Origin::Snapshot(snapshot) => (snapshot.footer.map_or(0, |footer| footer.to), snapshot.from.unwrap_or(0)),
        Origin::Trees(_, lsn) => (0, *lsn),
        Origin::New | Origin::Lost => (0, 0),
    };
    let named = [journal.highest_lsn, journal.proven(), manifest.synced, to, from, merge.contents.highest_lsn()];
    named.into_iter().max().unwrap_or(0)
}

fn report(merge: &Merge<'_>, origin: &Origin, cause: &Error) -> RecoveryReport {
    let is_from_trees = matches!(origin, Origin::Trees(..));
    let source = if is_from_trees { RecoverySource::Trees } else { RecoverySource::Journal };
    RecoveryReport {
        notes: vec![format!("salvaged what is left of a damaged store: {cause}")],
        replayed: merge.replayed,
        lost: lost_of(merge),
        lost_changes: merge.lost_changes,
        damaged: merge.damages.iter().map(Damaged::of).collect(),
        ..RecoveryReport::new(source)
    }
}

/// The losses of each queue that still exists.
fn lost_of(merge: &Merge<'_>) -> Vec<LostMessages> {
    let named = merge.lost.iter().filter(|(number, lost)| **lost > 0 && **number != OUTBOX);
    named
        .filter_map(|(number, lost)| Some((merge.name_of(*number)?, *lost)))
        .map(|((project, queue), messages)| LostMessages::new(project, queue, messages))
        .collect()
}

/// Whether damage is in one file, and not in a folder.
fn is_file_of_ours(root: &Path, file: &Path) -> bool {
    file != root && file.file_name().is_some_and(|name| name != JOURNAL)
}

/// The rows of the registry that a salvage takes from trees.
#[derive(Clone, Copy)]
enum Rows {
    /// The snapshot is lost.
    All,
    /// Those that the snapshot does not have.
    Absent,
    /// The snapshot has lost a single record, and that is the registry's own.
    None,
}

/// The trees that the registry is in.
const REGISTRY: [Tree; 6] =
    [Tree::Meta, Tree::Subscriptions, Tree::Catalogue, Tree::Pools, Tree::Flavors, Tree::Bookmarks];
