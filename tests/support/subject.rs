//! The subject that is compared with the model: an engine, or a pooled driver with several stores on one disk.
//!
//! Only a pooled driver assigns queues to pools, moves them between pools, and sends dead letters from store to store.
//! Two parts of this work are not compared:
//!
//! - the states while a dead letter is in transit, which takes some steps of the driver and no time in the model: after
//!   each call the driver makes steps until only dead letters without a pool are in transit;
//! - the random choice of a pool: the model takes the pool that the driver took, if that pool is allowed.

use zaqar_sled::{
    Catalogue, ControlDriver, Engine, ExtendedDriver, ListOptions, Pool, PoolUpdate, PoolUri, PooledDriver, Project,
    QueueName, ReferenceModel, Result, Verification,
};

pub(crate) enum Subject {
    Engine(Engine),
    Pooled(PooledDriver),
}

impl Subject {
    pub(crate) fn data(&self) -> &dyn ExtendedDriver {
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

/// What a pooled driver needs beside the model. An engine has no pools with stores and no dead letters in transit.
impl Subject {
    /// Makes steps until only dead letters without a pool are in transit; returns how many.
    pub(crate) fn deliver(&self) -> Result<u64> {
        let Self::Pooled(driver) = self else { return Ok(0) };
        let (mut before, mut left) = (u64::MAX, driver.status().in_transit());
        while left > 0 && left < before {
            self.step()?;
            (before, left) = (left, driver.status().in_transit());
        }
        Ok(left)
    }

    /// Tells the model which pools the driver chose for these queues.
    pub(crate) fn show_pools(&self, model: &ReferenceModel, queues: impl Iterator<Item = (Project, QueueName)>) {
        let Self::Pooled(driver) = self else { return };
        for (project, name) in queues {
            if let Ok(entry) = Catalogue::get(driver, &project, &name) {
                model.prefer(&project, &name, entry.pool());
            }
        }
    }

    /// One of these queues that the driver and the model have in different pools, if there is one.
    pub(crate) fn mapped_apart(
        &self,
        model: &ReferenceModel,
        mut queues: impl Iterator<Item = (Project, QueueName)>,
    ) -> Result<Option<String>> {
        let Self::Pooled(driver) = self else { return Ok(None) };
        // The model delivers dead letters when it is called.
        model.queues().count(&Project::none())?;
        Ok(queues.find_map(|(project, name)| {
            let pool = |of: &dyn Catalogue| of.get(&project, &name).ok().map(|entry| entry.pool().clone());
            let (ours, models) = (pool(driver), pool(model));
            (ours != models).then(|| format!("{project:?} {name} is in {ours:?}, in the model in {models:?}"))
        }))
    }

    /// Drops the contents of memory pools, which end with the process.
    pub(crate) fn forget_memory(&self, model: &ReferenceModel) -> Result<()> {
        let (pools, nowhere) = (ControlDriver::pools(model), PoolUri::new("memory:nowhere")?);
        for pool in self.stores(model)?.into_iter().filter(|pool| pool.uri().as_str().starts_with("memory:")) {
            pools.update(pool.name(), &PoolUpdate::new().uri(nowhere.clone()))?;
            pools.update(pool.name(), &PoolUpdate::new().uri(pool.uri().clone()))?;
        }
        Ok(())
    }

    /// Whether there is a pool whose unsynced changes a power cut may lose.
    pub(crate) fn has_loose_pools(&self, model: &ReferenceModel) -> Result<bool> {
        let is_set = |text: &str| text.contains("buffered");
        let is_loose = |pool: &Pool| {
            is_set(pool.uri().as_str()) || pool.options().is_some_and(|options| is_set(&options.to_json()))
        };
        Ok(self.stores(model)?.iter().any(is_loose))
    }

    /// The pools that have stores.
    fn stores(&self, model: &ReferenceModel) -> Result<Vec<Pool>> {
        let Self::Pooled(_) = self else { return Ok(Vec::new()) };
        Ok(ControlDriver::pools(model).list(&ListOptions::new().limit(MOST_POOLS).detailed(true))?.items)
    }
}

/// More than there ever are.
const MOST_POOLS: usize = 16;
