//! Short words for the control plane.

use std::sync::Arc;

use zaqar_sled::{
    CatalogueEntry, ControlDriver, Flavor, FlavorName, FlavorUpdate, ListOptions, NewFlavor, NewPool, Pool, PoolGroup,
    PoolName, PoolUpdate, Project, Result,
};

use super::{Harness, Open, Queue, json, name_of};

impl Harness {
    /// The control plane of the driver that is open now.
    pub(crate) fn control(&self) -> Arc<dyn ControlDriver> {
        match &*self.open.lock() {
            Open::Model(model) => model.clone(),
            Open::Engine(engine, _) => engine.clone(),
            Open::Pooled(driver, _) => driver.clone(),
        }
    }

    /// Registers a pool, which must succeed.
    pub(crate) fn register(&self, name: &str, pool: NewPool) {
        self.try_register(name, pool).unwrap();
    }

    pub(crate) fn try_register(&self, name: &str, pool: NewPool) -> Result<()> {
        self.control().pools().create(&pool_name(name), &pool)
    }

    /// One pool with its options.
    pub(crate) fn pool(&self, name: &str) -> Result<Pool> {
        self.control().pools().get(&pool_name(name), true)
    }

    pub(crate) fn change_pool(&self, name: &str, update: &PoolUpdate) -> Result<()> {
        self.control().pools().update(&pool_name(name), update)
    }

    pub(crate) fn remove_pool(&self, name: &str) -> Result<()> {
        self.control().pools().delete(&pool_name(name))
    }

    pub(crate) fn has_pool(&self, name: &str) -> bool {
        self.control().pools().exists(&pool_name(name)).unwrap()
    }

    /// The names of all pools.
    pub(crate) fn pools(&self) -> Vec<String> {
        let page = self.control().pools().list(&ListOptions::new().limit(0)).unwrap();
        page.into_iter().map(|pool| pool.name().to_string()).collect()
    }

    /// The names of the group's pools; of those of none for `""`.
    pub(crate) fn pools_of(&self, name: &str) -> Vec<String> {
        let group = (!name.is_empty()).then(|| group(name));
        let pools = self.control().pools().get_pools_by_group(group.as_ref(), false).unwrap();
        pools.into_iter().map(|pool| pool.name().to_string()).collect()
    }

    /// Registers a flavor, which must succeed.
    pub(crate) fn offer(&self, project: &Project, name: &str, flavor: NewFlavor) {
        self.try_offer(project, name, flavor).unwrap();
    }

    pub(crate) fn try_offer(&self, project: &Project, name: &str, flavor: NewFlavor) -> Result<()> {
        self.control().flavors().create(project, &flavor_name(name), &flavor)
    }

    /// One flavor with its capabilities.
    pub(crate) fn flavor(&self, project: &Project, name: &str) -> Result<Flavor> {
        self.control().flavors().get(project, &flavor_name(name), true)
    }

    pub(crate) fn change_flavor(&self, project: &Project, name: &str, update: &FlavorUpdate) -> Result<()> {
        self.control().flavors().update(project, &flavor_name(name), update)
    }

    pub(crate) fn remove_flavor(&self, project: &Project, name: &str) -> Result<()> {
        self.control().flavors().delete(project, &flavor_name(name))
    }

    pub(crate) fn has_flavor(&self, project: &Project, name: &str) -> bool {
        self.control().flavors().exists(project, &flavor_name(name)).unwrap()
    }

    /// The names of all flavors of the project.
    pub(crate) fn flavors(&self, project: &Project) -> Vec<String> {
        let page = self.control().flavors().list(project, &ListOptions::new().limit(0)).unwrap();
        page.into_iter().map(|flavor| flavor.name().to_string()).collect()
    }

    /// The project's mapped queues, each with its pool.
    pub(crate) fn mapped(&self, project: &Project) -> Vec<(String, String)> {
        let entries = self.control().catalogue().list(project).unwrap();
        entries.iter().map(|entry| (entry.queue().to_string(), entry.pool().to_string())).collect()
    }
}

impl Queue<'_> {
    /// Maps it to a pool, which must succeed.
    pub(crate) fn map_to(&self, pool: &str) {
        self.try_map_to(pool).unwrap();
    }

    pub(crate) fn try_map_to(&self, pool: &str) -> Result<()> {
        self.harness.control().catalogue().insert(&self.project, &self.name, &pool_name(pool))
    }

    pub(crate) fn entry(&self) -> Result<CatalogueEntry> {
        self.harness.control().catalogue().get(&self.project, &self.name)
    }

    /// The pool it is mapped to.
    pub(crate) fn pool(&self) -> String {
        self.entry().unwrap().pool().to_string()
    }

    pub(crate) fn is_mapped(&self) -> bool {
        self.harness.control().catalogue().exists(&self.project, &self.name).unwrap()
    }

    /// Moves the queue with its content.
    pub(crate) fn move_to(&self, pool: &str) {
        let pool = pool_name(pool);
        match &*self.harness.open.lock() {
            Open::Model(model) => model.move_queue(&self.project, &self.name, &pool),
            Open::Engine(..) => panic!("an engine has no pools"),
            Open::Pooled(driver, _) => driver.move_queue(&self.project, &self.name, &pool),
        }
        .unwrap();
    }

    pub(crate) fn remap(&self, pool: Option<&str>) -> Result<()> {
        self.harness.control().catalogue().update(&self.project, &self.name, pool.map(pool_name).as_ref())
    }

    pub(crate) fn unmap(&self) -> Result<()> {
        self.harness.control().catalogue().delete(&self.project, &self.name)
    }
}

/// A pool there, of weight 1 and in no group.
pub(crate) fn at(uri: &str) -> NewPool {
    NewPool::new(uri.parse().unwrap())
}

/// A pool there, of weight 1, in that group.
pub(crate) fn at_in(uri: &str, name: &str) -> NewPool {
    at(uri).group(group(name))
}

/// A flavor of that group without capabilities.
pub(crate) fn of(name: &str) -> NewFlavor {
    NewFlavor::of(group(name))
}

/// An update that gives a pool another URI.
pub(crate) fn moved_to(uri: &str) -> PoolUpdate {
    PoolUpdate::new().uri(uri.parse().unwrap())
}

pub(crate) fn promising(capabilities: &str) -> FlavorUpdate {
    FlavorUpdate::new().capabilities(json(capabilities))
}

pub(crate) fn pool_name(name: &str) -> PoolName {
    PoolName::new(name).unwrap()
}

pub(crate) fn group(name: &str) -> PoolGroup {
    PoolGroup::new(name).unwrap()
}

pub(crate) fn flavor_name(name: &str) -> FlavorName {
    FlavorName::new(name).unwrap()
}

/// The expected list of mapped queues.
pub(crate) fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(queue, pool)| (name_of(queue).to_string(), (*pool).to_owned())).collect()
}
