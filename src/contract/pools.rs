//! The pool controller.

use crate::model::error::Result;
use crate::model::{
    Capabilities, Flavor, ListOptions, NewPool, Page, Pool, PoolGroup, PoolMarker, PoolName, PoolUpdate,
};

/// Registers pools: stores that hold queues. What holds for every method is told at
/// [`ControlDriver`](crate::ControlDriver).
///
/// ```
/// # use zaqar_sled::{Config, ControlDriver, ListOptions, NewPool, PoolName, SimulatedDisk};
/// # let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
/// let pools = engine.pools();
/// pools.create(&PoolName::new("first")?, &NewPool::new("sled:/mnt/one".parse()?).weight(2))?;
/// pools.create(&PoolName::new("second")?, &NewPool::new("sled:/mnt/two".parse()?))?;
/// let error = pools.create(&PoolName::new("third")?, &NewPool::new("sled:/mnt/../mnt/one".parse()?)).unwrap_err();
/// assert!(error.is_conflict());
/// assert_eq!(pools.list(&ListOptions::new())?.items.len(), 2);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[doc(alias = "PoolsController")]
pub trait Pools: Send + Sync {
    /// Registers a pool, or replaces the one of that name whole.
    ///
    /// Errors, in this order: `is_invalid` for options that mean nothing;
    /// [`PoolCapabilitiesMismatch`](crate::Error::PoolCapabilitiesMismatch) if other pools of its group promise something
    /// else (pools without a group are a group); `is_conflict` if another pool has that store, however the URI is written
    /// (MongoDB's driver: two pools on one store would double its weight); `is_not_permitted`
    /// ([`PoolInUseByFlavor`](crate::Error::PoolInUseByFlavor)) if it takes the last pool out of a group that a flavor
    /// stands for. Cost: O(pools + flavors). A change.
    fn create(&self, name: &PoolName, pool: &NewPool) -> Result<()>;

    /// One pool; with its options if `detailed`.
    ///
    /// Errors: `is_not_found`. Cost: O(log pools). A read. Zaqar's.
    fn get(&self, name: &PoolName, detailed: bool) -> Result<Pool>;

    /// Whether it is registered. Cost: O(log pools). A read. Zaqar's.
    fn exists(&self, name: &PoolName) -> Result<bool>;

    /// One page, by name, in byte order. Cost: O(log pools + page). A read. Zaqar's.
    fn list(&self, options: &ListOptions<PoolMarker>) -> Result<Page<Pool, PoolMarker>>;

    /// The pools of a group, by name; those of none for `None`. A group nobody is in is empty (all drivers; the page has
    /// an error). Cost: O(pools). A read.
    fn get_pools_by_group(&self, group: Option<&PoolGroup>, detailed: bool) -> Result<Vec<Pool>>;

    /// The pools a flavor stands for, by name; those of no group for `None`. Cost: O(pools). A read. Zaqar's since 8.0.0.
    fn get_pools_by_flavor(&self, flavor: Option<&Flavor>, detailed: bool) -> Result<Vec<Pool>> {
        self.get_pools_by_group(flavor.map(Flavor::pool_group), detailed)
    }

    /// Changes what the update sets.
    ///
    /// Errors, in this order: `is_invalid` for an update that sets nothing, even for a missing pool; `is_not_found`; then
    /// as [`create`](Self::create), capabilities and store being compared when the URI or the group is set; the pool's own
    /// former capabilities do not count, so a pool alone in its group may change them. Cost: O(pools + flavors). A change.
    /// Zaqar's.
    fn update(&self, name: &PoolName, update: &PoolUpdate) -> Result<()>;

    /// Removes a pool; none there is fine. Its queues' catalogue entries stay, and lead nowhere until there is a pool of
    /// that name again.
    ///
    /// Errors: `is_not_permitted` ([`PoolInUseByFlavor`](crate::Error::PoolInUseByFlavor)) for the last pool of a group
    /// that a flavor stands for. Cost: O(pools + flavors). A change, durable even if nothing was there.
    fn delete(&self, name: &PoolName) -> Result<()>;

    /// What the pools of a group promise; of that pool's group, if a name is given. Nothing for a group without pools.
    ///
    /// Errors: `is_not_found` for the named pool. Cost: O(pools). A read. Zaqar's.
    fn capabilities(&self, group: Option<&PoolGroup>, name: Option<&PoolName>) -> Result<Capabilities>;

    /// Removes all pools. Cost: O(pools). A change. Zaqar's.
    fn drop_all(&self) -> Result<()>;
}
