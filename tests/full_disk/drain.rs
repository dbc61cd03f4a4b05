//! One life of a store on a disk that fills up, and its end: every message is removed.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use zaqar_sled::{
    ClaimId, ClaimOptions, Config, DataDriver, Durability, Engine, Error, ManualClock, MessageId, Metadata, NewMessage,
    Project, Purge, Queue,
};

use crate::ledger::Ledger;
use crate::medium::Medium;
use crate::random::Random;
use crate::values::{CLIENT, clock, everything};

const QUEUES: usize = 3;
const HOUR: Duration = Duration::from_secs(3600);

/// The parameters of a life.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) segment: u64,
    pub(crate) memory: u64,
    pub(crate) body: usize,
    pub(crate) calls: u64,
    pub(crate) background: bool,
    pub(crate) durability: Durability,
    /// One kill in so many calls while it is drained.
    pub(crate) kills: u64,
}

pub(crate) struct Life<P> {
    medium: P,
    shape: Shape,
    random: Random,
    clock: Arc<ManualClock>,
    engine: Option<Engine>,
    /// The messages of each queue that exists, with the sizes of their bodies.
    live: Vec<Option<Ledger<MessageId, u64>>>,
    claims: Vec<(usize, ClaimId, Vec<MessageId>)>,
    posted: u64,
    /// Why calls were refused since the last one that was done.
    refusals: RefCell<Vec<Error>>,
    context: String,
}

