//! A power cut, or a kill, after each operation of the file layer in turn.
//!
//! The same calls made on a disk that never fails tell what the store must be: after the cut it is what it was after
//! some whole number of calls, none of them before the last one acknowledged at `Sync`, and all that were acknowledged
//! if only the process died. `ZAQAR_POWER=all` cuts after every operation in every way; `ZAQAR_SEED` takes other calls.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use zaqar_sled::disk::{Keep, SimulatedDisk};
use zaqar_sled::{
    ClaimOptions, DataDriver, Durability, Engine, Error, ManualClock, MessageId, Metadata, NewMessage, Project, Purge,
    QueueName, Result,
};

use super::support::{CLIENT, ROOT, Random, Told, assert_sound, clock, config, dump, message, messages_of, queues_of};

const CALLS: usize = 300;

/// A store and what its callers know of it.
struct World {
    seed: u64,
    opens: u64,
    disk: SimulatedDisk,
    clock: Arc<ManualClock>,
    engine: Option<Engine>,
    known: Vec<(Project, QueueName, MessageId)>,
    claims: Vec<Told>,
    shown: BTreeSet<MessageId>,
}

/// How far a world got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reached {
    /// Calls that were answered.
    answered: usize,
    /// Calls up to the last one that was acknowledged at `Sync`.
    synced: usize,
    /// Whether another call was under way.
    cut: bool,
}

impl World {
    fn new(disk: SimulatedDisk, seed: u64) -> Result<Self> {
        let (known, claims, shown) = (Vec::new(), Vec::new(), BTreeSet::new());
        let mut world = Self { seed, opens: 0, disk, clock: clock(), engine: None, known, claims, shown };
        world.open()?;
        Ok(world)
    }

    fn open(&mut self) -> Result<()> {
        self.opens += 1;
        self.engine = None;
        self.engine = Some(config(&self.disk, &self.clock, self.seed * 1000 + self.opens).open(ROOT)?);
        Ok(())
    }

