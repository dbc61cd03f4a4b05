//! What only a pooled driver does: queues are given pools and moved between them, and dead letters go from store to store.
//!
//! Two things are not compared:
//!
//! - what is seen while a dead letter is on its way, which is for some steps of the driver and no time at all in the
//!   model: after each call the driver makes steps until nothing is on its way but what no pool can be found for;
//! - what pools are chosen by chance: the model takes the one that the driver took, if it finds that it may.

use zaqar_sled::{
    Catalogue, ControlDriver, FlavorName, ListOptions, NewFlavor, NewPool, Pool, PoolUpdate, PoolUri, Project,
    QueueName, ReferenceModel,
};

use crate::compare::same;
use crate::operation::Name;
use crate::registration::Few;
use crate::world::World;

impl World {
    /// The pools that the queues of every run begin with: three that are alike, and one in memory for a flavor.
    pub(crate) fn register(&self) {
        let (driver, model) = (self.subject.control(), ControlDriver::pools(&self.model));
        for (number, uri) in HOMES.into_iter().enumerate() {
            let pool = NewPool::new(PoolUri::new(uri).expect("a valid URI"));
            let pool = pool.group((number == 3).then(|| Few::<2>(0).group()));
            let name = Few::<4>(number).pool();
            same(driver.pools().create(&name, &pool), model.create(&name, &pool));
        }
        let (name, flavor) = (FlavorName::new("g").expect("a valid name"), NewFlavor::new());
        let model = ControlDriver::flavors(&self.model);
        same(driver.flavors().create(&Project::none(), &name, &flavor), model.create(&Project::none(), &name, &flavor));
    }

    pub(crate) fn move_queue(&self, queue: Name, to: Few<4>) {
        if let Some(driver) = self.subject.pooled() {
            let ((project, name), to) = (queue.parts(), to.pool());
            same(driver.move_queue(&project, &name, &to), self.model().move_queue(&project, &name, &to));
        }
    }

    /// The model, once the driver is where the model is at once: letters have arrived, and the model has heard which queue
    /// was given which pool.
    pub(crate) fn model(&self) -> &ReferenceModel {
        if let Some(driver) = self.subject.pooled() {
            let waiting = || driver.status().in_transit();
            let (mut before, mut left) = (u64::MAX, waiting());
            while left > 0 && left < before {
                self.subject.step().expect("no limit");
                (before, left) = (left, waiting());
            }
            for (project, name) in places() {
                if let Ok(entry) = Catalogue::get(driver, &project, &name) {
                    self.model.prefer(&project, &name, entry.pool());
                }
            }
        }
        &self.model
    }

    /// Both have the same queues in the same pools.
    pub(crate) fn mapped_alike(&self) {
        let Some(driver) = self.subject.pooled() else { return };
        // The model delivers what it can when it is called.
        self.model().queues().count(&Project::none()).expect("a model");
        for (project, name) in places() {
            let pool = |driver: &dyn Catalogue| driver.get(&project, &name).ok().map(|entry| entry.pool().clone());
            assert_eq!(pool(driver), pool(&self.model), "{name}");
        }
    }

    /// What was in pools that are nothing but memory is gone when a process has ended.
    pub(crate) fn forget_memory(&self) {
        let pools = ControlDriver::pools(&self.model);
        for pool in self.stores().into_iter().filter(|pool| pool.uri().as_str().starts_with("memory:")) {
            let to = |uri| pools.update(pool.name(), &PoolUpdate::new().uri(uri)).expect("no other pool is there");
            to(PoolUri::new("memory:nowhere").expect("a valid URI"));
            to(pool.uri().clone());
        }
    }

    /// Whether there is a pool that a power cut may take from what was not synced.
    pub(crate) fn has_loose_pools(&self) -> bool {
        let is_set = |text: &str| text.contains("buffered");
        let is_loose = |pool: &Pool| {
            is_set(pool.uri().as_str()) || pool.options().is_some_and(|options| is_set(&options.to_json()))
        };
        self.stores().iter().any(is_loose)
    }

    /// The pools that have stores.
    fn stores(&self) -> Vec<Pool> {
        let all = ListOptions::new().limit(0).detailed(true);
        let pools = ControlDriver::pools(&self.model).list(&all).expect("a model").items;
        if self.subject.pooled().is_some() { pools } else { Vec::new() }
    }
}

fn places() -> impl Iterator<Item = (Project, QueueName)> {
    (0..6).map(|number| Name(number).parts())
}

const HOMES: [&str; 4] = ["sled:/fuzz/1", "sled:/fuzz/2", "localhost", "memory:1"];
