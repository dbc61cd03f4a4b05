//! Stores to measure, in the build's own directory: a real disk, not memory.

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use zaqar_sled::{ClientId, Config, Durability, Engine, Metadata, NewMessage, Project, Queue};

use crate::Result;
use crate::random::Random;

pub(crate) const BODY_BYTES: usize = 256;

/// A directory that is removed when dropped, and an engine in it.
pub(crate) struct Store {
    pub(crate) engine: Engine,
    pub(crate) client: ClientId,
    pub(crate) folder: TempDir,
}

impl Store {
    pub(crate) fn new(durability: Durability) -> Result<Self> {
        let folder = folder()?;
        let engine = open(&folder.path().join("store"), durability)?;
        Ok(Self { engine, client: ClientId::random(), folder })
    }

    /// A queue with `waiting` messages.
    pub(crate) fn queue(&self, name: &str, waiting: u64) -> Result<Queue> {
        let quick = self.engine.with_durability(Durability::Buffered);
        let queue = quick.queue(Project::none(), name)?;
        queue.create(Metadata::new())?;
        fill(&queue, self.client, waiting)?;
        Ok(self.engine.queue(Project::none(), name)?)
    }

    /// Finishes the pending work of the background threads, so that it does not slow the next round.
    pub(crate) fn rest(&self) -> Result<()> {
        Ok(self.engine.checkpoint()?)
    }
}

pub(crate) fn open(path: &Path, durability: Durability) -> Result<Engine> {
    Ok(Config::new().durability(durability).open(path)?)
}

/// A store at `Buffered` with so many bytes for messages in memory.
pub(crate) fn open_within(path: &Path, memory: u64) -> Result<Engine> {
    Ok(Config::new().durability(Durability::Buffered).memory(memory).open(path)?)
}

pub(crate) fn folder() -> Result<TempDir> {
    Ok(TempDir::with_prefix_in("queue-bench-", root())?)
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// Posts `count` messages, a hundred a call.
pub(crate) fn fill(queue: &Queue, client: ClientId, count: u64) -> Result<()> {
    let batch = messages(100);
    for _ in 0..count.div_ceil(100) {
        queue.post(client, &batch)?;
    }
    Ok(())
}

/// Messages that differ, half random and half not: about 2:1 compressible.
pub(crate) fn messages(count: u64) -> Vec<NewMessage> {
    messages_of(count, BODY_BYTES)
}

/// As [`messages`], with bodies of so many bytes, a multiple of 16.
pub(crate) fn messages_of(count: u64, bytes: usize) -> Vec<NewMessage> {
    (0..count).map(|seed| NewMessage::new(body(seed, bytes)).ttl(HOUR).delay(Duration::ZERO)).collect()
}

fn body(seed: u64, bytes: usize) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut body = Vec::with_capacity(bytes);
    while body.len() < bytes {
        body.extend_from_slice(&random.next().to_le_bytes());
        body.extend_from_slice(b"\"value\":");
    }
    body
}

const HOUR: Duration = Duration::from_secs(3600);