    /// Makes the first `calls` calls, up to the first that fails.
    fn run(&mut self, calls: usize) -> (Reached, Option<Error>) {
        let mut reached = Reached { answered: 0, synced: 0, cut: false };
        for i in 0..calls {
            match self.call(i) {
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

    /// Makes call `i`; with whether everything so far is acknowledged at `Sync` by that.
    fn call(&mut self, i: usize) -> Result<bool> {
        let mut random = Random::new(self.seed.wrapping_mul(1_000_003).wrapping_add(i as u64));
        let sync = random.one_in(3);
        let opened = self.engine.clone().ok_or(Error::Closed)?;
        let engine = opened.with_durability(if sync { Durability::Sync } else { Durability::Buffered });
        let (project, queue) = place(if i < 3 { i as u64 } else { random.below(3) });
        match if i < 3 { 0 } else { random.below(48) } {
            0 => engine.queues().create(&project, &queue, &metadata(&mut random))?,
            1 => engine.queues().delete(&project, &queue).map(|()| true)?,
            2 | 3 => engine.queues().set_metadata(&project, &queue, &metadata(&mut random)).map(|()| true)?,
            4 => engine.queues().purge(&project, &queue, Purge::All).map(|_| true)?,
            5..=17 if !engine.queues().exists(&project, &queue)? => {
                engine.queues().create(&project, &queue, &metadata(&mut random))?
            }
            5..=17 => {
                let batch: Vec<_> =
                    (0..=random.below(5)).map(|n| Self::letter(&format!("{i}-{n}"), &mut random)).collect();
                let ids = engine.messages().post(&project, &queue, CLIENT, &batch)?;
                for id in ids {
                    assert!(self.shown.insert(id), "{id} was given out twice");
                    self.known.push((project.clone(), queue.clone(), id));
                }
                true
            }
            18..=24 => {
                let options = ClaimOptions::new().ttl(seconds(2 + random.below(60))).grace(seconds(random.below(30)));
                let claim = engine.claims().create(&project, &queue, &options.limit(1 + random.below(4) as usize))?;
                let Some(claim) = claim else { return Ok(false) };
                self.claims.push((project.clone(), queue.clone(), claim.id()));
                true
            }
            25..=28 => {
                let Some((project, queue, claim)) = self.pick_claim(&mut random) else { return Ok(false) };
                let held = engine.claims().get(&project, &queue, &claim)?;
                let ids: Vec<_> = held.messages().iter().map(zaqar_sled::Message::id).collect();
                match ids.first() {
                    Some(id) if random.one_in(2) => engine.messages().delete(&project, &queue, id, Some(&claim))?,
                    _ => engine.messages().bulk_delete(&project, &queue, &ids, &[claim])?,
                }
                true
            }
            29..=31 => {
                let mut ids = Vec::new();
                let Some((project, queue, id)) = self.pick_message(&mut random) else { return Ok(false) };
                ids.push(id);
                ids.extend(self.known.iter().rev().take(2).map(|(_, _, id)| *id));
                engine.messages().bulk_delete(&project, &queue, &ids, &[])?;
                true
            }
            32..=34 => {
                let popped = engine.messages().pop(&project, &queue, 1 + random.below(3) as usize)?;
                if popped.is_empty() {
                    return Ok(false);
                }
                true
            }
            35 | 36 => {
                let Some((project, queue, claim)) = self.pick_claim(&mut random) else { return Ok(false) };
                let options = ClaimOptions::new().ttl(seconds(5 + random.below(90))).grace(seconds(random.below(30)));
                engine.claims().update(&project, &queue, &claim, &options).map(|()| true)?
            }
            37 | 38 => {
                let Some((project, queue, claim)) = self.pick_claim(&mut random) else { return Ok(false) };
                engine.claims().delete(&project, &queue, &claim).map(|()| true)?
            }
            39..=42 => {
                self.clock.advance(seconds(random.below(8)));
                return Ok(false);
            }
            43 => {
                engine.checkpoint()?;
                return Ok(false);
            }
            44 => {
                engine.base()?;
                return Ok(true);
            }
            45 => {
                engine.step()?;
                return Ok(true);
            }
            46 => {
                engine.gc()?;
                return Ok(false);
            }
            _ => {
                self.engine = None;
                let closed = engine.close();
                drop((engine, opened));
                closed?;
                self.open()?;
                return Ok(true);
            }
        };
        Ok(sync)
    }

    fn letter(name: &str, random: &mut Random) -> NewMessage {
        let bytes = match random.below(40) {
            0 => 9_000,
            1 | 2 => 3_000,
            _ => 10 + random.below(200) as usize,
        };
        let delay = if random.one_in(5) { seconds(1 + random.below(15)) } else { Duration::ZERO };
        message(name, bytes).ttl(seconds(if random.one_in(3) { 1 + random.below(60) } else { 3_600 })).delay(delay)
    }

    fn pick_claim(&self, random: &mut Random) -> Option<Told> {
        let recent = self.claims.len().min(4) as u64;
        let back = random.below(recent) as usize;
        self.claims.iter().rev().nth(back).cloned()
    }

    fn pick_message(&self, random: &mut Random) -> Option<(Project, QueueName, MessageId)> {
        let recent = self.known.len().min(30) as u64;
        let back = random.below(recent) as usize;
        self.known.iter().rev().nth(back).cloned()
    }
}

fn is_answer(error: &Error) -> bool {
    error.is_not_found() || error.is_conflict() || error.is_not_permitted() || error.is_invalid()
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn place(n: u64) -> (Project, QueueName) {
    let project = if n == 2 { Project::named("p").unwrap() } else { Project::none() };
    (project, QueueName::new(["a", "b", "a"][n as usize]).unwrap())
}

fn metadata(random: &mut Random) -> Metadata {
    let metadata = Metadata::new().with("n", random.below(1000)).unwrap();
    if random.one_in(2) {
        let metadata = metadata.with("_max_claim_count", 1 + random.below(2)).unwrap();
        metadata.with("_dead_letter_queue", "dead").unwrap().with("_dead_letter_queue_messages_ttl", 300).unwrap()
    } else {
        metadata
    }
}

/// What the store is after so many calls and at that time, with the claims that were made until then.
struct Oracle {
    seed: u64,
    known: BTreeMap<(usize, u64), (Vec<Told>, String)>,
}

impl Oracle {
    fn state(&mut self, calls: usize, now: u64) -> &(Vec<Told>, String) {
        let seed = self.seed;
        self.known.entry((calls, now)).or_insert_with(|| {
            let mut world = World::new(SimulatedDisk::memory(), seed).unwrap();
            let (_, failed) = world.run(calls);
            assert!(failed.is_none(), "{failed:?}");
            advance_to(&world.clock, now);
            let state = dump(world.engine.as_ref().unwrap(), &world.claims).unwrap();
            (world.claims, state)
        })
    }

    /// Which of the states in `range` of calls the engine is in.
    fn find(&mut self, engine: &Engine, calls: std::ops::RangeInclusive<usize>, now: u64) -> Option<usize> {
        calls.rev().find(|calls| {
            let (claims, state) = self.state(*calls, now);
            dump(engine, claims).unwrap() == *state
        })
    }
}

fn wall(clock: &ManualClock) -> u64 {
    zaqar_sled::Clock::wall(clock).as_millis()
}

fn advance_to(clock: &ManualClock, now: u64) {
    clock.advance(Duration::from_millis(now - wall(clock)));
}

/// How the store ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Kill,
    Power(Keep),
}

impl End {
    fn of(self, disk: &SimulatedDisk) -> SimulatedDisk {
        match self {
            Self::Kill => disk.kill(),
            Self::Power(keep) => disk.power_loss(keep),
        }
    }
}

/// Cuts the calls of `seed` after `k` operations and checks what is left.
fn cut(oracle: &mut Oracle, k: u64, end: End) {
    let disk = SimulatedDisk::new();
    disk.fail_after(k);
    let opened = World::new(disk.clone(), oracle.seed);
    let (mut world, reached) = match opened {
        Ok(mut world) => {
            let (reached, _) = world.run(CALLS);
            (Some(world), reached)
        }
        Err(_) => (None, Reached { answered: 0, synced: 0, cut: false }),
    };
    let context = format!("seed {}, operation {k}, {end:?}, {reached:?}", oracle.seed);
    let mut disk = end.of(&disk);
    let clock = world.as_ref().map_or_else(clock, |world| world.clock.clone());
    if let Some(world) = &mut world {
        world.engine = None;
    }
    // Recovery is cut as well, every other time.
    if k % 2 == 1 {
        disk.fail_after(k / 2 % 23);
        let again = config(&disk, &clock, 77).open(ROOT);
        disk = end.of(&disk);
        drop(again);
    }
    let engine = config(&disk, &clock, 78).open(ROOT).unwrap_or_else(|error| panic!("{context}: {error}"));
    let last = reached.answered + usize::from(reached.cut);
    let first = if end == End::Kill { reached.answered } else { reached.synced };
    let now = wall(&clock);
    let found = oracle.find(&engine, first..=last, now);
    if found.is_none() {
        let anywhere = oracle.find(&engine, 0..=last, now);
        let (claims, expected) = oracle.state(last, now);
        let is = dump(&engine, claims).unwrap();
        panic!("{context}: not the state after {first} to {last} calls, but {anywhere:?}\n{is}\nexpected\n{expected}");
    }
    assert_sound(&engine, &context);
    let shown = world.as_ref().map(|world| world.shown.clone()).unwrap_or_default();
    go_on(engine, &disk, &clock, &shown, &context);
}

/// New messages get new ids, behind all others; a clean close and a clean open change nothing.
fn go_on(engine: Engine, disk: &SimulatedDisk, clock: &Arc<ManualClock>, shown: &BTreeSet<MessageId>, context: &str) {
    for (project, queue) in queues_of(&engine).unwrap() {
        let newest = messages_of(&engine, &project, &queue).unwrap().last().map(zaqar_sled::Message::id);
        let id = engine.messages().post(&project, &queue, CLIENT, &[message("new", 9)]).unwrap()[0];
        assert!(!shown.contains(&id), "{context}: {id} was given out before");
        assert!(newest.is_none_or(|newest| newest < id), "{context}: {id} comes before {newest:?}");
    }
    let before = dump(&engine, &[]).unwrap();
    // What recovery found in the system's memory alone has to be on the disk by now.
    let disk = &disk.power_loss(Keep::Nothing);
    drop(engine);
    let engine = config(disk, clock, 80).open(ROOT).unwrap_or_else(|error| panic!("{context}, then a cut: {error}"));
    assert_eq!(dump(&engine, &[]).unwrap(), before, "{context}, then a cut");
    engine.close().unwrap_or_else(|error| panic!("{context}: {error}"));
    drop(engine);
    let engine = config(disk, clock, 79).open(ROOT).unwrap_or_else(|error| panic!("{context}: {error}"));
    assert!(engine.recovery().notes().is_empty(), "{context}: {}", engine.recovery());
    assert_eq!(dump(&engine, &[]).unwrap(), before, "{context}: after a clean close");
    assert_sound(&engine, context);
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn seeds() -> Vec<u64> {
    number("ZAQAR_SEED").map_or_else(|| vec![1, 2, 3], |seed| vec![seed])
}

fn is_thorough() -> bool {
    std::env::var("ZAQAR_POWER").is_ok_and(|value| value == "all")
}

fn operations(seed: u64) -> u64 {
    let disk = SimulatedDisk::new();
    let mut world = World::new(disk.clone(), seed).unwrap();
    let (reached, failed) = world.run(CALLS);
    assert!(failed.is_none() && reached.answered == CALLS, "seed {seed}: {reached:?} {failed:?}");
    assert_sound(world.engine.as_ref().unwrap(), "uncut");
    disk.operations()
}

fn cut_everywhere(end: impl Fn(u64) -> End, stride: u64) {
    let mut cuts = 0;
    let started = std::time::Instant::now();
    for seed in seeds() {
        let mut oracle = Oracle { seed, known: BTreeMap::new() };
        let operations = operations(seed);
        let stride = if is_thorough() { 1 } else { stride };
        for k in (seed % stride..operations).step_by(stride as usize) {
            cut(&mut oracle, k, end(k));
            cuts += 1;
        }
        println!("seed {seed}: {operations} operations");
    }
    println!("{cuts} cuts in {:?}", started.elapsed());
}

#[test]
fn the_calls_come_to_the_same_on_every_disk() {
    for seed in seeds() {
        let mut world = World::new(SimulatedDisk::new(), seed).unwrap();
        let (_, failed) = world.run(CALLS);
        assert!(failed.is_none(), "seed {seed}: {failed:?}");
        let now = wall(&world.clock);
        let mut oracle = Oracle { seed, known: BTreeMap::new() };
        let engine = world.engine.unwrap();
        assert_eq!(oracle.find(&engine, 0..=CALLS, now), Some(CALLS), "seed {seed}");
        let queues = queues_of(&engine).unwrap();
        println!("seed {seed}: {} claims, {} ids, {queues:?}", world.claims.len(), world.shown.len());
        assert!(world.claims.len() > 10 && world.shown.len() > 70, "seed {seed} does too little");
    }
}

#[test]
fn a_power_cut_that_keeps_nothing_unsynced_leaves_whole_calls_and_all_that_was_synced() {
    cut_everywhere(|_| End::Power(Keep::Nothing), 3);
}

#[test]
fn a_power_cut_that_keeps_some_of_the_unsynced_leaves_whole_calls_and_all_that_was_synced() {
    cut_everywhere(|k| End::Power(Keep::Random(k)), 3);
}

#[test]
fn a_kill_leaves_whole_calls_and_all_that_was_acknowledged() {
    cut_everywhere(|_| End::Kill, 3);
}

/// What a worker was told, and what it was doing when the power went.
#[derive(Default)]
struct Toil {
    posted: Vec<MessageId>,
    popped: Vec<MessageId>,
    /// The name of the batch under way.
    posting: Option<String>,
    popping: bool,
}

fn toil(engine: &Engine, worker: usize, seed: u64) -> Toil {
    let mut told = Toil::default();
    let mut random = Random::new(seed * 17 + worker as u64);
    let jobs = engine.queue(Project::none(), "jobs").unwrap();
    for n in 0.. {
        if random.one_in(2) {
            let name = format!("{worker}.{n}");
            let batch: Vec<_> = (0..BATCH).map(|i| message(&format!("{name}.{i}."), 60)).collect();
            if let Ok(ids) = jobs.post(CLIENT, &batch) {
                told.posted.extend(ids);
            } else {
                told.posting = Some(name);
                return told;
            }
        } else if let Ok(popped) = jobs.pop(2) {
            told.popped.extend(popped.iter().map(zaqar_sled::Message::id));
        } else {
            told.popping = true;
            return told;
        }
    }
    told
}

const BATCH: usize = 3;

#[test]
fn a_power_cut_under_several_threads_and_a_base_loses_nothing_acknowledged() {
    let rounds = number("ZAQAR_ROUNDS").unwrap_or(80);
    let seed = number("ZAQAR_SEED").unwrap_or(1);
    let mut random = Random::new(seed);
    for round in 0..rounds {
        let (disk, clock) = (SimulatedDisk::new(), clock());
        let engine =
            config(&disk, &clock, seed).background(true).sync_interval(Duration::from_millis(1)).open(ROOT).unwrap();
        engine.queue(Project::none(), "jobs").unwrap().create(Metadata::new()).unwrap();
        disk.fail_after(50 + random.below(2_000));
        let workers: Vec<_> = (0..3)
            .map(|worker| {
                let engine = engine.clone();
                std::thread::spawn(move || toil(&engine, worker, seed * 1_000 + round))
            })
            .collect();
        while (if random.one_in(2) { engine.base() } else { engine.checkpoint() }).is_ok() {}
        // Trees and bases may fail before the journal does.
        let told: Vec<Toil> = workers.into_iter().map(|worker| worker.join().unwrap()).collect();
        let keep = if random.one_in(2) { Keep::Nothing } else { Keep::Random(round) };
        let disk = disk.power_loss(keep);
        drop(engine);
        let context = format!("ZAQAR_SEED={seed}, round {round}, {keep:?}");
        let engine = config(&disk, &clock, 2).open(ROOT).unwrap_or_else(|error| panic!("{context}: {error}"));
        assert_sound(&engine, &context);
        check(&engine, &told, &context);
    }
}

fn check(engine: &Engine, told: &[Toil], context: &str) {
    let queue = QueueName::new("jobs").unwrap();
    let listed = messages_of(engine, &Project::none(), &queue).unwrap();
    let there: BTreeSet<MessageId> = listed.iter().map(zaqar_sled::Message::id).collect();
    let popped: Vec<MessageId> = told.iter().flat_map(|told| told.popped.iter().copied()).collect();
    let gone: BTreeSet<MessageId> = popped.iter().copied().collect();
    assert_eq!(gone.len(), popped.len(), "{context}: popped twice");
    assert!(gone.is_disjoint(&there), "{context}: something popped came back");
    let posted: BTreeSet<MessageId> = told.iter().flat_map(|told| told.posted.iter().copied()).collect();
    let lost = posted.iter().filter(|id| !there.contains(id) && !gone.contains(id)).count();
    let popping = told.iter().filter(|told| told.popping).count();
    assert!(lost <= 2 * popping, "{context}: {lost} lost, {popping} pops were under way");
    // Whatever else is there comes from a batch under way; its messages lie next to each other.
    let others: Vec<&zaqar_sled::Message> = listed.iter().filter(|message| !posted.contains(&message.id())).collect();
    for message in &others {
        let body = String::from_utf8_lossy(message.body());
        let ours = |told: &Toil| told.posting.as_ref().is_some_and(|name| body.starts_with(&format!("{name}.")));
        assert!(told.iter().any(ours), "{context}: {body} was never posted");
    }
    let batches = told.iter().filter(|told| told.posting.is_some()).count();
    assert!(others.len() <= BATCH * batches, "{context}: more than was under way");
    if popping == 0 {
        let taken = gone.difference(&posted).count();
        assert!((others.len() + taken).is_multiple_of(BATCH), "{context}: half a batch");
    }
}
