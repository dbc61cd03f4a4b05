//! A driver of two pools: data in several stores changes for all callers at one instant.

use shuttle::thread::JoinHandle;
use zaqar_sled::disk::SimulatedDisk;
use zaqar_sled::{Catalogue, ClaimOptions, Error, Metadata, NewPool, PoolName, PooledDriver, Pools, Project, Queue};

use crate::program::{LONG, check, config, post, spawn};

#[test]
fn a_deleted_queue_is_gone_for_every_call() {
    check("deleted", || {
        let driver = driver();
        let jobs = created(&driver, "jobs", Metadata::new());
        post(&jobs, &["a"]).unwrap();
        let deleting = {
            let jobs = jobs.clone();
            spawn(move || jobs.delete().unwrap())
        };
        let looking = look(&driver, &jobs, true);
        deleting.join().unwrap();
        looking.into_iter().for_each(|one| one.join().unwrap());
        driver.close().unwrap();
    });
}

#[test]
fn a_created_queue_is_there_for_every_call() {
    check("created", || {
        let driver = driver();
        let jobs = driver.queue(Project::none(), "jobs").unwrap();
        let creating = {
            let jobs = jobs.clone();
            spawn(move || assert!(jobs.create(Metadata::new()).unwrap()))
        };
        let looking = look(&driver, &jobs, false);
        creating.join().unwrap();
        looking.into_iter().for_each(|one| one.join().unwrap());
        driver.close().unwrap();
    });
}

#[test]
fn a_queue_is_deleted_and_created_again_without_its_messages() {
    check("again", || {
        let driver = driver();
        let jobs = created(&driver, "jobs", Metadata::new());
        post(&jobs, &["old"]).unwrap();
        let changing = {
            let jobs = jobs.clone();
            spawn(move || {
                jobs.delete().unwrap();
                assert!(jobs.create(Metadata::new()).unwrap());
            })
        };
        let posting = {
            let jobs = jobs.clone();
            spawn(move || match post(&jobs, &["new"]) {
                Ok(_) => true,
                Err(Error::QueueDoesNotExist { .. }) => false,
                Err(error) => panic!("{error}"),
            })
        };
        changing.join().unwrap();
        let posted = posting.join().unwrap();
        let total = jobs.stats().unwrap().total();
        assert!(total <= u64::from(posted), "{total} messages");
        settle(&driver);
        assert_eq!(jobs.stats().unwrap().total(), total);
        driver.close().unwrap();
    });
}

#[test]
fn a_dead_letter_reaches_the_other_pool_once() {
    check("dead letter", || {
        let driver = driver();
        let dead = created(&driver, "dead", Metadata::new());
        driver.move_queue(dead.project(), dead.name(), &pool("two")).unwrap();
        let jobs = created(&driver, "jobs", once());
        post(&jobs, &["a", "b"]).unwrap();
        let claim = |limit| ClaimOptions::new().ttl(LONG).limit(limit);
        jobs.claim(claim(2)).unwrap().unwrap().release().unwrap();
        // Both find the messages worn out; one of them moves each.
        let claiming = [0, 1].map(|_| {
            let jobs = jobs.clone();
            spawn(move || assert!(jobs.claim(claim(1)).unwrap().is_none()))
        });
        let relaying = {
            let driver = driver.clone();
            spawn(move || driver.step().unwrap())
        };
        claiming.into_iter().for_each(|one| one.join().unwrap());
        relaying.join().unwrap();
        settle(&driver);
        assert_eq!((jobs.stats().unwrap().total(), dead.stats().unwrap().total()), (0, 2));
        driver.close().unwrap();
    });
}

