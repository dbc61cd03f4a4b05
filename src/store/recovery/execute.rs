//! Carrying a [plan](mod@super::plan) out, in an order in which a power cut at any moment leaves a store that opens.
//!
//! 1. New files are durable before the files they replace are removed: a new snapshot and the first segment of this run
//!    before the manifest that names them, and the manifest before any file that the former manifest depends on is
//!    moved or removed.
//! 2. Only files that nothing depends on are removed earlier, because a full disk may have no other space.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::{parse_trees_name, remove_any};
use super::gather::Loaded;
use super::journal_tail::{self, CopyPolicy, JournalTail};
use super::opening::Opening;
use super::plan::{JournalPlan, Plan, Tidying};
use super::report::RecoveryReport;
use super::start;
use crate::disk::{KeptDir, REACH, remove_own};
use crate::model::error::{Error, Result};
use crate::state::Contents;
use crate::storage::archive;
use crate::storage::journal::naming::JOURNAL;
use crate::storage::journal::{JournalContext, Start};
use crate::storage::manifest::{self, Manifest};
use crate::storage::records::Digest;
use crate::storage::reserve::{Need, Reserve};
use crate::storage::snapshot;

/// A store ready to be used.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) contents: Contents,
    pub(crate) manifest: Manifest,
    pub(crate) context: JournalContext,
    pub(crate) start: Start,
    /// The digest of the trees, if they were loaded and stay in use.
    pub(crate) filled: Option<Digest>,
    /// The page files that the manifest's snapshot names.
    pub(crate) snapshot_files: BTreeSet<u64>,
    pub(crate) report: RecoveryReport,
    pub(crate) reserve: Arc<Reserve>,
}

