//! What an opening does, decided from the [evidence](super::evidence) alone: nothing is read here, and nothing written.
//!
//! 1. Only what is in the plan is written, moved or removed. A refusal has no plan, so it changes nothing.
//! 2. No file is both moved aside and removed, nor does one that stays go anywhere.
//! 3. Where damage or trees that are not believed are moved aside, nothing but segments that were never used is removed
//!    before that; a salvage removes nothing else at all.
//! 4. The incarnation is raised, unless the store was closed cleanly and nothing is damaged.
//! 5. A new snapshot stands at an LSN above every frame there is, so no frame of the old journal is replayed over it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::evidence::{Evidence, StateFacts, Trees};
use super::files::trees_path;
use super::report::{Damaged, RecoveryReport, RecoverySource};
use crate::model::error::{Error, Result};
use crate::storage::journal::Kept;
use crate::storage::journal::naming::{self, JOURNAL};
use crate::storage::journal::scan::Damage;
use crate::storage::manifest::{self, Manifest, SnapshotMark};
use crate::storage::snapshot;

/// What an opening writes, moves and removes.
#[derive(Debug)]
pub(super) struct Plan {
    /// The manifest of this run, but that it names the segment of the last one: this run's has no number yet.
    pub(super) manifest: Manifest,
    /// Set if the manifest's snapshot is not there yet: it is written first, from the state.
    pub(super) new_snapshot: Option<NewSnapshot>,
    pub(super) journal: JournalPlan,
    /// What is moved aside, in this order.
    pub(super) aside: Vec<PathBuf>,
    pub(super) tidying: Tidying,
    /// What is told of the opening; what was moved aside is added.
    pub(super) report: RecoveryReport,
}

/// A snapshot that takes the place of what is damaged.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct NewSnapshot {
    /// Page files whose pages are written anew, since something in them is damaged.
    pub(super) leaving: BTreeSet<u64>,
}

/// What becomes of the journal's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JournalPlan {
    /// The LSN that this run goes on behind.
    pub(super) last_lsn: u64,
    /// Highest LSN known to have been synced.
    pub(super) proven: u64,
    /// Highest segment number that is taken.
    pub(super) highest_number: u64,
    /// The segments that stay, oldest first.
    pub(super) kept: Vec<Kept>,
    /// Files that were never used: they are removed before anything asks for space.
    pub(super) spares: Vec<u64>,
    /// Segments that are removed once the manifest names a new one.
    pub(super) unused: Vec<u64>,
}

/// When files are removed that no manifest names any more: older snapshots, other trees, page files, half-written files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tidying {
    /// Before anything asks for space.
    First,
    /// After the manifest is saved and what is damaged has been moved aside.
    Last,
    /// Not by this opening: the next snapshot gives them up.
    Never,
}

/// What a salvage has put together from what is left of a store.
#[derive(Debug)]
pub(super) struct Salvaged {
    /// With a generation above that of all trees there are.
    pub(super) manifest: Manifest,
    /// The numbers of all snapshots in the directory.
    pub(super) snapshots: Vec<u64>,
    /// The highest LSN that anything names.
    pub(super) last_lsn: u64,
    /// The highest incarnation that frames and images name.
    pub(super) incarnation: u32,
    pub(super) highest_number: u64,
    /// Segments that nothing is wrong with.
    pub(super) sound: Vec<Kept>,
    pub(super) spares: Vec<u64>,
    /// Page files that hold something damaged.
    pub(super) leaving: BTreeSet<u64>,
    /// Files that hold something damaged.
    pub(super) aside: Vec<PathBuf>,
    pub(super) state: StateFacts,
    pub(super) driver: Option<[u8; 16]>,
    pub(super) report: RecoveryReport,
}

/// Decides how the store is opened: the table in [`recovery`](super).
///
/// # Errors
/// `Corrupt` for what cannot be opened without a salvage; `InvalidArgument` where another may not open it; `Unavailable`
/// when there is no incarnation left. Nothing has been changed then.
pub(super) fn plan(evidence: &Evidence) -> Result<Plan> {
    let damage = evidence.damage();
    match (&evidence.trees, damage) {
        (Trees::Whole { lsn }, None) => trust_trees(evidence, *lsn),
        (Trees::Whole { lsn }, Some(damage)) => supersede(evidence, *lsn, damage),
        (Trees::NotClosed | Trees::Unusable(_) | Trees::Overtaken, None) => rebuild(evidence),
        (Trees::NotClosed | Trees::Unusable(_) | Trees::Overtaken, Some(damage)) => Err(damage.into()),
    }
}

