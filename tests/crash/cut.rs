//! A power cut, or a kill, after each operation of the file layer in turn.
//!
//! The expected states come from the same calls on a disk without faults. After the cut the store has the state after
//! some whole number of calls. These include the last call acknowledged at `Sync`, and, if only the process died, all
//! acknowledged calls. Every other recovery is cut too. `ZAQAR_POWER=all` cuts after every operation; `ZAQAR_SEED`
//! selects other calls.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zaqar_sled::disk::{Keep, SimulatedDisk};
use zaqar_sled::{Error, ManualClock, Result};

use super::support::clock;
use super::variables::{POWER, SEED};

/// The calls on a store, and its visible state.
pub(crate) trait Scene: Sized {
    type Store;
    /// The ids that callers know and may use later.
    type Told: Clone + Default;

    /// How many calls are made.
    const CALLS: usize;
    /// Operations of a recovery, about.
    const RECOVERY: u64;

    /// A disk that never fails.
    fn calm_disk() -> SimulatedDisk {
        SimulatedDisk::memory()
    }

    fn open(disk: &SimulatedDisk, clock: &Arc<ManualClock>, seed: u64) -> Result<Self::Store>;

    /// Opens the store after a cut, and runs the pending work.
    fn recover(disk: &SimulatedDisk, clock: &Arc<ManualClock>, seed: u64) -> Result<Self::Store> {
        Self::open(disk, clock, seed)
    }

    /// Makes call `i`; returns whether everything so far is acknowledged at `Sync`.
    fn call(world: &mut World<Self>, i: usize) -> Result<bool>;

    /// Everything that a caller can see, as text, including every known id.
    fn dump(store: &Self::Store, told: &Self::Told) -> String;

    fn assert_sound(store: &Self::Store, context: &str);

    /// Adds messages to all queues, and asserts that their ids are new and above all others.
    fn add(store: &Self::Store, told: &Self::Told, context: &str);

    fn close(store: &Self::Store) -> Result<()>;

    /// Asserts that a store that was closed was opened without having to be put right.
    fn assert_clean(store: &Self::Store, context: &str);
}

/// A store and the ids that its callers know.
pub(crate) struct World<S: Scene> {
    pub(crate) seed: u64,
    pub(crate) disk: SimulatedDisk,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) told: S::Told,
    store: Option<S::Store>,
    opens: u64,
}

/// How far a world got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Reached {
    /// Calls that were answered.
    pub(crate) answered: usize,
    /// Calls up to the last one that was acknowledged at `Sync`.
    pub(crate) synced: usize,
    /// Whether another call was under way.
    pub(crate) cut: bool,
}

impl<S: Scene> World<S> {
    pub(crate) fn new(disk: SimulatedDisk, seed: u64) -> Result<Self> {
        let mut world = Self { seed, disk, clock: clock(), told: S::Told::default(), store: None, opens: 0 };
        world.open()?;
        Ok(world)
    }

    fn open(&mut self) -> Result<()> {
        self.opens += 1;
        self.store = None;
        self.store = Some(S::open(&self.disk, &self.clock, self.seed * 1000 + self.opens)?);
        Ok(())
    }

    /// Closes the store, which only the world holds, and opens it again.
    pub(crate) fn reopen(&mut self) -> Result<()> {
        let closed = self.store.as_ref().map_or(Err(Error::Closed), S::close);
        self.store = None;
        closed?;
        self.open()
    }

    pub(crate) fn store(&self) -> Result<&S::Store> {
        self.store.as_ref().ok_or(Error::Closed)
    }

    /// Makes the first `calls` calls, up to the first that fails.
    pub(crate) fn run(&mut self, calls: usize) -> (Reached, Option<Error>) {
        let mut reached = Reached::default();
        for i in 0..calls {
            match S::call(self, i) {
                Ok(synced) => {
                    reached.answered = i + 1;
                    if synced {
                        reached.synced = i + 1;
                    }
                }
                Err(error) if is_answer(&error) => reached.answered = i + 1,
                Err(error) => {
                    reached.cut = true;
                    return (reached, Some(error));
                }
            }
        }
        (reached, None)
    }

