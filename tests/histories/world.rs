//! The world of a history: a store, or a driver of several stores, with a clock and a disk that delay threads.

use std::sync::atomic::{AtomicU32, AtomicU64};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use zaqar_sled::{
    Config, ControlDriver, Durability, Engine, ExtendedDriver, NewPool, PoolName, PooledDriver, Project, QueueName,
    SimulatedDisk, Timestamp,
};

use crate::calls::Caller;
use crate::clock::{TickingClock, WatchedClock};
use crate::search::{History, Made};
use crate::spec::{Call, Name, Rule, Rules};
use crate::turbulence::{Pauses, TurbulentDisk, pause, random, seed_this_thread};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Engine,
    /// A store that evicts unused pages at once.
    Tiny,
    OnePool,
    /// A driver whose dead letters go to another pool.
    TwoPools,
}

impl Kind {
    pub(crate) fn is_pooled(self) -> bool {
        matches!(self, Self::OnePool | Self::TwoPools)
    }

    /// Whether dead-letter queues exist from the beginning and stay. In a driver of several pools, the call that moves
    /// dead letters may create their queue a moment before the move.
    pub(crate) fn keeps_dead_letter_queues(self) -> bool {
        self.is_pooled()
    }

    fn rules(self) -> Rules {
        Rules { pooled: self.is_pooled(), dead_letters_travel: self == Self::TwoPools }
    }
}

pub(crate) enum World {
    Engine(Kind, Engine),
    Pooled(Kind, PooledDriver),
}

impl World {
    pub(crate) fn open(kind: Kind) -> Self {
        // Time passes, but nothing expires.
        let start = Timestamp::from_millis(1_800_000_000_000);
        let clock = WatchedClock::around(TickingClock::new(start, Duration::from_millis(1)));
        clock.before_each(|_, _| pause());
        let memory = if kind == Kind::Tiny { 0 } else { 1 << 24 };
        let config = Config::new()
            .clock(clock)
            .disk(Arc::new(TurbulentDisk::around(Arc::new(SimulatedDisk::new()), Pauses)))
            .memory(memory)
            .segment_size(1 << 20)
            .sync_interval(Duration::from_millis(1));
        if !kind.is_pooled() {
            return Self::Engine(kind, config.open("/store").expect("a store opens"));
        }
        let driver = config.open_pooled("/control").expect("a driver opens");
        for (name, weight) in [("one", 1), ("two", 0)] {
            let pool = NewPool::new(format!("sled:/{name}").parse().expect("a place")).weight(weight);
            driver.pools().create(&PoolName::new(name).expect("a name"), &pool).expect("a pool is registered");
        }
        Self::Pooled(kind, driver)
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Engine(kind, _) | Self::Pooled(kind, _) => *kind,
        }
    }

    fn driver(&self) -> &dyn ExtendedDriver {
        match self {
            Self::Engine(_, engine) => engine,
            Self::Pooled(_, driver) => driver,
        }
    }

    /// Three threads make calls at the same time; one thread makes some before and after.
    pub(crate) fn play(&self, seed: u64) -> History {
        seed_this_thread(seed);
        let project = Project::named(format!("p{seed}")).expect("a name");
        self.place_dead_letters(&project);
        let (ticks, bodies) = (AtomicU64::new(0), AtomicU32::new(0));
        let quick = self.in_a_hurry();
        let caller = |driver| Caller::new(driver, self.kind(), &project, &ticks, &bodies);
        let mut before = caller(self.driver());
        before.prepare();
        let start = Barrier::new(THREADS);
        let during = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS as u64)
                .map(|number| {
                    // Some calls wait for the disk and others do not.
                    let driver: &dyn ExtendedDriver = if random(2) == 0 { self.driver() } else { &*quick };
                    let (mut caller, start) = (before.fork(driver), &start);
                    scope.spawn(move || {
                        seed_this_thread(seed ^ (number + 1) << 48);
                        start.wait();
                        for _ in 0..CALLS {
                            pause();
                            caller.call_any();
                        }
                        caller.made()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("a thread ends")).collect::<Vec<Vec<Made>>>()
        });
        let mut after = before.fork(self.driver());
        self.deliver();
        after.look();
        let threads = std::iter::once(before.made()).chain(during).chain([after.made()]).collect();
        History { threads, rules: self.kind().rules() }
    }

    /// Assigns the dead-letter queues to the other pool.
    fn place_dead_letters(&self, project: &Project) {
        let Self::Pooled(Kind::TwoPools, driver) = self else { return };
        for name in [Name::Dead, Name::Other] {
            let pool = PoolName::new("two").expect("a name");
            ControlDriver::catalogue(driver).insert(project, &queue_name(name), &pool).expect("an entry is made");
        }
    }

    /// The same driver, with calls that do not wait for the disk.
    fn in_a_hurry(&self) -> Box<dyn ExtendedDriver> {
        match self {
            Self::Engine(_, engine) => Box::new(engine.with_durability(Durability::Buffered)),
            Self::Pooled(_, driver) => Box::new(driver.with_durability(Durability::Buffered)),
        }
    }

    /// Delivers the dead letters in transit.
    fn deliver(&self) {
        if let Self::Pooled(_, driver) = self {
            while driver.status().in_transit() > 0 {
                driver.step().expect("a step is made");
            }
        }
    }

    /// The stores check themselves, and are closed.
    pub(crate) fn finish(self) {
        let verification = match &self {
            Self::Engine(_, engine) => engine.verify(),
            Self::Pooled(_, driver) => driver.verify(),
        };
        let verification = verification.expect("the stores are verified");
        assert!(verification.is_sound(), "{:?}", verification.findings());
        self.driver().close().expect("the stores are closed");
    }
}

pub(crate) fn queue_name(name: Name) -> QueueName {
    let text = match name {
        Name::Work => "work",
        Name::Dead => "dead",
        Name::Other => "other",
    };
    QueueName::new(text).expect("a name")
}

/// The calls that begin and end a history.
impl Caller<'_> {
    /// Creates queues and posts messages, so that the threads' calls conflict.
    fn prepare(&mut self) {
        let dead_letters = if self.kind.keeps_dead_letter_queues() { 0 } else { random(3) };
        for name in [Name::Dead, Name::Other].into_iter().skip(usize::try_from(dead_letters).unwrap_or(2)) {
            self.call(Call::Create(name, None));
        }
        let rule = any_rule();
        self.call(Call::Create(Name::Work, rule));
        for _ in 0..2 + random(3) {
            self.post(Name::Work);
        }
        for _ in 0..random(3) {
            self.claim_and_release();
        }
    }

    /// Reads everything.
    fn look(&mut self) {
        for name in [Name::Work, Name::Dead, Name::Other] {
            self.call(Call::Metadata(name));
            self.call(Call::List(name, true));
            self.call(Call::Stats(name));
        }
    }
}

pub(crate) fn any_rule() -> Option<Rule> {
    let to = if random(3) == 0 { Name::Other } else { Name::Dead };
    match random(4) {
        0 => None,
        most => Some(Rule { most: u32::try_from(most - 1).unwrap_or(0), to }),
    }
}

const THREADS: usize = 3;
const CALLS: usize = 4;
