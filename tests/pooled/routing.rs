//! A change of the catalogue takes effect at once: nothing is cached, and the contents in the former pool stay there.

use zaqar_sled::{Catalogue, Error, MessageMarker, PoolUpdate, Pools};

use crate::support::{assert_fails, ids, shop};

pooled! {
    fn the_call_after_a_change_of_the_catalogue_uses_it(h) {
        h.two_pools();
        let orders = h.create("orders");
        for round in 0..5 {
            orders.route("two");
            orders.say(&format!("two {round}"));
            Catalogue::update(&h.driver(), &shop(), &orders.name, Some(&crate::support::pool_of("one"))).unwrap();
            orders.say(&format!("one {round}"));
            h.turn();
            assert_eq!(orders.all().len(), round + 1);
        }
        let there = |pool: &str| (0..5).map(|round| format!("{pool} {round}")).collect::<Vec<_>>();
        assert_eq!(orders.all(), there("one"));
        orders.route("two");
        assert_eq!(orders.all(), there("two"));
        orders.unmap();
        assert!(orders.all().is_empty());
        assert_fails!(orders.stats(), Error::QueueDoesNotExist { .. });
    }

    fn an_update_that_names_no_pool_changes_nothing(h) {
        h.two_pools();
        let orders = h.create("orders");
        orders.say("coffee");
        Catalogue::update(&h.driver(), &shop(), &orders.name, None).unwrap();
        h.turn();
        assert_eq!(orders.all(), ["coffee"]);
        let missing = Catalogue::update(&h.driver(), &shop(), &h.queue("bills").name, None);
        assert_fails!(missing, Error::QueueNotMapped { .. });
    }

    fn an_update_of_an_unmapped_queue_is_told(h) {
        h.two_pools();
        let orders = h.create("orders");
        orders.unmap();
        h.turn();
        let two = crate::support::pool_of("two");
        assert_fails!(Catalogue::update(&h.driver(), &shop(), &orders.name, Some(&two)), Error::QueueNotMapped { .. });
        assert_eq!(orders.pool(), None);
    }

    fn content_that_was_left_behind_is_visible_again(h) {
        h.two_pools();
        let orders = h.create("orders");
        let coffee = orders.say("coffee");
        let claim = orders.take(1);
        orders.route("two");
        h.turn();
        assert!(orders.all().is_empty());
        assert_eq!(orders.counts(), (0, 0, 0));
        assert_fails!(orders.get(coffee), Error::MessageDoesNotExist { .. });
        assert_fails!(orders.look_up(claim.id()), Error::ClaimDoesNotExist { .. });
        let tea = orders.say("tea");
        assert_eq!(orders.all(), ["tea"]);
        orders.route("one");
        h.turn();
        assert_eq!(orders.all(), ["coffee"]);
        assert_fails!(orders.get(tea), Error::MessageDoesNotExist { .. });
        assert_eq!(ids(orders.look_up(claim.id()).unwrap().messages()), [coffee]);
        orders.delete(coffee, Some(claim.id())).unwrap();
        orders.route("two");
        assert_eq!(orders.all(), ["tea"]);
    }

    fn a_message_deleted_through_another_route_is_still_there(h) {
        h.two_pools();
        let orders = h.create("orders");
        let coffee = orders.say("coffee");
        orders.route("two");
        orders.delete(coffee, None).unwrap();
        orders.bulk_delete(&[coffee], &[]).unwrap();
        orders.purge(zaqar_sled::Purge::All).unwrap();
        h.turn();
        orders.route("one");
        assert_eq!(orders.all(), ["coffee"]);
    }

    fn no_id_is_given_out_twice_however_a_queue_is_routed(h) {
        h.two_pools();
        h.pool("three", 0);
        let orders = h.create("orders");
        let mut seen = std::collections::BTreeSet::new();
        for round in 0..12 {
            for id in orders.post(3) {
                assert!(seen.insert(id), "{id} was given out in an earlier round than {round}");
            }
            orders.route(["two", "three", "one"][round % 3]);
            if round % 4 == 3 {
                h.turn();
            }
        }
    }

    fn a_marker_never_skips_a_message_however_a_queue_is_routed(h) {
        h.two_pools();
        h.pool("three", 0);
        let orders = h.create("orders");
        let mut marker: MessageMarker = orders.say("first").into();
        for round in 0..12 {
            let pool = ["two", "three", "one", "two", "one"][round % 5];
            orders.route(pool);
            if round % 4 == 3 {
                h.turn();
            }
            let body = format!("{round} in {pool}");
            let id = orders.say(&body);
            assert_eq!(orders.after(marker), [body], "a reader who goes on from {marker} misses {id}");
            marker = id.into();
        }
    }

    fn a_marker_never_skips_a_message_after_a_queue_is_unmapped_and_mapped(h) {
        h.two_pools();
        let orders = h.create("orders");
        let mut marker: MessageMarker = orders.say("first").into();
        for round in 0..6 {
            orders.unmap();
            h.turn();
            if round % 2 == 0 {
                orders.route(if round % 4 == 0 { "two" } else { "one" });
            } else {
                h.prefer(if round % 4 == 1 { "two" } else { "one" });
                assert!(!orders.create("{}").unwrap());
            }
            let id = orders.say(&round.to_string());
            assert_eq!(orders.after(marker), [round.to_string()]);
            marker = id.into();
        }
    }

    fn a_marker_never_skips_a_message_when_a_pool_gets_another_store(h) {
        h.two_pools();
        let orders = h.create("orders");
        let mut marker: MessageMarker = orders.say("first").into();
        for round in 0..6 {
            let uri = format!("sled:/store-{}", round % 3);
            h.change_pool("one", &PoolUpdate::new().uri(uri.parse().unwrap())).unwrap();
            if round % 2 == 1 {
                h.turn();
            }
            let id = orders.say(&round.to_string());
            assert_eq!(orders.after(marker), [round.to_string()], "round {round}");
            marker = id.into();
        }
    }

    fn a_new_uri_leads_to_the_other_store_at_once(h) {
        h.two_pools();
        let orders = h.create("orders");
        let coffee = orders.say("coffee");
        h.change_pool("one", &PoolUpdate::new().uri("sled:/elsewhere".parse().unwrap())).unwrap();
        assert!(orders.all().is_empty());
        let tea = orders.say("tea");
        h.turn();
        assert_eq!(orders.all(), ["tea"]);
        assert_ne!(coffee, tea);
        h.change_pool("one", &PoolUpdate::new().uri("sled:///one/".parse().unwrap())).unwrap();
        assert_eq!(orders.all(), ["coffee"]);
        orders.say("cocoa");
        h.turn();
        assert_eq!(orders.all(), ["coffee", "cocoa"]);
    }

    fn another_spelling_of_the_uri_changes_nothing(h) {
        h.two_pools();
        let orders = h.create("orders");
        orders.say("coffee");
        h.change_pool("one", &PoolUpdate::new().uri("sled:///there/../one?durability=buffered".parse().unwrap()))
            .unwrap();
        assert_eq!(orders.all(), ["coffee"]);
        orders.say("tea");
        h.turn();
        assert_eq!(orders.all(), ["coffee", "tea"]);
    }

    fn pools_swap_their_stores_by_way_of_a_third(h) {
        h.two_pools();
        let (orders, bills) = (h.create("orders"), h.create("bills"));
        bills.route("two");
        orders.say("coffee");
        bills.say("5.00");
        let lead = |pool: &str, uri: &str| h.change_pool(pool, &PoolUpdate::new().uri(uri.parse().unwrap()));
        assert_fails!(lead("one", "sled:/two"), Error::PoolAlreadyExists { .. });
        lead("one", "sled:/three").unwrap();
        lead("two", "sled:/one").unwrap();
        lead("one", "sled:/two").unwrap();
        assert!(orders.all().is_empty() && bills.all().is_empty());
        h.turn();
        orders.route("two");
        bills.route("one");
        assert_eq!((orders.all(), bills.all()), (vec!["coffee".to_owned()], vec!["5.00".to_owned()]));
    }

    fn a_pool_that_comes_back_has_what_it_had(h) {
        h.two_pools();
        let orders = h.create("orders");
        orders.say("coffee");
        for round in 0..3 {
            if round == 1 {
                Pools::drop_all(&h.driver()).unwrap();
                h.pool("two", 0);
            } else {
                h.drop_pool("one").unwrap();
            }
            assert_fails!(orders.stats(), Error::PoolDoesNotExist { .. });
            h.turn();
            assert_fails!(orders.try_say("tea"), Error::PoolDoesNotExist { .. });
            h.pool("one", 1);
            assert_eq!(orders.all().len(), round + 1);
            orders.say("tea");
        }
        h.turn();
        assert_eq!(orders.all(), ["coffee", "tea", "tea", "tea"]);
    }

    fn a_store_may_come_back_under_another_name(h) {
        h.two_pools();
        let orders = h.create("orders");
        let coffee = orders.say("coffee");
        h.drop_pool("one").unwrap();
        h.pool_at("uno", "sled:/one", 1);
        h.turn();
        assert_fails!(orders.stats(), Error::PoolDoesNotExist { .. });
        orders.route("uno");
        assert_eq!(orders.all(), ["coffee"]);
        let tea = orders.say("tea");
        assert_eq!(orders.after(coffee), ["tea"]);
        assert_ne!(coffee, tea);
    }

    fn dropping_the_catalogue_unmaps_all(h) {
        h.two_pools();
        let (orders, bills) = (h.create("orders"), h.create("bills"));
        orders.say("coffee");
        Catalogue::drop_all(&h.driver()).unwrap();
        assert!(orders.all().is_empty());
        assert_fails!(bills.stats(), Error::QueueDoesNotExist { .. });
        h.turn();
        assert_eq!((orders.pool(), bills.pool()), (None, None));
        orders.create("{}").unwrap();
        assert_eq!(orders.all(), ["coffee"]);
    }
}
