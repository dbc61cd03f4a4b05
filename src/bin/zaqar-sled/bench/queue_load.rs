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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use zaqar_sled::{Config, Durability, SimulatedDisk};

    use super::*;

    fn loaded(measure: impl Fn(&Engine, &QueueLoad, &Measurement) -> Result<(), Failure>) -> Result<(), Failure> {
        for measurement in Measurement::all(1) {
            let disk = Arc::new(SimulatedDisk::new());
            let segment = if measurement.call == Call::Take { 8 << 10 } else { 64 << 10 };
            let config = Config::new().durability(Durability::Buffered).disk(disk).segment_size(segment);
            let engine = config.background(false).open("store")?;
            let load = QueueLoad::new(&engine, &measurement, &[7; 256])?;
            measure(&engine, &load, &measurement)?;
            load.remove()?;
        }
        Ok(())
    }

    /// Calls until the journal is longer; says how many calls that took, and how much longer it is.
    fn lengthen(engine: &Engine, load: &QueueLoad) -> Result<(u64, u64), Failure> {
        let (before, mut calls) = (engine.metrics().journal_bytes, 0);
        while engine.metrics().journal_bytes == before {
            load.call()?;
            calls += 1;
            assert!(calls < 2000, "the journal does not grow");
        }
        Ok((calls, engine.metrics().journal_bytes - before))
    }

    /// From the beginning of a segment to that of another one; a segment has space for many calls.
    #[test]
    fn a_bare_call_writes_as_many_bytes_as_the_journal_gets() -> Result<(), Failure> {
        loaded(|engine, load, measurement| {
            load.prepare(&Stop::default())?;
            lengthen(engine, load)?;
            let segments = (0..10).map(|_| lengthen(engine, load)).collect::<Result<Vec<_>, _>>()?;
            let calls: u64 = segments.iter().map(|(calls, _)| calls).sum();
            let journal: u64 = segments.iter().map(|(_, bytes)| bytes).sum();
            let bare = calls * measurement.writes(256).iter().sum::<usize>() as u64;
            assert!(journal.abs_diff(bare) <= journal / 10, "{}: {journal} bytes, {bare} bare", measurement.name);
            Ok(())
        })
    }

    #[test]
    fn a_queue_is_as_before_when_its_slice_begins_again() -> Result<(), Failure> {
        loaded(|_, load, measurement| {
            let (stop, waiting) = (Stop::default(), || Ok::<_, Failure>(load.queue.stats()?.total()));
            let room = load.prepare(&stop)?;
            let before = waiting()?;
            assert_eq!(before, if measurement.call == Call::Post { 0 } else { WAITING });
            (0..room.min(50)).try_for_each(|_| load.call())?;
            let expected = match measurement.call {
                Call::Post => 50 * measurement.batch as u64,
                Call::Take => WAITING - 500,
                Call::Cycle => WAITING,
            };
            assert_eq!(waiting()?, expected, "{}", measurement.name);
            assert_eq!((load.prepare(&stop)?, waiting()?), (room, before), "{}", measurement.name);
            Ok(())
        })
    }

    #[test]
    fn filling_ends_when_the_measurements_stop() -> Result<(), Failure> {
        loaded(|_, load, measurement| {
            let stop = Stop::default();
            stop.set(signal_hook::consts::SIGINT);
            load.prepare(&stop)?;
            assert_eq!(load.queue.stats()?.total(), 0, "{}", measurement.name);
            Ok(())
        })
    }
}
