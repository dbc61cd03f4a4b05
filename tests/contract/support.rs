//! The harness of the scenes: a store of some kind, a clock that is moved by hand, and short methods for both.

mod control;
mod subscriptions;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use zaqar_sled::{
    ClaimEntry, ClaimId, ClaimMarker, ClaimRecord, ClientId, Config, DataDriver, Engine, Error, Explanation,
    ExtendedDriver, Limits, ListOptions, ManualClock, Message, MessageId, MessageListOptions, MessageMarker,
    MessageVolume, Metadata, NewMessage, Page, Pause, PooledDriver, Project, Purge, QueueListOptions, QueueName,
    QueueStats, RedriveOptions, RedriveOutcome, ReferenceModel, Result, Retry, SimulatedDisk, Sort,
};

pub(crate) use control::*;
pub(crate) use subscriptions::*;

pub(crate) use crate::values::{
    ALICE, BOB, START, assert_fails, delayed, everything, ids, json, lasting, name_of, no_claim, no_message, seconds,
    shop, terms, texts,
};

/// A store of some kind and its clock.
pub(crate) struct Harness {
    kind: Kind,
    setup: Setup,
    clock: Arc<ManualClock>,
    open: Mutex<Open>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Model,
    Live,
    Cold,
    Reopened,
    Recovered,
    Rebuilt,
}

#[derive(Clone, Default)]
struct Setup {
    limits: Limits,
    checksums: bool,
    pooled: bool,
    /// No message may stay in memory.
    cold: bool,
}

enum Open {
    Model(Arc<ReferenceModel>),
    Engine(Arc<Engine>, SimulatedDisk),
    Pooled(Arc<PooledDriver>, SimulatedDisk),
}

impl Setup {
    fn model(&self, clock: &Arc<ManualClock>) -> Open {
        let model = ReferenceModel::new(clock.clone()).limits(self.limits.clone()).checksums(self.checksums);
        Open::Model(Arc::new(if self.pooled { model.pooled() } else { model }))
    }

    /// Small segments, so that a scene of some size has several.
    fn engine(&self, clock: &Arc<ManualClock>, disk: SimulatedDisk) -> Open {
        let config = Config::new().disk(Arc::new(disk.clone())).clock(clock.clone()).background(false);
        let config = config.limits(self.limits.clone()).checksums(self.checksums).segment_size(32 << 10);
        let config = if self.cold { config.memory(0).queue_memory(0) } else { config };
        if self.pooled {
            return Open::Pooled(Arc::new(config.open_pooled("/store").expect("the stores open")), disk);
        }
        Open::Engine(Arc::new(config.open("/store").expect("the store opens")), disk)
    }
}

impl Harness {
    pub(crate) fn model() -> Self {
        Self::new(Kind::Model, Setup::default())
    }

    pub(crate) fn live() -> Self {
        Self::new(Kind::Live, Setup::default())
    }

    pub(crate) fn cold() -> Self {
        Self::new(Kind::Cold, Setup { cold: true, ..Setup::default() })
    }

    pub(crate) fn reopened() -> Self {
        Self::new(Kind::Reopened, Setup::default())
    }

    pub(crate) fn recovered() -> Self {
        Self::new(Kind::Recovered, Setup::default())
    }

    pub(crate) fn rebuilt() -> Self {
        Self::new(Kind::Rebuilt, Setup::default())
    }

    /// The same harness, pooled, without any pool yet.
    pub(crate) fn pooled(self) -> Self {
        Self::new(self.kind, Setup { pooled: true, ..self.setup })
    }

    fn new(kind: Kind, setup: Setup) -> Self {
        let clock = Arc::new(ManualClock::new(START));
        let open = match kind {
            Kind::Model => setup.model(&clock),
            _ => setup.engine(&clock, SimulatedDisk::new()),
        };
        Self { kind, setup, clock, open: Mutex::new(open) }
    }

