//! Many threads at once, the driver's own among them.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::thread;

use zaqar_sled::{ClaimOptions, Error, Metadata, NewMessage, NewPool, PoolUpdate, Pools, Subscriber, Subscriptions};

use crate::subscriptions::names;
use crate::support::{ALICE, Harness, delayed, json, name_of, no_message, pool_of, seconds, shop, texts};

/// A driver with threads of its own, and pools `one` and `two`.
fn running() -> Harness {
    let h = Harness::live().with(|config| config.background(true));
    h.two_pools();
    h
}

/// The results of so many threads that do the same work at the same time.
fn at_once<T: Send>(threads: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(threads);
    thread::scope(|scope| {
        let started: Vec<_> = (0..threads)
            .map(|number| {
                let (barrier, work) = (&barrier, &work);
                scope.spawn(move || {
                    barrier.wait();
                    work(number)
                })
            })
            .collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn a_pool_that_was_deleted_during_its_update_stays_deleted() {
    let h = running();
    let (driver, three) = (h.driver(), pool_of("three"));
    for round in 0..400 {
        let uri = |n: u32| format!("sled:/three-{round}-{n}").parse().unwrap();
        driver.pools().create(&three, &NewPool::new(uri(0)).weight(0)).unwrap();
        let done = at_once(2, |number| match number {
            0 => driver.pools().update(&three, &PoolUpdate::new().uri(uri(1))),
            _ => driver.pools().delete(&three),
        });
        assert!(done[1].is_ok() && done[0].as_ref().err().is_none_or(Error::is_not_found), "{done:?}");
        assert!(!driver.pools().exists(&three).unwrap(), "round {round}: it is back");
    }
}

#[test]
fn a_queue_that_is_mapped_while_it_is_created_leaves_nothing_when_it_is_deleted() {
    let h = running();
    let driver = h.driver();
    for round in 0..300 {
        let name = format!("q{round}");
        let (queue, known) = (driver.queue(shop(), &name).unwrap(), name_of(&name));
        at_once(3, |number| match number {
            0 => queue.create(Metadata::new()).map(drop).unwrap(),
            1 => zaqar_sled::Catalogue::insert(&driver, &shop(), &known, &pool_of("two")).unwrap(),
            _ => drop(queue.delete()),
        });
        queue.create(Metadata::new()).unwrap();
        queue.post(ALICE, &[NewMessage::new("x")]).unwrap();
        zaqar_sled::Catalogue::update(&driver, &shop(), &known, Some(&pool_of("one"))).unwrap();
        queue.post(ALICE, &[NewMessage::new("y")]).unwrap();
        queue.delete().unwrap();
    }
    h.settle();
    assert_eq!((h.pending(), driver.health().unwrap().volume().total), ((0, 0), 0));
    h.check();
}

#[test]
fn subscriptions_that_are_purged_during_a_move_stay_away() {
    let h = running();
    let driver = h.driver();
    let mut purged = 0;
    for round in 0..300 {
        // One that has nothing in the pool but subscriptions.
        let orders = h.create(&format!("orders {round}"));
        for name in ["a", "b", "c"] {
            crate::subscriptions::subscribe(&h, &orders, name, 3600).unwrap();
        }
        let (project, name) = (&orders.project, &orders.name);
        let done = at_once(2, |number| match number {
            0 => driver.move_queue(project, name, &pool_of("two")).map(|()| 0),
            _ => driver.queues().purge(project, name, zaqar_sled::Purge::All),
        });
        done[0].as_ref().unwrap();
        let left = names(&h, &orders);
        match &done[1] {
            Ok(count) => {
                purged += 1;
                assert_eq!((*count, left), (3, Vec::new()), "round {round}");
            }
            Err(error) => assert!(error.is_busy() && left.len() == 3, "round {round}: {error}, {left:?}"),
        }
    }
    assert!(purged > 0);
    h.check();
}

#[test]
fn a_pool_with_another_store_wakes_those_that_wait_for_its_messages() {
    let h = running();
    let (driver, orders) = (h.driver(), h.create("orders"));
    orders.say("there");
    let lead = |uri: &str| h.change_pool("one", &PoolUpdate::new().uri(uri.parse().unwrap())).unwrap();
    lead("sled:/elsewhere");
    assert_eq!(orders.counts(), (0, 0, 0));
    let queue = driver.queue(shop(), "orders").unwrap();
    let before = driver.status().control().waiting();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| queue.claim_wait(ClaimOptions::new(), seconds(1_000_000)));
        while driver.status().control().waiting() == before {
            thread::yield_now();
        }
        lead("sled:/one");
        let started = std::time::Instant::now();
        while !waiter.is_finished() {
            if started.elapsed() > seconds(30) {
                orders.say("to end the test");
                panic!("it sleeps on");
            }
            thread::yield_now();
        }
        assert_eq!(waiter.join().unwrap().unwrap().unwrap().messages()[0].body().as_bytes(), b"there");
    });
}