    /// The random numbers of call `i`.
    pub(crate) fn random(&self, i: usize) -> super::support::Random {
        super::support::Random::new(self.seed.wrapping_mul(1_000_003).wrapping_add(i as u64))
    }
}

fn is_answer(error: &Error) -> bool {
    error.is_not_found() || error.is_conflict() || error.is_not_permitted() || error.is_invalid()
}

/// The expected states: by number of calls and time, with the ids known at that time.
pub(crate) struct Oracle<S: Scene> {
    seed: u64,
    known: BTreeMap<(usize, u64), (S::Told, String)>,
}

impl<S: Scene> Oracle<S> {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, known: BTreeMap::new() }
    }

    fn state(&mut self, calls: usize, now: u64) -> &(S::Told, String) {
        let seed = self.seed;
        self.known.entry((calls, now)).or_insert_with(|| {
            let mut world = World::<S>::new(S::calm_disk(), seed).unwrap();
            let (_, failed) = world.run(calls);
            assert!(failed.is_none(), "{failed:?}");
            advance_to(&world.clock, now);
            let state = S::dump(world.store().unwrap(), &world.told);
            (world.told, state)
        })
    }

    /// Which of the states in `range` of calls the store is in.
    pub(crate) fn find(&mut self, store: &S::Store, calls: RangeInclusive<usize>, now: u64) -> Option<usize> {
        calls.rev().find(|calls| {
            let (told, state) = self.state(*calls, now);
            S::dump(store, told) == *state
        })
    }
}

pub(crate) fn wall(clock: &ManualClock) -> u64 {
    zaqar_sled::Clock::wall(clock).as_millis()
}

fn advance_to(clock: &ManualClock, now: u64) {
    clock.advance(Duration::from_millis(now - wall(clock)));
}

/// How the store ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Kill,
    Power(Keep),
}

impl End {
    pub(crate) fn of(self, disk: &SimulatedDisk) -> SimulatedDisk {
        match self {
            Self::Kill => disk.kill(),
            Self::Power(keep) => disk.power_loss(keep),
        }
    }
}

/// The disk after a cut, and the calls before it.
pub(crate) struct Left<S: Scene> {
    pub(crate) disk: SimulatedDisk,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) told: S::Told,
    pub(crate) reached: Reached,
}

/// Makes the calls of `seed` up to a cut after `k` operations.
pub(crate) fn run_and_cut<S: Scene>(seed: u64, k: u64, end: End) -> Left<S> {
    let disk = SimulatedDisk::new();
    disk.fail_after(k);
    match World::<S>::new(disk.clone(), seed) {
        Ok(mut world) => {
            let (reached, _) = world.run(S::CALLS);
            Left { disk: end.of(&disk), clock: world.clock.clone(), told: world.told.clone(), reached }
        }
        Err(_) => Left { disk: end.of(&disk), clock: clock(), told: S::Told::default(), reached: Reached::default() },
    }
}

/// Cuts the recovery after `k` operations; returns whether it had ended before.
pub(crate) fn cut_recovery<S: Scene>(left: &mut Left<S>, k: u64, end: End) -> bool {
    left.disk.fail_after(k);
    let recovered = S::recover(&left.disk, &left.clock, 77);
    left.disk = end.of(&left.disk);
    recovered.is_ok()
}

/// Cuts the calls after `k` operations, every other time the recovery too, and checks the store.
fn cut<S: Scene>(oracle: &mut Oracle<S>, k: u64, end: End) {
    let mut left = run_and_cut::<S>(oracle.seed, k, end);
    if k % 2 == 1 {
        cut_recovery(&mut left, k / 2 % S::RECOVERY, end);
    }
    let context = format!("seed {}, operation {k}, {end:?}, {:?}", oracle.seed, left.reached);
    check(oracle, &left, end, &context);
}

