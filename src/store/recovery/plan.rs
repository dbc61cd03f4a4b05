//! The plan of an opening, decided from the [evidence](super::evidence) alone. This module reads and writes nothing.
//!
//! 1. Only files in the plan are written, moved or removed. A refusal has no plan, so it changes nothing.
//! 2. No file is both moved aside and removed, and no file that stays is moved or removed.
//! 3. Before damaged files or unusable trees are moved aside, only segments that were never used are removed. A salvage
//!    removes nothing else.
//! 4. The incarnation is raised, unless the store was closed cleanly and nothing is damaged.
//! 5. A new snapshot has an LSN above every frame, so no frame of the old journal is replayed on it.

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

/// The writes, moves and removals of an opening.
#[derive(Debug)]
pub(super) struct Plan {
    /// The manifest of this run. It names the segment of the last run, because this run's has no number yet.
    pub(super) manifest: Manifest,
    /// Set if the manifest's snapshot does not exist yet: it is written first, from the state.
    pub(super) new_snapshot: Option<NewSnapshot>,
    pub(super) journal: JournalPlan,
    /// The files that are moved aside, in this order.
    pub(super) aside: Vec<PathBuf>,
    pub(super) tidying: Tidying,
    /// The report of the opening; the files that were moved aside are added later.
    pub(super) report: RecoveryReport,
}

/// A snapshot that replaces damaged files.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct NewSnapshot {
    /// Page files with damage, whose pages are rewritten.
    pub(super) leaving: BTreeSet<u64>,
}

/// The plan for the journal's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JournalPlan {
    /// The LSN after which this run continues.
    pub(super) last_lsn: u64,
    /// Highest LSN known to have been synced.
    pub(super) proven: u64,
    /// The highest used segment number.
    pub(super) highest_number: u64,
    /// The segments that stay, oldest first.
    pub(super) kept: Vec<Kept>,
    /// Files that were never used; they are removed before any space is needed.
    pub(super) spares: Vec<u64>,
    /// Segments that are removed once the manifest names a new one.
    pub(super) unused: Vec<u64>,
}

/// The time for removing files that no manifest names: older snapshots, other trees, page files, half-written files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tidying {
    /// Before any space is needed.
    First,
    /// After the manifest is saved and damaged files are moved aside.
    Last,
    /// Not by this opening, but by the next snapshot.
    Never,
}

/// The result of a salvage's reading.
#[derive(Debug, Clone)]
pub(super) struct Salvaged {
    /// The manifest, with a generation above those of all existing trees.
    pub(super) manifest: Manifest,
    /// The numbers of all snapshots in the directory.
    pub(super) snapshots: Vec<u64>,
    /// The highest LSN that anything names.
    pub(super) last_lsn: u64,
    /// The highest incarnation that frames and images name.
    pub(super) incarnation: u32,
    pub(super) highest_number: u64,
    /// The undamaged segments.
    pub(super) sound: Vec<Kept>,
    pub(super) spares: Vec<u64>,
    /// Page files with damage.
    pub(super) leaving: BTreeSet<u64>,
    /// Files with damage.
    pub(super) aside: Vec<PathBuf>,
    pub(super) state: StateFacts,
    pub(super) driver: Option<[u8; 16]>,
    /// Whether that driver knows that the store is its pool.
    pub(super) is_known: bool,
    pub(super) report: RecoveryReport,
}

/// Decides how the store is opened, by the table in [`recovery`](super).
///
/// # Errors
/// `Corrupt` for a store that cannot be opened without a salvage; `InvalidArgument` if this opener may not open it;
/// `Exhausted` when no incarnation is left. Then nothing has been changed.
pub(super) fn plan(evidence: &Evidence) -> Result<Plan> {
    let damage = evidence.damage();
    match (&evidence.trees, damage) {
        (Trees::Whole { lsn }, None) => trust_trees(evidence, *lsn),
        (Trees::Whole { lsn }, Some(damage)) => supersede(evidence, *lsn, damage),
        (Trees::NotClosed | Trees::Unusable(_) | Trees::OlderThanJournal, None) => rebuild(evidence),
        (Trees::NotClosed | Trees::Unusable(_) | Trees::OlderThanJournal, Some(damage)) => Err(damage.into()),
    }
}

/// Continues from the trees.
fn trust_trees(evidence: &Evidence, lsn: u64) -> Result<Plan> {
    let report = RecoveryReport { last_lsn: lsn, ..RecoveryReport::new(RecoverySource::Trees) };
    Ok(go_on(evidence, admit(evidence, 0)?, report, Tidying::First))
}

/// Continues from the trees, with a new snapshot of them that replaces a damaged snapshot or journal.
fn supersede(evidence: &Evidence, lsn: u64, damage: Damage) -> Result<Plan> {
    let incarnation = admit(evidence, 1)?;
    let (end, files) = (&evidence.journal.end, &evidence.journal.files);
    let last = lsn.max(end.highest_lsn).max(end.proven);
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
        aside: aside.chain(segment_paths(&evidence.root, files.without_header.iter().copied())).collect(),
        tidying: Tidying::Last,
        report,
    })
}

