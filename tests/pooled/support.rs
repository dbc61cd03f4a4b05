//! The harness of the scenes: a pooled driver on one simulated disk, a clock that is moved by hand, and short methods
//! for both.

use std::sync::Arc;

use parking_lot::Mutex;
use zaqar_sled::{
    Catalogue, ClaimId, ClaimRecord, Config, DataDriver, Error, FlavorName, Flavors, ManualClock, Message, MessageId,
    MessageListOptions, MessageMarker, Metadata, NewMessage, NewPool, Page, PoolGroup, PoolName, PoolUpdate,
    PooledDriver, Pools, Project, Purge, QueueName, QueueStats, Result, SimulatedDisk, Sort, Timestamp,
};

pub(crate) use crate::values::{
    ALICE, BOB, START, assert_fails, delayed, everything, ids, json, lasting, name_of, no_claim, no_message, seconds,
    shop, terms, texts,
};

/// A pooled driver, its disk, and its clock.
pub(crate) struct Harness {
    kind: Kind,
    settings: fn(Config) -> Config,
    clock: Arc<ManualClock>,
    open: Mutex<Open>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Live,
    Reopened,
    Killed,
}

struct Open {
    driver: PooledDriver,
    disk: SimulatedDisk,
}

impl Harness {
    pub(crate) fn live() -> Self {
        Self::new(Kind::Live, |config| config)
    }

    pub(crate) fn reopened() -> Self {
        Self::new(Kind::Reopened, |config| config)
    }

    pub(crate) fn killed() -> Self {
        Self::new(Kind::Killed, |config| config)
    }

    fn new(kind: Kind, settings: fn(Config) -> Config) -> Self {
        let clock = Arc::new(ManualClock::new(START));
        let disk = SimulatedDisk::new();
        let driver = open(&clock, &disk, settings).expect("the driver opens");
        Self { kind, settings, clock, open: Mutex::new(Open { driver, disk }) }
    }

    /// A driver of the same kind with other settings, on a disk of its own.
    pub(crate) fn with(&self, settings: fn(Config) -> Config) -> Self {
        Self::new(self.kind, settings)
    }

    /// Plays the scene, lets the driver finish its pending work, and verifies it.
    pub(crate) fn play(self, scene: fn(&Self)) {
        scene(&self);
        self.check();
    }

    pub(crate) fn check(&self) {
        let driver = self.driver();
        if driver.is_alive() {
            driver.step().expect("a step is made");
        }
        match driver.verify() {
            Ok(verification) => assert!(verification.is_sound(), "{:?}", verification.findings()),
            Err(error) => assert!(error.is_closed(), "the stores cannot be verified: {error}"),
        }
    }

    /// Marks the end of a scene's preparation. Some harnesses open the driver again here.
    pub(crate) fn turn(&self) {
        match self.kind {
            Kind::Live => {}
            Kind::Reopened => self.reopen(),
            Kind::Killed => self.kill(),
        }
    }

    /// Closes the driver and opens it again, whatever the kind.
    pub(crate) fn reopen(&self) {
        self.reopen_on(SimulatedDisk::clone);
    }

    /// As `reopen`, with a change of the disk in between.
    pub(crate) fn reopen_on(&self, between: impl FnOnce(&SimulatedDisk) -> SimulatedDisk) {
        self.driver().close().expect("the driver closes");
        let disk = between(&self.disk());
        self.open_on(disk);
    }

    /// Simulates a killed process, and opens the driver again, whatever the kind.
    pub(crate) fn kill(&self) {
        let disk = self.disk().kill();
        self.open_on(disk);
    }

    pub(crate) fn open_on(&self, disk: SimulatedDisk) {
        let driver = open(&self.clock, &disk, self.settings).expect("the driver opens");
        *self.open.lock() = Open { driver, disk };
    }

    /// The driver that is open now.
    pub(crate) fn driver(&self) -> PooledDriver {
        self.open.lock().driver.clone()
    }

