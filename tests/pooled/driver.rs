//! The driver as a whole: behind pointers, in handles, closed, killed, looked after, and asked by many threads.

use std::collections::BTreeSet;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use zaqar_sled::disk::Keep;
use zaqar_sled::{
    Capabilities, Catalogue, Claims, ClaimOptions, ControlDriver, DataDriver, Durability, Error, FlavorName, Flavors,
    ListOptions, MessageListOptions, Messages, Metadata, NewFlavor, NewMessage, NewPool, PoolUpdate, PooledDriver,
    Pools, Purge, QueueListOptions, Queues, Result, Sort, Subscriber, SubscriptionId, SubscriptionUpdate,
    Subscriptions,
};

use crate::subscriptions::{hook, names, subscribe};
use crate::support::{
    ALICE, Harness, assert_fails, json, lasting, name_of, no_claim, no_message, pool_of, secs, shop, terms, texts,
};

/// A scene for any data driver.
fn plays_data(driver: &dyn DataDriver) {
    let (project, orders) = (shop(), name_of("orders"));
    assert!(driver.is_alive());
    assert_eq!(driver.capabilities(), Capabilities::all());
    assert!(driver.queues().create(&project, &orders, &Metadata::new()).unwrap());
    let ids = driver.messages().post(&project, &orders, ALICE, &[lasting("a", 60), lasting("b", 60)]).unwrap();
    let claim = driver.claims().create(&project, &orders, &terms(60, 60, 1)).unwrap().unwrap();
    assert_eq!(texts(claim.messages()), ["a"]);
    driver.messages().delete(&project, &orders, &ids[0], Some(&claim.id())).unwrap();
    assert_eq!(driver.queues().stats(&project, &orders).unwrap().total(), 1);
    let made = driver.subscriptions().create(&project, &orders, &hook("a"), secs(60), &json("{}")).unwrap();
    assert!(made.is_some());
    driver.queues().delete(&project, &orders).unwrap();
    assert!(driver.health().unwrap().storage_reachable());
    driver.gc().unwrap();
}

/// A scene for any control driver.
fn plays_control(driver: &dyn ControlDriver) {
    let (project, bills, gold) = (shop(), name_of("bills"), FlavorName::new("gold").unwrap());
    assert!(driver.queues().create(&project, &bills, &Metadata::new()).unwrap());
    assert_eq!(driver.catalogue().get(&project, &bills).unwrap().pool(), &pool_of("one"));
    driver.flavors().create(&project, &gold, &NewFlavor::new()).unwrap();
    assert_eq!(driver.pools().list(&ListOptions::new()).unwrap().items.len(), 2);
    let health = driver.health().unwrap();
    assert!(health.catalogue_reachable());
    assert_eq!((health.queues(), health.pools(), health.flavors(), health.mapped()), (1, 2, 1, 1));
    assert_eq!(driver.pools().capabilities(None, None).unwrap(), Capabilities::all());
}

