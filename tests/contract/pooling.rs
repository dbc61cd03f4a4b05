//! Contract 12: queues in pools. Where several pools would do, all but one have a weight of 0.

use crate::support::*;
use zaqar_sled::{
    Capabilities, Error, ListOptions, NewFlavor, PoolHealth, PoolUpdate, Project, Purge, QueueListOptions, Sort,
    Subscription, SubscriptionUpdate,
};

/// Two pools; new queues get the one.
fn one_and_two(h: &Harness) {
    h.register("one", at("sled:/pools/one"));
    h.register("two", at("sled:/pools/two").weight(0));
}

/// Asserts the answers of a queue without a pool, or of a missing queue.
fn assert_nothing_there(orders: &Queue<'_>) {
    assert_fails!(orders.send(&[lasting("42", 60)]), Error::QueueDoesNotExist { .. });
    assert_fails!(orders.get(no_message()), Error::QueueDoesNotExist { .. });
    assert_fails!(orders.first(Sort::Oldest), Error::QueueDoesNotExist { .. });
    assert_fails!(orders.stats(), Error::QueueDoesNotExist { .. });
    let page = orders.list(&everything()).unwrap();
    assert!(page.items.is_empty() && page.next.is_none());
    assert!(orders.bulk_get(&[no_message()]).is_empty());
    orders.delete(no_message(), None).unwrap();
    orders.delete(no_message(), Some(no_claim())).unwrap();
    orders.bulk_delete(&[no_message()], &[]).unwrap();
    assert!(orders.pop(1).unwrap().is_empty());
    assert!(orders.try_claim(60, 60, 1).unwrap().is_none());
    assert_fails!(orders.look_up(no_claim()), Error::ClaimDoesNotExist { .. });
    assert_fails!(orders.renew(no_claim(), 60, 60), Error::ClaimDoesNotExist { .. });
    orders.release(no_claim()).unwrap();
}

/// Asserts the answers about missing subscriptions of a queue without a pool.
fn assert_no_subscriptions(orders: &Queue<'_>) {
    assert_fails!(orders.subscription(no_subscription()), Error::SubscriptionDoesNotExist { .. });
    assert!(!orders.is_subscribed(no_subscription()));
    let page = orders.subscriptions(&ListOptions::new()).unwrap();
    assert!(page.items.is_empty() && page.next.is_none());
    assert_fails!(orders.change(no_subscription(), &to("a")), Error::SubscriptionDoesNotExist { .. });
    assert_fails!(orders.confirm(no_subscription(), true), Error::SubscriptionDoesNotExist { .. });
    orders.unsubscribe(no_subscription()).unwrap();
    assert_eq!(orders.subscription_of("a"), None);
}

/// Posts one message and has it claimed so often that the next claim moves it.
fn worn_out(orders: &Queue<'_>) {
    orders.say("42");
    let claim = orders.take(1);
    orders.release(claim.id()).unwrap();
}