    pub(crate) fn disk(&self) -> SimulatedDisk {
        self.open.lock().disk.clone()
    }

    /// The settings a store on the harness's disk is opened with.
    pub(crate) fn config(&self) -> Config {
        config(&self.clock, &self.disk(), self.settings)
    }

    /// Advances the clock by so many seconds.
    pub(crate) fn pass(&self, count: u64) {
        self.clock.advance(seconds(count));
    }

    pub(crate) fn step(&self) {
        self.driver().step().expect("a step is made");
    }

    /// Makes steps until no dead letter is in transit and no removal is pending, and asserts that this is reached.
    pub(crate) fn settle(&self) {
        self.step();
        self.step();
        let status = self.driver().status();
        assert_eq!((status.leftovers(), status.in_transit()), (0, 0), "something stays to be done");
    }

    /// As `settle`, if a pool cannot be reached: its removals stay pending.
    pub(crate) fn settle_but_for_broken_pools(&self) {
        let _ = self.driver().step();
        let _ = self.driver().step();
        assert_eq!(self.driver().status().in_transit(), 0, "a dead letter stays on its way");
    }

    /// Registers the pool `name` at `sled:/name` with that weight.
    pub(crate) fn pool(&self, name: &str, weight: i64) {
        self.pool_at(name, &format!("sled:/{name}"), weight);
    }

    pub(crate) fn pool_at(&self, name: &str, uri: &str, weight: i64) {
        self.try_pool(name, &NewPool::new(uri.parse().unwrap()).weight(weight)).unwrap();
    }

    pub(crate) fn pool_in(&self, group: &str, name: &str, weight: i64) {
        let uri = format!("sled:/{name}").parse().unwrap();
        self.try_pool(name, &NewPool::new(uri).weight(weight).group(group_of(group))).unwrap();
    }

    pub(crate) fn try_pool(&self, name: &str, pool: &NewPool) -> Result<()> {
        Pools::create(&self.driver(), &pool_of(name), pool)
    }

    pub(crate) fn change_pool(&self, name: &str, update: &PoolUpdate) -> Result<()> {
        Pools::update(&self.driver(), &pool_of(name), update)
    }

    pub(crate) fn drop_pool(&self, name: &str) -> Result<()> {
        Pools::delete(&self.driver(), &pool_of(name))
    }

    /// Pools `one` and `two`, of which the first gets the new queues.
    pub(crate) fn two_pools(&self) {
        self.pool("one", 1);
        self.pool("two", 0);
    }

    /// Which of the pools gets new queues from now on.
    pub(crate) fn prefer(&self, name: &str) {
        for pool in ["one", "two"] {
            self.change_pool(pool, &PoolUpdate::new().weight(i64::from(pool == name))).unwrap();
        }
    }

    pub(crate) fn flavor(&self, name: &str, group: Option<&str>) {
        let flavor = group.map_or_else(zaqar_sled::NewFlavor::new, |group| zaqar_sled::NewFlavor::of(group_of(group)));
        Flavors::create(&self.driver(), &shop(), &FlavorName::new(name).unwrap(), &flavor).unwrap();
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

    /// The pending removals, and the dead letters in transit.
    pub(crate) fn pending(&self) -> (u64, u64) {
        let status = self.driver().status();
        (status.leftovers(), status.in_transit())
    }

    /// The longest segment of a store's journal: no operation in it is longer, and a long one has a segment of its own.
    pub(crate) fn longest_segment(&self, store: &str) -> usize {
        let (disk, journal) = (self.disk(), std::path::Path::new(store).join("journal"));
        let names = zaqar_sled::disk::Disk::list(&disk, &journal).unwrap();
        names.iter().map(|name| disk.read(journal.join(name)).unwrap().len()).max().unwrap_or_default()
    }

    /// Sets the wall clock back by so many seconds.
    pub(crate) fn set_back(&self, seconds: u64) {
        let wall = zaqar_sled::Clock::wall(&*self.clock).as_millis();
        self.clock.set_wall(Timestamp::from_millis(wall - seconds * 1000));
    }
}

fn config(clock: &Arc<ManualClock>, disk: &SimulatedDisk, settings: fn(Config) -> Config) -> Config {
    let config = Config::new().disk(Arc::new(disk.clone())).clock(clock.clone()).background(false);
    // Small segments, so that a scene of some size has several.
    settings(config.segment_size(32 << 10))
}

fn open(clock: &Arc<ManualClock>, disk: &SimulatedDisk, settings: fn(Config) -> Config) -> Result<PooledDriver> {
    config(clock, disk, settings).open_pooled("/control")
}

/// A queue's name, with short methods for calls on the driver that is open now.
pub(crate) struct Queue<'h> {
    harness: &'h Harness,
    pub(crate) project: Project,
    pub(crate) name: QueueName,
}

