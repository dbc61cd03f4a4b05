//! Contract 9: updates of pools.

use crate::support::*;
use zaqar_sled::{Error, Limits, NewFlavor, PoolGroup, PoolUpdate};

/// An update that puts a pool into the group; into none for `None`.
fn into_group(group: Option<PoolGroup>) -> PoolUpdate {
    PoolUpdate::new().group(group)
}

/// The pool's URI, weight and group.
fn facts(h: &Harness, name: &str) -> (String, i64, Option<String>) {
    let pool = h.pool(name).unwrap();
    (pool.uri().to_string(), pool.weight(), pool.group().map(ToString::to_string))
}

contract! {
    fn an_update_changes_what_it_sets_and_nothing_else(h) {
        h.register("one", at_in("sled:/p/1", "ssd").weight(7).options(json(r#"{"rack": 1}"#)));
        h.change_pool("one", &PoolUpdate::new().weight(0)).unwrap();
        h.turn();
        assert_eq!(facts(h, "one"), ("sled:/p/1".into(), 0, Some("ssd".into())));
        h.change_pool("one", &moved_to("sled:/p/2")).unwrap();
        h.turn();
        assert_eq!(facts(h, "one"), ("sled:/p/2".into(), 0, Some("ssd".into())));
        h.change_pool("one", &into_group(Some(group("hdd")))).unwrap();
        h.turn();
        assert_eq!(facts(h, "one"), ("sled:/p/2".into(), 0, Some("hdd".into())));
        assert_eq!(h.pool("one").unwrap().options(), Some(&json(r#"{"rack": 1}"#)));
        h.change_pool("one", &PoolUpdate::new().options(json(r#"{"b": 2}"#))).unwrap();
        h.turn();
        assert_eq!(facts(h, "one"), ("sled:/p/2".into(), 0, Some("hdd".into())));
        assert_eq!(h.pool("one").unwrap().options(), Some(&json(r#"{"b": 2}"#)));
    }

    fn an_update_may_set_everything_at_once(h) {
        h.register("one", at_in("sled:/p/1", "ssd"));
        let update = moved_to("memory:a").weight(-3).group(group("ram")).options(json(r#"{"memory": 9}"#));
        h.change_pool("one", &update).unwrap();
        h.turn();
        assert_eq!(facts(h, "one"), ("memory:a".into(), -3, Some("ram".into())));
        assert_eq!(h.pool("one").unwrap().options(), Some(&json(r#"{"memory": 9}"#)));
    }

    fn a_pool_is_taken_out_of_its_group(h) {
        h.register("one", at_in("sled:/p/1", "ssd"));
        h.change_pool("one", &into_group(None)).unwrap();
        h.turn();
        assert_eq!(h.pool("one").unwrap().group(), None);
        assert_eq!((h.pools_of(""), h.pools_of("ssd")), (vec!["one".to_owned()], vec![]));
    }

    fn the_last_pool_of_a_flavors_group_is_not_taken_out_of_it(h) {
        h.register("one", at_in("sled:/p/1", "ssd"));
        h.register("two", at_in("sled:/p/2", "ssd"));
        h.offer(&shop(), "fast", NewFlavor::of(group("ssd")));
        // One of two pools may leave the group.
        h.change_pool("one", &into_group(Some(group("hdd")))).unwrap();
        h.turn();
        for into in [None, Some(group("hdd"))] {
            assert_fails!(h.change_pool("two", &into_group(into)), Error::PoolInUseByFlavor { pool, flavor }
                if pool == pool_name("two") && flavor == "fast");
        }
        for another in [at("sled:/p/2"), at_in("sled:/p/2", "hdd"), at_in("sled:/p/3", "hdd")] {
            assert_fails!(h.try_register("two", another), Error::PoolInUseByFlavor { .. });
        }
        h.turn();
        assert_eq!(facts(h, "two"), ("sled:/p/2".into(), 1, Some("ssd".into())));
        // An update that leaves the pool in its group is allowed.
        h.register("two", at_in("sled:/p/3", "ssd").weight(4));
        h.change_pool("two", &into_group(Some(group("ssd"))).weight(5)).unwrap();
        h.remove_flavor(&shop(), "fast").unwrap();
        h.turn();
        h.change_pool("two", &into_group(None)).unwrap();
        assert_eq!(facts(h, "two"), ("sled:/p/3".into(), 5, None));
    }

    fn a_pool_alone_in_its_group_may_promise_something_else(h) {
        h.register("one", at_in("sled:/p/1", "ssd"));
        h.change_pool("one", &moved_to("memory:a")).unwrap();
        h.turn();
        h.register("two", at_in("memory:b", "ssd"));
        assert_fails!(h.change_pool("one", &moved_to("sled:/p/1")), Error::PoolCapabilitiesMismatch { .. });
        h.register("three", at("memory:c"));
        assert_fails!(h.try_register("four", at("sled:/p/4")), Error::PoolCapabilitiesMismatch { .. });
        h.register("three", at("sled:/p/5"));
        h.turn();
        assert_eq!(facts(h, "three").0, "sled:/p/5");
    }

    fn an_update_that_sets_nothing_is_invalid_even_for_a_missing_pool(h) {
        h.register("one", at("sled:/p/1"));
        h.turn();
        for name in ["one", "none"] {
            assert_eq!(refused(h.change_pool(name, &PoolUpdate::new())), "update");
        }
    }

    fn updating_a_missing_pool_fails_before_all_else(h) {
        h.register("one", at("sled:/p/1"));
        h.turn();
        let updates = [
            PoolUpdate::new().weight(1),
            moved_to("sled:/p/1"),
            moved_to("memory:a"),
            PoolUpdate::new().options(json(r#"{"memory": -1}"#)),
        ];
        for update in updates {
            assert_fails!(h.change_pool("none", &update), Error::PoolDoesNotExist { pool } if pool == pool_name("none"));
        }
        h.turn();
        assert_eq!(h.pools(), ["one"]);
    }

    fn a_new_store_must_promise_what_the_pools_own_group_does(h) {
        h.register("one", at_in("sled:/p/1", "ssd"));
        h.register("two", at_in("sled:/p/2", "ssd"));
        h.turn();
        assert_fails!(h.change_pool("one", &moved_to("memory:a")), Error::PoolCapabilitiesMismatch { pool }
            if pool == pool_name("one"));
        h.remove_pool("two").unwrap();
        h.turn();
        h.change_pool("one", &moved_to("memory:a")).unwrap();
        h.turn();
        assert_eq!(facts(h, "one").0, "memory:a");
    }

    fn a_new_group_must_promise_what_the_pool_does(h) {
        h.register("disk", at_in("sled:/p/1", "ssd"));
        h.register("memory", at_in("memory:a", "ram"));
        h.register("free", at("sled:/p/2"));
        h.turn();
        for update in [into_group(Some(group("ssd"))), into_group(None)] {
            assert_fails!(h.change_pool("memory", &update), Error::PoolCapabilitiesMismatch { .. });
        }
        h.turn();
        assert_eq!(facts(h, "memory").2, Some("ram".into()));
        h.change_pool("memory", &into_group(Some(group("new")))).unwrap();
        h.change_pool("disk", &into_group(None)).unwrap();
        h.turn();
        assert_eq!((h.pools_of("new"), h.pools_of("")), (vec!["memory".into()], vec!["disk".into(), "free".into()]));
    }

    fn a_new_store_is_compared_with_the_new_group(h) {
        h.register("one", at_in("sled:/p/1", "ssd"));
        h.register("two", at_in("sled:/p/2", "ssd"));
        h.register("memory", at_in("memory:a", "ram"));
        h.turn();
        h.change_pool("one", &moved_to("memory:b").group(group("ram"))).unwrap();
        h.turn();
        assert_eq!(h.pools_of("ram"), ["memory", "one"]);
        assert_fails!(h.change_pool("two", &moved_to("sled:/p/3").group(group("ram"))), Error::PoolCapabilitiesMismatch { .. });
    }

    fn a_store_that_another_pool_has_is_refused(h) {
        h.register("one", at("sled:/p/1"));
        h.register("two", at_in("sled:/p/2", "ssd"));
        h.turn();
        for uri in ["sled:/p/1", "sled:/x/../p/1?memory=7"] {
            assert_fails!(h.change_pool("two", &moved_to(uri)), Error::PoolAlreadyExists { pool, other }
                if (&pool, &other) == (&pool_name("two"), &pool_name("one")));
        }
        h.turn();
        assert_eq!(facts(h, "two").0, "sled:/p/2");
    }

    fn a_pool_keeps_its_own_store_however_it_is_written(h) {
        h.register("one", at("sled:/p/1"));
        h.register("two", at("sled:/p/2"));
        h.change_pool("one", &moved_to("sled:/p//1?durability=buffered")).unwrap();
        h.turn();
        assert_eq!(facts(h, "one").0, "sled:/p//1?durability=buffered");
    }

    fn a_mismatch_is_told_before_a_store_that_is_taken(h) {
        h.register("one", at_in("sled:/p/1", "ssd"));
        h.register("two", at_in("sled:/p/2", "ssd"));
        h.register("memory", at_in("memory:a", "ram"));
        h.turn();
        assert_fails!(h.change_pool("one", &moved_to("memory:a")), Error::PoolCapabilitiesMismatch { .. });
        let bad = moved_to("memory:a").options(json(r#"{"durability": "x"}"#));
        assert_eq!(refused(h.change_pool("one", &bad)), "durability");
    }

    fn a_refused_update_changes_nothing(h) {
        h.register("one", at("sled:/p/1"));
        h.register("two", at("sled:/p/2"));
        h.turn();
        let all = |uri: &str| moved_to(uri).weight(9).group(None).options(json(r#"{"a": 1}"#));
        assert!(h.change_pool("one", &all("sled:/p/2")).is_err());
        assert!(h.change_pool("one", &all("memory:a")).is_err());
        assert!(h.change_pool("one", &all("sled:/p/3").options(json(r#"{"memory": []}"#))).is_err());
        h.turn();
        assert_eq!(facts(h, "one"), ("sled:/p/1".into(), 1, None));
        assert!(h.pool("one").unwrap().options().unwrap().is_empty());
    }

    fn a_missing_pool_is_told_before_options_that_are_too_large(h) {
        let h = &h.with_limits(Limits::zaqar());
        let large = json(&format!(r#"{{"a": "{}"}}"#, "x".repeat(65_536)));
        assert_fails!(h.change_pool("none", &PoolUpdate::new().options(large)), Error::PoolDoesNotExist { .. });
    }
}
