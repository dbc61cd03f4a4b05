//! The driver as a whole: as trait objects, in handles, and its housekeeping.

use std::sync::Arc;
use std::time::Duration;

use zaqar_sled::{
    Capabilities, Catalogue, ClaimOptions, ControlDriver, DataDriver, Error, FlavorName, ListOptions,
    MessageListOptions, Metadata, NewFlavor, NewMessage, OperationStatus, QueueListOptions, Queues, Result, Sort,
};

use crate::subscriptions::{hook, names, subscribe};
use crate::support::{ALICE, assert_fails, json, lasting, name_of, pool_of, seconds, shop, terms, texts};

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
    let made = driver.subscriptions().create(&project, &orders, &hook("a"), seconds(60), &json("{}")).unwrap();
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
        assert_eq!(orders.get(&id).unwrap().ttl(), seconds(120));
        assert!(orders.claim(ClaimOptions::new()).unwrap().is_none());
        h.pass(5);
        assert!(orders.post(ALICE, &[NewMessage::new("x".repeat(100))]).unwrap_err().is_too_large());
        h.turn();
        let orders = h.driver().queue(shop(), "orders").unwrap();
        let claim = orders.claim(ClaimOptions::new()).unwrap().unwrap();
        assert_eq!(texts(claim.messages()), ["coffee"]);
        claim.renew(seconds(100), seconds(60)).unwrap();
        claim.delete(&claim.messages()[0]).unwrap();
        claim.release().unwrap();
        orders.set_metadata(&Metadata::new()).unwrap();
        orders.post(ALICE, &vec![NewMessage::new("x"); 250]).unwrap();
        assert_eq!(orders.iter(MessageListOptions::new()).map(Result::unwrap).count(), 250);
        let claim = orders.claim(ClaimOptions::new().limit(50)).unwrap().unwrap();
        claim.delete_all().unwrap();
        assert_eq!(orders.pop(100).unwrap().len(), 100);
        assert_eq!(orders.first(Sort::Newest).unwrap().body().as_bytes(), b"x");
        assert_eq!(orders.stats().unwrap().total(), 100);
        let hook = hook("a");
        let id = orders.subscribe(&hook, seconds(60), &Metadata::new()).unwrap().unwrap();
        assert_eq!(orders.subscribe(&hook, seconds(60), &Metadata::new()).unwrap(), None);
        assert_eq!(orders.subscriptions().unwrap()[0].id(), id);
        orders.unsubscribe(&id).unwrap();
        orders.subscribe(&hook, seconds(60), &Metadata::new()).unwrap().unwrap();
        assert_eq!(orders.purge().unwrap(), 101);
        orders.delete().unwrap();
        assert!(orders.list(&MessageListOptions::new()).unwrap().items.is_empty());
        assert_fails!(orders.metadata(), Error::QueueDoesNotExist { .. });
        h.settle();
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
                assert!(pool.is_reachable() && pool.operations().iter().all(OperationStatus::succeeded));
                assert_eq!(pool.operations().len(), 8);
            }
            let operations: Vec<&str> = health.operations().iter().map(OperationStatus::name).collect();
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
