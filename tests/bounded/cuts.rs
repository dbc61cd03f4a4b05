//! A kill or a power cut after each disk operation, while pages are evicted, snapshots written and page files
//! rewritten: every acknowledged change is kept, and the call in progress took effect as a whole or not at all.

use std::ops::RangeInclusive;

use zaqar_sled::disk::{Keep, SimulatedDisk};
use zaqar_sled::{ClaimOptions, DataDriver, Engine, Message, Metadata, NewMessage, Project, Purge, QueueName, Result};

use super::support::{AMPLE, CLIENT, KIB, Random, World, body, clock, everything, seconds};
use super::variables::POWER;

const NAMES: [&str; 2] = ["jobs", "others"];
const CALLS: usize = 90;
/// Operations of a recovery, about.
const RECOVERY: u64 = 60;

fn none() -> Project {
    Project::none()
}

fn name(n: usize) -> QueueName {
    QueueName::new(NAMES[n % 2]).unwrap()
}

/// Call `n` of the script. Every call but the change of the time only changes the disk.
fn call(world: &World, n: usize) -> Result<()> {
    let engine = &world.engine;
    match n {
        0 | 1 => engine.queues().create(&none(), &name(n), &Metadata::new()).map(drop),
        2..=26 | 50..=56 | 75..=80 => post(engine, n),
        27 | 40 | 57 | 72 | 85 => engine.snapshot(),
        28 | 29 | 62 => claim(engine, n),
        30..=35 | 58..=61 => thin_out(engine, n),
        36 | 63 => engine.messages().pop(&none(), &name(n), 30).map(drop),
        37 | 49 | 73 => engine.checkpoint(),
        41 | 74 => {
            world.clock.advance(seconds(70));
            Ok(())
        }
        38 | 42 | 64 | 86 => engine.step(),
        66 => engine.queues().purge(&none(), &name(1), Purge::Messages).map(drop),
        70 => engine.queues().delete(&none(), &name(0)),
        71 => engine.queues().create(&none(), &name(0), &Metadata::new()).map(drop),
        87 => engine.gc().map(drop),
        // Reads bring pages back.
        _ => engine.messages().list(&none(), &name(n), &everything()).map(drop),
    }
}

fn post(engine: &Engine, n: usize) -> Result<()> {
    let message = |i: u64| {
        let number = n as u64 * 100 + i;
        let ttl = if n.is_multiple_of(3) { 60 } else { 36_000 };
        let bytes = if n.is_multiple_of(11) { 5_000 } else { 350 };
        NewMessage::new(body(number, bytes)).ttl(seconds(ttl)).delay(seconds(0))
    };
    let batch: Vec<NewMessage> = (0..10).map(message).collect();
    engine.messages().post(&none(), &name(n), CLIENT, &batch).map(drop)
}

fn claim(engine: &Engine, n: usize) -> Result<()> {
    let options = ClaimOptions::new().ttl(seconds(50)).grace(seconds(30)).limit(15);
    engine.claims().create(&none(), &name(n), &options).map(drop)
}

/// Deletes many of the messages, in many places.
fn thin_out(engine: &Engine, n: usize) -> Result<()> {
    let listed = engine.messages().list(&none(), &name(n), &everything())?.items;
    let mut random = Random::new(n as u64);
    let gone: Vec<_> = listed.iter().map(Message::id).filter(|_| random.one_in(3)).collect();
    engine.messages().bulk_delete(&none(), &name(n), &gone, &[])
}

/// Everything that a caller can see.
type State = Vec<(QueueName, Vec<Message>)>;

fn state(engine: &Engine) -> State {
    let queues = (0..2).map(name).filter(|name| engine.queues().exists(&none(), name).unwrap());
    let all = queues.map(|name| {
        let listed = engine.messages().list(&none(), &name, &everything()).unwrap().items;
        let stats = engine.queues().stats(&none(), &name).unwrap();
        let claimed = listed.iter().filter(|message| message.claim_id().is_some()).count() as u64;
        assert_eq!((stats.claimed(), stats.total()), (claimed, listed.len() as u64));
        (name, listed)
    });
    all.collect()
}

/// Makes the calls up to the first that fails; returns how many succeeded.
fn run(world: &World) -> usize {
    (0..CALLS).find(|n| call(world, *n).is_err()).unwrap_or(CALLS)
}

