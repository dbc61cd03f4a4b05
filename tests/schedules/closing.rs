//! Closing: a close waits for the calls in progress, admits no more, has the same result for every caller, and nothing
//! uses the store afterwards.

use std::sync::Arc;

use zaqar_sled::disk::{Fault, Operation, SimulatedDisk};
use zaqar_sled::{Engine, Error, Project};

use crate::program::{ROOT, World, check, config, post, spawn};
use crate::tracked_disk::{Owner, TrackedDisk};

#[test]
fn nothing_is_written_once_it_is_closed_and_nothing_told_is_lost() {
    check("calls", || {
        let (world, tracked) = tracked(false);
        let posters = ["a", "b"].map(|body| {
            let jobs = world.jobs.clone();
            spawn(move || {
                let posted = (0..2).map_while(|_| told(post(&jobs, &[body]))).count();
                assert!(posted == 2 || jobs.stats().is_err_and(|error| error.is_closed()));
                posted as u64
            })
        });
        let closers = [0, 1].map(|_| {
            let (engine, tracked) = (world.engine.clone(), tracked.clone());
            spawn(move || {
                engine.close().unwrap();
                tracked.hook.note_closed();
                assert!(post(&engine.queue(Project::none(), "jobs").unwrap(), &["late"]).unwrap_err().is_closed());
            })
        });
        closers.into_iter().for_each(|closer| closer.join().unwrap());
        let posted: u64 = posters.into_iter().map(|poster| poster.join().unwrap()).sum();
        assert_eq!(tracked.hook.late(), [""; 0]);
        assert_eq!(world.reopened(), posted);
    });
}

#[test]
fn housekeeping_of_every_kind_is_over_when_it_is_closed() {
    check("housekeeping", || {
        let (world, tracked) = tracked(false);
        post(&world.jobs, &["a"]).unwrap();
        let works: [fn(&Engine) -> Result<(), Error>; 3] =
            [Engine::snapshot, Engine::checkpoint, |engine| engine.verify().map(|found| assert!(found.is_sound()))];
        let housekeepers = works.map(|work| {
            let engine = world.engine.clone();
            spawn(move || told(work(&engine)))
        });
        world.engine.close().unwrap();
        tracked.hook.note_closed();
        for housekeeper in housekeepers {
            let _ = housekeeper.join().unwrap();
        }
        assert_eq!(tracked.hook.late(), [""; 0]);
        assert_eq!(world.reopened(), 1);
    });
}

#[test]
fn background_threads_are_over_when_it_is_closed() {
    check("background", || {
        let (world, tracked) = tracked(true);
        let poster = {
            let jobs = world.jobs.clone();
            spawn(move || (0..3).map_while(|_| told(post(&jobs, &[&"x".repeat(1_500)]))).count() as u64)
        };
        world.engine.close().unwrap();
        tracked.hook.note_closed();
        let posted = poster.join().unwrap();
        assert_eq!(tracked.hook.late(), [""; 0]);
        assert_eq!(world.reopened(), posted);
    });
}

#[test]
fn closing_that_fails_fails_for_everybody() {
    check("failing", || {
        let world = World::plain();
        post(&world.jobs, &["a"]).unwrap();
        world.disk.inject(Fault::on(Operation::Sync).forever());
        let closers = [0, 1].map(|_| {
            let engine = world.engine.clone();
            spawn(move || engine.close().unwrap_err().to_string())
        });
        let poster = {
            let jobs = world.jobs.clone();
            spawn(move || post(&jobs, &["b"]).unwrap_err())
        };
        let [first, second] = closers.map(|closer| closer.join().unwrap());
        assert_eq!(first, second);
        let refused = poster.join().unwrap();
        assert!(refused.is_closed() || refused.is_outcome_unknown() || refused.is_poisoned(), "{refused}");
    });
}

#[test]
fn the_store_can_be_opened_as_soon_as_it_is_closed_or_its_last_handle_dropped() {
    check("opened again", || {
        let world = World::plain();
        post(&world.jobs, &["a"]).unwrap();
        let World { disk, engine, jobs } = world;
        let dropper = spawn(move || drop(jobs));
        let opener = {
            let disk = disk.clone();
            spawn(move || match config(disk).open(ROOT) {
                Ok(engine) => {
                    let jobs = engine.queue(Project::none(), "jobs").unwrap();
                    assert_eq!(jobs.stats().unwrap().total(), 1);
                }
                Err(error) => assert!(error.is_busy(), "{error}"),
            })
        };
        drop(engine);
        dropper.join().unwrap();
        opener.join().unwrap();
        config(disk).open(ROOT).unwrap().close().unwrap();
    });
}

/// A store whose disk records changes after the close.
fn tracked(background: bool) -> (World, TrackedDisk) {
    let disk = SimulatedDisk::new();
    let tracked = TrackedDisk::around(Arc::new(disk.clone()), Owner::new(1));
    let world = World::open(disk, config(tracked.clone()).background(background));
    (world, tracked)
}

/// `None` where the store was closed.
fn told<T>(outcome: Result<T, Error>) -> Option<T> {
    match outcome {
        Ok(value) => Some(value),
        Err(error) => {
            assert!(error.is_closed(), "{error}");
            None
        }
    }
}
