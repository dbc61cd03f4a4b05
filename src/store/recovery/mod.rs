//! Opening a store: from the files on disk to the state, by this table:
//!
//! | Manifest | Trees | Snapshot and journal | Then |
//! |---|---|---|---|
//! | missing; nothing was written since a creation | | | a store is created |
//! | missing; something was written | | | refused |
//! | whole | whole | good | the trees are loaded |
//! | whole | whole | damaged | the trees are loaded, a new snapshot is written from them, the damaged files are moved aside |
//! | whole | not closed cleanly, or older than the journal | good | the state is rebuilt from snapshot and journal; the next checkpoint fills new trees |
//! | whole | closed cleanly, yet not usable | good | the state is rebuilt from snapshot and journal, the trees are moved aside; the next checkpoint fills new ones |
//! | whole | any that are not whole | damaged | refused |
//!
//! A damaged manifest is a failure of reading, and so is every unreadable file. For a failure, then or later:
//!
//! | Failure | Then |
//! |---|---|
//! | a second read of the journal's end gave other bytes | the opening restarts, three times at most |
//! | damage, where [`Config::salvage`](crate::Config::salvage) is set | [`salvage`] |
//! | anything else | the caller gets the error, and nothing is changed |
//!
//! An opening has three parts: [`gather`] reads and returns [`evidence`], [`mod@plan`] decides by the evidence alone,
//! and [`execute`] executes the plan. A salvage gathers the intact parts in its own way; then it uses a plan and the
//! same execution.
//!
//! 1. Trees count as clean only if the manifest's clean mark, their own record and a digest over every record agree,
//!    and the journal has nothing beyond that mark.
//! 2. Without a clean close, the incarnation is raised, durably, before the first call. The manifest names the segment
//!    that this run starts, so that the loss of the segment is detected.
//! 3. Nothing is appended to a segment that an earlier process wrote. Frames after the last proven one are made durable
//!    first: see `journal_tail`.
//! 4. Damaged files are moved aside, never deleted.
//! 5. Pages stay in the page files until they are needed. A page file that is missing or too short is damage like any
//!    other. A damaged page within a file is found when the page is read, or here if salvage is allowed.

mod creation;
mod evidence;
mod execute;
mod files;
mod gather;
mod journal_tail;
mod opening;
mod plan;
mod reading;
mod report;
mod salvage;
mod start;
mod writing;

use std::path::Path;
use std::time::Instant;

use crate::config::Config;
use crate::disk::Disk;
use crate::model::error::Result;
use crate::state::Contents;
use crate::storage::manifest::Manifest;
use crate::store::random::Random;

use evidence::StateFacts;
pub(crate) use execute::Recovered;
pub(crate) use files::{parse_trees_name, remove_any, trees_path};
use opening::Opening;
pub(crate) use plan::LAST_INCARNATION;
use plan::{AfterFailure, after_failure, plan};
pub(crate) use reading::{open_archive, read_snapshot};
pub use report::{Damaged, LostMessages, RecoveryReport, RecoverySource};

/// Opens or creates the store in `root`, which exists and is locked.
pub(crate) fn recover(config: &Config, root: &Path, random: &Random) -> Result<Recovered> {
    let started = Instant::now();
    let mut failures = 0;
    let mut recovered = loop {
        let error = match open(config, root, random) {
            Ok(recovered) => break recovered,
            Err(error) => error,
        };
        match after_failure(&error, failures, config.salvage) {
            AfterFailure::Again => failures = failures.saturating_add(1),
            AfterFailure::Salvage => break salvage::salvage(config, root, &error)?,
            AfterFailure::Refuse => return Err(error),
        }
    };
    recovered.report.took = started.elapsed();
    Ok(recovered)
}

fn open(config: &Config, root: &Path, random: &Random) -> Result<Recovered> {
    let Some(manifest) = Manifest::load(&*config.disk, root)? else {
        return creation::create(config, root, random);
    };
    Opening::new(config, root, manifest.store)?.attempt(|opening| {
        let (evidence, loaded) = opening.gather(manifest)?;
        opening.execute(plan(&evidence)?, loaded)
    })
}

/// The highest incarnation of a number in the state.
pub(crate) fn highest_incarnation(contents: &Contents) -> u32 {
    StateFacts::of(contents).incarnation
}

/// Whether `root` has a store that lost its manifest.
pub(crate) fn has_lost_manifest(disk: &dyn Disk, root: &Path) -> bool {
    creation::is_in_use(disk, root).is_ok_and(|is_in_use| is_in_use)
}
