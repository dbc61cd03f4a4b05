//! Opening a store: from what is on disk to the state, by the table below.
//!
//! | Manifest | Trees | Snapshot and journal | Then |
//! |---|---|---|---|
//! | missing; nothing was written since a creation | | | a store is made |
//! | missing; something was written | | | refused |
//! | whole | whole | good | the trees are loaded |
//! | whole | whole | damaged | the trees are loaded, a new snapshot is written from them, the damaged files are moved aside |
//! | whole | not closed cleanly, or older than the journal | good | the state is rebuilt from snapshot and journal; the next checkpoint fills new trees |
//! | whole | closed cleanly, yet not usable | good | the state is rebuilt from snapshot and journal, the trees are moved aside; the next checkpoint fills new ones |
//! | whole | any that are not whole | damaged | refused |
//!
//! A manifest that is damaged is a failure of reading, and so is every file that cannot be read. Whatever fails, then or later:
//!
//! | Failure | Then |
//! |---|---|
//! | the journal's end was not the same when it was read again | the opening is begun anew, three times at most |
//! | damage, where [`Config::salvage`](crate::Config::salvage) is set | [`salvage`] |
//! | anything else | the caller is told, and nothing is changed |
//!
//! An opening has three parts: [`gather`] reads and gives [`evidence`], [`mod@plan`] decides by that alone, [`execute`] does what
//! the plan says. A salvage gathers what is left of a store in its own way, and has a plan and the same execution.
//!
//! 1. Trees count as clean only if the manifest's clean mark, their own record and a digest over every record agree, and
//!    the journal has nothing beyond that mark.
//! 2. After anything but a clean close the incarnation is raised, durably, before the first call is taken; the manifest
//!    names the segment this run starts, so that losing it is noticed.
//! 3. Nothing is appended to a segment that an earlier process wrote. What follows the last proven frame is made durable
//!    first: see `tail`.
//! 4. What could not be read is moved aside, never deleted.
//! 5. Pages stay in the page files until they are needed. A page file that is missing or too short is damage like any other; a
//!    page that has been damaged within one is found when it is read, or here where salvage is allowed.

mod creation;
mod evidence;
mod execute;
mod files;
mod gather;
mod opening;
mod plan;
mod reading;
mod report;
mod salvage;
mod start;
mod tail;
mod writing;

use std::path::Path;
use std::time::Instant;

use crate::config::Config;
use crate::disk::Disk;
use crate::model::error::Result;
use crate::storage::manifest::Manifest;
use crate::store::random::Random;

pub(crate) use execute::Recovered;
pub(crate) use files::{remove_any, trees_path};
use opening::Opening;
pub(crate) use plan::LAST_INCARNATION;
use plan::{AfterFailure, after_failure, plan};
pub(crate) use reading::read_snapshot;
pub use report::{Damaged, LostMessages, RecoveryReport, RecoverySource};

/// Opens or makes the store in `root`, which exists and is locked.
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

/// Whether what is in `root` is a store without its manifest, and not just no store.
pub(crate) fn has_lost_manifest(disk: &dyn Disk, root: &Path) -> bool {
    creation::is_in_use(disk, root).is_ok_and(|is_in_use| is_in_use)
}
