//! The control driver (contract 4).

use crate::contract::{Catalogue, ControlDriver, Flavors, Pools, Queues};
use crate::data::HealthCheck;
use crate::engine::Engine;
use crate::model::ControlHealth;
use crate::model::error::Result;

impl ControlDriver for Engine {
    fn catalogue(&self) -> &dyn Catalogue {
        self
    }

    fn pools(&self) -> &dyn Pools {
        self
    }

    fn flavors(&self) -> &dyn Flavors {
        self
    }

    fn queues(&self) -> &dyn Queues {
        self
    }

    fn health(&self) -> Result<ControlHealth> {
        let store = self.store().enter()?;
        let operations = HealthCheck::new(self, &store.random).run_control(self)?;
        let queues = store.count_queues();
        let registry = store.registry.read();
        Ok(ControlHealth {
            operations,
            queues,
            pools: registry.pools.len() as u64,
            flavors: registry.flavors.len() as u64,
            mapped: registry.catalogue.len() as u64,
        })
    }

    fn close(&self) -> Result<()> {
        self.shut_down()
    }
}
