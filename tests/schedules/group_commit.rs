//! Group commit: no call returns before the sync that covers it, and no call waits for ever, whatever happens to the
//! leader.

use std::sync::{Arc, Mutex};

use shuttle::rand::{Rng, thread_rng};
use zaqar_sled::disk::{Fault, Keep, Operation, SimulatedDisk};
use zaqar_sled::{Engine, MessageId, Queue};

use crate::program::{World, check, config, post, spawn};
use crate::tracked_disk::{Owner, TrackedDisk};

#[test]
fn no_call_returns_before_the_sync_that_covers_it() {
    check("covered", || {
        let (World { disk, jobs, .. }, told) = (World::plain(), Told::default());
        let posters = post_from_three(&jobs, &told);
        let cut = spawn(move || {
            let told_before = told.lock().unwrap().clone();
            (told_before, disk.power_loss(Keep::Nothing))
        });
        let (told, left) = cut.join().unwrap();
        posters.into_iter().for_each(|poster| poster.join().unwrap());
        expect(&told, left);
    });
}

#[test]
fn a_sync_that_fails_leaves_no_call_waiting() {
    check("failing", || {
        let (World { disk, engine, jobs }, told) = (World::plain(), Told::default());
        disk.inject(Fault::on(Operation::Sync).nth(thread_rng().gen_range(1..=4)));
        post_from_three(&jobs, &told).into_iter().for_each(|poster| poster.join().unwrap());
        end(&engine, &told, &disk);
    });
}

#[test]
fn a_sync_that_panics_leaves_no_call_waiting() {
    check("panicking", || {
        let disk = SimulatedDisk::new();
        let tracked = TrackedDisk::around(Arc::new(disk.clone()), Owner::new(1));
        let (World { engine, jobs, .. }, told) = (World::open(disk.clone(), config(tracked.clone())), Told::default());
        let posters = post_from_three(&jobs, &told);
        let armed = spawn(move || tracked.hook.panic_in_sync());
        posters.into_iter().for_each(|poster| poster.join().unwrap());
        armed.join().unwrap();
        end(&engine, &told, &disk);
    });
}

/// The acknowledged messages. This is not one of the checker's locks, so that recording is one step with the
/// acknowledgement.
type Told = Arc<Mutex<Vec<MessageId>>>;

/// Three threads that post two messages each; of which two fill a segment.
fn post_from_three(jobs: &Queue, told: &Told) -> [shuttle::thread::JoinHandle<()>; 3] {
    [0, 1, 2].map(|_| {
        let (jobs, told) = (jobs.clone(), told.clone());
        spawn(move || {
            for _ in 0..2 {
                match post(&jobs, &[&"x".repeat(1_500)]) {
                    Ok(ids) => told.lock().unwrap().extend(ids),
                    Err(error) => {
                        let power_is_off = error.to_string().contains("power is off");
                        assert!(error.is_outcome_unknown() || error.is_poisoned() || power_is_off, "{error}");
                    }
                }
            }
        })
    })
}

/// Closes a store whose journal may have failed, and opens it after a power cut.
fn end(engine: &Engine, told: &Told, disk: &SimulatedDisk) {
    let closed = engine.close().is_ok();
    assert_eq!(engine.close().is_ok(), closed);
    expect(&told.lock().unwrap(), disk.power_loss(Keep::Nothing));
}

fn expect(told: &[MessageId], left: SimulatedDisk) {
    let found = World::open(left.clone(), config(left));
    assert_eq!(found.jobs.bulk_get(told).unwrap().len(), told.len(), "told too early");
    found.engine.close().unwrap();
}
