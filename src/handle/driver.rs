//! The driver that a handle calls: an engine or a pooled driver.

use crate::contract::{DataDriver, ExtendedDriver};
use crate::data::backend::Backend;
use crate::data::batches::commit;
use crate::data::claims::create_claim;
use crate::data::queues::next_due;
use crate::engine::Engine;
use crate::model::error::Result;
use crate::model::{BatchOutcome, BatchStep, ClaimOptions, ClaimRecord, Durability, Project, QueueName};
use crate::pooled::PooledDriver;
use crate::store::Store;

#[derive(Debug, Clone)]
pub(super) enum Driver {
    Engine(Engine),
    Pooled(PooledDriver),
}

impl Driver {
    pub(super) fn data(&self) -> &dyn DataDriver {
        match self {
            Self::Engine(engine) => engine,
            Self::Pooled(driver) => driver,
        }
    }

    /// Whether both are the same store, or the same pooled driver.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Engine(one), Self::Engine(other)) => one.is_same(other),
            (Self::Pooled(one), Self::Pooled(other)) => one.is_same(other),
            _ => false,
        }
    }

    /// The same driver, whose changes do not wait for the disk.
    pub(super) fn buffered(&self) -> Self {
        match self {
            Self::Engine(engine) => Self::Engine(engine.with_durability(Durability::Buffered)),
            Self::Pooled(driver) => Self::Pooled(driver.with_durability(Durability::Buffered)),
        }
    }

    pub(super) fn extended(&self) -> &dyn ExtendedDriver {
        match self {
            Self::Engine(engine) => engine,
            Self::Pooled(driver) => driver,
        }
    }

    /// The store whose limits and clock apply.
    pub(super) fn control_store(&self) -> &Store {
        match self {
            Self::Engine(engine) => engine.control_store(),
            Self::Pooled(driver) => driver.control_store(),
        }
    }

    /// `Closed` once closing has begun.
    pub(super) fn check_open(&self) -> Result<()> {
        match self {
            Self::Engine(engine) => engine.control_store().enter().map(drop),
            Self::Pooled(driver) => driver.shared().enter().map(drop),
        }
    }

    pub(super) fn commit(&self, steps: &[&BatchStep]) -> Result<BatchOutcome> {
        match self {
            Self::Engine(engine) => commit(engine, steps),
            Self::Pooled(driver) => commit(driver, steps),
        }
    }

    /// The next instant at which something in the queue falls due.
    pub(super) fn next_due(&self, project: &Project, name: &QueueName) -> Result<Option<u64>> {
        match self {
            Self::Engine(engine) => next_due(engine, project, name),
            Self::Pooled(driver) => next_due(driver, project, name),
        }
    }

    /// Claims messages. Also returns the next instant at which more can be claimed or something falls due.
    pub(super) fn create_claim(
        &self,
        project: &Project,
        name: &QueueName,
        options: &ClaimOptions,
    ) -> Result<(Option<ClaimRecord>, Option<u64>)> {
        match self {
            Self::Engine(engine) => create_claim(engine, project, name, options),
            Self::Pooled(driver) => create_claim(driver, project, name, options),
        }
    }
}
