//! Opening a store: from what is on disk to the state, by the table below.
//!
//! | Trees | Snapshot and journal | Then |
//! |---|---|---|
//! | clean | good | the trees are loaded |
//! | clean | damaged | the trees are loaded, a new snapshot is written from them, the damaged files moved aside |
//! | not clean, damaged or missing | good | the state is rebuilt from snapshot and journal; the next checkpoint fills new trees |
//! | not clean, damaged or missing | damaged | `Corrupt`, and nothing is changed; with [`Config::salvage`](crate::Config::salvage) see [`salvage`] |
//!
//! 1. Trees count as clean only if the manifest's clean mark, their own record and a digest over every record agree, and
//!    the journal has nothing beyond that mark.
//! 2. After anything but a clean close the incarnation is raised, durably, before the first call is taken; the manifest
//!    names the segment this run starts,
//!    so that losing it is noticed.
//! 3. Nothing is appended to a segment that an earlier process wrote. What follows the last proven frame is made durable
//!    first: see `tail`.
//! 4. What could not be read is moved aside, never deleted.
//! 5. Pages stay in the page files until they are needed. A page file that is missing or too short is damage like any other; a
//!    page that has been damaged within one is found when it is read, or here where salvage is allowed.

mod creation;
mod outline;
mod reading;
mod rebase;
mod report;
mod salvage;
mod start;
mod tail;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use crate::config::Config;
use crate::disk::{Disk, KeptDir, REACH, remove_own};
use crate::model::error::{Error, Result};
use crate::model::numbering::incarnation_of;
use crate::state::{Contents, OUTBOX, Obstacle, Queue};
use crate::storage::budget::Budget;
use crate::storage::journal::naming;
use crate::storage::journal::naming::JOURNAL;
use crate::storage::journal::scan::{self, Damage, Scan, Source};
use crate::storage::journal::{Place, Start};
use crate::storage::manifest::{self, Manifest, SnapshotMark};
use crate::storage::page_files::PageFiles;
use crate::storage::records::Digest;
use crate::storage::reserve::{Need, Reserve};
use crate::storage::snapshot;
use crate::store::random::Random;

use outline::Outline;
pub(crate) use reading::read_snapshot;
use reading::{check_snapshot, load_all};
pub use report::{Damaged, LostMessages, RecoveryReport, RecoverySource};
use tail::Tail;

/// A store ready to be used.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) contents: Contents,
    pub(crate) manifest: Manifest,
    pub(crate) place: Place,
    pub(crate) start: Start,
    /// What is in the trees, if they were loaded and stay in use.
    pub(crate) filled: Option<Digest>,
    /// The page files that the manifest's snapshot names.
    pub(crate) snapshot_files: BTreeSet<u64>,
    pub(crate) report: RecoveryReport,
    pub(crate) reserve: Arc<Reserve>,
}

/// How often an opening begins anew that found the journal's end changed.
const OPENED_AGAIN: usize = 3;
/// No store gets there: what is given out in an incarnation ends where the next begins.
pub(crate) const LAST_INCARNATION: u32 = (1 << 24) - 1;

pub(crate) fn trees_path(root: &Path, generation: u64) -> PathBuf {
    root.join(format!("trees-{generation:016x}"))
}

fn parse_trees_name(name: &str) -> Option<u64> {
    u64::from_str_radix(name.strip_prefix("trees-")?, 16).ok()
}

/// Whether what is in `root` is a store without its manifest, and not just no store.
pub(crate) fn has_lost_manifest(disk: &dyn Disk, root: &Path) -> bool {
    creation::refuse_orphans(disk, root).is_err_and(|error| error.is_corrupt())
}

/// Opens or makes the store in `root`, which exists and is locked.
pub(crate) fn recover(config: &Config, root: &Path, random: &Random) -> Result<Recovered> {
    let started = Instant::now();
    let disk = &*config.disk;
    let open = || match Manifest::load(disk, root) {
        Ok(Some(manifest)) => Recovery::new(config, root, manifest).and_then(Recovery::run),
        Ok(None) => creation::create(config, root, random),
        Err(error) => Err(error),
    };
    let mut opened = open();
    for _ in 0..OPENED_AGAIN {
        if matches!(opened, Err(Error::JournalChanged { .. })) {
            opened = open();
        }
    }
    let mut recovered = match opened {
        Err(error) if error.is_damage() && config.salvage => salvage::salvage(config, root, &error)?,
        opened => opened?,
    };
    recovered.report.took = started.elapsed();
    Ok(recovered)
}

