//! Random calls on queues in three pools.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use zaqar_sled::disk::SimulatedDisk;
use zaqar_sled::{
    Catalogue, ClaimOptions, ControlDriver, DataDriver, Durability, Error, FlavorName, ListOptions, ManualClock,
    Message, MessageId, Metadata, NewFlavor, NewMessage, NewPool, PoolName, PoolUpdate, PooledDriver, Project, Purge,
    QueueName, Result, Subscriber, SubscriptionId, SubscriptionUpdate,
};

use super::super::cut::{Scene, World};
use super::super::support::{CLIENT, Random, Told, config, message, messages_of, queues_of};
use super::ledger::Ledger;
use super::view;
use crate::values::seconds;

/// The last pool is the control store itself.
pub(super) const POOLS: [&str; 3] = ["one", "two", "here"];
const URIS: [&str; 3] = ["sled:/one", "sled:/two", "localhost"];

/// Calls on queues in three pools: each at `Sync`, or some of them `Buffered`.
pub(super) struct Pooled<const MIXED: bool>;

type Subscribed = (Project, QueueName, SubscriptionId);

#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) messages: Vec<(Project, QueueName, MessageId)>,
    pub(super) claims: Vec<Told>,
    pub(super) subscribed: Vec<Subscribed>,
    pub(super) shown: BTreeSet<MessageId>,
    pub(super) numbers: BTreeSet<SubscriptionId>,
    /// The number of times each event has happened.
    pub(super) counts: BTreeMap<&'static str, u64>,
    pub(super) ledger: Ledger,
}

impl Known {
    /// Whether no id is known.
    pub(super) fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }

    fn count(&mut self, what: &'static str, n: usize) {
        *self.counts.entry(what).or_default() += n as u64;
    }
}

impl<const MIXED: bool> Scene for Pooled<MIXED> {
    type Store = PooledDriver;
    type Told = Known;

    const CALLS: usize = 220;
    const RECOVERY: u64 = 160;

    /// A disk without faults, with the capabilities of the pools on it.
    fn calm_disk() -> SimulatedDisk {
        SimulatedDisk::new()
    }

    fn open(disk: &SimulatedDisk, clock: &Arc<ManualClock>, seed: u64) -> Result<PooledDriver> {
        config(disk, clock, seed).open_pooled("/control")
    }

    fn recover(disk: &SimulatedDisk, clock: &Arc<ManualClock>, seed: u64) -> Result<PooledDriver> {
        let driver = Self::open(disk, clock, seed)?;
        view::settle(&driver)?;
        Ok(driver)
    }

    fn call(world: &mut World<Self>, i: usize) -> Result<bool> {
        let mut random = world.random(i);
        let sync = !MIXED || random.one_in(3);
        let driver = world.store()?.with_durability(if sync { Durability::Sync } else { Durability::Buffered });
        let now = super::super::cut::wall(&world.clock);
        world.told.ledger.begin(i, sync, now);
        let mut call = Call { driver, told: &mut world.told, random, i };
        if i < SET_UP {
            return call.set_up().map(|()| sync);
        }
        let changed = match call.random.below(100) {
            0..=19 => call.post(),
            20..=43 => call.claim(),
            44..=46 => call.delete(),
            47 | 48 => call.bulk_delete(),
            49 | 50 => call.pop(),
            51..=56 => call.end_claim(),
            57..=63 => call.subscription(),
            64..=73 => call.move_queue(),
            74 | 75 => call.map(),
            76..=79 => call.queue(),
            80 => call.pool(),
            81..=90 => {
                world.clock.advance(seconds(1 + call.random.below(4)));
                Ok(false)
            }
            91..=95 => call.driver.step().map(|()| true),
            96 | 97 => call.driver.gc().map(|_| false),
            _ => {
                drop(call);
                return world.reopen().map(|()| true);
            }
        };
        Ok(changed? && sync)
    }

    fn dump(driver: &PooledDriver, told: &Known) -> String {
        view::dump(driver, told).unwrap()
    }

    fn assert_sound(driver: &PooledDriver, context: &str) {
        let verification = driver.verify().unwrap();
        assert!(verification.is_sound(), "{context}: {:?}", verification.findings());
    }

