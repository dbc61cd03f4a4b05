//! Stores with a history and an end, and their expected content.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use zaqar_sled::disk::SimulatedDisk;
use zaqar_sled::{
    BatchStep, ClaimOptions, Config, Engine, ExtendedDriver, ManualClock, MessageId, Metadata, NewMessage, NewPool,
    PoolName, PooledDriver, Pools, Project, Purge, QueueName, QueueSettings, Result,
};

use super::evidence::{Stores, stores};
use super::images::files;
use super::ledger::Ledger;
use super::values::{CLIENT, clock};

pub(crate) const ROOT: &str = "/store";
pub(crate) const QUEUES: [&str; 4] = ["a", "b", "c", "d"];

/// The end of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Closed,
    Killed,
    /// Killed with next to no message in memory.
    Cold,
    /// Killed as a driver of two pools.
    Pooled,
}

pub(crate) const ENDS: [End; 4] = [End::Closed, End::Killed, End::Cold, End::Pooled];

/// The messages that callers know.
#[derive(Debug, Default, Clone)]
pub(crate) struct Known {
    pub(crate) messages: Ledger<MessageId, Posted>,
    /// The messages that were deleted before the last snapshot, whose deletions are no longer in the journal.
    pub(crate) long_gone: BTreeSet<MessageId>,
    posted: u64,
}

/// The queue and the body of a message.
#[derive(Debug, Clone)]
pub(crate) struct Posted {
    queue: &'static str,
    pub(crate) body: Vec<u8>,
}

/// A message is found by its id, so only the body is compared.
impl PartialEq<Vec<u8>> for Posted {
    fn eq(&self, body: &Vec<u8>) -> bool {
        self.body == *body
    }
}

/// A store that has ended.
pub(crate) struct Ended {
    pub(crate) end: End,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) known: Known,
    /// Its files in the middle of its life.
    pub(crate) older: Vec<(PathBuf, Vec<u8>)>,
    pub(crate) stores: Stores,
    pub(crate) disk: SimulatedDisk,
}

/// Either kind of driver.
pub(crate) enum Opened {
    Engine(Engine),
    Pooled(PooledDriver),
}

impl Opened {
    pub(crate) fn driver(&self) -> &dyn ExtendedDriver {
        match self {
            Self::Engine(engine) => engine,
            Self::Pooled(driver) => driver,
        }
    }

    fn snapshot(&self) {
        match self {
            Self::Engine(engine) => engine.snapshot().unwrap(),
            // Its stores write them when they are due.
            Self::Pooled(driver) => driver.step().unwrap(),
        }
    }

    fn step(&self) {
        match self {
            Self::Engine(engine) => engine.step().unwrap(),
            Self::Pooled(driver) => driver.step().unwrap(),
        }
    }

    pub(crate) fn is_sound(&self) -> Result<bool> {
        match self {
            Self::Engine(engine) => engine.verify().map(|verification| verification.is_sound()),
            Self::Pooled(driver) => driver.verify().map(|verification| verification.is_sound()),
        }
    }
}

impl Ended {
    pub(crate) fn new(end: End, seed: u64) -> Self {
        let clock = clock();
        let disk = SimulatedDisk::new();
        let opened = open(end, &disk, &clock, seed, false).unwrap();
        if let Opened::Pooled(driver) = &opened {
            for pool in ["one", "two"] {
                let new = NewPool::new(format!("sled:/{pool}").parse().unwrap()).weight(10);
                Pools::create(driver, &PoolName::new(pool).unwrap(), &new).unwrap();
            }
        }
        let mut life = Life { opened, known: Known::default(), disk: disk.clone(), snapshots: Vec::new() };
        life.first_half();
        let older = files(&disk);
        life.second_half();
        if end == End::Closed {
            life.opened.driver().close().unwrap();
            life.look_for_snapshots();
        }
        let stores = stores(&files(&disk));
        Self { end, clock, known: life.known, older, stores, disk: disk.kill() }
    }

    pub(crate) fn open(&self, disk: &SimulatedDisk, salvage: bool) -> Result<Opened> {
        open(self.end, disk, &self.clock, 99, salvage)
    }
}

