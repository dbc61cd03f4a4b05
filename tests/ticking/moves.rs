//! A queue moves from one store to another while its claims and messages end, at each reading of the clock: no message
//! is lost, no message stays claimed without a claim, and both stores open again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use zaqar_sled::{
    Catalogue, ClaimOptions, Config, Message, Metadata, NewMessage, NewPool, PoolName, PooledDriver, Pools, Project,
    Queue, SimulatedDisk,
};

use crate::clock::WatchedClock;
use crate::values::{ALICE, START, seconds};

fn open(disk: &SimulatedDisk, clock: &Arc<WatchedClock>) -> PooledDriver {
    let config = Config::new().disk(Arc::new(disk.clone())).clock(clock.clone()).background(false);
    config.open_pooled("/control").expect("all stores open")
}

/// A driver with pools `one` and `two` and the queue `orders` in the first.
fn start(disk: &SimulatedDisk, clock: &Arc<WatchedClock>) -> (PooledDriver, Queue) {
    let driver = open(disk, clock);
    for name in ["one", "two"] {
        let pool = NewPool::new(format!("sled:/{name}").parse().unwrap());
        Pools::create(&driver, &PoolName::new(name).unwrap(), &pool).unwrap();
    }
    let orders = orders(&driver);
    Catalogue::insert(&driver, orders.project(), orders.name(), &PoolName::new("one").unwrap()).unwrap();
    orders.create(Metadata::new()).unwrap();
    (driver, orders)
}

fn orders(driver: &PooledDriver) -> Queue {
    driver.queue(Project::none(), "orders").unwrap()
}

fn move_it(driver: &PooledDriver) {
    let two = PoolName::new("two").unwrap();
    driver.move_queue(&Project::none(), orders(driver).name(), &two).unwrap();
}

/// Fills the queue, moves it while the clock jumps at the `nth` reading, and checks the moved content. Returns whether
/// the move read the clock that often.
fn moved_while_time_jumps(nth: u64, by: Duration, fill: fn(&Queue) -> usize) -> bool {
    let (disk, clock) = (SimulatedDisk::new(), WatchedClock::at(START));
    let (driver, orders_queue) = start(&disk, &clock);
    let count = fill(&orders_queue);
    let jump_at = clock.readings() + nth;
    clock.before_each(move |reading, clock| {
        if reading == jump_at {
            clock.advance(by);
        }
    });
    move_it(&driver);
    let reached = clock.readings() >= jump_at;
    clock.before_each(|_, _| {});
    assert!(driver.verify().unwrap().is_sound(), "jump at {nth}: {:?}", driver.verify().unwrap().findings());
    drop(orders_queue);
    // Killed first, so that the journal is replayed; then closed, so that the trees are.
    drop(driver);
    let disk = disk.kill();
    let driver = open(&disk, &clock);
    assert!(driver.verify().unwrap().is_sound(), "jump at {nth}, killed: {:?}", driver.verify().unwrap().findings());
    driver.close().unwrap();
    let driver = open(&disk, &clock);
    assert!(driver.verify().unwrap().is_sound(), "jump at {nth}, closed: {:?}", driver.verify().unwrap().findings());
    // All claims have ended by now.
    clock.within().advance(seconds(100));
    let mut left = BTreeSet::new();
    let options = ClaimOptions::new().ttl(seconds(60)).limit(100);
    while let Some(claim) = orders(&driver).claim(options.clone()).unwrap() {
        left.extend(claim.messages().iter().map(Message::id));
    }
    assert_eq!(left.len(), count, "jump at {nth}: messages that can be claimed");
    reached
}

/// Claims and messages in some portions each, all claimed, by claims of which each has messages in several portions.
fn claimed_in_portions(queue: &Queue) -> usize {
    let body = vec![b'x'; 400 << 10];
    for _ in 0..6 {
        let messages = [NewMessage::new(body.clone()).ttl(seconds(4000)), NewMessage::new("y").ttl(seconds(4000))];
        queue.post(ALICE, &messages).unwrap();
    }
    let small: Vec<NewMessage> = (0..300).map(|_| NewMessage::new("z").ttl(seconds(4000))).collect();
    queue.post(ALICE, &small).unwrap();
    for limit in [5, 7] {
        queue.claim(ClaimOptions::new().ttl(seconds(30)).limit(limit)).unwrap().unwrap();
    }
    while queue.claim(ClaimOptions::new().ttl(seconds(30)).limit(1)).unwrap().is_some() {}
    312
}

#[test]
fn claims_end_at_any_instant_of_a_move() {
    let mut nth = 1;
    while moved_while_time_jumps(nth, seconds(31), claimed_in_portions) {
        nth += 1;
    }
    assert!(nth > 10, "a move reads the clock more often than that");
}