    fn add(driver: &PooledDriver, told: &Known, context: &str) {
        for (project, queue) in queues_of(driver).unwrap() {
            let newest = messages_of(driver, &project, &queue).unwrap().last().map(Message::id);
            let id = match driver.messages().post(&project, &queue, CLIENT, &[message("new", 9)]) {
                Ok(ids) => ids[0],
                Err(error) if Catalogue::get(driver, &project, &queue).is_err() => {
                    assert!(error.is_not_found(), "{context}: {error}");
                    continue;
                }
                Err(error) => panic!("{context}: {error}"),
            };
            assert!(!told.shown.contains(&id), "{context}: {id} was given out before");
            assert!(newest.is_none_or(|newest| newest < id), "{context}: {id} comes before {newest:?}");
            let subscriptions = driver.subscriptions();
            let last = subscriptions.list(&project, &queue, &ListOptions::new().limit(0)).unwrap().items;
            let added = subscriptions.create(&project, &queue, &subscriber(99), seconds(3_600), &Metadata::new());
            let id = added.unwrap().expect("no such subscription exists");
            assert!(!told.numbers.contains(&id), "{context}: {id} was given out before");
            assert!(last.last().is_none_or(|last| last.id() < id), "{context}: {id} comes before {last:?}");
        }
    }

    fn close(driver: &PooledDriver) -> Result<()> {
        driver.close()
    }

    fn assert_clean(driver: &PooledDriver, context: &str) {
        assert!(driver.recovery().notes().is_empty(), "{context}: {}", driver.recovery());
    }
}

/// One call and its random choices. Each method returns whether the call was a change.
struct Call<'a> {
    driver: PooledDriver,
    told: &'a mut Known,
    random: Random,
    i: usize,
}