impl Opening<'_> {
    /// Executes the plan, with the state that was read.
    pub(super) fn execute(self, plan: Plan, loaded: Loaded) -> Result<Recovered> {
        let Plan { mut manifest, new_snapshot, journal, aside, tidying, mut report } = plan;
        let Loaded { mut contents, filled, mut snapshot_files } = loaded;
        let context = self.prepare(&manifest)?;
        if let (Some(new), Some(mark)) = (&new_snapshot, manifest.snapshot) {
            snapshot_files = self.write_snapshot(&mut contents, mark, new)?;
        }
        remove_segments(&context, &journal.spares)?;
        if tidying == Tidying::First {
            self.tidy(&manifest, &snapshot_files)?;
        }
        let (start, unused) = self.start(&context, &journal, &manifest)?;
        // A damaged manifest is moved aside before it is replaced.
        let (former, aside): (Vec<_>, Vec<_>) = aside.into_iter().partition(|file| file.ends_with(manifest::FILE));
        report.moved_aside.extend(self.move_aside(&manifest, former)?);
        let mut start = self.save_manifest(&mut manifest, &context, start)?;
        journal_tail::trim_last(&context, &mut start);
        report.moved_aside.extend(self.move_aside(&manifest, aside)?);
        new_snapshot.iter().for_each(|new| self.page_files.forget(&new.leaving));
        remove_segments(&context, &unused)?;
        if tidying == Tidying::Last {
            self.tidy(&manifest, &snapshot_files)?;
        }
        let reserve = self.reserve;
        Ok(Recovered { contents, manifest, context, start, filled, snapshot_files, report, reserve })
    }

    /// The context of that run's journal.
    pub(super) fn context(&self, manifest: &Manifest) -> JournalContext {
        let directory = self.root.join(JOURNAL);
        JournalContext {
            disk: self.config.disk.clone(),
            kept_directory: Arc::new(KeptDir::new(directory.clone())),
            directory,
            store: manifest.store,
            incarnation: manifest.incarnation,
            segment_bytes: self.config.segment_bytes,
            cache_bytes: self.config.cache_bytes(),
        }
    }

    /// Makes sure that the directories exist, and opens them while there are descriptors.
    fn prepare(&self, manifest: &Manifest) -> Result<JournalContext> {
        let context = self.context(manifest);
        // The directory is missing only if somebody removed it; it was durable since the store was created.
        let directory = &context.directory;
        let make = || if self.disk().exists(directory)? { Ok(()) } else { self.disk().create_dir_all(directory) };
        make().map_err(|e| Error::io("creating the journal's directory", e))?;
        let held = context.kept_directory.hold(self.disk());
        held.map_err(|e| Error::file("opening", &context.directory, e))?;
        self.page_files.prepare()?;
        Ok(context)
    }

    /// Starts this run's first segment; returns it with the numbers of the segments not needed any more. On a full
    /// disk, files that an earlier opening left are removed first, and then space of the reserve is used.
    fn start(&self, context: &JournalContext, journal: &JournalPlan, manifest: &Manifest) -> Result<(Start, Vec<u64>)> {
        let start = |journal: &JournalPlan, policy, minimal| -> Result<(Start, Vec<u64>)> {
            let (start, replaced) =
                JournalTail::of(context, journal, policy)?.start(context, &self.reserve, manifest.segment, minimal)?;
            Ok((start, journal.unused.iter().copied().chain(replaced).collect()))
        };
        match start(journal, CopyPolicy::IfWorthwhile, false) {
            Err(error) if error.is_full() => {}
            started => return started,
        }
        let snapshot = manifest.snapshot.map_or(0, |mark| mark.from);
        let left = journal_tail::free_disk_space(context, journal, snapshot, manifest.segment)?;
        match start(&left, CopyPolicy::Always, true) {
            // The copies save space only afterwards.
            Err(error) if error.is_full() => start(&left, CopyPolicy::Never, true),
            started => started,
        }
    }

    /// Saves the manifest, which names the started segment; if that fails, the segment is removed again.
    fn save_manifest(&self, manifest: &mut Manifest, context: &JournalContext, start: Start) -> Result<Start> {
        let former = std::mem::replace(&mut manifest.segment, start.live.number());
        let save = || manifest.save(self.disk(), self.root);
        match self.reserve.spend(Need::Open, MANIFEST_BYTES, save) {
            Ok(()) => Ok(start),
            Err(error) => {
                // Closed first, because a descriptor may be missing.
                drop(start);
                start::take_back(context, self.root, former, manifest.segment);
                Err(error)
            }
        }
    }

    /// Moves the existing ones of the damaged files to a folder of their own.
    fn move_aside(&self, manifest: &Manifest, files: impl IntoIterator<Item = PathBuf>) -> Result<Vec<PathBuf>> {
        let aside = self.root.join(format!("damaged-{:06x}", manifest.incarnation));
        let disk = self.disk();
        let go = |from: &Path, to: &Path| -> std::io::Result<bool> {
            let there = disk.exists(from)?;
            if there {
                disk.create_dir_all(&aside)?;
                disk.rename(from, to)?;
            }
            Ok(there)
        };
        let (mut moved, mut left) = (Vec::new(), BTreeSet::new());
        for from in files {
            let Some(to) = from.file_name().map(|name| aside.join(name)) else { continue };
            if go(&from, &to).map_err(|e| Error::file("moving aside", &from, e))? {
                left.extend(from.parent().map(Path::to_owned));
                moved.push(to);
            }
        }
        // After a power cut a file may be back at its old place, where nothing names it, and the next opening would
        // remove it. So its new name is made durable before the removal of the old one.
        let mut changed = moved.first().map(|_| aside.clone()).into_iter().chain(left);
        changed.try_for_each(|dir| disk.sync_dir(&dir).map_err(|e| Error::file("syncing", &dir, e)))?;
        Ok(moved)
    }

    /// Removes files that the manifest does not name: older snapshots and archives, other generations of trees, page files,
    /// half-written files.
    fn tidy(&self, manifest: &Manifest, snapshot_files: &BTreeSet<u64>) -> Result<()> {
        let (snapshot, trees) = (manifest.snapshot.map_or(0, |mark| mark.number), manifest.generation);
        let archive = manifest.archive.map(|mark| mark.number);
        let is_stale = |number: u64, own: u64| number != own && number <= own.saturating_add(REACH);
        for name in self.disk().list(self.root).map_err(|e| Error::file("listing", self.root, e))? {
            let path = self.root.join(&name);
            if snapshot::parse_file_name(&name).is_some_and(|number| is_stale(number, snapshot))
                || archive::parse_file_name(&name)
                    .is_some_and(|number| Some(number) != archive && number <= snapshot.saturating_add(REACH))
                || name == manifest::FRESH
            {
                remove_own(self.disk(), &path)?;
            } else if parse_trees_name(&name).is_some_and(|generation| is_stale(generation, trees)) {
                remove_any(self.disk(), &path).map_err(|e| Error::file("removing", &path, e))?;
            }
        }
        self.page_files.tidy(snapshot_files)
    }
}

fn remove_segments(context: &JournalContext, numbers: &[u64]) -> Result<()> {
    numbers.iter().try_for_each(|number| remove_own(&*context.disk, &context.path(*number)))
}

/// The disk space of the manifest.
const MANIFEST_BYTES: u64 = 4 << 10;
