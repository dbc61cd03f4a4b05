//! A token ends waits from another thread: at any instant, at once if it was cancelled before, without a claim, and
//! without losing a wake-up.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the way to say what is wrong")]

#[path = "support/clock.rs"]
mod clock;
#[path = "support/waits.rs"]
mod waits;

use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use zaqar_sled::{
    CancelToken, Claim, Config, DataDriver, Engine, Metadata, NewPool, PoolName, Project, Queue, Result, SimulatedDisk,
    Timestamp,
};

use clock::{WatchedClock, interrupt_at, was_interrupted};
use waits::{LONG, body_of, created, engine, jobs, joined, options, post, waiter, waiting};

/// A waiter that is asleep by the time this returns, unless its token is cancelled.
fn cancellable(engine: &Engine, queue: &Queue, token: &CancelToken) -> JoinHandle<Result<Option<Claim>>> {
    let (queue, token) = (queue.clone(), token.clone());
    waiting(engine, move || queue.claim_wait_with(options(), Duration::MAX, &token))
}

#[test]
fn a_token_ends_every_wait_that_shares_it_and_no_other() {
    let (engine, clock) = engine();
    let (jobs, other) = (jobs(&engine), created(&engine, "other"));
    let (token, another) = (CancelToken::new(), CancelToken::new());
    let ended: Vec<_> = [&jobs, &jobs, &other].map(|queue| cancellable(&engine, queue, &token)).into();
    let kept = [waiter(&engine, &jobs, LONG), cancellable(&engine, &jobs, &another)];
    token.cancel();
    assert!(ended.into_iter().all(|wait| joined(wait).unwrap().is_none()));
    assert_eq!(engine.status().waiting(), 2);
    assert!(kept.iter().all(|wait| !wait.is_finished()));
    clock.advance(LONG / 2);
    assert!(kept.iter().all(|wait| !wait.is_finished()));
    post(&jobs, "one");
    post(&jobs, "two");
    let mut bodies = kept.map(|wait| body_of(joined(wait)));
    bodies.sort();
    assert_eq!(bodies, [b"one", b"two"]);
}

#[test]
fn a_token_that_was_cancelled_before_lets_the_messages_be() {
    let (engine, _) = engine();
    let jobs = jobs(&engine);
    post(&jobs, "work");
    let token = CancelToken::new();
    token.cancel();
    token.cancel();
    assert!(jobs.claim_wait_with(options(), LONG, &token).unwrap().is_none());
    assert_eq!(jobs.stats().unwrap().free(), 1);
    assert_eq!(body_of(jobs.claim_wait_with(options(), LONG, &CancelToken::new())), b"work");
    engine.close().unwrap();
    assert!(jobs.claim_wait_with(options(), LONG, &token).unwrap().is_none());
    assert!(jobs.claim_wait_with(options(), LONG, &CancelToken::new()).unwrap_err().is_closed());
}

#[test]
fn a_wait_with_a_token_ends_as_any_other() {
    let (engine, clock) = engine();
    let jobs = jobs(&engine);
    let token = CancelToken::new();
    let woken = cancellable(&engine, &jobs, &token);
    post(&jobs, "work");
    assert_eq!(body_of(joined(woken)), b"work");
    let timed = {
        let (jobs, token) = (jobs.clone(), token.clone());
        waiting(&engine, move || jobs.claim_wait_with(options(), Duration::from_secs(10), &token))
    };
    clock.advance(Duration::from_secs(10));
    assert!(joined(timed).unwrap().is_none());
    let closed = cancellable(&engine, &jobs, &token);
    engine.close().unwrap();
    assert!(joined(closed).unwrap_err().is_closed());
    assert!(!token.is_cancelled());
}

/// Cancels when the wait reads the clock for the `nth` time, or as soon as it has begun if that is 0; whether it did.
fn cancelled_at_reading(nth: u64) -> bool {
    let token = CancelToken::new();
    let clock = WatchedClock::at(Timestamp::from_millis(1_000_000));
    clock.on_interrupt({
        let token = token.clone();
        move || token.cancel()
    });
    let config = Config::new().disk(Arc::new(SimulatedDisk::new())).clock(clock).background(false);
    let engine = config.open("/store").unwrap();
    let jobs = jobs(&engine);
    let (reached, was_reached) = mpsc::channel();
    let wait = {
        let (jobs, token) = (jobs.clone(), token.clone());
        thread::spawn(move || {
            interrupt_at(nth);
            jobs.claim_wait_with(options(), Duration::MAX, &token).inspect(|_| {
                reached.send(was_interrupted()).unwrap();
            })
        })
    };
    // If it has not been cancelled at a reading by then, it sleeps.
    let was_reached = was_reached.recv_timeout(SETTLED).unwrap_or(false);
    token.cancel();
    assert!(joined(wait).unwrap().is_none(), "cancelled at reading {nth}");
    was_reached
}

/// By then a wait that nothing ends sleeps.
const SETTLED: Duration = Duration::from_millis(200);

#[test]
fn a_token_that_is_cancelled_at_any_instant_between_the_check_and_the_sleep_ends_the_wait() {
    let reached = (1..100).take_while(|nth| cancelled_at_reading(*nth)).count();
    assert!((4..99).contains(&reached), "{reached} readings");
}

#[test]
fn no_message_is_left_with_a_waiter_asleep_when_others_are_cancelled() {
    const ROUNDS: usize = 60;
    let (engine, _) = engine();
    let jobs = jobs(&engine);
    for round in 0..ROUNDS {
        let token = CancelToken::new();
        let cancelled: Vec<_> = (0..3).map(|_| cancellable(&engine, &jobs, &token)).collect();
        let kept: Vec<_> = (0..3).map(|_| waiter(&engine, &jobs, LONG)).collect();
        let poster = {
            let jobs = jobs.clone();
            thread::spawn(move || (0..3).for_each(|_| post(&jobs, "work")))
        };
        if round % 2 == 0 {
            thread::yield_now();
        }
        token.cancel();
        joined(poster);
        let served = cancelled.into_iter().map(joined).filter(|claim| claim.as_ref().unwrap().is_some());
        let left = 3 - served.count();
        // As many of the others wake up as messages are left, whichever of the cancelled had been woken.
        (0..3 - left).for_each(|_| post(&jobs, "more"));
        kept.into_iter().for_each(|wait| assert!(joined(wait).unwrap().is_some(), "in round {round}"));
        assert_eq!((engine.status().waiting(), jobs.stats().unwrap().free()), (0, 0));
        jobs.purge().unwrap();
    }
}

#[test]
fn a_wait_of_a_pooled_driver_is_cancelled_too() {
    let driver = Config::new().disk(Arc::new(SimulatedDisk::new())).open_pooled("/control").unwrap();
    driver.pools().create(&PoolName::new("one").unwrap(), &NewPool::new("sled:/one".parse().unwrap())).unwrap();
    let jobs = driver.queue(Project::none(), "jobs").unwrap();
    jobs.create(Metadata::new()).unwrap();
    let token = CancelToken::new();
    let waits = [(); 2].map(|()| {
        let (jobs, token) = (jobs.clone(), token.clone());
        thread::spawn(move || jobs.claim_wait_with(options(), Duration::MAX, &token))
    });
    token.cancel();
    assert!(waits.into_iter().all(|wait| joined(wait).unwrap().is_none()));
    assert!(driver.is_alive());
}