/// Goes on from the trees.
fn trust_trees(evidence: &Evidence, lsn: u64) -> Result<Plan> {
    let report = RecoveryReport { last_lsn: lsn, ..RecoveryReport::new(RecoverySource::Trees) };
    Ok(go_on(evidence, admit(evidence, 0)?, report, Tidying::First))
}

/// Goes on from the trees, with a new snapshot of them in place of a snapshot or journal that is damaged.
fn supersede(evidence: &Evidence, lsn: u64, damage: Damage) -> Result<Plan> {
    let incarnation = admit(evidence, 1)?;
    let (reach, files) = (&evidence.journal.reach, &evidence.journal.files);
    let last = lsn.max(reach.highest_lsn).max(reach.proven);
    let segments = files.kept.iter().map(|kept| kept.number).chain(files.unused.iter().copied());
    let snapshots = evidence.snapshots.iter().map(|number| snapshot::path(&evidence.root, *number));
    let aside = snapshots.chain(segment_paths(&evidence.root, segments));
    let mut report = RecoveryReport { last_lsn: last, ..RecoveryReport::new(RecoverySource::Trees) };
    report.damaged = vec![Damaged::of(&damage)];
    report.notes = vec![format!("snapshot or journal is damaged, a new snapshot was written: {}", Error::from(damage))];
    Ok(Plan {
        manifest: with_new_snapshot(&evidence.manifest, &evidence.snapshots, last, incarnation),
        new_snapshot: Some(NewSnapshot::default()),
        journal: JournalPlan::covered(last, files.highest_number, Vec::new(), files.spares.clone()),
        aside: aside.chain(segment_paths(&evidence.root, files.beheaded.iter().copied())).collect(),
        tidying: Tidying::Last,
        report,
    })
}

/// Goes on from snapshot and journal. What is in the trees is superseded: a new generation is filled from the state.
fn rebuild(evidence: &Evidence) -> Result<Plan> {
    let incarnation = admit(evidence, 1)?;
    let Evidence { trees, manifest, journal, .. } = evidence;
    let note = match trees {
        Trees::Unusable(reason) => Some(format!("the trees are not usable: {reason}")),
        Trees::Overtaken => Some("the journal goes on behind the clean close that the manifest tells of".into()),
        Trees::NotClosed | Trees::Whole { .. } => None,
    };
    let report = RecoveryReport {
        last_lsn: journal.reach.last_lsn,
        replayed: evidence.replayed,
        dropped: journal.reach.dropped,
        notes: note.into_iter().collect(),
        ..RecoveryReport::new(RecoverySource::Journal)
    };
    let distrusted = matches!(trees, Trees::Unusable(_)).then(|| trees_path(&evidence.root, manifest.generation));
    let tidying = if distrusted.is_some() { Tidying::Last } else { Tidying::First };
    let mut plan = go_on(evidence, incarnation, report, tidying);
    plan.manifest.generation = manifest.generation.saturating_add(1);
    plan.aside.extend(distrusted);
    Ok(plan)
}

/// Opens the store with its own snapshot and journal.
fn go_on(evidence: &Evidence, incarnation: u32, report: RecoveryReport, tidying: Tidying) -> Plan {
    let (reach, files) = (&evidence.journal.reach, &evidence.journal.files);
    Plan {
        manifest: started(&evidence.manifest, incarnation, reach.proven),
        new_snapshot: None,
        journal: JournalPlan {
            last_lsn: reach.last_lsn,
            proven: reach.proven,
            highest_number: files.highest_number,
            kept: files.kept.clone(),
            spares: files.spares.clone(),
            unused: files.unused.clone(),
        },
        aside: segment_paths(&evidence.root, files.beheaded.iter().copied()).collect(),
        tidying,
        report,
    }
}

/// Opens a store with what a salvage has put together: what is damaged goes aside, all else stays where it is.
///
/// # Errors
/// As [`plan`], without `Corrupt`.
pub(super) fn plan_salvage(salvaged: Salvaged) -> Result<Plan> {
    let last = salvaged.last_lsn;
    admitted(&salvaged.state, salvaged.driver)?;
    let found = salvaged.incarnation.max(salvaged.manifest.incarnation);
    let incarnation = raised(salvaged.state.incarnation.max(found), 1)?;
    Ok(Plan {
        manifest: with_new_snapshot(&salvaged.manifest, &salvaged.snapshots, last, incarnation),
        new_snapshot: Some(NewSnapshot { leaving: salvaged.leaving }),
        journal: JournalPlan::covered(last, salvaged.highest_number, salvaged.sound, salvaged.spares),
        aside: salvaged.aside,
        tidying: Tidying::Never,
        report: RecoveryReport { last_lsn: last, ..salvaged.report },
    })
}

