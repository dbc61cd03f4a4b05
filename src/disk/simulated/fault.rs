//! Faults: the calls that fail, and their errors.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// One kind of call of the file layer.
///
/// ```
/// use zaqar_sled::disk::{FaultKind, Operation};
///
/// assert_eq!(Operation::Sync.kind(), FaultKind::Sync);
/// assert!(Operation::ALL.contains(&Operation::Lock));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Opening an existing file, to read or to write.
    Open,
    /// Creating a file, or truncating it.
    Create,
    /// Reading from a file, or asking for its length.
    Read,
    /// Writing to a file.
    Write,
    /// Allocating space for a file, or setting its length.
    Allocate,
    /// Syncing a file.
    Sync,
    /// Syncing a directory.
    SyncDir,
    /// Renaming a file or directory.
    Rename,
    /// Giving a file a second name.
    Link,
    /// Removing a file or directory.
    Remove,
    /// Making a directory.
    MakeDir,
    /// Listing a directory, asking for a size or whether a name exists.
    Look,
    /// Taking a lock.
    Lock,
    /// Opening trees.
    OpenTrees,
    /// Reading a record of trees, or a portion of a scan.
    ReadTrees,
    /// Changing a record of trees.
    WriteTrees,
    /// Flushing trees, or syncing their files.
    SyncTrees,
}

impl Operation {
    /// Every kind.
    pub const ALL: [Self; 17] = [
        Self::Open,
        Self::Create,
        Self::Read,
        Self::Write,
        Self::Allocate,
        Self::Sync,
        Self::SyncDir,
        Self::Rename,
        Self::Link,
        Self::Remove,
        Self::MakeDir,
        Self::Look,
        Self::Lock,
        Self::OpenTrees,
        Self::ReadTrees,
        Self::WriteTrees,
        Self::SyncTrees,
    ];

    /// The group of the call.
    ///
    /// ```
    /// # use zaqar_sled::disk::*;
    /// assert_eq!(Operation::Rename.kind(), FaultKind::Write);
    /// ```
    pub fn kind(self) -> FaultKind {
        match self {
            Self::Open | Self::Read | Self::Look | Self::Lock | Self::OpenTrees | Self::ReadTrees => FaultKind::Read,
            Self::Sync | Self::SyncDir | Self::SyncTrees => FaultKind::Sync,
            Self::Create
            | Self::Write
            | Self::Allocate
            | Self::Rename
            | Self::Link
            | Self::Remove
            | Self::MakeDir
            | Self::WriteTrees => FaultKind::Write,
        }
    }
}

/// The three groups of [`Operation`]s.
///
/// ```
/// use zaqar_sled::disk::{FaultKind, Operation};
///
/// let syncs = Operation::ALL.into_iter().filter(|call| call.kind() == FaultKind::Sync);
/// assert!(syncs.eq([Operation::Sync, Operation::SyncDir, Operation::SyncTrees]));
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum FaultKind {
    /// The calls that change the disk without a sync: writes, allocations, changes of lengths and trees, and the
    /// creation, linking, renaming and removal of names and directories.
    Write,
    /// Syncs of files, directories and trees, and a flush of trees.
    Sync,
    /// All other calls.
    Read,
}

/// A choice of calls: of some kinds or of all, under a path or anywhere.
///
/// ```
/// use zaqar_sled::disk::{Calls, FaultKind, Operation};
///
/// let every_call = Calls::any();
/// let syncs_of_files = Calls::from(Operation::Sync);
/// let changes_of_page_files = Calls::from(FaultKind::Write).under("/store/heap");
/// assert!(every_call != syncs_of_files && syncs_of_files != changes_of_page_files);
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Calls {
    /// `None` is any.
    operations: Option<BTreeSet<Operation>>,
    under: Option<PathBuf>,
}

