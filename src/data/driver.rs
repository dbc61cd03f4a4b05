//! The data driver (contract 4).

use std::time::{Duration, Instant};

use crate::contract::{Claims, DataDriver, Messages, Queues, Subscriptions};
use crate::engine::Engine;
use crate::error::Result;
use crate::model::{
    Capabilities, Capability, ClaimOptions, ClientId, GcReport, Health, MessageId, MessageListOptions, MessageVolume,
    Metadata, NewMessage, OperationStatus, Project, QueueName,
};

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
        unimplemented!()
    }

    fn is_alive(&self) -> bool {
        !self.store().is_closed() && self.store().journal.poisoned().is_none()
    }

    fn health(&self) -> Result<Health> {
        let store = self.store();
        store.check_open()?;
        let volume = self.volume();
        let name = QueueName::new(format!("health-{}", store.random.uuid()))?;
        let project = Project::named(format!("health-{}", store.random.uuid()))?;
        let operations = Checkup { engine: self, project: &project, name: &name, done: Vec::new() }.run();
        Ok(Health { storage_reachable: self.is_alive(), operations, volume, pools: Vec::new() })
    }

    fn gc(&self) -> Result<GcReport> {
        self.store().collect()
    }

    fn close(&self) -> Result<()> {
        self.shut_down()
    }

    fn capabilities(&self) -> Capabilities {
        let all = Capabilities::all();
        if self.store().place.disk.is_durable() { all } else { all.without(Capability::Durability) }
    }
}

impl Engine {
    fn volume(&self) -> MessageVolume {
        let store = self.store();
        let cells = store.cells();
        let totals = cells.iter().filter_map(|cell| store.lock(cell)).map(|queue| queue.totals());
        let (mut claimed, mut total) = (0_u64, 0_u64);
        for totals in totals {
            claimed = claimed.saturating_add(totals.claimed);
            total = total.saturating_add(totals.total);
        }
        MessageVolume { free: total.saturating_sub(claimed), claimed, total }
    }
}

/// A run through the operations on a queue of random name, which it takes away again.
struct Checkup<'a> {
    engine: &'a Engine,
    project: &'a Project,
    name: &'a QueueName,
    done: Vec<OperationStatus>,
}

impl Checkup<'_> {
    fn run(mut self) -> Vec<OperationStatus> {
        let (engine, project, name) = (self.engine, self.project, self.name);
        self.time("create_queue", || engine.queues().create(project, name, &Metadata::new()));
        let posts = vec![NewMessage::new("{}").ttl(Duration::from_mins(10)); POSTS];
        let client = ClientId::from_bytes(engine.store().random.uuid().into_bytes());
        let ids = self.time("post_messages", || engine.messages().post(project, name, client, &posts));
        let options = ClaimOptions::new().ttl(Duration::from_mins(1)).grace(Duration::from_mins(5)).limit(CLAIMED);
        let claim = self.time("claim_messages", || engine.claims().create(project, name, &options)).flatten();
        let listing = MessageListOptions::new().echo(true).include_claimed(true);
        self.time("list_messages", || engine.messages().list(project, name, &listing));
        self.time("delete_messages", || {
            let claim = claim.as_ref();
            let messages = claim.into_iter().flat_map(|claim| claim.messages().iter().map(|m| (m.id(), claim.id())));
            messages.into_iter().try_for_each(|(id, claim)| engine.messages().delete(project, name, &id, Some(&claim)))
        });
        self.time("delete_claim", || {
            claim.as_ref().map_or(Ok(()), |claim| engine.claims().delete(project, name, &claim.id()))
        });
        let rest: Vec<MessageId> = ids.unwrap_or_default();
        self.time("bulk_delete_messages", || {
            rest.chunks(CHUNK).try_for_each(|ids| engine.messages().bulk_delete(project, name, ids, &[]))
        });
        self.time("delete_queue", || engine.queues().delete(project, name));
        self.done
    }

    fn time<T>(&mut self, name: &'static str, operation: impl FnOnce() -> Result<T>) -> Option<T> {
        let started = Instant::now();
        let outcome = operation();
        let reference = outcome.as_ref().err().map(|_| self.engine.store().random.uuid().to_string());
        let status = OperationStatus { name, succeeded: outcome.is_ok(), elapsed: started.elapsed(), reference };
        self.done.push(status);
        outcome.ok()
    }
}

const POSTS: usize = 100;
const CLAIMED: usize = 10;
/// Zaqar's own limit on the ids of one call, which a configured one may enforce.
const CHUNK: usize = 20;
