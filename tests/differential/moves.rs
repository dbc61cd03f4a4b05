//! What only a pooled driver does: queues are given pools and moved between them, and dead letters go from store to store.
//!
//! Two things are not compared:
//!
//! - what is seen while a dead letter is on its way, which is for some steps of the driver and no time at all in the
//!   model: after each call the driver makes steps until nothing is on its way but what no pool can be found for;
//! - what pools are chosen by chance: the model takes the one that the driver took, if it finds that it may.

use zaqar_sled::{Catalogue, ControlDriver, ListOptions, Pool, PoolUpdate, PoolUri, Project, QueueName};

use crate::calls::{Place, places};
use crate::pair::{Check, Pair, equal};
use crate::pools::{POOLS, home_of, pool_name};

impl Pair<'_> {
    pub(crate) fn move_queue(&mut self, place: Place, to: usize) -> Check {
        let Some(driver) = self.subject.pooled().cloned() else { return Ok(()) };
        let (project, name, to) = (place.project(), place.name(), pool_name(to));
        let driver = driver.move_queue(&project, &name, &to);
        self.arrive();
        let model = self.model.move_queue(&project, &name, &to);
        self.compare(driver, model, crate::pair::same)
    }

    /// The pools that the queues of every case begin with.
    pub(crate) fn register(&mut self) -> Check {
        let pools = if self.case.pooled { POOLS.len() } else { 0 };
        (0..pools).try_for_each(|name| self.call_pools(&home_of(name, 1)))
    }

    /// What was in pools that are nothing but memory is gone when a process has ended.
    pub(crate) fn forget_memory(&self) -> zaqar_sled::Result<()> {
        let (pools, nowhere) = (ControlDriver::pools(&self.model), PoolUri::new("memory:nowhere")?);
        for pool in self.pooled_pools()? {
            if pool.uri().as_str().starts_with("memory:") {
                pools.update(pool.name(), &PoolUpdate::new().uri(nowhere.clone()))?;
                pools.update(pool.name(), &PoolUpdate::new().uri(pool.uri().clone()))?;
            }
        }
        Ok(())
    }

    /// A power cut takes from pools that are set so what was not synced.
    pub(crate) fn note_loose_pools(&mut self) -> zaqar_sled::Result<()> {
        let loose = self.pooled_pools()?.iter().any(|pool| pool.uri().as_str().contains("durability=buffered"));
        self.has_been_loose |= loose;
        Ok(())
    }

    /// The pools that have stores.
    fn pooled_pools(&self) -> zaqar_sled::Result<Vec<Pool>> {
        let options = ListOptions::new().limit(POOLS.len());
        let pools = ControlDriver::pools(&self.model).list(&options)?.items;
        Ok(if self.case.pooled { pools } else { Vec::new() })
    }

    /// Has pools cleaned of what deleted and moved queues have left in them, of which the model knows nothing.
    pub(crate) fn clean_up(&self) {
        if let Some(driver) = self.subject.pooled() {
            // It fails where a letter has no pool.
            let _ = driver.step();
        }
    }

    /// Brings the driver to where the model is at once: letters arrive, and the model hears who was given which pool.
    pub(crate) fn arrive(&self) {
        let Some(driver) = self.subject.pooled() else { return };
        let mut waiting = driver.status().in_transit();
        while waiting > 0 {
            // It fails where there is no pool for a letter, which goes on waiting.
            let _ = driver.step();
            let left = driver.status().in_transit();
            if left == waiting {
                break;
            }
            waiting = left;
        }
        for (project, name) in places() {
            if let Ok(entry) = Catalogue::get(driver, &project, &name) {
                self.model.prefer(&project, &name, entry.pool());
            }
        }
    }

    /// After a call both have made: they have the same queues in the same pools.
    pub(crate) fn mapped_alike(&self) -> Check {
        let Some(driver) = self.subject.pooled() else { return Ok(()) };
        // The model delivers what it can when it is called.
        self.model.queues().count(&Project::none()).map_err(|error| error.to_string())?;
        let pool = |driver: &dyn Catalogue, (project, name): &(Project, QueueName)| {
            driver.get(project, name).ok().map(|entry| entry.pool().to_string())
        };
        places().try_for_each(|at| equal((at.clone(), pool(driver, &at)), (at.clone(), pool(&self.model, &at))))
    }
}
