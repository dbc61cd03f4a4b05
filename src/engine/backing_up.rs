//! Backup and restore of an engine's store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Engine;
use crate::config::Config;
use crate::disk::{Disk, RealDisk};
use crate::model::PoolName;
use crate::model::error::Result;
use crate::store::backup::{BackupReport, restore, restore_pooled};

impl Engine {
    /// Takes a backup of the store into the directory `path`, while all calls continue. The directory is created if it
    /// is missing; else it must be empty, or have a backup of this store, which the new one replaces.
    ///
    /// The backup has every change that was acknowledged before the call, at any durability, and the changes up to one
    /// instant during it. It was read back before it counts. If the call fails, or the process dies, or the power
    /// fails, the former backup in the directory is as it was.
    ///
    /// Page files that the former backup has are not copied again. Keep several backups in directories of their own.
    /// [`docs::backup`](crate::docs::backup) explains what is copied, and how.
    ///
    /// Cost: that of a [`snapshot`](Self::snapshot), and one copy and two reads of the bytes that are new since the
    /// former backup; one read of those that it has. Housekeeping waits while the snapshot is written and the
    /// journal behind it is copied, which is little; calls wait for none of it. Memory: twice a journal segment, one
    /// page, and 24 B for each page.
    ///
    /// Durability: the backup is on its disk when the call returns, and everything in it is durable in the store.
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) if the directory has other files, the backup of another store, or is in
    /// the store's own, and for a control store with pools in directories
    /// ([`PooledDriver::backup`](crate::PooledDriver::backup)); [`is_busy`](crate::Error::is_busy) as [`Locked`](crate::Error::Locked) while another backup is
    /// written to it; [`is_corrupt`](crate::Error::is_corrupt) for damage, with the damaged file: of the store, if the
    /// damage is there; [`is_full`](crate::Error::is_full); [`is_closed`](crate::Error::is_closed), also when the store
    /// is closed during the call; [`is_poisoned`](crate::Error::is_poisoned); [`Displaced`](crate::Error::Displaced);
    /// [`Io`](crate::Error::Io).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name| directory.path().join(name);
    /// let engine = Engine::open(path("store"))?;
    /// let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// orders.create(Metadata::new())?;
    /// orders.post(ClientId::random(), &[NewMessage::new("coffee")])?;
    /// engine.backup(path("backup"))?;
    ///
    /// orders.delete()?; // by mistake
    /// Engine::restore(path("backup"), path("restored"))?;
    /// let restored = Engine::open(path("restored"))?;
    /// assert_eq!(restored.queue(Project::named("shop")?, "orders")?.stats()?.total(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn backup(&self, path: impl AsRef<Path>) -> Result<BackupReport> {
        self.store().enter()?.backup(path.as_ref())
    }

    /// Restores the backup in the directory `backup` to the directory `path`, as [`Config::restore`] does.
    ///
    /// Cost: as [`Config::restore`].
    ///
    /// Durability: the store is on the disk when the call returns.
    ///
    /// # Errors
    /// as [`Config::restore`].
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name| directory.path().join(name);
    /// Engine::open(path("store"))?.backup(path("backup"))?;
    /// Engine::restore(path("backup"), path("restored"))?;
    /// assert!(Engine::open(path("restored"))?.verify()?.is_sound());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn restore(backup: impl AsRef<Path>, path: impl AsRef<Path>) -> Result<BackupReport> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        restore(&disk, backup.as_ref(), path.as_ref())
    }
}

