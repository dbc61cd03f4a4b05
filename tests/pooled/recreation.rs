//! Deleting a queue, and making it again.

use zaqar_sled::{Error, MessageMarker};

use crate::support::{Harness, assert_fails};

/// Deletes a queue with content and creates it again in that pool.
fn made_again_in(h: &Harness, pool: &str) {
    h.two_pools();
    let orders = h.create_with("orders", r#"{"a": 1}"#);
    let old = orders.post(5);
    let claim = orders.take(2);
    let marker: MessageMarker = old[2].into();
    orders.remove().unwrap();
    assert!(!orders.exists());
    assert_eq!(orders.pool(), None);
    h.prefer(pool);
    h.turn();
    assert!(orders.create("{}").unwrap());
    assert_eq!(orders.pool().as_deref(), Some(pool));
    assert!(orders.metadata().unwrap().is_empty());
    assert!(orders.all().is_empty());
    assert_eq!(orders.counts(), (0, 0, 0));
    for id in &old {
        assert_fails!(orders.get(*id), Error::MessageDoesNotExist { .. });
        orders.delete(*id, None).unwrap();
    }
    assert!(orders.bulk_get(&old).unwrap().is_empty());
    orders.bulk_delete(&old, &[]).unwrap();
    assert_fails!(orders.look_up(claim.id()), Error::ClaimDoesNotExist { .. });
    orders.release(claim.id()).unwrap();
    let new = orders.say("new");
    assert!(!old.contains(&new));
    // An old marker comes before every message.
    assert_eq!(orders.after(marker), ["new"]);
    h.turn();
    h.settle();
    assert_eq!(orders.all(), ["new"]);
    assert_eq!(orders.after(marker), ["new"]);
    assert_eq!(h.driver().status().pools().iter().filter(|(_, status)| status.is_ok()).count(), 2);
}

/// How many messages all stores hold.
fn stored(h: &Harness) -> u64 {
    let status = h.driver().status();
    let pools: u64 = status.pools().iter().map(|(_, pool)| pool.as_ref().unwrap().messages()).sum();
    pools + status.control().messages()
}

pooled! {
    fn a_queue_made_again_in_the_same_pool_is_empty(h) {
        made_again_in(h, "one");
    }

    fn a_queue_made_again_in_another_pool_is_empty(h) {
        made_again_in(h, "two");
    }

    fn the_content_of_a_deleted_queue_is_removed_by_the_next_step(h) {
        h.two_pools();
        let orders = h.create("orders");
        orders.post(10);
        assert_eq!(stored(h), 10);
        orders.remove().unwrap();
        assert_eq!(h.pending().0, 1);
        h.turn();
        h.step();
        assert_eq!(h.pending(), (0, 0));
        assert_eq!(stored(h), 0);
        assert!(h.driver().verify().unwrap().is_sound());
    }

    fn deleting_what_is_not_there_is_fine(h) {
        h.two_pools();
        h.queue("orders").remove().unwrap();
        let orders = h.create("orders");
        orders.remove().unwrap();
        orders.remove().unwrap();
        h.turn();
        orders.remove().unwrap();
        h.settle();
        orders.remove().unwrap();
        assert_eq!(h.pending(), (0, 0));
    }

    fn deleting_an_empty_queue_leaves_nothing(h) {
        h.two_pools();
        let orders = h.create("orders");
        h.turn();
        orders.remove().unwrap();
        h.settle();
    }

    fn a_queue_made_again_at_once_many_times_never_shows_what_was(h) {
        h.two_pools();
        let orders = h.queue("orders");
        let mut seen = Vec::new();
        for round in 0..12 {
            h.prefer(["one", "two", "two"][round % 3]);
            assert!(orders.create("{}").unwrap());
            assert!(orders.all().is_empty(), "round {round}");
            assert_eq!(orders.counts(), (0, 0, 0));
            for marker in &seen {
                assert!(orders.after(*marker).is_empty());
            }
            let id = orders.say(&round.to_string());
            assert!(!seen.contains(&id));
            seen.push(id);
            if round % 4 == 0 {
                h.turn();
            }
            if round % 3 == 0 {
                h.step();
            }
            assert_eq!(orders.all(), [round.to_string()]);
            orders.remove().unwrap();
        }
        h.settle();
        assert_eq!(stored(h), 0);
    }

    fn a_step_after_the_queue_was_made_again_spares_the_new_one(h) {
        h.two_pools();
        let orders = h.create("orders");
        orders.say("old");
        orders.remove().unwrap();
        h.create("orders").say("new");
        h.turn();
        h.settle();
        assert_eq!(orders.all(), ["new"]);
        assert_eq!(stored(h), 1);
    }

    fn only_the_pool_a_queue_is_in_is_cleaned_of_it(h) {
        h.two_pools();
        let orders = h.create("orders");
        orders.say("left behind");
        orders.route("two");
        orders.say("deleted");
        orders.remove().unwrap();
        h.turn();
        h.settle();
        // The contents that were left behind belong to no queue any more and are never visible.
        assert!(h.queue("orders").create("{}").unwrap());
        for pool in ["one", "two"] {
            orders.route(pool);
            assert!(orders.all().is_empty(), "{pool}");
            orders.say("new");
            assert_eq!(orders.all(), ["new"]);
        }
        h.turn();
        assert_eq!(orders.all(), ["new"]);
    }

    fn queues_of_one_name_in_other_projects_are_spared(h) {
        h.two_pools();
        let orders = h.create("orders");
        let none = h.queue_in(&zaqar_sled::Project::none(), "orders");
        let empty = h.queue_in(&zaqar_sled::Project::named("").unwrap(), "orders");
        none.create("{}").unwrap();
        empty.create("{}").unwrap();
        for (queue, body) in [(&orders, "shop"), (&none, "none"), (&empty, "empty")] {
            queue.say(body);
        }
        orders.remove().unwrap();
        h.turn();
        h.settle();
        assert_eq!((none.all(), empty.all()), (vec!["none".to_owned()], vec!["empty".to_owned()]));
    }
}
