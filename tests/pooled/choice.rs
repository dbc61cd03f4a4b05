//! Which pool a new queue gets.

use std::collections::BTreeMap;

use zaqar_sled::{Catalogue, Error, FlavorName, Flavors, NewPool, PoolUpdate, Pools};

use crate::support::{Harness, assert_fails, group_of, json, pool_of, shop};

/// How many of so many new queues each pool gets.
fn spread(h: &Harness, queues: usize, metadata: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for number in 0..queues {
        let queue = h.create_with(&format!("q{number}"), metadata);
        *counts.entry(queue.pool().expect("it is mapped")).or_default() += 1;
    }
    counts
}

#[test]
fn ten_thousand_queues_spread_by_weight() {
    let h = Harness::live().with(|config| config.seed(20_260_101));
    let weights = [("one", 1), ("three", 3), ("six", 6), ("never", 0), ("below", -7)];
    for (name, weight) in weights {
        h.pool(name, weight);
    }
    let counts = spread(&h, 10_000, "{}");
    assert!(!counts.contains_key("never") && !counts.contains_key("below"), "{counts:?}");
    let chi_square: f64 = [("one", 1000.0), ("three", 3000.0), ("six", 6000.0)]
        .iter()
        .map(|(name, expected)| {
            let seen = f64::from(u32::try_from(counts[*name]).unwrap());
            (seen - expected).powi(2) / expected
        })
        .sum();
    // Two degrees of freedom: one in a thousand honest runs is above 13.8.
    assert!(chi_square < 13.8, "{counts:?} gives a chi-square of {chi_square}");
    h.check();
}

#[test]
fn large_weights_do_not_overflow() {
    let h = Harness::live().with(|config| config.seed(7));
    h.pool("one", i64::MAX);
    h.pool("two", i64::MAX);
    h.pool("three", i64::MIN);
    let counts = spread(&h, 200, "{}");
    assert!(counts["one"] > 50 && counts["two"] > 50 && counts.len() == 2, "{counts:?}");
    h.pool("four", i64::MAX);
    let queue = h.create("another");
    assert!(queue.pool().is_some());
}

