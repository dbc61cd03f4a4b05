//! Waiting for messages: each event that ends a wait, and that no message is missed. The clock is moved by hand, so a
//! waiter that polls, or that sleeps on real time, hangs or answers too early.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the way to say what is wrong")]
#![allow(clippy::duration_suboptimal_units, reason = "seconds are what the contract counts in")]

#[path = "support/clock.rs"]
mod clock;
#[path = "support/waits.rs"]
mod waits;

use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use zaqar_sled::{
    ClaimOptions, ClientId, Config, Metadata, NewMessage, NewPool, PoolName, Project, Queue, QueueSettings,
    SimulatedDisk, Timestamp,
};

use clock::{WatchedClock, interrupt_at, was_interrupted};
use waits::{LONG, Quick, body_of, engine, jobs, joined, options, post, waiter};

#[test]
fn a_post_wakes_a_waiter() {
    let (engine, _) = engine();
    let jobs = jobs(&engine);
    let waiter = waiter(&engine, &jobs, LONG);
    post(&jobs, "work");
    assert_eq!(body_of(joined(waiter)), b"work");
}

#[test]
fn a_post_to_a_topic_wakes_the_waiters_of_its_subscribed_queues() {
    let (engine, _) = engine();
    let (jobs, other) = (jobs(&engine), waits::created(&engine, "other"));
    let news = engine.topic(Project::none(), "news").unwrap();
    news.create(QueueSettings::new().subscribed(["jobs", "other"])).unwrap();
    for turn in 0..4 {
        let waiters = [waiter(&engine, &jobs, LONG), waiter(&engine, &other, LONG)];
        let message = NewMessage::new("work");
        if turn % 2 == 0 {
            news.post(ClientId::random(), &[message]).unwrap();
        } else {
            engine.batch().publish(&news, ClientId::random(), [message]).commit().unwrap();
        }
        for waiter in waiters {
            assert_eq!(body_of(joined(waiter)), b"work");
        }
        jobs.purge().unwrap();
        other.purge().unwrap();
    }
}

/// Posts to a topic; a subscribed queue is made when the post reads the clock for the `nth` time. Whether it did.
fn made_at_reading(nth: u64) -> bool {
    let clock = WatchedClock::at(Timestamp::from_millis(1_000_000));
    let config = Config::new().disk(Arc::new(SimulatedDisk::new())).clock(clock.clone()).background(false);
    let engine = config.open("/store").unwrap();
    let news = engine.topic(Project::none(), "news").unwrap();
    news.create(QueueSettings::new().subscribed(["there", "later"])).unwrap();
    waits::created(&engine, "there");
    let maker = engine.clone();
    clock.on_interrupt(move || {
        let maker = maker.clone();
        thread::spawn(move || waits::created(&maker, "later")).join().unwrap();
    });
    interrupt_at(nth);
    news.post(ClientId::random(), &[NewMessage::new("work")]).unwrap();
    let was_made = was_interrupted();
    interrupt_at(0);
    let later = engine.queue(Project::none(), "later").unwrap();
    assert_eq!(later.exists().unwrap(), was_made);
    // The post had changed nothing yet.
    assert!(!was_made || later.stats().unwrap().total() == 1, "made at reading {nth}");
    was_made
}

#[test]
fn a_subscribed_queue_that_is_made_beside_a_post_misses_nothing() {
    let readings = (1..100).take_while(|nth| made_at_reading(*nth)).count();
    assert!(
        readings >= 4,
        "the post reads both clocks when it looks the topic up and when all queues are locked: {readings}"
    );
}

#[test]
fn every_message_of_a_post_wakes_a_waiter() {
    let (engine, _) = engine();
    let jobs = jobs(&engine);
    let waiters: Vec<_> = (0..8).map(|_| waiter(&engine, &jobs, LONG)).collect();
    jobs.post(ClientId::random(), &vec![NewMessage::new("work"); 8]).unwrap();
    for waiter in waiters {
        assert_eq!(body_of(joined(waiter)), b"work");
    }
    assert_eq!(engine.status().waiting(), 0);
}

