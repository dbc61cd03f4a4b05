//! Calls that wait because a queue is over its claim rate: the instant at which the rate allows a message, and a change
//! of the rate, are noticed between the check and the sleep.

use std::sync::Arc;
use std::time::Duration;

use zaqar_sled::disk::SimulatedDisk;
use zaqar_sled::{CancelToken, ClaimOptions, ManualClock, Metadata, QueueSet, QueueSettings, Timestamp};

use crate::program::{LONG, World, check, claim_one, config, post, spawn};

/// A queue with `messages`, of which no more may be taken now: two in each second.
fn used_up(messages: &[&str]) -> (World, Arc<ManualClock>) {
    let (disk, clock) = (SimulatedDisk::new(), Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000))));
    let world = World::open(disk.clone(), config(disk).clock(clock.clone()));
    let rate = QueueSettings::new().max_claims_per_second(2);
    world.jobs.set_metadata(&rate.into()).unwrap();
    post(&world.jobs, &["first", "second"]).unwrap();
    assert_eq!(world.jobs.pop(2).unwrap().len(), 2);
    post(&world.jobs, messages).unwrap();
    (world, clock)
}

#[test]
fn the_instant_at_which_the_rate_allows_messages_wakes_the_waiters() {
    check("rate, in time", || {
        let (world, clock) = used_up(&["a", "b"]);
        let waiters = [0, 1].map(|_| {
            let jobs = world.jobs.clone();
            spawn(move || claim_one(&jobs).unwrap())
        });
        let time = spawn(move || (0..2).for_each(|_| clock.advance(Duration::from_millis(500))));
        waiters.into_iter().for_each(|waiter| drop(waiter.join().unwrap()));
        time.join().unwrap();
        assert_eq!(world.jobs.stats().unwrap().free(), 0);
        world.engine.close().unwrap();
    });
}

#[test]
fn a_message_that_comes_while_the_queue_is_over_its_rate_is_not_forgotten() {
    check("rate, posts", || {
        let (world, clock) = used_up(&[]);
        let waiters = [0, 1].map(|_| {
            let jobs = world.jobs.clone();
            spawn(move || claim_one(&jobs).unwrap())
        });
        let poster = {
            let jobs = world.jobs.clone();
            spawn(move || drop(post(&jobs, &["a"]).unwrap()))
        };
        let time = spawn(move || clock.advance(Duration::from_secs(1)));
        post(&world.jobs, &["b"]).unwrap();
        waiters.into_iter().for_each(|waiter| drop(waiter.join().unwrap()));
        time.join().unwrap();
        poster.join().unwrap();
        world.engine.close().unwrap();
    });
}

#[test]
fn a_change_of_the_rate_wakes_the_waiters() {
    check("rate, changed", || {
        let (world, _) = used_up(&["a", "b"]);
        let waiter = {
            let jobs = world.jobs.clone();
            spawn(move || claim_one(&jobs).unwrap())
        };
        let set = QueueSet::from(&world.jobs);
        let other = spawn(move || set.claim_wait(ClaimOptions::new().ttl(LONG).limit(1), LONG).unwrap().unwrap());
        let change = {
            let jobs = world.jobs.clone();
            spawn(move || jobs.set_metadata(&Metadata::new()).unwrap())
        };
        drop((waiter.join().unwrap(), other.join().unwrap()));
        change.join().unwrap();
        world.engine.close().unwrap();
    });
}

#[test]
fn a_queue_set_wakes_when_the_rate_allows_messages_also_while_a_call_is_cancelled() {
    check("rate, set", || {
        let (world, clock) = used_up(&["a", "b"]);
        let (set, token) = (QueueSet::from(&world.jobs), CancelToken::new());
        let options = || ClaimOptions::new().ttl(LONG).limit(1);
        let kept = {
            let set = set.clone();
            spawn(move || set.claim_wait(options(), LONG).unwrap().unwrap())
        };
        let cancelled = {
            let token = token.clone();
            spawn(move || set.claim_wait_with(options(), LONG, &token).unwrap())
        };
        let canceller = spawn(move || token.cancel());
        clock.advance(Duration::from_millis(500));
        clock.advance(Duration::from_millis(500));
        drop((kept.join().unwrap(), cancelled.join().unwrap()));
        canceller.join().unwrap();
        world.engine.close().unwrap();
    });
}
