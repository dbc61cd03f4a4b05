//! Archives: queues leave memory while calls find, change, delete and create them.

use zaqar_sled::disk::SimulatedDisk;
use zaqar_sled::{Engine, Metadata, Project};

use crate::program::{ROOT, World, check, config, post, spawn};

/// A store whose queue `jobs` is in an archive and was brought into memory again, or is only in the archive.
fn archived(is_in_memory: bool) -> World {
    let disk = SimulatedDisk::new();
    let world = World::open(disk.clone(), config(disk).queue_memory(0));
    world.engine.snapshot().unwrap();
    assert_eq!(world.engine.status().archived_queues(), 1);
    if is_in_memory {
        world.jobs.metadata().unwrap();
    }
    world
}

/// Writes an archive, which another queue makes worthwhile.
fn archive(engine: &Engine, name: &str) {
    engine.queue(Project::none(), name).unwrap().create(Metadata::new()).unwrap();
    engine.snapshot().unwrap();
}

/// The engine that a kill leaves.
fn after_a_kill(world: &World) -> Engine {
    config(world.disk.kill()).queue_memory(0).open(ROOT).unwrap()
}

#[test]
fn a_post_to_a_queue_that_leaves_memory_is_kept() {
    for is_in_memory in [false, true] {
        let program = if is_in_memory { posts::<true> } else { posts::<false> };
        check("posts", program);
    }
}

fn posts<const IS_IN_MEMORY: bool>() {
    let world = archived(IS_IN_MEMORY);
    let jobs = world.jobs.clone();
    let poster = spawn(move || {
        for count in 1..=2 {
            post(&jobs, &["a"]).unwrap();
            assert_eq!(jobs.stats().unwrap().total(), count);
        }
    });
    let engine = world.engine.clone();
    let archiver = spawn(move || archive(&engine, "other"));
    poster.join().unwrap();
    archiver.join().unwrap();
    assert_eq!((world.jobs.stats().unwrap().total(), world.engine.status().messages()), (2, 2));
    let engine = after_a_kill(&world);
    assert_eq!(engine.queue(Project::none(), "jobs").unwrap().stats().unwrap().total(), 2);
    assert_eq!(engine.status().queues(), 2);
}

#[test]
fn a_queue_that_is_deleted_and_created_beside_an_archive_is_the_new_one() {
    check("deletions", || {
        let world = archived(false);
        let jobs = world.jobs.clone();
        let deleter = spawn(move || {
            jobs.delete().unwrap();
            assert!(!jobs.exists().unwrap());
            assert!(jobs.create(Metadata::new().with("new", true).unwrap()).unwrap());
        });
        let engine = world.engine.clone();
        let archiver = spawn(move || archive(&engine, "another"));
        deleter.join().unwrap();
        archiver.join().unwrap();
        archive(&world.engine, "third");
        assert!(world.jobs.metadata().unwrap().contains("new"));
        let engine = after_a_kill(&world);
        assert!(engine.queue(Project::none(), "jobs").unwrap().metadata().unwrap().contains("new"));
        assert_eq!(engine.status().queues(), 3);
    });
}