fn open(end: End, disk: &SimulatedDisk, clock: &Arc<ManualClock>, seed: u64, salvage: bool) -> Result<Opened> {
    let memory = if end == End::Cold { 0 } else { 256 << 20 };
    let config = Config::new().disk(Arc::new(disk.clone())).clock(clock.clone()).seed(seed).salvage(salvage);
    let config = config.background(false).segment_size(16 << 10).memory(memory);
    match end {
        End::Pooled => config.open_pooled(ROOT).map(Opened::Pooled),
        End::Closed | End::Killed | End::Cold => config.open(ROOT).map(Opened::Engine),
    }
}

/// The part of a batch on one queue.
struct Batched {
    queue: &'static str,
    posts: [Vec<Vec<u8>>; 2],
    deleted: Option<MessageId>,
}

struct Life {
    opened: Opened,
    known: Known,
    disk: SimulatedDisk,
    snapshots: Vec<PathBuf>,
}

impl Life {
    /// Queues that are filled, partly emptied, purged, deleted and made again; then a snapshot.
    fn first_half(&mut self) {
        for queue in QUEUES {
            self.create(queue);
        }
        for round in 0..6 {
            for queue in QUEUES {
                self.post(queue, 10);
            }
            self.post_large(QUEUES[round % QUEUES.len()]);
            self.delete_some(5);
            self.pop("a", 2);
            if round % 2 == 0 {
                self.step();
            }
        }
        let none = Project::none();
        self.opened.driver().queues().purge(&none, &name("b"), Purge::All).unwrap();
        self.forget("b");
        self.opened.driver().queues().delete(&none, &name("c")).unwrap();
        self.forget("c");
        self.create("c");
        for round in 0..12 {
            for queue in QUEUES {
                self.post(queue, 10);
            }
            self.post_large(QUEUES[round % QUEUES.len()]);
        }
        self.delete_some(4);
        self.step();
        self.opened.snapshot();
        self.look_for_snapshots();
    }

    /// The changes that only the journal has.
    fn second_half(&mut self) {
        for _ in 0..8 {
            for queue in QUEUES {
                self.post(queue, 5);
            }
            self.post_large("a");
            self.delete_some(9);
            self.pop("a", 1);
            self.commit();
            self.step();
        }
        let none = Project::none();
        let options = ClaimOptions::new().limit(7).ttl(Duration::from_secs(3600));
        let claim = self.opened.driver().claims().create(&none, &name("a"), &options).unwrap().unwrap();
        let taken = &claim.messages()[0];
        self.opened.driver().messages().delete(&none, &name("a"), &taken.id(), Some(&claim.id())).unwrap();
        self.delete(taken.id());
        // Damage to the last changes cannot be distinguished from a torn write, so these changes have no effect.
        for _ in 0..3 {
            self.opened.driver().queues().set_metadata(&none, &name("d"), &Metadata::new()).unwrap();
        }
    }

    fn step(&mut self) {
        self.opened.step();
        self.look_for_snapshots();
    }

    /// Records new snapshots: the journal need not have the deletions that a snapshot covers.
    fn look_for_snapshots(&mut self) {
        let all = self.disk.list_all().into_iter();
        let snapshots: Vec<PathBuf> = all.filter(|path| path.extension().is_some_and(|kind| kind == "base")).collect();
        if snapshots != self.snapshots {
            self.known.long_gone.clone_from(self.known.messages.gone());
            self.snapshots = snapshots;
        }
    }

    fn create(&self, queue: &str) {
        // Pops of a queue with a claim rate are changes of their own.
        let rate = QueueSettings::new().max_claims_per_second(1_000_000);
        let metadata = if queue == "a" { rate.into() } else { Metadata::new() };
        self.opened.driver().queues().create(&Project::none(), &name(queue), &metadata).unwrap();
    }

    fn post(&mut self, queue: &'static str, count: usize) {
        let bodies = self.bodies(count);
        self.post_bodies(queue, bodies);
    }

    /// Posts a message that is a page of its own: the frame becomes the page's image.
    fn post_large(&mut self, queue: &'static str) {
        let mut body = self.body();
        body.resize(17 << 10, b'.');
        self.post_bodies(queue, vec![body]);
    }