/// Checks that the store has the state after some whole number of calls, and that it works.
pub(crate) fn check<S: Scene>(oracle: &mut Oracle<S>, left: &Left<S>, end: End, context: &str) {
    let Left { disk, clock, told, reached } = left;
    let store = S::recover(disk, clock, 78).unwrap_or_else(|error| panic!("{context}: {error}"));
    let last = reached.answered + usize::from(reached.cut);
    let first = if end == End::Kill { reached.answered } else { reached.synced };
    let now = wall(clock);
    let found = oracle.find(&store, first..=last, now);
    if found.is_none() {
        let anywhere = oracle.find(&store, 0..=last, now);
        println!("{context}: not the state after {first} to {last} calls, but {anywhere:?}");
        for calls in first.max(last.saturating_sub(3))..=last {
            let (told, expected) = oracle.state(calls, now);
            print_difference(&S::dump(&store, told), expected, calls);
        }
        panic!("{context}: not the state after {first} to {last} calls");
    }
    S::assert_sound(&store, context);
    S::add(&store, told, context);
    go_on::<S>(store, disk, clock, context);
}

fn print_difference(is: &str, expected: &str, calls: usize) {
    let only = |mark: char, these: &str, others: &str| {
        let others: BTreeSet<&str> = others.lines().collect();
        these.lines().filter(|line| !others.contains(line)).for_each(|line| println!("{mark} {line}"));
    };
    println!("Compared with {calls} calls:");
    let first = is.lines().zip(expected.lines()).find(|(is, expected)| is != expected);
    println!("{first:?}");
    only('-', expected, is);
    only('+', is, expected);
}

/// A power cut, a clean close and a clean open change nothing.
pub(crate) fn go_on<S: Scene>(store: S::Store, disk: &SimulatedDisk, clock: &Arc<ManualClock>, context: &str) {
    let nothing = S::Told::default();
    let before = S::dump(&store, &nothing);
    // Data that recovery read only from the system's cache must be on the disk by now.
    let disk = &disk.power_loss(Keep::Nothing);
    drop(store);
    let store = S::recover(disk, clock, 80).unwrap_or_else(|error| panic!("{context}, then a cut: {error}"));
    assert_eq!(S::dump(&store, &nothing), before, "{context}, then a cut");
    S::close(&store).unwrap_or_else(|error| panic!("{context}: {error}"));
    drop(store);
    let store = S::open(disk, clock, 79).unwrap_or_else(|error| panic!("{context}: {error}"));
    S::assert_clean(&store, context);
    assert_eq!(S::dump(&store, &nothing), before, "{context}: after a clean close");
    S::assert_sound(&store, context);
}

pub(crate) fn seeds() -> Vec<u64> {
    SEED.get().map_or_else(|| vec![1, 2, 3], |seed| vec![seed])
}

/// The number of operations of the calls; asserts that no call fails.
pub(crate) fn operations<S: Scene>(seed: u64) -> u64 {
    let disk = SimulatedDisk::new();
    let mut world = World::<S>::new(disk.clone(), seed).unwrap();
    let (reached, failed) = world.run(S::CALLS);
    assert!(failed.is_none() && reached.answered == S::CALLS, "seed {seed}: {reached:?} {failed:?}");
    S::assert_sound(world.store().unwrap(), "uncut");
    disk.operations()
}

/// Cuts after every `stride`th operation.
pub(crate) fn cut_everywhere<S: Scene>(end: impl Fn(u64) -> End, stride: u64) {
    let mut cuts = 0;
    let started = Instant::now();
    for seed in seeds() {
        let mut oracle = Oracle::<S>::new(seed);
        let operations = operations::<S>(seed);
        let stride = POWER.stride(stride);
        for k in (seed % stride..operations).step_by(stride as usize) {
            cut(&mut oracle, k, end(k));
            cuts += 1;
        }
        println!("seed {seed}: {operations} operations");
    }
    println!("{cuts} cuts in {:?}", started.elapsed());
}

/// The world after all calls on a disk that loses nothing; asserts that its state is the same as on a disk in memory.
pub(crate) fn uncut<S: Scene>(seed: u64) -> World<S> {
    let mut world = World::<S>::new(SimulatedDisk::new(), seed).unwrap();
    let (_, failed) = world.run(S::CALLS);
    assert!(failed.is_none(), "seed {seed}: {failed:?}");
    let found = Oracle::<S>::new(seed).find(world.store().unwrap(), 0..=S::CALLS, wall(&world.clock));
    assert_eq!(found, Some(S::CALLS), "seed {seed}");
    world
}