impl Queue<'_> {
    fn driver(&self) -> PooledDriver {
        self.harness.driver()
    }

    pub(crate) fn create(&self, metadata: &str) -> Result<bool> {
        DataDriver::queues(&self.driver()).create(&self.project, &self.name, &json(metadata))
    }

    pub(crate) fn exists(&self) -> bool {
        DataDriver::queues(&self.driver()).exists(&self.project, &self.name).unwrap()
    }

    pub(crate) fn remove(&self) -> Result<()> {
        DataDriver::queues(&self.driver()).delete(&self.project, &self.name)
    }

    pub(crate) fn metadata(&self) -> Result<Metadata> {
        DataDriver::queues(&self.driver()).get_metadata(&self.project, &self.name)
    }

    pub(crate) fn set_metadata(&self, metadata: &str) -> Result<()> {
        DataDriver::queues(&self.driver()).set_metadata(&self.project, &self.name, &json(metadata))
    }

    pub(crate) fn stats(&self) -> Result<QueueStats> {
        DataDriver::queues(&self.driver()).stats(&self.project, &self.name)
    }

    /// Claimed, free and total.
    pub(crate) fn counts(&self) -> (u64, u64, u64) {
        let stats = self.stats().unwrap();
        (stats.claimed(), stats.free(), stats.total())
    }

    pub(crate) fn purge(&self, what: Purge) -> Result<u64> {
        DataDriver::queues(&self.driver()).purge(&self.project, &self.name, what)
    }

    /// The pool the catalogue has for it.
    pub(crate) fn pool(&self) -> Option<String> {
        match Catalogue::get(&self.driver(), &self.project, &self.name) {
            Ok(entry) => Some(entry.pool().to_string()),
            Err(Error::QueueNotMapped { .. }) => None,
            Err(other) => panic!("the catalogue fails: {other}"),
        }
    }

    /// Has the catalogue route it to another pool.
    pub(crate) fn route(&self, pool: &str) {
        Catalogue::insert(&self.driver(), &self.project, &self.name, &pool_of(pool)).unwrap();
    }

    pub(crate) fn unmap(&self) {
        Catalogue::delete(&self.driver(), &self.project, &self.name).unwrap();
    }

    pub(crate) fn move_to(&self, pool: &str) -> Result<()> {
        self.driver().move_queue(&self.project, &self.name, &pool_of(pool))
    }

    /// Posts messages with the bodies 0, 1, .. that live an hour.
    pub(crate) fn post(&self, count: usize) -> Vec<MessageId> {
        let messages: Vec<_> = (0..count).map(|i| lasting(&i.to_string(), 3600)).collect();
        self.send(&messages).unwrap()
    }

    /// Posts one message with a ttl of an hour.
    pub(crate) fn say(&self, body: &str) -> MessageId {
        self.try_say(body).unwrap()
    }

    pub(crate) fn try_say(&self, body: &str) -> Result<MessageId> {
        self.send(&[lasting(body, 3600)]).map(|ids| ids[0])
    }

    pub(crate) fn send(&self, messages: &[NewMessage]) -> Result<Vec<MessageId>> {
        DataDriver::messages(&self.driver()).post(&self.project, &self.name, ALICE, messages)
    }

    pub(crate) fn list(&self, options: &MessageListOptions) -> Result<Page<Message, MessageMarker>> {
        DataDriver::messages(&self.driver()).list(&self.project, &self.name, options)
    }

    /// All messages, be they claimed or delayed.
    pub(crate) fn messages(&self) -> Vec<Message> {
        self.list(&everything()).unwrap().items
    }

    /// All bodies, be they claimed or delayed.
    pub(crate) fn all(&self) -> Vec<String> {
        texts(&self.messages())
    }

    /// All bodies behind a marker.
    pub(crate) fn after(&self, marker: impl Into<MessageMarker>) -> Vec<String> {
        texts(&self.list(&everything().marker(marker.into())).unwrap().items)
    }

    pub(crate) fn first(&self, sort: Sort) -> Result<Message> {
        DataDriver::messages(&self.driver()).first(&self.project, &self.name, sort)
    }

    pub(crate) fn get(&self, id: MessageId) -> Result<Message> {
        DataDriver::messages(&self.driver()).get(&self.project, &self.name, &id)
    }

    pub(crate) fn bulk_get(&self, ids: &[MessageId]) -> Result<Vec<Message>> {
        DataDriver::messages(&self.driver()).bulk_get(&self.project, &self.name, ids)
    }

    pub(crate) fn delete(&self, id: MessageId, claim: Option<ClaimId>) -> Result<()> {
        DataDriver::messages(&self.driver()).delete(&self.project, &self.name, &id, claim.as_ref())
    }

    pub(crate) fn bulk_delete(&self, ids: &[MessageId], claims: &[ClaimId]) -> Result<()> {
        DataDriver::messages(&self.driver()).bulk_delete(&self.project, &self.name, ids, claims)
    }

    pub(crate) fn pop(&self, limit: usize) -> Result<Vec<Message>> {
        DataDriver::messages(&self.driver()).pop(&self.project, &self.name, limit)
    }

    pub(crate) fn try_claim(&self, ttl: u64, grace: u64, limit: usize) -> Result<Option<ClaimRecord>> {
        DataDriver::claims(&self.driver()).create(&self.project, &self.name, &terms(ttl, grace, limit))
    }

    /// Claims for a minute with a minute of grace; the claim must get a message.
    pub(crate) fn take(&self, limit: usize) -> ClaimRecord {
        self.try_claim(60, 60, limit).unwrap().expect("there is something to claim")
    }

    /// The bodies that a claim for a minute gets; none if no message is claimable.
    pub(crate) fn taken(&self, limit: usize) -> Vec<String> {
        self.try_claim(60, 60, limit).unwrap().map_or_else(Vec::new, |claim| texts(claim.messages()))
    }

    pub(crate) fn look_up(&self, claim: ClaimId) -> Result<ClaimRecord> {
        DataDriver::claims(&self.driver()).get(&self.project, &self.name, &claim)
    }

    pub(crate) fn renew(&self, claim: ClaimId, ttl: u64, grace: u64) -> Result<()> {
        DataDriver::claims(&self.driver()).update(&self.project, &self.name, &claim, &terms(ttl, grace, 1))
    }

    pub(crate) fn release(&self, claim: ClaimId) -> Result<()> {
        DataDriver::claims(&self.driver()).delete(&self.project, &self.name, &claim)
    }

    /// Claims and releases all messages, so that each claim count rises by one.
    pub(crate) fn wear(&self) {
        let claim = self.take(1000);
        self.release(claim.id()).unwrap();
    }
}

pub(crate) fn pool_of(name: &str) -> PoolName {
    PoolName::new(name).unwrap()
}

pub(crate) fn group_of(name: &str) -> PoolGroup {
    PoolGroup::new(name).unwrap()
}
