//! Claim rates beside waiting calls, workers and other threads, and over a long random use.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the way to say what is wrong")]

#[path = "support/waits.rs"]
mod waits;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use zaqar_sled::{
    CancelToken, ClaimOptions, ClientId, Clock, Config, Engine, Metadata, NewMessage, NewPool, Outcome, PoolName,
    Project, Queue, QueueSet, QueueSettings, SimulatedDisk, Timestamp, Worker,
};

use waits::{LONG, Quick, body_of, created, engine, joined, options, post, waiter, waiting};

fn limited(engine: &Engine, name: &str, per_second: u32, burst: u32) -> Queue {
    let queue = engine.queue(Project::none(), name).unwrap();
    queue.create(settings(per_second, burst)).unwrap();
    queue
}

fn settings(per_second: u32, burst: u32) -> QueueSettings {
    QueueSettings::new().max_claims_per_second(per_second).max_claims_burst(burst)
}

fn on(clock: Arc<dyn Clock>) -> Engine {
    Config::new().disk(Arc::new(SimulatedDisk::new())).clock(clock).background(false).open("/store").unwrap()
}

fn post_all(queue: &Queue, count: usize) {
    queue.post(ClientId::random(), &vec![NewMessage::new("work"); count]).unwrap();
}

/// Nobody wakes the waiters: each knows the instant at which it may take a message.
#[test]
fn waiters_sleep_until_the_rate_allows_the_next_message() {
    let engine = on(Quick::new(100));
    let jobs = limited(&engine, "jobs", 2, 1);
    post_all(&jobs, 9);
    assert_eq!(jobs.pop(9).unwrap().len(), 1);
    let call = |jobs: Queue| std::thread::spawn(move || jobs.claim_wait(options(), LONG));
    let waiters: Vec<_> = (0..4).map(|_| call(jobs.clone())).collect();
    let mut instants: Vec<Timestamp> =
        waiters.into_iter().map(|call| joined(call).unwrap().unwrap().messages()[0].last_claimed().unwrap()).collect();
    instants.sort_unstable();
    for pair in instants.windows(2) {
        assert!(pair[1].as_millis() - pair[0].as_millis() >= 500, "{instants:?}");
    }
}

#[test]
fn a_waiter_takes_its_message_at_the_very_instant() {
    let (engine, clock) = engine();
    let jobs = limited(&engine, "jobs", 4, 1);
    post_all(&jobs, 3);
    jobs.pop(1).unwrap();
    let call = waiter(&engine, &jobs, LONG);
    clock.advance(Duration::from_millis(249));
    // The step wakes the waiter, which sleeps again.
    assert!(jobs.claim_wait(options(), Duration::ZERO).unwrap().is_none() && !call.is_finished());
    clock.advance(Duration::from_millis(1));
    let claim = joined(call).unwrap().unwrap();
    assert_eq!(claim.messages()[0].last_claimed(), Some(Timestamp::from_millis(1_000_250)));
}

#[test]
fn a_wait_that_ends_before_the_rate_allows_a_message_returns_nothing() {
    let (engine, clock) = engine();
    let jobs = limited(&engine, "jobs", 1, 1);
    post_all(&jobs, 2);
    jobs.pop(1).unwrap();
    let timeout = Duration::from_millis(300);
    let set = QueueSet::from(&jobs);
    let calls = [waiter(&engine, &jobs, timeout), waiting(&engine, move || set.claim_wait(options(), timeout))];
    clock.advance(timeout);
    for call in calls {
        assert!(joined(call).unwrap().is_none());
    }
    assert_eq!(jobs.stats().unwrap().free(), 1);
}

#[test]
fn a_change_of_the_rate_wakes_every_waiter_however_it_is_made() {
    let changes: [fn(&Queue); 3] = [
        |jobs| jobs.set_metadata(&settings(1_000_000, 9).into()).unwrap(),
        |jobs| jobs.set_metadata(&Metadata::new()).unwrap(),
        |jobs| assert!(!jobs.create_or_update(settings(1_000_000, 9)).unwrap()),
    ];
    for change in changes {
        let (engine, clock) = engine();
        let jobs = limited(&engine, "jobs", 1, 1);
        post_all(&jobs, 3);
        jobs.pop(1).unwrap();
        // A thousandth of a second fills the new bucket, and brings the old one nothing.
        clock.advance(Duration::from_millis(1));
        let calls = [(); 2].map(|()| waiter(&engine, &jobs, LONG));
        let set = QueueSet::from(&jobs);
        assert!(set.claim(options()).unwrap().is_none());
        change(&jobs);
        for call in calls {
            assert_eq!(body_of(joined(call)), b"work");
        }
        assert_eq!(jobs.stats().unwrap().free(), 0);
    }
}

