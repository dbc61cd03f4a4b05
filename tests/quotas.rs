//! Quotas of projects beside threads and time: no posts exceed one together, no room is missed, and no refusal counts what
//! has expired. The clock is moved by hand where time matters.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the way to say what is wrong")]

#[path = "support/waits.rs"]
mod waits;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use zaqar_sled::{
    ClaimOptions, ClientId, Config, Durability, Engine, Error, ExtendedDriver, Metadata, NewMessage, NewPool, PoolName,
    Project, ProjectQuota, ProjectUsage, Queue, QueueSettings, SimulatedDisk,
};

use waits::{LONG, Quick, assert_posted, engine, joined, of, poster};

const ONE: Duration = Duration::from_secs(1);

fn shop() -> Project {
    Project::named("shop").unwrap()
}

fn created(engine: &Engine, name: &str) -> Queue {
    let queue = engine.queue(shop(), name).unwrap();
    queue.create(Metadata::new()).unwrap();
    queue
}

fn limit(driver: &dyn ExtendedDriver, quota: ProjectQuota) {
    driver.projects().set_quota(&shop(), &quota).unwrap();
}

fn usage(driver: &dyn ExtendedDriver) -> ProjectUsage {
    driver.projects().usage(&shop()).unwrap()
}

fn of_messages(messages: u64) -> ProjectQuota {
    ProjectQuota::new().max_messages(messages)
}

fn buffered(config: Config) -> Engine {
    config.disk(Arc::new(SimulatedDisk::new())).durability(Durability::Buffered).open("/store").unwrap()
}

/// The messages in the queues, counted one by one.
fn total(queues: &[Queue]) -> u64 {
    queues.iter().map(|queue| queue.stats().unwrap().total()).sum()
}

/// Posts to these queues in turn, one message, several, and a batch, until not one more fits; returns how many.
fn fill(engine: &Engine, queues: &[Queue], first: usize) -> u64 {
    let (client, mut posted) = (ClientId::random(), 0);
    for round in 0.. {
        let (one, other) = (&queues[(first + round) % queues.len()], &queues[(first + round + 1) % queues.len()]);
        let count = [1, 3, 2][round % 3];
        let outcome = if count == 2 {
            let mut batch = engine.batch();
            batch.post(one, client, of("a")).post(other, client, of("b"));
            batch.commit().map(drop)
        } else {
            one.post(client, &vec![NewMessage::new("job"); count]).map(drop)
        };
        match outcome {
            Ok(()) => posted += count as u64,
            Err(Error::ProjectIsFull { .. }) if count == 1 => return posted,
            Err(error) => assert!(matches!(error, Error::ProjectIsFull { .. }), "{error}"),
        }
    }
    posted
}

#[test]
fn threads_that_post_to_many_queues_fill_a_project_exactly() {
    const MOST: u64 = 1_000;
    let engine = buffered(Config::new());
    let queues: Vec<Queue> = (0..4).map(|number| created(&engine, &format!("jobs-{number}"))).collect();
    limit(&engine, of_messages(MOST));
    let done = Arc::new(AtomicBool::new(false));
    let posters = (0..4_usize).map(|first| {
        let (engine, queues) = (engine.clone(), queues.clone());
        thread::spawn(move || fill(&engine, &queues, first))
    });
    let posters: Vec<_> = posters.collect();
    let watcher = {
        let (engine, done) = (engine.clone(), done.clone());
        thread::spawn(move || {
            while !done.load(Ordering::SeqCst) {
                assert!(usage(&engine).messages() <= MOST);
            }
        })
    };
    let posted: u64 = posters.into_iter().map(joined).sum();
    done.store(true, Ordering::SeqCst);
    joined(watcher);
    assert_eq!((posted, usage(&engine).messages(), total(&queues)), (MOST, MOST, MOST));
}

#[test]
fn posters_and_takers_of_different_queues_never_miss_each_other_and_never_exceed_the_quota() {
    const EACH: u64 = 300;
    let engine = buffered(Config::new());
    let queues: Vec<Queue> = (0..3).map(|number| created(&engine, &format!("jobs-{number}"))).collect();
    limit(&engine, of_messages(2));
    let posters = queues.iter().cloned().map(|queue| {
        let engine = engine.clone();
        thread::spawn(move || {
            for _ in 0..EACH {
                queue.post_wait(ClientId::random(), &of("job"), LONG).unwrap();
                assert!(usage(&engine).messages() <= 2);
            }
        })
    });
    let takers = queues.iter().cloned().map(|queue| {
        thread::spawn(move || {
            for _ in 0..EACH {
                let claim = queue.claim_wait(ClaimOptions::new().limit(1), LONG).unwrap().unwrap();
                claim.delete(&claim.messages()[0]).unwrap();
                claim.release().unwrap();
            }
        })
    });
    let threads: Vec<_> = posters.chain(takers).collect();
    threads.into_iter().for_each(joined);
    assert_eq!((usage(&engine).messages(), total(&queues)), (0, 0));
}

