//! Contract 10: the flavor controller, with its rows of 14.

use crate::support::*;
use zaqar_sled::{Error, Flavor, FlavorMarker, FlavorUpdate, Limits, ListOptions, NewFlavor, Project};

fn page(limit: usize) -> ListOptions<FlavorMarker> {
    ListOptions::new().limit(limit)
}

/// The names on that page of the shop's flavors.
fn names(h: &Harness, options: &ListOptions<FlavorMarker>) -> Vec<String> {
    let page = h.control().flavors().list(&shop(), options).unwrap();
    page.into_iter().map(|flavor| flavor.name().to_string()).collect()
}

/// The group of a flavor of the project `shop`.
fn group_of(h: &Harness, name: &str) -> String {
    h.flavor(&shop(), name).unwrap().pool_group().to_string()
}

/// Two groups of one pool each.
fn ssd_and_hdd(h: &Harness) {
    h.register("one", at_in("sled:/p/1", "ssd"));
    h.register("two", at_in("sled:/p/2", "hdd"));
}

contract! {
    fn a_flavor_tells_all_it_was_made_with(h) {
        ssd_and_hdd(h);
        h.offer(&shop(), "fast", of("ssd").capabilities(json(r#"{"fifo": true, "a.b": null}"#)));
        h.turn();
        let flavor = h.flavor(&shop(), "fast").unwrap();
        assert_eq!((flavor.name(), flavor.pool_group()), (&flavor_name("fast"), &group("ssd")));
        assert_eq!(flavor.capabilities().unwrap().to_json(), r#"{"fifo":true,"a.b":null}"#);
    }

    fn capabilities_are_told_only_when_asked_for(h) {
        h.offer(&shop(), "fast", NewFlavor::new().capabilities(json(r#"{"a": 1}"#)));
        h.offer(&shop(), "slow", NewFlavor::new());
        h.turn();
        let control = h.control();
        let flavors = control.flavors();
        assert_eq!(flavors.get(&shop(), &flavor_name("fast"), false).unwrap().capabilities(), None);
        let listed = |detailed| flavors.list(&shop(), &page(0).detailed(detailed)).unwrap().items;
        assert!(listed(false).iter().all(|flavor| flavor.capabilities().is_none()));
        assert_eq!(listed(true)[0].capabilities(), Some(&json(r#"{"a": 1}"#)));
        assert!(listed(true)[1].capabilities().unwrap().is_empty());
    }

    fn a_group_that_is_named_must_have_pools(h) {
        ssd_and_hdd(h);
        h.register("three", at("sled:/p/3"));
        h.turn();
        assert_fails!(h.try_offer(&shop(), "fast", of("tape")), Error::PoolGroupDoesNotExist { group: missing }
            if missing == group("tape"));
        assert!(h.try_offer(&shop(), "fast", of("tape")).unwrap_err().is_not_found());
        // A group of the flavor's own name, if it is named.
        assert_fails!(h.try_offer(&shop(), "fast", of("fast")), Error::PoolGroupDoesNotExist { .. });
        h.turn();
        assert!(!h.has_flavor(&shop(), "fast"));
    }

    fn a_group_whose_pools_are_gone_does_not_exist(h) {
        ssd_and_hdd(h);
        h.remove_pool("one").unwrap();
        h.turn();
        assert_fails!(h.try_offer(&shop(), "fast", of("ssd")), Error::PoolGroupDoesNotExist { .. });
    }

    fn a_flavor_that_names_no_group_stands_for_that_of_its_name_unchecked(h) {
        h.offer(&shop(), "gold", NewFlavor::new());
        h.turn();
        assert_eq!(group_of(h, "gold"), "gold");
    }

    fn creating_a_flavor_that_is_there_replaces_it(h) {
        ssd_and_hdd(h);
        h.offer(&shop(), "fast", of("ssd").capabilities(json(r#"{"a": 1}"#)));
        h.turn();
        h.offer(&shop(), "fast", of("hdd"));
        h.turn();
        let flavor = h.flavor(&shop(), "fast").unwrap();
        assert_eq!(flavor.pool_group(), &group("hdd"));
        assert!(flavor.capabilities().unwrap().is_empty());
        assert!(h.try_offer(&shop(), "fast", of("tape")).is_err());
        h.turn();
        assert_eq!(group_of(h, "fast"), "hdd");
        assert_eq!(h.flavors(&shop()), ["fast"]);
    }

    /// Redis 8: flavors had one namespace for all projects.
    fn each_project_has_flavors_of_its_own(h) {
        ssd_and_hdd(h);
        let (none, empty) = (Project::none(), Project::named("").unwrap());
        h.offer(&shop(), "fast", of("ssd"));
        h.offer(&none, "fast", of("hdd"));
        h.turn();
        assert_eq!(group_of(h, "fast"), "ssd");
        assert_eq!(h.flavor(&none, "fast").unwrap().pool_group(), &group("hdd"));
        assert_fails!(h.flavor(&empty, "fast"), Error::FlavorDoesNotExist { project, flavor }
            if (&project, &flavor) == (&empty, &flavor_name("fast")));
        assert!(h.has_flavor(&shop(), "fast") && h.has_flavor(&none, "fast") && !h.has_flavor(&empty, "fast"));
        h.remove_flavor(&none, "fast").unwrap();
        h.turn();
        assert!(h.has_flavor(&shop(), "fast") && !h.has_flavor(&none, "fast"));
    }

    fn a_missing_flavor_is_not_found(h) {
        assert_fails!(h.flavor(&shop(), "fast"), Error::FlavorDoesNotExist { project, flavor }
            if (&project, &flavor) == (&shop(), &flavor_name("fast")));
        assert!(h.flavor(&shop(), "fast").unwrap_err().is_not_found());
        assert!(!h.has_flavor(&shop(), "fast"));
    }

    fn flavors_are_listed_by_name_in_byte_order(h) {
        for name in ["b", "a", "aa", "B", "é", "10", "9"] {
            h.offer(&shop(), name, NewFlavor::new());
        }
        h.turn();
        assert_eq!(h.flavors(&shop()), ["10", "9", "B", "a", "aa", "b", "é"]);
    }

    fn a_list_shows_only_the_projects_own_flavors(h) {
        let (none, empty) = (Project::none(), Project::named("").unwrap());
        h.offer(&shop(), "a", NewFlavor::new());
        h.offer(&none, "b", NewFlavor::new());
        h.offer(&empty, "c", NewFlavor::new());
        h.turn();
        assert_eq!((h.flavors(&shop()), h.flavors(&none)), (vec!["a".to_owned()], vec!["b".to_owned()]));
        assert_eq!(h.flavors(&empty), ["c"]);
    }

    fn ten_flavors_are_listed_unless_said_otherwise(h) {
        for i in 0..12 {
            h.offer(&shop(), &format!("flavor-{i:02}"), NewFlavor::new());
        }
        h.turn();
        assert_eq!(names(h, &ListOptions::new()).len(), 10);
        assert_eq!(names(h, &page(2)), ["flavor-00", "flavor-01"]);
        assert_eq!(names(h, &page(0)).len(), 12);
    }

    fn pages_of_flavors_follow_one_another(h) {
        for i in 0..6 {
            h.offer(&shop(), &i.to_string(), NewFlavor::new());
        }
        h.turn();
        let (mut seen, mut marker) = (Vec::new(), None);
        loop {
            let page = h.control().flavors().list(&shop(), &page(3).marker(marker.clone())).unwrap();
            marker.clone_from(&page.next);
            if page.items.is_empty() {
                break;
            }
            assert_eq!(marker, page.items.last().map(Flavor::marker));
            seen.extend(page.into_iter().map(|flavor| flavor.name().to_string()));
        }
        assert_eq!(seen, ["0", "1", "2", "3", "4", "5"]);
        assert_eq!(marker, None);
    }

    fn a_flavor_marker_need_not_name_a_flavor(h) {
        for name in ["a", "c", "e"] {
            h.offer(&shop(), name, NewFlavor::new());
        }
        h.remove_flavor(&shop(), "c").unwrap();
        h.turn();
        let after = |name: &str| names(h, &page(0).marker(name.parse::<FlavorMarker>().unwrap()));
        assert_eq!((after("a"), after("b"), after("c")), (vec!["e".into()], vec!["e".into()], vec!["e".into()]));
        assert!(after("e").is_empty());
    }

    fn a_project_without_flavors_has_an_empty_page_without_a_marker(h) {
        h.offer(&Project::none(), "a", NewFlavor::new());
        h.turn();
        let page = h.control().flavors().list(&shop(), &page(0)).unwrap();
        assert!(page.items.is_empty() && page.next.is_none());
    }

    fn an_update_changes_what_it_sets_and_nothing_else(h) {
        ssd_and_hdd(h);
        h.offer(&shop(), "fast", of("ssd").capabilities(json(r#"{"a": 1, "b": 2}"#)));
        h.change_flavor(&shop(), "fast", &FlavorUpdate::new().pool_group(group("hdd"))).unwrap();
        h.turn();
        let flavor = h.flavor(&shop(), "fast").unwrap();
        assert_eq!(flavor.pool_group(), &group("hdd"));
        assert_eq!(flavor.capabilities(), Some(&json(r#"{"a": 1, "b": 2}"#)));
        h.change_flavor(&shop(), "fast", &promising(r#"{"c": 3}"#)).unwrap();
        h.turn();
        let flavor = h.flavor(&shop(), "fast").unwrap();
        assert_eq!(flavor.pool_group(), &group("hdd"));
        assert_eq!(flavor.capabilities(), Some(&json(r#"{"c": 3}"#)));
        h.change_flavor(&shop(), "fast", &promising("{}").pool_group(group("ssd"))).unwrap();
        h.turn();
        assert_eq!(group_of(h, "fast"), "ssd");
        assert!(h.flavor(&shop(), "fast").unwrap().capabilities().unwrap().is_empty());
    }

    fn an_update_that_sets_nothing_is_invalid_even_for_a_missing_flavor(h) {
        h.offer(&shop(), "fast", NewFlavor::new());
        h.turn();
        for name in ["fast", "none"] {
            assert_eq!(refused(h.change_flavor(&shop(), name, &FlavorUpdate::new())), "update");
        }
    }

    fn updating_a_missing_flavor_fails_whatever_the_group(h) {
        ssd_and_hdd(h);
        h.offer(&Project::none(), "fast", of("ssd"));
        h.turn();
        for name in ["ssd", "tape"] {
            let update = FlavorUpdate::new().pool_group(group(name));
            assert_fails!(h.change_flavor(&shop(), "fast", &update), Error::FlavorDoesNotExist { project, flavor }
                if (&project, &flavor) == (&shop(), &flavor_name("fast")));
        }
        h.turn();
        assert!(!h.has_flavor(&shop(), "fast"));
    }

    fn an_update_may_name_a_group_without_pools(h) {
        ssd_and_hdd(h);
        h.offer(&shop(), "fast", of("ssd"));
        h.turn();
        let update = promising(r#"{"a": 1}"#).pool_group(group("tape"));
        h.change_flavor(&shop(), "fast", &update).unwrap();
        h.turn();
        assert_eq!(group_of(h, "fast"), "tape");
        assert_eq!(h.flavor(&shop(), "fast").unwrap().capabilities().unwrap().to_json(), r#"{"a":1}"#);
    }

    fn a_flavor_outlives_the_pools_of_its_group(h) {
        ssd_and_hdd(h);
        h.offer(&shop(), "fast", of("ssd"));
        h.control().pools().drop_all().unwrap();
        h.turn();
        assert_eq!(group_of(h, "fast"), "ssd");
        h.change_flavor(&shop(), "fast", &promising(r#"{"a": 1}"#)).unwrap();
    }

    fn deleting_a_missing_flavor_is_fine(h) {
        h.offer(&shop(), "fast", NewFlavor::new());
        h.remove_flavor(&shop(), "fast").unwrap();
        h.turn();
        assert!(!h.has_flavor(&shop(), "fast"));
        h.remove_flavor(&shop(), "fast").unwrap();
        h.remove_flavor(&Project::none(), "fast").unwrap();
    }

    fn dropping_all_flavors_takes_those_of_every_project(h) {
        for project in [shop(), Project::none(), Project::named("").unwrap()] {
            h.offer(&project, "fast", NewFlavor::new());
        }
        h.turn();
        h.control().flavors().drop_all().unwrap();
        h.turn();
        for project in [shop(), Project::none(), Project::named("").unwrap()] {
            assert!(h.flavors(&project).is_empty());
        }
        h.offer(&shop(), "slow", NewFlavor::new());
        h.turn();
        assert_eq!(h.flavors(&shop()), ["slow"]);
    }

    fn zaqars_limits_hold_for_flavors(h) {
        let h = &h.with_limits(Limits::zaqar());
        let large = format!(r#"{{"a": "{}"}}"#, "x".repeat(65_536));
        let flavor = NewFlavor::new().capabilities(json(&large));
        assert!(h.try_offer(&shop(), "fast", flavor).unwrap_err().is_too_large());
        h.offer(&shop(), "fast", NewFlavor::new());
        assert!(h.change_flavor(&shop(), "fast", &promising(&large)).unwrap_err().is_too_large());
        for limit in [0, 21] {
            assert_eq!(refused(h.control().flavors().list(&shop(), &page(limit))), "limit");
        }
        h.turn();
        assert_eq!(names(h, &page(20)), ["fast"]);
        let long = Project::named("x".repeat(257)).unwrap();
        let (control, name) = (h.control(), flavor_name("fast"));
        let refusals = [
            h.try_offer(&long, "fast", NewFlavor::new()),
            h.flavor(&long, "fast").map(drop),
            control.flavors().exists(&long, &name).map(drop),
            control.flavors().list(&long, &page(1)).map(drop),
            h.change_flavor(&long, "fast", &promising("{}")),
            h.remove_flavor(&long, "fast"),
        ];
        for (i, refusal) in refusals.into_iter().enumerate() {
            assert!(refusal.is_err_and(|error| error.is_too_large()), "call {i}");
        }
    }
}
