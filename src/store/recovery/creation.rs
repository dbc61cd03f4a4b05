//! Stores without a manifest: creating a store, and distinguishing an unfinished creation from a store whose manifest
//! is lost.

use std::collections::BTreeSet;
use std::path::Path;

use super::execute::Recovered;
use super::files::parse_trees_name;
use super::opening::Opening;
use super::plan::plan_creation;
use super::report::{RecoveryReport, RecoverySource};
use super::start::{self, CopiedFrames};
use crate::config::Config;
use crate::disk::Disk;
use crate::model::error::{Error, Result};
use crate::storage::archive;
use crate::storage::backup_record;
use crate::storage::journal::naming::{self, JOURNAL};
use crate::storage::journal::scan;
use crate::storage::manifest::Manifest;
use crate::storage::page_files::PAGE_FILES;
use crate::storage::snapshot;
use crate::store::random::Random;

/// Creates a store. The manifest is written last: without it, the directory has no store, and the creation is repeated.
pub(super) fn create(config: &Config, root: &Path, random: &Random) -> Result<Recovered> {
    let disk = &*config.disk;
    backup_record::check_is_none(disk, root)?;
    plan_creation(root, is_in_use(disk, root)?)?;
    let mut manifest = Manifest::new(random.uuid().into_bytes());
    let journal = root.join(JOURNAL);
    disk.create_dir_all(&journal).map_err(|e| Error::io("creating the journal's directory", e))?;
    let opening = Opening::new(config, root, manifest.store)?;
    let context = opening.context(&manifest);
    // Opened while there are descriptors, so that a later sync has one.
    context.kept_directory.hold(disk).map_err(|e| Error::file("opening", &journal, e))?;
    opening.page_files.prepare()?;
    let start = start::start(&context, 1, &CopiedFrames::none(0), false)?;
    manifest.segment = start.live.number();
    manifest.save(disk, root)?;
    let (contents, report) = (opening.empty_contents(), RecoveryReport::new(RecoverySource::New));
    let (reserve, snapshot_files) = (opening.reserve, BTreeSet::new());
    Ok(Recovered { contents, manifest, context, start, filled: None, snapshot_files, report, reserve })
}

/// Whether files were written after the creation in a directory without a manifest.
pub(super) fn is_in_use(disk: &dyn Disk, root: &Path) -> Result<bool> {
    let names = disk.list(root).map_err(|e| Error::file("listing", root, e))?;
    let kept = names.iter().any(|name| {
        snapshot::parse_file_name(name).is_some()
            || archive::parse_file_name(name).is_some()
            || parse_trees_name(name).is_some()
    });
    let pages = !disk.list(&root.join(PAGE_FILES)).unwrap_or_default().is_empty();
    let journal = disk.list(&root.join(JOURNAL)).unwrap_or_default();
    let segments = journal.iter().filter_map(|name| naming::parse_file_name(name));
    // Creation starts one segment, and writes no frame before the manifest is there.
    let mut used = false;
    for number in segments {
        let path = root.join(JOURNAL).join(naming::file_name(number));
        let bytes = crate::disk::read_all(disk, &path).map_err(|e| Error::file("reading", &path, e))?;
        // A later opening that failed as well may have started another, while the manifest was not durable yet.
        used |= scan::holds_frames(&bytes, number) || number > 1 && !scan::is_unwritten(&bytes);
    }
    Ok(kept || pages || used)
}