#[test]
fn a_move_takes_along_what_is_posted_meanwhile() {
    check("moved", || {
        let driver = driver();
        let jobs = created(&driver, "jobs", Metadata::new());
        post(&jobs, &["a"]).unwrap();
        let moving = {
            let (driver, jobs) = (driver.clone(), jobs.clone());
            spawn(move || driver.move_queue(jobs.project(), jobs.name(), &pool("two")).unwrap())
        };
        let posting = {
            let jobs = jobs.clone();
            spawn(move || match post(&jobs, &["b"]) {
                Ok(_) => 1,
                Err(error) if error.is_busy() => 0,
                Err(error) => panic!("{error}"),
            })
        };
        let popping = {
            let jobs = jobs.clone();
            spawn(move || match jobs.pop(1) {
                Ok(popped) => popped.len() as u64,
                Err(error) if error.is_busy() => 0,
                Err(error) => panic!("{error}"),
            })
        };
        moving.join().unwrap();
        let expected = 1 + posting.join().unwrap() - popping.join().unwrap();
        assert_eq!(jobs.stats().unwrap().total(), expected);
        settle(&driver);
        assert_eq!(jobs.stats().unwrap().total(), expected);
        assert_eq!(Catalogue::get(&driver, jobs.project(), jobs.name()).unwrap().pool(), &pool("two"));
        driver.close().unwrap();
    });
}

#[test]
fn a_move_and_a_deletion_leave_nothing_behind() {
    check("moved or deleted", || {
        let driver = driver();
        let jobs = created(&driver, "jobs", Metadata::new());
        post(&jobs, &["a"]).unwrap();
        let moving = {
            let (driver, jobs) = (driver.clone(), jobs.clone());
            spawn(move || match driver.move_queue(jobs.project(), jobs.name(), &pool("two")) {
                Ok(()) | Err(Error::QueueDoesNotExist { .. }) => {}
                // The deletion came after the look-up: the move has to be tried again.
                Err(error) => assert!(error.is_busy(), "{error}"),
            })
        };
        let deleted = match jobs.delete() {
            Ok(()) => true,
            Err(error) if error.is_busy() => false,
            Err(error) => panic!("{error}"),
        };
        moving.join().unwrap();
        assert_eq!(jobs.exists().unwrap(), !deleted);
        settle(&driver);
        assert!(jobs.create(Metadata::new()).unwrap() == deleted);
        assert_eq!(jobs.stats().unwrap().total(), u64::from(!deleted));
        driver.close().unwrap();
    });
}

/// Threads that each make all of several calls, beginning with another one. Once a call finds the queue in its final
/// state, deleted or created, every later call does.
fn look(driver: &PooledDriver, jobs: &Queue, gone_in_the_end: bool) -> [JoinHandle<()>; 4] {
    [0, 1, 2, 3].map(|first| {
        let (jobs, driver) = (jobs.clone(), driver.clone());
        spawn(move || {
            let mut has_ended = false;
            for look in 0..4 {
                let is_as_in_the_end = is_gone(&driver, &jobs, (first + look) % 4) == gone_in_the_end;
                assert!(is_as_in_the_end || !has_ended, "look {look} after one of kind {first}");
                has_ended = is_as_in_the_end;
            }
        })
    })
}

/// Whether one of several calls does not find a queue.
fn is_gone(driver: &PooledDriver, queue: &Queue, kind: u32) -> bool {
    match kind {
        0 => !queue.exists().unwrap(),
        1 => matches!(queue.stats(), Err(Error::QueueDoesNotExist { .. })),
        2 => matches!(queue.metadata(), Err(Error::QueueDoesNotExist { .. })),
        _ => !Catalogue::exists(driver, queue.project(), queue.name()).unwrap(),
    }
}

/// A driver with a pool for new queues and one more.
fn driver() -> PooledDriver {
    let driver = config(SimulatedDisk::new()).open_pooled("/control").unwrap();
    for (name, weight) in [("one", 1), ("two", 0)] {
        let place = format!("sled:/{name}").parse().unwrap();
        Pools::create(&driver, &pool(name), &NewPool::new(place).weight(weight)).unwrap();
    }
    driver
}

fn pool(name: &str) -> PoolName {
    PoolName::new(name).unwrap()
}

fn created(driver: &PooledDriver, name: &str, metadata: Metadata) -> Queue {
    let queue = driver.queue(Project::none(), name).unwrap();
    queue.create(metadata).unwrap();
    queue
}

/// A message may be claimed once; then it is moved to `dead`.
fn once() -> Metadata {
    Metadata::new().with("_max_claim_count", 1).unwrap().with("_dead_letter_queue", "dead").unwrap()
}

/// Delivers and removes everything.
fn settle(driver: &PooledDriver) {
    while driver.status().in_transit() > 0 || driver.status().leftovers() > 0 {
        driver.step().unwrap();
    }
}
