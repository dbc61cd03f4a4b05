//! An open file.

use std::fmt;
use std::io;

/// An open file of a [`Disk`](super::Disk). Every method may be called from any thread.
///
/// Cost: unless a method states another cost, it makes one system call, or one for each part of a
/// longer read or write, and no sync.
///
/// ```
/// use std::path::Path;
/// use zaqar_sled::disk::{Disk, SimulatedDisk};
///
/// let disk = SimulatedDisk::new();
/// let file = disk.create(Path::new("/log"))?;
/// file.allocate(4096)?;
/// file.write_all_at(b"frame", 0)?;
/// file.sync_data()?;
///
/// let mut buffer = [1; 8];
/// assert_eq!(file.read_at(&mut buffer, 0)?, 8);
/// assert_eq!(&buffer, b"frame\0\0\0");
/// assert_eq!(file.read_at(&mut buffer, 4092)?, 4); // the file ends there
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait DiskFile: fmt::Debug + Send + Sync {
    /// The length of the file, in bytes.
    ///
    /// # Errors
    /// those of the operating system.
    ///
    /// # Example
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// let file = disk.create(Path::new("/file"))?;
    /// file.write_all_at(b"abc", 0)?;
    /// assert_eq!(file.len()?, 3);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn len(&self) -> io::Result<u64>;

    /// Whether the length is 0.
    ///
    /// # Errors
    /// those of the operating system.
    ///
    /// # Example
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// assert!(disk.create(Path::new("/file"))?.is_empty()?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Reads into `buf`, from the byte `offset` on, and returns the number of bytes read. The number is smaller than
    /// requested only at the end of the file.
    ///
    /// # Errors
    /// that of the device, such as `EIO` for a range that it cannot read.
    ///
    /// # Example
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// let file = disk.create(Path::new("/file"))?;
    /// file.write_all_at(b"abc", 0)?;
    /// let mut buf = [0; 8];
    /// assert_eq!(file.read_at(&mut buf, 1)?, 2);
    /// assert_eq!(&buf[..2], b"bc");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `buf` at the byte `offset`. The bytes between the end of the file and `offset`
    /// read as zeros. Durable after [`sync_data`](Self::sync_data).
    ///
    /// # Errors
    /// `StorageFull`, or that of the device. Part of `buf` may be written then.
    ///
    /// # Example
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// let file = disk.create(Path::new("/file"))?;
    /// file.write_all_at(b"b", 1)?;
    /// assert_eq!(disk.read("/file")?, b"\0b");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()>;

    /// Allocates disk space for the first `len` bytes, so that a later write to them cannot fail for lack of space.
    ///
    /// A shorter file becomes `len` bytes long and reads as zeros there; a longer one keeps its length.
    ///
    /// # Errors
    /// `StorageFull`.
    ///
    /// # Example
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// let file = disk.create(Path::new("/file"))?;
    /// file.allocate(4096)?;
    /// disk.set_capacity(Some(4096));
    /// file.write_all_at(&[7; 4096], 0)?; // its space is taken already
    /// assert!(file.write_all_at(&[7], 4096).is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Makes the contents and the length durable.
    ///
    /// Cost: one `fdatasync`.
    ///
    /// # Errors
    /// that of the device. Then the writes since the last success may be lost, whatever a later call returns.
    ///
    /// # Example
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// let file = disk.create(Path::new("/file"))?;
    /// disk.sync_dir(Path::new("/"))?;
    /// file.write_all_at(b"abc", 0)?;
    /// file.sync_data()?;
    /// assert_eq!(disk.power_loss(Keep::Nothing).read("/file")?, b"abc");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn sync_data(&self) -> io::Result<()>;

    /// Tells the operating system that these bytes will be read soon. A hint: the method neither
    /// waits nor fails.
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// let file = disk.create(Path::new("/file"))?;
    /// file.will_need(0, 4096);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn will_need(&self, offset: u64, len: u64) {
        let _ = (offset, len);
    }

    /// Cuts the file to `len` bytes, or lengthens it with zeros that have no space yet.
    ///
    /// # Errors
    /// those of the operating system.
    ///
    /// # Example
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// let file = disk.create(Path::new("/file"))?;
    /// file.write_all_at(b"abc", 0)?;
    /// file.set_len(1)?;
    /// assert_eq!(disk.read("/file")?, b"a");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn set_len(&self, len: u64) -> io::Result<()>;
}
