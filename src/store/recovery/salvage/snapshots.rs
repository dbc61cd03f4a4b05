//! The intact parts of the snapshots: each record by its own checksum, and the number of missing records between them.

use std::path::{Path, PathBuf};

use super::reading::{self, frames};
use crate::disk::Disk;
use crate::disk::trees::Tree;
use crate::model::error::{Error, Result};
use crate::storage::archive::ArchiveMark;
use crate::storage::codec;
use crate::storage::journal::scan::Damage;
use crate::storage::snapshot::{self, Footer, Part};

/// The readable part of a snapshot.
#[derive(Debug)]
pub(super) struct FoundSnapshot {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    /// The LSN after which replay starts, if known.
    pub(super) from: Option<u64>,
    /// Whether its head is whole.
    pub(super) has_head: bool,
    /// The archive that it builds upon, according to its head.
    pub(super) archive: Option<ArchiveMark>,
    pub(super) footer: Option<Footer>,
    records: u64,
    /// The places where records are missing.
    pub(super) gaps: Vec<Gap>,
    pub(super) damages: Vec<Damage>,
}

/// Records that are missing between two that are not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gap {
    /// How many; none where the snapshot breaks off.
    pub(super) records: Option<u64>,
    pub(super) after: Option<Key>,
    pub(super) before: Option<Key>,
}

/// A record's tree and key.
pub(super) type Key = (Tree, Vec<u8>);

/// The callback for each record: its position, tree, key and value.
pub(super) type Visit<'a> = dyn FnMut(u64, Tree, &[u8], &[u8]) -> Result<()> + 'a;

/// The callback for each part. An error in place of parts has the number of missing parts, or none where the snapshot
/// ends early.
type Step<'a> = dyn FnMut(usize, Result<Part<'_>, Option<u64>>) -> Result<()> + 'a;

impl FoundSnapshot {
    /// Reads through a snapshot.
    pub(super) fn examine(disk: &dyn Disk, root: &Path, store: [u8; 16], number: u64) -> Result<Self> {
        let path = snapshot::path(root, number);
        let mut found = Self {
            number,
            path: path.clone(),
            from: None,
            has_head: false,
            archive: None,
            footer: None,
            records: 0,
            gaps: Vec::new(),
            damages: Vec::new(),
        };
        let (mut last, mut open): (Option<Key>, Option<usize>) = (None, None);
        let walked = walk(disk, &path, store, number, &mut |offset, part| {
            match part {
                Ok(Part::Head { from, archive, .. }) => {
                    (found.from, found.has_head, found.archive) = (Some(from), true, archive);
                }
                Ok(Part::Footer(footer)) => {
                    found.from = found.from.or(Some(footer.from));
                    found.footer = Some(footer);
                }
                Ok(Part::Record { tree, key, .. }) => {
                    found.records = found.records.saturating_add(1);
                    last = Tree::from_tag(tree).map(|tree| (tree, key.into_owned()));
                    if let Some(gap) = open.take().and_then(|index| found.gaps.get_mut(index)) {
                        gap.before.clone_from(&last);
                    }
                }
                Err(records) => {
                    open = Some(found.gaps.len());
                    found.gaps.push(Gap { records, after: last.clone(), before: None });
                    let reason = records.map_or_else(
                        || "the snapshot breaks off".to_owned(),
                        |records| format!("{records} records of the snapshot are missing"),
                    );
                    found.damages.push(Damage { file: path.clone(), offset: offset as u64, reason });
                }
            }
            Ok(())
        })?;
        found.damages.extend(walked);
        Ok(found)
    }

    pub(super) fn is_whole(&self) -> bool {
        self.gaps.is_empty() && self.footer.is_some() && self.from.is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Visits the records that are whole, in order.
    pub(super) fn visit(&self, disk: &dyn Disk, store: [u8; 16], visit: &mut Visit<'_>) -> Result<()> {
        walk(disk, &self.path, store, self.number, &mut |offset, part| match part {
            Ok(Part::Record { tree, key, value }) => {
                Tree::from_tag(tree).map_or(Ok(()), |tree| visit(offset as u64, tree, &key, &value))
            }
            _ => Ok(()),
        })
        .map(drop)
    }
}

/// Visits the parts of a snapshot; returns the ranges that the device could not read.
fn walk(disk: &dyn Disk, path: &Path, store: [u8; 16], number: u64, visit: &mut Step<'_>) -> Result<Vec<Damage>> {
    let file = reading::read(disk, path)?.unwrap_or_default();
    let (mut next, mut end, mut ended) = (1_u64, 0, false);
    for found in frames(&file.bytes, snapshot::frame_id(store, number), 0) {
        let missing = found.stamp.lsn.saturating_sub(next);
        if missing > 0 {
            visit(end, Err(Some(missing)))?;
        }
        (next, end) = (found.stamp.lsn.saturating_add(1), found.end());
        match codec::decode::<Part<'_>>(found.body) {
            Ok(Part::Head { format, .. }) if format != snapshot::FORMAT => {
                return Err(Error::UnsupportedFormat { file: path.into(), found: format, supported: snapshot::FORMAT });
            }
            Ok(part) => {
                ended |= matches!(part, Part::Footer(_));
                visit(found.offset, Ok(part))?;
            }
            Err(_) => visit(found.offset, Err(Some(1)))?,
        }
    }
    if !ended {
        visit(end, Err(None))?;
    }
    Ok(file.damages(path).collect())
}
