//! Opening a store: from what is on disk to the state, by the table below.
//!
//! | Trees | Base and journal | Then |
//! |---|---|---|
//! | clean | good | the trees are loaded |
//! | clean | damaged | the trees are loaded, a new base is written from them, the damaged files moved aside |
//! | not clean, damaged or missing | good | the state is rebuilt from base and journal; the next checkpoint fills new trees |
//! | not clean, damaged or missing | damaged | `Corrupt`, and nothing is changed; with [`Config::salvage`](crate::Config::salvage) what precedes the damage is kept |
//!
//! 1. Trees count as clean only if the manifest's clean mark, their own record and a digest over every record agree.
//! 2. The incarnation is raised, durably, before the first call is taken; the manifest names the segment this run starts,
//!    so that losing it is noticed.
//! 3. No segment an earlier process wrote is written again: frames not proven synced are copied into a new one, which
//!    counts only once they are all in it and synced.
//! 4. What could not be read is moved aside, never deleted.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::base;
use crate::config::Config;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::journal::scan::{self, Damage, Scan, Source};
use crate::journal::segment::{SEGMENT_HEADER_BYTES, Segment};
use crate::journal::{Kept, Place, Start, frame, frame_buffer, segment};
use crate::manifest::{self, BaseMark, Manifest};
use crate::random::Random;
use crate::state::{Contents, Snapshot, incarnation_of};
use crate::trees::records::{self, Digest, Digested};
use crate::trees::{Tree, Trees};

/// Where the state came from at open.
///
/// ```
/// use zaqar_sled::{Config, RecoverySource, SimulatedDisk};
///
/// let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
/// assert_eq!(engine.recovery().source(), RecoverySource::New);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecoverySource {
    /// There was no store: it was made.
    New,
    /// The trees, after a clean close.
    Trees,
    /// Base and journal, after anything else.
    Journal,
}

/// What opening a store found and did.
///
/// ```
/// use zaqar_sled::{Config, SimulatedDisk};
///
/// let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
/// assert_eq!(engine.recovery().dropped(), 0);
/// assert!(engine.recovery().notes().is_empty());
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryReport {
    pub(crate) source: RecoverySource,
    pub(crate) last_lsn: u64,
    pub(crate) replayed: u64,
    pub(crate) dropped: u64,
    pub(crate) notes: Vec<String>,
    pub(crate) moved_aside: Vec<PathBuf>,
    pub(crate) took: Duration,
}

impl RecoveryReport {
    fn new(source: RecoverySource) -> Self {
        let (notes, moved_aside) = (Vec::new(), Vec::new());
        Self { source, last_lsn: 0, replayed: 0, dropped: 0, notes, moved_aside, took: Duration::ZERO }
    }

    /// Where the state came from.
    pub fn source(&self) -> RecoverySource {
        self.source
    }

    /// The number of the last change in the journal; 0 for a new store.
    pub fn last_lsn(&self) -> u64 {
        self.last_lsn
    }

    /// Changes replayed from the journal.
    pub fn replayed(&self) -> u64 {
        self.replayed
    }

    /// Whole changes behind the journal's end, none of which had been acknowledged as synced, that were dropped.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// What was unusual, in words; empty when nothing was.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Where damaged files were moved to.
    pub fn moved_aside(&self) -> &[PathBuf] {
        &self.moved_aside
    }

    /// How long opening took.
    pub fn took(&self) -> Duration {
        self.took
    }
}

impl fmt::Display for RecoveryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match self.source {
            RecoverySource::New => "made a new store",
            RecoverySource::Trees => "opened after a clean close",
            RecoverySource::Journal => "rebuilt from base and journal",
        };
        write!(f, "{source} in {:?}: {} changes replayed, {} dropped", self.took, self.replayed, self.dropped)?;
        self.notes.iter().try_for_each(|note| write!(f, "; {note}"))
    }
}

/// A store ready to be used.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) contents: Contents,
    pub(crate) manifest: Manifest,
    pub(crate) place: Place,
    pub(crate) start: Start,
    /// The trees that were loaded and stay in use.
    pub(crate) trees: Option<Digested>,
    pub(crate) report: RecoveryReport,
}

pub(crate) const JOURNAL: &str = "journal";

pub(crate) fn trees_path(root: &Path, generation: u64) -> PathBuf {
    root.join(format!("trees-{generation:016x}"))
}

