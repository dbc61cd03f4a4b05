//! The subject that is compared with the model: an engine, or a pooled driver with several stores on one disk.

use zaqar_sled::{ControlDriver, DataDriver, Engine, PooledDriver, Result, Verification};

pub(crate) enum Subject {
    Engine(Engine),
    Pooled(PooledDriver),
}

impl Subject {
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

    pub(crate) fn verify(&self) -> Result<Verification> {
        match self {
            Self::Engine(engine) => engine.verify(),
            Self::Pooled(driver) => driver.verify(),
        }
    }
}