    /// Plays the scene, and then verifies the engine.
    pub(crate) fn play(self, scene: fn(&Self)) {
        scene(&self);
        let verification = match &*self.open.lock() {
            Open::Engine(engine, _) if engine.is_alive() => engine.verify(),
            Open::Pooled(driver, _) if driver.is_alive() => driver.verify(),
            _ => return,
        };
        let verification = verification.expect("the store can be verified");
        assert!(verification.is_sound(), "{:?}", verification.findings());
    }

    /// A store of the same kind with these limits.
    pub(crate) fn with_limits(&self, limits: Limits) -> Self {
        Self::new(self.kind, Setup { limits, ..self.setup.clone() })
    }

    /// A store of the same kind with checksums.
    pub(crate) fn with_checksums(&self) -> Self {
        Self::new(self.kind, Setup { checksums: true, ..self.setup.clone() })
    }

    pub(crate) fn is_durable(&self) -> bool {
        self.kind != Kind::Model
    }

    /// Marks the end of a scene's preparation. Some harnesses open the engine again here.
    pub(crate) fn turn(&self) {
        let mut open = self.open.lock();
        let disk = match &*open {
            Open::Model(_) => return,
            Open::Engine(engine, disk) => match self.kind {
                Kind::Model | Kind::Live => return,
                Kind::Cold => return engine.step().expect("what is due is done"),
                Kind::Reopened => closed(&**engine, disk),
                Kind::Recovered => disk.kill(),
                Kind::Rebuilt => self.rebuilt_disk(engine, disk),
            },
            Open::Pooled(driver, disk) => {
                // A dead letter may have no pool yet.
                let _ = driver.step();
                match self.kind {
                    Kind::Reopened => closed(&**driver, disk),
                    Kind::Recovered => disk.kill(),
                    Kind::Model | Kind::Live | Kind::Cold | Kind::Rebuilt => return,
                }
            }
        };
        *open = self.setup.engine(&self.clock, disk);
    }

    fn rebuilt_disk(&self, engine: &Engine, disk: &SimulatedDisk) -> SimulatedDisk {
        engine.checkpoint().expect("a checkpoint is written");
        engine.snapshot().expect("a snapshot is written");
        let disk = disk.kill();
        if let Open::Engine(engine, _) = self.setup.engine(&self.clock, disk.clone()) {
            engine.close().expect("the store closes");
        }
        disk
    }

    /// The driver that is open now.
    pub(crate) fn driver(&self) -> Arc<dyn ExtendedDriver> {
        match &*self.open.lock() {
            Open::Model(model) => model.clone(),
            Open::Engine(engine, _) => engine.clone(),
            Open::Pooled(driver, _) => driver.clone(),
        }
    }

    /// Advances the clock by so many seconds.
    pub(crate) fn pass(&self, count: u64) {
        self.clock.advance(seconds(count));
    }

    pub(crate) fn pass_millis(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
    }

    pub(crate) fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// The name, in the project of most scenes; no queue need be there.
    pub(crate) fn queue(&self, name: &str) -> Queue<'_> {
        self.queue_in(&shop(), name)
    }

    pub(crate) fn queue_in(&self, project: &Project, name: &str) -> Queue<'_> {
        Queue { harness: self, project: project.clone(), name: name_of(name) }
    }

    /// A new queue without metadata.
    pub(crate) fn create(&self, name: &str) -> Queue<'_> {
        self.create_with(name, "{}")
    }

    pub(crate) fn create_with(&self, name: &str, metadata: &str) -> Queue<'_> {
        let queue = self.queue(name);
        assert!(queue.create(metadata).unwrap(), "{name} is there already");
        queue
    }

    /// A page of the projects.
    pub(crate) fn projects(&self, marker: Option<Project>, limit: usize) -> Vec<Project> {
        let page = self.driver().diagnostics().list_projects(&ListOptions::new().marker(marker).limit(limit)).unwrap();
        assert_eq!(page.next.as_ref(), page.items.last());
        page.items
    }

    /// The names on a page of the project's queues.
    pub(crate) fn names(&self, options: &QueueListOptions) -> Vec<String> {
        let page = self.driver().queues().list(&shop(), options).unwrap();
        page.into_iter().map(|entry| entry.name().to_string()).collect()
    }
}