pooled! {
    fn a_new_queue_gets_a_pool_and_keeps_it(h) {
        h.two_pools();
        let orders = h.create("orders");
        assert_eq!(orders.pool().as_deref(), Some("one"));
        h.prefer("two");
        h.turn();
        assert!(!orders.create("{}").unwrap());
        orders.set_metadata(r#"{"a": 1}"#).unwrap();
        assert_eq!(orders.pool().as_deref(), Some("one"));
        assert_eq!(h.create("bills").pool().as_deref(), Some("two"));
    }

    fn weights_change_at_once(h) {
        h.two_pools();
        for number in 0..20 {
            let preferred = if number % 2 == 0 { "one" } else { "two" };
            h.prefer(preferred);
            assert_eq!(h.create(&format!("q{number}")).pool().as_deref(), Some(preferred));
        }
        h.turn();
        assert_eq!(h.create("last").pool().as_deref(), Some("two"));
    }

    fn without_a_pool_there_is_no_queue(h) {
        assert_fails!(h.queue("orders").create("{}"), Error::NoPoolFound { .. });
        assert!(!h.queue("orders").exists());
        h.pool("one", 0);
        h.pool("two", -1);
        h.turn();
        assert_fails!(h.queue("orders").create("{}"), Error::NoPoolFound { .. });
        assert!(!h.queue("orders").exists());
        assert_eq!(h.queue("orders").pool(), None);
        h.pool("three", 1);
        assert!(h.queue("orders").create("{}").unwrap());
    }

    fn queues_without_a_flavor_go_to_pools_without_a_group(h) {
        h.pool_in("fast", "one", 1000);
        assert_fails!(h.queue("orders").create("{}"), Error::NoPoolFound { .. });
        h.pool("two", 1);
        h.turn();
        for number in 0..20 {
            assert_eq!(h.create(&format!("q{number}")).pool().as_deref(), Some("two"));
        }
    }

    fn a_flavor_stands_for_its_group(h) {
        h.pool("one", 1000);
        h.pool_in("fast", "two", 1);
        h.pool_in("fast", "three", 0);
        h.flavor("gold", Some("fast"));
        h.turn();
        for number in 0..20 {
            let queue = h.create_with(&format!("q{number}"), r#"{"_flavor": "gold"}"#);
            assert_eq!(queue.pool().as_deref(), Some("two"));
        }
        assert_eq!(h.create_with("none", r#"{"_flavor": null}"#).pool().as_deref(), Some("one"));
    }

    fn a_flavor_that_names_no_group_stands_for_its_own_name(h) {
        h.pool("one", 1000);
        h.flavor("gold", None);
        assert_fails!(h.queue("orders").create(r#"{"_flavor": "gold"}"#), Error::NoPoolFound { .. });
        h.pool_in("gold", "two", 1);
        h.turn();
        assert_eq!(h.create_with("orders", r#"{"_flavor": "gold"}"#).pool().as_deref(), Some("two"));
    }

    fn a_flavor_of_an_empty_group_finds_no_pool(h) {
        h.pool("one", 1);
        h.pool_in("fast", "two", 1);
        h.flavor("gold", Some("fast"));
        h.change_pool("two", &PoolUpdate::new().weight(0)).unwrap();
        h.turn();
        assert_fails!(h.queue("orders").create(r#"{"_flavor": "gold"}"#), Error::NoPoolFound { .. });
        Pools::drop_all(&h.driver()).unwrap();
        assert_fails!(h.queue("orders").create(r#"{"_flavor": "gold"}"#), Error::NoPoolFound { .. });
        assert!(!h.queue("orders").exists());
        assert_eq!(h.queue("orders").pool(), None);
    }

    fn an_unknown_flavor_is_told(h) {
        h.pool("one", 1);
        assert_fails!(h.queue("orders").create(r#"{"_flavor": "gold"}"#), Error::FlavorDoesNotExist { .. });
        let elsewhere = h.queue_in(&zaqar_sled::Project::none(), "orders");
        h.flavor("gold", None);
        h.turn();
        // A flavor is a project's own.
        assert_fails!(elsewhere.create(r#"{"_flavor": "gold"}"#), Error::FlavorDoesNotExist { .. });
        assert!(!h.queue("orders").exists() && !elsewhere.exists());
        assert_eq!((h.queue("orders").pool(), elsewhere.pool()), (None, None));
    }

    fn a_deleted_flavor_leaves_its_queues_where_they_are(h) {
        h.pool_in("fast", "one", 1);
        h.flavor("gold", Some("fast"));
        let orders = h.create_with("orders", r#"{"_flavor": "gold"}"#);
        orders.say("coffee");
        Flavors::delete(&h.driver(), &shop(), &FlavorName::new("gold").unwrap()).unwrap();
        h.turn();
        assert_eq!(orders.all(), ["coffee"]);
        orders.say("tea");
        assert_fails!(h.queue("bills").create(r#"{"_flavor": "gold"}"#), Error::FlavorDoesNotExist { .. });
    }

    fn a_changed_flavor_leaves_a_mapped_queue_where_it_is(h) {
        h.pool("one", 1);
        h.pool_in("fast", "two", 1);
        h.flavor("gold", Some("fast"));
        let orders = h.create("orders");
        orders.say("coffee");
        orders.set_metadata(r#"{"_flavor": "gold"}"#).unwrap();
        h.turn();
        assert_eq!(orders.pool().as_deref(), Some("one"));
        assert_eq!(orders.all(), ["coffee"]);
    }

    fn creating_an_unmapped_queue_again_maps_it(h) {
        h.two_pools();
        let orders = h.create_with("orders", r#"{"a": 1}"#);
        orders.unmap();
        h.turn();
        assert_fails!(orders.try_say("tea"), Error::QueueDoesNotExist { .. });
        assert!(!orders.create(r#"{"b": 2}"#).unwrap());
        assert_eq!(orders.pool().as_deref(), Some("one"));
        assert_eq!(orders.metadata().unwrap(), json(r#"{"a": 1}"#));
        h.turn();
        orders.say("tea");
        assert_eq!(orders.all(), ["tea"]);
    }

    fn new_metadata_maps_an_unmapped_queue(h) {
        h.two_pools();
        h.pool_in("fast", "three", 1);
        h.flavor("gold", Some("fast"));
        let orders = h.create("orders");
        orders.unmap();
        h.turn();
        orders.set_metadata(r#"{"_flavor": "gold"}"#).unwrap();
        assert_eq!(orders.pool().as_deref(), Some("three"));
        orders.say("tea");
        h.turn();
        assert_eq!(orders.all(), ["tea"]);
        assert_eq!(orders.metadata().unwrap(), json(r#"{"_flavor": "gold"}"#));
    }

    fn new_metadata_that_finds_no_pool_changes_nothing(h) {
        h.two_pools();
        h.flavor("gold", None);
        let orders = h.create_with("orders", r#"{"a": 1}"#);
        orders.unmap();
        assert_fails!(orders.set_metadata(r#"{"_flavor": "gold"}"#), Error::NoPoolFound { .. });
        assert_fails!(orders.set_metadata(r#"{"_flavor": "lead"}"#), Error::FlavorDoesNotExist { .. });
        h.turn();
        assert_eq!(orders.metadata().unwrap(), json(r#"{"a": 1}"#));
        assert_eq!(orders.pool(), None);
    }

    fn new_metadata_for_a_queue_that_is_not_there_maps_nothing(h) {
        h.two_pools();
        assert_fails!(h.queue("orders").set_metadata("{}"), Error::QueueDoesNotExist { .. });
        h.turn();
        assert_eq!(h.queue("orders").pool(), None);
    }

    fn a_mapping_made_before_the_queue_holds(h) {
        h.two_pools();
        let orders = h.queue("orders");
        orders.route("two");
        h.turn();
        assert!(orders.create("{}").unwrap());
        assert_eq!(orders.pool().as_deref(), Some("two"));
        orders.say("coffee");
        h.turn();
        assert_eq!(orders.all(), ["coffee"]);
        orders.route("one");
        assert!(orders.all().is_empty());
    }

    fn capabilities_and_stores_are_compared_as_in_the_control_store(h) {
        h.two_pools();
        let memory = NewPool::new("memory:x".parse().unwrap());
        assert_fails!(h.try_pool("three", &memory), Error::PoolCapabilitiesMismatch { .. });
        let taken = NewPool::new("sled:/there/../one".parse().unwrap());
        assert_fails!(h.try_pool("three", &taken), Error::PoolAlreadyExists { .. });
        h.turn();
        let driver = h.driver();
        let names: Vec<String> =
            driver.get_pools_by_group(None, false).unwrap().iter().map(|pool| pool.name().to_string()).collect();
        assert_eq!(names, ["one", "two"]);
        assert!(driver.get_pools_by_group(Some(&group_of("fast")), false).unwrap().is_empty());
        assert!(Catalogue::list(&driver, &shop()).unwrap().is_empty());
        assert_fails!(Pools::get(&driver, &pool_of("three"), true), Error::PoolDoesNotExist { .. });
    }
}