#[test]
fn threads_that_create_queues_make_exactly_as_many_as_there_may_be() {
    let engine = buffered(Config::new());
    limit(&engine, ProjectQuota::new().max_queues(50));
    let makers = (0..4).map(|thread| {
        let engine = engine.clone();
        thread::spawn(move || {
            let made = (0..50).filter(|number| {
                let made = engine.queue(shop(), format!("{thread}-{number}")).unwrap().create(Metadata::new());
                assert!(made.is_ok() || matches!(made, Err(Error::ProjectIsFull { what: "queues", limit: 50, .. })));
                made.is_ok()
            });
            made.count()
        })
    });
    let makers: Vec<_> = makers.collect();
    assert_eq!(makers.into_iter().map(joined).sum::<usize>(), 50);
    assert_eq!((usage(&engine).queues(), engine.queues().count(&shop()).unwrap()), (50, 50));
}

#[test]
fn a_quota_that_is_set_beside_posts_counts_every_one_of_them() {
    for round in 0..40 {
        let engine = buffered(Config::new());
        if round % 2 == 0 {
            // The posts to such a project are not decided one after another.
            limit(&engine, ProjectQuota::new().max_queues(9));
        }
        let queues: Vec<Queue> = (0..3).map(|number| created(&engine, &format!("jobs-{number}"))).collect();
        let posters = queues.iter().cloned().map(|queue| {
            thread::spawn(move || {
                // Some are taken again meanwhile.
                for number in 0..60 {
                    match queue.post(ClientId::random(), &of("job")) {
                        Ok(_) if number % 3 == 0 => drop(queue.pop(1).unwrap()),
                        Ok(_) => {}
                        Err(error) => return assert!(matches!(error, Error::ProjectIsFull { limit: 50, .. })),
                    }
                }
            })
        });
        let posters: Vec<_> = posters.collect();
        limit(&engine, of_messages(50));
        let most = usage(&engine).messages().max(50);
        posters.into_iter().for_each(joined);
        let counted = usage(&engine).messages();
        assert!(counted <= most, "{counted} are more than there were when the quota was set");
        assert_eq!(counted, total(&queues));
        let room = 50_u64.saturating_sub(counted);
        assert_eq!(fill(&engine, &queues, 0), room);
    }
}

/// A queue of a project for two messages that another queue has, and that other queue.
fn full(engine: &Engine) -> (Queue, Queue) {
    let (jobs, other) = (created(engine, "jobs"), created(engine, "other"));
    limit(engine, of_messages(2));
    other.post(ClientId::random(), &vec![NewMessage::new("first"); 2]).unwrap();
    (jobs, other)
}

#[test]
fn everything_that_removes_a_message_of_another_queue_makes_room() {
    let removals: [fn(&Engine, &Queue); 5] = [
        |_, other| drop(other.pop(1).unwrap()),
        |_, other| assert_eq!(other.purge().unwrap(), 2),
        |_, other| other.delete().unwrap(),
        |engine, other| {
            let oldest = other.first(zaqar_sled::Sort::Oldest).unwrap();
            let mut batch = engine.batch();
            batch.delete_messages(other, [oldest.id()]);
            batch.commit().unwrap();
        },
        |engine, _| limit(engine, of_messages(3)),
    ];
    for remove in removals {
        let (engine, _) = engine();
        let (jobs, other) = full(&engine);
        let poster = poster(&engine, &jobs, LONG);
        remove(&engine, &other);
        assert_posted(&jobs, poster);
        assert_eq!(engine.status().waiting(), 0);
    }
}

#[test]
fn the_end_of_a_quota_ends_the_wait_and_so_does_its_time() {
    let (engine, clock) = engine();
    let (jobs, _) = full(&engine);
    let timed = poster(&engine, &jobs, ONE * 60);
    clock.advance(ONE * 59);
    assert!(!timed.is_finished());
    clock.advance(ONE);
    assert!(matches!(joined(timed), Err(Error::ProjectIsFull { limit: 2, .. })));
    let hopeless = jobs.post_wait(ClientId::random(), &vec![NewMessage::new("x"); 3], LONG);
    assert!(matches!(hopeless, Err(Error::ProjectIsFull { .. })), "not even an empty project has room");
    let poster = poster(&engine, &jobs, LONG);
    limit(&engine, ProjectQuota::new());
    assert_posted(&jobs, poster);
}