#[test]
fn a_pool_that_opens_slowly_holds_up_no_subscriptions_of_other_pools() {
    // The driver's own thread would take the turn that the move needs.
    let h = Harness::live();
    h.two_pools();
    h.pool("three", 0);
    let [fast, third, slow] = ["fast", "third", "slow"].map(|name| h.create(name));
    slow.move_to("two").unwrap();
    fast.move_to("three").unwrap();
    for queue in [&fast, &slow] {
        crate::subscriptions::subscribe(&h, queue, "a", 3600).unwrap();
    }
    h.drop_pool("two").unwrap();
    h.pool("two", 0);
    let gate = h.disk().hold(zaqar_sled::disk::Calls::from(zaqar_sled::disk::Operation::Read).under("/two"));
    thread::scope(|scope| {
        let late = scope.spawn(|| names(&h, &slow));
        assert!(gate.wait_for(1, seconds(30)));
        // A move that waits for the moves of others to end would hold up all.
        let mover = scope.spawn(|| third.move_to("three"));
        let other = scope.spawn(|| names(&h, &fast));
        let started = std::time::Instant::now();
        while !other.is_finished() && started.elapsed() < seconds(10) {
            thread::yield_now();
        }
        let is_done = other.is_finished();
        gate.open();
        assert!(is_done, "it waits for another pool");
        assert_eq!(other.join().unwrap(), ["a"]);
        mover.join().unwrap().unwrap();
        assert_eq!(late.join().unwrap(), ["a"]);
    });
}

#[test]
fn one_of_several_concurrent_creates_makes_the_queue() {
    let h = running();
    let driver = h.driver();
    for round in 0..40 {
        let queue = driver.queue(shop(), format!("q{round}")).unwrap();
        let made = at_once(4, |_| queue.create(Metadata::new()).unwrap());
        assert_eq!(made.iter().filter(|made| **made).count(), 1);
        assert_eq!(h.queue(&format!("q{round}")).pool().as_deref(), Some("one"));
        let posted = at_once(4, |number| queue.post(ALICE, &[NewMessage::new(number.to_string())]).unwrap()[0]);
        assert_eq!(posted.iter().collect::<BTreeSet<_>>().len(), 4);
        assert_eq!(queue.stats().unwrap().total(), 4);
    }
    h.check();
}

#[test]
fn one_of_several_concurrent_registrations_gets_the_store() {
    let h = running();
    let driver = h.driver();
    for round in 0..20 {
        let outcomes = at_once(4, |number| {
            // Four ways to write it.
            let path = ["", "/x/..", "/.", "//"][number];
            let pool = NewPool::new(format!("sled:/store-{round}{path}").parse().unwrap()).weight(0);
            Pools::create(&driver, &pool_of(&format!("p{round}-{number}")), &pool)
        });
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
        assert!(outcomes.iter().all(|outcome| outcome.as_ref().err().is_none_or(Error::is_conflict)));
    }
    h.check();
}

#[test]
fn one_of_several_concurrent_subscribes_succeeds() {
    let h = running();
    let driver = h.driver();
    h.create("orders");
    for round in 0..20 {
        let hook = Subscriber::new(format!("https://example.com/{round}")).unwrap();
        let made = at_once(4, |_| {
            Subscriptions::create(&driver, &shop(), &name_of("orders"), &hook, seconds(3600), &json("{}")).unwrap()
        });
        assert_eq!(made.iter().flatten().count(), 1);
    }
    assert_eq!(names(&h, &h.queue("orders")).len(), 20);
    h.check();
}

#[test]
fn a_claim_waits_through_a_move_and_a_new_route() {
    let h = running();
    let orders = h.create("orders");
    let driver = h.driver();
    for round in 0..10 {
        let handle = driver.queue(shop(), "orders").unwrap();
        let worker = thread::spawn(move || handle.claim_wait(ClaimOptions::new(), seconds(60)));
        while driver.status().control().waiting() == 0 {
            thread::yield_now();
        }
        let pool = ["two", "one"][round % 2];
        if round % 4 < 2 {
            orders.move_to(pool).unwrap();
        } else {
            orders.route(pool);
        }
        orders.say(&round.to_string());
        let claim = worker.join().unwrap().unwrap().expect("the wait ends with the post");
        assert_eq!(texts(claim.messages()), [round.to_string()]);
        claim.delete_all().unwrap();
        claim.release().unwrap();
    }
    h.check();
}

