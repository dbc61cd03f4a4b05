//! Posts that wait for room in a full queue: each event that ends a wait, and that no room is missed. The clock is moved
//! by hand, so a call that polls, or that sleeps on real time, hangs or answers too early.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the way to say what is wrong")]

#[path = "support/waits.rs"]
mod waits;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use zaqar_sled::{
    CancelToken, ClaimOptions, ClientId, Config, Engine, Error, NewMessage, NewPool, PoolName, Project, Queue,
    QueueSettings, SimulatedDisk,
};

use waits::{LONG, Quick, assert_posted, engine, joined, of, poster, waiting};

const ONE: Duration = Duration::from_secs(1);

/// A queue for so many messages, full of them.
fn full(engine: &Engine, messages: u64) -> Queue {
    let queue = engine.queue(Project::none(), "jobs").unwrap();
    queue.create(QueueSettings::new().max_messages(messages)).unwrap();
    (0..messages).for_each(|number| drop(queue.post(ClientId::random(), &of(&number.to_string())).unwrap()));
    queue
}

#[test]
fn everything_that_removes_a_message_makes_room() {
    let removals: [fn(&Queue); 5] = [
        |queue| drop(queue.pop(1).unwrap()),
        |queue| assert_eq!(queue.purge().unwrap(), 2),
        |queue| {
            let claim = queue.claim(ClaimOptions::new().limit(1)).unwrap().unwrap();
            claim.delete(&claim.messages()[0]).unwrap();
        },
        |queue| {
            let oldest = queue.first(zaqar_sled::Sort::Oldest).unwrap();
            queue.bulk_delete(&[oldest.id()]).unwrap();
        },
        |queue| {
            let claim = queue.claim(ClaimOptions::new().limit(1)).unwrap().unwrap();
            claim.release().unwrap();
            queue.set_metadata(&QueueSettings::new().max_messages(2).dead_letters("dead", 1).into()).unwrap();
            assert!(queue.claim(ClaimOptions::new().limit(1)).unwrap().is_none(), "it is moved");
        },
    ];
    for remove in removals {
        let (engine, _) = engine();
        let queue = full(&engine, 2);
        let poster = poster(&engine, &queue, LONG);
        remove(&queue);
        assert_posted(&queue, poster);
        assert_eq!(engine.status().waiting(), 0);
    }
}

#[test]
fn a_larger_bound_ends_the_wait_and_so_does_the_end_of_the_queue() {
    let (engine, _) = engine();
    let queue = full(&engine, 1);
    let first = poster(&engine, &queue, LONG);
    queue.set_metadata(&QueueSettings::new().max_messages(2).into()).unwrap();
    assert_posted(&queue, first);
    let second = poster(&engine, &queue, LONG);
    queue.delete().unwrap();
    assert!(joined(second).unwrap_err().is_not_found());
}

#[test]
fn time_makes_room() {
    let (engine, clock) = engine();
    let queue = full(&engine, 1);
    queue.purge().unwrap();
    queue.post(ClientId::random(), &of("brief").map(|message| message.ttl(ONE * 10))).unwrap();
    let poster = poster(&engine, &queue, LONG);
    clock.advance(ONE * 9);
    assert!(!poster.is_finished());
    clock.advance(ONE);
    assert_posted(&queue, poster);
}

#[test]
fn a_call_knows_by_itself_when_a_message_expires() {
    // Nothing collects garbage, and the clock wakes nobody.
    let disk = Arc::new(SimulatedDisk::new());
    let engine = Config::new().disk(disk).clock(Quick::new(100)).background(false).open("/store").unwrap();
    let queue = engine.queue(Project::none(), "jobs").unwrap();
    queue.create(QueueSettings::new().max_messages(1)).unwrap();
    queue.post(ClientId::random(), &of("brief").map(|message| message.ttl(ONE * 20))).unwrap();
    let poster = poster(&engine, &queue, LONG);
    assert_posted(&queue, poster);
}

#[test]
fn a_batch_that_exchanges_a_large_message_for_a_small_one_makes_room() {
    let (engine, _) = engine();
    let queue = engine.queue(Project::none(), "jobs").unwrap();
    queue.create(QueueSettings::new().max_bytes(1_000)).unwrap();
    let ids = queue.post(ClientId::random(), &of(&"x".repeat(900))).unwrap();
    let poster = poster(&engine, &queue, LONG);
    let mut batch = engine.batch();
    batch.delete_messages(&queue, ids).post(&queue, ClientId::random(), of("small"));
    batch.commit().unwrap();
    assert_posted(&queue, poster);
}

