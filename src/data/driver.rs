//! The data driver (contract 4).

use crate::contract::{Claims, DataDriver, Messages, Queues, Sealed, Subscriptions};
use crate::engine::Engine;
use crate::model::error::Result;
use crate::model::{Capabilities, Capability, GcReport, Health, MessageVolume, Metadata};
use crate::state::OUTBOX;

use super::HealthCheck;

impl Sealed for Engine {}

impl DataDriver for Engine {
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
        !self.store().is_closed() && self.store().journal.poisoned().is_none()
    }

    fn health(&self) -> Result<Health> {
        let store = self.store().enter()?;
        let volume = self.volume();
        let checkup = HealthCheck::new(self, &store.random);
        let operations = checkup.run(|project, name| Queues::create(self, project, name, &Metadata::new()))?;
        Ok(Health { storage_reachable: self.is_alive(), operations, volume, pools: Vec::new() })
    }

    fn gc(&self) -> Result<GcReport> {
        Ok(self.store().enter()?.collect())
    }

    fn close(&self) -> Result<()> {
        self.shut_down()
    }

    fn capabilities(&self) -> Capabilities {
        let all = Capabilities::all();
        if self.store().context.disk.is_durable() { all } else { all.without(Capability::Durability) }
    }
}

impl Engine {
    pub(crate) fn volume(&self) -> MessageVolume {
        let store = self.store();
        let (mut claimed, mut total) = (0_u64, 0_u64);
        for slot in store.slots().filter(|slot| slot.number != OUTBOX) {
            // A queue of which a page cannot be read counts as it was when it last could.
            let locked = store.lock(&slot).map(|locked| locked.map(|queue| queue.totals()));
            let totals = locked.unwrap_or_else(|_| Some(slot.lock().totals())).unwrap_or_default();
            claimed = claimed.saturating_add(totals.claimed);
            total = total.saturating_add(totals.total);
        }
        MessageVolume { free: total.saturating_sub(claimed), claimed, total }
    }
}