impl Config {
    /// Restores the backup in the directory `backup` to the directory `path`, which is created if it is missing and must
    /// else be empty. The backup stays as it is. Of the settings only the [`disk`](Self::disk) counts.
    ///
    /// The restored store has what the store had at the instant of the backup: queues, messages, claims, subscriptions,
    /// and the times of all of them. It has the id of the store, so it takes the place of a lost one, also of a pool's;
    /// do not use both. No id that the store assigned after the backup is assigned again by the restored store.
    ///
    /// A restore that ended early is begun again by the next one into the same directory. Until a restore is finished,
    /// the directory cannot be opened.
    ///
    /// Cost: a copy and two reads of the backup, and the memory of an opening.
    ///
    /// Durability: the store is on the disk when the call returns.
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) if there is no backup, if it is one of several stores
    /// ([`restore_pooled`](Self::restore_pooled)), or if `path` has a store or any other files, or is in the backup;
    /// [`is_corrupt`](crate::Error::is_corrupt) if a file of the backup is damaged or missing;
    /// [`UnsupportedFormat`](crate::Error::UnsupportedFormat) for a backup in another format;
    /// [`is_busy`](crate::Error::is_busy) if the backup is replaced by another meanwhile, or another call uses `path`;
    /// [`Exhausted`](crate::Error::Exhausted) after 63 restores, each from a backup of the former;
    /// [`is_full`](crate::Error::is_full); [`Io`](crate::Error::Io). After a failure `path` has no store.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// let config = Config::new().disk(disk);
    /// let engine = config.clone().open("store")?;
    /// engine.backup("backup")?;
    /// let report = config.clone().restore("backup", "restored")?;
    /// assert_eq!(report.last_lsn(), config.clone().open("restored")?.recovery().last_lsn());
    ///
    /// let error = config.clone().restore("backup", "restored").unwrap_err();
    /// assert!(error.is_invalid()); // there is a store
    /// assert!(matches!(config.open("backup"), Err(Error::IsBackup { .. })));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn restore(self, backup: impl AsRef<Path>, path: impl AsRef<Path>) -> Result<BackupReport> {
        restore(&self.disk, backup.as_ref(), path.as_ref())
    }

    /// Restores the backup of a [`PooledDriver`](crate::PooledDriver) in the directory `backup`: its control store to
    /// the directory `path`, and the store of each pool to the directory that `pools` has for it, or else to the one
    /// that its URI names. All these directories are created if they are missing and must else be empty.
    ///
    /// The URIs of the pools in `pools` are changed in the restored control store, so that it never uses the stores of
    /// the original. A pool in memory is empty, as after every opening. Everything else is as in
    /// [`restore`](Self::restore).
    ///
    /// Cost: that of [`restore`](Self::restore) for each store.
    ///
    /// Durability: the stores are on the disk when the call returns.
    ///
    /// # Errors
    /// as [`restore`](Self::restore), for each directory; [`is_invalid`](crate::Error::is_invalid) for a pool that is
    /// not in the backup, and for directories that lie within one another. After a failure there is no store. If the
    /// process ends in the last step, the directories of pools may have one, which has to be removed before the next
    /// attempt.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// let config = Config::new().disk(disk);
    /// let driver = config.clone().open_pooled("/control")?;
    /// let one = PoolName::new("one")?;
    /// driver.pools().create(&one, &NewPool::new("sled:/one".parse()?))?;
    /// driver.backup("/backup")?;
    ///
    /// // The places of the pools are taken while the original is there.
    /// let error = config.clone().restore_pooled("/backup", "/restored", []).unwrap_err();
    /// assert!(error.is_invalid());
    /// let places = [(one.clone(), "/restored-one".into())];
    /// config.clone().restore_pooled("/backup", "/restored", places)?;
    /// let restored = config.open_pooled("/restored")?;
    /// assert_eq!(restored.pools().get(&one, true)?.uri().as_str(), "sled:/restored-one");
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn restore_pooled(
        self,
        backup: impl AsRef<Path>,
        path: impl AsRef<Path>,
        pools: impl IntoIterator<Item = (PoolName, PathBuf)>,
    ) -> Result<BackupReport> {
        let pools = pools.into_iter().map(|(name, path)| (name.to_string(), path)).collect();
        restore_pooled(&self.disk, backup.as_ref(), path.as_ref(), &pools)
    }
}