#[test]
fn a_claim_waits_for_a_queue_and_for_a_mapping() {
    let h = running();
    let driver = h.driver();
    let handle = driver.queue(shop(), "orders").unwrap();
    let worker = thread::spawn(move || handle.claim_wait(ClaimOptions::new(), seconds(60)));
    while driver.status().control().waiting() == 0 {
        thread::yield_now();
    }
    let orders = h.create("orders");
    orders.unmap();
    orders.route("two");
    orders.say("coffee");
    assert_eq!(texts(worker.join().unwrap().unwrap().unwrap().messages()), ["coffee"]);
    let handle = driver.queue(shop(), "orders").unwrap();
    let worker = thread::spawn(move || handle.claim_wait(ClaimOptions::new(), seconds(600)));
    while driver.status().control().waiting() == 0 {
        thread::yield_now();
    }
    driver.close().unwrap();
    assert!(worker.join().unwrap().unwrap_err().is_closed());
}

#[test]
fn a_claim_that_waits_is_woken_by_time_in_a_pool() {
    let h = running();
    let orders = h.create("orders");
    orders.send(&[delayed("late", 30)]).unwrap();
    let driver = h.driver();
    let handle = driver.queue(shop(), "orders").unwrap();
    let worker = thread::spawn(move || handle.claim_wait(ClaimOptions::new().ttl(seconds(60)), seconds(600)));
    while driver.status().control().waiting() == 0 {
        thread::yield_now();
    }
    h.pass(30);
    let claim = worker.join().unwrap().unwrap().unwrap();
    assert_eq!(texts(claim.messages()), ["late"]);
    let handle = driver.queue(shop(), "orders").unwrap();
    let worker = thread::spawn(move || handle.claim_wait(ClaimOptions::new(), seconds(600)));
    while driver.status().control().waiting() == 0 {
        thread::yield_now();
    }
    // A claim ends by being released in the pool.
    claim.release().unwrap();
    assert_eq!(texts(worker.join().unwrap().unwrap().unwrap().messages()), ["late"]);
}

#[test]
fn the_threads_deliver_and_remove_by_themselves() {
    let h = running();
    let orders = h.create_with("orders", r#"{"_max_claim_count": 1, "_dead_letter_queue": "dead"}"#);
    h.prefer("two");
    let dead = h.create("dead");
    let driver = h.driver();
    let handle = driver.queue(shop(), "dead").unwrap();
    let worker = thread::spawn(move || handle.claim_wait(ClaimOptions::new(), seconds(60)));
    while driver.status().control().waiting() == 0 {
        thread::yield_now();
    }
    orders.say("a");
    orders.wear();
    assert!(orders.try_claim(60, 60, 1).unwrap().is_none());
    assert_eq!(texts(worker.join().unwrap().unwrap().unwrap().messages()), ["a"]);
    orders.remove().unwrap();
    dead.remove().unwrap();
    while h.pending() != (0, 0) {
        thread::yield_now();
    }
    h.check();
}

#[test]
fn pools_come_and_go_under_load() {
    let h = running();
    let orders = h.create("orders");
    for round in 0..50 {
        let uri = ["sled:/elsewhere", "sled:/one"][round % 2];
        h.change_pool("one", &PoolUpdate::new().uri(uri.parse().unwrap())).unwrap();
        orders.say(&round.to_string());
        h.drop_pool("two").unwrap();
        h.pool("two", 0);
        let bills = h.queue("bills");
        bills.route("two");
        bills.create("{}").unwrap();
        bills.say("x");
        bills.remove().unwrap();
    }
    assert_eq!(orders.counts().2, 25);
    h.check();
}

#[test]
fn a_driver_is_closed_by_its_last_handle() {
    let h = running();
    let orders = h.create("orders");
    orders.say("coffee");
    let config = h.config();
    drop(orders);
    drop(h);
    let driver = config.open_pooled("/control").unwrap();
    assert_eq!(driver.queue(shop(), "orders").unwrap().stats().unwrap().total(), 1);
    let clone = driver.clone();
    drop(driver);
    assert!(clone.queue(shop(), "orders").unwrap().get(&no_message()).unwrap_err().is_not_found());
}