    fn post_bodies(&mut self, queue: &'static str, bodies: Vec<Vec<u8>>) {
        let posting = self.opened.driver().messages();
        let ids = posting.post(&Project::none(), &name(queue), CLIENT, &messages(&bodies)).unwrap();
        self.known.messages.posted(ids.into_iter().zip(bodies.into_iter().map(|body| Posted { queue, body })));
    }

    /// Posts twice to each queue and deletes a message of each, in one batch, or in one for each queue of different stores.
    fn commit(&mut self) {
        let mut steps = Vec::new();
        for queue in QUEUES {
            let oldest = self.known.messages.live().iter().find(|(_, posted)| posted.queue == queue).map(|(id, _)| *id);
            steps.push(Batched { queue, posts: [self.bodies(2), self.bodies(1)], deleted: oldest });
        }
        if self.commit_all(&steps).is_err() {
            steps.chunks(1).for_each(|of_one| self.commit_all(of_one).unwrap());
        }
    }

    fn commit_all(&mut self, steps: &[Batched]) -> Result<()> {
        let mut all = Vec::new();
        for Batched { queue, posts: [first, second], deleted } in steps {
            let post = |bodies: &[Vec<u8>]| BatchStep::Post {
                project: Project::none(),
                queue: name(queue),
                client: CLIENT,
                messages: messages(bodies),
            };
            let messages = deleted.iter().copied().collect();
            all.push(post(first));
            all.push(BatchStep::Delete { project: Project::none(), queue: name(queue), messages, claim: None });
            all.push(post(second));
        }
        let outcome = self.opened.driver().batches().commit(&all)?;
        let posts = steps.iter().flat_map(|one| one.posts.iter().map(|bodies| (one.queue, bodies)));
        for ((queue, bodies), ids) in posts.zip(outcome.posted()) {
            let posted = bodies.iter().map(|body| Posted { queue, body: body.clone() });
            self.known.messages.posted(ids.iter().copied().zip(posted));
        }
        steps.iter().filter_map(|one| one.deleted).for_each(|id| self.delete(id));
        Ok(())
    }

    fn bodies(&mut self, count: usize) -> Vec<Vec<u8>> {
        (0..count).map(|_| self.body()).collect()
    }

    /// A body that can be distinguished from all others wherever its bytes are found.
    fn body(&mut self) -> Vec<u8> {
        self.known.posted += 1;
        let mut body = format!("<{:08}>", self.known.posted).into_bytes();
        body.resize(40 + (self.known.posted as usize * 37) % 200, b'.');
        body
    }

    fn delete_some(&mut self, nth: usize) {
        let chosen: Vec<(MessageId, &str)> =
            self.known.messages.live().iter().step_by(nth).map(|(id, posted)| (*id, posted.queue)).collect();
        for queue in QUEUES {
            let ids: Vec<MessageId> = chosen.iter().filter(|(_, at)| *at == queue).map(|(id, _)| *id).collect();
            self.opened.driver().messages().bulk_delete(&Project::none(), &name(queue), &ids, &[]).unwrap();
        }
        chosen.into_iter().for_each(|(id, _)| self.delete(id));
    }

    fn pop(&mut self, queue: &str, limit: usize) {
        let popped = self.opened.driver().messages().pop(&Project::none(), &name(queue), limit).unwrap();
        popped.iter().for_each(|message| self.delete(message.id()));
    }

    fn delete(&mut self, id: MessageId) {
        assert!(self.known.messages.removed(&id), "{id} is no live message");
    }

    fn forget(&mut self, queue: &str) {
        let all: Vec<MessageId> =
            self.known.messages.live().iter().filter(|(_, posted)| posted.queue == queue).map(|(id, _)| *id).collect();
        all.into_iter().for_each(|id| self.delete(id));
    }
}

fn messages(bodies: &[Vec<u8>]) -> Vec<NewMessage> {
    bodies.iter().map(|body| NewMessage::new(body.clone()).ttl(Duration::from_secs(360_000))).collect()
}

pub(crate) fn name(queue: &str) -> QueueName {
    QueueName::new(queue).unwrap()
}
