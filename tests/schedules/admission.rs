//! Admission: a post waits while memory or the journal is full, and is woken afterwards; in a closed store no post
//! waits.

use zaqar_sled::disk::SimulatedDisk;
use zaqar_sled::{Config, Error, MessageId, MessageListOptions, Metadata, Project};

use crate::program::{World, check, config, post, spawn};

#[test]
fn posts_that_wait_for_memory_are_woken_by_the_evictor() {
    check("memory", || {
        let world = tight(|config| config.memory(6 << 10));
        let posters = [0, 1].map(|_| {
            let jobs = world.jobs.clone();
            spawn(move || (0..4).for_each(|_| drop(post(&jobs, &[&body()]).unwrap())))
        });
        posters.into_iter().for_each(|poster| poster.join().unwrap());
        assert_eq!(world.reopened(), 8);
    });
}

#[test]
fn posts_that_wait_for_a_snapshot_are_woken_by_housekeeping() {
    check("journal", || {
        let world = tight(|config| config.journal_max(0));
        let posters = [0, 1].map(|_| {
            let jobs = world.jobs.clone();
            spawn(move || {
                for _ in 0..9 {
                    let ids: Vec<MessageId> = post(&jobs, &[&body(), &body()]).unwrap();
                    jobs.bulk_delete(&ids).unwrap();
                }
            })
        });
        posters.into_iter().for_each(|poster| poster.join().unwrap());
        assert_eq!(world.reopened(), 0);
    });
}

#[test]
fn posts_that_wait_are_let_in_by_what_others_take_away() {
    check("taken away", || {
        let world = tight(|config| config.memory(6 << 10));
        let poster = {
            let jobs = world.jobs.clone();
            spawn(move || (0..5).for_each(|_| drop(post(&jobs, &[&body()]).unwrap())))
        };
        let taker = {
            let jobs = world.jobs.clone();
            spawn(move || (0..3).for_each(|_| drop(jobs.pop(2).unwrap())))
        };
        poster.join().unwrap();
        taker.join().unwrap();
        world.engine.close().unwrap();
    });
}

#[test]
fn a_post_that_waits_is_told_when_the_store_is_closed() {
    check("closed", || {
        let world = tight(|config| config.memory(4 << 10));
        let posters = [0, 1].map(|_| {
            let jobs = world.jobs.clone();
            spawn(move || {
                let outcomes = (0..4).map(|_| post(&jobs, &[&body()]));
                let told =
                    outcomes.map_while(|posted| posted.map_err(|error| assert!(error.is_closed(), "{error}")).ok());
                told.count() as u64
            })
        });
        world.engine.close().unwrap();
        let told: u64 = posters.into_iter().map(|poster| poster.join().unwrap()).sum();
        assert_eq!(world.reopened(), told);
    });
}

#[test]
fn a_store_without_threads_evicts_for_every_post_that_fits() {
    check("by hand", || {
        let disk = SimulatedDisk::new();
        let world = World::open(disk.clone(), config(disk).memory(6 << 10));
        let posters = [0, 1, 2].map(|_| {
            let jobs = world.jobs.clone();
            spawn(move || (0..3).map(|_| post(&jobs, &[&body()])).collect::<Result<Vec<_>, Error>>())
        });
        let outcomes = posters.map(|poster| poster.join().unwrap());
        for outcome in &outcomes {
            assert!(outcome.as_ref().err().is_none_or(Error::is_busy), "{outcome:?}");
        }
        world.engine.close().unwrap();
    });
}

#[test]
fn posts_that_wait_for_a_reader_with_all_memory_are_let_in_when_it_is_done() {
    check("reader", || {
        let world = tight(|config| config.memory(6 << 10));
        (0..6).for_each(|_| drop(post(&world.jobs, &[&body()]).unwrap()));
        let reader = {
            let jobs = world.jobs.clone();
            spawn(move || {
                let all = MessageListOptions::new().echo(true);
                (0..2).map(|_| jobs.list(&all).unwrap().items.len()).sum::<usize>()
            })
        };
        let poster = {
            let other = world.engine.queue(Project::none(), "other").unwrap();
            other.create(Metadata::new()).unwrap();
            spawn(move || (0..3).for_each(|_| drop(post(&other, &[&body()]).unwrap())))
        };
        poster.join().unwrap();
        assert_eq!(reader.join().unwrap(), 12);
        world.engine.close().unwrap();
    });
}

/// A store with background threads and a tight limit.
fn tight(limit: impl FnOnce(Config) -> Config) -> World {
    let disk = SimulatedDisk::new();
    let config = config(disk.clone()).background(true);
    World::open(disk, limit(config))
}

fn body() -> String {
    "x".repeat(1_500)
}
