//! A script of calls during which the nth disk call fails, once or from then on, for every n and with every error of a
//! disk. Then the process is killed or the power cut, and the store is opened without the fault.
//!
//! For one store and for a pooled driver of several, with background threads and without: all acknowledged messages
//! exist, no deleted message exists, and `verify` is sound. A failed call has changed nothing, unless its outcome is
//! unknown.

use std::sync::Arc;

use zaqar_sled::disk::{Calls, Fault, FaultError, Keep, Operation, SimulatedDisk};
use zaqar_sled::{
    ClaimOptions, Config, DataDriver, Engine, Error, ManualClock, MessageId, Metadata, NewMessage, NewPool,
    PooledDriver, Project, QueueName, Result,
};

use super::ledger::Ledger;
use super::random::Random;
use super::support::{CLIENT, ROOT, clock, everything, seconds};
use super::variables::{FAULTS, ROUNDS, SEED};

const CALLS: u64 = 300;
const QUEUES: [&str; 3] = ["a", "b", "c"];

/// The errors of a disk, and the calls that return them.
fn kinds() -> [(FaultError, Calls); 5] {
    let needs_descriptor = [
        Operation::Open,
        Operation::Create,
        Operation::Look,
        Operation::Lock,
        Operation::OpenTrees,
        Operation::SyncDir,
    ];
    let needs_space = [
        Operation::Create,
        Operation::Write,
        Operation::Allocate,
        Operation::Sync,
        Operation::Rename,
        Operation::MakeDir,
        Operation::WriteTrees,
        Operation::SyncTrees,
    ];
    [
        (FaultError::Device, Calls::any()),
        (FaultError::Device, Calls::of([Operation::Sync, Operation::SyncDir, Operation::SyncTrees])),
        (FaultError::Space, Calls::of(needs_space)),
        (FaultError::ProcessDescriptors, Calls::of(needs_descriptor)),
        (FaultError::SystemDescriptors, Calls::of(needs_descriptor)),
    ]
}

/// One run: its fault and its end.
#[derive(Clone, Debug)]
struct Run {
    seed: u64,
    kind: usize,
    nth: u64,
    lasts: bool,
    kind_of_store: Kind,
    background: bool,
    /// The power is cut, rather than the process killed.
    cut: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    One,
    Pooled,
}

enum Store {
    One(Engine),
    Pooled(PooledDriver),
}

impl Store {
    fn open(disk: &SimulatedDisk, clock: &Arc<ManualClock>, run: &Run, opening: u64) -> Result<Self> {
        let config = Config::new().disk(Arc::new(disk.clone())).clock(clock.clone()).seed(run.seed * 10 + opening);
        let config = config.background(run.background).segment_size(8 << 10).memory(4 << 10).journal_max(128 << 10);
        let config = config.busy_timeout(std::time::Duration::ZERO);
        // In every other run idle queues leave memory with every snapshot.
        let config = if run.seed.is_multiple_of(2) { config.queue_memory(0) } else { config };
        match run.kind_of_store {
            Kind::Pooled => config.open_pooled(ROOT).map(Self::Pooled),
            Kind::One => config.open(ROOT).map(Self::One),
        }
    }

    fn driver(&self) -> &dyn DataDriver {
        match self {
            Self::One(engine) => engine,
            Self::Pooled(driver) => driver,
        }
    }

    /// Creates the pools and the queues.
    fn set_up(&self) -> Result<()> {
        if let Self::Pooled(driver) = self {
            for pool in ["one", "two"] {
                driver.pools().create(&pool.parse()?, &NewPool::new(format!("sled:/pools/{pool}").parse()?))?;
            }
        }
        QUEUES.iter().try_for_each(|queue| {
            self.driver().queues().create(&Project::none(), &name(queue), &Metadata::new()).map(drop)
        })
    }