/// The state before the first call and after each call, from a store with enough memory.
fn states() -> Vec<State> {
    let world = World::on(SimulatedDisk::memory(), clock(), AMPLE);
    let mut states = vec![state(&world.engine)];
    for n in 0..CALLS {
        call(&world, n).unwrap();
        states.push(state(&world.engine));
    }
    states
}

/// How a store ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Kill,
    Power(Keep),
}

fn end(disk: &SimulatedDisk, end: End) -> SimulatedDisk {
    match end {
        End::Kill => disk.kill(),
        End::Power(keep) => disk.power_loss(keep),
    }
}

/// Ends the calls after `k` operations, every other time the recovery too, and checks the state that is left.
fn cut(states: &[State], memory: u64, k: u64, how: End) {
    let mut world = World::new(memory);
    let opening = world.disk.operations();
    world.disk.fail_after(k);
    let answered = run(&world);
    let context = format!("{memory} bytes of memory, {k} operations after {opening}, {how:?}, {answered} calls");
    world.disk = end(&world.disk, how);
    if k % 2 == 1 {
        world.disk.fail_after(k / 2 % RECOVERY);
        drop(world.config().open(super::support::ROOT));
        world.disk = end(&world.disk, how);
    }
    let opened = world.config().open(super::support::ROOT);
    world.engine = opened.unwrap_or_else(|error| panic!("{context}: {error}"));
    assert_one_of(&world.engine, states, answered..=(answered + 1).min(CALLS), &context);
    world.assert_sound(&context);
    world.engine.snapshot().unwrap_or_else(|error| panic!("{context}: {error}"));
    world.engine.step().unwrap();
    world.assert_within(0);
    let before = state(&world.engine);
    let world = world.reopened();
    assert!(world.engine.recovery().notes().is_empty(), "{context}: {}", world.engine.recovery());
    assert!(state(&world.engine) == before, "{context}, then closed");
    world.assert_sound(&context);
}

fn assert_one_of(engine: &Engine, states: &[State], range: RangeInclusive<usize>, context: &str) {
    let is = state(engine);
    if range.clone().any(|n| states[n] == is) {
        return;
    }
    let other = states.iter().position(|state| *state == is);
    let sizes =
        |state: &State| state.iter().map(|(name, listed)| format!("{name}: {}", listed.len())).collect::<Vec<_>>();
    let expected: Vec<_> = range.map(|n| sizes(&states[n])).collect();
    panic!("{context}: not one of {expected:?} but {:?}, as after {other:?} calls", sizes(&is));
}

fn cut_everywhere(memory: u64, stride: u64, how: impl Fn(u64) -> End) {
    let states = states();
    let world = World::new(memory);
    let opening = world.disk.operations();
    assert_eq!(run(&world), CALLS);
    assert!(state(&world.engine) == states[CALLS], "{memory} bytes of memory: uncut, but not the same");
    let operations = world.disk.operations() - opening;
    let stride = POWER.stride(stride);
    for k in (0..operations).step_by(stride as usize) {
        cut(&states, memory, k, how(k));
    }
    println!("{} cuts in {operations} operations", operations / stride);
}

#[test]
fn the_script_evicts_compacts_and_frees() {
    let world = World::new(3 * KIB);
    let (mut most_cold, mut seen) = (0, std::collections::BTreeSet::new());
    for n in 0..CALLS {
        call(&world, n).unwrap();
        let status = world.engine.status();
        most_cold = most_cold.max(status.cold_pages());
        seen.extend(world.page_files());
    }
    assert!(most_cold > 8, "{most_cold}");
    assert!(seen.len() > 8, "{seen:?}");
    assert!(world.page_files().len() < seen.len(), "no page file was removed");
}

#[test]
fn a_kill_loses_nothing_acknowledged() {
    cut_everywhere(3 * KIB, 5, |_| End::Kill);
    cut_everywhere(0, 11, |_| End::Kill);
}

#[test]
fn a_power_cut_that_keeps_nothing_unsynced_loses_nothing_acknowledged() {
    cut_everywhere(3 * KIB, 5, |_| End::Power(Keep::Nothing));
    cut_everywhere(0, 11, |_| End::Power(Keep::Nothing));
}

#[test]
fn a_power_cut_that_keeps_some_of_the_unsynced_loses_nothing_acknowledged() {
    cut_everywhere(3 * KIB, 5, |k| End::Power(Keep::Random(k)));
    cut_everywhere(0, 11, |k| End::Power(Keep::Random(k)));
}
