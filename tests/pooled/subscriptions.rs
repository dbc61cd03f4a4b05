//! Subscriptions, which are kept in the queue's pool.

use zaqar_sled::{
    DataDriver, Error, ListOptions, Purge, Subscriber, Subscription, SubscriptionId, SubscriptionMarker,
    SubscriptionUpdate,
};

use crate::support::{Harness, Queue, assert_fails, json, seconds};

pub(crate) fn hook(name: &str) -> Subscriber {
    Subscriber::new(format!("https://example.com/{name}")).unwrap()
}

pub(crate) fn subscribe(h: &Harness, queue: &Queue<'_>, name: &str, ttl: u64) -> Option<SubscriptionId> {
    let options = json(&format!(r#"{{"name": "{name}"}}"#));
    h.driver().subscriptions().create(&queue.project, &queue.name, &hook(name), seconds(ttl), &options).unwrap()
}

pub(crate) fn subscribed(h: &Harness, queue: &Queue<'_>) -> Vec<Subscription> {
    let options = ListOptions::<SubscriptionMarker>::new().limit(0);
    h.driver().subscriptions().list(&queue.project, &queue.name, &options).unwrap().items
}

pub(crate) fn names(h: &Harness, queue: &Queue<'_>) -> Vec<String> {
    let named = |subscription: Subscription| subscription.subscriber().as_str().rsplit('/').next().unwrap().to_owned();
    subscribed(h, queue).into_iter().map(named).collect()
}

pooled! {
    fn everything_there_is_to_do_with_subscriptions(h) {
        h.two_pools();
        let orders = h.create("orders");
        let (project, name) = (&orders.project, &orders.name);
        let a = subscribe(h, &orders, "a", 3600).unwrap();
        let b = subscribe(h, &orders, "b", 3600).unwrap();
        assert_eq!(subscribe(h, &orders, "a", 60), None);
        h.turn();
        assert_eq!(subscribe(h, &orders, "b", 60), None);
        let driver = h.driver();
        let subscriptions = driver.subscriptions();
        subscriptions.confirm(project, name, &a, true).unwrap();
        let update = SubscriptionUpdate::new().ttl(seconds(60)).options(json(r#"{"x": 1}"#));
        subscriptions.update(project, name, &b, &update).unwrap();
        let taken = SubscriptionUpdate::new().subscriber(hook("a"));
        assert_fails!(subscriptions.update(project, name, &b, &taken), Error::SubscriptionAlreadyExists { .. });
        h.turn();
        h.pass(5);
        let driver = h.driver();
        let subscriptions = driver.subscriptions();
        let got = subscriptions.get(project, name, &a).unwrap();
        assert!(got.confirmed());
        assert_eq!((got.age(), got.ttl(), got.options()), (seconds(5), seconds(3600), &json(r#"{"name": "a"}"#)));
        let found = subscriptions.get_with_subscriber(project, name, &hook("b")).unwrap().unwrap();
        assert_eq!((found.id(), found.ttl(), found.options()), (b, seconds(60), &json(r#"{"x": 1}"#)));
        assert!(subscriptions.exists(project, name, &b).unwrap());
        h.pass(55);
        assert!(!subscriptions.exists(project, name, &b).unwrap());
        assert_eq!(names(h, &orders), ["a"]);
        subscriptions.delete(project, name, &a).unwrap();
        h.turn();
        assert!(subscribed(h, &orders).is_empty());
        let again = subscribe(h, &orders, "a", 60).unwrap();
        assert!(again > b, "ids go on");
    }

    fn subscriptions_are_the_pools(h) {
        h.two_pools();
        let orders = h.create("orders");
        let a = subscribe(h, &orders, "a", 3600).unwrap();
        orders.route("two");
        h.turn();
        assert!(subscribed(h, &orders).is_empty());
        let b = subscribe(h, &orders, "a", 3600).unwrap();
        assert_ne!(a, b);
        assert!(b > a, "a reader of subscriptions that goes on after {a} misses {b}");
        orders.route("one");
        assert_eq!(subscribed(h, &orders)[0].id(), a);
        let c = subscribe(h, &orders, "c", 3600).unwrap();
        assert!(c > b, "a reader of subscriptions that goes on after {b} misses {c}");
        h.turn();
        assert_eq!(names(h, &orders), ["a", "c"]);
    }

    fn deleting_the_queue_keeps_its_subscriptions(h) {
        h.two_pools();
        let orders = h.create("orders");
        subscribe(h, &orders, "a", 3600).unwrap();
        orders.remove().unwrap();
        // The subscriptions are in the queue's former pool.
        assert!(subscribed(h, &orders).is_empty());
        h.turn();
        h.settle();
        h.create("orders");
        assert_eq!(names(h, &orders), ["a"]);
    }

    fn purging_takes_and_counts_them(h) {
        h.two_pools();
        let orders = h.create("orders");
        let bills = h.create("bills");
        for queue in [&orders, &bills] {
            queue.post(3);
            subscribe(h, queue, "a", 3600).unwrap();
            subscribe(h, queue, "b", 3600).unwrap();
        }
        h.turn();
        assert_eq!(orders.purge(Purge::Messages).unwrap(), 3);
        assert_eq!(names(h, &orders), ["a", "b"]);
        assert_eq!(orders.purge(Purge::Subscriptions).unwrap(), 2);
        assert_eq!(orders.purge(Purge::All).unwrap(), 0);
        assert_eq!(bills.purge(Purge::All).unwrap(), 5);
        h.turn();
        assert!(subscribed(h, &orders).is_empty() && subscribed(h, &bills).is_empty());
        assert_eq!((orders.counts(), bills.counts()), ((0, 0, 0), (0, 0, 0)));
    }

    fn purging_an_empty_queue_takes_its_subscriptions(h) {
        h.two_pools();
        let orders = h.create("orders");
        subscribe(h, &orders, "a", 3600).unwrap();
        h.turn();
        assert_eq!(orders.purge(Purge::All).unwrap(), 1);
        h.turn();
        assert!(subscribed(h, &orders).is_empty());
    }

    fn pages_of_subscriptions_walk_through_all(h) {
        h.two_pools();
        let orders = h.create("orders");
        for number in 0..25 {
            subscribe(h, &orders, &format!("{number:02}"), 3600).unwrap();
        }
        h.turn();
        let mut seen = Vec::new();
        let mut options = ListOptions::<SubscriptionMarker>::new().limit(10);
        loop {
            let page = h.driver().subscriptions().list(&orders.project, &orders.name, &options).unwrap();
            seen.extend(page.items.iter().map(Subscription::id));
            let Some(next) = page.next else { break };
            options.marker = Some(next);
        }
        assert_eq!(seen.len(), 25);
        assert!(seen.is_sorted());
    }

    fn subscriptions_from_before_a_queue_is_created_stay(h) {
        h.two_pools();
        let orders = h.queue("orders");
        let a = subscribe(h, &orders, "a", 3600).unwrap();
        subscribe(h, &orders, "b", 10).unwrap();
        h.driver().subscriptions().confirm(&orders.project, &orders.name, &a, true).unwrap();
        h.turn();
        assert_eq!(names(h, &orders), ["a", "b"]);
        h.pass(10);
        assert!(orders.create("{}").unwrap());
        h.turn();
        let kept = &subscribed(h, &orders)[0];
        assert!((kept.id(), kept.confirmed(), kept.age(), kept.ttl()) == (a, true, seconds(10), seconds(3600)));
        assert_eq!(subscribe(h, &orders, "a", 60), None);
        let c = subscribe(h, &orders, "c", 3600).unwrap();
        assert!(c > a);
        // The subscriptions are in the pool and move with the queue.
        orders.move_to("two").unwrap();
        h.turn();
        assert_eq!(names(h, &orders), ["a", "c"]);
        h.driver().subscriptions().delete(&orders.project, &orders.name, &a).unwrap();
        orders.remove().unwrap();
        h.settle();
        h.turn();
        // The control store has none of them left.
        assert!(subscribed(h, &orders).is_empty());
        h.create("orders");
        h.turn();
        assert!(subscribed(h, &orders).is_empty(), "it is in pool one now");
    }

    fn a_virtual_pool_keeps_them_and_lets_them_go_along(h) {
        let h = &h.with(|config| config.virtual_pool(true));
        let orders = h.create("orders");
        let a = subscribe(h, &orders, "a", 3600).unwrap();
        h.turn();
        assert_eq!(names(h, &orders), ["a"]);
        h.two_pools();
        orders.route("one");
        h.turn();
        assert_eq!(subscribed(h, &orders)[0].id(), a);
        subscribe(h, &orders, "b", 3600).unwrap();
        orders.unmap();
        // Routing leaves them where they are.
        assert!(subscribed(h, &orders).is_empty());
        let again = subscribe(h, &orders, "a", 3600).unwrap();
        h.turn();
        orders.route("one");
        assert_eq!(names(h, &orders), ["b", "a"]);
        assert_eq!(subscribed(h, &orders)[1].id(), again, "the later of a subscriber's two");
        h.check();
    }

    fn an_old_marker_does_not_hide_those_of_a_queue_made_again(h) {
        h.two_pools();
        // The second pool's store is opened after the first one's, so its incarnation is higher.
        h.create("bills").say("x");
        h.prefer("two");
        let orders = h.create("orders");
        subscribe(h, &orders, "a", 3600).unwrap();
        let marker = subscribed(h, &orders)[0].marker();
        orders.remove().unwrap();
        let behind = |marker: SubscriptionMarker| -> Vec<String> {
            let options = ListOptions::<SubscriptionMarker>::new().limit(0).marker(marker);
            let page = h.driver().subscriptions().list(&orders.project, &orders.name, &options).unwrap();
            page.items.iter().map(|one| one.subscriber().as_str().rsplit('/').next().unwrap().to_owned()).collect()
        };
        subscribe(h, &orders, "b", 3600).unwrap();
        assert_eq!(behind(marker), ["b"], "in the control store");
        let marker = subscribed(h, &orders)[0].marker();
        h.settle();
        h.prefer("one");
        h.create("orders");
        subscribe(h, &orders, "c", 3600).unwrap();
        assert_eq!(behind(marker), ["c"], "in a pool that was opened before");
        h.turn();
        assert_eq!(behind(marker), ["c"]);
    }

    fn a_pool_that_cannot_be_reached_is_told_and_gets_them_later(h) {
        h.two_pools();
        let orders = h.queue("orders");
        let a = subscribe(h, &orders, "a", 3600).unwrap();
        orders.route("gone");
        h.turn();
        let subscriptions = |h: &Harness| h.driver().subscriptions().exists(&orders.project, &orders.name, &a);
        assert_fails!(subscriptions(h), Error::PoolDoesNotExist { .. });
        assert_fails!(orders.purge(Purge::All), Error::PoolDoesNotExist { .. });
        h.pool("gone", 0);
        h.turn();
        assert!(subscriptions(h).unwrap());
    }
}
