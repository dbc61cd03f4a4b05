//! Pools whose stores cannot be opened: calls on their queues fail, and all other queues work.

use zaqar_sled::{
    Config, DataDriver, Error, ListOptions, NewPool, OperationStatus, PoolUpdate, PooledDriver, Purge, Result, Sort,
    SubscriptionId, SubscriptionUpdate,
};

use crate::subscriptions::{hook, names, subscribe};
use crate::support::{
    Harness, Queue, assert_fails, everything, json, lasting, no_claim, no_message, pool_of, seconds, shop,
};

/// `orders` in pool `one` and `bills` in pool `two`, each with a message.
fn both(h: &Harness) -> (Queue<'_>, Queue<'_>) {
    h.two_pools();
    let orders = h.create("orders");
    h.prefer("two");
    let bills = h.create("bills");
    orders.say("coffee");
    bills.say("5.00");
    (orders, bills)
}

/// Every call that needs the queue's pool, and its outcome.
pub(crate) fn calls_on_the_pool(h: &Harness, queue: &Queue<'_>) -> Vec<(&'static str, Result<()>)> {
    let driver = h.driver();
    let subscriptions = driver.subscriptions();
    let (project, name, hook) = (&queue.project, &queue.name, hook("a"));
    let (id, longer) = (SubscriptionId::lossy("none"), SubscriptionUpdate::new().ttl(seconds(60)));
    vec![
        ("post", queue.send(&[lasting("tea", 60)]).map(drop)),
        ("get", queue.get(no_message()).map(drop)),
        ("first", queue.first(Sort::Oldest).map(drop)),
        ("stats", queue.stats().map(drop)),
        ("list", queue.list(&everything()).map(drop)),
        ("bulk_get", queue.bulk_get(&[no_message()]).map(drop)),
        ("delete", queue.delete(no_message(), None)),
        ("bulk_delete", queue.bulk_delete(&[no_message()], &[])),
        ("pop", queue.pop(1).map(drop)),
        ("release", queue.release(no_claim())),
        ("claim", queue.try_claim(60, 60, 1).map(drop)),
        ("get a claim", queue.look_up(no_claim()).map(drop)),
        ("renew", queue.renew(no_claim(), 60, 60)),
        ("purge all", queue.purge(Purge::All).map(drop)),
        ("purge messages", queue.purge(Purge::Messages).map(drop)),
        ("purge subscriptions", queue.purge(Purge::Subscriptions).map(drop)),
        ("subscribe", subscriptions.create(project, name, &hook, seconds(60), &json("{}")).map(drop)),
        ("get a subscription", subscriptions.get(project, name, &id).map(drop)),
        ("subscription exists", subscriptions.exists(project, name, &id).map(drop)),
        ("list subscriptions", subscriptions.list(project, name, &ListOptions::new()).map(drop)),
        ("update a subscription", subscriptions.update(project, name, &id, &longer)),
        ("unsubscribe", subscriptions.delete(project, name, &id)),
        ("confirm", subscriptions.confirm(project, name, &id, true)),
        ("get with subscriber", subscriptions.get_with_subscriber(project, name, &hook).map(drop)),
    ]
}

/// Asserts that every call that needs the pool says that it cannot be reached.
fn answers_as_unreachable(h: &Harness, queue: &Queue<'_>, pool: &str) {
    for (call, outcome) in calls_on_the_pool(h, queue) {
        match outcome {
            Err(error @ Error::PoolUnavailable { .. }) => {
                assert!(error.is_busy() && error.to_string().contains(pool), "{call}: {error}");
            }
            other => panic!("{call}: {other:?}"),
        }
    }
}

