//! Pauses beside waiting calls and other threads.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the way to say what is wrong")]

#[path = "support/waits.rs"]
mod waits;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use zaqar_sled::{
    ClaimOptions, ClientId, Config, Metadata, NewMessage, NewPool, Pause, PoolName, Project, Queue, QueueSet,
    SimulatedDisk,
};

use waits::{LONG, body_of, created, engine, jobs, joined, options, post, waiter, waiting};

#[test]
fn the_end_of_a_pause_wakes_every_waiter_however_it_comes() {
    let ends: [fn(&Queue); 3] = [
        |jobs| jobs.resume().unwrap(),
        |jobs| jobs.pause(Pause::Posts).unwrap(),
        |jobs| jobs.set_metadata(&Metadata::new()).unwrap(),
    ];
    for end in ends {
        let (engine, _) = engine();
        let jobs = jobs(&engine);
        jobs.pause(Pause::Claims).unwrap();
        let first = waiter(&engine, &jobs, LONG);
        // It wakes the waiter, which finds the pause and sleeps again.
        post(&jobs, "work");
        let second = waiter(&engine, &jobs, LONG);
        post(&jobs, "work");
        assert!(!first.is_finished() && !second.is_finished());
        end(&jobs);
        assert_eq!((body_of(joined(first)), body_of(joined(second))), (b"work".to_vec(), b"work".to_vec()));
    }
}

#[test]
fn a_queue_set_goes_round_a_paused_queue_and_back_to_it() {
    let (engine, _) = engine();
    let [one, two] = ["one", "two"].map(|name| created(&engine, name));
    let set = QueueSet::new([&one, &two]).unwrap();
    one.pause(Pause::Claims).unwrap();
    post(&one, "first");
    post(&two, "second");
    let claimed = || set.claim(options()).unwrap().map(|claim| claim.messages()[0].body().as_bytes().to_vec());
    assert_eq!((claimed(), claimed()), (Some(b"second".to_vec()), None));
    let call = waiting(&engine, {
        let set = set.clone();
        move || set.claim_wait(options(), LONG)
    });
    one.resume().unwrap();
    assert_eq!(body_of(joined(call)), b"first");
}

#[test]
fn the_end_of_a_pause_wakes_the_waiters_of_a_queue_in_a_pool() {
    let disk = Arc::new(SimulatedDisk::new());
    let driver = Config::new().disk(disk).open_pooled("/control").unwrap();
    driver.pools().create(&PoolName::new("one").unwrap(), &NewPool::new("sled:/one".parse().unwrap())).unwrap();
    let jobs = driver.queue(Project::none(), "jobs").unwrap();
    jobs.create(Metadata::new()).unwrap();
    jobs.pause(Pause::All).unwrap();
    assert!(jobs.post(ClientId::random(), &[NewMessage::new("work")]).unwrap_err().is_paused());
    jobs.pause(Pause::Claims).unwrap();
    post(&jobs, "work");
    let waiter = thread::spawn({
        let jobs = jobs.clone();
        move || jobs.claim_wait(options(), LONG)
    });
    while driver.status().control().waiting() == 0 {
        thread::yield_now();
    }
    jobs.resume().unwrap();
    assert_eq!(body_of(joined(waiter)), b"work");
}

/// The number of the turn is odd during a pause.
#[test]
fn no_claim_and_no_post_that_begins_in_a_pause_takes_effect() {
    const ROUNDS: u64 = 300;
    let (engine, _) = engine();
    let jobs = jobs(&engine);
    let (turn, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let worker = |act: fn(&Queue) -> bool| {
            let mut done = 0_u64;
            while !is_over.load(Ordering::SeqCst) {
                let before = turn.load(Ordering::SeqCst);
                let took_effect = act(&jobs);
                let after = turn.load(Ordering::SeqCst);
                assert!(!took_effect || before % 2 == 0 || before != after, "in pause {before}");
                done += u64::from(took_effect);
            }
            done
        };
        let posted = scope.spawn(move || {
            worker(|jobs| match jobs.post(ClientId::random(), &[NewMessage::new("work")]) {
                Ok(_) => true,
                Err(error) => {
                    assert!(error.is_paused(), "{error}");
                    false
                }
            })
        });
        let popped = scope.spawn(move || worker(|jobs| !jobs.pop(1).unwrap().is_empty()));
        let claimed = scope.spawn(move || {
            worker(|jobs| match jobs.claim(ClaimOptions::new().limit(1)).unwrap() {
                Some(claim) => claim.delete_all().is_ok(),
                None => false,
            })
        });
        for _ in 0..ROUNDS {
            jobs.pause(Pause::All).unwrap();
            turn.fetch_add(1, Ordering::SeqCst);
            thread::yield_now();
            turn.fetch_add(1, Ordering::SeqCst);
            jobs.resume().unwrap();
            thread::yield_now();
        }
        is_over.store(true, Ordering::SeqCst);
        let [posted, popped, claimed] = [posted, popped, claimed].map(|thread| thread.join().unwrap());
        assert!(posted > 0 && popped + claimed <= posted);
        assert_eq!(jobs.stats().unwrap().total(), posted - popped - claimed);
    });
}
