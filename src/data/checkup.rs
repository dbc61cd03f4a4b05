//! Trying every kind of operation, as a health check does.

use std::time::{Duration, Instant};

use crate::contract::{Catalogue, DataDriver};
use crate::model::error::Result;
use crate::model::{
    ClaimOptions, ClientId, MessageListOptions, NewMessage, OperationStatus, PoolName, Project, QueueName,
};
use crate::store::random::Random;

/// A run of every operation on a queue with a random name, which the run removes again.
pub(crate) struct HealthCheck<'a> {
    driver: &'a dyn DataDriver,
    random: &'a Random,
    done: Vec<OperationStatus>,
}

impl<'a> HealthCheck<'a> {
    pub(crate) fn new(driver: &'a dyn DataDriver, random: &'a Random) -> Self {
        Self { driver, random, done: Vec::new() }
    }

    /// Creates the queue with `create` and tries every operation on it. As in Zaqar, an operation that has nothing to work
    /// on, because one before it failed, is left out.
    pub(crate) fn run(
        mut self,
        create: impl FnOnce(&Project, &QueueName) -> Result<bool>,
    ) -> Result<Vec<OperationStatus>> {
        let engine = self.driver;
        let (project, name) = &self.names()?;
        if self.time("create_queue", || create(project, name)).is_none() {
            return Ok(self.done);
        }
        let posts = vec![NewMessage::new("{}").ttl(Duration::from_secs(600)); POSTS];
        let client = ClientId::from_bytes(self.random.uuid().into_bytes());
        let ids = self.time("post_messages", || engine.messages().post(project, name, client, &posts));
        let options = ClaimOptions::new().ttl(Duration::from_secs(60)).grace(Duration::from_secs(300)).limit(CLAIMED);
        if let Some(ids) = &ids {
            let claim = self.time("claim_messages", || engine.claims().create(project, name, &options)).flatten();
            let listing = MessageListOptions::new().echo(true).include_claimed(true);
            self.time("list_messages", || engine.messages().list(project, name, &listing));
            if let Some(claim) = &claim {
                self.time("delete_messages", || {
                    let messages = claim.messages().iter();
                    let mut delete = messages
                        .map(|message| engine.messages().delete(project, name, &message.id(), Some(&claim.id())));
                    delete.try_for_each(|deleted| deleted)
                });
                self.time("delete_claim", || engine.claims().delete(project, name, &claim.id()));
            }
            self.time("bulk_delete_messages", || {
                ids.chunks(CHUNK).try_for_each(|ids| engine.messages().bulk_delete(project, name, ids, &[]))
            });
        }
        self.time("delete_queue", || engine.queues().delete(project, name));
        Ok(self.done)
    }

    fn names(&self) -> Result<(Project, QueueName)> {
        let project = Project::named(format!("health-{}", self.random.uuid()))?;
        Ok((project, QueueName::new(format!("health-{}", self.random.uuid()))?))
    }

    /// Tries every operation on a catalogue entry with a random name.
    pub(crate) fn run_control(mut self, catalogue: &dyn Catalogue) -> Result<Vec<OperationStatus>> {
        let (project, name) = &self.names()?;
        let pool = &PoolName::new("health")?;
        self.time("insert_entry", || catalogue.insert(project, name, pool));
        self.time("get_entry", || catalogue.get(project, name));
        self.time("delete_entry", || catalogue.delete(project, name));
        Ok(self.done)
    }

    fn time<T>(&mut self, name: &'static str, operation: impl FnOnce() -> Result<T>) -> Option<T> {
        let started = Instant::now();
        let outcome = operation();
        let elapsed = started.elapsed();
        let failure = outcome.as_ref().err().map(ToString::to_string);
        let reference = failure.is_some().then(|| self.random.uuid().to_string());
        let status = OperationStatus { name, succeeded: outcome.is_ok(), elapsed, reference, failure };
        self.done.push(status);
        outcome.ok()
    }
}

const POSTS: usize = 100;
const CLAIMED: usize = 10;
/// Zaqar's own limit on the ids of one call, which a configured one may enforce.
const CHUNK: usize = 20;