#[test]
fn a_queue_that_is_not_there_yet_is_waited_for() {
    let (engine, _) = engine();
    let later = engine.queue(Project::none(), "later").unwrap();
    let waiter = waiter(&engine, &later, LONG);
    later.create(Metadata::new()).unwrap();
    post(&later, "work");
    assert_eq!(body_of(joined(waiter)), b"work");
}

#[test]
fn a_release_wakes_a_waiter() {
    let (engine, _) = engine();
    let jobs = jobs(&engine);
    post(&jobs, "work");
    let held = jobs.claim(options()).unwrap().unwrap();
    let waiter = waiter(&engine, &jobs, LONG);
    held.release().unwrap();
    assert_eq!(body_of(joined(waiter)), b"work");
}

#[test]
fn the_end_of_a_claim_wakes_a_waiter() {
    let (engine, clock) = engine();
    let jobs = jobs(&engine);
    post(&jobs, "work");
    jobs.claim(options()).unwrap().unwrap();
    let waiter = waiter(&engine, &jobs, LONG);
    clock.advance(Duration::from_secs(59));
    assert!(!waiter.is_finished());
    clock.advance(Duration::from_secs(1));
    assert_eq!(body_of(joined(waiter)), b"work");
}

#[test]
fn the_end_of_a_delay_wakes_a_waiter() {
    let (engine, clock) = engine();
    let jobs = jobs(&engine);
    let waiter = waiter(&engine, &jobs, LONG);
    jobs.post(ClientId::random(), &[NewMessage::new("work").delay(Duration::from_secs(30))]).unwrap();
    clock.advance(Duration::from_secs(29));
    assert!(!waiter.is_finished());
    clock.advance(Duration::from_secs(1));
    assert_eq!(body_of(joined(waiter)), b"work");
}

#[test]
fn a_wait_ends_when_its_time_is_over() {
    let (engine, clock) = engine();
    let jobs = jobs(&engine);
    assert!(jobs.claim_wait(options(), Duration::ZERO).unwrap().is_none());
    let waiter = waiter(&engine, &jobs, Duration::from_secs(10));
    clock.advance(Duration::from_secs(9));
    assert!(!waiter.is_finished());
    clock.advance(Duration::from_secs(1));
    assert!(joined(waiter).unwrap().is_none());
}

#[test]
fn close_ends_every_wait() {
    let (engine, _) = engine();
    let jobs = jobs(&engine);
    let waiters: Vec<_> = (0..3).map(|_| waiter(&engine, &jobs, LONG)).collect();
    engine.close().unwrap();
    for waiter in waiters {
        assert!(joined(waiter).unwrap_err().is_closed());
    }
}

#[test]
fn a_claim_that_only_moved_dead_letters_is_tried_again_at_once() {
    let (engine, _) = engine();
    let jobs = engine.queue(Project::none(), "jobs").unwrap();
    let metadata = Metadata::new().with("_max_claim_count", 1).unwrap().with("_dead_letter_queue", "dead").unwrap();
    jobs.create(metadata).unwrap();
    post(&jobs, "worn");
    post(&jobs, "fresh");
    jobs.claim(options()).unwrap().unwrap().release().unwrap();
    // The first attempt moves the worn-out message, which uses up the limit of one.
    assert_eq!(body_of(jobs.claim_wait(options(), LONG)), b"fresh");
    assert_eq!(engine.queue(Project::none(), "dead").unwrap().stats().unwrap().total(), 1);
}

