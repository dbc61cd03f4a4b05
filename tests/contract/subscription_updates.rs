//! Contract 8: updates of subscriptions.

use crate::support::*;
use zaqar_sled::{Error, Limits, Project, SubscriptionId, SubscriptionUpdate};

/// A ttl of so many seconds.
fn lasting(ttl: u64) -> SubscriptionUpdate {
    SubscriptionUpdate::new().ttl(seconds(ttl))
}

fn with(options: &str) -> SubscriptionUpdate {
    SubscriptionUpdate::new().options(json(options))
}

contract! {
    fn an_update_changes_what_it_sets_and_nothing_else(h) {
        let orders = h.create("orders");
        let id = orders.try_subscribe("a", 600, r#"{"a": 1}"#).unwrap().unwrap();
        h.pass(5);
        orders.change(id, &to("b")).unwrap();
        h.turn();
        let one = orders.subscription(id).unwrap();
        assert_eq!((one.subscriber(), one.ttl(), one.age()), (&hook("b"), seconds(600), seconds(5)));
        assert_eq!(one.options(), &json(r#"{"a": 1}"#));
        orders.change(id, &with(r#"{"b": 2}"#)).unwrap();
        h.turn();
        let one = orders.subscription(id).unwrap();
        assert_eq!((one.subscriber(), one.ttl()), (&hook("b"), seconds(600)));
        orders.change(id, &lasting(60)).unwrap();
        h.turn();
        let one = orders.subscription(id).unwrap();
        assert_eq!((one.subscriber(), one.ttl()), (&hook("b"), seconds(60)));
        assert_eq!(one.options(), &json(r#"{"b": 2}"#));
    }

    fn an_update_may_set_everything_at_once(h) {
        let orders = h.create("orders");
        let id = orders.subscribe("a");
        orders.change(id, &to("b").ttl(seconds(60)).options(json(r#"{"b": 2}"#))).unwrap();
        h.turn();
        let one = orders.subscription(id).unwrap();
        assert_eq!((one.subscriber(), one.ttl(), one.options()), (&hook("b"), seconds(60), &json(r#"{"b": 2}"#)));
    }

    fn a_new_ttl_counts_from_now_and_does_not_restart_the_age(h) {
        let orders = h.create("orders");
        let id = orders.subscribe_lasting("a", 100);
        h.pass(90);
        orders.change(id, &lasting(50)).unwrap();
        h.pass(49);
        h.turn();
        let one = orders.subscription(id).unwrap();
        assert_eq!((one.ttl(), one.age()), (seconds(50), seconds(139)));
        h.pass(1);
        h.turn();
        assert!(!orders.is_subscribed(id));
    }

    fn a_new_ttl_may_shorten_a_life(h) {
        let orders = h.create("orders");
        let id = orders.subscribe_lasting("a", 100);
        orders.change(id, &lasting(10)).unwrap();
        h.pass(10);
        h.turn();
        assert!(!orders.is_subscribed(id));
        let id = orders.subscribe("a");
        orders.change(id, &lasting(0)).unwrap();
        h.turn();
        assert!(!orders.is_subscribed(id));
    }

    fn other_updates_leave_the_expiry_alone(h) {
        let orders = h.create("orders");
        let id = orders.subscribe_lasting("a", 100);
        h.pass(60);
        orders.change(id, &to("b").options(json("{}"))).unwrap();
        orders.confirm(id, true).unwrap();
        h.pass(40);
        h.turn();
        assert!(!orders.is_subscribed(id));
    }

    fn options_are_replaced_whole(h) {
        let orders = h.create("orders");
        let id = orders.try_subscribe("a", 600, r#"{"a": 1, "b": 2}"#).unwrap().unwrap();
        orders.change(id, &with(r#"{"c": 3}"#)).unwrap();
        h.turn();
        assert_eq!(orders.subscription(id).unwrap().options(), &json(r#"{"c": 3}"#));
        orders.change(id, &with("{}")).unwrap();
        h.turn();
        assert!(orders.subscription(id).unwrap().options().is_empty());
    }

    fn an_update_keeps_whether_it_is_confirmed(h) {
        let orders = h.create("orders");
        let id = orders.subscribe("a");
        orders.confirm(id, true).unwrap();
        orders.change(id, &to("b").ttl(seconds(60)).options(json("{}"))).unwrap();
        h.turn();
        assert!(orders.subscription(id).unwrap().confirmed());
    }

    fn an_update_that_sets_nothing_is_invalid_even_for_a_missing_subscription(h) {
        let orders = h.create("orders");
        let id = orders.subscribe("a");
        h.turn();
        for id in [id, no_subscription(), SubscriptionId::lossy("none")] {
            assert_eq!(refused(orders.change(id, &SubscriptionUpdate::new())), "update");
        }
    }

    fn updating_a_missing_subscription_fails(h) {
        let orders = h.create("orders");
        let gone = orders.subscribe_lasting("gone", 10);
        let id = orders.subscribe("a");
        h.pass(10);
        h.turn();
        for id in [gone, no_subscription(), SubscriptionId::lossy("none")] {
            assert_fails!(orders.change(id, &lasting(60)), Error::SubscriptionDoesNotExist { id: missing, .. }
                if missing == id);
        }
        for other in [h.create("bills"), h.queue_in(&Project::none(), "orders")] {
            assert_fails!(other.change(id, &lasting(60)), Error::SubscriptionDoesNotExist { .. });
        }
        h.turn();
        assert_eq!(orders.subscription(id).unwrap().ttl(), seconds(3600));
        assert!(!orders.is_subscribed(gone));
    }

    fn another_live_subscribers_place_cannot_be_taken(h) {
        let orders = h.create("orders");
        let (a, b) = (orders.subscribe("a"), orders.subscribe("b"));
        h.turn();
        assert_fails!(orders.change(a, &to("b").ttl(seconds(60))), Error::SubscriptionAlreadyExists { project, queue }
            if (&project, &queue) == (&shop(), &name_of("orders")));
        assert!(orders.change(a, &to("b")).unwrap_err().is_conflict());
        h.turn();
        let one = orders.subscription(a).unwrap();
        assert_eq!((one.subscriber(), one.ttl()), (&hook("a"), seconds(3600)));
        assert_eq!(orders.subscription_of("b").unwrap().id(), b);
    }

    fn a_missing_subscription_is_told_before_a_collision(h) {
        let orders = h.create("orders");
        orders.subscribe("a");
        h.turn();
        assert_fails!(orders.change(no_subscription(), &to("a")), Error::SubscriptionDoesNotExist { .. });
    }

    fn ones_own_subscriber_is_no_collision(h) {
        let orders = h.create("orders");
        let id = orders.subscribe("a");
        orders.change(id, &to("a").ttl(seconds(60))).unwrap();
        h.turn();
        assert_eq!(orders.subscription_of("a").unwrap().id(), id);
        assert_eq!(orders.subscription(id).unwrap().ttl(), seconds(60));
    }

    fn an_expired_subscribers_place_can_be_taken(h) {
        let orders = h.create("orders");
        let gone = orders.subscribe_lasting("gone", 10);
        let id = orders.subscribe("a");
        h.pass(10);
        h.turn();
        orders.change(id, &to("gone")).unwrap();
        h.turn();
        h.driver().gc().unwrap();
        assert_eq!(orders.subscription_of("gone").unwrap().id(), id);
        assert!(!orders.is_subscribed(gone));
        h.turn();
        assert_eq!(orders.told(), ["gone"]);
    }

    fn another_queues_subscriber_is_no_collision(h) {
        let (orders, bills) = (h.create("orders"), h.create("bills"));
        let id = orders.subscribe("a");
        bills.subscribe("b");
        orders.change(id, &to("b")).unwrap();
        h.turn();
        assert_eq!((orders.told(), bills.told()), (vec!["b".to_owned()], vec!["b".to_owned()]));
    }

    fn a_new_subscriber_frees_the_former_and_takes_its_own_place(h) {
        let orders = h.create("orders");
        let id = orders.subscribe("a");
        orders.change(id, &to("b")).unwrap();
        h.turn();
        assert_eq!(orders.subscription_of("a"), None);
        assert_eq!(orders.subscription_of("b").unwrap().id(), id);
        assert_eq!(orders.try_subscribe("b", 60, "{}").unwrap(), None);
        let other = orders.subscribe("a");
        h.turn();
        assert_eq!(orders.told(), ["b", "a"]);
        orders.unsubscribe(id).unwrap();
        h.turn();
        assert_eq!(orders.subscription_of("a").unwrap().id(), other);
        orders.subscribe("b");
    }

    fn an_update_keeps_the_place_in_the_list(h) {
        let orders = h.create("orders");
        let id = orders.subscribe("a");
        orders.subscribe("b");
        orders.change(id, &to("z").ttl(seconds(60))).unwrap();
        h.turn();
        assert_eq!(orders.told(), ["z", "b"]);
    }

    fn wrong_arguments_are_told_before_a_missing_subscription_but_its_end_after(h) {
        let endless = lasting(300_000_000_000);
        assert_fails!(h.queue("orders").change(no_subscription(), &endless), Error::SubscriptionDoesNotExist { .. });
        let h = &h.with_limits(Limits::zaqar());
        let orders = h.create("orders");
        assert_eq!(refused(orders.change(no_subscription(), &lasting(59))), "ttl");
        let id = orders.subscribe("a");
        orders.subscribe("b");
        h.turn();
        assert_eq!(refused(orders.change(id, &to("b").ttl(seconds(300_000_000_000)))), "ttl");
    }
}
