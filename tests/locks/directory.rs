//! While one queue is locked for long, by a long listing or a slow page, calls on other queues continue: no thread
//! waits for a queue while it holds the directory.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use zaqar_sled::{
    ClaimOptions, Config, DataDriver, Metadata, NewMessage, NewPool, PoolName, PooledDriver, Project, QueueListOptions,
    SimulatedDisk,
};

use crate::clock::{TickingClock, WatchedClock, interrupt_at};
use crate::values::{ALICE, START, name_of as name};

/// A thread that needs longer than this is stuck.
const STUCK: Duration = Duration::from_secs(60);

/// A driver of a kind, with the queues `slow` and `worn`, whose dead letters go to `slow`, and its clock.
fn scene(pooled: bool) -> (Arc<dyn DataDriver>, Arc<WatchedClock<TickingClock>>) {
    let clock = WatchedClock::around(TickingClock::new(START, Duration::from_millis(1)));
    let config = Config::new().disk(Arc::new(SimulatedDisk::new())).clock(clock.clone()).background(false);
    let driver: Arc<dyn DataDriver> = if pooled {
        let driver: PooledDriver = config.open_pooled("/control").unwrap();
        let pool = NewPool::new("sled:/one".parse().unwrap());
        driver.pools().create(&PoolName::new("one").unwrap(), &pool).unwrap();
        Arc::new(driver)
    } else {
        Arc::new(config.open("/store").unwrap())
    };
    let project = Project::none();
    let worn = Metadata::from_json(r#"{"_max_claim_count": 1, "_dead_letter_queue": "slow"}"#).unwrap();
    for (queue, metadata) in [("slow", Metadata::new()), ("worn", worn)] {
        driver.queues().create(&project, &name(queue), &metadata).unwrap();
        let message = NewMessage::new("x").ttl(Duration::from_secs(3600));
        driver.messages().post(&project, &name(queue), ALICE, &[message]).unwrap();
    }
    let options = ClaimOptions::new().ttl(Duration::from_secs(60));
    let claim = driver.claims().create(&project, &name("worn"), &options).unwrap().expect("a message waits");
    driver.claims().delete(&project, &name("worn"), &claim.id()).unwrap();
    (driver, clock)
}

/// Stops a thread that holds the lock of `slow`, lets `wanting` wait for that queue, and asserts that other calls
/// continue.
fn others_are_served_while(pooled: bool, wanting: fn(&dyn DataDriver)) {
    let (driver, clock) = scene(pooled);
    let (stopped, on_stop) = mpsc::channel();
    let (go, on_go) = mpsc::channel::<()>();
    let on_go = std::sync::Mutex::new(on_go);
    clock.on_interrupt(move || {
        stopped.send(()).unwrap();
        // Until the test drops the other end.
        let _ = on_go.lock().unwrap().recv();
    });
    thread::scope(|scope| {
        scope.spawn(|| {
            // The clock is first read when the queue is locked.
            interrupt_at(1);
            // In a pooled driver the queue may be gone for callers before its side in the pool is.
            let stats = driver.queues().stats(&Project::none(), &name("slow"));
            assert!(stats.is_ok() || stats.is_err_and(|error| error.is_not_found()));
        });
        on_stop.recv_timeout(STUCK).expect("the queue is locked");
        let (began, on_begin) = mpsc::channel();
        let driver = &*driver;
        let wanted = scope.spawn(move || {
            began.send(()).unwrap();
            wanting(driver);
        });
        on_begin.recv_timeout(STUCK).unwrap();
        let (served, on_served) = mpsc::channel();
        scope.spawn(move || {
            // Gives the thread time to reach the queue's lock.
            thread::sleep(Duration::from_millis(20));
            serve(driver);
            served.send(()).unwrap();
        });
        let outcome = on_served.recv_timeout(Duration::from_secs(20));
        drop(go);
        assert!(outcome.is_ok(), "calls on other queues waited for one");
        wanted.join().unwrap();
    });
}

/// Calls that do not use the queue `slow`.
fn serve(driver: &dyn DataDriver) {
    let project = Project::none();
    driver.queues().create(&project, &name("other"), &Metadata::new()).unwrap();
    let message = NewMessage::new("x").ttl(Duration::from_secs(3600));
    driver.messages().post(&project, &name("other"), ALICE, &[message]).unwrap();
    assert_eq!(driver.messages().pop(&project, &name("other"), 1).unwrap().len(), 1);
    driver.queues().delete(&project, &name("other")).unwrap();
    let found = driver.queues().list(&project, &QueueListOptions::new()).unwrap();
    assert!(found.items.iter().any(|entry| entry.name().as_str() == "worn"));
    assert!(driver.queues().count(&project).unwrap() >= 1);
}

#[test]
fn a_queue_that_is_deleted() {
    for pooled in [false, true] {
        others_are_served_while(pooled, |driver| driver.queues().delete(&Project::none(), &name("slow")).unwrap());
    }
}

#[test]
fn a_listing_with_metadata() {
    for pooled in [false, true] {
        others_are_served_while(pooled, |driver| {
            let listed = driver.queues().list(&Project::none(), &QueueListOptions::new().detailed(true)).unwrap();
            assert_eq!(listed.items[0].metadata().map(Metadata::to_json).as_deref(), Some("{}"));
        });
    }
}

#[test]
fn a_queue_that_is_made_again() {
    for pooled in [false, true] {
        others_are_served_while(pooled, |driver| {
            assert!(!driver.queues().create(&Project::none(), &name("slow"), &Metadata::new()).unwrap());
        });
    }
}

#[test]
fn a_claim_that_moves_to_it() {
    others_are_served_while(false, |driver| {
        let options = ClaimOptions::new().ttl(Duration::from_secs(60));
        assert!(driver.claims().create(&Project::none(), &name("worn"), &options).unwrap().is_none());
    });
}