#[test]
fn waiters_and_posters_side_by_side_leave_nothing_behind() {
    let (engine, _) = engine();
    let jobs = jobs(&engine);
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let jobs = jobs.clone();
            thread::spawn(move || {
                let mut done = 0;
                while let Some(claim) = jobs.claim_wait(options(), LONG).unwrap() {
                    claim.delete_all().unwrap();
                    if claim.messages()[0].body().as_bytes() == b"stop" {
                        return done;
                    }
                    done += 1;
                }
                done
            })
        })
        .collect();
    let posters: Vec<_> = (0..2)
        .map(|_| {
            let jobs = jobs.clone();
            thread::spawn(move || (0..500).for_each(|_| post(&jobs, "work")))
        })
        .collect();
    posters.into_iter().for_each(|poster| poster.join().unwrap());
    (0..4).for_each(|_| post(&jobs, "stop"));
    assert_eq!(workers.into_iter().map(joined).sum::<u32>(), 1_000);
    assert_eq!(jobs.stats().unwrap().total(), 0);
}

#[test]
fn a_renewal_wakes_no_waiter_and_a_release_as_many_as_it_frees() {
    const WAITERS: usize = 40;
    let clock = WatchedClock::at(Timestamp::from_millis(1_000_000));
    let config = Config::new().disk(Arc::new(SimulatedDisk::new())).clock(clock.clone()).background(false);
    let engine = config.open("/store").unwrap();
    let jobs = jobs(&engine);
    post(&jobs, "one");
    post(&jobs, "two");
    let held = jobs.claim(options().limit(2)).unwrap().unwrap();
    let waiters: Vec<_> = (0..WAITERS).map(|_| waiter(&engine, &jobs, LONG)).collect();
    // Every waiter that checks the queue reads the two clocks once.
    let reads = || clock.readings() / 2;
    // All waiters have checked the queue when the clock is not read any more.
    let settled = || {
        let mut last = (reads(), Instant::now());
        while last.1.elapsed() < Duration::from_millis(200) {
            thread::yield_now();
            let now = reads();
            if now != last.0 {
                last = (now, Instant::now());
            }
        }
        last.0
    };
    let before = settled();
    (0..10).for_each(|_| held.renew(Duration::from_secs(600), Duration::ZERO).unwrap());
    let renewed = settled();
    assert!(renewed - before <= 10 * 4, "{} reads for ten renewals", renewed - before);
    held.release().unwrap();
    let released = settled();
    // Two waiters take a message each, and each wakes one waiter as it leaves, which checks the queue and sleeps again.
    assert!(released - renewed <= 60, "{} reads for one release", released - renewed);
    assert_eq!(engine.status().waiting(), WAITERS - 2);
    engine.close().unwrap();
    let claimed = waiters.into_iter().map(joined);
    assert_eq!(claimed.flatten().count(), 2);
}

#[test]
fn a_claim_that_ends_earlier_than_it_was_to_is_not_missed() {
    let (engine, clock) = engine();
    let jobs = jobs(&engine);
    post(&jobs, "work");
    let held = jobs.claim(options()).unwrap().unwrap();
    held.renew(Duration::from_secs(5_000), Duration::ZERO).unwrap();
    let waiter = waiter(&engine, &jobs, LONG);
    held.renew(Duration::from_secs(10), Duration::ZERO).unwrap();
    clock.advance(Duration::from_secs(10));
    assert_eq!(body_of(joined(waiter)), b"work");
}

/// Posts when the waiter reads the clock for the `nth` time, or when it is asleep if it never does; whether it did.
fn posted_at_reading(nth: u64) -> bool {
    let (due, on_due) = mpsc::channel::<()>();
    let (made, on_made) = mpsc::channel::<()>();
    let (now, on_made) = (due.clone(), Mutex::new(on_made));
    // A post that has to wait for the waiter's lock happens a little later.
    let clock = WatchedClock::at(Timestamp::from_millis(1_000_000));
    clock.on_interrupt(move || {
        // Once it has posted, the poster listens no more.
        let _ = now.send(());
        let _ = on_made.lock().unwrap().recv_timeout(Duration::from_millis(30));
    });
    let config = Config::new().disk(Arc::new(SimulatedDisk::new())).clock(clock.clone()).background(false);
    let engine = config.open("/store").unwrap();
    let jobs = jobs(&engine);
    let poster = thread::spawn({
        let jobs = jobs.clone();
        move || {
            on_due.recv().unwrap();
            post(&jobs, "work");
            let _ = made.send(());
        }
    });
    let waiter = thread::spawn(move || {
        interrupt_at(nth);
        (jobs.claim_wait(options(), LONG), was_interrupted())
    });
    // A thread that does not read the clock any more is asleep or has ended.
    let mut last = (0, Instant::now());
    while last.1.elapsed() < Duration::from_millis(100) && !waiter.is_finished() {
        thread::yield_now();
        let now = clock.readings();
        if now != last.0 {
            last = (now, Instant::now());
        }
    }
    // No second post happens, because the poster already has its signal.
    let _ = due.send(());
    let (claimed, was_read) = joined(waiter);
    assert_eq!(body_of(claimed), b"work", "posted at reading {nth}");
    joined(poster);
    was_read
}