fn parse_trees_name(name: &str) -> Option<u64> {
    u64::from_str_radix(name.strip_prefix("trees-")?, 16).ok()
}

/// Opens or makes the store in `root`, which exists and is locked.
pub(crate) fn recover(config: &Config, root: &Path, random: &Random) -> Result<Recovered> {
    let started = Instant::now();
    let disk = &*config.disk;
    let opened = match Manifest::load(disk, root) {
        Ok(Some(manifest)) => Recovery { config, root, manifest, distrusted: None }.run(),
        Ok(None) => create(config, root, random),
        Err(error) => Err(error),
    };
    let mut recovered = match opened {
        Err(error) if error.is_corrupt() && config.salvage => {
            let manifest = guess_manifest(disk, root, &error)?;
            let mut recovered = Recovery { config, root, manifest, distrusted: None }.run()?;
            recovered.report.notes.push(format!("the manifest was made anew: {error}"));
            recovered
        }
        opened => opened?,
    };
    recovered.report.took = started.elapsed();
    Ok(recovered)
}

/// Makes a store. The manifest comes last: until it is there, the directory holds no store and is made again.
fn create(config: &Config, root: &Path, random: &Random) -> Result<Recovered> {
    let disk = &*config.disk;
    refuse_orphans(disk, root)?;
    let mut manifest = Manifest {
        store: random.uuid().into_bytes(),
        incarnation: 1,
        base: None,
        generation: 1,
        clean: None,
        synced: 0,
        segment: 0,
    };
    let journal = root.join(JOURNAL);
    disk.create_dir_all(&journal).map_err(|e| Error::io("creating the journal's directory", e))?;
    let place = place(config, root, &manifest);
    let start = start(&place, 0, 0, &[], Vec::new())?;
    manifest.segment = start.active.number();
    manifest.save(disk, root)?;
    let report = RecoveryReport::new(RecoverySource::New);
    Ok(Recovered { contents: Contents::default(), manifest, place, start, trees: None, report })
}

/// A directory without a manifest in which something was written after creation has lost it.
fn refuse_orphans(disk: &dyn Disk, root: &Path) -> Result<()> {
    let names = disk.list(root).map_err(|e| Error::io("listing the store", e))?;
    let kept = names.iter().any(|name| base::parse_file_name(name).is_some() || parse_trees_name(name).is_some());
    let journal = disk.list(&root.join(JOURNAL)).unwrap_or_default();
    let segments = journal.iter().filter_map(|name| segment::parse_file_name(name));
    // Creation starts one segment, and writes no frame before the manifest is there.
    let mut used = false;
    for number in segments {
        let path = root.join(JOURNAL).join(segment::file_name(number));
        let bytes = crate::disk::read_all(disk, &path).map_err(|e| Error::io("reading the journal", e))?;
        used |= number > 1 || scan::holds_frames(&bytes, number);
    }
    if kept || used {
        let reason = "the manifest is missing, but not the store".into();
        return Err(Error::Corrupt { file: root.join(manifest::FILE), offset: 0, reason });
    }
    Ok(())
}

/// A manifest for a store that has lost its own: the newest base, all of the journal, no trees.
fn guess_manifest(disk: &dyn Disk, root: &Path, error: &Error) -> Result<Manifest> {
    let lost = || Error::Corrupt { file: root.join(manifest::FILE), offset: 0, reason: error.to_string() };
    let store = first_store_id(disk, root)?.ok_or_else(lost)?;
    let names = disk.list(root).map_err(|e| Error::io("listing the store", e))?;
    let numbers = names.iter().filter_map(|name| base::parse_file_name(name));
    let sound = |number: &u64| base::read(disk, &base::path(root, *number), store, *number, &mut |_, _, _| Ok(())).ok();
    let newest = numbers.filter_map(|number| Some((number, sound(&number)?))).max_by_key(|(number, _)| *number);
    let base = newest.map(|(number, tail)| BaseMark { number, from: tail.from, to: tail.to });
    let generation = names.iter().filter_map(|name| parse_trees_name(name)).max().unwrap_or(0).saturating_add(1);
    Ok(Manifest { store, incarnation: 0, base, generation, clean: None, synced: 0, segment: 0 })
}