pooled! {
    fn it_works_behind_pointers(h) {
        h.two_pools();
        plays_data(&h.driver());
        h.turn();
        plays_control(&h.driver());
        let shared: Arc<dyn DataDriver> = Arc::new(h.driver());
        assert!(shared.is_alive());
        h.settle();
    }

    fn it_works_through_handles(h) {
        h.two_pools();
        let defaults = r#"{"_default_message_ttl": 120, "_default_message_delay": 5, "_max_messages_post_size": 20}"#;
        let orders = h.driver().queue(shop(), "orders").unwrap();
        assert!(!orders.exists().unwrap());
        assert!(orders.claim_wait(ClaimOptions::new(), Duration::ZERO).unwrap().is_none());
        assert!(orders.create(json(defaults)).unwrap());
        let id = orders.post(ALICE, &[NewMessage::new("coffee")]).unwrap()[0];
        assert_eq!(orders.get(&id).unwrap().ttl(), secs(120));
        assert!(orders.claim(ClaimOptions::new()).unwrap().is_none());
        h.pass(5);
        assert!(orders.post(ALICE, &[NewMessage::new("x".repeat(100))]).unwrap_err().is_too_large());
        h.turn();
        let orders = h.driver().queue(shop(), "orders").unwrap();
        let mut claim = orders.claim(ClaimOptions::new()).unwrap().unwrap();
        assert_eq!(texts(claim.messages()), ["coffee"]);
        claim.renew(secs(100), secs(60)).unwrap();
        claim.delete(&claim.messages()[0]).unwrap();
        claim.release().unwrap();
        orders.set_metadata(&Metadata::new()).unwrap();
        orders.post(ALICE, &vec![NewMessage::new("x"); 250]).unwrap();
        assert_eq!(orders.iter(MessageListOptions::new()).filter(Result::is_ok).count(), 250);
        let claim = orders.claim(ClaimOptions::new().limit(50)).unwrap().unwrap();
        claim.delete_all().unwrap();
        assert_eq!(orders.pop(100).unwrap().len(), 100);
        assert_eq!(orders.first(Sort::Newest).unwrap().body().as_bytes(), b"x");
        assert_eq!(orders.stats().unwrap().total(), 100);
        assert_eq!(orders.purge().unwrap(), 100);
        orders.delete().unwrap();
        assert!(orders.list(&MessageListOptions::new()).unwrap().items.is_empty());
        assert_fails!(orders.metadata(), Error::QueueDoesNotExist { .. });
        h.settle();
    }

    fn closed_is_closed(h) {
        h.two_pools();
        let orders = h.create("orders");
        let id = orders.say("coffee");
        h.turn();
        let driver = h.driver();
        let handle = driver.queue(shop(), "orders").unwrap();
        driver.close().unwrap();
        driver.close().unwrap();
        DataDriver::close(&driver).unwrap();
        ControlDriver::close(&driver).unwrap();
        assert!(!driver.is_alive());
        let closed = |outcome: Result<()>| match outcome {
            Err(error) => assert!(error.is_closed(), "another error: {error:?}"),
            Ok(()) => panic!("it did not fail"),
        };
        let (project, name) = (&shop(), &name_of("orders"));
        let (messages, claims): (&dyn Messages, &dyn Claims) = (&driver, &driver);
        closed(messages.post(project, name, ALICE, &[lasting("a", 60)]).map(drop));
        closed(messages.get(project, name, &id).map(drop));
        closed(messages.list(project, name, &MessageListOptions::new()).map(drop));
        closed(messages.first(project, name, Sort::Oldest).map(drop));
        closed(messages.bulk_get(project, name, &[id]).map(drop));
        closed(messages.delete(project, name, &id, None));
        closed(messages.bulk_delete(project, name, &[id], &[]));
        closed(messages.pop(project, name, 1).map(drop));
        closed(claims.create(project, name, &terms(60, 60, 1)).map(drop));
        closed(claims.get(project, name, &no_claim()).map(drop));
        closed(claims.update(project, name, &no_claim(), &terms(60, 60, 1)));
        closed(claims.delete(project, name, &no_claim()));
        let queues: &dyn Queues = &driver;
        closed(queues.create(project, name, &Metadata::new()).map(drop));
        closed(queues.get(project, name).map(drop));
        closed(queues.get_metadata(project, name).map(drop));
        closed(queues.set_metadata(project, name, &Metadata::new()));
        closed(queues.exists(project, name).map(drop));
        closed(queues.delete(project, name));
        closed(queues.list(project, &QueueListOptions::new()).map(drop));
        closed(queues.stats(project, name).map(drop));
        closed(queues.count(project).map(drop));
        for what in [Purge::Messages, Purge::Subscriptions, Purge::All] {
            closed(queues.purge(project, name, what).map(drop));
        }
        closed_in_control(&driver);
        closed(driver.move_queue(project, name, &pool_of("two")));
        closed(driver.health().map(drop));
        closed(ControlDriver::health(&driver).map(drop));
        closed(driver.gc().map(drop));
        closed(driver.step());
        closed(driver.verify().map(drop));
        closed(handle.claim_wait(ClaimOptions::new(), secs(60)).map(drop));
        closed(handle.exists().map(drop));
        assert_eq!(driver.status().pools().len(), 2);
    }

    fn garbage_of_all_stores_is_collected_and_counted(h) {
        h.two_pools();
        h.pool_at("home", "localhost", 0);
        for (name, pool) in [("a", "one"), ("b", "two"), ("c", "home")] {
            let queue = h.queue(name);
            queue.route(pool);
            queue.create("{}").unwrap();
            queue.send(&[lasting("brief", 10), lasting("long", 3600)]).unwrap();
            queue.try_claim(5, 0, 1).unwrap().unwrap();
            subscribe(h, &queue, "brief", 10).unwrap();
            subscribe(h, &queue, "long", 3600).unwrap();
        }
        h.turn();
        h.pass(20);
        let report = h.driver().gc().unwrap();
        assert_eq!((report.messages(), report.claims(), report.subscriptions()), (3, 3, 3));
        let report = h.driver().gc().unwrap();
        assert_eq!((report.messages(), report.claims(), report.subscriptions()), (0, 0, 0));
        for name in ["a", "b", "c"] {
            assert_eq!(h.queue(name).all(), ["long"]);
            assert_eq!(names(h, &h.queue(name)), ["long"]);
        }
    }

    fn a_health_check_leaves_nothing_behind(h) {
        h.two_pools();
        h.pool_at("home", "localhost", 0);
        h.pool_in("fast", "three", -1);
        let orders = h.create("orders");
        orders.post(3);
        let entries = || Catalogue::list(&h.driver(), &shop()).unwrap().len();
        h.turn();
        for _ in 0..3 {
            let health = h.driver().health().unwrap();
            assert!(health.storage_reachable());
            assert_eq!(health.volume().total, 3);
            let named: Vec<&str> = health.pools().iter().map(|pool| pool.name().as_str()).collect();
            assert_eq!(named, ["home", "one", "three", "two"]);
            for pool in health.pools() {
                assert!(pool.is_reachable() && pool.operations().iter().all(|operation| operation.succeeded()));
                assert_eq!(pool.operations().len(), 8);
            }
            let operations: Vec<&str> = health.operations().iter().map(|operation| operation.name()).collect();
            assert_eq!(operations, ["insert_entry", "get_entry", "delete_entry"]);
        }
        h.settle();
        assert_eq!(entries(), 1);
        let control = ControlDriver::health(&h.driver()).unwrap();
        assert_eq!((control.queues(), control.pools(), control.mapped()), (1, 4, 1));
        let status = h.driver().status();
        let messages: Vec<u64> = status.pools().iter().map(|(_, pool)| pool.as_ref().unwrap().messages()).collect();
        assert_eq!(messages, [0, 3, 0, 0]);
        assert!(status.pools().iter().all(|(_, pool)| pool.as_ref().unwrap().queues() <= 1));
    }

    fn queues_are_listed_and_counted_over_all_pools(h) {
        h.two_pools();
        for number in 0..30 {
            h.prefer(if number % 2 == 0 { "one" } else { "two" });
            h.create(&format!("q{number:02}")).say("x");
        }
        h.turn();
        let driver = h.driver();
        assert_eq!(Queues::count(&driver, &shop()).unwrap(), 30);
        let mut listed = Vec::new();
        let mut options = QueueListOptions::new().limit(7);
        loop {
            let page = Queues::list(&driver, &shop(), &options).unwrap();
            listed.extend(page.items.iter().map(|entry| entry.name().to_string()));
            let Some(next) = page.next else { break };
            options.marker = Some(next);
        }
        assert_eq!(listed, (0..30).map(|number| format!("q{number:02}")).collect::<Vec<_>>());
        assert_eq!(Catalogue::list(&driver, &shop()).unwrap().len(), 30);
    }

    fn limits_hold_in_every_pool(h) {
        let h = &h.with(|config| config.limits(zaqar_sled::Limits::zaqar()));
        h.two_pools();
        let orders = h.create("orders");
        assert!(orders.send(&[lasting("x", 59)]).unwrap_err().is_invalid());
        assert!(orders.send(&[lasting(&"x".repeat(262_145), 60)]).unwrap_err().is_too_large());
        assert!(orders.try_claim(59, 60, 1).unwrap_err().is_invalid());
        assert!(h.driver().queue(shop(), "a b").unwrap_err().is_invalid());
        assert!(h.driver().move_queue(&shop(), &name_of("a b"), &pool_of("two")).unwrap_err().is_invalid());
        orders.send(&[lasting("x", 60)]).unwrap();
        orders.move_to("two").unwrap();
        h.turn();
        assert!(orders.send(&[lasting("x", 59)]).unwrap_err().is_invalid());
        assert!(DataDriver::health(&h.driver()).unwrap().storage_reachable());
        h.check();
    }
}