#[test]
fn a_queue_set_goes_round_a_queue_over_its_rate_and_back_to_it() {
    let (engine, clock) = engine();
    let (slow, free) = (limited(&engine, "slow", 1, 1), created(&engine, "free"));
    let set = QueueSet::new([&slow, &free]).unwrap();
    post_all(&slow, 4);
    for body in ["a", "b", "c"] {
        post(&free, body);
    }
    let claimed = || set.claim(options()).unwrap().map(|claim| claim.queue().name().to_string());
    let names: Vec<_> = (0..5).map(|_| claimed()).collect();
    let expected = [Some("slow"), Some("free"), Some("free"), Some("free"), None];
    assert_eq!(names, expected.map(|name| name.map(str::to_owned)));
    let call = waiting(&engine, {
        let set = set.clone();
        move || set.claim_wait(options(), LONG)
    });
    // A message of the other queue does not wait for the rate of the first.
    post(&free, "d");
    assert_eq!(body_of(joined(call)), b"d");
    let call = waiting(&engine, {
        let set = set.clone();
        move || set.claim_wait(options(), LONG)
    });
    clock.advance(Duration::from_secs(1));
    assert_eq!(joined(call).unwrap().unwrap().queue().name(), slow.name());
}

#[test]
fn a_queue_set_sleeps_until_the_rate_of_one_of_its_queues_allows_a_message() {
    let engine = on(Quick::new(100));
    let queues = [limited(&engine, "one", 1, 1), limited(&engine, "two", 2, 1)];
    queues.iter().for_each(|queue| post_all(queue, 7));
    let set = QueueSet::new(&queues).unwrap();
    let calls: Vec<_> = (0..14)
        .map(|_| {
            let set = set.clone();
            std::thread::spawn(move || set.claim_wait(options(), LONG))
        })
        .collect();
    let mut taken = [(); 2].map(|()| Vec::new());
    for call in calls {
        let claim = joined(call).unwrap().unwrap();
        let instant = claim.messages()[0].last_claimed().unwrap().as_millis();
        taken[usize::from(claim.queue().name() == queues[1].name())].push(instant);
    }
    for (instants, least) in taken.iter_mut().zip([1_000, 500]) {
        instants.sort_unstable();
        assert_eq!(instants.len(), 7);
        assert!(instants.windows(2).all(|pair| pair[1] - pair[0] >= least), "{instants:?}");
    }
}

/// The message wakes the first waiter, which learns until when it has to wait, and is cancelled. Nobody else knows.
#[test]
fn a_waiter_that_is_cancelled_before_the_instant_tells_the_next() {
    let engine = on(Quick::new(10));
    let jobs = limited(&engine, "jobs", 1, 1);
    post(&jobs, "first");
    jobs.pop(1).unwrap();
    let stop = CancelToken::new();
    let first = waiting(&engine, {
        let (jobs, stop) = (jobs.clone(), stop.clone());
        move || jobs.claim_wait_with(options(), LONG, &stop)
    });
    let second = waiter(&engine, &jobs, LONG);
    post(&jobs, "second");
    stop.cancel();
    // Where the second is in time before the cancelled one leaves does not matter: somebody takes the message.
    let by_first = joined(first).unwrap();
    if by_first.is_none() {
        assert_eq!(body_of(joined(second)), b"second");
    } else {
        post(&jobs, "third");
        assert_eq!(body_of(joined(second)), b"third");
    }
}

#[test]
fn a_worker_keeps_to_the_rate_and_leaves_nothing() {
    let engine = on(Quick::new(50));
    let jobs = limited(&engine, "jobs", 100, 5);
    post_all(&jobs, 60);
    let (stop, claimed) = (CancelToken::new(), Mutex::new(Vec::new()));
    let report = Worker::new(&jobs, ClaimOptions::new().limit(4)).run(3, &stop, |job| {
        let mut claimed = claimed.lock().unwrap();
        claimed.push(job.message().last_claimed().unwrap().as_millis());
        if claimed.len() == 60 {
            stop.cancel();
        }
        Outcome::Done
    });
    assert_eq!((report.unwrap().done, jobs.stats().unwrap().total()), (60, 0));
    let mut claimed = claimed.into_inner().unwrap();
    claimed.sort_unstable();
    for (first, since) in claimed.iter().enumerate() {
        for (last, now) in claimed.iter().enumerate().skip(first) {
            assert!((last - first + 1) as u64 * 1_000 <= 5_000 + 100 * (now - since), "{claimed:?}");
        }
    }
}