/// What snapshot and journal are read for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Load,
    /// Only to know that they could be loaded.
    Check,
}

struct Recovery<'a> {
    config: &'a Config,
    root: &'a Path,
    manifest: Manifest,
    /// The generation of trees that were closed cleanly and yet cannot be used.
    distrusted: Option<u64>,
    page_files: Arc<PageFiles>,
    budget: Arc<Budget>,
    /// Page files that hold something damaged: their files go aside, what is left of them is elsewhere by then.
    leaving: BTreeSet<u64>,
    /// Whether nothing is tidied away.
    keeps_all: bool,
    reserve: Arc<Reserve>,
}

/// What snapshot and journal gave.
struct Rebuilt {
    contents: Contents,
    scan: Scan,
    replayed: u64,
    damage: Option<Damage>,
    /// The page files that the snapshot names.
    segments: BTreeSet<u64>,
}

/// The store's page files, none of it read.
fn open_page_files(config: &Config, root: &Path, store: [u8; 16]) -> Result<Arc<PageFiles>> {
    let segment_bytes = config.segment_bytes.saturating_mul(HEAP_SEGMENT);
    PageFiles::open(&config.disk, root, store, segment_bytes, config.page_files).map(Arc::new)
}

/// The size of a page file, in segments of the journal.
const HEAP_SEGMENT: u64 = 2;

impl<'a> Recovery<'a> {
    fn new(config: &'a Config, root: &'a Path, manifest: Manifest) -> Result<Self> {
        let (page_files, budget) = (open_page_files(config, root, manifest.store)?, Budget::new(config.memory));
        Ok(Self::with(config, root, manifest, page_files, budget))
    }

    fn with(
        config: &'a Config,
        root: &'a Path,
        manifest: Manifest,
        page_files: Arc<PageFiles>,
        budget: Arc<Budget>,
    ) -> Self {
        let (leaving, keeps_all) = (BTreeSet::new(), false);
        let reserve = Arc::new(Reserve::open(&config.disk, root, config.segment_bytes, &budget));
        Self { config, root, manifest, distrusted: None, page_files, budget, leaving, keeps_all, reserve }
    }

    /// What is begun with.
    fn nothing(&self) -> Contents {
        Contents::new(self.page_files.clone(), self.budget.clone())
    }

    fn run(self) -> Result<Recovered> {
        let page_files = self.page_files.clone();
        self.recover().inspect_err(|_| page_files.abandon())
    }

    fn recover(mut self) -> Result<Recovered> {
        let mut notes = Vec::new();
        match self.load_trees() {
            Ok(Some((contents, digest))) => self.trust_trees(contents, digest, notes),
            Ok(None) => self.rebuild(notes),
            Err(reason) => {
                notes.push(format!("the trees are not usable: {reason}"));
                self.distrusted = Some(self.manifest.generation);
                self.rebuild(notes)
            }
        }
    }

    fn disk(&self) -> &dyn Disk {
        &*self.config.disk
    }

    /// The trees' contents if they were closed cleanly and are whole.
    fn load_trees(&self) -> Result<Option<(Contents, Digest)>, String> {
        let Some(clean) = self.manifest.clean else { return Ok(None) };
        let path = trees_path(self.root, self.manifest.generation);
        if !self.disk().exists(&path).map_err(|error| error.to_string())? {
            return Err("their directory is missing".into());
        }
        let trees = self.disk().trees_with(&path, self.config.cache_bytes()).map_err(|error| error.to_string())?;
        let mut contents = self.nothing();
        let digest = load_all(&*trees, &mut contents)?;
        let store = contents.store.as_ref().ok_or("their own record is missing")?;
        if digest != clean.digest {
            return Err("their digest does not match the manifest's".into());
        }
        if (store.store, store.generation, store.lsn) != (self.manifest.store, self.manifest.generation, clean.lsn) {
            return Err("they are of another close than the manifest".into());
        }
        if let Some(error) = contents.lost.take() {
            return Err(error.to_string());
        }
        contents.settle()?;
        contents.time = contents.time.max(clean.time);
        // Before time moves on: what expires from here on is still in the trees.
        contents.queues.values_mut().for_each(|queue| queue.with(Queue::mark_stored));
        contents.registry.mark_stored();
        contents.finish()?;
        Ok(Some((contents, digest)))
    }

