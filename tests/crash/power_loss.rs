//! A power cut, or a kill, after each operation of a store of queues, messages and claims; see [`cut`](super::cut).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use zaqar_sled::disk::{Disk, Keep, SimulatedDisk};
use zaqar_sled::{
    BatchStep, ClaimOptions, DataDriver, Durability, Engine, ExtendedDriver, ManualClock, MessageId, Metadata,
    NewMessage, Project, Purge, QueueName, Result, Retry, Ttl,
};

use super::cut::{End, Scene, World, cut_everywhere, seeds, uncut};
use super::ledger::Ledger;
use super::support::{
    AMPLE, CLIENT, ROOT, Random, Told, assert_sound, clock, config, dump, message, messages_of, post_everywhere,
    queues_of,
};
use super::variables::{ROUNDS, SEED};
use crate::values::seconds;

/// Calls of all kinds on three queues, with a budget of `MEMORY` bytes. On a disk without faults the budget is large,
/// and the state with cold pages must be the same.
struct Calls<const MEMORY: u64>;

type Warm = Calls<AMPLE>;
type Cold = Calls<0>;
type Tight = Calls<3000>;

/// The answers that the callers got.
#[derive(Debug, Clone, Default)]
struct Known {
    messages: Vec<(Project, QueueName, MessageId)>,
    claims: Vec<Told>,
    shown: BTreeSet<MessageId>,
}

impl<const MEMORY: u64> Scene for Calls<MEMORY> {
    type Store = Engine;
    type Told = Known;

    const CALLS: usize = 300;
    const RECOVERY: u64 = if MEMORY == AMPLE { 23 } else { 60 };

    fn open(disk: &SimulatedDisk, clock: &Arc<ManualClock>, seed: u64) -> Result<Engine> {
        let memory = if disk.is_durable() { MEMORY } else { AMPLE };
        config(disk, clock, seed).memory(memory).open(ROOT)
    }

