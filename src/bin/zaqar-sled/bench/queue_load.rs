//! Calls on a queue of the store.
//!
//! 1. A queue never has more than [`live_bytes`]: a slice ends when its queue is full or empty, and the queue is purged
//!    or filled before the next one, which is not measured.

use std::time::Duration;

use zaqar_sled::{ClaimOptions, ClientId, Engine, Metadata, NewMessage, Project, Queue, Ttl};

use super::measurement::{Call, Measurement};
use super::slices::Work;
use super::stop::Stop;
use crate::failure::Failure;

/// A queue, and what its calls need.
#[derive(Debug)]
pub(crate) struct QueueLoad {
    queue: Queue,
    client: ClientId,
    call: Call,
    batch: Vec<NewMessage>,
    /// The messages that the queue may have.
    most: u64,
}

impl QueueLoad {
    pub(crate) fn new(engine: &Engine, measurement: &Measurement, body: &[u8]) -> Result<Self, Failure> {
        let engine = engine.with_durability(measurement.durability);
        let queue = engine.queue(Project::none(), measurement.name)?;
        queue.create(Metadata::new())?;
        let message = NewMessage::new(body.to_vec()).ttl(Ttl::Forever).delay(Duration::ZERO);
        let batch = vec![message; measurement.batch];
        let most = most_posted(body.len() as u64);
        Ok(Self { queue, client: ClientId::random(), call: measurement.call, batch, most })
    }

    /// Deletes the queue.
    pub(crate) fn remove(self) -> Result<(), Failure> {
        Ok(self.queue.delete()?)
    }

    /// Posts until so many messages wait as some measurements need; says how many there are.
    fn fill(&self, stop: &Stop) -> Result<u64, Failure> {
        let mut waiting = self.queue.stats()?.total();
        let batch: Vec<NewMessage> = self.batch.iter().cycle().take(FILLING).cloned().collect();
        while waiting < WAITING && !stop.is_set() {
            waiting += self.queue.post(self.client, &batch)?.len() as u64;
        }
        Ok(waiting)
    }

    fn take(&self) -> Result<(), Failure> {
        let claim = self.queue.claim(ClaimOptions::new().limit(self.batch.len()))?;
        Ok(claim.map_or(Ok(()), |claim| claim.delete_all())?)
    }
}

impl Work for QueueLoad {
    fn prepare(&self, stop: &Stop) -> Result<u64, Failure> {
        let batch = self.batch.len().max(1) as u64;
        match self.call {
            Call::Post => {
                self.queue.purge()?;
                Ok((self.most / batch).max(1))
            }
            Call::Take => Ok(self.fill(stop)? / batch),
            Call::Cycle => self.fill(stop).map(|_| u64::MAX),
        }
    }

    fn call(&self) -> Result<(), Failure> {
        if self.call != Call::Take {
            self.queue.post(self.client, &self.batch)?;
        }
        if self.call == Call::Post { Ok(()) } else { self.take() }
    }
}

/// The weight of the messages that a queue has at most, with bodies of so many bytes.
pub(crate) fn live_bytes(body_bytes: u64) -> u64 {
    WAITING.max(most_posted(body_bytes)) * weight(body_bytes)
}

/// The messages that are posted in a slice.
fn most_posted(body_bytes: u64) -> u64 {
    (POSTED_BYTES / weight(body_bytes)).min(MOST_POSTED)
}

fn weight(body_bytes: u64) -> u64 {
    body_bytes.saturating_add(MESSAGE_BYTES)
}

/// The largest body, in bytes: it bounds the space that the waiting messages take.
pub(crate) const LARGEST_BODY: u64 = 16 << 10;

/// The messages that wait where there is something to claim.
const WAITING: u64 = 10_000;
/// The messages that a call posts where that is not measured.
const FILLING: usize = 100;
const POSTED_BYTES: u64 = 16 << 20;
const MOST_POSTED: u64 = 50_000;
/// The bytes of a message beside its body.
const MESSAGE_BYTES: u64 = 64;
