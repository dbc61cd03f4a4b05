//! The subject that is compared with the model: an engine, or a pooled driver with several stores on one disk.

use std::sync::Arc;

use zaqar_sled::{
    Clock, Config, ControlDriver, DataDriver, Durability, Engine, PooledDriver, Result, SimulatedDisk, Verification,
};

use crate::calls::Case;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Engine,
    /// An engine whose clock advances at each reading.
    Ticking,
    Pooled,
}

pub(crate) enum Subject {
    Engine(Engine),
    Pooled(PooledDriver),
}

impl Subject {
    /// Opens the case's subject for the `opening`th time.
    pub(crate) fn open(case: &Case, clock: &Arc<dyn Clock>, disk: &SimulatedDisk, opening: u64) -> Self {
        let config = Config::new().disk(Arc::new(disk.clone())).clock(clock.clone()).background(false);
        let config = config.durability(if case.buffered { Durability::Buffered } else { Durability::Sync });
        let config = config.limits(case.limits()).checksums(case.checksums);
        let config = config.segment_size(case.segment_bytes).memory(case.memory);
        match case.kind {
            Kind::Engine | Kind::Ticking => Self::Engine(config.open("/store").expect("the store opens")),
            // The choice of pools has to repeat when a failing case is made smaller; ids must not repeat, so every
            // opening has its own.
            Kind::Pooled => Self::Pooled(config.seed(opening).open_pooled("/store").expect("the stores open")),
        }
    }

    pub(crate) fn data(&self) -> &dyn DataDriver {
        match self {
            Self::Engine(engine) => engine,
            Self::Pooled(driver) => driver,
        }
    }

    pub(crate) fn control(&self) -> &dyn ControlDriver {
        match self {
            Self::Engine(engine) => engine,
            Self::Pooled(driver) => driver,
        }
    }

    pub(crate) fn pooled(&self) -> Option<&PooledDriver> {
        match self {
            Self::Engine(_) => None,
            Self::Pooled(driver) => Some(driver),
        }
    }

    /// A checkpoint; a driver of several stores makes a step instead.
    pub(crate) fn checkpoint(&self) -> Result<()> {
        match self {
            Self::Engine(engine) => engine.checkpoint(),
            Self::Pooled(_) => self.step(),
        }
    }

    pub(crate) fn snapshot(&self) -> Result<()> {
        match self {
            Self::Engine(engine) => engine.snapshot(),
            Self::Pooled(_) => self.step(),
        }
    }

    /// Makes a step, which may fail only while a dead letter waits for a pool.
    pub(crate) fn step(&self) -> Result<()> {
        match self {
            Self::Engine(engine) => engine.step(),
            Self::Pooled(driver) => match driver.step() {
                Err(_) if driver.status().in_transit() > 0 => Ok(()),
                outcome => outcome,
            },
        }
    }

    pub(crate) fn verify(&self) -> Result<Verification> {
        match self {
            Self::Engine(engine) => engine.verify(),
            Self::Pooled(driver) => driver.verify(),
        }
    }
}
