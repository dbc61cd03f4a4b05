//! Stores without a manifest: making one, and telling a half-made one from one that lost it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::{Recovered, RecoveryReport, RecoverySource, parse_trees_name, start};
use crate::config::Config;
use crate::disk::Disk;
use crate::model::error::{Error, Result};
use crate::state::Contents;
use crate::storage::budget::Budget;
use crate::storage::journal::naming;
use crate::storage::journal::naming::JOURNAL;
use crate::storage::journal::scan;
use crate::storage::manifest::{self, Manifest};
use crate::storage::page_files::HEAP;
use crate::storage::reserve::Reserve;
use crate::storage::snapshot;
use crate::store::random::Random;

/// Makes a store. The manifest comes last: until it is there, the directory holds no store and is made again.
pub(super) fn create(config: &Config, root: &Path, random: &Random) -> Result<Recovered> {
    let disk = &*config.disk;
    refuse_orphans(disk, root)?;
    let mut manifest = Manifest {
        store: random.uuid().into_bytes(),
        incarnation: 1,
        snapshot: None,
        generation: 1,
        clean: None,
        synced: 0,
        segment: 0,
    };
    let journal = root.join(JOURNAL);
    disk.create_dir_all(&journal).map_err(|e| Error::io("creating the journal's directory", e))?;
    let place = super::place(config, root, &manifest);
    let page_files = super::open_page_files(config, root, manifest.store)?;
    page_files.prepare()?;
    let budget = Budget::new(config.memory);
    let reserve = Arc::new(Reserve::open(&config.disk, root, config.segment_bytes, &budget));
    let start = start::start(&place, 1, &start::Carried::none(0), false)?;
    manifest.segment = start.active.number();
    manifest.save(disk, root)?;
    let report = RecoveryReport::new(RecoverySource::New);
    let contents = Contents::new(page_files, budget);
    Ok(Recovered { contents, manifest, place, start, filled: None, snapshot_files: BTreeSet::new(), report, reserve })
}

/// A directory without a manifest in which something was written after creation has lost it.
pub(super) fn refuse_orphans(disk: &dyn Disk, root: &Path) -> Result<()> {
    let names = disk.list(root).map_err(|e| Error::file("listing", root, e))?;
    let kept = names.iter().any(|name| snapshot::parse_file_name(name).is_some() || parse_trees_name(name).is_some());
    let pages = !disk.list(&root.join(HEAP)).unwrap_or_default().is_empty();
    let journal = disk.list(&root.join(JOURNAL)).unwrap_or_default();
    let segments = journal.iter().filter_map(|name| naming::parse_file_name(name));
    // Creation starts one segment, and writes no frame before the manifest is there.
    let mut used = false;
    for number in segments {
        let path = root.join(JOURNAL).join(naming::file_name(number));
        let bytes = crate::disk::read_all(disk, &path).map_err(|e| Error::file("reading", &path, e))?;
        used |= number > 1 || scan::holds_frames(&bytes, number);
    }
    if kept || pages || used {
        let reason = "the manifest is missing, but not the store".into();
        return Err(Error::Corrupt { file: root.join(manifest::FILE), offset: 0, reason });
    }
    Ok(())
}