#[test]
fn time_makes_room_in_another_queue() {
    let (engine, clock) = engine();
    let (jobs, other) = full(&engine);
    other.purge().unwrap();
    other.post(ClientId::random(), &[NewMessage::new("brief").ttl(ONE * 10), NewMessage::new("long")]).unwrap();
    let poster = poster(&engine, &jobs, LONG);
    clock.advance(ONE * 9);
    assert!(!poster.is_finished());
    clock.advance(ONE);
    assert_posted(&jobs, poster);
}

#[test]
fn a_call_knows_by_itself_when_a_message_of_another_queue_expires() {
    // Nothing collects garbage, and the clock wakes nobody.
    let disk = Arc::new(SimulatedDisk::new());
    let engine = Config::new().disk(disk).clock(Quick::new(100)).background(false).open("/store").unwrap();
    let (jobs, other) = (created(&engine, "jobs"), created(&engine, "other"));
    limit(&engine, of_messages(1));
    other.post(ClientId::random(), &of("brief").map(|message| message.ttl(ONE * 20))).unwrap();
    let poster = poster(&engine, &jobs, LONG);
    assert_posted(&jobs, poster);
}

#[test]
fn a_queue_that_comes_back_from_the_archive_counts() {
    let disk = Arc::new(SimulatedDisk::new());
    let engine = Config::new().disk(disk).background(false).queue_memory(0).open("/store").unwrap();
    let queues: Vec<Queue> = (0..3).map(|number| created(&engine, &format!("jobs-{number}"))).collect();
    limit(&engine, ProjectQuota::new().max_queues(4).max_messages(2));
    for _ in 0..3 {
        queues.iter().for_each(|queue| assert!(queue.pop(1).unwrap().is_empty()));
        engine.snapshot().unwrap();
        assert_eq!((engine.status().archived_queues(), usage(&engine).queues()), (3, 3));
        assert_eq!(fill(&engine, &queues, 0), 2);
        queues.iter().for_each(|queue| assert!(queue.purge().is_ok()));
    }
    created(&engine, "last");
    engine.snapshot().unwrap();
    queues[0].delete().unwrap();
    engine.snapshot().unwrap();
    created(&engine, "another");
    assert!(engine.queue(shop(), "more").unwrap().create(Metadata::new()).unwrap_err().is_full());
}

#[test]
fn a_full_disk_that_refuses_a_post_takes_no_room_from_the_project() {
    let disk = Arc::new(SimulatedDisk::new());
    let config = Config::new().disk(disk.clone()).background(false).segment_size(32 << 10);
    let engine = config.open("/store").unwrap();
    let (jobs, other) = (created(&engine, "jobs"), created(&engine, "other"));
    limit(&engine, ProjectQuota::new().max_bytes(1 << 20));
    disk.set_capacity(Some(0));
    let refused = loop {
        if let Err(error) = jobs.post(ClientId::random(), &[NewMessage::new("x".repeat(4_000))]) {
            break error;
        }
    };
    assert_eq!(refused.name(), "StorageFull");
    disk.set_capacity(None);
    engine.step().unwrap();
    jobs.purge().unwrap();
    let all = (1 << 20) - 64;
    other.post(ClientId::random(), &[NewMessage::new("x".repeat(all))]).unwrap();
    assert_eq!((usage(&engine).messages(), usage(&engine).bytes()), (1, 1 << 20));
}

#[test]
fn room_in_one_pool_is_told_to_the_posts_that_wait_for_another() {
    let disk = Arc::new(SimulatedDisk::new());
    let driver = Config::new().disk(disk).background(false).open_pooled("/control").unwrap();
    for name in ["one", "two"] {
        let pool = NewPool::new(format!("sled:/pools/{name}").parse().unwrap()).weight(i64::from(name == "one"));
        driver.pools().create(&PoolName::new(name).unwrap(), &pool).unwrap();
    }
    let [jobs, other] = ["jobs", "other"].map(|name| driver.queue(shop(), name).unwrap());
    jobs.create(QueueSettings::new()).unwrap();
    other.create(QueueSettings::new()).unwrap();
    driver.move_queue(&shop(), other.name(), &PoolName::new("two").unwrap()).unwrap();
    limit(&driver, of_messages(1));
    other.post(ClientId::random(), &of("first")).unwrap();
    let late = {
        let jobs = jobs.clone();
        thread::spawn(move || jobs.post_wait(ClientId::random(), &of("late"), LONG))
    };
    while driver.status().control().waiting() == 0 {
        thread::yield_now();
    }
    assert_eq!(other.pop(1).unwrap().len(), 1);
    assert_posted(&jobs, late);
    assert_eq!(usage(&driver).messages(), 1);
}
