//! The data and the control driver over all pools.

use crate::contract::{
    Batches, Bookmarks, Catalogue, Claims, ControlDriver, DataDriver, DeadLetters, Diagnostics, ExtendedDriver,
    Flavors, FlowControl, Messages, Pools, Projects, Queues, Retries, Sealed, Subscriptions, Topics,
};
use crate::data::HealthCheck;
use crate::model::error::{Error, Result};
use crate::model::{Capabilities, ControlHealth, GcReport, Health, MessageVolume, Metadata, PoolHealth, PoolName};

use super::PooledDriver;

impl Sealed for PooledDriver {}
impl ExtendedDriver for PooledDriver {
    fn retries(&self) -> &dyn Retries {
        self
    }

    fn batches(&self) -> &dyn Batches {
        self
    }

    fn bookmarks(&self) -> &dyn Bookmarks {
        self
    }

    fn dead_letters(&self) -> &dyn DeadLetters {
        self
    }

    fn flow_control(&self) -> &dyn FlowControl {
        self
    }

    fn diagnostics(&self) -> &dyn Diagnostics {
        self
    }

    fn topics(&self) -> &dyn Topics {
        self
    }

    fn projects(&self) -> &dyn Projects {
        self
    }
}

impl DataDriver for PooledDriver {
    fn queues(&self) -> &dyn Queues {
        self
    }

    fn messages(&self) -> &dyn Messages {
        self
    }

    fn claims(&self) -> &dyn Claims {
        self
    }

    fn subscriptions(&self) -> &dyn Subscriptions {
        self
    }

    fn is_alive(&self) -> bool {
        self.shared().enter().is_ok_and(|_call| self.shared().all_alive())
    }

    fn health(&self) -> Result<Health> {
        let _call = self.shared().enter()?;
        let control = ControlDriver::health(self)?;
        let pools: Vec<PoolHealth> = self
            .shared()
            .all_pools()
            .into_iter()
            .map(|(name, pool)| self.pool_health(&name, pool))
            .collect::<Result<_>>()?;
        // The queues of the health check are deleted; their pools' sides are removed too.
        let _ = self.shared().resume();
        let volume = pools.iter().fold(self.control().volume(), |sum, pool| add(sum, pool.volume));
        let reachable = control.catalogue_reachable() && pools.iter().all(PoolHealth::is_reachable);
        Ok(Health { storage_reachable: reachable, operations: control.operations, volume, pools })
    }

    fn gc(&self) -> Result<GcReport> {
        let _call = self.shared().enter()?;
        let mut sum = GcReport::default();
        // Opens every pool that can be opened.
        drop(self.shared().all_pools());
        for engine in self.shared().engines() {
            let GcReport { messages, claims, subscriptions, queues } = engine.gc()?;
            sum.messages = sum.messages.saturating_add(messages);
            sum.claims = sum.claims.saturating_add(claims);
            sum.subscriptions = sum.subscriptions.saturating_add(subscriptions);
            sum.queues = sum.queues.saturating_add(queues);
        }
        Ok(sum)
    }

    fn close(&self) -> Result<()> {
        self.opened.close()
    }

    /// All five: which a queue has depends on its pool (contract 4).
    fn capabilities(&self) -> Capabilities {
        Capabilities::all()
    }
}

impl ControlDriver for PooledDriver {
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
        ControlDriver::health(&self.control())
    }

    fn close(&self) -> Result<()> {
        self.opened.close()
    }
}

impl PooledDriver {
    fn pool_health(&self, name: &str, pool: Result<std::sync::Arc<super::pool::Pool>>) -> Result<PoolHealth> {
        let of = |error, operations, volume| Ok(PoolHealth { name: PoolName::new(name)?, error, operations, volume });
        let pool = match pool {
            Ok(pool) => pool,
            Err(error) => return of(Some(cause(&error)), Vec::new(), MessageVolume::default()),
        };
        let random = &self.shared().control.store().random;
        let operations = HealthCheck::new(self, random).run(|project, queue| {
            let registered = self.shared().register_in(project, queue, &Metadata::new(), Some(name), false)?;
            Ok(registered.made)
        })?;
        let error = (!pool.engine().is_alive()).then(|| "its store takes no changes".to_owned());
        // Messages of the control store are counted once.
        let is_control = pool.engine().is_same(&self.shared().control);
        let volume = if is_control { MessageVolume::default() } else { pool.engine().volume() };
        of(error, operations, volume)
    }
}

/// The error of a pool's store, without the pool's name.
fn cause(error: &Error) -> String {
    match error {
        Error::PoolUnavailable { source, .. } => source.to_string(),
        error => error.to_string(),
    }
}

fn add(a: MessageVolume, b: MessageVolume) -> MessageVolume {
    MessageVolume {
        free: a.free.saturating_add(b.free),
        claimed: a.claimed.saturating_add(b.claimed),
        total: a.total.saturating_add(b.total),
    }
}