    fn housekeep(&self, what: u64) -> Result<()> {
        match (self, what) {
            (Self::One(engine), 0) => engine.snapshot(),
            (Self::One(engine), 1) => engine.checkpoint(),
            (Self::One(engine), _) => engine.step(),
            (Self::Pooled(driver), _) => driver.step(),
        }
    }
}

fn name(queue: &str) -> QueueName {
    queue.parse().unwrap()
}

/// The answers of the calls.
#[derive(Default)]
struct Answers {
    messages: Ledger<(usize, MessageId), Vec<u8>>,
    claims: Vec<(usize, zaqar_sled::ClaimRecord)>,
}

fn body(number: u64) -> Vec<u8> {
    // Every eighth is a page of its own.
    let size = if number.is_multiple_of(8) { 17 << 10 } else { 200 + number * 37 % 500 };
    let mut bytes = vec![u8::try_from(number % 251).unwrap(); usize::try_from(size).unwrap()];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes
}

impl Answers {
    /// Makes one call and records the answer.
    fn call(&mut self, store: &Store, random: &mut Random, number: u64) {
        let (driver, project) = (store.driver(), Project::none());
        let at = usize::try_from(random.below(3)).unwrap();
        let queue = name(QUEUES[at]);
        match random.below(20) {
            0..=7 => {
                let bodies: Vec<Vec<u8>> = (0..=random.below(3)).map(|one| body(number * 4 + one)).collect();
                let messages: Vec<NewMessage> =
                    bodies.iter().map(|body| NewMessage::new(body.clone()).ttl(seconds(36_000))).collect();
                match driver.messages().post(&project, &queue, CLIENT, &messages) {
                    Ok(ids) => self.messages.posted(ids.into_iter().map(|id| (at, id)).zip(bodies)),
                    Err(error) if error.is_outcome_unknown() => self.messages.may_have_posted(bodies.len()),
                    Err(_) => {}
                }
            }
            8..=10 => {
                let options = ClaimOptions::new().limit(3).ttl(seconds(300)).grace(seconds(60));
                if let Ok(Some(claim)) = driver.claims().create(&project, &queue, &options) {
                    self.claims.push((at, claim));
                }
            }
            11 | 12 => {
                let Some((at, claim)) = self.claims.pop() else { return };
                for message in claim.messages() {
                    let deleted =
                        driver.messages().delete(&project, &name(QUEUES[at]), &message.id(), Some(&claim.id()));
                    self.deleted((at, message.id()), &deleted);
                }
            }
            13 => {
                let Some((at, claim)) = self.claims.pop() else { return };
                let _ = driver.claims().delete(&project, &name(QUEUES[at]), &claim.id());
            }
            14 | 15 => match driver.messages().pop(&project, &queue, 2) {
                Ok(popped) => popped.iter().for_each(|message| self.messages.taken(&(at, message.id()))),
                Err(error) if error.is_outcome_unknown() => self.messages.may_have_taken(2),
                Err(_) => {}
            },
            16 => {
                let _ = driver.queues().set_metadata(&project, &queue, &Metadata::new().with("n", number).unwrap());
            }
            17 => drop(driver.gc()),
            _ => drop(store.housekeep(random.below(3))),
        }
    }

    fn deleted(&mut self, message: (usize, MessageId), outcome: &Result<()>) {
        match outcome {
            Ok(()) => drop(self.messages.removed(&message)),
            Err(error) if error.is_outcome_unknown() => self.messages.may_be_missing(message),
            Err(_) => {}
        }
    }

    /// Asserts that the store agrees with the recorded answers.
    fn check(&self, store: &Store, run: &Run) {
        let mut found = Vec::new();
        for (at, queue) in QUEUES.iter().enumerate() {
            let listed = match store.driver().messages().list(&Project::none(), &name(queue), &everything()) {
                Err(error) if error.is_not_found() => Vec::new(),
                listed => listed.unwrap_or_else(|error| panic!("{run:?}: {error}")).items,
            };
            found.extend(listed.iter().map(|message| ((at, message.id()), message.body().as_bytes().to_vec())));
        }
        self.messages.check(found, &format!("{run:?}"));
        let verification = match store {
            Store::One(engine) => engine.verify(),
            Store::Pooled(driver) => driver.verify(),
        };
        let verification = verification.unwrap_or_else(|error| panic!("{run:?}: {error}"));
        assert!(verification.is_sound(), "{run:?}: {:?}", verification.findings());
    }
}