pooled! {
    fn a_pool_that_is_damaged_is_out_of_reach_and_others_are_not(h) {
        let (orders, bills) = both(h);
        h.break_pool("/one");
        answers_as_unreachable(h, &orders, "one");
        bills.say("6.00");
        assert_eq!(bills.all(), ["5.00", "6.00"]);
        // The control store still answers from its own records.
        assert!(orders.exists() && orders.metadata().unwrap().is_empty());
        orders.set_metadata(r#"{"a": 1}"#).unwrap();
        assert_eq!(orders.pool().as_deref(), Some("one"));
        assert!(!h.driver().is_alive());
        h.turn();
        answers_as_unreachable(h, &orders, "one");
        h.mend_pool("/one");
        assert!(h.driver().is_alive());
        assert_eq!(orders.all(), ["coffee"]);
        assert_eq!(bills.all(), ["5.00", "6.00"]);
        orders.say("tea");
        h.turn();
        assert_eq!(orders.all(), ["coffee", "tea"]);
        assert_eq!(orders.metadata().unwrap(), json(r#"{"a": 1}"#));
    }

    fn health_and_status_name_the_pool(h) {
        let _ = both(h);
        h.break_pool("/one");
        h.turn();
        let health = h.driver().health().unwrap();
        assert!(!health.storage_reachable());
        let reachable: Vec<(&str, bool)> =
            health.pools().iter().map(|pool| (pool.name().as_str(), pool.is_reachable())).collect();
        assert_eq!(reachable, [("one", false), ("two", true)]);
        assert!(health.pools()[0].error().is_some() && health.pools()[0].operations().is_empty());
        assert!(health.pools()[1].operations().iter().all(OperationStatus::succeeded));
        let status = h.driver().status();
        let open: Vec<(&str, bool)> =
            status.pools().iter().map(|(name, pool)| (name.as_str(), pool.is_ok())).collect();
        assert_eq!(open, [("one", false), ("two", true)]);
        h.mend_pool("/one");
        let health = h.driver().health().unwrap();
        assert!(health.storage_reachable());
        assert!(health.pools().iter().all(|pool| pool.operations().iter().all(OperationStatus::succeeded)));
        h.settle();
    }

    fn a_queue_in_a_pool_out_of_reach_can_be_deleted_and_made_again(h) {
        let (orders, _) = both(h);
        h.break_pool("/one");
        orders.remove().unwrap();
        assert!(!orders.exists());
        assert_eq!(h.pending().0, 1);
        h.prefer("two");
        assert!(orders.create("{}").unwrap());
        orders.say("new");
        h.turn();
        let _ = h.driver().step();
        assert_eq!(h.pending().0, 1);
        h.mend_pool("/one");
        h.settle();
        assert_eq!(orders.all(), ["new"]);
        orders.route("one");
        assert!(orders.all().is_empty());
    }

    fn the_rest_of_a_deleted_queue_does_not_take_a_new_queues_subscriptions(h) {
        let (orders, _) = both(h);
        // A move that was cut after the switch leaves messages and subscriptions to be removed from pool one.
        subscribe(h, &orders, "old", 3600).unwrap();
        h.break_pool("/one");
        orders.remove().unwrap();
        h.prefer("one");
        assert!(orders.create("{}").unwrap());
        h.flip_manifest("/one");
        subscribe(h, &orders, "new", 3600).unwrap();
        orders.say("new");
        h.turn();
        h.settle();
        assert_eq!(names(h, &orders), ["old", "new"]);
        assert_eq!(orders.all(), ["new"]);
    }

    fn a_new_queue_may_get_a_pool_out_of_reach(h) {
        let _ = both(h);
        h.break_pool("/one");
        h.prefer("one");
        let notes = h.create("notes");
        assert_eq!(notes.pool().as_deref(), Some("one"));
        assert_fails!(notes.try_say("x"), Error::PoolUnavailable { .. });
        h.turn();
        h.mend_pool("/one");
        notes.say("x");
        assert_eq!(notes.all(), ["x"]);
    }

    fn the_control_stores_own_path_is_no_pools(h) {
        let (orders, bills) = both(h);
        let uri = "sled:/control".parse::<zaqar_sled::PoolUri>().unwrap();
        assert!(h.try_pool("self", &zaqar_sled::NewPool::new(uri.clone())).unwrap_err().is_invalid());
        assert!(h.change_pool("two", &PoolUpdate::new().uri(uri)).unwrap_err().is_invalid());
        h.turn();
        assert_eq!((orders.all(), bills.all()), (vec!["coffee".to_owned()], vec!["5.00".to_owned()]));
        assert!(h.driver().is_alive());
        h.settle();
    }

    fn another_uri_brings_a_pool_back_without_a_step(h) {
        let (orders, _) = both(h);
        h.break_pool("/one");
        answers_as_unreachable(h, &orders, "one");
        h.change_pool("one", &PoolUpdate::new().uri("sled:/spare".parse().unwrap())).unwrap();
        assert!(orders.all().is_empty());
        orders.say("spare");
        h.turn();
        assert_eq!(orders.all(), ["spare"]);
        assert!(h.driver().is_alive());
    }

    fn a_pools_store_is_opened_by_its_driver_only(h) {
        let (orders, _) = both(h);
        // Its driver has it open.
        assert_fails!(h.config().open("/one"), Error::AlreadyOpen { .. });
        assert_fails!(h.config().open_pooled("/one"), Error::AlreadyOpen { .. });
        h.driver().close().unwrap();
        assert!(h.config().open("/one").unwrap_err().is_invalid());
        assert!(h.config().open_pooled("/one").unwrap_err().is_invalid());
        h.reopen();
        h.turn();
        assert_eq!(orders.all(), ["coffee"]);
    }

    fn a_pools_store_is_opened_by_no_other_driver(h) {
        let (orders, _) = both(h);
        h.driver().close().unwrap();
        let other = h.config().open_pooled("/other").unwrap();
        let pools = zaqar_sled::ControlDriver::pools(&other);
        pools.create(&pool_of("mine"), &NewPool::new("sled:/one".parse().unwrap())).unwrap();
        let queue = other.queue(shop(), "orders").unwrap();
        queue.create(json("{}")).unwrap();
        assert_fails!(queue.stats(), Error::PoolUnavailable { .. });
        assert!(!other.is_alive());
        other.close().unwrap();
        h.reopen();
        h.turn();
        assert_eq!(orders.all(), ["coffee"]);
    }

    fn a_store_that_holds_something_does_not_become_a_pool(h) {
        let engine = h.config().open("/full").unwrap();
        engine.queue(shop(), "mine").unwrap().create(json("{}")).unwrap();
        engine.close().unwrap();
        h.config().open("/empty").unwrap().close().unwrap();
        h.pool("full", 1);
        let orders = h.create("orders");
        answers_as_unreachable(h, &orders, "full");
        h.pool("empty", 0);
        orders.route("empty");
        orders.say("coffee");
        h.turn();
        assert_eq!(orders.all(), ["coffee"]);
        h.drop_pool("full").unwrap();
        let engine = h.config().open("/full").unwrap();
        assert!(engine.queue(shop(), "mine").unwrap().exists().unwrap());
    }

    fn a_store_that_is_in_use_is_out_of_reach_until_it_is_not(h) {
        h.two_pools();
        let elsewhere = h.config().open("/one").unwrap();
        let orders = h.create("orders");
        answers_as_unreachable(h, &orders, "one");
        elsewhere.close().unwrap();
        drop(elsewhere);
        h.step();
        orders.say("coffee");
        h.turn();
        assert_eq!(orders.all(), ["coffee"]);
    }
}

#[test]
fn a_control_store_that_is_damaged_is_told_at_the_opening() {
    let h = Harness::live();
    h.two_pools();
    let _ = h.create("orders");
    h.driver().close().unwrap();
    h.flip_manifest("/control");
    assert!(h.config().open_pooled("/control").unwrap_err().is_corrupt());
    h.flip_manifest("/control");
    let driver: PooledDriver = h.config().open_pooled("/control").unwrap();
    assert!(driver.queue(shop(), "orders").unwrap().exists().unwrap());
}

#[test]
fn a_pool_with_a_failing_disk_stops_alone() {
    let h = Harness::live();
    let (orders, bills) = both(&h);
    let disk = h.disk();
    disk.fail_nth(zaqar_sled::disk::FaultKind::Sync, 1);
    let failed = orders.try_say("lost?").unwrap_err();
    assert!(failed.is_outcome_unknown(), "{failed:?}");
    assert!(orders.try_say("refused").unwrap_err().is_poisoned());
    assert!(!orders.all().is_empty(), "reads go on");
    bills.say("6.00");
    assert!(!h.driver().is_alive());
    let health = h.driver().health().unwrap();
    assert!(!health.pools()[0].is_reachable() && health.pools()[1].is_reachable());
    h.kill();
    assert!(h.driver().is_alive());
    assert_eq!(bills.all(), ["5.00", "6.00"]);
    orders.say("again");
    h.check();
}

#[test]
fn stores_are_opened_with_the_settings_of_their_pool() {
    let config: Config = Harness::live().config();
    let driver = config.open_pooled("/another").unwrap();
    let pools = zaqar_sled::ControlDriver::pools(&driver);
    for (uri, options) in [("sled:/x?durability=maybe", "{}"), ("sled:/x?memory=much", "{}"), ("sled:/x?x=1", "{}")] {
        assert!(uri.parse::<zaqar_sled::PoolUri>().unwrap_err().is_invalid(), "{uri} {options}");
    }
    for options in [r#"{"durability": "maybe"}"#, r#"{"durability": 1}"#, r#"{"memory": "much"}"#, r#"{"memory": -1}"#]
    {
        let pool = NewPool::new("sled:/x".parse().unwrap()).options(json(options));
        assert!(pools.create(&pool_of("x"), &pool).unwrap_err().is_invalid(), "{options}");
    }
    let pool = NewPool::new("sled:/x?memory=1048576".parse().unwrap()).options(json(r#"{"rack": 3}"#));
    pools.create(&pool_of("x"), &pool).unwrap();
    let detailed = pools.get(&pool_of("x"), true).unwrap();
    assert_eq!(detailed.options(), Some(&json(r#"{"rack": 3}"#)));
}
