//! A power cut, or a kill, after each operation of a store of subscriptions, pools, flavors and a catalogue; see
//! [`cut`](super::cut).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use zaqar_sled::disk::{Keep, SimulatedDisk};
use zaqar_sled::{
    Catalogue, ControlDriver, DataDriver, Durability, Engine, FlavorName, FlavorUpdate, ListOptions, ManualClock,
    Metadata, NewFlavor, NewPool, PoolGroup, PoolName, PoolUpdate, Project, Purge, QueueName, Result, Subscriber,
    SubscriptionId, SubscriptionUpdate,
};

use super::cut::{End, Scene, World, cut_everywhere, seeds, uncut};
use super::support::{
    CLIENT, ROOT, Random, assert_sound, config, dump, dump_control, dump_subscriptions, message, messages_of, queues_of,
};
use crate::values::seconds;

/// Calls of all controllers, mostly those that have to do with the registry.
struct Registrations;

type Subscribed = (Project, QueueName, SubscriptionId);

#[derive(Debug, Clone, Default)]
struct Known {
    subscribed: Vec<Subscribed>,
    shown: BTreeSet<SubscriptionId>,
}

impl Scene for Registrations {
    type Store = Engine;
    type Told = Known;

    const CALLS: usize = 250;
    const RECOVERY: u64 = 23;

    fn open(disk: &SimulatedDisk, clock: &Arc<ManualClock>, seed: u64) -> Result<Engine> {
        config(disk, clock, seed).open(ROOT)
    }

    fn call(world: &mut World<Self>, i: usize) -> Result<bool> {
        let mut random = world.random(i);
        let sync = random.one_in(3);
        let engine = world.store()?.with_durability(if sync { Durability::Sync } else { Durability::Buffered });
        match random.below(64) {
            0..=29 => return Ok(subscriptions(&engine, &mut world.told, &mut random)? && sync),
            30..=36 => pools(&engine, &mut random)?,
            37..=41 => flavors(&engine, &mut random)?,
            42..=46 => catalogue(&engine, &mut random)?,
            47..=50 => return Ok(queues(&engine, &mut random)? && sync),
            51..=55 => {
                world.clock.advance(seconds(random.below(8)));
                return Ok(false);
            }
            56 => return engine.snapshot().map(|()| true),
            57 | 58 => return engine.checkpoint().map(|()| false),
            59 => return engine.step().map(|()| true),
            60 | 61 => return engine.gc().map(|_| false),
            _ => {
                drop(engine);
                return world.reopen().map(|()| true);
            }
        }
        Ok(sync)
    }

    fn dump(engine: &Engine, _: &Known) -> String {
        let places: Vec<_> = (0..3).map(place).collect();
        let subscriptions = dump_subscriptions(engine, &places).unwrap();
        dump(engine, &[]).unwrap() + &subscriptions + &dump_control(engine).unwrap()
    }

    fn assert_sound(engine: &Engine, context: &str) {
        assert_sound(engine, context);
    }

    fn add(engine: &Engine, told: &Known, context: &str) {
        for (project, queue) in (0..3).map(place) {
            let subscriptions = engine.subscriptions();
            let listed = subscriptions.list(&project, &queue, &ListOptions::new().limit(0)).unwrap().items;
            let added = subscriptions.create(&project, &queue, &subscriber(99), seconds(3_600), &Metadata::new());
            let id = added.unwrap().expect("no such subscription exists");
            assert!(!told.shown.contains(&id), "{context}: {id} was given out before");
            let last = listed.last().map(zaqar_sled::Subscription::id);
            assert!(last.is_none_or(|last| last < id), "{context}: {id} comes before {last:?}");
        }
        for (project, queue) in queues_of(engine).unwrap() {
            engine.messages().post(&project, &queue, CLIENT, &[message("new", 9)]).unwrap();
            messages_of(engine, &project, &queue).unwrap();
        }
    }

    fn close(engine: &Engine) -> Result<()> {
        engine.close()
    }

    fn assert_clean(engine: &Engine, context: &str) {
        assert!(engine.recovery().notes().is_empty(), "{context}: {}", engine.recovery());
    }
}

/// With whether it was a change.
fn subscriptions(engine: &Engine, told: &mut Known, random: &mut Random) -> Result<bool> {
    let subscriptions = engine.subscriptions();
    let (project, queue) = place(random.below(3));
    match random.below(10) {
        0..=5 => {
            let created =
                subscriptions.create(&project, &queue, &subscriber(random.below(5)), ttl(random), &metadata(random))?;
            if let Some(id) = created {
                assert!(told.shown.insert(id), "{id} was given out twice");
                told.subscribed.push((project, queue, id));
            }
            return Ok(true);
        }
        6 => return engine.queues().purge(&project, &queue, Purge::Subscriptions).map(|_| true),
        _ => {}
    }
    let recent = told.subscribed.len().min(8) as u64;
    let back = random.below(recent) as usize;
    let Some((project, queue, id)) = told.subscribed.iter().rev().nth(back) else { return Ok(false) };
    let mut update = SubscriptionUpdate::new().options(metadata(random));
    match random.below(5) {
        0 => subscriptions.delete(project, queue, id)?,
        1 => subscriptions.confirm(project, queue, id, random.one_in(2))?,
        kind => {
            if kind > 2 {
                update = update.subscriber(subscriber(random.below(5)));
            }
            if kind > 3 {
                update = update.ttl(ttl(random));
            }
            subscriptions.update(project, queue, id, &update)?;
        }
    }
    Ok(true)
}

