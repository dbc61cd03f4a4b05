//! The control plane of a pooled driver: that of its control store, with the open stores brought after every change.

use crate::contract::{Catalogue, Flavors, Pools};
use crate::model::error::Result;
use crate::model::{
    Capabilities, CatalogueEntry, Flavor, FlavorMarker, FlavorName, FlavorUpdate, ListOptions, NewFlavor, NewPool,
    Page, Pool, PoolGroup, PoolMarker, PoolName, PoolUpdate, Project, QueueName,
};

use crate::storage::keys;

use super::PooledDriver;

impl Pools for PooledDriver {
    fn create(&self, name: &PoolName, pool: &NewPool) -> Result<()> {
        let _call = self.shared().enter()?;
        Pools::create(&self.control(), name, pool)?;
        self.shared().refresh_pools();
        // Queues that are mapped to a pool may be within reach again.
        self.shared().recount_all();
        Ok(())
    }

    fn get(&self, name: &PoolName, detailed: bool) -> Result<Pool> {
        Pools::get(&self.control(), name, detailed)
    }

    fn exists(&self, name: &PoolName) -> Result<bool> {
        Pools::exists(&self.control(), name)
    }

    fn list(&self, options: &ListOptions<PoolMarker>) -> Result<Page<Pool, PoolMarker>> {
        Pools::list(&self.control(), options)
    }

    fn get_pools_by_group(&self, group: Option<&PoolGroup>, detailed: bool) -> Result<Vec<Pool>> {
        self.control().get_pools_by_group(group, detailed)
    }

    fn update(&self, name: &PoolName, update: &PoolUpdate) -> Result<()> {
        let _call = self.shared().enter()?;
        Pools::update(&self.control(), name, update)?;
        self.shared().refresh_pools();
        self.shared().recount_all();
        Ok(())
    }

    fn delete(&self, name: &PoolName) -> Result<()> {
        let _call = self.shared().enter()?;
        Pools::delete(&self.control(), name)?;
        self.shared().refresh_pools();
        Ok(())
    }

    fn capabilities(&self, group: Option<&PoolGroup>, name: Option<&PoolName>) -> Result<Capabilities> {
        Pools::capabilities(&self.control(), group, name)
    }

    fn drop_all(&self) -> Result<()> {
        let _call = self.shared().enter()?;
        Pools::drop_all(&self.control())?;
        self.shared().refresh_pools();
        Ok(())
    }
}

impl Flavors for PooledDriver {
    fn create(&self, project: &Project, name: &FlavorName, flavor: &NewFlavor) -> Result<()> {
        Flavors::create(&self.control(), project, name, flavor)
    }

    fn get(&self, project: &Project, name: &FlavorName, detailed: bool) -> Result<Flavor> {
        Flavors::get(&self.control(), project, name, detailed)
    }

    fn exists(&self, project: &Project, name: &FlavorName) -> Result<bool> {
        Flavors::exists(&self.control(), project, name)
    }

    fn list(&self, project: &Project, options: &ListOptions<FlavorMarker>) -> Result<Page<Flavor, FlavorMarker>> {
        Flavors::list(&self.control(), project, options)
    }

    fn update(&self, project: &Project, name: &FlavorName, update: &FlavorUpdate) -> Result<()> {
        Flavors::update(&self.control(), project, name, update)
    }

    fn delete(&self, project: &Project, name: &FlavorName) -> Result<()> {
        Flavors::delete(&self.control(), project, name)
    }

    fn drop_all(&self) -> Result<()> {
        Flavors::drop_all(&self.control())
    }
}

impl Catalogue for PooledDriver {
    fn insert(&self, project: &Project, queue: &QueueName, pool: &PoolName) -> Result<()> {
        self.rerouting(project, queue, || Catalogue::insert(&self.control(), project, queue, pool))
    }

    fn get(&self, project: &Project, queue: &QueueName) -> Result<CatalogueEntry> {
        Catalogue::get(&self.control(), project, queue)
    }

    fn exists(&self, project: &Project, queue: &QueueName) -> Result<bool> {
        Catalogue::exists(&self.control(), project, queue)
    }

    fn list(&self, project: &Project) -> Result<Vec<CatalogueEntry>> {
        Catalogue::list(&self.control(), project)
    }

    fn update(&self, project: &Project, queue: &QueueName, pool: Option<&PoolName>) -> Result<()> {
        self.rerouting(project, queue, || Catalogue::update(&self.control(), project, queue, pool))
    }

    fn delete(&self, project: &Project, queue: &QueueName) -> Result<()> {
        self.rerouting(project, queue, || self.control().unmap(project, queue, self.shared().config.virtual_pool))
    }

    fn drop_all(&self) -> Result<()> {
        let _call = self.shared().enter()?;
        // Subscriptions that cannot move stay in the control store until the next mapping.
        let _ = self.shared().move_all_subscriptions();
        self.control().unmap_all(self.shared().config.virtual_pool)?;
        self.shared().recount_all();
        // The queues' waiters look up their new places.
        self.shared().control.store().waiters.wake_all();
        Ok(())
    }
}

impl PooledDriver {
    /// Changes the mapping of a queue. Subscriptions from before the queue had a pool move to the former pool, if they
    /// have not moved yet, and to the new pool. If that is impossible now, calls on subscriptions do it.
    fn rerouting(&self, project: &Project, queue: &QueueName, route: impl FnOnce() -> Result<()>) -> Result<()> {
        let _call = self.shared().enter()?;
        let key = keys::queue(project, queue);
        self.shared().try_move_subscriptions(&key);
        route()?;
        self.shared().recount(&key);
        self.shared().try_move_subscriptions(&key);
        // The queue's waiters look up its new place.
        self.shared().control.store().wake_all_of(project, queue);
        Ok(())
    }
}
