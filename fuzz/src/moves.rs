//! What only a pooled driver does: queues are given pools and moved between them, and dead letters go from store to store.
//!
//! Two things are not compared:
//!
//! - what is seen while a dead letter is on its way, which is for some steps of the driver and no time at all in the
//!   model: after each call the driver makes steps until nothing is on its way but what no pool can be found for;
//! - what pools are chosen by chance: the model takes the one that the driver took, if it finds that it may.

use zaqar_sled::{
    Catalogue, ControlDriver, ListOptions, Pool, PoolUpdate, PoolUri, Project, QueueName, ReferenceModel,
};

use crate::compare::same;
use crate::operation::{Known, Letter, Name, Operation, Settings, Time};
use crate::registration::{Few, Flavoring, Mapping, Options, Pooling};
use crate::world::World;

impl World {
    /// What every run begins with: three pools that are alike, one in memory for a flavor, and a queue in the first whose
    /// messages, the next time they are claimed, go to one in the second.
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
        let letter = Letter { ttl: Time::Hour, delay: None, bytes: 10 };
        self.act(&Operation::Post { queue, client: false, messages: vec![letter; 3] });
        self.act(&Operation::Claim { queue, ttl: Time::Minute, grace: Time::Zero, limit: 3 });
        self.act(&Operation::Release { queue, claim: Known(0) });
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

/// Two directories, the control store and memory, among the URIs there are.
const HOMES: [usize; 4] = [0, 1, 8, 5];
