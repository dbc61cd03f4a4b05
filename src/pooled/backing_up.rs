//! Backup of a pooled driver: its control store and the stores of all pools, as one.
//!
//! The copies are of instants in this order: the pools', and the control store's last. Meanwhile nothing goes from one
//! store to another by itself: the turn is held.
//!
//! 1. A queue with content in a pool was recorded in the control store before. So the copy of the control store has
//!    every queue that the copies of the pools have; a queue that was created in between is empty.
//! 2. A removal that the control store has noted has not been done yet in the copy of the pool, or is noted as pending:
//!    removals are done in a turn. The restored driver does it.
//! 3. A dead letter is in the outbox of its source or in its target, or in both with a note in the target: deliveries
//!    are made in a turn.
//! 4. A queue is in one pool: moves are made in a turn. The same holds for subscriptions that move from the control store
//!    to a pool.
//! 5. Pools that are added, removed or moved meanwhile end the backup.
//!
//! The turn is held while the journals behind the snapshots are copied, which is short: the snapshots are written before,
//! and all other files are copied afterwards. A snapshot or checkpoint that a store is writing at that moment is waited
//! for. Calls wait for the turn only to move subscriptions, or to move a queue.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::PooledDriver;
use super::pool::Pool;
use super::shared::Shared;
use crate::config::Config;
use crate::model::error::{Error, Result};
use crate::model::{Location, PoolName};
use crate::state::PoolRow;
use crate::store::Store;
use crate::store::backup::{BackupReport, CopyInProgress, Filled, Frozen, Target};

impl PooledDriver {
    /// Takes a backup of the control store and of the stores of all pools into the directory `path`, while all calls
    /// continue. The directory is created if it is missing; else it must be empty, or have a backup of this driver,
    /// which the new one replaces.
    ///
    /// The backup has every change that was acknowledged before the call, at any durability. No message is lost and none
    /// is there twice, also if it was on its way from one pool to another. Pools in memory are left out: they are empty
    /// after each opening. [`docs::backup`](crate::docs::backup) explains what is copied, and how.
    ///
    /// Cost: the sum of [`Engine::backup`](crate::Engine::backup) over the stores. Deliveries of dead letters, moves and
    /// removals wait while the journals behind the snapshots are copied, which is short.
    ///
    /// Durability: the backup is on its disk when the call returns, and everything in it is durable in the stores.
    ///
    /// # Errors
    /// as [`Engine::backup`](crate::Engine::backup); [`is_busy`](crate::Error::is_busy) as
    /// [`PoolUnavailable`](crate::Error::PoolUnavailable) with the name of a pool whose store is out of reach, and as
    /// [`Unavailable`](crate::Error::Unavailable) if pools are added, removed or changed meanwhile.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let config = Config::new().disk(disk);
    /// let driver = config.clone().open_pooled("/control")?;
    /// let one = PoolName::new("one")?;
    /// driver.pools().create(&one, &NewPool::new("sled:/one".parse()?))?;
    /// let orders = driver.queue(Project::none(), "orders")?;
    /// orders.create(Metadata::new())?;
    /// orders.post(ClientId::random(), &[NewMessage::new("coffee")])?;
    /// driver.backup("/backup")?;
    ///
    /// config.clone().restore_pooled("/backup", "/restored", [(one, "/restored-one".into())])?;
    /// let restored = config.open_pooled("/restored")?;
    /// assert_eq!(restored.queue(Project::none(), "orders")?.stats()?.total(), 1);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn backup(&self, path: impl AsRef<Path>) -> Result<BackupReport> {
        let _call = self.shared().enter()?;
        self.shared().backup(path.as_ref())
    }

    /// Restores the backup of a driver in the directory `backup`, as
    /// [`Config::restore_pooled`](crate::Config::restore_pooled) does: the control store to `path`, and the pools to the
    /// directories in `pools`, or to those that their URIs name.
    ///
    /// Cost: as [`Config::restore_pooled`](crate::Config::restore_pooled).
    ///
    /// Durability: the stores are on the disk when the call returns.
    ///
    /// # Errors
    /// as [`Config::restore_pooled`](crate::Config::restore_pooled).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name| directory.path().join(name);
    /// PooledDriver::open(path("control"))?.backup(path("backup"))?;
    /// PooledDriver::restore(path("backup"), path("restored"), [])?;
    /// assert!(PooledDriver::open(path("restored"))?.verify()?.is_sound());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn restore(
        backup: impl AsRef<Path>,
        path: impl AsRef<Path>,
        pools: impl IntoIterator<Item = (PoolName, PathBuf)>,
    ) -> Result<BackupReport> {
        Config::new().restore_pooled(backup, path, pools)
    }
}

/// The pools that are registered, by name.
type Rows = BTreeMap<Vec<u8>, PoolRow>;

impl Shared {
    fn backup(&self, path: &Path) -> Result<BackupReport> {
        let control = self.control.store();
        control.check_place()?;
        self.pools.forget_failures();
        // Opens them, which takes a while and notes the ids of new stores in their rows. A pool that is registered from
        // here on makes the rows differ in the end, whether or not it is among the pools.
        self.lasting_pools()?;
        let rows = self.rows();
        let pools = self.lasting_pools()?;
        let stores: Vec<&Store> = std::iter::once(&**control).chain(pools.iter().map(|pool| pool.store())).collect();
        let roots: Vec<&Path> = stores.iter().map(|store| store.root.as_path()).collect();
        let target = Target::open(&control.context.disk, path, control.id(), &roots)?;
        let goes_on = || self.check_open();
        target.fill(|target| {
            let parts = stores.iter().enumerate().map(|(index, store)| {
                store.check_place()?;
                CopyInProgress::begin(store, target.root(index), &goes_on)
            });
            let parts = parts.collect::<Result<Vec<_>>>()?;
            let frozen = self.freeze(&parts, &pools, &rows)?;
            let done = parts.iter().zip(frozen).zip(&stores);
            let done = done.map(|((part, frozen), store)| part.finish(frozen, target.former(store.id()).as_deref()));
            Ok(Filled::of(control.now(), done.collect::<Result<_>>()?))
        })
    }

    /// Decides the instants of the copies, of which the first is the control store's.
    fn freeze(&self, parts: &[CopyInProgress<'_>], pools: &[Arc<Pool>], rows: &Rows) -> Result<Vec<Frozen>> {
        let _turn = self.turn.lock();
        let Some((control, of_pools)) = parts.split_first() else { return Ok(Vec::new()) };
        let of_pools = of_pools.iter().zip(pools).map(|(part, pool)| part.freeze(Some(pool.name.clone())));
        let of_pools = of_pools.collect::<Result<Vec<_>>>()?;
        let control = control.freeze(None)?;
        if self.rows() != *rows || pools.iter().any(|pool| pool.is_retired()) {
            return Err(Error::Unavailable { reason: "pools were changed during the backup".into() });
        }
        Ok(std::iter::once(control).chain(of_pools).collect())
    }

    /// The pools with a store of their own that lasts, open.
    fn lasting_pools(&self) -> Result<Vec<Arc<Pool>>> {
        let mut pools = Vec::new();
        for (_, pool) in self.all_pools() {
            let pool = pool?;
            if matches!(pool.location, Location::Directory(_)) {
                pools.push(pool);
            }
        }
        Ok(pools)
    }

    fn rows(&self) -> Rows {
        let registry = self.control.store().registry.read();
        registry.pools.iter().map(|(key, row)| (key.to_vec(), row.clone())).collect()
    }
}
