//! Export of a pooled driver: the control store's rows, and the content of each queue from its pool.
//!
//! 1. What is on its way between the stores is brought to its place before: pending removals, dead letters in outboxes,
//!    and subscriptions of queues that were mapped since.
//! 2. A queue is read by the way of a call that reads it. So it is found in its pool, also while it is moved.

use std::io::Write;

use super::PooledDriver;
use super::shared::Shared;
use crate::data::ExportReport;
use crate::data::export::Export;
use crate::model::error::Result;
use crate::model::{Location, PoolUri};
use crate::state::{PoolRow, Registry};

impl PooledDriver {
    /// Writes everything in the control store and in the stores of all pools to `writer`, as
    /// [`Engine::export`](crate::Engine::export) does for one store: pools, flavors and the catalogue, then the queues,
    /// each with its content from its pool.
    ///
    /// Dead letters that are on their way to another pool are delivered first. Pools in memory are left out, as in a
    /// [`backup`](Self::backup): of their queues there are the names and metadata. So are queues whose pool is not
    /// registered any more. Where the stores of the pools are is in the lines of the pools.
    ///
    /// Cost: as [`Engine::export`](crate::Engine::export), for all stores. Archived queues come into memory until the
    /// next snapshots.
    ///
    /// Durability: everything in the export is durable in the stores when the call returns.
    ///
    /// # Errors
    /// as [`Engine::export`](crate::Engine::export); [`is_busy`](crate::Error::is_busy) as
    /// [`PoolUnavailable`](crate::Error::PoolUnavailable) with the name of a pool whose store is out of reach.
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
    /// let mut lines = Vec::new();
    /// driver.export(&mut lines)?;
    ///
    /// let places = [(one, "/copy-one".into())];
    /// config.clone().import_pooled("/copy", lines.as_slice(), places)?;
    /// let copy = config.open_pooled("/copy")?;
    /// assert_eq!(copy.queue(Project::none(), "orders")?.stats()?.total(), 1);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn export(&self, mut writer: impl Write) -> Result<ExportReport> {
        let shared = self.shared();
        let _call = shared.enter()?;
        shared.pools.forget_failures();
        shared.all_pools().into_iter().try_for_each(|(_, pool)| pool.map(drop))?;
        shared.resume()?;
        shared.move_all_subscriptions()?;
        let goes_on = || shared.check_open();
        let incarnation = shared.highest_incarnation();
        let export = Export { backend: self, incarnation, goes_on: &goes_on, is_left_out: is_out_of_reach };
        export.write(&mut writer, &|| self.sync())
    }
}

impl Shared {
    /// The highest incarnation of any number in any of the stores.
    fn highest_incarnation(&self) -> u32 {
        let of = |engine: &crate::engine::Engine| {
            let store = engine.store();
            store.incarnation().max(store.context.incarnation).max(store.registry.read().incarnation())
        };
        self.engines().iter().map(of).max().unwrap_or(0)
    }
}

/// Whether the content of the queue with this key is in no store that lasts.
pub(super) fn is_out_of_reach(registry: &Registry, key: &[u8]) -> bool {
    let Some(mapping) = registry.catalogue.get(key) else { return false };
    let row: Option<&PoolRow> = registry.pools.get(mapping.pool.as_str().as_bytes());
    let is_in_memory =
        |row: &PoolRow| PoolUri::new(&row.uri).is_ok_and(|uri| matches!(uri.location(), Location::Memory(_)));
    row.is_none_or(is_in_memory)
}
