//! The status of a pooled driver, for an operator.

use crate::model::error::Result;
use crate::model::{Metrics, PoolName};
use crate::store::recovery::RecoveryReport;
use crate::store::status::Status;
use crate::store::verify::Verification;

use super::PooledDriver;

/// The sizes, the lag and the health of all stores of a pooled driver.
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let driver = Config::new().disk(disk).open_pooled("control")?;
/// let one = PoolName::new("one")?;
/// driver.pools().create(&one, &NewPool::new("sled:/mnt/one".parse()?))?;
/// let status = driver.status();
/// assert_eq!((status.control().queues(), status.pools().len()), (0, 1));
/// assert!(status.pools()[0].1.is_ok());
/// assert_eq!((status.in_transit(), status.leftovers()), (0, 0));
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PooledStatus {
    control: Status,
    pools: Vec<(PoolName, Result<Status, String>)>,
    in_transit: u64,
    leftovers: u64,
}

impl PooledStatus {
    /// The status of the control store.
    pub fn control(&self) -> &Status {
        &self.control
    }

    /// The pools by name, each with the status of its store, or with the reason why the store is
    /// not open.
    pub fn pools(&self) -> &[(PoolName, Result<Status, String>)] {
        &self.pools
    }

    /// The number of dead letters on their way from one store to another, without those in stores that are not open.
    pub fn in_transit(&self) -> u64 {
        self.in_transit
    }

    /// How many queues were deleted or moved while their former pool, which is registered, still
    /// has their data. The driver removes the data in the background.
    pub fn leftovers(&self) -> u64 {
        self.leftovers
    }
}

impl PooledDriver {
    /// The sizes, the lag and the health of all stores at this instant. Stores that are not open
    /// yet are opened. Works also on a closed driver.
    ///
    /// Cost: O(pools + journal segments); opening a store costs as
    /// [`Config::open`](crate::Config::open).
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let driver = Config::new().disk(disk).open_pooled("control")?;
    /// assert_eq!(driver.status().in_transit(), 0);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn status(&self) -> PooledStatus {
        let shared = self.shared();
        let status = |(name, pool): (String, Result<std::sync::Arc<super::pool::Pool>>)| {
            let status = pool.map(|pool| Status::of(pool.store())).map_err(|error| error.to_string());
            Some((PoolName::new(name).ok()?, status))
        };
        PooledStatus {
            control: Status::of(shared.control.store()),
            pools: shared.all_pools().into_iter().filter_map(status).collect(),
            in_transit: shared.engines().iter().map(|engine| engine.store().in_transit()).sum(),
            leftovers: shared.count_leftovers(),
        }
    }

    /// What each store has done since it was opened, and its sizes now: first the control store's, then those of the pools
    /// by name. Stores that are not open yet are opened; one that cannot be opened is left out. Works also on a closed
    /// driver. Of messages, the control store has only those of queues without a pool.
    ///
    /// Cost: as [`status`](Self::status).
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let driver = Config::new().disk(disk).open_pooled("control")?;
    /// let one = PoolName::new("one")?;
    /// driver.pools().create(&one, &NewPool::new("sled:/mnt/one".parse()?))?;
    /// let orders = driver.queue(Project::none(), "orders")?;
    /// orders.create(Metadata::new())?;
    /// orders.post(ClientId::random(), &[NewMessage::new("a")])?;
    /// let all = driver.metrics();
    /// assert_eq!((all.len(), all[0].pool.clone(), all[1].pool.clone()), (2, None, Some(one)));
    /// assert_eq!((all[0].queues, all[1].posted_messages), (1, 1));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn metrics(&self) -> Vec<Metrics> {
        let shared = self.shared();
        let of_pool = |(name, pool): (String, Result<std::sync::Arc<super::pool::Pool>>)| {
            let (pool, name) = (pool.ok()?, PoolName::new(name).ok()?);
            // A pool in the control store is counted there.
            let is_apart = !pool.engine().is_same(&shared.control);
            is_apart.then(|| Metrics { pool: Some(name), ..pool.store().metrics() })
        };
        let pools = shared.all_pools().into_iter().filter_map(of_pool);
        std::iter::once(shared.control.store().metrics()).chain(pools).collect()
    }

    /// The reports of opening the stores of the pools, by the pools' names, as [`recovery`](Self::recovery) is of the
    /// control store: what each opening found, repaired, and lost. Stores that are not open yet are opened; a pool whose
    /// store cannot be opened has the error.
    ///
    /// Cost: O(pools); opening a store costs as [`Config::open`](crate::Config::open).
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let driver = Config::new().disk(disk).open_pooled("control")?;
    /// driver.pools().create(&PoolName::new("one")?, &NewPool::new("sled:/mnt/one".parse()?))?;
    /// for (pool, report) in driver.pool_recoveries() {
    ///     assert_eq!((pool.as_str(), report?.source()), ("one", RecoverySource::New));
    /// }
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn pool_recoveries(&self) -> Vec<(PoolName, Result<RecoveryReport>)> {
        let pools = self.shared().all_pools().into_iter();
        let report = |(name, pool): (String, Result<std::sync::Arc<super::pool::Pool>>)| {
            Some((PoolName::new(name).ok()?, pool.map(|pool| pool.engine().recovery().clone())))
        };
        pools.filter_map(report).collect()
    }

    /// Verifies every store that can be opened, as [`Engine::verify`](crate::Engine::verify) does.
    /// The findings name the pool.
    ///
    /// Cost: O(messages): reads every page of every store from disk.
    ///
    /// Durability: changes nothing.
    ///
    /// # Errors
    /// as [`Engine::verify`](crate::Engine::verify). A pool that cannot be opened is left out.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let driver = Config::new().disk(disk).open_pooled("control")?;
    /// assert!(driver.verify()?.is_sound());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn verify(&self) -> Result<Verification> {
        let shared = self.shared();
        let _call = shared.enter()?;
        let mut sum = shared.control.verify()?;
        for (name, pool) in shared.all_pools() {
            let Ok(pool) = pool else { continue };
            if !pool.engine().is_same(&shared.control) {
                sum.add(&name, pool.engine().verify()?);
            }
        }
        Ok(sum)
    }
}
