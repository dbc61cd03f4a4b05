//! Backup and restore.
//!
//! A backup is taken from an open store, beside all calls:
//!
//! | Step | Locked | If it ends here |
//! |---|---|---|
//! | a snapshot is written, unless nothing has changed since the last one | housekeeping | the former backup counts |
//! | the journal behind the snapshot is copied, up to one LSN; the page files that the snapshot names are pinned | housekeeping | the same |
//! | snapshot, archive and page files are copied, or linked from the former backup, and synced | – | the same |
//! | everything is read back | – | the same |
//! | the record that names the files replaces the former one | – | either of the two counts |
//! | the former files are removed | – | the next backup removes them |
//!
//! 1. A backup counts once its record is there, and the record is written last. Every file it names was synced and read
//!    back before.
//! 2. A backup has every change up to its LSN, none behind it, and nothing that the store could lose in a power cut.
//! 3. A backup shares no file with the store: an engine appends to its page files, and damage of a file would be damage
//!    of its backup. It may share blocks with the store, where the file system copies a block when it is written to, and
//!    shares whole files with the former backup, where nothing is written to any more.
//! 4. Nothing of a backup holds back what the store frees, apart from the pinned page files.
//! 5. A restored store uses no number that the original may have used: see [`restoring`].
//! 6. A restore counts once the manifest is there, and that is written last. Until then the directory is marked as
//!    unfinished; it cannot be opened, and a second restore begins again.

mod checking;
mod copier;
mod place;
mod places;
mod report;
mod restoring;
mod taking;
mod target;
mod unfinished;

pub(crate) use places::{check_apart, moved_uri};
pub use report::BackupReport;
pub(crate) use restoring::{restore, restore_pooled};
pub(crate) use taking::{CopyInProgress, Frozen};
pub(crate) use target::{Filled, Target};
pub(crate) use unfinished::{MarkedDisk, begin, check_own, finish, give_up, incarnation_above};
