//! A directory that is kept open.

use std::fmt;
use std::io;

/// A directory that [`Disk::hold_dir`](super::Disk::hold_dir) keeps open.
///
/// ```
/// use std::path::Path;
/// use zaqar_sled::disk::{Disk, SimulatedDisk};
///
/// let disk = SimulatedDisk::new();
/// disk.create_dir_all(Path::new("/here"))?;
/// let held = disk.hold_dir(Path::new("/here"))?;
/// assert!(held.is_in_place()?);
/// disk.rename(Path::new("/here"), Path::new("/there"))?;
/// assert!(!held.is_in_place()?);
/// disk.create_dir_all(Path::new("/here"))?; // another directory
/// assert!(!held.is_in_place()?);
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait HeldDir: fmt::Debug + Send + Sync {
    /// Whether the path that the directory was held by leads to it now. It does not if the
    /// directory, or one above it, was moved, removed or replaced.
    ///
    /// Cost: one system call.
    ///
    /// # Errors
    /// those of the operating system other than `NotFound`, which is `false`.
    ///
    /// # Example
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// disk.create_dir_all(Path::new("/here"))?;
    /// let held = disk.hold_dir(Path::new("/here"))?;
    /// disk.remove_dir_all(Path::new("/here"))?;
    /// assert!(!held.is_in_place()?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn is_in_place(&self) -> io::Result<bool>;

    /// Makes the entries of this directory durable, as [`Disk::sync_dir`](super::Disk::sync_dir) does, wherever the
    /// directory is now, and without another descriptor. `None` if the disk cannot do that, which
    /// holds unless it overrides this method.
    ///
    /// Cost: one `fsync`.
    ///
    /// # Errors
    /// Those of the sync. After an error the entries may or may not be durable.
    ///
    /// # Example
    ///
    /// ```
    /// use std::path::Path;
    /// use zaqar_sled::disk::{Disk, Keep, SimulatedDisk};
    ///
    /// let disk = SimulatedDisk::new();
    /// let held = disk.hold_dir(Path::new("/"))?;
    /// let _file = disk.create(Path::new("/file"))?;
    /// disk.set_descriptors(Some(disk.open_handles()));
    /// assert!(disk.sync_dir(Path::new("/")).is_err()); // no descriptor is left
    /// held.sync().expect("this disk can do that")?;
    /// disk.set_descriptors(None);
    /// assert_eq!(disk.power_loss(Keep::Nothing).list(Path::new("/"))?, ["file"]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn sync(&self) -> Option<io::Result<()>> {
        None
    }
}

/// The handle of a disk that cannot check where its directory is.
#[derive(Debug)]
pub(super) struct Unmoved;

impl HeldDir for Unmoved {
    fn is_in_place(&self) -> io::Result<bool> {
        Ok(true)
    }
}