    /// Goes on from the trees; snapshot and journal are read only to know that they could be.
    fn trust_trees(mut self, mut contents: Contents, digest: Digest, mut notes: Vec<String>) -> Result<Recovered> {
        let lsn = self.manifest.clean.map_or(0, |clean| clean.lsn);
        let mut rebuilt = self.read_base_and_journal(Use::Check)?;
        if rebuilt.scan.last_lsn.max(rebuilt.scan.highest_lsn) > lsn {
            // Somebody went on from that close, so these trees are older than the journal.
            notes.push("the journal goes on behind the clean close that the manifest tells of".into());
            return self.rebuild(notes);
        }
        if rebuilt.scan.last_lsn != lsn && rebuilt.damage.is_none() {
            let (file, reason) = (self.root.join(JOURNAL), "the journal ends elsewhere than the trees".into());
            rebuilt.damage = Some(Damage { file, offset: 0, reason });
        }
        self.check_pages(&mut contents)?;
        let mut report = RecoveryReport { last_lsn: lsn, ..RecoveryReport::new(RecoverySource::Trees) };
        let Some(damage) = rebuilt.damage.take() else {
            self.set_incarnation(&contents, &rebuilt.scan, 0)?;
            report.notes = notes;
            return self.finish(contents, &rebuilt.scan, Some(digest), rebuilt.segments, Vec::new(), report);
        };
        report.damaged = vec![Damaged::of(&damage)];
        notes.push(format!("base or journal is damaged, a new snapshot was written: {}", Error::from(damage)));
        report.notes = notes;
        let aside = self.base_numbers()?.into_iter().map(|number| snapshot::path(self.root, number)).collect();
        let outline = Outline::superseding(rebuilt.scan, lsn, self.root, aside);
        self.rebase(contents, outline, Some(digest), report)
    }

    fn rebuild(mut self, mut notes: Vec<String>) -> Result<Recovered> {
        let mut rebuilt = self.read_base_and_journal(Use::Load)?;
        let mut report = RecoveryReport {
            last_lsn: rebuilt.scan.last_lsn,
            replayed: rebuilt.replayed,
            dropped: rebuilt.scan.dropped,
            ..RecoveryReport::new(RecoverySource::Journal)
        };
        if let Some(damage) = rebuilt.damage.take() {
            return Err(damage.into());
        }
        self.check_pages(&mut rebuilt.contents)?;
        // What is in the trees is superseded; a new generation is filled from the state.
        self.manifest.generation = self.manifest.generation.saturating_add(1);
        self.set_incarnation(&rebuilt.contents, &rebuilt.scan, 1)?;
        report.notes = std::mem::take(&mut notes);
        self.finish(rebuilt.contents, &rebuilt.scan, None, rebuilt.segments, Vec::new(), report)
    }

    /// Reads the snapshot and the journal behind it. Damage is in the result; only failures are errors.
    fn read_base_and_journal(&self, purpose: Use) -> Result<Rebuilt> {
        let mut contents = self.nothing();
        let mut damage = None;
        if let Some(mark) = self.manifest.snapshot {
            let read = match purpose {
                Use::Load => read_snapshot(self.disk(), self.root, self.manifest.store, mark, &mut contents),
                Use::Check => check_snapshot(self.disk(), self.root, self.manifest.store, mark, &mut contents.segments),
            };
            match read {
                Ok(()) => {}
                Err(snapshot::Fault::Failed(error)) => return Err(error),
                Err(snapshot::Fault::Damaged(found)) => damage = Some(found),
            }
            let lost = contents.lost.take().map(damage_of).transpose()?;
            damage = damage.or(lost);
        }
        let segments = contents.segments.clone();
        let replaying = purpose == Use::Load && damage.is_none();
        let snapshot = self.manifest.snapshot.unwrap_or(SnapshotMark { number: 0, from: 0, to: 0 });
        let clean = self.manifest.clean.map_or(0, |clean| clean.lsn);
        let (journal, store) = (self.root.join(JOURNAL), self.manifest.store);
        let proven = self.manifest.synced.max(snapshot.to).max(clean);
        let source = Source { disk: self.disk(), directory: &journal, store, after: snapshot.from, proven };
        let (mut replayed, mut broken) = (0_u64, None);
        let scan = scan::scan(&source, &mut |lsn, body| {
            if broken.is_none() && replaying {
                broken = match contents.replay(lsn, body) {
                    Ok(()) => None,
                    Err(Obstacle::Wrong(reason)) => Some((lsn, reason)),
                    Err(Obstacle::Failed(error)) => return Err(error),
                };
                replayed = replayed.saturating_add(1);
            }
            Ok(())
        })?;
        let broken = broken.map(|(lsn, reason)| format!("LSN {lsn}: {reason}"));
        let unfinished = contents.finish().err();
        let wrong = broken.or(unfinished).map(|reason| Damage { file: journal.clone(), offset: 0, reason });
        let lost = (self.manifest.segment > 0 && !scan.started.contains(&self.manifest.segment)).then(|| Damage {
            file: journal.join(naming::file_name(self.manifest.segment)),
            offset: 0,
            reason: "a segment that had been started is missing or has lost its header".into(),
        });
        // A clean close cuts the last segment itself.
        let lost = lost.or_else(|| scan.cut_short.clone().filter(|_| self.manifest.clean.is_none()));
        let damage = damage.or_else(|| scan.damage.clone()).or(wrong).or(lost);
        Ok(Rebuilt { contents, scan, replayed, damage, segments })
    }

