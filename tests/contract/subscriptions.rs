//! Contract 8: the subscription controller, with its rows of 14 and the bugs of 16.

use crate::support::*;
use zaqar_sled::{
    Error, Limits, ListOptions, Project, Purge, Subscriber, Subscription, SubscriptionId, SubscriptionMarker,
    SubscriptionUpdate, Timestamp,
};

fn page(limit: usize) -> ListOptions<SubscriptionMarker> {
    ListOptions::new().limit(limit)
}

/// A ttl that ends after the year 9999.
const ENDLESS: u64 = 300_000_000_000;

contract! {
    fn a_subscription_tells_all_it_was_made_with(h) {
        let orders = h.create("orders");
        let id = orders.try_subscribe("a", 600, r#"{"retries": 3}"#).unwrap().unwrap();
        h.turn();
        let one = orders.subscription(id).unwrap();
        assert_eq!((one.id(), one.source(), one.subscriber()), (id, &name_of("orders"), &hook("a")));
        assert_eq!((one.ttl(), one.age()), (seconds(600), seconds(0)));
        assert_eq!(one.options(), &json(r#"{"retries": 3}"#));
        assert!(!one.confirmed());
    }

    fn a_subscriptions_age_is_in_whole_seconds_since_its_creation(h) {
        let orders = h.create("orders");
        let id = orders.subscribe("a");
        h.pass_millis(5_999);
        h.turn();
        assert_eq!(orders.subscription(id).unwrap().age(), seconds(5));
    }

    fn options_come_back_equal_whatever_is_in_them(h) {
        let text = r#"{"z": 1, "a.b": 1.0, "$set": null, "": {"deep": [true, {}]}, "é": "\u0000", "big": 18446744073709551615}"#;
        let id = h.queue("orders").try_subscribe("a", 60, text).unwrap().unwrap();
        h.turn();
        let options = h.queue("orders").subscription(id).unwrap().options().clone();
        assert_eq!(options.to_json(), json(text).to_json());
    }

    fn a_subscriber_that_is_there_gets_no_second_subscription(h) {
        let orders = h.create("orders");
        let id = orders.try_subscribe("a", 100, r#"{"a": 1}"#).unwrap().unwrap();
        orders.confirm(id, true).unwrap();
        h.pass(40);
        h.turn();
        assert_eq!(orders.try_subscribe("a", 1000, r#"{"b": 2}"#).unwrap(), None);
        h.turn();
        let one = orders.subscription(id).unwrap();
        assert_eq!((one.ttl(), one.age(), one.confirmed()), (seconds(100), seconds(40), true));
        assert_eq!(one.options(), &json(r#"{"a": 1}"#));
        assert_eq!(orders.told(), ["a"]);
        h.pass(60);
        assert!(!orders.is_subscribed(id));
    }

    /// Redis 7: creating over an expired subscription crashed.
    fn an_expired_twin_does_not_stand_in_the_way(h) {
        let orders = h.create("orders");
        let old = orders.subscribe_lasting("a", 10);
        h.pass(10);
        h.turn();
        let new = orders.subscribe_lasting("a", 10);
        h.turn();
        assert_ne!(old, new);
        assert!(!orders.is_subscribed(old) && orders.is_subscribed(new));
        assert_eq!(orders.told(), ["a"]);
    }

    fn a_subscriber_is_there_once_in_each_queue_of_each_project(h) {
        let (empty, none) = (Project::named("").unwrap(), Project::none());
        let queues = [h.queue("orders"), h.queue("bills"), h.queue_in(&empty, "orders"), h.queue_in(&none, "orders")];
        let ids: Vec<_> = queues.iter().map(|queue| queue.subscribe("a")).collect();
        h.turn();
        for (i, queue) in queues.iter().enumerate() {
            assert_eq!(queue.told(), ["a"]);
            assert_eq!(queue.subscription_of("a").unwrap().id(), ids[i]);
            for (j, id) in ids.iter().enumerate() {
                assert_eq!(queue.is_subscribed(*id), i == j);
                assert_eq!(queue.subscription(*id).is_ok(), i == j);
            }
        }
    }

    fn subscribers_are_compared_as_texts(h) {
        let orders = h.create("orders");
        for name in ["a", "A", "a/", "a?"] {
            orders.subscribe(name);
        }
        h.turn();
        assert_eq!(orders.told(), ["a", "A", "a/", "a?"]);
    }

    fn a_queue_need_not_exist_to_be_subscribed_to(h) {
        let orders = h.queue("orders");
        let id = orders.subscribe("a");
        h.turn();
        assert!(orders.is_subscribed(id));
        assert!(!orders.exists());
        orders.create("{}").unwrap();
        h.turn();
        assert_eq!(orders.told(), ["a"]);
    }

    fn deleting_a_queue_keeps_its_subscriptions(h) {
        let orders = h.create("orders");
        let id = orders.subscribe("a");
        orders.remove().unwrap();
        h.turn();
        assert_eq!(orders.told(), ["a"]);
        orders.create("{}").unwrap();
        h.turn();
        assert!(orders.is_subscribed(id));
    }

    fn a_missing_subscription_is_not_found(h) {
        let orders = h.create("orders");
        orders.subscribe("a");
        h.turn();
        let malformed = SubscriptionId::lossy("none");
        for id in [no_subscription(), malformed, SubscriptionId::from_bytes([0xff; 16])] {
            assert_fails!(orders.subscription(id), Error::SubscriptionDoesNotExist { project, queue, id: missing }
                if (&project, &queue, missing) == (&shop(), &name_of("orders"), id));
            assert!(orders.subscription(id).unwrap_err().is_not_found());
            assert!(!orders.is_subscribed(id));
        }
        assert_fails!(h.queue("missing").subscription(no_subscription()), Error::SubscriptionDoesNotExist { .. });
    }

    fn another_queues_subscription_is_not_found(h) {
        let id = h.queue("orders").subscribe("a");
        h.turn();
        for other in [h.queue("bills"), h.queue_in(&Project::none(), "orders")] {
            assert_fails!(other.subscription(id), Error::SubscriptionDoesNotExist { .. });
            assert!(!other.is_subscribed(id));
        }
    }

    /// Redis 7: exists said that an expired one was there.
    fn a_subscription_is_gone_when_its_ttl_is_over(h) {
        let orders = h.create("orders");
        let id = orders.subscribe_lasting("a", 10);
        h.pass_millis(9_999);
        h.turn();
        assert!(orders.is_subscribed(id));
        h.pass_millis(1);
        h.turn();
        assert!(!orders.is_subscribed(id));
        assert_fails!(orders.subscription(id), Error::SubscriptionDoesNotExist { .. });
        assert!(orders.told().is_empty() && orders.subscription_of("a").is_none());
    }

    fn an_observed_expiry_of_a_subscription_stays_whatever_the_clock_says(h) {
        let orders = h.create("orders");
        let id = orders.subscribe_lasting("a", 10);
        h.pass(10);
        assert!(!orders.is_subscribed(id));
        h.driver().gc().unwrap();
        h.clock().set_wall(START);
        h.turn();
        assert!(!orders.is_subscribed(id) && orders.told().is_empty());
    }

    fn a_ttl_of_zero_is_over_at_once(h) {
        let orders = h.create("orders");
        let id = orders.subscribe_lasting("a", 0);
        h.turn();
        assert!(!orders.is_subscribed(id));
        assert_ne!(orders.subscribe_lasting("a", 0), id);
    }

    fn subscriptions_are_listed_in_the_order_of_creation(h) {
        let orders = h.create("orders");
        let ids: Vec<_> = ["c", "a", "d", "b"].map(|name| orders.subscribe(name)).into();
        h.turn();
        let last = orders.subscribe("0");
        h.turn();
        assert_eq!(orders.told(), ["c", "a", "d", "b", "0"]);
        assert!(ids.is_sorted() && ids.iter().all(|id| *id < last));
    }

    fn ten_subscriptions_are_listed_unless_said_otherwise(h) {
        let orders = h.create("orders");
        for i in 0..12 {
            orders.subscribe(&i.to_string());
        }
        h.turn();
        assert_eq!(orders.told_on(&ListOptions::new()).len(), 10);
        assert_eq!(orders.told_on(&page(3)), ["0", "1", "2"]);
        assert_eq!(orders.told().len(), 12);
    }

    fn pages_of_subscriptions_follow_one_another(h) {
        let orders = h.create("orders");
        for i in 0..6 {
            orders.subscribe(&i.to_string());
        }
        h.turn();
        let (mut seen, mut marker) = (Vec::new(), None);
        loop {
            let page = orders.subscriptions(&page(3).marker(marker)).unwrap();
            marker = page.next;
            if page.items.is_empty() {
                break;
            }
            assert_eq!(marker, page.items.last().map(Subscription::marker));
            assert_eq!(marker, page.items.last().map(|last| last.id().into()));
            seen.extend(page.into_iter().map(|one| one.subscriber().clone()));
            h.turn();
        }
        assert_eq!(seen, (0..6).map(|i| hook(&i.to_string())).collect::<Vec<_>>());
        assert_eq!(marker, None);
    }

    fn the_marker_of_a_deleted_or_expired_subscription_continues_from_its_place(h) {
        let orders = h.create("orders");
        let ids = ["a", "b", "c", "d"].map(|name| orders.subscribe_lasting(name, if name == "a" { 10 } else { 100 }));
        orders.unsubscribe(ids[1]).unwrap();
        h.pass(10);
        h.driver().gc().unwrap();
        h.turn();
        for id in [ids[0], ids[1]] {
            assert_eq!(orders.told_on(&page(0).marker(SubscriptionMarker::from(id))), ["c", "d"]);
        }
    }

    fn a_malformed_subscription_marker_gives_an_empty_page(h) {
        let orders = h.create("orders");
        orders.subscribe("a");
        h.turn();
        for text in ["", "?", "0", "a"] {
            let page = orders.subscriptions(&page(0).marker(SubscriptionMarker::lossy(text))).unwrap();
            assert!(page.items.is_empty() && page.next.is_none(), "{text:?}");
        }
    }

    fn a_queue_without_subscriptions_has_an_empty_page_without_a_marker(h) {
        h.create("orders");
        h.queue("others").subscribe_lasting("a", 0);
        h.turn();
        for name in ["orders", "others", "missing"] {
            let page = h.queue(name).subscriptions(&page(0)).unwrap();
            assert!(page.items.is_empty() && page.next.is_none(), "{name}");
        }
    }

    fn expired_subscriptions_take_no_place_on_a_page(h) {
        let orders = h.create("orders");
        for (name, ttl) in [("a", 10), ("b", 100), ("c", 10), ("d", 100), ("e", 100)] {
            orders.subscribe_lasting(name, ttl);
        }
        h.pass(10);
        h.turn();
        assert_eq!(orders.told_on(&page(2)), ["b", "d"]);
    }

    fn a_list_shows_only_the_queues_own_subscriptions(h) {
        // Joined by a dot, the two pairs are the same text.
        let one = h.queue_in(&Project::named("a").unwrap(), "b.c");
        let two = h.queue_in(&Project::named("a.b").unwrap(), "c");
        one.subscribe("one");
        two.subscribe("two");
        h.turn();
        assert_eq!((one.told(), two.told()), (vec!["one".to_owned()], vec!["two".to_owned()]));
    }

    fn a_deleted_subscription_is_gone_and_its_subscriber_may_come_back(h) {
        let orders = h.create("orders");
        let old = orders.subscribe("a");
        orders.unsubscribe(old).unwrap();
        h.turn();
        assert!(!orders.is_subscribed(old) && orders.subscription_of("a").is_none());
        let new = orders.subscribe("a");
        h.turn();
        assert!(new > old && orders.is_subscribed(new) && !orders.is_subscribed(old));
    }

    fn deleting_a_missing_subscription_is_fine(h) {
        let orders = h.create("orders");
        let id = orders.subscribe("a");
        orders.unsubscribe(id).unwrap();
        h.turn();
        for id in [id, no_subscription(), SubscriptionId::lossy("none")] {
            orders.unsubscribe(id).unwrap();
            h.queue("missing").unsubscribe(id).unwrap();
        }
    }

    fn a_subscription_is_not_deleted_through_another_queue(h) {
        let orders = h.create("orders");
        let id = orders.subscribe("a");
        for other in [h.create("bills"), h.queue("missing"), h.queue_in(&Project::none(), "orders")] {
            other.unsubscribe(id).unwrap();
        }
        h.turn();
        assert!(orders.is_subscribed(id));
    }

    fn a_subscription_is_confirmed_and_unconfirmed(h) {
        let orders = h.create("orders");
        let id = orders.subscribe("a");
        for confirmed in [true, true, false] {
            orders.confirm(id, confirmed).unwrap();
            h.turn();
            assert_eq!(orders.subscription(id).unwrap().confirmed(), confirmed);
        }
    }

    fn confirming_a_missing_subscription_fails(h) {
        let orders = h.create("orders");
        let gone = orders.subscribe_lasting("a", 10);
        h.pass(10);
        h.turn();
        for id in [gone, no_subscription()] {
            assert_fails!(orders.confirm(id, true), Error::SubscriptionDoesNotExist { id: missing, .. } if missing == id);
        }
        let id = orders.subscribe("a");
        assert_fails!(h.queue("bills").confirm(id, true), Error::SubscriptionDoesNotExist { .. });
        h.turn();
        assert!(!orders.subscription(id).unwrap().confirmed());
    }

    /// MongoDB: it crashed where there was none.
    fn a_subscription_is_found_by_its_subscriber(h) {
        let orders = h.create("orders");
        let id = orders.subscribe("a");
        h.turn();
        assert_eq!(orders.subscription_of("a").unwrap(), orders.subscription(id).unwrap());
        assert_eq!(orders.subscription_of("b"), None);
        assert_eq!(h.queue("bills").subscription_of("a"), None);
        assert_eq!(h.queue_in(&Project::none(), "orders").subscription_of("a"), None);
    }

    fn purging_subscriptions_takes_all_of_the_queue_and_counts_them(h) {
        let orders = h.create_with("orders", r#"{"a": 1}"#);
        for i in 0..25 {
            orders.subscribe(&i.to_string());
        }
        orders.subscribe_lasting("gone", 0);
        orders.post(2);
        h.queue("bills").subscribe("a");
        h.turn();
        assert_eq!(orders.purge(Purge::Subscriptions).unwrap(), 25);
        h.turn();
        assert!(orders.told().is_empty());
        assert_eq!((orders.counts().2, h.queue("bills").told().len()), (2, 1));
        assert_eq!(orders.purge(Purge::Subscriptions).unwrap(), 0);
        orders.subscribe("0");
        h.turn();
        assert_eq!(orders.told(), ["0"]);
    }

    fn purging_everything_takes_messages_and_subscriptions(h) {
        let orders = h.create("orders");
        orders.post(3);
        orders.subscribe("a");
        orders.subscribe("b");
        h.turn();
        assert_eq!(orders.purge(Purge::All).unwrap(), 5);
        h.turn();
        assert!(orders.told().is_empty() && orders.all().is_empty());
    }

    fn purging_messages_leaves_subscriptions(h) {
        let orders = h.create("orders");
        orders.post(3);
        orders.subscribe("a");
        assert_eq!(orders.purge(Purge::Messages).unwrap(), 3);
        h.turn();
        assert_eq!(orders.told(), ["a"]);
    }

    fn a_missing_queues_subscriptions_are_purged_too(h) {
        for what in [Purge::Subscriptions, Purge::All] {
            let orders = h.queue("orders");
            orders.subscribe("a");
            assert_eq!(orders.purge(Purge::Messages).unwrap(), 0);
            h.turn();
            assert_eq!(orders.purge(what).unwrap(), 1);
            h.turn();
            assert!(orders.told().is_empty() && !orders.exists());
        }
    }

    fn gc_frees_subscriptions_that_ran_out_and_says_how_many(h) {
        let orders = h.create("orders");
        for (name, ttl) in [("a", 10), ("b", 20), ("c", 100)] {
            orders.subscribe_lasting(name, ttl);
        }
        h.queue("missing").subscribe_lasting("a", 10);
        h.turn();
        h.pass(20);
        assert_eq!(h.driver().gc().unwrap().subscriptions(), 3);
        assert_eq!(h.driver().gc().unwrap().subscriptions(), 0);
        h.turn();
        assert_eq!(h.driver().gc().unwrap().subscriptions(), 0);
        assert_eq!(orders.told(), ["c"]);
    }

    fn a_replaced_or_extended_subscription_is_not_freed(h) {
        let orders = h.create("orders");
        let id = orders.subscribe_lasting("a", 10);
        orders.change(id, &SubscriptionUpdate::new().ttl(seconds(100))).unwrap();
        orders.subscribe_lasting("b", 10);
        h.pass(10);
        let new = orders.subscribe_lasting("b", 100);
        h.turn();
        h.driver().gc().unwrap();
        h.turn();
        assert!(orders.is_subscribed(id) && orders.is_subscribed(new));
    }

    fn any_text_may_subscribe_but_only_uris_by_zaqars_limits(h) {
        let text = Subscriber::new("not a uri").unwrap();
        assert!(h.queue("orders").try_subscribe_for(&text, 1, "{}").unwrap().is_some());
        let h = &h.with_limits(Limits::zaqar());
        let orders = h.create("orders");
        for uri in ["not a uri", "ftp://example.com", "HTTP://example.com", "trust+mailto:a@b"] {
            assert_eq!(refused(orders.try_subscribe_for(&Subscriber::new(uri).unwrap(), 60, "{}")), "subscriber");
        }
        let schemes = ["http://a", "https://a", "mailto:a@b", "trust+http://a", "trust+https://a"];
        for uri in schemes {
            assert!(orders.try_subscribe_for(&Subscriber::new(uri).unwrap(), 60, "{}").unwrap().is_some());
        }
        h.turn();
        assert_eq!(orders.told_on(&page(10)), schemes);
    }

    fn zaqars_limits_hold_for_subscriptions(h) {
        let h = &h.with_limits(Limits::zaqar());
        let orders = h.create("orders");
        let large = format!(r#"{{"a": "{}"}}"#, "x".repeat(65_536));
        assert_eq!(refused(orders.try_subscribe("a", 59, "{}")), "ttl");
        assert!(orders.try_subscribe("a", 60, &large).unwrap_err().is_too_large());
        let id = orders.subscribe_lasting("a", 60);
        assert!(orders.subscribe_lasting("b", 100_000_000) > id);
        assert_eq!(refused(orders.change(id, &SubscriptionUpdate::new().ttl(seconds(59)))), "ttl");
        assert!(orders.change(id, &SubscriptionUpdate::new().options(json(&large))).unwrap_err().is_too_large());
        for limit in [0, 21] {
            assert_eq!(refused(orders.subscriptions(&page(limit))), "limit");
        }
        assert_eq!(orders.told_on(&page(20)).len(), 2);
        let spaced = h.queue("a b");
        let driver = h.driver();
        let refusals = [
            spaced.try_subscribe("a", 60, "{}").map(drop),
            spaced.subscription(id).map(drop),
            driver.subscriptions().exists(&shop(), &spaced.name, &id).map(drop),
            spaced.subscriptions(&page(1)).map(drop),
            spaced.change(id, &to("c")),
            spaced.unsubscribe(id),
            spaced.confirm(id, true),
            driver.subscriptions().get_with_subscriber(&shop(), &spaced.name, &hook("a")).map(drop),
        ];
        for (i, refusal) in refusals.into_iter().enumerate() {
            assert!(refusal.is_err_and(|error| error.is_invalid()), "call {i}");
        }
    }

    fn wrong_arguments_are_told_before_a_twin(h) {
        let h = &h.with_limits(Limits::zaqar());
        let orders = h.create("orders");
        orders.subscribe("a");
        h.turn();
        assert_eq!(refused(orders.try_subscribe("a", 59, "{}")), "ttl");
        assert_eq!(refused(orders.try_subscribe("a", ENDLESS, "{}")), "ttl");
    }

    fn no_subscription_ends_after_the_year_9999(h) {
        let orders = h.create("orders");
        assert_eq!(refused(orders.try_subscribe("a", ENDLESS, "{}")), "ttl");
        let most = Timestamp::MAX.since(START).as_secs();
        assert_eq!(refused(orders.try_subscribe("a", most + 1, "{}")), "ttl");
        let id = orders.subscribe_lasting("a", most);
        assert_eq!(refused(orders.change(id, &SubscriptionUpdate::new().ttl(seconds(most + 1)))), "ttl");
        h.turn();
        assert_eq!(orders.subscription(id).unwrap().ttl(), seconds(most));
    }
}
