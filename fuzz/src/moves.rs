//! The work that only a pooled driver does: it assigns queues to pools, moves them between pools, and sends dead
//! letters from store to store.
//!
//! Two things are not compared:
//!
//! - the states while a dead letter is in transit, which takes some steps of the driver and no time in the model: after
//!   each call the driver makes steps until only dead letters without a pool are in transit;
//! - the random choice of a pool: the model takes the pool that the driver took, if that pool is allowed.

use zaqar_sled::{
    Catalogue, ControlDriver, ListOptions, Pool, PoolUpdate, PoolUri, Project, QueueName, ReferenceModel,
};

use crate::compare::same;
use crate::operation::{Known, MessageSpec, Name, Operation, Settings, Time};
use crate::registration::{Few, Flavoring, Mapping, Options, Pooling};
use crate::world::World;

impl World {
    /// The start of every run: three equal pools, one memory pool for a flavor, and a queue in the first pool whose
    /// messages move at the next claim to a queue in the second.
    pub(crate) fn begin(&mut self) {
        for (name, uri) in HOMES.into_iter().enumerate() {
            let (name, uri, group) = (Few(name), Few(uri), (name == 3).then_some(Few(0)));
            self.act(&Operation::Pools(Pooling::Create { name, uri, weight: 1, group, options: Options::None }));
        }
        let flavor = Flavoring::Create { named: false, name: Few(0), group: None, capabilities: Options::None };
        self.act(&Operation::Flavors(flavor));
        let worn = Settings::DeadLetters { after: 1, to: 1, ttl: None };
        for (number, metadata) in [worn, Settings::None].into_iter().enumerate() {
            let queue = Name(number as u8);
            self.act(&Operation::Catalogue(Mapping::Insert { queue, pool: Few(number) }));
            self.act(&Operation::Create { queue, metadata });
        }
        let queue = Name(0);
        let message = MessageSpec { ttl: Time::Hour, delay: None, bytes: 10 };
        self.act(&Operation::Post { queue, client: false, messages: vec![message; 3] });
        self.act(&Operation::Claim { queue, ttl: Time::Minute, grace: Time::Zero, limit: 3 });
        self.act(&Operation::Release { queue, claim: Known(0) });
    }

    pub(crate) fn move_queue(&self, queue: Name, to: Few<4>) {
        if let Some(driver) = self.subject.pooled() {
            let ((project, name), to) = (queue.parts(), to.pool());
            same(driver.move_queue(&project, &name, &to), self.model().move_queue(&project, &name, &to));
        }
    }

    /// The model, after the driver's dead letters have arrived and the model knows the pools that the driver chose.
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

    /// Checks that both have the same queues in the same pools.
    pub(crate) fn mapped_alike(&self) {
        let Some(driver) = self.subject.pooled() else { return };
        // The model delivers dead letters when it is called.
        self.model().queues().count(&Project::none()).expect("a model");
        for (project, name) in places() {
            let pool = |driver: &dyn Catalogue| driver.get(&project, &name).ok().map(|entry| entry.pool().clone());
            assert_eq!(pool(driver), pool(&self.model), "{name}");
        }
    }

    /// Drops the contents of memory pools, which end with the process.
    pub(crate) fn forget_memory(&self) {
        let pools = ControlDriver::pools(&self.model);
        for pool in self.stores().into_iter().filter(|pool| pool.uri().as_str().starts_with("memory:")) {
            let to = |uri| pools.update(pool.name(), &PoolUpdate::new().uri(uri)).expect("no other pool is there");
            to(PoolUri::new("memory:nowhere").expect("a valid URI"));
            to(pool.uri().clone());
        }
    }

    /// Whether there is a pool whose unsynced changes a power cut may lose.
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

/// Two directories, the control store and memory, among the URIs there are.
const HOMES: [usize; 4] = [0, 1, 8, 5];