#[test]
fn a_post_that_no_empty_queue_could_hold_does_not_wait() {
    let (engine, _) = engine();
    let queue = full(&engine, 3);
    let post = |messages: &[NewMessage]| queue.post_wait(ClientId::random(), messages, LONG).unwrap_err();
    assert!(post(&vec![NewMessage::new("x"); 4]).is_full());
    queue.set_metadata(&QueueSettings::new().max_bytes(200).into()).unwrap();
    assert!(post(&of(&"x".repeat(137))).is_full());
    let with_header = [NewMessage::new("x".repeat(120)).header("name", "a value of some length")];
    assert!(post(&with_header).is_full());
}

#[test]
fn the_wait_ends_with_its_time_a_token_or_the_store() {
    let (engine, clock) = engine();
    let queue = full(&engine, 1);
    let timed = poster(&engine, &queue, ONE * 60);
    clock.advance(ONE * 59);
    assert!(!timed.is_finished());
    clock.advance(ONE);
    assert!(matches!(joined(timed), Err(Error::QueueIsFull { limit: 1, .. })));
    let at_once = queue.post_wait(ClientId::random(), &of("late"), Duration::ZERO);
    assert!(at_once.unwrap_err().is_full());

    let token = CancelToken::new();
    let cancelled = waiting(&engine, {
        let (queue, token) = (queue.clone(), token.clone());
        move || queue.post_wait_with(ClientId::random(), &of("late"), LONG, &token)
    });
    token.cancel();
    assert!(joined(cancelled).unwrap_err().is_full());
    let before = queue.post_wait_with(ClientId::random(), &of("late"), LONG, &token);
    assert!(before.unwrap_err().is_full());

    let closed = poster(&engine, &queue, LONG);
    engine.close().unwrap();
    assert!(joined(closed).unwrap_err().is_closed());
}

#[test]
fn posters_and_takers_of_a_small_queue_never_miss_each_other() {
    const EACH: u64 = 400;
    let engine = Config::new().disk(Arc::new(SimulatedDisk::new())).open("/store").unwrap();
    let queue = engine.queue(Project::none(), "jobs").unwrap();
    queue.create(QueueSettings::new().max_messages(3)).unwrap();
    let posters: Vec<_> = (0..3)
        .map(|_| {
            let queue = queue.clone();
            thread::spawn(move || {
                for _ in 0..EACH {
                    queue.post_wait(ClientId::random(), &of("job"), LONG).unwrap();
                    assert!(queue.stats().unwrap().total() <= 3);
                }
            })
        })
        .collect();
    let takers: Vec<_> = (0..2)
        .map(|_| {
            let queue = queue.clone();
            thread::spawn(move || {
                let mut taken = 0;
                while taken < 3 * EACH / 2 {
                    let claim = queue.claim_wait(ClaimOptions::new().limit(1), LONG).unwrap().unwrap();
                    claim.delete(&claim.messages()[0]).unwrap();
                    claim.release().unwrap();
                    taken += 1;
                }
            })
        })
        .collect();
    posters.into_iter().chain(takers).for_each(joined);
    assert_eq!(queue.stats().unwrap().total(), 0);
}

#[test]
fn room_in_a_pool_is_told_to_the_posts_that_wait_in_its_driver() {
    let disk = Arc::new(SimulatedDisk::new());
    let driver = Config::new().disk(disk).background(false).open_pooled("/control").unwrap();
    for name in ["one", "two"] {
        let pool = NewPool::new(format!("sled:/pools/{name}").parse().unwrap()).weight(i64::from(name == "one"));
        driver.pools().create(&PoolName::new(name).unwrap(), &pool).unwrap();
    }
    let queue = driver.queue(Project::none(), "jobs").unwrap();
    queue.create(QueueSettings::new().max_messages(1)).unwrap();
    queue.post(ClientId::random(), &of("first")).unwrap();
    for round in 0..2 {
        let late = {
            let (queue, before) = (queue.clone(), driver.status().control().waiting());
            let late = thread::spawn(move || queue.post_wait(ClientId::random(), &of("late"), LONG));
            while driver.status().control().waiting() == before {
                thread::yield_now();
            }
            late
        };
        if round == 1 {
            driver.move_queue(&Project::none(), queue.name(), &PoolName::new("two").unwrap()).unwrap();
        }
        assert_eq!(queue.pop(1).unwrap().len(), 1);
        assert_posted(&queue, late);
    }
}