/// Continues from snapshot and journal. The trees are outdated: a new generation is filled from the state.
fn rebuild(evidence: &Evidence) -> Result<Plan> {
    let incarnation = admit(evidence, 1)?;
    let Evidence { trees, manifest, journal, .. } = evidence;
    let note = match trees {
        Trees::Unusable(reason) => Some(format!("the trees are not usable: {reason}")),
        Trees::OlderThanJournal => Some("the journal continues after the clean close that the manifest records".into()),
        Trees::NotClosed | Trees::Whole { .. } => None,
    };
    let report = RecoveryReport {
        last_lsn: journal.end.last_lsn,
        replayed: evidence.replayed,
        dropped: journal.end.dropped,
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
    let (end, files) = (&evidence.journal.end, &evidence.journal.files);
    Plan {
        manifest: started(&evidence.manifest, incarnation, end.proven),
        new_snapshot: None,
        journal: JournalPlan {
            last_lsn: end.last_lsn,
            proven: end.proven,
            highest_number: files.highest_number,
            kept: files.kept.clone(),
            spares: files.spares.clone(),
            unused: files.unused.clone(),
        },
        aside: segment_paths(&evidence.root, files.without_header.iter().copied()).collect(),
        tidying,
        report,
    }
}

/// Opens a store with the result of a salvage: damaged files are moved aside, all others stay.
///
/// # Errors
/// As [`plan`], without `Corrupt`.
pub(super) fn plan_salvage(salvaged: Salvaged) -> Result<Plan> {
    let last = salvaged.last_lsn;
    // The record that the store is a pool may be lost.
    let pool_of = salvaged.state.pool_of.or(salvaged.driver.filter(|_| salvaged.is_known));
    admitted(&StateFacts { pool_of, ..salvaged.state }, salvaged.driver)?;
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
    /// The plan for a journal that a snapshot at `last` covers completely.
    fn covered(last: u64, highest_number: u64, kept: Vec<Kept>, spares: Vec<u64>) -> Self {
        Self { last_lsn: last, proven: last, highest_number, kept, spares, unused: Vec::new() }
    }
}

/// Decides whether a store is created in a directory without a manifest.
///
/// # Errors
/// `Corrupt` if `is_in_use`: files were written after the creation, so the manifest is lost.
pub(super) fn plan_creation(root: &Path, is_in_use: bool) -> Result<()> {
    let reason = "the manifest is missing, but not the store".into();
    if is_in_use { Err(Error::Corrupt { file: root.join(manifest::FILE), offset: 0, reason }) } else { Ok(()) }
}

/// The step after a failed opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterFailure {
    /// The opening restarts.
    Again,
    Salvage,
    /// The caller gets the error.
    Refuse,
}

/// Decides the step after a failed opening, before which `failures` others have failed.
pub(super) fn after_failure(error: &Error, failures: usize, salvage: bool) -> AfterFailure {
    match error {
        // Data that a failed sync lost can be read until the system's cache drops it.
        Error::JournalChanged { .. } if failures < OPENED_AGAIN => AfterFailure::Again,
        error if salvage && error.is_damage() => AfterFailure::Salvage,
        _ => AfterFailure::Refuse,
    }
}

/// The incarnation of this run, if it is admitted: the highest so far, raised by `more`. After a clean close `more` is
/// 0, because then every assigned number is known.
fn admit(evidence: &Evidence, more: u32) -> Result<u32> {
    evidence.page.clone().map_or(Ok(()), Err)?;
    admitted(&evidence.state, evidence.driver)?;
    let found = evidence.journal.end.incarnation.max(evidence.manifest.incarnation);
    raised(evidence.state.incarnation.max(found), more)
}

/// Checks who opens the store. Only its own driver, which assigns its incarnations, may open a store that is a pool. A
/// store with content that is not a pool yet cannot become one.
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
    Err(Error::Exhausted { what: "the 2^24 incarnations of the store" })
}

/// The manifest of a run with that incarnation.
fn started(manifest: &Manifest, incarnation: u32, proven: u64) -> Manifest {
    Manifest { incarnation, clean: None, synced: manifest.synced.max(proven), ..manifest.clone() }
}

/// The manifest of a run, with a snapshot of the whole state at `last` whose number is unused.
fn with_new_snapshot(manifest: &Manifest, snapshots: &[u64], last: u64, incarnation: u32) -> Manifest {
    let mut number = manifest.snapshot.map_or(1, |mark| mark.number.saturating_add(1));
    while snapshots.contains(&number) {
        number = number.saturating_add(1);
    }
    let snapshot = Some(SnapshotMark { number, from: last, to: last });
    Manifest { snapshot, archive: None, ..started(manifest, incarnation, last) }
}

fn segment_paths(root: &Path, numbers: impl Iterator<Item = u64>) -> impl Iterator<Item = PathBuf> {
    let journal = root.join(JOURNAL);
    numbers.map(move |number| journal.join(naming::file_name(number)))
}

/// The number of times an opening restarts after it found a changed end of the journal.
const OPENED_AGAIN: usize = 3;
/// The last incarnation, which no store reaches.
pub(crate) const LAST_INCARNATION: u32 = (1 << 24) - 1;

#[cfg(test)]
mod tests;
