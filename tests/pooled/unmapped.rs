//! The answers for queues that are not mapped to a pool (contract 12).

use zaqar_sled::{
    Catalogue, DataDriver, Error, ListOptions, Purge, Sort, Subscriber, SubscriptionId, SubscriptionMarker,
    SubscriptionUpdate,
};

use crate::support::{Harness, Queue, assert_fails, everything, json, lasting, no_claim, no_message, seconds, shop};
use crate::unreachable::calls_on_the_pool;

/// The whole table for a queue that is mapped nowhere.
fn answers_as_unmapped(h: &Harness, queue: &Queue<'_>) {
    assert_fails!(queue.send(&[lasting("tea", 60)]), Error::QueueDoesNotExist { .. });
    assert_fails!(queue.send(&[]), Error::QueueDoesNotExist { .. });
    assert_fails!(queue.get(no_message()), Error::QueueDoesNotExist { .. });
    assert_fails!(queue.first(Sort::Oldest), Error::QueueDoesNotExist { .. });
    assert_fails!(queue.first(Sort::Newest), Error::QueueDoesNotExist { .. });
    assert_fails!(queue.stats(), Error::QueueDoesNotExist { .. });
    let page = queue.list(&everything()).unwrap();
    assert!(page.items.is_empty() && page.next.is_none());
    assert!(queue.bulk_get(&[no_message()]).unwrap().is_empty());
    queue.delete(no_message(), None).unwrap();
    queue.delete(no_message(), Some(no_claim())).unwrap();
    queue.bulk_delete(&[no_message()], &[]).unwrap();
    queue.bulk_delete(&[no_message()], &[no_claim()]).unwrap();
    assert!(queue.pop(1).unwrap().is_empty());
    queue.release(no_claim()).unwrap();
    assert!(queue.try_claim(60, 60, 1).unwrap().is_none());
    assert_fails!(queue.look_up(no_claim()), Error::ClaimDoesNotExist { .. });
    assert_fails!(queue.renew(no_claim(), 60, 60), Error::ClaimDoesNotExist { .. });
    for what in [Purge::Messages, Purge::Subscriptions, Purge::All] {
        assert_eq!(queue.purge(what).unwrap(), 0);
    }
    keeps_subscriptions(h, queue);
}

/// Asserts that subscriptions of a queue without a pool work like others; removes them again.
fn keeps_subscriptions(h: &Harness, queue: &Queue<'_>) {
    let driver = h.driver();
    let subscriptions = driver.subscriptions();
    let (project, name) = (&queue.project, &queue.name);
    let hook = Subscriber::new("https://example.com/hook").unwrap();
    let id = SubscriptionId::lossy("none");
    assert_fails!(subscriptions.get(project, name, &id), Error::SubscriptionDoesNotExist { .. });
    assert!(!subscriptions.exists(project, name, &id).unwrap());
    let page = subscriptions.list(project, name, &ListOptions::<SubscriptionMarker>::new()).unwrap();
    assert!(page.items.is_empty() && page.next.is_none());
    let longer = SubscriptionUpdate::new().ttl(seconds(60));
    assert_fails!(subscriptions.update(project, name, &id, &longer), Error::SubscriptionDoesNotExist { .. });
    assert_fails!(subscriptions.confirm(project, name, &id, true), Error::SubscriptionDoesNotExist { .. });
    subscriptions.delete(project, name, &id).unwrap();
    assert_eq!(subscriptions.get_with_subscriber(project, name, &hook).unwrap(), None);
    assert!(subscriptions.update(project, name, &id, &SubscriptionUpdate::new()).unwrap_err().is_invalid());
    let id = subscriptions
        .create(project, name, &hook, seconds(30), &json("{}"))
        .unwrap()
        .expect("no such subscription exists");
    assert_eq!(subscriptions.create(project, name, &hook, seconds(30), &json("{}")).unwrap(), None);
    subscriptions.update(project, name, &id, &longer).unwrap();
    subscriptions.confirm(project, name, &id, true).unwrap();
    let got = subscriptions.get(project, name, &id).unwrap();
    assert!(got.confirmed() && got.ttl() == seconds(60));
    assert_eq!(queue.purge(Purge::Subscriptions).unwrap(), 1);
    assert!(!subscriptions.exists(project, name, &id).unwrap());
}

