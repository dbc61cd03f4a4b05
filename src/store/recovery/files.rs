//! The files in a store's directory beside the journal and the page files.

use std::path::{Path, PathBuf};

use crate::disk::Disk;
use crate::model::error::{Error, Result};
use crate::storage::snapshot;

/// The path of the trees of a generation.
pub(crate) fn trees_path(root: &Path, generation: u64) -> PathBuf {
    root.join(format!("trees-{generation:016x}"))
}

/// The generation of the trees with that name.
pub(crate) fn parse_trees_name(name: &str) -> Option<u64> {
    u64::from_str_radix(name.strip_prefix("trees-")?, 16).ok()
}

/// The numbers of all snapshots in the directory, whether or not the manifest names them.
pub(super) fn snapshot_numbers(disk: &dyn Disk, root: &Path) -> Result<Vec<u64>> {
    let names = disk.list(root).map_err(|e| Error::file("listing", root, e))?;
    Ok(names.iter().filter_map(|name| snapshot::parse_file_name(name)).collect())
}

/// Removes a directory or a file, if it exists.
pub(crate) fn remove_any(disk: &dyn Disk, path: &Path) -> std::io::Result<()> {
    match disk.remove_dir_all(path) {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotADirectory => disk.remove_file(path),
        removed => removed,
    }
}