    fn call(world: &mut World<Self>, i: usize) -> Result<bool> {
        let mut random = world.random(i);
        let sync = random.one_in(3);
        let engine = world.store()?.with_durability(if sync { Durability::Sync } else { Durability::Buffered });
        let (project, queue) = place(if i < 3 { i as u64 } else { random.below(3) });
        match if i < 3 { 0 } else { random.below(51) } {
            0 => engine.queues().create(&project, &queue, &metadata(&mut random))?,
            1 => engine.queues().delete(&project, &queue).map(|()| true)?,
            2 | 3 => engine.queues().set_metadata(&project, &queue, &metadata(&mut random)).map(|()| true)?,
            4 => engine.queues().purge(&project, &queue, Purge::All).map(|_| true)?,
            5..=17 if !engine.queues().exists(&project, &queue)? => {
                engine.queues().create(&project, &queue, &metadata(&mut random))?
            }
            5..=17 => {
                // Every eighth is one message that is a page of its own.
                let batch: Vec<_> = match random.below(8) {
                    0 => vec![sized_message(&format!("{i}-0"), LARGE + random.below(3_000) as usize, &mut random)],
                    _ => (0..=random.below(5)).map(|n| new_message(&format!("{i}-{n}"), &mut random)).collect(),
                };
                let ids = engine.messages().post(&project, &queue, CLIENT, &batch)?;
                for id in ids {
                    assert!(world.told.shown.insert(id), "{id} was given out twice");
                    world.told.messages.push((project.clone(), queue.clone(), id));
                }
                true
            }
            18..=24 => {
                let options = ClaimOptions::new().ttl(seconds(2 + random.below(60))).grace(seconds(random.below(30)));
                let claim = engine.claims().create(&project, &queue, &options.limit(1 + random.below(4) as usize))?;
                let Some(claim) = claim else { return Ok(false) };
                world.told.claims.push((project.clone(), queue.clone(), claim.id()));
                true
            }
            25..=28 => {
                let Some((project, queue, claim)) = world.told.pick_claim(&mut random) else { return Ok(false) };
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
                let Some((project, queue, id)) = world.told.pick_message(&mut random) else { return Ok(false) };
                ids.push(id);
                ids.extend(world.told.messages.iter().rev().take(2).map(|(_, _, id)| *id));
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
                let Some((project, queue, claim)) = world.told.pick_claim(&mut random) else { return Ok(false) };
                let options = ClaimOptions::new().ttl(seconds(5 + random.below(90))).grace(seconds(random.below(30)));
                engine.claims().update(&project, &queue, &claim, &options).map(|()| true)?
            }
            37 | 38 => {
                let Some((project, queue, claim)) = world.told.pick_claim(&mut random) else { return Ok(false) };
                engine.claims().delete(&project, &queue, &claim).map(|()| true)?
            }
            39 => return retry(&engine, &world.told, &mut random, i).map(|changed| changed && sync),
            40 => return split(&engine, &mut world.told, &mut random).map(|changed| changed && sync),
            41 | 42 => {
                world.clock.advance(seconds(random.below(8)));
                return Ok(false);
            }
            43 => {
                engine.checkpoint()?;
                return Ok(false);
            }
            44 => {
                engine.snapshot()?;
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
            47..=49 => return commit(&engine, &mut world.told, &mut random, i).map(|changed| changed && sync),
            _ => {
                drop(engine);
                world.reopen()?;
                return Ok(true);
            }
        };
        Ok(sync)
    }

    fn dump(engine: &Engine, told: &Known) -> String {
        dump(engine, &told.claims).unwrap()
    }

    fn assert_sound(engine: &Engine, context: &str) {
        assert_sound(engine, context);
    }

    fn add(engine: &Engine, told: &Known, context: &str) {
        post_everywhere(engine, &told.shown, context);
    }

    fn close(engine: &Engine) -> Result<()> {
        engine.close()
    }

    fn assert_clean(engine: &Engine, context: &str) {
        assert!(engine.recovery().notes().is_empty(), "{context}: {}", engine.recovery());
    }
}

/// Gives back up to two messages of a claim; whether there were any.
fn retry(engine: &Engine, told: &Known, random: &mut Random, i: usize) -> Result<bool> {
    let Some((project, queue, claim)) = told.pick_claim(random) else { return Ok(false) };
    let held = engine.claims().get(&project, &queue, &claim)?;
    let retry = |message| Retry::from(message).delay(seconds(random.below(9))).reason(format!("at {i}"));
    let retries: Vec<_> = held.messages().iter().take(2).map(retry).collect();
    let given_back = engine.retries().retry(&project, &queue, &claim, &retries)?;
    Ok(given_back > 0)
}

/// Puts all messages of a claim but the first under a new claim; whether there were any.
fn split(engine: &Engine, told: &mut Known, random: &mut Random) -> Result<bool> {
    let Some((project, queue, claim)) = told.pick_claim(random) else { return Ok(false) };
    let held = engine.claims().get(&project, &queue, &claim)?;
    let ids: Vec<_> = held.messages().iter().skip(1).map(zaqar_sled::Message::id).collect();
    let options = ClaimOptions::new().ttl(seconds(5 + random.below(90))).grace(seconds(random.below(30)));
    let Some(split) = engine.retries().split(&project, &queue, &claim, &ids, &options)? else { return Ok(false) };
    told.claims.push((project, queue, split.id()));
    Ok(true)
}

/// Commits a batch over all queues: posts, deletes of a claim's messages, and a renewal or a release; whether there was
/// anything to do.
fn commit(engine: &Engine, told: &mut Known, random: &mut Random, i: usize) -> Result<bool> {
    let (mut steps, mut posted) = (Vec::new(), Vec::new());
    for n in 0..3 {
        let (project, queue) = place(n);
        if engine.queues().exists(&project, &queue)? && !random.one_in(3) {
            let messages = (0..=random.below(2)).map(|m| new_message(&format!("{i}-{n}-{m}"), random)).collect();
            posted.push((project.clone(), queue.clone()));
            steps.push(BatchStep::Post { project, queue, client: CLIENT, messages });
        }
    }
    let picked = told.pick_claim(random);
    let held = picked.as_ref().map(|(project, queue, claim)| engine.claims().get(project, queue, claim));
    // A cut is no claim that has ended.
    let held = held.map_or(Ok(None), |held| match held {
        Err(error) if error.is_not_found() => Ok(None),
        held => held.map(Some),
    })?;
    if let (Some((project, queue, claim)), Some(held)) = (picked, held) {
        let messages = held.messages().iter().skip(random.below(2) as usize).map(zaqar_sled::Message::id).collect();
        steps.push(BatchStep::Delete { project: project.clone(), queue: queue.clone(), messages, claim: Some(claim) });
        let (ttl, grace) = (seconds(5 + random.below(90)), seconds(random.below(30)));
        steps.push(match random.below(3) {
            0 => BatchStep::Release { project, queue, claim },
            _ => BatchStep::Renew { project, queue, claim, ttl, grace },
        });
    }
    let outcome = engine.batches().commit(&steps)?;
    for ((project, queue), ids) in posted.iter().zip(outcome.posted()) {
        for id in ids {
            assert!(told.shown.insert(*id), "{id} was given out twice");
            told.messages.push((project.clone(), queue.clone(), *id));
        }
    }
    Ok(!steps.is_empty())
}

impl Known {
    fn pick_claim(&self, random: &mut Random) -> Option<Told> {
        let recent = self.claims.len().min(4) as u64;
        let back = random.below(recent) as usize;
        self.claims.iter().rev().nth(back).cloned()
    }