impl JournalPlan {
    /// That of a journal all of which a snapshot at `last` covers.
    fn covered(last: u64, highest_number: u64, kept: Vec<Kept>, spares: Vec<u64>) -> Self {
        Self { last_lsn: last, proven: last, highest_number, kept, spares, unused: Vec::new() }
    }
}

/// Whether a directory without a manifest is made a store.
///
/// # Errors
/// `Corrupt` if `is_in_use`: the store was written to after it had been made, so it has lost its manifest.
pub(super) fn plan_creation(root: &Path, is_in_use: bool) -> Result<()> {
    let reason = "the manifest is missing, but not the store".into();
    if is_in_use { Err(Error::Corrupt { file: root.join(manifest::FILE), offset: 0, reason }) } else { Ok(()) }
}

/// What follows an opening that has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterFailure {
    /// It is begun anew.
    Again,
    Salvage,
    /// The caller is told.
    Refuse,
}

/// Decides what follows the failure of an opening, before which `failures` others have failed.
pub(super) fn after_failure(error: &Error, failures: usize, salvage: bool) -> AfterFailure {
    match error {
        // What a failed sync has lost can be read until the system's cache drops it.
        Error::JournalChanged { .. } if failures < OPENED_AGAIN => AfterFailure::Again,
        error if salvage && error.is_damage() => AfterFailure::Salvage,
        _ => AfterFailure::Refuse,
    }
}

/// The incarnation of this run, if it is admitted: the highest there was, raised by `more`, which is none after a clean close,
/// since then everything that was given out is known.
fn admit(evidence: &Evidence, more: u32) -> Result<u32> {
    evidence.page.clone().map_or(Ok(()), Err)?;
    admitted(&evidence.state, evidence.driver)?;
    let found = evidence.journal.reach.incarnation.max(evidence.manifest.incarnation);
    raised(evidence.state.incarnation.max(found), more)
}

/// Whether a store is opened by whom it may be: one that is a pool by its driver alone, which gives out its ids, and one
/// that holds something already by nobody as a pool.
fn admitted(state: &StateFacts, driver: Option<[u8; 16]>) -> Result<()> {
    let refused = |reason: &str| Err(Error::invalid("path", reason));
    match (state.pool_of, driver) {
        (Some(_), None) => refused("the store is a pool: it is opened by the driver it is a pool of"),
        (Some(joined), Some(driver)) if joined != driver => refused("the store is a pool of another driver"),
        (None, Some(_)) if state.holds_something => {
            refused("the store holds something already: it cannot become a pool")
        }
        _ => Ok(()),
    }
}

fn raised(highest: u32, more: u32) -> Result<u32> {
    let incarnation = highest.saturating_add(more);
    if incarnation < LAST_INCARNATION {
        return Ok(incarnation);
    }
    Err(Error::Unavailable { reason: "the store has been opened 2^24 times: restore it to go on".into() })
}

/// The manifest of a run of that incarnation.
fn started(manifest: &Manifest, incarnation: u32, proven: u64) -> Manifest {
    Manifest { incarnation, clean: None, synced: manifest.synced.max(proven), ..manifest.clone() }
}

/// The same, naming a snapshot at `last` whose number no other has.
fn with_new_snapshot(manifest: &Manifest, snapshots: &[u64], last: u64, incarnation: u32) -> Manifest {
    let mut number = manifest.snapshot.map_or(1, |mark| mark.number.saturating_add(1));
    while snapshots.contains(&number) {
        number = number.saturating_add(1);
    }
    let snapshot = Some(SnapshotMark { number, from: last, to: last });
    Manifest { snapshot, ..started(manifest, incarnation, last) }
}

fn segment_paths(root: &Path, numbers: impl Iterator<Item = u64>) -> impl Iterator<Item = PathBuf> {
    let journal = root.join(JOURNAL);
    numbers.map(move |number| journal.join(naming::file_name(number)))
}

/// How often an opening begins anew that found the journal's end changed.
const OPENED_AGAIN: usize = 3;
/// No store gets there: what is given out in an incarnation ends where the next begins.
pub(crate) const LAST_INCARNATION: u32 = (1 << 24) - 1;

#[cfg(test)]
mod tests;
