//! Posts and creations beside each other in a project with a quota: one decision each, that misses no removal.

use zaqar_sled::{
    ClientId, Error, ExtendedDriver, Metadata, NewMessage, NewPool, PoolName, PooledDriver, Project, ProjectQuota,
    Queue, Result,
};

use crate::program::{LONG, World, check, config, post, spawn};

fn limit(driver: &dyn ExtendedDriver, quota: ProjectQuota) {
    driver.projects().set_quota(&Project::none(), &quota).unwrap();
}

fn held(driver: &dyn ExtendedDriver) -> u64 {
    driver.projects().usage(&Project::none()).unwrap().messages()
}

/// A world with a second queue, and room for so many messages in both.
fn limited(messages: u64) -> (World, Queue) {
    let world = World::plain();
    let other = world.engine.queue(Project::none(), "other").unwrap();
    other.create(Metadata::new()).unwrap();
    limit(&world.engine, ProjectQuota::new().max_messages(messages));
    (world, other)
}

/// Whether it is done; if not, the project is full.
fn is_done<T>(outcome: Result<T>) -> bool {
    match outcome {
        Ok(_) => true,
        Err(Error::ProjectIsFull { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

fn posting(queue: &Queue, body: &'static str) -> shuttle::thread::JoinHandle<bool> {
    let queue = queue.clone();
    spawn(move || is_done(post(&queue, &[body])))
}

#[test]
fn one_of_two_posts_gets_the_last_place() {
    check("quotas, two posts", || {
        let (world, other) = limited(2);
        post(&other, &["first"]).unwrap();
        let posts = [posting(&world.jobs, "a"), posting(&other, "b")].map(|one| one.join().unwrap());
        assert_eq!((posts.iter().filter(|done| **done).count(), held(&world.engine)), (1, 2));
        world.engine.close().unwrap();
    });
}

#[test]
fn one_of_two_batches_gets_the_last_place() {
    check("quotas, two batches", || {
        let (world, other) = limited(2);
        post(&other, &["first"]).unwrap();
        let posts = [&world.jobs, &other].map(|queue| {
            let mut batch = world.engine.batch();
            batch.post(queue, ClientId::from_bytes([1; 16]), [NewMessage::new("a").ttl(LONG)]);
            spawn(move || is_done(batch.commit()))
        });
        let posts = posts.map(|one| one.join().unwrap());
        assert_eq!((posts.iter().filter(|done| **done).count(), held(&world.engine)), (1, 2));
        world.engine.close().unwrap();
    });
}

#[test]
fn a_removal_in_another_queue_wakes_the_post_that_waits() {
    check("quotas, a waiter", || {
        let (world, other) = limited(1);
        post(&other, &["first"]).unwrap();
        let poster = {
            let jobs = world.jobs.clone();
            let message = NewMessage::new("late").ttl(LONG).delay(std::time::Duration::ZERO);
            spawn(move || drop(jobs.post_wait(ClientId::from_bytes([1; 16]), &[message], LONG).unwrap()))
        };
        assert_eq!(other.pop(1).unwrap().len(), 1);
        poster.join().unwrap();
        assert_eq!(held(&world.engine), 1);
        world.engine.close().unwrap();
    });
}

#[test]
fn a_quota_that_is_set_beside_posts_and_removals_counts_them_all() {
    check("quotas, set", || {
        let (world, other) = limited(9);
        limit(&world.engine, ProjectQuota::new());
        post(&other, &["first"]).unwrap();
        let poster = posting(&world.jobs, "a");
        let taker = {
            let other = other.clone();
            spawn(move || drop(other.pop(1).unwrap()))
        };
        limit(&world.engine, ProjectQuota::new().max_messages(1));
        poster.join().unwrap();
        taker.join().unwrap();
        let total = world.jobs.stats().unwrap().total() + other.stats().unwrap().total();
        assert_eq!(held(&world.engine), total);
        assert_eq!(is_done(post(&other, &["b"])), total == 0);
        world.engine.close().unwrap();
    });
}

#[test]
fn a_limit_of_messages_that_is_set_beside_posts_holds_when_the_call_returns() {
    check("quotas, messages too", || {
        let (world, other) = limited(9);
        limit(&world.engine, ProjectQuota::new());
        limit(&world.engine, ProjectQuota::new().max_queues(9));
        let posters = [posting(&world.jobs, "a"), posting(&other, "b")];
        limit(&world.engine, ProjectQuota::new().max_messages(1));
        let most = held(&world.engine).max(1);
        for poster in posters {
            poster.join().unwrap();
        }
        assert!(held(&world.engine) <= most);
        world.engine.close().unwrap();
    });
}

#[test]
fn one_of_two_creations_gets_the_last_place_and_a_deletion_makes_one() {
    check("quotas, two creations", || {
        let (world, other) = limited(9);
        limit(&world.engine, ProjectQuota::new().max_queues(3));
        let creations = ["one", "two"].map(|name| {
            let queue = world.engine.queue(Project::none(), name).unwrap();
            spawn(move || is_done(queue.create(Metadata::new())))
        });
        let made = creations.map(|one| one.join().unwrap());
        assert_eq!(made.iter().filter(|made| **made).count(), 1);
        let deletion = spawn(move || other.delete().unwrap());
        let third = world.engine.queue(Project::none(), "third").unwrap();
        let early = is_done(third.create(Metadata::new()));
        deletion.join().unwrap();
        assert!(early || third.create(Metadata::new()).unwrap());
        assert_eq!(world.engine.projects().usage(&Project::none()).unwrap().queues(), 3);
        world.engine.close().unwrap();
    });
}

#[test]
fn one_of_two_posts_to_different_pools_gets_the_last_place() {
    check("quotas, two pools", || {
        let driver: PooledDriver = config(zaqar_sled::disk::SimulatedDisk::new()).open_pooled("/store").unwrap();
        let queues = ["one", "two"].map(|name| {
            let pool = NewPool::new(format!("sled:/{name}").parse().unwrap());
            driver.pools().create(&PoolName::new(name).unwrap(), &pool).unwrap();
            let queue = driver.queue(Project::none(), name).unwrap();
            queue.create(Metadata::new()).unwrap();
            driver.move_queue(&Project::none(), queue.name(), &PoolName::new(name).unwrap()).unwrap();
            queue
        });
        limit(&driver, ProjectQuota::new().max_messages(1));
        let posts = [posting(&queues[0], "a"), posting(&queues[1], "b")].map(|one| one.join().unwrap());
        assert_eq!((posts.iter().filter(|done| **done).count(), held(&driver)), (1, 1));
        driver.close().unwrap();
    });
}