fn pools(engine: &Engine, random: &mut Random) -> Result<()> {
    let pools = ControlDriver::pools(engine);
    let name = PoolName::new(format!("pool{}", random.below(4)))?;
    let uri = format!("sled:/pools/{}", random.below(5)).parse()?;
    let group = if random.one_in(3) { None } else { Some(group(random.below(2))) };
    let weight = random.below(100).cast_signed();
    match random.below(16) {
        0..=7 => pools.create(&name, &NewPool::new(uri).weight(weight).group(group).options(metadata(random))),
        8..=9 => pools.update(&name, &PoolUpdate::new().weight(weight)),
        10..=11 => pools.update(&name, &PoolUpdate::new().uri(uri).group(group).options(metadata(random))),
        12..=14 => pools.delete(&name),
        _ => pools.drop_all(),
    }
}

fn flavors(engine: &Engine, random: &mut Random) -> Result<()> {
    let flavors = engine.flavors();
    let (project, _) = place(1 + random.below(2));
    let name = FlavorName::new(format!("flavor{}", random.below(3)))?;
    let flavor = if random.one_in(3) { NewFlavor::new() } else { NewFlavor::of(group(random.below(2))) };
    match random.below(16) {
        0..=8 => flavors.create(&project, &name, &flavor.capabilities(metadata(random))),
        9..=10 => flavors.update(&project, &name, &FlavorUpdate::new().pool_group(group(random.below(2)))),
        11..=12 => flavors.update(&project, &name, &FlavorUpdate::new().capabilities(metadata(random))),
        13..=14 => flavors.delete(&project, &name),
        _ => flavors.drop_all(),
    }
}

fn catalogue(engine: &Engine, random: &mut Random) -> Result<()> {
    let (project, queue) = place(random.below(3));
    let pool = PoolName::new(format!("pool{}", random.below(4)))?;
    match random.below(16) {
        0..=7 => Catalogue::insert(engine, &project, &queue, &pool),
        8..=11 => Catalogue::update(engine, &project, &queue, Some(&pool)),
        12..=14 => Catalogue::delete(engine, &project, &queue),
        _ => Catalogue::drop_all(engine),
    }
}

/// With whether it was a change.
fn queues(engine: &Engine, random: &mut Random) -> Result<bool> {
    let (project, queue) = place(random.below(3));
    match random.below(8) {
        0..=2 => drop(engine.queues().create(&project, &queue, &metadata(random))?),
        3 => engine.queues().delete(&project, &queue)?,
        4 => drop(engine.queues().purge(&project, &queue, Purge::All)?),
        5 => return Ok(!engine.messages().pop(&project, &queue, 2)?.is_empty()),
        _ => drop(engine.messages().post(&project, &queue, CLIENT, &[message("m", 100)])?),
    }
    Ok(true)
}

fn ttl(random: &mut Random) -> Duration {
    seconds(if random.one_in(2) { 1 + random.below(40) } else { 3_600 })
}

fn place(n: u64) -> (Project, QueueName) {
    let project = if n == 2 { Project::named("p").unwrap() } else { Project::none() };
    (project, QueueName::new(["a", "b", "a"][n as usize]).unwrap())
}

fn group(n: u64) -> PoolGroup {
    PoolGroup::new(format!("group{n}")).unwrap()
}

fn subscriber(n: u64) -> Subscriber {
    Subscriber::new(format!("http://subscriber/{n}")).unwrap()
}

fn metadata(random: &mut Random) -> Metadata {
    Metadata::new().with("n", random.below(1_000)).unwrap()
}

#[test]
fn the_calls_come_to_the_same_on_every_disk() {
    for seed in seeds() {
        let world = uncut::<Registrations>(seed);
        let engine = world.store().unwrap();
        println!("seed {seed}: {} ids\n{}", world.told.shown.len(), Registrations::dump(engine, &world.told));
        assert!(world.told.shown.len() > 30, "seed {seed} does too little");
    }
}

#[test]
fn a_power_cut_that_keeps_nothing_unsynced_leaves_whole_calls_and_all_that_was_synced() {
    cut_everywhere::<Registrations>(|_| End::Power(Keep::Nothing), 3);
}

#[test]
fn a_power_cut_that_keeps_some_of_the_unsynced_leaves_whole_calls_and_all_that_was_synced() {
    cut_everywhere::<Registrations>(|k| End::Power(Keep::Random(k)), 3);
}

#[test]
fn a_kill_leaves_whole_calls_and_all_that_was_acknowledged() {
    cut_everywhere::<Registrations>(|_| End::Kill, 3);
}
