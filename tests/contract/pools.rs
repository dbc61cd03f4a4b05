//! Contract 9: the pool controller, with its rows of 14 and the bugs of 16.

use crate::support::*;
use zaqar_sled::{
    Capabilities, Capability, Error, Limits, ListOptions, NewFlavor, NewPool, Pool, PoolGroup, PoolMarker, PoolUpdate,
    Project,
};

fn page(limit: usize) -> ListOptions<PoolMarker> {
    ListOptions::new().limit(limit)
}

/// The names on that page.
fn names(h: &Harness, options: &ListOptions<PoolMarker>) -> Vec<String> {
    let page = h.control().pools().list(options).unwrap();
    page.into_iter().map(|pool| pool.name().to_string()).collect()
}

/// The capabilities of a pool in memory.
fn volatile() -> Capabilities {
    Capabilities::all().without(Capability::Durability)
}

fn promised(h: &Harness, group: Option<&PoolGroup>, pool: Option<&str>) -> Capabilities {
    h.control().pools().capabilities(group, pool.map(pool_name).as_ref()).unwrap()
}

contract! {
    /// Redis 8: no pool could be created.
    fn a_pool_tells_all_it_was_made_with(h) {
        let pool = at_in("sled:/p/1?durability=buffered", "ssd").weight(7).options(json(r#"{"memory": 5, "rack": "r"}"#));
        h.register("one", pool);
        h.turn();
        let pool = h.pool("one").unwrap();
        assert_eq!((pool.name(), pool.weight(), pool.group()), (&pool_name("one"), 7, Some(&group("ssd"))));
        assert_eq!(pool.uri().as_str(), "sled:/p/1?durability=buffered");
        assert_eq!(pool.options().unwrap().to_json(), r#"{"memory":5,"rack":"r"}"#);
    }

    fn a_pool_has_no_group_and_no_options_unless_given(h) {
        h.register("one", at("sled:/p/1"));
        h.turn();
        let pool = h.pool("one").unwrap();
        assert_eq!((pool.group(), pool.weight()), (None, 1));
        assert!(pool.options().unwrap().is_empty());
    }

    fn options_are_told_only_when_asked_for(h) {
        h.register("one", at_in("sled:/p/1", "ssd").options(json(r#"{"rack": 1}"#)));
        h.turn();
        let control = h.control();
        let pools = control.pools();
        assert_eq!(pools.get(&pool_name("one"), false).unwrap().options(), None);
        for detailed in [false, true] {
            let listed = pools.list(&page(0).detailed(detailed)).unwrap().items;
            let grouped = pools.get_pools_by_group(Some(&group("ssd")), detailed).unwrap();
            for pools in [listed, grouped] {
                assert_eq!(pools[0].options(), detailed.then(|| json(r#"{"rack": 1}"#)).as_ref());
            }
        }
    }

    fn any_weight_is_taken(h) {
        for (i, weight) in [i64::MIN, -1, 0, i64::MAX].into_iter().enumerate() {
            h.register("one", at("sled:/p/1").weight(weight));
            h.turn();
            assert_eq!(h.pool("one").unwrap().weight(), weight, "{i}");
        }
    }

    fn creating_a_pool_that_is_there_replaces_it_whole(h) {
        h.register("one", at_in("sled:/p/1", "ssd").weight(7).options(json(r#"{"rack": 1}"#)));
        h.turn();
        h.register("one", at("sled:/p/2"));
        h.turn();
        let pool = h.pool("one").unwrap();
        assert_eq!((pool.uri().as_str(), pool.weight(), pool.group()), ("sled:/p/2", 1, None));
        assert!(pool.options().unwrap().is_empty());
        h.register("two", at("sled:/p/1"));
        h.register("one", at("sled:/p/2").weight(5));
        h.turn();
        assert_eq!((h.pools().len(), h.pool("one").unwrap().weight()), (2, 5));
    }

    fn two_pools_cannot_have_one_store(h) {
        h.register("one", at("sled:/p/1"));
        h.turn();
        let ways = ["sled:/p/1", "sled:///p/1", "sled:/p//1/", "sled:/p/./2/../1", "sled:/p/1?durability=buffered"];
        for uri in ways {
            assert_fails!(h.try_register("two", at(uri)), Error::PoolAlreadyExists { pool, other }
                if (&pool, &other) == (&pool_name("two"), &pool_name("one")));
            assert!(h.try_register("two", at(uri)).unwrap_err().is_conflict());
        }
        h.turn();
        assert_eq!(h.pools(), ["one"]);
    }

    fn stores_in_memory_are_told_apart_by_their_names(h) {
        h.register("one", at("memory:a"));
        h.register("two", at("memory:b"));
        h.turn();
        assert_fails!(h.try_register("three", at("memory:a?memory=5")), Error::PoolAlreadyExists { other, .. }
            if other == pool_name("one"));
        assert_eq!(h.pools(), ["one", "two"]);
    }

    fn the_store_itself_is_told_apart_by_the_text(h) {
        h.register("one", at("localhost:1"));
        h.register("two", at("localhost:2"));
        h.register("three", at("plain"));
        h.turn();
        assert_fails!(h.try_register("four", at("plain")), Error::PoolAlreadyExists { other, .. }
            if other == pool_name("three"));
        assert_eq!(h.pools(), ["one", "three", "two"]);
    }

    fn a_pool_taken_out_or_moved_leaves_its_store_to_others(h) {
        h.register("one", at("sled:/p/1"));
        h.register("two", at("sled:/p/2"));
        h.remove_pool("one").unwrap();
        h.change_pool("two", &moved_to("sled:/p/3")).unwrap();
        h.turn();
        h.register("three", at("sled:/p/1"));
        h.register("four", at("sled:/p/2"));
        h.turn();
        assert_eq!(h.pools(), ["four", "three", "two"]);
    }

    fn the_pools_of_a_group_promise_the_same(h) {
        h.register("disk", at_in("sled:/p/1", "ssd"));
        h.turn();
        assert_fails!(h.try_register("memory", at_in("memory:a", "ssd")), Error::PoolCapabilitiesMismatch { pool }
            if pool == pool_name("memory"));
        assert!(h.try_register("memory", at_in("memory:a", "ssd")).unwrap_err().is_conflict());
        h.register("other disk", at_in("sled:/p/2", "ssd"));
        h.register("memory", at_in("memory:a", "ram"));
        h.turn();
        assert_eq!((h.pools_of("ssd"), h.pools_of("ram")), (vec!["disk".into(), "other disk".into()], vec!["memory".into()]));
    }

    fn pools_of_no_group_are_a_group(h) {
        h.register("disk", at("sled:/p/1"));
        h.turn();
        assert_fails!(h.try_register("memory", at("memory:a")), Error::PoolCapabilitiesMismatch { .. });
        h.register("memory", at_in("memory:a", "ram"));
    }

    fn the_store_itself_promises_what_its_driver_does(h) {
        let own = h.driver().capabilities();
        let (alike, unlike) = if own == volatile() { ("memory:a", "sled:/p/1") } else { ("sled:/p/1", "memory:a") };
        h.register("own", at("localhost:1"));
        h.turn();
        assert_eq!(promised(h, None, None), own);
        assert_fails!(h.try_register("unlike", at(unlike)), Error::PoolCapabilitiesMismatch { .. });
        h.register("alike", at(alike));
    }

    fn a_pool_that_is_replaced_is_not_compared_with_itself(h) {
        h.register("one", at_in("sled:/p/1", "ssd"));
        h.turn();
        h.register("one", at_in("memory:a", "ssd"));
        h.turn();
        assert_eq!(h.pool("one").unwrap().uri().as_str(), "memory:a");
        assert_eq!(promised(h, Some(&group("ssd")), None), volatile());
    }

    fn options_that_mean_nothing_are_refused_first_and_others_are_kept(h) {
        h.register("one", at("sled:/p/1"));
        for (options, key) in [
            (r#"{"durability": "somewhat"}"#, "durability"),
            (r#"{"durability": 1}"#, "durability"),
            (r#"{"memory": -1}"#, "memory"),
            (r#"{"memory": "much"}"#, "memory"),
        ] {
            // It would be a mismatch too.
            assert_eq!(refused(h.try_register("two", at("memory:a").options(json(options)))), key);
            assert_eq!(refused(h.change_pool("one", &PoolUpdate::new().options(json(options)))), key);
        }
        let options = json(r#"{"durability": "buffered", "memory": 0, "rack": [null, 1.0], "_x": {}}"#);
        h.register("two", at("sled:/p/2").options(options.clone()));
        h.turn();
        assert_eq!(h.pools(), ["one", "two"]);
        assert_eq!(h.pool("two").unwrap().options(), Some(&options));
        assert!(h.pool("one").unwrap().options().unwrap().is_empty());
    }

    fn a_mismatch_is_told_before_a_store_that_is_taken(h) {
        h.register("disk", at("sled:/p/1"));
        h.register("memory", at_in("memory:a", "ram"));
        h.turn();
        assert_fails!(h.try_register("new", at("memory:a")), Error::PoolCapabilitiesMismatch { .. });
    }

    fn a_missing_pool_is_not_found(h) {
        h.register("one", at("sled:/p/1"));
        h.turn();
        assert_fails!(h.pool("two"), Error::PoolDoesNotExist { pool } if pool == pool_name("two"));
        assert!(h.pool("two").unwrap_err().is_not_found());
        assert!(h.has_pool("one") && !h.has_pool("two"));
    }

    fn pools_are_listed_by_name_in_byte_order(h) {
        for (i, name) in ["b", "a", "aa", "B", "é", "10", "9"].into_iter().enumerate() {
            h.register(name, at(&format!("sled:/p/{i}")));
        }
        h.turn();
        assert_eq!(h.pools(), ["10", "9", "B", "a", "aa", "b", "é"]);
    }

    fn ten_pools_are_listed_unless_said_otherwise(h) {
        for i in 0..12 {
            h.register(&format!("pool-{i:02}"), at(&format!("sled:/p/{i}")));
        }
        h.turn();
        assert_eq!(names(h, &ListOptions::new()).len(), 10);
        assert_eq!(names(h, &page(2)), ["pool-00", "pool-01"]);
        assert_eq!(names(h, &page(0)).len(), 12);
    }

    fn pages_of_pools_follow_one_another(h) {
        for i in 0..6 {
            h.register(&i.to_string(), at(&format!("sled:/p/{i}")));
        }
        h.turn();
        let (mut seen, mut marker) = (Vec::new(), None);
        loop {
            let page = h.control().pools().list(&page(3).marker(marker.clone())).unwrap();
            marker.clone_from(&page.next);
            if page.items.is_empty() {
                break;
            }
            assert_eq!(marker, page.items.last().map(Pool::marker));
            seen.extend(page.into_iter().map(|pool| pool.name().to_string()));
        }
        assert_eq!(seen, ["0", "1", "2", "3", "4", "5"]);
        assert_eq!(marker, None);
    }

    fn a_pool_marker_need_not_name_a_pool(h) {
        for name in ["a", "c", "e"] {
            h.register(name, at(&format!("sled:/p/{name}")));
        }
        h.remove_pool("c").unwrap();
        h.turn();
        let after = |name: &str| names(h, &page(0).marker(name.parse::<PoolMarker>().unwrap()));
        assert_eq!((after("a"), after("b"), after("c")), (vec!["e".into()], vec!["e".into()], vec!["e".into()]));
        assert!(after("e").is_empty());
    }

    fn a_store_without_pools_has_an_empty_page_without_a_marker(h) {
        let page = h.control().pools().list(&page(0)).unwrap();
        assert!(page.items.is_empty() && page.next.is_none());
    }

    fn the_pools_of_a_group_are_told_by_name(h) {
        for (name, of) in [("d", "ssd"), ("a", "ssd"), ("b", ""), ("c", "hdd"), ("e", "")] {
            let pool = at(&format!("sled:/p/{name}"));
            h.register(name, if of.is_empty() { pool } else { pool.group(group(of)) });
        }
        h.turn();
        assert_eq!(h.pools_of("ssd"), ["a", "d"]);
        assert_eq!(h.pools_of("hdd"), ["c"]);
        assert_eq!(h.pools_of(""), ["b", "e"]);
        assert!(h.pools_of("tape").is_empty());
    }

    fn the_pools_of_a_flavor_are_those_of_its_group(h) {
        h.register("a", at_in("sled:/p/a", "ssd"));
        h.register("b", at("sled:/p/b"));
        h.register("c", at_in("sled:/p/c", "gold"));
        h.offer(&shop(), "fast", of("ssd"));
        h.offer(&shop(), "gold", NewFlavor::new());
        h.turn();
        let control = h.control();
        let pools = |flavor: Option<&str>| {
            let flavor = flavor.map(|name| h.flavor(&shop(), name).unwrap());
            let pools = control.pools().get_pools_by_flavor(flavor.as_ref(), false).unwrap();
            pools.into_iter().map(|pool| pool.name().to_string()).collect::<Vec<_>>()
        };
        assert_eq!((pools(Some("fast")), pools(Some("gold")), pools(None)), (vec!["a".into()], vec!["c".into()], vec!["b".into()]));
    }

    fn a_pool_that_is_not_there_is_deleted_without_a_word(h) {
        h.register("one", at("sled:/p/1"));
        h.remove_pool("one").unwrap();
        h.turn();
        h.remove_pool("one").unwrap();
        h.remove_pool("two").unwrap();
        assert!(h.pools().is_empty());
    }

    fn the_last_pool_of_a_flavors_group_cannot_be_deleted(h) {
        h.register("one", at_in("sled:/p/1", "ssd"));
        h.register("two", at_in("sled:/p/2", "ssd"));
        h.offer(&shop(), "fast", of("ssd"));
        h.remove_pool("one").unwrap();
        h.turn();
        assert_fails!(h.remove_pool("two"), Error::PoolInUseByFlavor { pool, flavor }
            if pool == pool_name("two") && flavor == "fast");
        assert!(h.remove_pool("two").unwrap_err().is_not_permitted());
        h.turn();
        assert!(h.has_pool("two"));
        h.remove_flavor(&shop(), "fast").unwrap();
        h.turn();
        h.remove_pool("two").unwrap();
        assert!(!h.has_pool("two"));
    }

    fn a_refusal_names_the_flavors_of_all_projects(h) {
        h.register("one", at_in("sled:/p/1", "ssd"));
        h.register("two", at_in("sled:/p/2", "hdd"));
        let (a, b) = (Project::named("a").unwrap(), Project::named("b").unwrap());
        for (project, name) in [(&b, "x"), (&b, "b"), (&a, "y"), (&a, "ssd"), (&Project::none(), "z")] {
            h.offer(project, name, of("ssd"));
        }
        h.offer(&a, "slow", of("hdd"));
        h.turn();
        assert_fails!(h.remove_pool("one"), Error::PoolInUseByFlavor { flavor, .. } if flavor == "b, ssd, x, y, z");
    }

    fn a_flavor_that_names_no_group_stands_for_that_of_its_name(h) {
        h.register("one", at_in("sled:/p/1", "gold"));
        h.offer(&shop(), "gold", NewFlavor::new());
        h.turn();
        assert_fails!(h.remove_pool("one"), Error::PoolInUseByFlavor { flavor, .. } if flavor == "gold");
    }

    fn the_last_pool_of_a_group_no_flavor_stands_for_can_be_deleted(h) {
        h.register("one", at_in("sled:/p/1", "ssd"));
        h.register("two", at_in("sled:/p/2", "hdd"));
        h.register("three", at("sled:/p/3"));
        h.offer(&shop(), "ssd", of("hdd"));
        h.turn();
        h.remove_pool("one").unwrap();
        h.remove_pool("three").unwrap();
        h.turn();
        assert_eq!(h.pools(), ["two"]);
    }

    fn deleting_a_pool_leaves_the_catalogue_alone(h) {
        h.register("one", at("sled:/p/1"));
        h.queue("orders").map_to("one");
        h.remove_pool("one").unwrap();
        h.turn();
        assert_eq!(h.queue("orders").pool(), "one");
        h.control().pools().drop_all().unwrap();
        h.turn();
        assert_eq!(h.queue("orders").pool(), "one");
    }

    fn the_capabilities_of_a_group_are_those_of_its_pools(h) {
        h.register("disk", at_in("sled:/p/1", "ssd"));
        h.register("memory", at_in("memory:a", "ram"));
        h.register("free", at("memory:b"));
        h.turn();
        assert_eq!(promised(h, Some(&group("ssd")), None), Capabilities::all());
        assert_eq!(promised(h, Some(&group("ram")), None), volatile());
        assert_eq!(promised(h, None, None), volatile());
        assert_eq!(promised(h, Some(&group("tape")), None), Capabilities::default());
    }

    fn the_capabilities_of_a_pool_are_those_of_its_group_whatever_group_is_named(h) {
        h.register("disk", at_in("sled:/p/1", "ssd"));
        h.register("memory", at_in("memory:a", "ram"));
        h.turn();
        for group in [None, Some(group("ram")), Some(group("tape"))] {
            assert_eq!(promised(h, group.as_ref(), Some("disk")), Capabilities::all());
            assert_eq!(promised(h, group.as_ref(), Some("memory")), volatile());
        }
        let result = h.control().pools().capabilities(Some(&group("ssd")), Some(&pool_name("none")));
        assert_fails!(result, Error::PoolDoesNotExist { pool } if pool == pool_name("none"));
    }

    fn a_store_without_pools_promises_nothing_for_any_group(h) {
        assert_eq!(promised(h, None, None), Capabilities::default());
    }

    fn dropping_all_pools_is_never_refused(h) {
        h.register("one", at_in("sled:/p/1", "ssd"));
        h.register("two", at("sled:/p/2"));
        h.offer(&shop(), "fast", of("ssd"));
        h.turn();
        h.control().pools().drop_all().unwrap();
        h.turn();
        let page = h.control().pools().list(&page(0)).unwrap();
        assert!(page.items.is_empty() && page.next.is_none());
        assert!(h.pools_of("ssd").is_empty() && h.has_flavor(&shop(), "fast"));
        h.register("one", at("memory:a"));
        h.turn();
        assert_eq!(h.pools(), ["one"]);
    }

    fn zaqars_limits_hold_for_pools(h) {
        let h = &h.with_limits(Limits::zaqar());
        let large = json(&format!(r#"{{"a": "{}"}}"#, "x".repeat(65_536)));
        assert!(h.try_register("one", at("sled:/p/1").options(large.clone())).unwrap_err().is_too_large());
        h.register("one", at("sled:/p/1"));
        assert!(h.change_pool("one", &PoolUpdate::new().options(large)).unwrap_err().is_too_large());
        for limit in [0, 21] {
            assert_eq!(refused(h.control().pools().list(&page(limit))), "limit");
        }
        assert_eq!(names(h, &page(20)), ["one"]);
        h.turn();
        assert!(h.pool("one").unwrap().options().unwrap().is_empty());
    }

    fn a_pool_that_was_refused_changes_nothing(h) {
        h.register("one", at("sled:/p/1").weight(5));
        h.register("two", at("sled:/p/2"));
        h.turn();
        assert!(h.try_register("one", at("memory:a")).is_err());
        assert!(h.try_register("one", at("sled:/p/2")).is_err());
        h.turn();
        let pool = h.pool("one").unwrap();
        assert_eq!((pool.uri().as_str(), pool.weight()), ("sled:/p/1", 5));
        let same: NewPool = at("sled:/p/1");
        assert!(h.try_register("three", same).is_err());
    }
}
