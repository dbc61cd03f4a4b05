//! Changes that a test makes to the files without the engine.

use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::SimulatedDisk;
use super::contents::Contents;
use super::names::{Node, new_file};

impl SimulatedDisk {
    /// The contents of a file, whether the power is on or off.
    ///
    /// # Errors
    /// `NotFound` for a missing file; any call fails on a disk whose image was taken.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::disk::SimulatedDisk;
    /// let disk = SimulatedDisk::new();
    /// disk.write("/file", "abc")?;
    /// assert_eq!(disk.read("/file")?, b"abc");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn read(&self, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        let state = self.present()?;
        let file = state.names.file(path.as_ref())?;
        Ok(file.lock().bytes().to_vec())
    }

    /// Creates a file with these contents, or replaces its contents. They and the names in its directory count as
    /// synced.
    ///
    /// # Errors
    /// `NotFound` if the directory is missing.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::disk::{Keep, SimulatedDisk};
    /// let disk = SimulatedDisk::new();
    /// disk.write("/file", "abc")?;
    /// assert_eq!(disk.power_loss(Keep::Nothing).read("/file")?, b"abc");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn write(&self, path: impl AsRef<Path>, bytes: impl Into<Vec<u8>>) -> io::Result<()> {
        let (path, contents) = (path.as_ref(), Contents::durable(bytes.into()));
        let mut state = self.present()?;
        match state.names.look(path)? {
            Some(_) => *state.names.file(path)?.lock() = contents,
            None => state.names.insert(path, Node::File(new_file(contents)))?,
        }
        let dir = state.names.parent(path)?;
        state.names.sync(&dir);
        Ok(())
    }

    /// Flips the bits of `xor` in the byte at `offset` of a file. The file counts as synced.
    ///
    /// # Errors
    /// `NotFound` for a missing file; `InvalidInput` if the file is shorter.
    ///
    /// # Example
    ///
    /// ```
    /// let disk = zaqar_sled::disk::SimulatedDisk::new();
    /// disk.write("/file", "message")?;
    /// disk.corrupt("/file", 0, 0x20)?;
    /// assert_eq!(disk.read("/file")?, b"Message");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn corrupt(&self, path: impl AsRef<Path>, offset: u64, xor: u8) -> io::Result<()> {
        self.damage(path.as_ref(), |bytes| {
            let byte = usize::try_from(offset).ok().and_then(|at| bytes.get_mut(at));
            *byte.ok_or(ErrorKind::InvalidInput)? ^= xor;
            Ok(())
        })
    }

    /// Cuts a file to `len` bytes. The file counts as synced. A shorter file stays as it is.
    ///
    /// # Errors
    /// `NotFound` for a missing file.
    ///
    /// # Example
    ///
    /// ```
    /// let disk = zaqar_sled::disk::SimulatedDisk::new();
    /// disk.write("/file", "message")?;
    /// disk.truncate("/file", 4)?;
    /// assert_eq!(disk.read("/file")?, b"mess");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn truncate(&self, path: impl AsRef<Path>, len: u64) -> io::Result<()> {
        self.damage(path.as_ref(), |bytes| {
            bytes.truncate(usize::try_from(len).unwrap_or(usize::MAX));
            Ok(())
        })
    }

    /// Makes reads of this range of bytes fail with `EIO`. A range that is written afterwards is
    /// readable again.
    ///
    /// # Errors
    /// `NotFound` for a missing file.
    ///
    /// # Example
    ///
    /// ```
    /// use std::path::Path;
    /// use zaqar_sled::disk::{Disk, SimulatedDisk};
    ///
    /// let disk = SimulatedDisk::new();
    /// disk.write("/file", vec![7; 4096])?;
    /// disk.make_unreadable("/file", 512..1024)?;
    /// let file = disk.open(Path::new("/file"))?;
    /// assert!(file.read_at(&mut [0; 512], 0).is_ok());
    /// assert!(file.read_at(&mut [0; 513], 0).is_err());
    /// file.write_all_at(&[7; 512], 512)?;
    /// assert!(file.read_at(&mut [0; 4096], 0).is_ok());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn make_unreadable(&self, path: impl AsRef<Path>, range: Range<u64>) -> io::Result<()> {
        self.present()?.names.file(path.as_ref())?.lock().make_unreadable(range);
        Ok(())
    }

    /// Drops the cache of every file: from now on readers of lost blocks see the contents on the disk.
    ///
    /// ```
    /// use std::path::Path;
    /// use zaqar_sled::disk::{Disk, Fault, Keep, Operation, SimulatedDisk};
    ///
    /// let mut lost = 0;
    /// for seed in 0..20 {
    ///     let disk = SimulatedDisk::new();
    ///     disk.set_seed(seed);
    ///     disk.write("/file", "old")?;
    ///     let file = disk.open(Path::new("/file"))?;
    ///     file.write_all_at(b"new", 0)?;
    ///     disk.inject(Fault::on(Operation::Sync));
    ///     assert!(file.sync_data().is_err());
    ///     assert!(file.sync_data().is_ok()); // As if nothing had happened.
    ///     disk.drop_caches();
    ///     let seen = disk.read("/file")?;
    ///     assert_eq!(disk.power_loss(Keep::Nothing).read("/file")?, seen);
    ///     lost += u32::from(seen == b"old");
    /// }
    /// assert!((1..20).contains(&lost));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn drop_caches(&self) {
        for (_, node) in self.0.lock().names.all() {
            if let Node::File(file) = node {
                file.lock().evict(|_| true);
            }
        }
    }

    /// Removes a directory or a file as another process would, durably. It does not count as an
    /// operation. Handles that are open under it keep their files.
    ///
    /// # Errors
    /// `NotFound` for a missing name.
    ///
    /// # Example
    ///
    /// ```
    /// use std::path::Path;
    /// use zaqar_sled::disk::{Disk, SimulatedDisk};
    ///
    /// let disk = SimulatedDisk::new();
    /// disk.create_dir_all(Path::new("/store"))?;
    /// let file = disk.create(Path::new("/store/file"))?;
    /// disk.vanish("/store")?;
    /// file.write_all_at(b"still open", 0)?;
    /// assert!(disk.list(Path::new("/"))?.is_empty());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn vanish(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let mut state = self.present()?;
        state.names.find(path.as_ref())?;
        state.names.remove(path.as_ref())?;
        let dir = state.names.parent(path.as_ref())?;
        state.names.sync(&dir);
        Ok(())
    }

    /// Gives a directory or a file another name as another process would, durably. It does not
    /// count as an operation.
    ///
    /// # Errors
    /// `NotFound` for a missing name.
    ///
    /// # Example
    ///
    /// ```
    /// use std::path::Path;
    /// use zaqar_sled::disk::{Disk, SimulatedDisk};
    ///
    /// let disk = SimulatedDisk::new();
    /// disk.create_dir_all(Path::new("/store"))?;
    /// let file = disk.create(Path::new("/store/file"))?;
    /// disk.displace("/store", "/elsewhere")?;
    /// file.write_all_at(b"still here", 0)?;
    /// assert_eq!(disk.read("/elsewhere/file")?, b"still here");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn displace(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
        let mut state = self.present()?;
        state.names.rename(from.as_ref(), to.as_ref())?;
        let dir = state.names.parent(to.as_ref())?;
        state.names.sync(&dir);
        Ok(())
    }

    /// The paths of all files, in order. Empty once [`kill`](Self::kill) or
    /// [`power_loss`](Self::power_loss) has returned another disk.
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let disk = SimulatedDisk::new();
    /// disk.create_dir_all(Path::new("/store/heap"))?;
    /// disk.create(Path::new("/store/heap/1"))?;
    /// assert_eq!(disk.list_all(), [Path::new("/store/heap/1")]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn list_all(&self) -> Vec<PathBuf> {
        let found = self.0.lock().names.all();
        let files = found.into_iter().filter(|(_, node)| matches!(node, Node::File(_)));
        files.map(|(path, _)| path).collect()
    }
}