/// A queue's name, with short methods for calls on the store that is open now.
pub(crate) struct Queue<'h> {
    harness: &'h Harness,
    pub(crate) project: Project,
    pub(crate) name: QueueName,
}

impl Queue<'_> {
    fn driver(&self) -> Arc<dyn ExtendedDriver> {
        self.harness.driver()
    }

    pub(crate) fn create(&self, metadata: &str) -> Result<bool> {
        self.driver().queues().create(&self.project, &self.name, &json(metadata))
    }

    pub(crate) fn exists(&self) -> bool {
        self.driver().queues().exists(&self.project, &self.name).unwrap()
    }

    pub(crate) fn remove(&self) -> Result<()> {
        self.driver().queues().delete(&self.project, &self.name)
    }

    pub(crate) fn metadata(&self) -> Result<Metadata> {
        self.driver().queues().get_metadata(&self.project, &self.name)
    }

    pub(crate) fn set_metadata(&self, metadata: &str) -> Result<()> {
        self.driver().queues().set_metadata(&self.project, &self.name, &json(metadata))
    }

    pub(crate) fn stats(&self) -> Result<QueueStats> {
        self.driver().queues().stats(&self.project, &self.name)
    }

    /// Claimed, free and total.
    pub(crate) fn counts(&self) -> (u64, u64, u64) {
        let stats = self.stats().unwrap();
        (stats.claimed(), stats.free(), stats.total())
    }

    pub(crate) fn purge(&self, what: Purge) -> Result<u64> {
        self.driver().queues().purge(&self.project, &self.name, what)
    }

    /// Posts messages with the bodies 0, 1, .. that live an hour.
    pub(crate) fn post(&self, count: usize) -> Vec<MessageId> {
        self.post_lasting(count, 3600)
    }

    pub(crate) fn post_lasting(&self, count: usize, seconds: u64) -> Vec<MessageId> {
        let messages: Vec<_> = (0..count).map(|i| lasting(&i.to_string(), seconds)).collect();
        self.send(&messages).unwrap()
    }

    /// Posts one message with a ttl of an hour.
    pub(crate) fn say(&self, body: &str) -> MessageId {
        self.send(&[lasting(body, 3600)]).unwrap()[0]
    }

    pub(crate) fn send(&self, messages: &[NewMessage]) -> Result<Vec<MessageId>> {
        self.send_as(ALICE, messages)
    }

    pub(crate) fn send_as(&self, client: ClientId, messages: &[NewMessage]) -> Result<Vec<MessageId>> {
        self.driver().messages().post(&self.project, &self.name, client, messages)
    }

    pub(crate) fn list(&self, options: &MessageListOptions) -> Result<Page<Message, MessageMarker>> {
        self.driver().messages().list(&self.project, &self.name, options)
    }

    /// The bodies on that page.
    pub(crate) fn bodies(&self, options: &MessageListOptions) -> Vec<String> {
        texts(&self.list(options).unwrap().items)
    }

    /// The bodies a plain list without a limit shows.
    pub(crate) fn shown(&self) -> Vec<String> {
        self.bodies(&MessageListOptions::new().limit(0))
    }

    /// All bodies, be they claimed or delayed.
    pub(crate) fn all(&self) -> Vec<String> {
        self.bodies(&everything())
    }

    pub(crate) fn first(&self, sort: Sort) -> Result<Message> {
        self.driver().messages().first(&self.project, &self.name, sort)
    }

    pub(crate) fn get(&self, id: MessageId) -> Result<Message> {
        self.driver().messages().get(&self.project, &self.name, &id)
    }

    pub(crate) fn explain(&self, id: MessageId) -> Result<Explanation> {
        self.driver().diagnostics().explain(&self.project, &self.name, &id)
    }

    pub(crate) fn claims(&self, marker: Option<ClaimMarker>, limit: usize) -> Result<Page<ClaimEntry, ClaimMarker>> {
        let options = ListOptions::new().marker(marker).limit(limit);
        self.driver().diagnostics().list_claims(&self.project, &self.name, &options)
    }

    pub(crate) fn bulk_get(&self, ids: &[MessageId]) -> Vec<Message> {
        self.driver().messages().bulk_get(&self.project, &self.name, ids).unwrap()
    }

    pub(crate) fn delete(&self, id: MessageId, claim: Option<ClaimId>) -> Result<()> {
        self.driver().messages().delete(&self.project, &self.name, &id, claim.as_ref())
    }

    pub(crate) fn bulk_delete(&self, ids: &[MessageId], claims: &[ClaimId]) -> Result<()> {
        self.driver().messages().bulk_delete(&self.project, &self.name, ids, claims)
    }

    pub(crate) fn pop(&self, limit: usize) -> Result<Vec<Message>> {
        self.driver().messages().pop(&self.project, &self.name, limit)
    }

    pub(crate) fn try_claim(&self, ttl: u64, grace: u64, limit: usize) -> Result<Option<ClaimRecord>> {
        self.driver().claims().create(&self.project, &self.name, &terms(ttl, grace, limit))
    }

    /// Claims; the claim must get a message.
    pub(crate) fn claim(&self, ttl: u64, grace: u64, limit: usize) -> ClaimRecord {
        self.try_claim(ttl, grace, limit).unwrap().expect("there is something to claim")
    }

    /// A claim for a minute with a minute's grace.
    pub(crate) fn take(&self, limit: usize) -> ClaimRecord {
        self.claim(60, 60, limit)
    }

    /// The bodies that a claim for a minute gets; none if no message is claimable.
    pub(crate) fn taken(&self, limit: usize) -> Vec<String> {
        self.try_claim(60, 60, limit).unwrap().map_or_else(Vec::new, |claim| texts(claim.messages()))
    }

    pub(crate) fn look_up(&self, claim: ClaimId) -> Result<ClaimRecord> {
        self.driver().claims().get(&self.project, &self.name, &claim)
    }

    pub(crate) fn renew(&self, claim: ClaimId, ttl: u64, grace: u64) -> Result<()> {
        self.driver().claims().update(&self.project, &self.name, &claim, &terms(ttl, grace, 1))
    }

    pub(crate) fn retry(&self, claim: ClaimId, retries: &[Retry]) -> Result<u64> {
        self.driver().retries().retry(&self.project, &self.name, &claim, retries)
    }

    pub(crate) fn split(&self, claim: ClaimId, ids: &[MessageId], ttl: u64, grace: u64) -> Result<Option<ClaimRecord>> {
        self.driver().retries().split(&self.project, &self.name, &claim, ids, &terms(ttl, grace, 1))
    }

    pub(crate) fn pause(&self, pause: Option<Pause>) -> Result<()> {
        self.driver().flow_control().set_pause(&self.project, &self.name, pause)
    }

    pub(crate) fn redrive(&self, options: &RedriveOptions) -> Result<RedriveOutcome> {
        self.driver().dead_letters().redrive(&self.project, &self.name, options)
    }

    pub(crate) fn release(&self, claim: ClaimId) -> Result<()> {
        self.driver().claims().delete(&self.project, &self.name, &claim)
    }
}

fn closed(driver: &dyn DataDriver, disk: &SimulatedDisk) -> SimulatedDisk {
    driver.close().expect("the store closes");
    disk.clone()
}

/// The argument or metadata key that was refused.
pub(crate) fn refused<T>(result: Result<T>) -> String {
    match result {
        Err(Error::InvalidArgument { name, .. }) => name,
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("accepted"),
    }
}

/// The free, the claimed and all messages.
pub(crate) fn figures(volume: MessageVolume) -> (u64, u64, u64) {
    (volume.free, volume.claimed, volume.total)
}