fn closed_in_control(driver: &PooledDriver) {
    let closed = |outcome: Result<()>| match outcome {
        Err(error) => assert!(error.is_closed(), "another error: {error:?}"),
        Ok(()) => panic!("it did not fail"),
    };
    let (project, name, pool) = (&shop(), &name_of("orders"), &pool_of("one"));
    let gold = &FlavorName::new("gold").unwrap();
    closed(Pools::create(driver, pool, &NewPool::new("sled:/x".parse().unwrap())));
    closed(Pools::get(driver, pool, true).map(drop));
    closed(Pools::exists(driver, pool).map(drop));
    closed(Pools::list(driver, &ListOptions::new()).map(drop));
    closed(driver.get_pools_by_group(None, true).map(drop));
    closed(Pools::update(driver, pool, &PoolUpdate::new().weight(1)));
    closed(Pools::delete(driver, pool));
    closed(Pools::capabilities(driver, None, None).map(drop));
    closed(Pools::drop_all(driver));
    closed(Flavors::create(driver, project, gold, &NewFlavor::new()));
    closed(Flavors::get(driver, project, gold, true).map(drop));
    closed(Flavors::exists(driver, project, gold).map(drop));
    closed(Flavors::list(driver, project, &ListOptions::new()).map(drop));
    closed(Flavors::delete(driver, project, gold));
    closed(Flavors::drop_all(driver));
    closed(Catalogue::insert(driver, project, name, pool));
    closed(Catalogue::get(driver, project, name).map(drop));
    closed(Catalogue::exists(driver, project, name).map(drop));
    closed(Catalogue::list(driver, project).map(drop));
    closed(Catalogue::update(driver, project, name, Some(pool)));
    closed(Catalogue::delete(driver, project, name));
    closed(Catalogue::drop_all(driver));
    let id = SubscriptionId::lossy("none");
    closed(Subscriptions::create(driver, project, name, &hook("a"), secs(60), &json("{}")).map(drop));
    closed(Subscriptions::get(driver, project, name, &id).map(drop));
    closed(Subscriptions::exists(driver, project, name, &id).map(drop));
    closed(Subscriptions::list(driver, project, name, &ListOptions::new()).map(drop));
    closed(Subscriptions::update(driver, project, name, &id, &SubscriptionUpdate::new().ttl(secs(60))));
    closed(Subscriptions::delete(driver, project, name, &id));
    closed(Subscriptions::confirm(driver, project, name, &id, true));
    closed(driver.get_with_subscriber(project, name, &hook("a")).map(drop));
}