    /// Reads every page where salvage is allowed, so that what is damaged is made good as far as it can be.
    fn check_pages(&self, contents: &mut Contents) -> Result<()> {
        if self.config.salvage { contents.first_unreadable().map_or(Ok(()), Err) } else { Ok(()) }
    }

    /// The manifest this run starts with; [`Self::finish`] saves it. Its incarnation is the highest there was, raised by
    /// `more`: by none after a clean close, since then everything that was given out is known.
    fn set_incarnation(&mut self, contents: &Contents, scan: &Scan, more: u32) -> Result<()> {
        // Before anything is written: an opening that is refused changes nothing.
        check_admission(contents, self.config.control)?;
        let given = contents
            .queues
            .iter()
            .map(|(number, queue)| incarnation_of(*number).max(incarnation_of(queue.state.position().1)));
        let highest = given.max().unwrap_or(0).max(scan.incarnation).max(self.manifest.incarnation);
        let registry = contents.registry.epoch().max(incarnation_of(contents.registry.next_subscription()));
        let incarnation = highest.max(registry).max(incarnation_of(contents.next_queue)).saturating_add(more);
        if incarnation >= LAST_INCARNATION {
            return Err(Error::Unavailable {
                reason: "the store has been opened 2^24 times: restore it to go on".into(),
            });
        }
        self.manifest.incarnation = incarnation;
        self.manifest.clean = None;
        self.manifest.synced = self.manifest.synced.max(scan.proven);
        Ok(())
    }

    /// Starts the journal behind the scanned one, saves the manifest, moves `aside` what could not be read, and clears
    /// what is not needed.
    fn finish(
        mut self,
        contents: Contents,
        scan: &Scan,
        filled: Option<Digest>,
        snapshot_files: BTreeSet<u64>,
        aside: Vec<PathBuf>,
        mut report: RecoveryReport,
    ) -> Result<Recovered> {
        let place = place(self.config, self.root, &self.manifest);
        // Missing only if somebody removed it; durable since the store was made.
        let directory = &place.directory;
        let make = || if self.disk().exists(directory)? { Ok(()) } else { self.disk().create_dir_all(directory) };
        make().map_err(|e| Error::io("creating the journal's directory", e))?;
        let held = place.kept_directory.hold(self.disk());
        held.map_err(|e| Error::file("opening", &place.directory, e))?;
        self.page_files.prepare()?;
        // Before anything asks for space. What is moved aside below is still where it was.
        remove_segments(&place, &scan.spares)?;
        let is_plain = aside.is_empty() && self.distrusted.is_none() && !self.keeps_all;
        if is_plain {
            self.tidy()?;
            self.page_files.tidy(&snapshot_files)?;
        }
        let named = self.manifest.segment;
        let (start, unused) = self.start(&place, scan, named)?;
        // What is left of a damaged one goes before it is replaced.
        let (old, aside): (Vec<_>, Vec<_>) = aside.into_iter().partition(|file| file.ends_with(manifest::FILE));
        report.moved_aside.extend(self.move_aside(old)?);
        self.manifest.segment = start.active.number();
        let save = || self.manifest.save(self.disk(), self.root);
        let saved = self.reserve.spend(Need::Open, MANIFEST_BYTES, save);
        if let Err(error) = saved {
            // Closed first: what is missing may be a descriptor.
            let Start { active, .. } = start;
            let number = active.number();
            drop(active);
            start::take_back(&place, self.root, named, number);
            return Err(error);
        }
        report.moved_aside.extend(self.move_aside(aside)?);
        self.page_files.forget(&self.leaving);
        report.moved_aside.extend(self.move_aside(self.segments(scan.beheaded.iter().copied()))?);
        if let Some(generation) = self.distrusted {
            report.moved_aside.extend(self.move_aside([trees_path(self.root, generation)])?);
        }
        remove_segments(&place, &unused)?;
        if !is_plain && !self.keeps_all {
            self.tidy()?;
            self.page_files.tidy(&snapshot_files)?;
        }
        let Self { manifest, reserve, .. } = self;
        Ok(Recovered { contents, manifest, place, start, filled, snapshot_files, report, reserve })
    }