pooled! {
    fn a_new_queue_is_mapped_to_a_pool(h) {
        one_and_two(h);
        let orders = h.create_with("orders", r#"{"a": 1}"#);
        h.turn();
        assert_eq!(orders.pool(), "one");
        assert_eq!(orders.metadata().unwrap(), json(r#"{"a": 1}"#));
        let ids = orders.post(2);
        h.turn();
        assert_eq!((orders.all(), orders.get(ids[1]).unwrap().id()), (vec!["0".into(), "1".into()], ids[1]));
    }

    fn without_a_pool_no_queue_can_be_made(h) {
        h.register("grouped", at_in("sled:/pools/a", "ssd"));
        h.register("idle", at("sled:/pools/b").weight(0));
        h.register("shunned", at("sled:/pools/c").weight(-5));
        h.turn();
        assert_fails!(h.queue("orders").create("{}"), Error::NoPoolFound { project, queue }
            if (&project, &queue) == (&shop(), &name_of("orders")));
        h.turn();
        assert!(!h.queue("orders").exists() && !h.queue("orders").is_mapped());
    }

    fn a_flavored_queue_gets_a_pool_of_the_flavors_group(h) {
        one_and_two(h);
        h.register("fast", at_in("sled:/pools/fast", "ssd"));
        h.offer(&shop(), "gold", of("ssd"));
        h.turn();
        let orders = h.create_with("orders", r#"{"_flavor": "gold"}"#);
        let plain = h.create_with("plain", r#"{"_flavor": null}"#);
        h.turn();
        assert_eq!((orders.pool(), plain.pool()), ("fast".into(), "one".into()));
    }

    fn an_unknown_flavor_is_an_error_that_changes_nothing(h) {
        one_and_two(h);
        h.offer(&Project::none(), "gold", NewFlavor::new());
        let (orders, bills) = (h.create("orders"), h.create("bills"));
        bills.unmap().unwrap();
        h.turn();
        let gold = r#"{"_flavor": "gold"}"#;
        for result in [h.queue("new").create(gold).map(drop), orders.set_metadata(gold), bills.set_metadata(gold)] {
            assert_fails!(result, Error::FlavorDoesNotExist { project, flavor }
                if (&project, &flavor) == (&shop(), &flavor_name("gold")));
        }
        h.turn();
        assert!(!h.queue("new").exists() && !h.queue("new").is_mapped() && !bills.is_mapped());
        assert!(orders.metadata().unwrap().is_empty());
        assert_fails!(h.queue("missing").set_metadata(gold), Error::QueueDoesNotExist { .. });
    }

    fn a_flavor_without_a_usable_pool_gets_no_queue(h) {
        one_and_two(h);
        h.offer(&shop(), "gold", NewFlavor::new());
        h.turn();
        assert_fails!(h.queue("orders").create(r#"{"_flavor": "gold"}"#), Error::NoPoolFound { .. });
        h.turn();
        assert!(!h.queue("orders").exists() && !h.queue("orders").is_mapped());
    }

    fn a_queue_that_is_mapped_stays_where_it_is(h) {
        one_and_two(h);
        h.register("fast", at_in("sled:/pools/fast", "ssd"));
        h.offer(&shop(), "gold", of("ssd"));
        h.queue("orders").map_to("two");
        let orders = h.create("orders");
        h.turn();
        assert_eq!(orders.pool(), "two");
        assert!(!orders.create(r#"{"_flavor": "gold"}"#).unwrap());
        orders.set_metadata(r#"{"_flavor": "gold"}"#).unwrap();
        h.turn();
        assert_eq!(orders.pool(), "two");
        assert_eq!(orders.metadata().unwrap(), json(r#"{"_flavor": "gold"}"#));
    }

    fn creating_a_queue_that_lost_its_pool_maps_it_again(h) {
        one_and_two(h);
        let orders = h.create("orders");
        orders.post(2);
        orders.unmap().unwrap();
        h.turn();
        assert!(!orders.create("{}").unwrap());
        h.turn();
        assert_eq!((orders.pool(), orders.all()), ("one".into(), vec!["0".into(), "1".into()]));
    }

    fn new_metadata_map_a_queue_that_lost_its_pool_again(h) {
        one_and_two(h);
        let orders = h.create("orders");
        orders.unmap().unwrap();
        h.change_pool("one", &PoolUpdate::new().weight(0)).unwrap();
        h.turn();
        assert_fails!(orders.set_metadata(r#"{"a": 1}"#), Error::NoPoolFound { .. });
        h.turn();
        assert!(orders.metadata().unwrap().is_empty());
        h.change_pool("two", &PoolUpdate::new().weight(1)).unwrap();
        orders.set_metadata(r#"{"a": 1}"#).unwrap();
        h.turn();
        assert_eq!((orders.pool(), orders.metadata().unwrap()), ("two".into(), json(r#"{"a": 1}"#)));
    }

    fn mapping_a_queue_elsewhere_leaves_what_it_holds_behind(h) {
        one_and_two(h);
        let orders = h.create("orders");
        let old = orders.post(2);
        let claim = orders.take(1);
        orders.subscribe("a");
        orders.remap(Some("two")).unwrap();
        h.turn();
        assert_eq!((orders.all(), orders.counts(), orders.told()), (vec![], (0, 0, 0), vec![]));
        assert_fails!(orders.get(old[0]), Error::MessageDoesNotExist { .. });
        assert_fails!(orders.look_up(claim.id()), Error::ClaimDoesNotExist { .. });
        orders.release(claim.id()).unwrap();
        orders.bulk_delete(&old, &[]).unwrap();
        let new = orders.say("new");
        orders.subscribe("a");
        h.turn();
        assert!(new > old[1]);
        assert_eq!(orders.all(), ["new"]);
        orders.remap(Some("one")).unwrap();
        h.turn();
        assert_eq!((orders.all(), orders.counts()), (vec!["0".into(), "1".into()], (1, 1, 2)));
        assert_eq!(orders.look_up(claim.id()).unwrap().messages().len(), 1);
        assert_fails!(orders.get(new), Error::MessageDoesNotExist { .. });
        assert!(orders.say("newer") > new);
    }

    fn a_queue_without_a_pool_or_a_missing_one_has_nothing(h) {
        one_and_two(h);
        let orders = h.create("orders");
        orders.post(2);
        orders.subscribe("a");
        orders.unmap().unwrap();
        h.queue("mapped").map_to("one");
        h.turn();
        for queue in [&orders, &h.queue("missing")] {
            assert_nothing_there(queue);
            assert_no_subscriptions(queue);
            assert_eq!(queue.purge(Purge::All).unwrap(), 0);
            queue.subscribe("b");
            assert_eq!((queue.told(), queue.purge(Purge::All).unwrap()), (vec!["b".into()], 1));
        }
        assert_nothing_there(&h.queue("mapped"));
        orders.map_to("one");
        h.turn();
        assert_eq!((orders.all().len(), orders.told()), (2, vec!["a".into()]));
    }

    fn a_mapped_queue_that_is_empty_says_so(h) {
        one_and_two(h);
        let orders = h.create("orders");
        h.turn();
        assert_fails!(orders.first(Sort::Oldest), Error::QueueIsEmpty { .. });
        assert!(orders.all().is_empty());
        assert_fails!(orders.get(no_message()), Error::MessageDoesNotExist { .. });
    }

    fn wrong_arguments_are_told_before_a_missing_pool(h) {
        assert_eq!(refused(h.queue("orders").pop(0)), "limit");
        assert_eq!(refused(h.queue("orders").change(no_subscription(), &SubscriptionUpdate::new())), "update");
        assert_eq!(refused(h.queue("orders").create(r#"{"_max_claim_count": -1}"#)), "_max_claim_count");
    }

    fn a_pool_that_is_not_registered_is_told_by_every_call_for_contents(h) {
        one_and_two(h);
        let orders = h.create_with("orders", r#"{"a": 1}"#);
        orders.map_to("none");
        h.turn();
        let driver = h.driver();
        let (messages, subscriptions) = (driver.messages(), driver.subscriptions());
        let (project, name, id) = (&orders.project, &orders.name, no_subscription());
        let refusals = [
            orders.send(&[lasting("42", 60)]).map(drop),
            orders.list(&everything()).map(drop),
            orders.first(Sort::Oldest).map(drop),
            orders.get(no_message()).map(drop),
            messages.bulk_get(project, name, &[no_message()]).map(drop),
            orders.delete(no_message(), None),
            orders.bulk_delete(&[no_message()], &[]),
            orders.pop(1).map(drop),
            orders.stats().map(drop),
            orders.purge(Purge::All).map(drop),
            orders.try_claim(60, 60, 1).map(drop),
            orders.look_up(no_claim()).map(drop),
            orders.renew(no_claim(), 60, 60),
            orders.release(no_claim()),
            orders.try_subscribe("a", 60, "{}").map(drop),
            orders.subscription(id).map(drop),
            subscriptions.exists(project, name, &id).map(drop),
            orders.subscriptions(&ListOptions::new()).map(drop),
            orders.change(id, &to("a")),
            orders.unsubscribe(id),
            orders.confirm(id, true),
            subscriptions.get_with_subscriber(project, name, &hook("a")).map(drop),
        ];
        for (i, refusal) in refusals.into_iter().enumerate() {
            assert!(matches!(&refusal, Err(Error::PoolDoesNotExist { pool }) if pool.as_str() == "none"), "call {i}");
        }
        assert!(orders.exists());
        assert_eq!(orders.metadata().unwrap(), json(r#"{"a": 1}"#));
        assert_eq!(h.names(&QueueListOptions::new()), ["orders"]);
    }

    fn a_deleted_queue_leaves_no_entry_and_no_messages_but_its_subscriptions(h) {
        one_and_two(h);
        let orders = h.create("orders");
        let ids = orders.post(2);
        let claim = orders.take(1);
        let subscription = orders.subscribe("a");
        orders.remove().unwrap();
        h.turn();
        assert!(!orders.exists() && !orders.is_mapped());
        orders.remove().unwrap();
        assert!(orders.create("{}").unwrap());
        h.turn();
        assert!(orders.all().is_empty() && orders.bulk_get(&ids).is_empty());
        assert_fails!(orders.look_up(claim.id()), Error::ClaimDoesNotExist { .. });
        assert!(orders.is_subscribed(subscription));
        assert_eq!(h.driver().health().unwrap().volume().total, 0);
    }

    fn the_content_that_a_deleted_queue_left_elsewhere_does_not_come_back(h) {
        one_and_two(h);
        let orders = h.create("orders");
        let ids = orders.post(2);
        orders.remap(Some("two")).unwrap();
        orders.remove().unwrap();
        orders.create("{}").unwrap();
        h.turn();
        assert_eq!(orders.pool(), "one");
        assert!(orders.all().is_empty() && orders.bulk_get(&ids).is_empty());
    }

    fn subscriptions_wait_for_a_pool_and_go_along(h) {
        one_and_two(h);
        let (orders, others) = (h.queue("orders"), h.create("others"));
        let first = orders.subscribe("a");
        orders.confirm(first, true).unwrap();
        let gone = orders.subscribe("b");
        orders.unsubscribe(gone).unwrap();
        h.turn();
        assert_eq!((orders.told(), others.told()), (vec!["a".to_owned()], vec![]));
        orders.create("{}").unwrap();
        h.turn();
        assert!(orders.subscription(first).unwrap().confirmed());
        let second = orders.subscribe("b");
        assert!(second > gone);
        // A subscription that is created while the queue has no pool replaces the subscriber's in the pool.
        orders.unmap().unwrap();
        assert!(orders.told().is_empty());
        let third = orders.subscribe("a");
        orders.map_to("one");
        h.turn();
        assert!(third > second && !orders.is_subscribed(first));
        assert_eq!(orders.told(), ["b", "a"]);
        orders.unmap().unwrap();
        orders.subscribe("c");
        orders.map_to("two");
        h.turn();
        assert_eq!(orders.told(), ["c"]);
    }

    fn each_pool_has_subscriptions_of_its_own(h) {
        one_and_two(h);
        let orders = h.create("orders");
        let first = orders.subscribe("a");
        orders.remap(Some("two")).unwrap();
        let second = orders.subscribe("a");
        h.turn();
        assert!(second > first && !orders.is_subscribed(first));
        assert_eq!(orders.purge(Purge::Subscriptions).unwrap(), 1);
        orders.remap(Some("one")).unwrap();
        h.turn();
        assert_eq!(orders.subscription_of("a").as_ref().map(Subscription::id), Some(first));
    }

    fn a_dead_letter_moves_to_another_pool(h) {
        one_and_two(h);
        h.queue("dead").map_to("two");
        let dead = h.create("dead");
        let orders = h.create_with("orders", r#"{"_max_claim_count": 1, "_dead_letter_queue": "dead"}"#);
        worn_out(&orders);
        assert!(orders.taken(1).is_empty());
        h.turn();
        assert_eq!((orders.counts().2, dead.all()), (0, vec!["42".into()]));
        assert_eq!((orders.pool(), dead.pool()), ("one".into(), "two".into()));
        assert_eq!(dead.taken(1), ["42"]);
    }

    fn a_missing_dead_letter_queue_is_made_in_a_pool(h) {
        one_and_two(h);
        let orders = h.create_with("orders", r#"{"_max_claim_count": 1, "_dead_letter_queue": "dead"}"#);
        worn_out(&orders);
        assert!(orders.taken(1).is_empty());
        h.turn();
        let dead = h.queue("dead");
        assert_eq!((dead.exists(), dead.pool(), dead.all()), (true, "one".into(), vec!["42".into()]));
    }

    fn a_dead_letter_that_finds_no_pool_waits_for_one(h) {
        h.register("fast", at_in("sled:/pools/fast", "ssd"));
        h.offer(&shop(), "gold", of("ssd"));
        let metadata = r#"{"_flavor": "gold", "_max_claim_count": 1, "_dead_letter_queue": "dead"}"#;
        let (orders, dead) = (h.create_with("orders", metadata), h.queue("dead"));
        worn_out(&orders);
        assert!(orders.taken(1).is_empty());
        h.turn();
        assert_eq!(orders.counts().2, 0);
        assert!(!dead.exists() && !dead.is_mapped());
        h.register("one", at("sled:/pools/one"));
        h.turn();
        assert_eq!((dead.all(), dead.pool()), (vec!["42".into()], "one".into()));
    }

    fn a_dead_letter_waits_until_its_queues_pool_is_registered(h) {
        one_and_two(h);
        h.queue("dead").map_to("late");
        let orders = h.create_with("orders", r#"{"_max_claim_count": 1, "_dead_letter_queue": "dead"}"#);
        worn_out(&orders);
        assert!(orders.taken(1).is_empty());
        h.turn();
        assert_fails!(h.queue("dead").list(&everything()), Error::PoolDoesNotExist { .. });
        h.register("late", at("sled:/pools/late"));
        h.turn();
        assert_eq!((h.queue("dead").all(), h.queue("dead").pool()), (vec!["42".into()], "late".into()));
    }

    fn gc_and_health_go_to_every_pool(h) {
        one_and_two(h);
        let orders = h.create("orders");
        orders.post(3);
        orders.take(1);
        orders.post_lasting(2, 10);
        orders.subscribe_lasting("a", 10);
        orders.remap(Some("two")).unwrap();
        orders.post(1);
        orders.post_lasting(1, 10);
        h.turn();
        h.pass(10);
        let report = h.driver().gc().unwrap();
        assert_eq!((report.messages(), report.claims(), report.subscriptions()), (3, 0, 1));
        let health = h.driver().health().unwrap();
        assert!(health.storage_reachable() && health.pools().iter().all(PoolHealth::is_reachable));
        assert_eq!(figures(health.volume()), (3, 1, 4));
        let pools: Vec<_> = health.pools().iter().map(|pool| (pool.name().as_str(), pool.volume().total)).collect();
        assert_eq!(pools, [("one", 3), ("two", 1)]);
    }

    fn pools_without_a_scheme_share_the_store_itself(h) {
        h.register("one", at("localhost:1"));
        h.register("two", at("localhost:2").weight(0));
        let orders = h.create("orders");
        orders.post(2);
        orders.subscribe("a");
        orders.remap(Some("two")).unwrap();
        h.turn();
        assert_eq!((orders.all(), orders.told()), (vec!["0".into(), "1".into()], vec!["a".into()]));
        let health = h.driver().health().unwrap();
        assert_eq!(figures(health.volume()), (2, 0, 2));
        assert!(health.pools().iter().all(|pool| pool.volume().total == 0));
        orders.remove().unwrap();
        h.turn();
        assert_eq!((orders.exists(), h.driver().health().unwrap().volume().total), (false, 0));
    }

    fn the_content_of_a_memory_pool_is_removed_with_the_pool(h) {
        h.register("one", at("memory:a"));
        let orders = h.create("orders");
        orders.post(2);
        orders.subscribe("a");
        h.change_pool("one", &moved_to("memory:b")).unwrap();
        assert!(orders.all().is_empty() && orders.told().is_empty());
        orders.post(1);
        h.change_pool("one", &moved_to("memory:a")).unwrap();
        assert!(orders.all().is_empty() && orders.told().is_empty());
        h.turn();
        orders.post(1);
        h.remove_pool("one").unwrap();
        h.register("one", at("memory:a"));
        assert!(orders.all().is_empty());
        orders.post(3);
        assert_eq!(orders.counts(), (0, 3, 3));
    }

    fn the_content_of_a_disk_is_there_for_the_next_pool(h) {
        h.register("one", at("sled:/pools/one"));
        let orders = h.create("orders");
        orders.post(2);
        h.remove_pool("one").unwrap();
        h.turn();
        assert_fails!(orders.stats(), Error::PoolDoesNotExist { .. });
        h.register("again", at("sled:/pools/one"));
        orders.remap(Some("again")).unwrap();
        h.turn();
        assert_eq!(orders.all(), ["0", "1"]);
    }

    fn a_pooled_driver_promises_everything_as_it_cannot_know(h) {
        assert_eq!(h.driver().capabilities(), Capabilities::all());
    }

    fn projects_are_kept_apart_in_a_pool(h) {
        one_and_two(h);
        let (orders, others) = (h.create("orders"), h.queue_in(&Project::none(), "orders"));
        others.create("{}").unwrap();
        let id = orders.say("ours");
        orders.subscribe("a");
        h.turn();
        assert!(others.all().is_empty() && others.told().is_empty());
        assert_fails!(others.get(id), Error::MessageDoesNotExist { .. });
        others.remove().unwrap();
        h.turn();
        assert_eq!(orders.all(), ["ours"]);
    }
}