/// Asserts the answers of a queue that is mapped to an unregistered pool: every call that needs the pool fails.
fn answers_as_lost(h: &Harness, queue: &Queue<'_>) {
    for (call, outcome) in calls_on_the_pool(h, queue) {
        match outcome {
            Err(Error::PoolDoesNotExist { pool }) => assert_eq!(pool.as_str(), "gone", "{call}"),
            other => panic!("{call}: {other:?}"),
        }
    }
}

pooled! {
    fn a_queue_that_was_never_made_answers_by_the_table(h) {
        h.two_pools();
        h.turn();
        answers_as_unmapped(h, &h.queue("orders"));
        h.turn();
        assert_eq!(h.queue("orders").pool(), None);
    }

    fn a_queue_that_lost_its_mapping_answers_by_the_table(h) {
        h.two_pools();
        let orders = h.create("orders");
        let id = orders.say("coffee");
        orders.unmap();
        h.turn();
        answers_as_unmapped(h, &orders);
        assert_fails!(orders.get(id), Error::QueueDoesNotExist { .. });
        orders.delete(id, None).unwrap();
        // The record exists anyway.
        assert!(orders.exists() && orders.metadata().unwrap().is_empty());
        orders.route("one");
        assert_eq!(orders.all(), ["coffee"]);
    }

    fn a_deleted_queue_answers_by_the_table(h) {
        h.two_pools();
        let orders = h.create("orders");
        orders.say("coffee");
        orders.remove().unwrap();
        h.turn();
        answers_as_unmapped(h, &orders);
        h.settle();
        answers_as_unmapped(h, &orders);
    }

    fn a_mapping_without_a_queue_leads_to_no_messages(h) {
        h.two_pools();
        let orders = h.queue("orders");
        orders.route("one");
        h.turn();
        assert_fails!(orders.try_say("tea"), Error::QueueDoesNotExist { .. });
        assert_fails!(orders.stats(), Error::QueueDoesNotExist { .. });
        assert!(orders.all().is_empty() && orders.pop(1).unwrap().is_empty());
        assert!(orders.try_claim(60, 60, 1).unwrap().is_none());
        // But a pool to keep subscriptions in, which need no queue.
        let hook = Subscriber::new("https://example.com/hook").unwrap();
        let made = h.driver().subscriptions().create(&shop(), &orders.name, &hook, seconds(60), &json("{}")).unwrap();
        assert!(made.is_some());
        orders.remove().unwrap();
        assert_eq!(orders.pool(), None);
    }

    fn a_mapping_to_a_pool_that_is_not_registered_is_told(h) {
        h.two_pools();
        let orders = h.create_with("orders", r#"{"a": 1}"#);
        orders.say("coffee");
        orders.route("gone");
        h.turn();
        answers_as_lost(h, &orders);
        assert!(orders.exists());
        assert_eq!(orders.metadata().unwrap(), json(r#"{"a": 1}"#));
        orders.set_metadata("{}").unwrap();
        assert!(!orders.create("{}").unwrap());
        assert_eq!(orders.pool().as_deref(), Some("gone"));
        h.pool("gone", 0);
        assert!(orders.all().is_empty());
        orders.route("one");
        assert_eq!(orders.all(), ["coffee"]);
    }

    fn a_queue_in_a_pool_that_is_not_registered_can_be_deleted(h) {
        h.two_pools();
        let orders = h.create("orders");
        orders.say("coffee");
        orders.route("gone");
        h.turn();
        orders.remove().unwrap();
        assert!(!orders.exists());
        assert_eq!(orders.pool(), None);
        h.turn();
        h.settle();
        assert!(orders.create("{}").unwrap());
        assert!(orders.all().is_empty());
        // The pool may be registered again, with its contents of the queue.
        h.pool("gone", 0);
        h.settle();
    }

    fn a_deleted_pool_leaves_its_entries_and_is_told(h) {
        h.pool("gone", 1);
        let orders = h.create("orders");
        orders.say("coffee");
        h.drop_pool("gone").unwrap();
        answers_as_lost(h, &orders);
        h.turn();
        answers_as_lost(h, &orders);
        assert_eq!(Catalogue::list(&h.driver(), &shop()).unwrap().len(), 1);
        h.pool("gone", 1);
        assert_eq!(orders.all(), ["coffee"]);
    }
}