    /// Starts this run's first segment; returns it with the numbers of those not needed any more. Where the disk is full, what a
    /// former opening has left behind goes first, then what is held back is used.
    fn start(&self, place: &Place, scan: &Scan, named: u64) -> Result<(Start, Vec<u64>)> {
        let (started, mut unused) = match Tail::of(place, scan, false)?.start(place, &self.reserve, false) {
            Err(error) if error.is_full() => {
                let snapshot = self.manifest.snapshot.map_or(0, |mark| mark.from);
                let mut tail = Tail::of(place, scan, true)?;
                let unused = tail.free_disk_space(place, scan, snapshot, named)?;
                (tail.start(place, &self.reserve, true)?, unused)
            }
            started => (started?, scan.unused.clone()),
        };
        let (start, replaced) = started;
        unused.extend(replaced);
        Ok((start, unused))
    }

    /// Removes what no manifest names any more: older snapshots, other generations of trees, half-written files.
    fn tidy(&self) -> Result<()> {
        let (snapshot, trees) = (self.manifest.snapshot.map_or(0, |mark| mark.number), self.manifest.generation);
        let is_stale = |number: u64, own: u64| number != own && number <= own.saturating_add(REACH);
        for name in self.disk().list(self.root).map_err(|e| Error::file("listing", self.root, e))? {
            let path = self.root.join(&name);
            if snapshot::parse_file_name(&name).is_some_and(|number| is_stale(number, snapshot))
                || name == "MANIFEST.new"
            {
                remove_own(self.disk(), &path)?;
            } else if parse_trees_name(&name).is_some_and(|generation| is_stale(generation, trees)) {
                remove_any(self.disk(), &path).map_err(|e| Error::file("removing", &path, e))?;
            }
        }
        Ok(())
    }
}

/// Whether a store is opened by whom it may be: one that is a pool by its driver alone, which gives out its ids, and one
/// that holds something already by nobody as a pool.
fn check_admission(contents: &Contents, control: Option<[u8; 16]>) -> Result<()> {
    let refused = |reason: &str| Err(Error::invalid("path", reason));
    let holds_something = contents.queues.keys().any(|number| *number != OUTBOX) || contents.registry.records() > 1;
    match (contents.registry.control(), control) {
        (Some(_), None) => refused("the store is a pool: it is opened by the driver it is a pool of"),
        (Some(joined), Some(control)) if joined != control => refused("the store is a pool of another driver"),
        (None, Some(_)) if holds_something => refused("the store holds something already: it cannot become a pool"),
        _ => Ok(()),
    }
}

/// The room that the manifest takes.
const MANIFEST_BYTES: u64 = 4 << 10;

/// The damage an error tells of; any other error stays one.
fn damage_of(error: Error) -> Result<Damage> {
    match error {
        Error::Corrupt { file, offset, reason } => Ok(Damage { file, offset, reason }),
        error => Err(error),
    }
}

fn remove_segments(place: &Place, numbers: &[u64]) -> Result<()> {
    numbers.iter().try_for_each(|number| remove_own(&*place.disk, &place.path(*number)))
}

/// Removes a directory, or a file, if it is there.
pub(crate) fn remove_any(disk: &dyn Disk, path: &Path) -> std::io::Result<()> {
    match disk.remove_dir_all(path) {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotADirectory => disk.remove_file(path),
        removed => removed,
    }
}

fn place(config: &Config, root: &Path, manifest: &Manifest) -> Place {
    Place {
        disk: config.disk.clone(),
        directory: root.join(JOURNAL),
        kept_directory: Arc::new(KeptDir::new(root.join(JOURNAL))),
        store: manifest.store,
        incarnation: manifest.incarnation,
        segment_bytes: config.segment_bytes,
        cache_bytes: config.cache_bytes(),
    }
}
