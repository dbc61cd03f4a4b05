//! Contract 5: the queue controller.

use crate::support::*;
use zaqar_sled::{Error, Metadata, Project, QueueEntry, QueueListOptions, QueueMarker};

fn page(limit: usize) -> QueueListOptions {
    QueueListOptions::new().limit(limit)
}

fn after(name: &str) -> QueueMarker {
    name.parse().unwrap()
}

contract! {
    fn creating_a_queue_says_whether_it_was_made(h) {
        let orders = h.queue("orders");
        assert!(orders.create("{}").unwrap());
        h.turn();
        assert!(!orders.create("{}").unwrap());
    }

    fn creating_an_existing_queue_leaves_its_metadata_alone(h) {
        let orders = h.create_with("orders", r#"{"owner": "ann"}"#);
        assert!(!orders.create(r#"{"owner": "bob"}"#).unwrap());
        h.turn();
        assert_eq!(orders.metadata().unwrap(), json(r#"{"owner": "ann"}"#));
    }

    fn creating_an_existing_queue_leaves_its_messages_alone(h) {
        let orders = h.create("orders");
        orders.post(2);
        orders.create("{}").unwrap();
        h.turn();
        assert_eq!(orders.shown(), ["0", "1"]);
    }

    fn a_queue_made_without_metadata_has_none(h) {
        let orders = h.create("orders");
        h.turn();
        assert!(orders.metadata().unwrap().is_empty());
    }

    fn get_gives_the_metadata(h) {
        let orders = h.create_with("orders", r#"{"a": 1}"#);
        h.turn();
        let metadata = h.driver().queues().get(&orders.project, &orders.name).unwrap();
        assert_eq!(metadata, json(r#"{"a": 1}"#));
    }

    fn get_of_a_missing_queue_gives_empty_metadata(h) {
        let metadata = h.driver().queues().get(&shop(), &name_of("orders")).unwrap();
        assert_eq!(metadata, Metadata::new());
    }

    fn get_metadata_of_a_missing_queue_fails(h) {
        let result = h.queue("orders").metadata();
        assert_fails!(result, Error::QueueDoesNotExist { project, queue }
            if project == shop() && queue == name_of("orders"));
    }

    fn set_metadata_replaces_all_of_it(h) {
        let orders = h.create_with("orders", r#"{"a": 1, "b": 2}"#);
        orders.set_metadata(r#"{"c": 3}"#).unwrap();
        h.turn();
        assert_eq!(orders.metadata().unwrap(), json(r#"{"c": 3}"#));
        orders.set_metadata("{}").unwrap();
        h.turn();
        assert!(orders.metadata().unwrap().is_empty());
    }

    fn set_metadata_of_a_missing_queue_fails(h) {
        assert_fails!(h.queue("orders").set_metadata("{}"), Error::QueueDoesNotExist { .. });
        h.turn();
        assert!(!h.queue("orders").exists());
    }

    fn metadata_comes_back_equal_whatever_is_in_it(h) {
        let text = r#"{"z": 1, "a.b": 1.0, "$set": null, "": {"deep": [true, false, [], {}]}, "é": "\u0000", "n": -0.5,
            "big": 18446744073709551615, "e": 1e300}"#;
        let orders = h.create_with("orders", text);
        h.turn();
        let metadata = orders.metadata().unwrap();
        assert_eq!(metadata, json(text));
        assert_eq!(metadata.keys().next(), Some("z"));
        assert_eq!(metadata.to_json(), json(text).to_json());
    }

    fn exists_follows_creation_and_deletion_at_once(h) {
        let orders = h.queue("orders");
        assert!(!orders.exists());
        orders.create("{}").unwrap();
        assert!(orders.exists());
        h.turn();
        assert!(orders.exists());
        orders.remove().unwrap();
        assert!(!orders.exists());
        h.turn();
        assert!(!orders.exists());
    }

    fn deleting_a_missing_queue_is_fine(h) {
        h.queue("orders").remove().unwrap();
        h.create("orders").remove().unwrap();
        h.turn();
        h.queue("orders").remove().unwrap();
    }

    fn deleting_a_queue_takes_its_messages_and_claims_with_it(h) {
        let orders = h.create("orders");
        let ids = orders.post(3);
        let claim = orders.take(1);
        orders.remove().unwrap();
        h.turn();
        assert_fails!(orders.metadata(), Error::QueueDoesNotExist { .. });
        assert_fails!(orders.get(ids[0]), Error::QueueDoesNotExist { .. });
        assert_fails!(orders.look_up(claim.id()), Error::ClaimDoesNotExist { .. });
        orders.create("{}").unwrap();
        h.turn();
        assert!(orders.all().is_empty());
        assert!(orders.bulk_get(&ids).is_empty());
        assert_fails!(orders.look_up(claim.id()), Error::ClaimDoesNotExist { .. });
        assert_eq!(orders.counts(), (0, 0, 0));
    }

    fn deleting_a_queue_leaves_the_others_alone(h) {
        let (orders, bills) = (h.create("orders"), h.create("bills"));
        let abroad = h.queue_in(&Project::none(), "orders");
        abroad.create("{}").unwrap();
        bills.post(1);
        abroad.post(2);
        orders.remove().unwrap();
        h.turn();
        assert_eq!((bills.counts().2, abroad.counts().2), (1, 2));
    }

    fn queues_are_listed_by_name_in_byte_order(h) {
        for name in ["b", "a", "aa", "B", "é", "z", "a.b", "10", "9"] {
            h.create(name);
        }
        h.turn();
        assert_eq!(h.names(&page(0)), ["10", "9", "B", "a", "a.b", "aa", "b", "z", "é"]);
    }

    fn a_list_shows_only_the_queues_of_its_project(h) {
        let other = Project::named("other").unwrap();
        let unnamed = Project::named("").unwrap();
        h.create("mine");
        h.queue_in(&other, "theirs").create("{}").unwrap();
        h.queue_in(&Project::none(), "nobodys").create("{}").unwrap();
        h.queue_in(&unnamed, "empty").create("{}").unwrap();
        h.turn();
        for (project, expected) in [(shop(), "mine"), (other, "theirs"), (Project::none(), "nobodys"), (unnamed, "empty")] {
            let entries = h.driver().queues().list(&project, &page(0)).unwrap();
            assert_eq!(entries.items.len(), 1);
            assert_eq!(entries.items[0].name().as_str(), expected);
        }
    }

    fn ten_queues_are_listed_unless_said_otherwise(h) {
        for i in 0..12 {
            h.create(&format!("queue-{i:02}"));
        }
        h.turn();
        assert_eq!(h.names(&QueueListOptions::new()).len(), 10);
        assert_eq!(h.names(&page(3)), ["queue-00", "queue-01", "queue-02"]);
        assert_eq!(h.names(&page(0)).len(), 12);
    }

    fn pages_of_queues_follow_one_another(h) {
        for i in 0..7 {
            h.create(&format!("queue-{i}"));
        }
        h.turn();
        let (mut seen, mut marker) = (Vec::new(), None);
        loop {
            let page = h.driver().queues().list(&shop(), &page(3).marker(marker.clone())).unwrap();
            marker.clone_from(&page.next);
            if page.items.is_empty() {
                break;
            }
            assert_eq!(page.next.as_ref().map(QueueMarker::name), page.items.last().map(QueueEntry::name));
            seen.extend(page.into_iter().map(|entry| entry.name().to_string()));
            h.turn();
        }
        assert_eq!(seen, (0..7).map(|i| format!("queue-{i}")).collect::<Vec<_>>());
        assert_eq!(marker, None);
    }

    fn a_queue_marker_need_not_name_a_queue(h) {
        for name in ["a", "c", "e"] {
            h.create(name);
        }
        h.queue("c").remove().unwrap();
        h.turn();
        assert_eq!(h.names(&page(0).marker(after("b"))), ["e"]);
        assert_eq!(h.names(&page(0).marker(after("c"))), ["e"]);
        assert_eq!(h.names(&page(0).marker(after("a"))), ["e"]);
        assert!(h.names(&page(0).marker(after("e"))).is_empty());
        assert!(h.names(&page(0).marker(after("zz"))).is_empty());
    }

    fn a_detailed_list_has_the_metadata_and_a_plain_one_has_none(h) {
        h.create_with("orders", r#"{"a": 1}"#);
        h.turn();
        let plain = h.driver().queues().list(&shop(), &page(0)).unwrap();
        assert_eq!(plain.items[0].metadata(), None);
        let detailed = h.driver().queues().list(&shop(), &page(0).detailed(true)).unwrap();
        assert_eq!(detailed.items[0].metadata(), Some(&json(r#"{"a": 1}"#)));
    }

    fn a_project_without_queues_has_an_empty_page_without_a_marker(h) {
        let page = h.driver().queues().list(&shop(), &page(0)).unwrap();
        assert!(page.items.is_empty());
        assert_eq!(page.next, None);
    }

    fn stats_of_a_missing_queue_fail(h) {
        assert_fails!(h.queue("orders").stats(), Error::QueueDoesNotExist { .. });
    }

    fn stats_of_an_empty_queue_are_zeros_without_oldest_and_newest(h) {
        let orders = h.create("orders");
        h.turn();
        let stats = orders.stats().unwrap();
        assert_eq!((stats.claimed(), stats.free(), stats.total()), (0, 0, 0));
        assert!(stats.oldest().is_none() && stats.newest().is_none());
    }

    fn stats_count_claimed_and_free(h) {
        let orders = h.create("orders");
        orders.post(5);
        orders.take(2);
        h.turn();
        assert_eq!(orders.counts(), (2, 3, 5));
    }

    fn stats_tell_id_age_and_creation_of_oldest_and_newest(h) {
        let orders = h.create("orders");
        let old = orders.say("old");
        h.pass(90);
        let new = orders.say("new");
        h.pass_millis(5_500);
        h.turn();
        let stats = orders.stats().unwrap();
        let (oldest, newest) = (stats.oldest().unwrap(), stats.newest().unwrap());
        assert_eq!((oldest.id(), oldest.age()), (old, seconds(95)));
        assert_eq!((newest.id(), newest.age()), (new, seconds(5)));
        assert_eq!(oldest.created().to_string(), "2026-01-01T00:00:00Z");
        assert_eq!(newest.created().to_string(), "2026-01-01T00:01:30Z");
    }

    fn oldest_and_newest_are_the_same_for_one_message(h) {
        let orders = h.create("orders");
        orders.post(1);
        h.turn();
        let stats = orders.stats().unwrap();
        assert_eq!(stats.oldest(), stats.newest());
    }

    fn stats_do_not_count_what_has_expired(h) {
        let orders = h.create("orders");
        orders.post_lasting(2, 10);
        orders.post_lasting(1, 20);
        h.pass(10);
        h.turn();
        assert_eq!(orders.counts(), (0, 1, 1));
        h.pass(10);
        assert_eq!(orders.counts(), (0, 0, 0));
        assert!(orders.stats().unwrap().newest().is_none());
    }

    fn delayed_messages_count_as_free_and_as_newest(h) {
        let orders = h.create("orders");
        orders.say("now");
        let late = orders.send(&[delayed("late", 30)]).unwrap()[0];
        h.turn();
        assert_eq!(orders.counts(), (0, 2, 2));
        assert_eq!(orders.stats().unwrap().newest().unwrap().id(), late);
    }

    fn a_claim_that_ran_out_counts_no_more(h) {
        let orders = h.create("orders");
        orders.post(3);
        orders.claim(10, 10, 2);
        h.pass(9);
        assert_eq!(orders.counts(), (2, 1, 3));
        h.pass(1);
        h.turn();
        assert_eq!(orders.counts(), (0, 3, 3));
    }

    fn deleting_a_claimed_message_lowers_claimed_at_once(h) {
        let orders = h.create("orders");
        orders.post(4);
        let claim = orders.take(3);
        let held = ids(claim.messages());
        orders.delete(held[0], Some(claim.id())).unwrap();
        h.turn();
        assert_eq!(orders.counts(), (2, 1, 3));
        orders.bulk_delete(&held[1..2], &[]).unwrap();
        h.turn();
        assert_eq!(orders.counts(), (1, 1, 2));
    }

    fn releasing_a_claim_frees_its_messages_in_the_stats(h) {
        let orders = h.create("orders");
        orders.post(3);
        let claim = orders.take(2);
        orders.release(claim.id()).unwrap();
        h.turn();
        assert_eq!(orders.counts(), (0, 3, 3));
    }

    fn a_queue_that_was_made_again_starts_empty_with_new_metadata(h) {
        let orders = h.create_with("orders", r#"{"a": 1}"#);
        orders.post(3);
        orders.remove().unwrap();
        h.turn();
        orders.create(r#"{"b": 2}"#).unwrap();
        let id = orders.say("new");
        h.turn();
        assert_eq!(orders.metadata().unwrap(), json(r#"{"b": 2}"#));
        assert_eq!(orders.all(), ["new"]);
        assert_eq!(orders.get(id).unwrap().id(), id);
    }
}