#[test]
fn the_waiters_of_a_queue_in_a_pool_know_the_rate() {
    let clock = Quick::new(100);
    let config = Config::new().disk(Arc::new(SimulatedDisk::new())).clock(clock);
    let driver = config.open_pooled("/control").unwrap();
    driver.pools().create(&PoolName::new("one").unwrap(), &NewPool::new("sled:/one".parse().unwrap())).unwrap();
    let jobs = driver.queue(Project::none(), "jobs").unwrap();
    jobs.create(settings(1, 1)).unwrap();
    post_all(&jobs, 4);
    let instants = [(); 2].map(|()| {
        let claim = jobs.claim_wait(options(), LONG).unwrap().unwrap();
        claim.messages()[0].last_claimed().unwrap().as_millis()
    });
    assert!(instants[1] - instants[0] >= 1_000);
}

#[test]
fn a_change_of_the_rate_wakes_the_waiters_of_a_queue_in_a_pool() {
    let (_, clock) = engine();
    let driver = Config::new().disk(Arc::new(SimulatedDisk::new())).clock(clock).open_pooled("/control").unwrap();
    driver.pools().create(&PoolName::new("one").unwrap(), &NewPool::new("sled:/one".parse().unwrap())).unwrap();
    let jobs = driver.queue(Project::none(), "jobs").unwrap();
    jobs.create(settings(1, 1)).unwrap();
    post_all(&jobs, 3);
    assert_eq!(jobs.pop(9).unwrap().len(), 1);
    let call = std::thread::spawn({
        let jobs = jobs.clone();
        move || jobs.claim_wait(options(), LONG)
    });
    while driver.status().control().waiting() == 0 {
        std::thread::yield_now();
    }
    jobs.set_metadata(&Metadata::new()).unwrap();
    assert_eq!(body_of(joined(call)), b"work");
    assert_eq!(jobs.pop(9).unwrap().len(), 1);
}

/// A generator of numbers that need not be good.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// In no time do the messages that were handed out exceed the burst and the share of the time; and nothing is held back
/// that would not exceed them.
#[test]
fn in_no_time_are_more_messages_handed_out_than_the_rate_allows_and_none_is_held_back() {
    for (seed, (per_second, burst)) in (1..).zip([(1, 1), (3, 2), (7, 20), (1_000, 3), (999, 1_000), (40_000, 17)]) {
        let (mut disk, mut dice) = (SimulatedDisk::new(), Dice(seed));
        let (_, clock) = engine();
        let open = |disk: &SimulatedDisk| {
            let config = Config::new().disk(Arc::new(disk.clone())).clock(clock.clone()).background(false);
            config.open("/store").unwrap()
        };
        let mut engine = open(&disk);
        limited(&engine, "jobs", per_second, burst);
        // Instants, and how many messages.
        let mut handed_out: Vec<(u64, u64)> = Vec::new();
        for step in 0..250 {
            let jobs = engine.queue(Project::none(), "jobs").unwrap();
            if jobs.stats().unwrap().free() < 30 {
                post_all(&jobs, 40);
            }
            let now = clock.wall().as_millis();
            let limit = dice.below(30) + 1;
            let taken = if dice.below(2) == 0 {
                jobs.pop(usize::try_from(limit).unwrap()).unwrap().len()
            } else {
                let claim = jobs.claim(ClaimOptions::new().limit(usize::try_from(limit).unwrap())).unwrap();
                claim.map_or(0, |claim| {
                    let count = claim.messages().len();
                    claim.delete_all().unwrap();
                    count
                })
            };
            // The most that can be handed out now without too much in any time that ends now.
            let mut allowed = i128::from(burst) * 1_000;
            let mut sum = 0;
            for (since, count) in handed_out.iter().rev() {
                sum += i128::from(*count) * 1_000;
                let brought = i128::from(per_second) * i128::from(now - since);
                allowed = allowed.min(i128::from(burst) * 1_000 + brought - sum);
            }
            assert!(allowed >= 0);
            let expected = u64::try_from(allowed / 1_000).unwrap().min(limit);
            assert_eq!(taken as u64, expected, "seed {seed}, step {step}");
            if taken > 0 {
                handed_out.push((now, taken as u64));
            }
            let most = [1, 3, 50, 2_000][usize::try_from(dice.below(4)).unwrap()];
            clock.advance(Duration::from_millis(dice.below(most)));
            match dice.below(40) {
                0 => {
                    disk = disk.kill();
                    engine = open(&disk);
                }
                1 => engine.snapshot().unwrap(),
                2 => engine.checkpoint().unwrap(),
                3 => {
                    engine.close().unwrap();
                    engine = open(&disk);
                }
                _ => {}
            }
        }
        assert!(handed_out.len() > 20);
    }
}