#[test]
fn a_post_at_any_instant_between_the_check_and_the_sleep_is_not_missed() {
    let reached = (1..100).take_while(|nth| posted_at_reading(*nth)).count();
    assert!((4..99).contains(&reached), "{reached} readings");
}

/// Each jump of a [`ManualClock`](zaqar_sled::ManualClock) wakes housekeeping, and here it has to wake on its own.
#[test]
fn dead_letters_in_a_queue_that_a_claim_made_are_collected_when_they_expire() {
    let clock = Quick::new(100);
    let engine = Config::new().disk(Arc::new(SimulatedDisk::new())).clock(clock).open("/store").unwrap();
    let jobs = engine.queue(Project::none(), "jobs").unwrap();
    let dead_letters =
        r#"{"_max_claim_count": 1, "_dead_letter_queue": "dead", "_dead_letter_queue_messages_ttl": 60}"#;
    jobs.create(Metadata::from_json(dead_letters).unwrap()).unwrap();
    let long = Duration::from_secs(1_000_000);
    jobs.post(ClientId::random(), &[NewMessage::new("worn").ttl(long).delay(Duration::ZERO)]).unwrap();
    let claim = || jobs.claim(ClaimOptions::new().ttl(long)).unwrap();
    claim().unwrap().release().unwrap();
    assert!(claim().is_none());
    // No call uses that queue any more.
    let started = Instant::now();
    while engine.status().messages() > 0 {
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "the dead letter was not collected: {:?}",
            engine.status()
        );
        thread::yield_now();
    }
}

/// Two waiters; the first to get the message never gives it back. The other one knows nothing of the lease.
fn second_gets_it_when_the_lease_ends(jobs: &Queue, waiting: impl Fn() -> usize) {
    let waiters = [0, 1].map(|before| {
        let jobs = jobs.clone();
        let waiter = thread::spawn(move || jobs.claim_wait(options(), LONG));
        while waiting() == before {
            thread::yield_now();
        }
        waiter
    });
    post(jobs, "work");
    for waiter in waiters {
        assert_eq!(body_of(joined(waiter)), b"work");
    }
}

#[test]
fn the_end_of_a_lease_wakes_a_waiter_that_does_not_know_of_it() {
    let engine = Config::new().disk(Arc::new(SimulatedDisk::new())).clock(Quick::new(100)).open("/store").unwrap();
    second_gets_it_when_the_lease_ends(&jobs(&engine), || engine.status().waiting());
}

#[test]
fn the_end_of_a_lease_in_a_pool_wakes_a_waiter_that_does_not_know_of_it() {
    let config = Config::new().disk(Arc::new(SimulatedDisk::new())).clock(Quick::new(100));
    let driver = config.open_pooled("/control").unwrap();
    driver.pools().create(&PoolName::new("one").unwrap(), &NewPool::new("sled:/one".parse().unwrap())).unwrap();
    let jobs = driver.queue(Project::none(), "jobs").unwrap();
    jobs.create(Metadata::new()).unwrap();
    second_gets_it_when_the_lease_ends(&jobs, || driver.status().control().waiting());
}