impl Call<'_> {
    fn set_up(&mut self) -> Result<()> {
        if let Some(name) = POOLS.get(self.i) {
            return self.driver.pools().create(&name.parse()?, &NewPool::new(URIS[self.i].parse()?).weight(2));
        }
        if self.i + 1 == SET_UP {
            return self.driver.flavors().create(&Project::none(), &FlavorName::new("gold")?, &NewFlavor::new());
        }
        let (project, queue) = places()[self.i - POOLS.len()].clone();
        self.driver.queues().create(&project, &queue, &metadata(&mut self.random)).map(drop)
    }

    fn post(&mut self) -> Result<bool> {
        let (project, queue) = self.place();
        let mapped = Catalogue::exists(&self.driver, &project, &queue)?;
        if !mapped || !self.driver.queues().exists(&project, &queue)? {
            return self.driver.queues().create(&project, &queue, &metadata(&mut self.random)).map(|_| true);
        }
        let names: Vec<String> = (0..=self.random.below(5)).map(|n| format!("{}-{n}", self.i)).collect();
        let lives: Vec<u64> = names.iter().map(|_| self.life()).collect();
        let batch: Vec<_> = names.iter().zip(&lives).map(|(name, ttl)| self.new_message(name, *ttl)).collect();
        let ids = self.driver.messages().post(&project, &queue, CLIENT, &batch)?;
        for ((id, name), ttl) in ids.into_iter().zip(names).zip(lives) {
            assert!(self.told.shown.insert(id), "{id} was given out twice");
            self.told.messages.push((project.clone(), queue.clone(), id));
            self.told.ledger.posted(name, &project, &queue, ttl < LONG);
        }
        Ok(true)
    }

    fn life(&mut self) -> u64 {
        if self.random.one_in(4) { 1 + self.random.below(40) } else { LONG }
    }

    fn new_message(&mut self, name: &str, ttl: u64) -> NewMessage {
        let bytes = match self.random.below(40) {
            0 => 9_000,
            1 => 70_000,
            2 | 3 => 3_000,
            _ => 10 + self.random.below(200) as usize,
        };
        let delay = if self.random.one_in(6) { seconds(1 + self.random.below(10)) } else { Duration::ZERO };
        message(&format!("{name}."), bytes).ttl(seconds(ttl)).delay(delay)
    }

    fn claim(&mut self) -> Result<bool> {
        let (project, queue) = self.place();
        let ttl = if self.random.one_in(4) { 60 } else { 1 + self.random.below(3) };
        let options = ClaimOptions::new().ttl(seconds(ttl)).grace(seconds(self.random.below(30)));
        let transit = self.driver.status().in_transit();
        let claim = self.driver.claims().create(&project, &queue, &options.limit(1 + self.random.below(4) as usize))?;
        let dead_letters = self.driver.status().in_transit().saturating_sub(transit);
        self.told.count("dead letters", dead_letters as usize);
        let Some(claim) = claim else { return Ok(dead_letters > 0) };
        self.told.count("claims", 1);
        self.told.ledger.claimed(&project, &queue, &claim, ttl);
        self.told.claims.push((project, queue, claim.id()));
        Ok(true)
    }

    /// Deletes all messages of a claim, or one of them.
    fn delete(&mut self) -> Result<bool> {
        let Some((project, queue, claim)) = self.pick_claim() else { return Ok(false) };
        let held = self.driver.claims().get(&project, &queue, &claim)?.into_messages();
        let one = self.random.one_in(2);
        let held = if one { held.into_iter().take(1).collect() } else { held };
        let ids: Vec<MessageId> = held.iter().map(Message::id).collect();
        self.told.ledger.takes(&held);
        match ids.as_slice() {
            [id] if one => self.driver.messages().delete(&project, &queue, id, Some(&claim))?,
            ids => self.driver.messages().bulk_delete(&project, &queue, ids, &[claim])?,
        }
        self.told.ledger.took(&held);
        Ok(true)
    }

    fn bulk_delete(&mut self) -> Result<bool> {
        let recent = self.told.messages.len().min(30) as u64;
        let back = self.random.below(recent) as usize;
        let Some((project, queue, id)) = self.told.messages.iter().rev().nth(back).cloned() else { return Ok(false) };
        let others = self.told.messages.iter().rev().take(2).map(|(_, _, id)| *id);
        let ids: Vec<MessageId> = std::iter::once(id).chain(others).collect();
        let there = self.driver.messages().bulk_get(&project, &queue, &ids)?;
        self.told.ledger.takes(&there);
        self.driver.messages().bulk_delete(&project, &queue, &ids, &[])?;
        self.told.ledger.took(&there);
        Ok(true)
    }

    fn pop(&mut self) -> Result<bool> {
        let (project, queue) = self.place();
        if self.driver.queues().exists(&project, &queue)? {
            let there = messages_of(&self.driver, &project, &queue).or_else(none_if_missing)?;
            self.told.ledger.takes(&there);
        }
        let popped = self.driver.messages().pop(&project, &queue, 1 + self.random.below(3) as usize)?;
        self.told.ledger.took(&popped);
        Ok(!popped.is_empty())
    }

    fn end_claim(&mut self) -> Result<bool> {
        let Some((project, queue, claim)) = self.pick_claim() else { return Ok(false) };
        self.told.ledger.changes_claim(&claim);
        if self.random.one_in(4) {
            let options = ClaimOptions::new().ttl(seconds(5 + self.random.below(90))).grace(seconds(9));
            self.driver.claims().update(&project, &queue, &claim, &options)?;
        } else {
            self.driver.claims().delete(&project, &queue, &claim)?;
        }
        Ok(true)
    }

    fn subscription(&mut self) -> Result<bool> {
        let (project, queue) = self.place();
        let driver = self.driver.clone();
        let subscriptions = driver.subscriptions();
        let kind = self.random.below(8);
        if kind < 4 {
            let (who, ttl) = (subscriber(self.random.below(5)), self.life());
            let created = subscriptions.create(&project, &queue, &who, seconds(ttl), &Metadata::new())?;
            // Without a pool it is refused without a word (contract 12).
            if let Some(id) = created {
                assert!(self.told.numbers.insert(id), "{id} was given out twice");
                self.told.count("subscriptions", 1);
                self.told.ledger.subscribed(&project, &queue, id, ttl < LONG);
                self.told.subscribed.push((project, queue, id));
            }
            return Ok(created.is_some());
        }
        let recent = self.told.subscribed.len().min(8) as u64;
        let back = self.random.below(recent) as usize;
        let Some((project, queue, id)) = self.told.subscribed.iter().rev().nth(back).cloned() else {
            return Ok(false);
        };
        match kind {
            4 => subscriptions.confirm(&project, &queue, &id, true)?,
            5 | 6 => {
                let update = SubscriptionUpdate::new().subscriber(subscriber(self.random.below(5)));
                subscriptions.update(&project, &queue, &id, &update)?;
            }
            _ => {
                self.told.ledger.unsubscribes(id);
                subscriptions.delete(&project, &queue, &id)?;
                self.told.ledger.unsubscribed(id);
            }
        }
        Ok(true)
    }

    fn move_queue(&mut self) -> Result<bool> {
        let (project, queue) = self.place();
        let to = self.pool_name()?;
        let driver = self.driver.clone();
        let from = Catalogue::get(&driver, &project, &queue)?;
        let (held, claims) = match messages_of(&driver, &project, &queue) {
            Ok(held) => (held.len(), held.iter().filter(|message| message.claim_id().is_some()).count()),
            Err(error) if error.is_not_found() => (0, 0),
            Err(error) => return Err(error),
        };
        driver.move_queue(&project, &queue, &to)?;
        if from.pool() != &to {
            self.told.count("moves", 1);
            self.told.count("moved messages", held);
            self.told.count("moved under a claim", claims);
        }
        Ok(true)
    }

    /// Maps a queue to another pool, or to none.
    fn map(&mut self) -> Result<bool> {
        let (project, queue) = self.place();
        let pool = self.pool_name()?;
        self.told.ledger.reroutes(&project);
        // The pool in which the next dead letter would create the queue again is random.
        if self.random.one_in(5) && !is_dead(&queue) {
            Catalogue::delete(&self.driver, &project, &queue)?;
        } else {
            Catalogue::update(&self.driver, &project, &queue, Some(&pool))?;
        }
        self.told.count("mapped again", 1);
        Ok(true)
    }

    fn queue(&mut self) -> Result<bool> {
        let (project, queue) = self.place();
        let queues = self.driver.queues();
        match self.random.below(6) {
            0..=2 => queues.set_metadata(&project, &queue, &metadata(&mut self.random))?,
            3 => drop(queues.create(&project, &queue, &metadata(&mut self.random))?),
            4 => {
                self.told.ledger.empties(&project, &queue);
                queues.purge(&project, &queue, Purge::All)?;
            }
            _ => {
                self.told.ledger.empties(&project, &queue);
                queues.delete(&project, &queue)?;
                self.told.count("queues deleted", 1);
            }
        }
        Ok(true)
    }

    fn pool(&mut self) -> Result<bool> {
        let name = self.pool_name()?;
        self.driver.pools().update(&name, &PoolUpdate::new().weight(1 + self.random.below(5).cast_signed()))?;
        Ok(true)
    }

    fn pool_name(&mut self) -> Result<PoolName> {
        POOLS[self.random.below(POOLS.len() as u64) as usize].parse()
    }

    fn place(&mut self) -> (Project, QueueName) {
        let places = places();
        // Dead-letter queues are chosen less often.
        let n = if self.random.one_in(4) { self.random.below(places.len() as u64) } else { self.random.below(3) };
        places[n as usize].clone()
    }

    fn pick_claim(&mut self) -> Option<Told> {
        let recent = self.told.claims.len().min(4) as u64;
        let back = self.random.below(recent) as usize;
        self.told.claims.iter().rev().nth(back).cloned()
    }
}

