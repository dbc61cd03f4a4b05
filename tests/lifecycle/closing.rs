//! The promises of closing, one at a time.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use zaqar_sled::disk::{FaultKind, SimulatedDisk};
use zaqar_sled::{ClaimOptions, Config, Durability, Engine, Metadata, NewMessage, NewPool, PoolName, Project, Queue};

use super::tracked_disk::{Owner, TrackedDisk};
use super::values::CLIENT;

const ROOT: &str = "/store";

fn config(disk: &SimulatedDisk) -> Config {
    Config::new().disk(Arc::new(disk.clone())).background(false)
}

fn jobs(engine: &Engine) -> Queue {
    engine.queue(Project::none(), "jobs").unwrap()
}

fn post(engine: &Engine) {
    jobs(engine).post(CLIENT, &[NewMessage::new("work")]).unwrap();
}

#[test]
fn a_second_close_returns_the_failure_of_the_first() {
    let disk = SimulatedDisk::new();
    let engine = config(&disk).durability(Durability::Buffered).open(ROOT).unwrap();
    jobs(&engine).create(Metadata::new()).unwrap();
    post(&engine);
    disk.fail_nth(FaultKind::Sync, 1);
    let first = engine.close().unwrap_err().to_string();
    assert_eq!(engine.close().unwrap_err().to_string(), first);
    assert_eq!(engine.clone().close().unwrap_err().to_string(), first);
}

#[test]
fn a_store_that_was_closed_answers_every_call_with_closed() {
    let disk = SimulatedDisk::new();
    let engine = config(&disk).open(ROOT).unwrap();
    jobs(&engine).create(Metadata::new()).unwrap();
    engine.close().unwrap();
    engine.close().unwrap();
    let outcomes = [
        engine.snapshot(),
        engine.checkpoint(),
        engine.step(),
        engine.verify().map(drop),
        engine.health().map(drop),
        zaqar_sled::DataDriver::gc(&engine).map(drop),
        jobs(&engine).stats().map(drop),
        jobs(&engine).claim_wait(ClaimOptions::new(), Duration::from_secs(3600)).map(drop),
    ];
    for outcome in outcomes {
        assert!(outcome.unwrap_err().is_closed());
    }
}

#[test]
fn calls_that_wait_for_messages_or_for_admission_end_at_once() {
    let disk = SimulatedDisk::new();
    let engine = Config::new().disk(Arc::new(disk.clone())).memory(64 << 10).busy_timeout(Duration::from_secs(3600));
    let engine = engine.open(ROOT).unwrap();
    jobs(&engine).create(Metadata::new()).unwrap();
    // No page can be evicted, so posts wait once memory is full.
    disk.set_capacity(Some(0));
    let waiters: Vec<_> = (0..2)
        .map(|number| {
            let engine = engine.clone();
            thread::spawn(move || {
                let empty = engine.queue(Project::none(), "empty").unwrap();
                loop {
                    let outcome = match number {
                        0 => empty.claim_wait(ClaimOptions::new(), Duration::from_secs(3600)).map(drop),
                        _ => jobs(&engine).post(CLIENT, &[NewMessage::new(vec![7; 4 << 10])]).map(drop),
                    };
                    match outcome {
                        Err(error) if error.is_closed() => return,
                        Err(error) if !error.is_full() => panic!("{error}"),
                        _ => thread::yield_now(),
                    }
                }
            })
        })
        .collect();
    while engine.status().waiting() == 0 {
        thread::yield_now();
    }
    let _ = engine.close();
    waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
}

#[test]
fn a_disk_that_panics_in_a_sync_leaves_no_call_waiting_for_it() {
    let disk = SimulatedDisk::new();
    let tracked = TrackedDisk::around(Arc::new(disk.clone()), Owner::new(1));
    let engine = Config::new().disk(Arc::new(tracked.clone())).background(false).open(ROOT).unwrap();
    jobs(&engine).create(Metadata::new()).unwrap();
    tracked.hook.panic_in_sync();
    let posters: Vec<_> = (0..4)
        .map(|_| {
            let engine = engine.clone();
            let message = [NewMessage::new("work")];
            thread::spawn(move || jobs(&engine).post(CLIENT, &message).unwrap_err())
        })
        .collect();
    for poster in posters {
        let error = poster.join().unwrap();
        assert!(error.is_outcome_unknown() || error.is_poisoned(), "{error}");
    }
    assert!(engine.status().poisoned().is_some_and(|cause| cause.contains("panic")));
    assert!(engine.close().is_err());
    drop(engine);
    config(&disk).open(ROOT).unwrap();
}

#[test]
fn housekeeping_does_not_wait_for_pages_that_a_verification_reads() {
    let tracked = TrackedDisk::around(Arc::new(SimulatedDisk::new()), Owner::new(1));
    let engine = Config::new().disk(Arc::new(tracked.clone())).background(false).memory(64 << 10).open(ROOT).unwrap();
    jobs(&engine).create(Metadata::new()).unwrap();
    for _ in 0..40 {
        jobs(&engine).post(CLIENT, &[NewMessage::new(vec![7; 8 << 10])]).unwrap();
    }
    engine.checkpoint().unwrap();
    assert!(engine.status().cold_pages() > 0);
    tracked.hook.hold_reads(true);
    let verifying = thread::spawn({
        let engine = engine.clone();
        move || engine.verify().unwrap()
    });
    while !tracked.hook.holds_one() {
        thread::yield_now();
    }
    let (done, is_done) = channel();
    thread::spawn({
        let engine = engine.clone();
        move || done.send(engine.checkpoint())
    });
    let outcome = is_done.recv_timeout(Duration::from_secs(20));
    tracked.hook.hold_reads(false);
    outcome.expect("housekeeping waits for a page").unwrap();
    assert!(verifying.join().unwrap().is_sound());
}

#[test]
fn a_pooled_driver_that_is_closed_ends_every_wait() {
    let disk = SimulatedDisk::new();
    let driver = Config::new().disk(Arc::new(disk)).open_pooled("/control").unwrap();
    driver.pools().create(&PoolName::new("one").unwrap(), &NewPool::new("sled:/one".parse().unwrap())).unwrap();
    let queue = driver.queue(Project::none(), "jobs").unwrap();
    queue.create(Metadata::new()).unwrap();
    let waiter = thread::spawn(move || queue.claim_wait(ClaimOptions::new(), Duration::from_secs(3600)).unwrap_err());
    while driver.status().control().waiting() == 0 {
        thread::yield_now();
    }
    driver.close().unwrap();
    assert!(waiter.join().unwrap().is_closed());
}

/// A clean mark whose store has later operations in the journal, as after a close that did not wait for a call.
#[test]
fn a_clean_mark_with_a_longer_journal_is_ignored() {
    let disk = SimulatedDisk::new();
    let engine = config(&disk).open(ROOT).unwrap();
    jobs(&engine).create(Metadata::new()).unwrap();
    post(&engine);
    engine.close().unwrap();
    let old = disk.read("/store/MANIFEST").unwrap();
    let disk = {
        let engine = config(&disk).open(ROOT).unwrap();
        post(&engine);
        disk.kill()
    };
    disk.write("/store/MANIFEST", old).unwrap();
    let engine = config(&disk).open(ROOT).unwrap();
    assert_eq!(jobs(&engine).stats().unwrap().total(), 2, "{}", engine.recovery());
    assert!(engine.verify().unwrap().is_sound());
}