impl Calls {
    /// Every call.
    ///
    /// ```
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// disk.inject(Fault::on(Calls::any()).nth(2)); // as Fault::on_any()
    /// ```
    pub fn any() -> Self {
        Self::default()
    }

    /// Calls of these kinds.
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// disk.inject(Fault::on(Calls::of([Operation::Create, Operation::Rename])));
    /// assert!(disk.list(Path::new("/")).is_ok());
    /// assert!(disk.create(Path::new("/file")).is_err());
    /// ```
    pub fn of(operations: impl IntoIterator<Item = Operation>) -> Self {
        Self { operations: Some(operations.into_iter().collect()), under: None }
    }

    /// Only the calls on this path or on a path under it.
    ///
    /// An open file has the path it was opened by; a rename has both of its paths, and one of them is enough.
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// disk.create_dir_all(Path::new("/store"))?;
    /// disk.inject(Fault::on(Calls::from(Operation::Create).under("/store")));
    /// assert!(disk.create(Path::new("/file")).is_ok());
    /// assert!(disk.create(Path::new("/store/file")).is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn under(self, path: impl Into<PathBuf>) -> Self {
        Self { under: Some(path.into()), ..self }
    }

    pub(super) fn has(&self, operation: Operation, paths: &[&Path]) -> bool {
        self.operations.as_ref().is_none_or(|these| these.contains(&operation))
            && self.under.as_ref().is_none_or(|under| paths.iter().any(|path| path.starts_with(under)))
    }
}

impl From<Operation> for Calls {
    fn from(operation: Operation) -> Self {
        Self::of([operation])
    }
}

impl From<FaultKind> for Calls {
    fn from(kind: FaultKind) -> Self {
        Self::of(Operation::ALL.into_iter().filter(|operation| operation.kind() == kind))
    }
}

/// The error that a failing call returns.
///
/// ```
/// use std::io::{Error, ErrorKind};
/// use zaqar_sled::disk::FaultError;
///
/// assert_eq!(Error::from(FaultError::Space).kind(), ErrorKind::StorageFull);
/// assert_eq!(FaultError::default(), FaultError::Device);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Default)]
#[non_exhaustive]
pub enum FaultError {
    /// The device failed: `EIO`.
    #[default]
    Device,
    /// No space: `ENOSPC`.
    Space,
    /// The process has no descriptor left: `EMFILE`.
    ProcessDescriptors,
    /// The system has no descriptor left: `ENFILE`.
    SystemDescriptors,
    /// Not permitted: `EACCES`.
    Permission,
    /// Mounted to be read only, as some file systems do after an error: `EROFS`.
    ReadOnly,
}

impl FaultError {
    /// Every error.
    pub const ALL: [Self; 6] = [
        Self::Device,
        Self::Space,
        Self::ProcessDescriptors,
        Self::SystemDescriptors,
        Self::Permission,
        Self::ReadOnly,
    ];
}

impl From<FaultError> for io::Error {
    fn from(error: FaultError) -> Self {
        let errno = match error {
            FaultError::Device => Errno::IO,
            FaultError::Space => Errno::NOSPC,
            FaultError::ProcessDescriptors => Errno::MFILE,
            FaultError::SystemDescriptors => Errno::NFILE,
            FaultError::Permission => Errno::ACCESS,
            FaultError::ReadOnly => Errno::ROFS,
        };
        errno.into()
    }
}