    fn pick_message(&self, random: &mut Random) -> Option<(Project, QueueName, MessageId)> {
        let recent = self.messages.len().min(30) as u64;
        let back = random.below(recent) as usize;
        self.messages.iter().rev().nth(back).cloned()
    }
}

fn new_message(name: &str, random: &mut Random) -> NewMessage {
    let bytes = match random.below(40) {
        0 => 9_000,
        1 | 2 => 3_000,
        _ => 10 + random.below(200) as usize,
    };
    sized_message(name, bytes, random)
}

fn sized_message(name: &str, bytes: usize, random: &mut Random) -> NewMessage {
    let delay = if random.one_in(5) { seconds(1 + random.below(15)) } else { Duration::ZERO };
    let ttl = match random.below(12) {
        0..=3 => seconds(1 + random.below(60)).into(),
        4 | 5 => Ttl::Forever,
        _ => seconds(3_600).into(),
    };
    message(name, bytes).ttl(ttl).delay(delay)
}

/// More than the messages of one page have together.
const LARGE: usize = 17 << 10;

fn place(n: u64) -> (Project, QueueName) {
    let project = if n == 2 { Project::named("p").unwrap() } else { Project::none() };
    (project, QueueName::new(["a", "b", "a"][n as usize]).unwrap())
}

fn metadata(random: &mut Random) -> Metadata {
    let metadata = Metadata::new().with("n", random.below(1000)).unwrap();
    if random.one_in(3) {
        let metadata = metadata.with("_max_claims_per_second", 1 + random.below(2)).unwrap();
        return metadata.with("_max_claims_burst", 1 + random.below(40)).unwrap();
    }
    if random.one_in(2) {
        let metadata = metadata.with("_max_claim_count", 1 + random.below(2)).unwrap();
        metadata.with("_dead_letter_queue", "dead").unwrap().with("_dead_letter_queue_messages_ttl", 300).unwrap()
    } else {
        metadata
    }
}

#[test]
fn the_calls_come_to_the_same_on_every_disk() {
    for seed in seeds() {
        let world = uncut::<Cold>(seed);
        let queues = queues_of(world.store().unwrap()).unwrap();
        let (claims, ids) = (world.told.claims.len(), world.told.shown.len());
        println!("seed {seed}: {claims} claims, {ids} ids, {queues:?}");
        assert!(claims > 10 && ids > 70, "seed {seed} does too little");
    }
}

#[test]
fn a_power_cut_that_keeps_nothing_unsynced_leaves_whole_calls_and_all_that_was_synced() {
    cut_everywhere::<Warm>(|_| End::Power(Keep::Nothing), 4);
    cut_everywhere::<Cold>(|_| End::Power(Keep::Nothing), 7);
    cut_everywhere::<Tight>(|_| End::Power(Keep::Nothing), 13);
}

#[test]
fn a_power_cut_that_keeps_some_of_the_unsynced_leaves_whole_calls_and_all_that_was_synced() {
    cut_everywhere::<Warm>(|k| End::Power(Keep::Random(k)), 4);
    cut_everywhere::<Cold>(|k| End::Power(Keep::Random(k)), 7);
    cut_everywhere::<Tight>(|k| End::Power(Keep::Random(k)), 13);
}

#[test]
fn a_kill_leaves_whole_calls_and_all_that_was_acknowledged() {
    cut_everywhere::<Warm>(|_| End::Kill, 4);
    cut_everywhere::<Cold>(|_| End::Kill, 7);
    cut_everywhere::<Tight>(|_| End::Kill, 13);
}

/// The answers that a worker got, and its call in progress at the power cut.
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
        } else if let Ok(popped) = jobs.pop(POP) {
            told.popped.extend(popped.iter().map(zaqar_sled::Message::id));
        } else {
            told.popping = true;
            return told;
        }
    }
    told
}