impl<P: Medium> Life<P> {
    pub(crate) fn new(medium: P, shape: Shape, seed: u64) -> Self {
        let clock = clock();
        let context = format!("ZAQAR_SEED={seed} {shape:?}");
        let (random, live) = (Random::new(seed), vec![None; QUEUES]);
        let (claims, refusals) = (Vec::new(), RefCell::default());
        let mut this = Self { medium, shape, random, clock, engine: None, live, claims, posted: 0, refusals, context };
        this.open("at first");
        this
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    fn queue(&self, number: usize) -> Queue {
        self.engine().queue(Project::none(), format!("queue{number}")).unwrap()
    }

    fn open(&mut self, when: &str) {
        let config = Config::new()
            .disk(self.medium.disk())
            .clock(self.clock.clone())
            .background(self.shape.background)
            .sync_interval(Duration::from_millis(5))
            .busy_timeout(Duration::from_millis(50))
            .durability(self.shape.durability)
            .segment_size(self.shape.segment)
            .memory(self.shape.memory);
        let config = if self.shape.background { config.queue_memory(0) } else { config };
        let opened = config.open(self.medium.root());
        self.engine = Some(opened.unwrap_or_else(|error| panic!("{}: it does not open {when}: {error}", self.context)));
        self.assert_kept(when);
    }

    /// Asserts that exactly the acknowledged messages exist.
    fn assert_kept(&self, when: &str) {
        for (number, live) in self.live.iter().enumerate() {
            let queue = self.queue(number);
            let there = queue.exists().unwrap();
            assert_eq!(there, live.is_some(), "{}: queue{number} {when}", self.context);
            let Some(live) = live else { continue };
            let found = queue.iter(everything()).map(|message| message.unwrap());
            let found = found.map(|message| (message.id(), message.body().len() as u64));
            live.check(found, &format!("{}: queue{number} {when}", self.context));
        }
    }

    /// The live messages of a queue.
    fn ids(&self, number: usize) -> impl Iterator<Item = MessageId> {
        self.live[number].iter().flat_map(|queue| queue.live().keys().copied())
    }

    fn kill(&mut self) {
        let cut = self.shape.durability == Durability::Sync && self.random.one_in(3) && self.medium.cut_power();
        if !cut {
            self.medium.kill();
        }
        self.engine = None;
        self.open(if cut { "after a power cut" } else { "after a kill" });
    }

    fn reopen(&mut self) {
        // The store may have no space to close cleanly; then the opening takes longer.
        let closed = self.engine().close();
        if let Err(error) = closed {
            assert!(error.is_full() || matches!(error, Error::Trees { .. }), "{}: {error}", self.context);
        }
        self.engine = None;
        self.open("after a close");
    }

    /// Whether a call was done; lack of space is the only reason why not.
    fn done<T>(&self, outcome: Result<T, Error>) -> Option<T> {
        match outcome {
            Ok(done) => Some(done),
            Err(error) if error.is_full() || error.is_busy() => {
                self.refusals.borrow_mut().push(error);
                None
            }
            Err(error) => panic!("{}: {error}", self.context),
        }
    }

    fn post(&mut self, number: usize) -> bool {
        let bytes = match self.random.below(8) {
            0 => 1,
            1 => usize::try_from(self.random.below(self.shape.body as u64 * 4)).unwrap(),
            _ => self.shape.body,
        };
        let count = 1 + self.random.below(if bytes > 10_000 { 2 } else { 10 });
        let new = |n: u64| NewMessage::new(vec![u8::try_from(n % 251).unwrap(); bytes]).ttl(HOUR * 100);
        let batch: Vec<_> = (0..count).map(|n| new(self.posted + n).delay(Duration::ZERO)).collect();
        let Some(ids) = self.done(self.queue(number).post(CLIENT, &batch)) else { return false };
        self.posted += count;
        let live = self.live[number].as_mut().unwrap();
        live.posted(ids.into_iter().map(|id| (id, bytes as u64)));
        true
    }

    /// A batch that posts to two queues and deletes a message of the first.
    fn commit(&mut self, number: usize) -> bool {
        let other = (0..QUEUES).rev().find(|other| self.live[*other].is_some()).unwrap_or(number);
        let gone: Vec<MessageId> = self.ids(number).take(1).collect();
        let body = vec![7; self.shape.body];
        let mut batch = self.engine().batch();
        for to in [number, other] {
            batch.post(&self.queue(to), CLIENT, [NewMessage::new(body.clone()).ttl(HOUR * 100)]);
        }
        batch.delete_messages(&self.queue(number), gone.iter().copied());
        let outcome = match batch.commit() {
            // Another call has claimed the message.
            Err(error) if error.is_not_permitted() => return true,
            outcome => outcome,
        };
        let Some(outcome) = self.done(outcome) else { return false };
        for (to, ids) in [number, other].into_iter().zip(outcome.posted()) {
            self.posted += 1;
            self.live[to].as_mut().unwrap().posted(ids.iter().map(|id| (*id, body.len() as u64)));
        }
        let live = self.live[number].as_mut().unwrap();
        assert_eq!(gone.iter().filter(|id| live.removed(id)).count() as u64, outcome.deleted());
        true
    }

    fn create(&mut self, number: usize) -> bool {
        let created = self.done(self.queue(number).create(Metadata::new().with("n", number).unwrap()));
        if created == Some(true) {
            self.live[number] = Some(Ledger::default());
        }
        created.is_some()
    }

    /// A claim, renewal or release, which frees no space; returns whether it was accepted.
    fn lease(&mut self, number: usize) -> bool {
        let ttl = HOUR * 50;
        if self.claims.is_empty() || self.random.one_in(3) {
            let limit = 1 + usize::try_from(self.random.below(20)).unwrap();
            let options = ClaimOptions::new().ttl(ttl).limit(limit);
            let Some(claim) = self.done(self.queue(number).claim(options)) else { return false };
            if let Some(claim) = claim {
                let ids = claim.messages().iter().map(zaqar_sled::Message::id).collect();
                self.claims.push((number, claim.id(), ids));
            }
            return true;
        }
        let at = usize::try_from(self.random.below(self.claims.len() as u64)).unwrap();
        let (number, id, _) = self.claims[at].clone();
        let queue = self.queue(number);
        if self.random.one_in(4) {
            let released = self.engine().claims().delete(&Project::none(), queue.name(), &id);
            let done = self.done(released).is_some();
            if done {
                self.claims.swap_remove(at);
            }
            return done;
        }
        let options = ClaimOptions::new().ttl(ttl);
        match self.engine().claims().update(&Project::none(), queue.name(), &id, &options) {
            Err(error) if error.is_not_found() => {
                self.claims.swap_remove(at);
                true
            }
            outcome => self.done(outcome).is_some(),
        }
    }

    /// Removes some messages, in one of five ways. Returns how many, or `None` if the call was refused.
    fn free(&mut self, number: usize) -> Option<usize> {
        let queue = self.queue(number);
        let name = queue.name().clone();
        let held = self.claims.iter().position(|(of, _, ids)| *of == number && !ids.is_empty());
        let gone: Vec<MessageId> = match (self.random.below(8), held) {
            (0..=2, Some(at)) => {
                let (_, claim, ids) = self.claims[at].clone();
                let id = ids[0];
                self.claims[at].2.remove(0);
                match self.engine().messages().delete(&Project::none(), &name, &id, Some(&claim)) {
                    // The claim is over, or was released.
                    Err(error) if error.is_not_permitted() || error.is_not_found() || error.is_conflict() => Vec::new(),
                    outcome => {
                        self.done(outcome)?;
                        vec![id]
                    }
                }
            }
            (3, _) => {
                let ids: Vec<_> = self.ids(number).take(30).collect();
                self.done(queue.bulk_delete(&ids))?;
                ids
            }
            (4, _) => {
                let ids: Vec<_> = self.ids(number).take(1).collect();
                self.done(queue.bulk_delete(&ids))?;
                ids
            }
            (5, _) => {
                let ids: Vec<_> = self.ids(number).take(1).collect();
                match self.engine().batch().delete_messages(&queue, ids.iter().copied()).commit() {
                    Err(error) if error.is_not_permitted() => Vec::new(),
                    outcome => {
                        self.done(outcome)?;
                        ids
                    }
                }
            }
            (_, _) => {
                let limit = 1 + usize::try_from(self.random.below(4)).unwrap();
                self.done(queue.pop(limit))?.iter().map(zaqar_sled::Message::id).collect()
            }
        };
        let live = self.live[number].as_mut();
        let removed = live.map_or(0, |live| gone.iter().filter(|id| live.removed(id)).count());
        Some(removed)
    }

    /// The whole queue at once.
    fn clear(&mut self, number: usize) -> bool {
        let queue = self.queue(number);
        let cleared = match self.random.below(3) {
            0 => {
                let done = self.done(queue.delete()).is_some();
                if done {
                    self.live[number] = None;
                }
                done
            }
            1 => self.done(queue.purge()).is_some(),
            _ => self.done(self.engine().queues().purge(&Project::none(), queue.name(), Purge::All)).is_some(),
        };
        if cleared {
            self.live[number].iter_mut().for_each(Ledger::emptied);
            self.claims.retain(|(of, _, _)| *of != number);
        }
        cleared
    }

    fn tend(&mut self) {
        let engine = self.engine();
        let outcome = match self.random.clone().below(4) {
            0 => engine.snapshot(),
            1 => engine.checkpoint(),
            2 => engine.gc().map(drop),
            _ => engine.step(),
        };
        self.random.next();
        if let Err(error) = outcome {
            assert!(error.is_full() || matches!(error, Error::Trees { .. }), "{}: {error}", self.context);
        }
    }

    /// Any mix of calls; posts most of all, so that the disk fills up.
    pub(crate) fn fill(&mut self) {
        for number in 0..QUEUES {
            self.create(number);
        }
        let mut refused = 0;
        for call in 0..self.shape.calls {
            let number = usize::try_from(self.random.below(QUEUES as u64)).unwrap();
            if self.live[number].is_none() {
                self.create(number);
                continue;
            }
            match self.random.below(100) {
                0..50 => refused += u64::from(!self.post(number)),
                50..60 => refused += u64::from(!self.commit(number)),
                60..85 => drop(self.lease(number)),
                85..92 => drop(self.free(number)),
                92..98 => self.tend(),
                98 if self.random.one_in(4) => self.kill(),
                99 if self.random.one_in(4) => self.reopen(),
                _ => {}
            }
            if refused > 30 && call > 100 {
                break;
            }
        }
        // Then all calls that free nothing, until they are refused too, however often the store is opened meanwhile.
        for round in 0..4 {
            for _ in 0..200 {
                let number = usize::try_from(self.random.below(QUEUES as u64)).unwrap();
                let is_there = self.live[number].is_some();
                if is_there && !self.post(number) && !self.commit(number) && !self.lease(number) {
                    break;
                }
            }
            match (round, self.random.below(3)) {
                (_, 0) => self.kill(),
                (_, 1) => self.reopen(),
                _ => self.tend(),
            }
        }
    }

    /// Removes every message, whatever happens meanwhile. Returns the number of calls.
    pub(crate) fn drain(&mut self) -> u64 {
        let (mut calls, mut stuck) = (0, 0);
        let mut whole = self.random.below(40);
        while let Some(number) =
            (0..QUEUES).find(|number| self.live[*number].as_ref().is_some_and(|q| !q.live().is_empty()))
        {
            calls += 1;
            whole = whole.saturating_sub(1);
            let done = if whole == 0 {
                whole = 2_000 + self.random.below(4_000);
                self.clear(number)
            } else {
                let free = self.free(number);
                if free == Some(0) && !self.claims.is_empty() {
                    // The remaining messages are claimed.
                    self.clock.advance(HOUR * 50);
                    self.claims.clear();
                }
                free.is_some()
            };
            if done {
                stuck = 0;
                self.refusals.borrow_mut().clear();
            } else {
                stuck += 1;
                assert!(
                    stuck < 5,
                    "{}: stuck with {} messages: {:?} {:?}",
                    self.context,
                    self.left(),
                    self.refusals,
                    self.engine().status()
                );
                self.refusals.borrow_mut().extend(self.engine().step().err());
            }
            if self.random.one_in(self.shape.kills) {
                self.kill();
            } else if self.random.one_in(self.shape.kills * 3) {
                self.reopen();
            } else if self.random.one_in(50) {
                self.tend();
            }
        }
        calls
    }

    fn left(&self) -> usize {
        self.live.iter().flatten().map(|queue| queue.live().len()).sum()
    }

    /// Asserts that the space was freed and that the store works.
    pub(crate) fn assert_returned(&mut self, empty: u64) {
        for number in 0..QUEUES {
            if self.live[number].is_some() && !self.random.one_in(3) {
                let deleted = self.queue(number).delete();
                deleted.unwrap_or_else(|error| panic!("{}: the last queue: {error}", self.context));
                self.live[number] = None;
            }
        }
        let deadline = 1_000;
        for tries in 0..=deadline {
            let _ = self.engine().gc();
            let _ = self.engine().step();
            let based = self.engine().snapshot();
            let used = self.medium.used();
            let bound = empty + 2 * self.shape.segment + (1 << 20);
            if based.is_ok() && used <= bound {
                break;
            }
            assert!(
                tries < deadline,
                "{}: {used} of {bound} bytes are used: {based:?} {:?}",
                self.context,
                self.medium.sizes()
            );
            if tries > 4 {
                assert!(self.shape.background, "{}: {used} of {bound} are used: {based:?}", self.context);
                std::thread::yield_now();
            }
        }
        let _ = self.engine().step();
        assert!(self.create(0), "{}: no queue can be made again", self.context);
        let posted = (0..10).filter(|_| self.post(0)).count();
        assert!(posted > 0, "{}: nothing can be posted again: {:?}", self.context, self.medium.sizes());
        self.reopen();
        assert!(self.engine().verify().unwrap().is_sound(), "{}", self.context);
    }

    pub(crate) fn used(&self) -> u64 {
        self.medium.used()
    }
}

/// Fills, drains and fills again.
pub(crate) fn live(medium: impl Medium, shape: &Shape, seed: u64, full: impl FnOnce(u64)) -> u64 {
    let mut life = Life::new(medium, shape.clone(), seed);
    let empty = life.used();
    full(empty);
    life.fill();
    let calls = life.drain();
    life.assert_returned(empty);
    calls
}
