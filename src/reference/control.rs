//! The control driver of the model: contract 4.

use super::{CONTROL_OPERATIONS, ReferenceModel, fine};
use crate::contract::{Catalogue, ControlDriver, Flavors, Pools, Queues};
use crate::model::ControlHealth;
use crate::model::error::Result;

impl ControlDriver for ReferenceModel {
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

    /// No operation can fail, so none is tried.
    fn health(&self) -> Result<ControlHealth> {
        let (store, _) = self.enter()?;
        Ok(ControlHealth {
            operations: fine(CONTROL_OPERATIONS),
            queues: store.queues.len() as u64,
            pools: store.pools.len() as u64,
            flavors: store.flavors.len() as u64,
            mapped: store.catalogue.len() as u64,
        })
    }

    fn close(&self) -> Result<()> {
        self.close()
    }
}