/// The messages of a post, and those of a pop.
const BATCH: usize = 3;
const POP: usize = 2;

#[test]
fn a_power_cut_during_calls_of_several_threads_and_a_snapshot_loses_nothing_acknowledged() {
    let rounds = ROUNDS.or(80);
    let seed = SEED.or(1);
    let mut random = Random::new(seed);
    for round in 0..rounds {
        let (disk, clock) = (SimulatedDisk::new(), clock());
        let memory = if round % 2 == 0 { AMPLE } else { 2_000 };
        let config_of = |disk: &SimulatedDisk| config(disk, &clock, seed).memory(memory);
        let engine = config_of(&disk).background(true).sync_interval(Duration::from_millis(1)).open(ROOT).unwrap();
        engine.queue(Project::none(), "jobs").unwrap().create(Metadata::new()).unwrap();
        disk.fail_after(50 + random.below(2_000));
        let workers: Vec<_> = (0..3)
            .map(|worker| {
                let engine = engine.clone();
                std::thread::spawn(move || toil(&engine, worker, seed * 1_000 + round))
            })
            .collect();
        while (if random.one_in(2) { engine.snapshot() } else { engine.checkpoint() }).is_ok() {}
        // Trees and snapshots may fail before the journal does.
        let told: Vec<Toil> = workers.into_iter().map(|worker| worker.join().unwrap()).collect();
        let keep = if random.one_in(2) { Keep::Nothing } else { Keep::Random(round) };
        let disk = disk.power_loss(keep);
        drop(engine);
        let context = format!("ZAQAR_SEED={seed}, round {round}, {keep:?}, {memory} bytes");
        let engine = config_of(&disk).open(ROOT).unwrap_or_else(|error| panic!("{context}: {error}"));
        assert_sound(&engine, &context);
        check(&engine, &told, &context);
    }
}

fn check(engine: &Engine, told: &[Toil], context: &str) {
    let queue = QueueName::new("jobs").unwrap();
    let listed = messages_of(engine, &Project::none(), &queue).unwrap();
    let mut ledger = Ledger::default();
    for told in told {
        ledger.posted(told.posted.iter().map(|id| (*id, ())));
        ledger.may_have_posted(if told.posting.is_some() { BATCH } else { 0 });
        ledger.may_have_taken(if told.popping { POP } else { 0 });
    }
    told.iter().flat_map(|told| &told.popped).for_each(|id| ledger.taken(id));
    ledger.check(listed.iter().map(|message| (message.id(), ())), context);
    // All other messages come from a batch in progress, whose messages are contiguous.
    let others = listed.iter().filter(|message| !ledger.live().contains_key(&message.id()));
    for message in others {
        let body = String::from_utf8_lossy(message.body().as_bytes());
        let ours = |told: &Toil| told.posting.as_ref().is_some_and(|name| body.starts_with(&format!("{name}.")));
        assert!(told.iter().any(ours), "{context}: {body} was never posted");
    }
    if !told.iter().any(|told| told.popping) {
        let ids: Vec<MessageId> = listed.iter().map(zaqar_sled::Message::id).collect();
        assert!(ledger.unknown(&ids).is_multiple_of(BATCH), "{context}: half a batch");
    }
}