/// What the bodies are after the power failed right behind a post, in a pool with those settings.
fn after_a_power_cut(uri: &str, options: &str, durability: Option<Durability>) -> Vec<String> {
    let h = Harness::live();
    let pool = NewPool::new(uri.parse().unwrap()).options(json(options));
    h.try_pool("one", &pool).unwrap();
    let orders = h.create("orders");
    orders.say("synced by the step");
    h.step();
    let driver = durability.map_or_else(|| h.driver(), |durability| h.driver().with_durability(durability));
    Messages::post(&driver, &orders.project, &orders.name, ALICE, &[lasting("last", 3600)]).unwrap();
    let disk = h.disk().power_loss(Keep::Nothing);
    h.open_on(disk);
    let bodies = orders.all();
    assert_eq!(orders.pool().as_deref(), Some("one"));
    orders.say("after");
    h.check();
    bodies
}

#[test]
fn a_pools_durability_is_that_of_its_options_its_uri_or_the_driver() {
    let (kept, lost) = (["synced by the step", "last"].as_slice(), ["synced by the step"].as_slice());
    assert_eq!(after_a_power_cut("sled:/one", "{}", None), kept);
    assert_eq!(after_a_power_cut("sled:/one?durability=buffered", "{}", None), lost);
    assert_eq!(after_a_power_cut("sled:/one", r#"{"durability": "buffered"}"#, None), lost);
    assert_eq!(after_a_power_cut("sled:/one?durability=buffered", r#"{"durability": "sync"}"#, None), kept);
    assert_eq!(after_a_power_cut("sled:/one?durability=buffered", "{}", Some(Durability::Sync)), kept);
    assert_eq!(after_a_power_cut("sled:/one", "{}", Some(Durability::Buffered)), lost);
}

#[test]
fn a_pools_durability_changes_with_its_options_at_once() {
    let h = Harness::live();
    h.pool("one", 1);
    let orders = h.create("orders");
    h.change_pool("one", &PoolUpdate::new().options(json(r#"{"durability": "buffered"}"#))).unwrap();
    orders.say("lost");
    let disk = h.disk().power_loss(Keep::Nothing);
    h.open_on(disk);
    assert!(orders.all().is_empty());
    h.change_pool("one", &PoolUpdate::new().options(json(r#"{"durability": "sync"}"#))).unwrap();
    orders.say("kept");
    let disk = h.disk().power_loss(Keep::Nothing);
    h.open_on(disk);
    assert_eq!(orders.all(), ["kept"]);
    h.check();
}

#[test]
fn a_lost_pool_creation_loses_no_more_than_that() {
    let h = Harness::live().with(|config| config.durability(Durability::Buffered));
    h.pool("one", 1);
    let orders = h.create("orders");
    orders.say("coffee");
    let disk = h.disk().power_loss(Keep::Nothing);
    h.open_on(disk);
    // The first message made everything before it durable; itself it may be lost.
    assert!(orders.exists());
    assert_eq!(orders.pool().as_deref(), Some("one"));
    assert!(orders.all().is_empty());
    h.check();
}

/// A driver with threads of its own, and pools `one` and `two`.
fn running() -> Harness {
    let h = Harness::live().with(|config| config.background(true));
    h.two_pools();
    h
}

/// What so many threads come to that do the same at the same time.
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
fn one_of_those_who_make_a_queue_at_once_makes_it() {
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
fn one_of_those_who_register_a_store_at_once_gets_it() {
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
fn one_of_those_who_subscribe_at_once_does() {
    let h = running();
    let driver = h.driver();
    h.create("orders");
    for round in 0..20 {
        let hook = Subscriber::new(format!("https://example.com/{round}")).unwrap();
        let made = at_once(4, |_| {
            Subscriptions::create(&driver, &shop(), &name_of("orders"), &hook, secs(3600), &json("{}")).unwrap()
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
        let worker = thread::spawn(move || handle.claim_wait(ClaimOptions::new(), secs(60)));
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
    let worker = thread::spawn(move || handle.claim_wait(ClaimOptions::new(), secs(60)));
    while driver.status().control().waiting() == 0 {
        thread::yield_now();
    }
    let orders = h.create("orders");
    orders.unmap();
    orders.route("two");
    orders.say("coffee");
    assert_eq!(texts(worker.join().unwrap().unwrap().unwrap().messages()), ["coffee"]);
    let handle = driver.queue(shop(), "orders").unwrap();
    let worker = thread::spawn(move || handle.claim_wait(ClaimOptions::new(), secs(600)));
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
    orders.send(&[crate::support::delayed("late", 30)]).unwrap();
    let driver = h.driver();
    let handle = driver.queue(shop(), "orders").unwrap();
    let worker = thread::spawn(move || handle.claim_wait(ClaimOptions::new().ttl(secs(60)), secs(600)));
    while driver.status().control().waiting() == 0 {
        thread::yield_now();
    }
    h.pass(30);
    let claim = worker.join().unwrap().unwrap().unwrap();
    assert_eq!(texts(claim.messages()), ["late"]);
    let handle = driver.queue(shop(), "orders").unwrap();
    let worker = thread::spawn(move || handle.claim_wait(ClaimOptions::new(), secs(600)));
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
    let worker = thread::spawn(move || handle.claim_wait(ClaimOptions::new(), secs(60)));
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
    assert_eq!(clone.queue(shop(), "orders").unwrap().get(&no_message()).unwrap_err().to_string().len() > 0, true);
}