/// A failure to inject: the next call of a choice fails once, with `EIO`. The methods choose another call, another
/// error, or every call.
///
/// A failing call changes nothing, with two exceptions. A failing write may leave any part of its beginning. A failing
/// sync of a file or of trees loses some of the changes that it covered, at random; see
/// [`SimulatedDisk`](super::SimulatedDisk).
///
/// ```
/// use std::io::ErrorKind;
/// use std::path::Path;
/// use zaqar_sled::disk::{Disk, Fault, FaultError, Operation, SimulatedDisk};
///
/// let disk = SimulatedDisk::new();
/// let full = Fault::on(Operation::Create).error(FaultError::Space).under("/store");
/// disk.inject(full.nth(2).forever());
/// disk.create_dir_all(Path::new("/store"))?;
/// disk.create(Path::new("/store/1"))?;
/// for _ in 0..3 {
///     disk.create(Path::new("/elsewhere"))?;
///     let refused = disk.create(Path::new("/store/2")).unwrap_err();
///     assert_eq!(refused.kind(), ErrorKind::StorageFull);
/// }
/// disk.heal();
/// disk.create(Path::new("/store/2"))?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    pub(super) calls: Calls,
    /// The call that fails, counted from now; at least 1.
    pub(super) nth: u64,
    pub(super) is_lasting: bool,
    pub(super) error: FaultError,
    /// Set for a group of calls: a later fault of the same group replaces it.
    pub(super) group: Option<FaultKind>,
}

impl Fault {
    /// A fault that makes the next of these calls fail.
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// disk.inject(Fault::on(FaultKind::Write));
    /// assert!(disk.create(Path::new("/file")).is_err());
    /// assert!(disk.create(Path::new("/file")).is_ok());
    /// ```
    pub fn on(calls: impl Into<Calls>) -> Self {
        Self { calls: calls.into(), nth: 1, is_lasting: false, error: FaultError::default(), group: None }
    }

    /// A fault that makes the next call of any kind fail.
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// disk.inject(Fault::on_any());
    /// assert!(disk.list(Path::new("/")).is_err());
    /// assert!(disk.list(Path::new("/")).is_ok());
    /// ```
    pub fn on_any() -> Self {
        Self::on(Calls::any())
    }

    /// Makes the `nth` such call fail; 1 is the next one.
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// disk.inject(Fault::on(Operation::Create).nth(2));
    /// assert!(disk.create(Path::new("/1")).is_ok());
    /// assert!(disk.create(Path::new("/2")).is_err());
    /// ```
    #[must_use]
    pub fn nth(self, nth: u64) -> Self {
        Self { nth, ..self }
    }

    /// Makes every such call fail from there on.
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// disk.inject(Fault::on(Operation::Create).forever());
    /// assert!(disk.create(Path::new("/1")).is_err());
    /// assert!(disk.create(Path::new("/2")).is_err());
    /// disk.heal();
    /// assert!(disk.create(Path::new("/3")).is_ok());
    /// ```
    #[must_use]
    pub fn forever(self) -> Self {
        Self { is_lasting: true, ..self }
    }

    /// Sets the error that the call returns.
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// disk.inject(Fault::on(Operation::Create).error(FaultError::Permission));
    /// let refused = disk.create(Path::new("/file")).unwrap_err();
    /// assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied);
    /// ```
    #[must_use]
    pub fn error(self, error: FaultError) -> Self {
        Self { error, ..self }
    }

    /// Makes only calls on this path, or on a path under it, fail.
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// disk.inject(Fault::on(Operation::Create).under("/store"));
    /// assert!(disk.create(Path::new("/file")).is_ok());
    /// ```
    #[must_use]
    pub fn under(self, path: impl Into<PathBuf>) -> Self {
        Self { calls: self.calls.under(path), ..self }
    }
}

/// The faults that are set.
#[derive(Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        self.0.retain(|other| fault.group.is_none() || other.group != fault.group);
        self.0.push(fault);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Counts a call; returns the error if the call has to fail.
    pub(super) fn check(&mut self, operation: Operation, paths: &[&Path]) -> Result<(), FaultError> {
        let mut failed = Ok(());
        self.0.retain_mut(|fault| {
            if !fault.calls.has(operation, paths) {
                return true;
            }
            if fault.nth > 1 {
                fault.nth -= 1;
                return true;
            }
            failed = failed.and(Err(fault.error));
            fault.is_lasting
        });
        failed
    }
}