fn first_store_id(disk: &dyn Disk, root: &Path) -> Result<Option<[u8; 16]>> {
    let journal = root.join(JOURNAL);
    let names = disk.list(&journal).map_err(|e| Error::io("listing the journal", e))?;
    for name in names.iter().filter(|name| segment::parse_file_name(name).is_some()) {
        let bytes =
            crate::disk::read_all(disk, &journal.join(name)).map_err(|e| Error::io("reading the journal", e))?;
        if let Some(store) = segment::store_of(&bytes) {
            return Ok(Some(store));
        }
    }
    Ok(None)
}

/// What base and journal are read for.
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
}

/// What base and journal gave.
struct Rebuilt {
    contents: Contents,
    scan: Scan,
    replayed: u64,
    damage: Option<Damage>,
}

impl Recovery<'_> {
    fn run(mut self) -> Result<Recovered> {
        let mut notes = Vec::new();
        match self.load_trees() {
            Ok(Some((contents, trees))) => self.trust_trees(contents, trees, notes),
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
    fn load_trees(&self) -> Result<Option<(Contents, Digested)>, String> {
        let Some(clean) = self.manifest.clean else { return Ok(None) };
        let path = trees_path(self.root, self.manifest.generation);
        if !self.disk().exists(&path).map_err(|error| error.to_string())? {
            return Err("their directory is missing".into());
        }
        let trees = self.disk().trees(&path).map_err(|error| error.to_string())?;
        let mut contents = Contents::default();
        let digest = load_all(&*trees, &mut contents)?;
        let store = contents.store.as_ref().ok_or("their own record is missing")?;
        if digest != clean.digest {
            return Err("their digest does not match the manifest's".into());
        }
        if (store.store, store.generation, store.lsn) != (self.manifest.store, self.manifest.generation, clean.lsn) {
            return Err("they are of another close than the manifest".into());
        }
        contents.settle()?;
        contents.time = contents.time.max(clean.time);
        // Before time moves on: what expires from here on is still in the trees.
        contents.queues.values_mut().for_each(crate::state::Queue::mark_stored);
        contents.finish()?;
        Ok(Some((contents, Digested { trees, digest })))
    }

    /// Goes on from the trees; base and journal are read only to know that they could be.
    fn trust_trees(mut self, contents: Contents, trees: Digested, mut notes: Vec<String>) -> Result<Recovered> {
        let lsn = self.manifest.clean.map_or(0, |clean| clean.lsn);
        let mut rebuilt = self.read_base_and_journal(Use::Check)?;
        if rebuilt.scan.last_lsn != lsn && rebuilt.damage.is_none() {
            let (file, reason) = (self.root.join(JOURNAL), "the journal ends elsewhere than the trees".into());
            rebuilt.damage = Some(Damage { file, offset: 0, reason });
        }
        let mut report = RecoveryReport { last_lsn: lsn, ..RecoveryReport::new(RecoverySource::Trees) };
        let Some(damage) = rebuilt.damage.take() else {
            self.raise_incarnation(&contents, &rebuilt.scan)?;
            report.notes = notes;
            return self.finish(contents, &rebuilt.scan, Some(trees), Vec::new(), report);
        };
        notes.push(format!("base or journal is damaged, a new base was written: {}", Error::from(damage)));
        report.notes = notes;
        self.rebase(contents, &rebuilt.scan, lsn, Some(trees), report)
    }

    fn rebuild(mut self, mut notes: Vec<String>) -> Result<Recovered> {
        let mut rebuilt = self.read_base_and_journal(Use::Load)?;
        let mut report = RecoveryReport {
            last_lsn: rebuilt.scan.last_lsn,
            replayed: rebuilt.replayed,
            dropped: rebuilt.scan.dropped,
            ..RecoveryReport::new(RecoverySource::Journal)
        };
        let Some(damage) = rebuilt.damage.take() else {
            // What is in the trees is superseded; a new generation is filled from the state.
            self.manifest.generation = self.manifest.generation.saturating_add(1);
            self.raise_incarnation(&rebuilt.contents, &rebuilt.scan)?;
            report.notes = notes;
            return self.finish(rebuilt.contents, &rebuilt.scan, None, Vec::new(), report);
        };
        let error = Error::from(damage);
        if !self.config.salvage {
            return Err(error);
        }
        notes.push(format!("salvaged what precedes the damage: {error}"));
        report.notes = notes;
        self.manifest.generation = self.manifest.generation.saturating_add(1);
        self.rebase(rebuilt.contents, &rebuilt.scan, rebuilt.scan.last_lsn, None, report)
    }

    /// Reads the base and the journal behind it. Damage is in the result; only failures are errors.
    fn read_base_and_journal(&self, purpose: Use) -> Result<Rebuilt> {
        let mut contents = Contents::default();
        let mut damage = None;
        if let Some(mark) = self.manifest.base {
            let read = match purpose {
                Use::Load => read_base(self.disk(), self.root, self.manifest.store, mark, &mut contents),
                Use::Check => check_base(self.disk(), self.root, self.manifest.store, mark),
            };
            match read {
                Ok(()) => {}
                Err(base::Fault::Failed(error)) => return Err(error),
                Err(base::Fault::Damaged(found)) => {
                    contents.mend();
                    damage = Some(found);
                }
            }
        }
        let replaying = purpose == Use::Load && (damage.is_none() || self.config.salvage);
        let base = self.manifest.base.unwrap_or(BaseMark { number: 0, from: 0, to: 0 });
        let clean = self.manifest.clean.map_or(0, |clean| clean.lsn);
        let (journal, store) = (self.root.join(JOURNAL), self.manifest.store);
        let proven = self.manifest.synced.max(base.to).max(clean);
        let source = Source { disk: self.disk(), directory: &journal, store, after: base.from, proven };
        let (mut replayed, mut broken) = (0_u64, None);
        let scan = scan::scan(&source, &mut |lsn, body| {
            if broken.is_none() && replaying {
                broken = contents.replay(lsn, body).err().map(|reason| (lsn, reason));
                replayed = replayed.saturating_add(1);
            }
            Ok(())
        })?;
        let broken = broken.map(|(lsn, reason)| format!("LSN {lsn}: {reason}"));
        let unfinished = contents.finish().err();
        let wrong = broken.or(unfinished).map(|reason| Damage { file: journal.clone(), offset: 0, reason });
        let lost = (self.manifest.segment > 0 && !scan.started.contains(&self.manifest.segment)).then(|| Damage {
            file: journal.join(segment::file_name(self.manifest.segment)),
            offset: 0,
            reason: "a segment that had been started is missing or has lost its header".into(),
        });
        // A clean close cuts the last segment itself.
        let lost = lost.or_else(|| scan.cut_short.clone().filter(|_| self.manifest.clean.is_none()));
        let damage = damage.or_else(|| scan.damage.clone()).or(wrong).or(lost);
        Ok(Rebuilt { contents, scan, replayed, damage })
    }

    /// The manifest this run starts with; [`Self::finish`] saves it.
    fn raise_incarnation(&mut self, contents: &Contents, scan: &Scan) -> Result<()> {
        let given =
            contents.queues.iter().map(|(number, queue)| incarnation_of(*number).max(incarnation_of(queue.next())));
        let highest = given.max().unwrap_or(0).max(scan.incarnation).max(self.manifest.incarnation);
        let incarnation = highest.max(incarnation_of(contents.next_queue)).saturating_add(1);
        if incarnation >= 1 << 24 {
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
        trees: Option<Digested>,
        aside: Vec<PathBuf>,
        mut report: RecoveryReport,
    ) -> Result<Recovered> {
        let place = place(self.config, self.root, &self.manifest);
        // Missing only if somebody removed it.
        self.disk().create_dir_all(&place.directory).map_err(|e| Error::io("creating the journal's directory", e))?;
        let mut carried = Vec::new();
        if scan.last_lsn > scan.proven {
            let (store, after) = (self.manifest.store, scan.proven);
            let source = Source { disk: self.disk(), directory: &place.directory, store, after, proven: after };
            scan::scan(&source, &mut |_, body| {
                carried.push(body.to_vec());
                Ok(())
            })?;
        }
        let proven = scan.last_lsn.saturating_sub(carried.len() as u64);
        let start = start(&place, scan.highest_number, proven, &carried, scan.kept.clone())?;
        self.manifest.segment = start.active.number();
        self.manifest.save(self.disk(), self.root)?;
        report.moved_aside.extend(self.move_aside(aside)?);
        report.moved_aside.extend(self.move_aside(self.segments(scan.beheaded.iter().copied()))?);
        if let Some(generation) = self.distrusted {
            report.moved_aside.extend(self.move_aside([trees_path(self.root, generation)])?);
        }
        for number in &scan.unused {
            place.disk.remove_file(&place.path(*number)).map_err(|e| Error::io("removing an unused segment", e))?;
        }
        self.tidy()?;
        Ok(Recovered { contents, manifest: self.manifest, place, start, trees, report })
    }

    /// Writes a new base from `contents`, which stand at `lsn`, and moves the old one and its journal aside.
    fn rebase(
        mut self,
        contents: Contents,
        scan: &Scan,
        lsn: u64,
        trees: Option<Digested>,
        mut report: RecoveryReport,
    ) -> Result<Recovered> {
        // Above every frame there is: nothing of the old journal is ever replayed over the new base.
        let last = lsn.max(scan.highest_lsn).max(scan.proven);
        let others = self.base_numbers()?;
        let number = others.iter().copied().max().unwrap_or(0).saturating_add(1);
        let path = base::path(self.root, number);
        let mut writer = base::Writer::create(self.disk(), &path, self.manifest.store, number, last)?;
        for queue in contents.queues.values() {
            records::all(&Snapshot::of(queue, last), &mut |record| writer.record(&record))?;
        }
        writer.finish(last, contents.time, contents.next_queue)?;
        self.disk().sync_dir(self.root).map_err(|e| Error::io("syncing the store's directory", e))?;
        let incarnation_scan = Scan { proven: last, incarnation: scan.incarnation, ..Scan::default() };
        self.manifest.base = Some(BaseMark { number, from: last, to: last });
        self.raise_incarnation(&contents, &incarnation_scan)?;
        let segments = self.segments(scan.kept.iter().map(|kept| kept.number).chain(scan.unused.iter().copied()));
        let bases = others.iter().map(|number| base::path(self.root, *number));
        let aside = bases.chain(segments).collect();
        report.last_lsn = last;
        let fresh = Scan {
            last_lsn: last,
            proven: last,
            highest_number: scan.highest_number,
            beheaded: scan.beheaded.clone(),
            ..Scan::default()
        };
        self.finish(contents, &fresh, trees, aside, report)
    }

    /// Moves what could not be read, where it is there, into a folder of its own.
    fn move_aside(&self, files: impl IntoIterator<Item = PathBuf>) -> Result<Vec<PathBuf>> {
        let aside = self.root.join(format!("damaged-{:06x}", self.manifest.incarnation));
        let disk = self.disk();
        let go = |from: &Path, to: &Path| -> std::io::Result<bool> {
            let there = disk.exists(from)?;
            if there {
                disk.create_dir_all(&aside)?;
                disk.rename(from, to)?;
            }
            Ok(there)
        };
        let mut moved = Vec::new();
        for from in files {
            let Some(to) = from.file_name().map(|name| aside.join(name)) else { continue };
            if go(&from, &to).map_err(|e| Error::io("moving a damaged file aside", e))? {
                moved.push(to);
            }
        }
        Ok(moved)
    }

    fn segments(&self, numbers: impl IntoIterator<Item = u64>) -> impl Iterator<Item = PathBuf> {
        let journal = self.root.join(JOURNAL);
        numbers.into_iter().map(move |number| journal.join(segment::file_name(number)))
    }

    /// The numbers of all bases in the directory, whether or not the manifest names them.
    fn base_numbers(&self) -> Result<Vec<u64>> {
        let names = self.disk().list(self.root).map_err(|e| Error::io("listing the store", e))?;
        Ok(names.iter().filter_map(|name| base::parse_file_name(name)).collect())
    }

    /// Removes what no manifest names any more: older bases, other generations of trees, half-written files.
    fn tidy(&self) -> Result<()> {
        let tidy = || -> std::io::Result<()> {
            for name in self.disk().list(self.root)? {
                let path = self.root.join(&name);
                let stale_base = base::parse_file_name(&name)
                    .is_some_and(|number| self.manifest.base.is_none_or(|mark| mark.number != number));
                if stale_base || name == "MANIFEST.new" {
                    self.disk().remove_file(&path)?;
                } else if parse_trees_name(&name).is_some_and(|generation| generation != self.manifest.generation) {
                    remove_any(self.disk(), &path)?;
                }
            }
            Ok(())
        };
        tidy().map_err(|e| Error::io("tidying the store", e))
    }
}

/// Removes a directory, or a file that stands where one should.
fn remove_any(disk: &dyn Disk, path: &Path) -> std::io::Result<()> {
    match disk.remove_dir_all(path) {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotADirectory => disk.remove_file(path),
        removed => removed,
    }
}

/// Reads a base into `contents`.
pub(crate) fn read_base(
    disk: &dyn Disk,
    root: &Path,
    store: [u8; 16],
    mark: BaseMark,
    contents: &mut Contents,
) -> Result<(), base::Fault> {
    let path = base::path(root, mark.number);
    let tail = base::read(disk, &path, store, mark.number, &mut |tree, key, value| contents.load(tree, key, value))?;
    let damaged = |reason: String| base::Fault::Damaged(Damage { file: path.clone(), offset: 0, reason });
    if (tail.from, tail.to) != (mark.from, mark.to) {
        return Err(damaged("the base is not the one the manifest names".into()));
    }
    contents.time = contents.time.max(tail.time);
    contents.next_queue = contents.next_queue.max(tail.next_queue);
    contents.settle().map_err(damaged)
}

fn check_base(disk: &dyn Disk, root: &Path, store: [u8; 16], mark: BaseMark) -> Result<(), base::Fault> {
    let path = base::path(root, mark.number);
    base::read(disk, &path, store, mark.number, &mut |_, _, _| Ok(())).map(drop)
}

/// Loads every record of `trees`; returns the digest over them.
pub(crate) fn load_all(trees: &dyn Trees, contents: &mut Contents) -> Result<Digest, String> {
    let mut digest = Digest::default();
    for tree in Tree::ALL {
        let mut wrong = None;
        let scanned = trees.scan(tree, &mut |key, value| {
            digest.add(tree, key, value);
            if wrong.is_none() {
                wrong = contents.load(tree, key, value).err();
            }
            Ok(())
        });
        scanned.map_err(|error| error.to_string())?;
        wrong.map_or(Ok(()), Err)?;
    }
    Ok(digest)
}

fn place(config: &Config, root: &Path, manifest: &Manifest) -> Place {
    Place {
        disk: config.disk.clone(),
        directory: root.join(JOURNAL),
        store: manifest.store,
        incarnation: manifest.incarnation,
        segment_bytes: config.segment_bytes,
    }
}

/// The first segment of a run: small, since it is written out while the caller waits, and holding the frames `carried`
/// over, which follow `proven`. Its header is written last: until then it does not count.
fn start(place: &Place, highest_number: u64, proven: u64, carried: &[Vec<u8>], mut kept: Vec<Kept>) -> Result<Start> {
    let number = highest_number.saturating_add(1);
    let carried_bytes: usize = carried.iter().map(|body| body.len().saturating_add(frame::HEADER_BYTES)).sum();
    let room = FIRST_SEGMENT_BYTES.min(place.segment_bytes);
    let capacity = SEGMENT_HEADER_BYTES.saturating_add(carried_bytes as u64).saturating_add(room);
    let active = Segment::prepare(place, number, capacity)?;
    let mut bytes = Vec::with_capacity(carried_bytes);
    let mut lsn = proven;
    for body in carried {
        lsn = lsn.saturating_add(1);
        let mut one = frame_buffer(Vec::new());
        one.extend_from_slice(body);
        let checksum = frame::body_checksum(&one)?;
        frame::seal(
            &mut one,
            active.id(),
            frame::Stamp { lsn, incarnation: place.incarnation, synced: proven },
            checksum,
        );
        bytes.extend_from_slice(&one);
    }
    let first_lsn = proven.saturating_add(1);
    let write = || {
        if !bytes.is_empty() {
            active.write(&bytes, SEGMENT_HEADER_BYTES)?;
            active.sync()?;
        }
        // It claims no more than was proven before: a kill may leave it in the system's memory alone, and the next open
        // would take the frames it leads to for durable.
        active.write(&active.header(first_lsn, place.incarnation, proven), 0)?;
        active.sync()
    };
    write().map_err(|e| Error::io("starting the journal", e))?;
    kept.push(Kept { number, first_lsn, bytes: capacity });
    let offset = SEGMENT_HEADER_BYTES.saturating_add(bytes.len() as u64);
    Ok(Start { active, offset, next_lsn: lsn.saturating_add(1), kept })
}

const FIRST_SEGMENT_BYTES: u64 = 1 << 20;
