//! A power cut, or a kill, after every single operation around archives: idle queues leave memory, come back, change, and
//! are deleted and created again, while archives replace one another.

use std::sync::Arc;

use zaqar_sled::disk::{Keep, SimulatedDisk};
use zaqar_sled::{DataDriver, Durability, Engine, ManualClock, MessageId, Metadata, Project, QueueName, Result};

use super::cut::{End, Scene, World, cut_everywhere, operations, seeds};
use super::support::{CLIENT, ROOT, assert_sound, config, dump, message, post_everywhere};

/// The calls on a store that archives every idle queue with each snapshot.
struct Archives;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Create(&'static str),
    Describe(&'static str),
    Delete(&'static str),
    /// One message, which is removed again by the next `Pop`.
    Post(&'static str),
    Pop(&'static str),
    /// The same as `Describe` at `Buffered`.
    Buffered(&'static str),
    /// Only looks at the queue, which brings it into memory.
    Look(&'static str),
    Snapshot,
    Compact,
    Step,
    Reopen,
}

use Act::{Buffered, Compact, Create, Delete, Describe, Look, Pop, Post, Reopen, Snapshot, Step};

const ACTS: [Act; 35] = [
    Create("a"),
    Create("b"),
    Create("c"),
    Snapshot,
    // In an archive from here on.
    Describe("b"),
    Buffered("c"),
    Create("d"),
    Snapshot,
    Look("a"),
    Delete("b"),
    Snapshot,
    Create("b"),
    Post("c"),
    Snapshot,
    Pop("c"),
    Delete("a"),
    Compact,
    Reopen,
    Snapshot,
    Look("d"),
    Buffered("d"),
    Reopen,
    Create("a"),
    Delete("a"),
    Create("a"),
    Step,
    Snapshot,
    Describe("a"),
    Delete("d"),
    Post("a"),
    Snapshot,
    Pop("a"),
    Reopen,
    Delete("c"),
    Compact,
];

#[derive(Debug, Clone, Default)]
struct Known {
    shown: Vec<MessageId>,
}

fn queue(name: &str) -> (Project, QueueName) {
    (Project::none(), QueueName::new(name).unwrap())
}

impl Scene for Archives {
    type Store = Engine;
    type Told = Known;

    const CALLS: usize = ACTS.len();
    const RECOVERY: u64 = 40;

    fn open(disk: &SimulatedDisk, clock: &Arc<ManualClock>, seed: u64) -> Result<Engine> {
        config(disk, clock, seed).queue_memory(0).open(ROOT)
    }

    fn call(world: &mut World<Self>, i: usize) -> Result<bool> {
        let engine = world.store()?.clone();
        let metadata = Metadata::new().with("call", i)?;
        match ACTS[i] {
            Create(name) => {
                let (project, name) = queue(name);
                engine.queues().create(&project, &name, &metadata).map(|_| true)
            }
            Describe(name) => {
                let (project, name) = queue(name);
                engine.queues().set_metadata(&project, &name, &metadata).map(|()| true)
            }
            Buffered(name) => {
                let (project, name) = queue(name);
                let engine = engine.with_durability(Durability::Buffered);
                engine.queues().set_metadata(&project, &name, &metadata).map(|()| false)
            }
            Delete(name) => {
                let (project, name) = queue(name);
                engine.queues().delete(&project, &name).map(|()| true)
            }
            Post(name) => {
                let (project, name) = queue(name);
                let ids = engine.messages().post(&project, &name, CLIENT, &[message(&format!("{i}"), 900)])?;
                world.told.shown.extend(ids);
                Ok(true)
            }
            Pop(name) => {
                let (project, name) = queue(name);
                engine.messages().pop(&project, &name, 1).map(|_| true)
            }
            Look(name) => {
                let (project, name) = queue(name);
                engine.queues().stats(&project, &name).map(|_| false)
            }
            Snapshot => engine.snapshot().map(|()| true),
            Compact => engine.compact().map(|_| true),
            Step => engine.step().map(|()| true),
            Reopen => {
                drop(engine);
                world.reopen().map(|()| true)
            }
        }
    }

    fn dump(engine: &Engine, _: &Known) -> String {
        dump(engine, &[]).unwrap()
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

#[test]
fn the_calls_write_and_replace_archives() {
    let disk = SimulatedDisk::new();
    let mut world = World::<Archives>::new(disk.clone(), 1).unwrap();
    let (_, failed) = world.run(ACTS.len());
    assert!(failed.is_none(), "{failed:?}");
    let last = disk.list_all();
    let archives: Vec<_> = last.iter().filter(|path| path.extension().is_some_and(|kind| kind == "archive")).collect();
    assert!(archives.len() == 1 && !archives[0].ends_with("0000000000000001.archive"), "{last:?}");
    assert!(seeds().into_iter().all(|seed| operations::<Archives>(seed) > 100));
}

#[test]
fn a_power_cut_at_every_operation_around_archives_keeps_what_was_synced() {
    cut_everywhere::<Archives>(&|_| End::Power(Keep::Nothing), 1);
}

#[test]
fn a_power_cut_at_every_operation_around_archives_that_keeps_some_of_the_rest() {
    cut_everywhere::<Archives>(&|k| End::Power(Keep::Random(k)), 1);
    cut_everywhere::<Archives>(&|k| End::Power(Keep::Random(k + 1_000)), 1);
}

#[test]
fn a_kill_at_every_operation_around_archives_keeps_all_that_was_acknowledged() {
    cut_everywhere::<Archives>(&|_| End::Kill, 1);
}