fn none_if_missing(error: Error) -> Result<Vec<Message>> {
    if error.is_not_found() { Ok(Vec::new()) } else { Err(error) }
}

/// The calls that create pools, the first queues and a flavor.
const SET_UP: usize = POOLS.len() + PLACES_MADE + 1;
const PLACES_MADE: usize = 3;
/// A life that no run is as long as.
const LONG: u64 = 36_000;

/// Where queues are created by callers and by claims.
pub(super) fn places() -> Vec<(Project, QueueName)> {
    let named = |project: &str, queue: &str| (Project::named(project).unwrap(), QueueName::new(queue).unwrap());
    let global = |queue: &str| (Project::none(), QueueName::new(queue).unwrap());
    vec![global("a"), global("b"), named("p", "a"), global("dead"), global("dead2"), named("p", "dead")]
}

/// Whether the queue is a dead-letter queue, which a claim or a delivery may create or map.
pub(super) fn is_dead(queue: &QueueName) -> bool {
    queue.as_str() != "a"
}

fn metadata(random: &mut Random) -> Metadata {
    let metadata = Metadata::new().with("n", random.below(1000)).unwrap();
    if random.one_in(6) {
        return metadata;
    }
    let queue = ["dead", "dead", "dead2", "b"][random.below(4) as usize];
    let metadata = metadata.with("_max_claim_count", if random.one_in(4) { 2 } else { 1 }).unwrap();
    let metadata = metadata.with("_dead_letter_queue", queue).unwrap();
    if random.one_in(2) { metadata.with("_dead_letter_queue_messages_ttl", LONG).unwrap() } else { metadata }
}

fn subscriber(n: u64) -> Subscriber {
    Subscriber::new(format!("http://subscriber/{n}")).unwrap()
}
