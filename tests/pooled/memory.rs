//! Memory pools, and queues in the control store itself.

use zaqar_sled::{Capabilities, Capability, Error, MessageMarker, NewPool, PoolUpdate, Pools};

use crate::subscriptions::{names, subscribe, subscribed};
use crate::support::{Harness, assert_fails, group_of, pool_of};

/// The control store as a pool, which gets the new queues, and another.
fn home_and_one(h: &Harness) {
    h.pool_at("home", "localhost", 1);
    h.pool("one", 0);
}

/// A driver whose control store holds the queues without a pool.
fn virtual_pool(h: &Harness) -> Harness {
    h.with(|config| config.virtual_pool(true))
}

pooled! {
    fn a_memory_pool_works_like_any_other_until_it_is_opened_again(h) {
        h.pool_at("scratch", "memory:x", 1);
        let orders = h.create_with("orders", r#"{"a": 1}"#);
        let ids = orders.post(5);
        let claim = orders.take(2);
        orders.delete(ids[0], Some(claim.id())).unwrap();
        subscribe(h, &orders, "a", 3600).unwrap();
        assert_eq!(orders.counts(), (1, 3, 4));
        h.reopen();
        h.turn();
        // Empty, not missing.
        assert!(orders.exists());
        assert_eq!(orders.metadata().unwrap().to_json(), r#"{"a":1}"#);
        assert_eq!(orders.pool().as_deref(), Some("scratch"));
        assert_eq!(orders.counts(), (0, 0, 0));
        assert!(orders.all().is_empty() && subscribed(h, &orders).is_empty());
        assert_fails!(orders.get(ids[1]), Error::MessageDoesNotExist { .. });
        assert_fails!(orders.look_up(claim.id()), Error::ClaimDoesNotExist { .. });
        let new = orders.post(5);
        assert!(new.iter().all(|id| !ids.contains(id)));
        assert_eq!(orders.after(ids[4]).len(), 5);
    }

    fn a_memory_pool_does_not_promise_what_a_durable_one_does(h) {
        h.pool_at("scratch", "memory:x", 1);
        let lasting = NewPool::new("sled:/one".parse().unwrap());
        assert_fails!(h.try_pool("one", &lasting), Error::PoolCapabilitiesMismatch { .. });
        h.try_pool("one", &lasting.group(group_of("lasting"))).unwrap();
        let update = PoolUpdate::new().group(None);
        assert_fails!(h.change_pool("one", &update), Error::PoolCapabilitiesMismatch { .. });
        assert_fails!(
            h.change_pool("scratch", &PoolUpdate::new().group(group_of("lasting"))),
            Error::PoolCapabilitiesMismatch { .. }
        );
        h.turn();
        let driver = h.driver();
        let promised = |group: Option<&str>| {
            Pools::capabilities(&driver, group.map(group_of).as_ref(), None).unwrap()
        };
        assert_eq!(promised(None), Capabilities::all().without(Capability::Durability));
        assert_eq!(promised(Some("lasting")), Capabilities::all());
        assert_eq!(
            Pools::capabilities(&driver, None, Some(&pool_of("scratch"))).unwrap(),
            Capabilities::all().without(Capability::Durability)
        );
        let same = NewPool::new("memory:x".parse().unwrap());
        assert_fails!(h.try_pool("other", &same), Error::PoolAlreadyExists { .. });
        h.try_pool("other", &NewPool::new("memory:y".parse().unwrap())).unwrap();
    }

    fn two_memory_pools_are_two_stores(h) {
        h.pool_at("one", "memory:x", 1);
        h.pool_at("two", "memory:y", 0);
        let orders = h.create("orders");
        orders.say("x");
        orders.route("two");
        orders.say("y");
        assert_eq!(orders.all(), ["y"]);
        orders.route("one");
        assert_eq!(orders.all(), ["x"]);
        h.turn();
    }

    fn queues_move_into_memory_and_out_of_it(h) {
        h.pool_at("scratch", "memory:x", 1);
        h.try_pool("one", &NewPool::new("sled:/one".parse().unwrap()).group(group_of("lasting"))).unwrap();
        let orders = h.create("orders");
        let ids = orders.post(5);
        orders.move_to("one").unwrap();
        h.turn();
        assert_eq!(orders.all(), ["0", "1", "2", "3", "4"]);
        orders.move_to("scratch").unwrap();
        assert_eq!(orders.get(ids[3]).unwrap().id(), ids[3]);
        orders.move_to("one").unwrap();
        h.turn();
        assert_eq!(orders.counts(), (0, 5, 5));
    }

    fn a_memory_pool_dies_with_the_process_and_leaves_nothing_to_do(h) {
        h.pool_at("scratch", "memory:x", 1);
        let orders = h.create("orders");
        orders.post(5);
        orders.remove().unwrap();
        h.reopen();
        h.settle();
        h.create("orders").say("new");
        h.kill();
        assert!(orders.all().is_empty());
        h.settle();
    }

    fn the_control_store_can_be_a_pool(h) {
        home_and_one(h);
        let orders = h.create_with("orders", r#"{"a": 1}"#);
        let ids = orders.post(5);
        let claim = orders.take(2);
        subscribe(h, &orders, "a", 3600).unwrap();
        h.turn();
        assert_eq!(orders.pool().as_deref(), Some("home"));
        assert_eq!(orders.counts(), (2, 3, 5));
        assert_eq!(names(h, &orders), ["a"]);
        orders.delete(ids[0], Some(claim.id())).unwrap();
        assert_eq!(orders.purge(zaqar_sled::Purge::All).unwrap(), 5);
        h.turn();
        assert_eq!(orders.counts(), (0, 0, 0));
        orders.say("new");
        orders.remove().unwrap();
        // Record and messages were in one store, so nothing is left.
        assert_eq!(h.pending(), (0, 0));
        h.turn();
        assert!(!orders.exists());
        let again = h.create("orders");
        assert!(again.all().is_empty());
        assert!(again.bulk_get(&ids).unwrap().is_empty());
        h.settle();
    }

    fn queues_are_routed_out_of_the_control_store_and_back(h) {
        home_and_one(h);
        let orders = h.create("orders");
        let mut marker: MessageMarker = orders.say("home 0").into();
        for round in 1..4 {
            orders.route("one");
            h.turn();
            let id = orders.say(&format!("one {round}"));
            assert_eq!(orders.after(marker), [format!("one {round}")]);
            orders.route("home");
            h.turn();
            marker = id.into();
            let id = orders.say(&format!("home {round}"));
            assert_eq!(orders.after(marker), [format!("home {round}")]);
            marker = id.into();
        }
        assert_eq!(orders.all(), ["home 0", "home 1", "home 2", "home 3"]);
        orders.route("one");
        assert_eq!(orders.all(), ["one 1", "one 2", "one 3"]);
        orders.remove().unwrap();
        h.settle();
        assert!(h.create("orders").all().is_empty());
    }

    fn a_pool_that_leaves_the_control_store_and_comes_back_skips_nothing(h) {
        h.pool_at("one", "localhost", 1);
        let orders = h.create("orders");
        let mut marker: MessageMarker = orders.say("first").into();
        for (round, uri) in ["sled:/elsewhere", "localhost", "sled:/elsewhere", "localhost"].iter().enumerate() {
            h.change_pool("one", &PoolUpdate::new().uri(uri.parse().unwrap())).unwrap();
            let id = orders.say(&round.to_string());
            assert_eq!(orders.after(marker), [round.to_string()], "in {uri}");
            marker = id.into();
            h.turn();
        }
        assert_eq!(orders.all(), ["first", "1", "3"]);
    }

    fn queues_move_into_the_control_store_and_out_of_it(h) {
        home_and_one(h);
        let orders = h.create_with("orders", r#"{"a": 1}"#);
        let ids = orders.post(200);
        let claim = orders.take(10);
        subscribe(h, &orders, "a", 3600).unwrap();
        for pool in ["one", "home", "one", "home"] {
            let before = orders.messages();
            orders.move_to(pool).unwrap();
            h.turn();
            assert_eq!(orders.pool().as_deref(), Some(pool));
            assert_eq!(orders.messages(), before);
            assert_eq!(orders.counts(), (10, 190, 200));
            assert_eq!(orders.look_up(claim.id()).unwrap().messages().len(), 10);
            assert_eq!(names(h, &orders), ["a"]);
            assert_eq!(orders.metadata().unwrap().to_json(), r#"{"a":1}"#);
            h.settle();
        }
        assert!(orders.say("above") > ids[199]);
        orders.remove().unwrap();
        h.settle();
        assert!(!orders.exists());
    }

    fn two_names_for_the_control_store_are_two_pools_of_one_store(h) {
        h.pool_at("one", "localhost", 1);
        h.pool_at("two", "localhost:2", 0);
        assert_fails!(h.try_pool("three", &NewPool::new("localhost".parse().unwrap())), Error::PoolAlreadyExists { .. });
        let orders = h.create("orders");
        orders.say("coffee");
        orders.move_to("two").unwrap();
        h.turn();
        assert_eq!(orders.all(), ["coffee"]);
        orders.route("one");
        orders.say("tea");
        h.turn();
        assert_eq!(orders.all(), ["coffee", "tea"]);
    }

    fn with_a_virtual_pool_queues_need_no_other(h) {
        let h = &virtual_pool(h);
        let orders = h.create("orders");
        assert_eq!(orders.pool(), None);
        let ids = orders.post(3);
        subscribe(h, &orders, "a", 3600).unwrap();
        h.turn();
        assert_eq!(orders.all(), ["0", "1", "2"]);
        assert_eq!(names(h, &orders), ["a"]);
        assert!(!orders.create("{}").unwrap());
        assert_eq!(orders.taken(1), ["0"]);
        orders.delete(ids[1], None).unwrap();
        assert_eq!(orders.counts(), (1, 1, 2));
        assert_fails!(orders.move_to("one"), Error::QueueNotMapped { .. });
        assert_fails!(h.queue("bills").try_say("x"), Error::QueueDoesNotExist { .. });
        orders.remove().unwrap();
        assert_eq!(h.pending(), (0, 0));
        h.turn();
        assert!(h.create("orders").all().is_empty());
        h.check();
    }

    fn a_virtual_pool_is_the_last_resort_and_not_for_flavors(h) {
        let h = &virtual_pool(h);
        h.flavor("gold", None);
        assert_fails!(h.queue("orders").create(r#"{"_flavor": "gold"}"#), Error::NoPoolFound { .. });
        assert_eq!(h.create("orders").pool(), None);
        h.pool("one", 1);
        h.turn();
        assert_eq!(h.create("bills").pool().as_deref(), Some("one"));
        // A queue without a pool gets one at its next registration.
        h.queue("orders").set_metadata("{}").unwrap();
        assert_eq!(h.queue("orders").pool().as_deref(), Some("one"));
        h.check();
    }

    fn a_marker_never_skips_a_message_on_the_way_back_to_the_virtual_pool(h) {
        let h = &virtual_pool(h);
        let orders = h.create("orders");
        h.pool("one", 1);
        let mut marker: MessageMarker = orders.say("virtual 0").into();
        for round in 1..4 {
            orders.route("one");
            let id = orders.say(&format!("one {round}"));
            assert_eq!(orders.after(marker), [format!("one {round}")]);
            marker = id.into();
            orders.unmap();
            h.turn();
            let id = orders.say(&format!("virtual {round}"));
            assert_eq!(orders.after(marker), [format!("virtual {round}")], "round {round}");
            marker = id.into();
        }
        assert_eq!(orders.all(), ["virtual 0", "virtual 1", "virtual 2", "virtual 3"]);
        h.check();
    }

    fn subscriptions_never_stand_before_a_marker_on_the_way_back_to_the_virtual_pool(h) {
        let h = &virtual_pool(h);
        h.pool("one", 1);
        let orders = h.create("orders");
        let a = subscribe(h, &orders, "a", 3600).unwrap();
        orders.unmap();
        h.turn();
        let b = subscribe(h, &orders, "b", 3600).unwrap();
        assert!(b > a);
        h.check();
    }
}