/// Makes the script's calls; returns the number of disk calls.
fn perform(run: &Run) -> u64 {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    disk.set_seed(run.seed);
    let (error, calls) = kinds()[run.kind].clone();
    let fault = Fault::on(calls).nth(run.nth).error(error);
    disk.inject(if run.lasts { fault.forever() } else { fault });
    let mut answers = Answers::default();
    if let Ok(store) = Store::open(&disk, &clock, run, 1) {
        let mut random = Random::new(run.seed * 2 + 1);
        let set_up = store.set_up();
        for number in 0..CALLS {
            if set_up.is_ok() {
                answers.call(&store, &mut random, number);
            }
        }
        let calls = disk.calls();
        // Neither closed nor dropped: a process that dies does neither.
        let left = if run.cut { disk.power_loss(Keep::Random(run.seed)) } else { disk.kill() };
        drop(store);
        reopen(&left, &clock, run, &answers);
        return calls;
    }
    let calls = disk.calls();
    reopen(&if run.cut { disk.power_loss(Keep::Random(run.seed)) } else { disk.kill() }, &clock, run, &answers);
    calls
}

fn reopen(disk: &SimulatedDisk, clock: &Arc<ManualClock>, run: &Run, answers: &Answers) {
    // The cache may drop data that a failed sync lost during the read.
    let open = |opening| Store::open(disk, clock, run, opening);
    let opened = (2..6).map(open).find(|opened| !opened.as_ref().is_err_and(Error::is_busy));
    let store = opened.unwrap_or_else(|| open(6)).unwrap_or_else(|error| panic!("{run:?}: {error}"));
    answers.check(&store, run);
    store.driver().close().unwrap_or_else(|error| panic!("{run:?}: {error}"));
    drop(store);
    let store = open(7).unwrap_or_else(|error| panic!("{run:?}: {error}"));
    answers.check(&store, run);
}

/// Makes the requested number of runs, or a few; with `ZAQAR_FAULTS=all` every n of every kind.
fn campaign(kind_of_store: Kind, background: bool) {
    let (seed, rounds) = (SEED.or(1), ROUNDS.or(60));
    let mut random = Random::new(seed * 2 + 77);
    let mut done = 0;
    let clean = Run { seed, kind: 0, nth: u64::MAX, lasts: false, kind_of_store, background, cut: false };
    let calls = perform(&clean);
    let mut make = |run: &Run| {
        perform(run);
        done += 1;
    };
    if FAULTS.is_all() {
        for nth in 1..=calls {
            for kind in 0..kinds().len() {
                for lasts in [false, true] {
                    make(&Run { kind, nth, lasts, cut: nth % 2 == 0, ..clean });
                }
            }
        }
    } else {
        for round in 0..rounds {
            let kind = usize::try_from(round % 5).unwrap();
            let share = if kind == 0 { calls } else { calls / 6 };
            let (nth, lasts) = (1 + random.below(share), random.below(3) == 0);
            make(&Run { seed: seed + round, kind, nth, lasts, cut: random.below(2) == 0, ..clean });
        }
    }
    println!("{done} runs, {calls} calls of the disk in each, seed {seed}");
}

#[test]
fn one_store_survives_any_failing_call() {
    campaign(Kind::One, false);
}

#[test]
fn a_pooled_driver_survives_any_failing_call() {
    campaign(Kind::Pooled, false);
}

#[test]
fn one_store_with_threads_survives_any_failing_call() {
    campaign(Kind::One, true);
}

#[test]
fn a_pooled_driver_with_threads_survives_any_failing_call() {
    campaign(Kind::Pooled, true);
}
