//! Queues that give out only so many messages per second.

use crate::support::*;
use zaqar_sled::{Availability, Purge, Timestamp};

/// What the bucket of a queue holds, and from when on it holds a message, in milliseconds from the start of the scene.
fn bucket(queue: &Queue<'_>) -> (u32, u64) {
    let rate = queue.stats().unwrap().claim_rate().unwrap();
    (rate.available(), rate.next().as_millis() - START.as_millis())
}

fn after_start(millis: u64) -> Timestamp {
    Timestamp::from_millis(START.as_millis() + millis)
}

contract! {
    fn a_claim_gets_what_the_bucket_holds_and_no_more(h) {
        let orders = h.create_with("orders", r#"{"_max_claims_per_second": 2, "_max_claims_burst": 3}"#);
        orders.post(20);
        assert_eq!(orders.taken(2), ["0", "1"]);
        h.turn();
        assert_eq!(orders.taken(10), ["2"]);
        assert!(orders.taken(10).is_empty());
        h.pass_millis(499);
        h.turn();
        assert!(orders.taken(10).is_empty());
        h.pass_millis(1);
        h.turn();
        assert_eq!(orders.taken(10), ["3"]);
        h.pass(600);
        h.turn();
        assert_eq!(orders.taken(10), ["0", "1", "2"]);
    }

    fn a_queue_without_a_burst_may_give_out_the_messages_of_one_second_at_once(h) {
        let orders = h.create_with("orders", r#"{"_max_claims_per_second": 4}"#);
        orders.post(9);
        assert_eq!(orders.taken(9), ["0", "1", "2", "3"]);
        h.pass_millis(250);
        h.turn();
        assert_eq!(orders.taken(9), ["4"]);
    }

    fn nothing_is_lost_by_rounding(h) {
        let orders = h.create_with("orders", r#"{"_max_claims_per_second": 3, "_max_claims_burst": 2}"#);
        orders.post(9);
        assert_eq!(orders.taken(9), ["0", "1"]);
        for (body, instant) in [("2", 334), ("3", 667), ("4", 1000), ("5", 1334)] {
            assert_eq!(bucket(&orders), (0, instant));
            h.clock().advance(std::time::Duration::from_millis(instant - 1).saturating_sub(zaqar_sled::Clock::monotonic(h.clock())));
            h.turn();
            assert!(orders.taken(9).is_empty(), "before {instant}");
            h.pass_millis(1);
            assert_eq!(orders.taken(9), [body], "at {instant}");
        }
    }

    fn pops_count_and_reads_do_not(h) {
        let orders = h.create_with("orders", r#"{"_max_claims_per_second": 1, "_max_claims_burst": 4}"#);
        let ids = orders.post(9);
        assert_eq!(texts(&orders.pop(3).unwrap()), ["0", "1", "2"]);
        h.turn();
        assert_eq!(orders.bulk_get(&ids[3..6]).len(), 3);
        assert_eq!(orders.shown().len(), 6);
        orders.get(ids[4]).unwrap();
        assert_eq!(bucket(&orders), (1, 0));
        assert_eq!(orders.taken(9), ["3"]);
        h.turn();
        assert!(orders.pop(9).unwrap().is_empty() && orders.taken(9).is_empty());
        h.pass_millis(2_500);
        h.turn();
        assert_eq!(texts(&orders.pop(9).unwrap()), ["4", "5"]);
        assert_eq!(bucket(&orders), (0, 3_000));
    }

    fn a_message_that_is_given_out_again_counts_again(h) {
        let orders = h.create_with("orders", r#"{"_max_claims_per_second": 1, "_max_claims_burst": 2}"#);
        orders.post(1);
        let claim = orders.take(1);
        orders.renew(claim.id(), 60, 60).unwrap();
        orders.release(claim.id()).unwrap();
        h.turn();
        assert_eq!(bucket(&orders), (1, 0));
        orders.release(orders.take(1).id()).unwrap();
        h.turn();
        assert!(orders.taken(1).is_empty());
        h.pass(1);
        assert_eq!(orders.taken(1), ["0"]);
    }

    fn dead_letters_do_not_count(h) {
        let settings = r#"{"_max_claims_per_second": 1, "_max_claims_burst": 2, "_max_claim_count": 1, "_dead_letter_queue": "dead"}"#;
        let orders = h.create_with("orders", settings);
        orders.post(2);
        orders.release(orders.take(2).id()).unwrap();
        orders.say("new");
        // While nothing can be given out, nothing moves either.
        let worn_out = orders.list(&everything()).unwrap().items[0].id();
        let over = orders.explain(worn_out).unwrap();
        assert!(matches!(over.availability(), Availability::OverRate { until, .. } if *until == after_start(1_000)));
        assert!(orders.taken(9).is_empty());
        assert_eq!(orders.all().len(), 3);
        h.pass(1);
        h.turn();
        assert!(matches!(orders.explain(worn_out).unwrap().availability(), Availability::WornOut { .. }));
        assert_eq!(orders.taken(9), ["new"]);
        h.turn();
        assert_eq!(h.queue("dead").all(), ["0", "1"]);
        assert_eq!(bucket(&orders), (0, 2_000));
    }

    fn a_message_that_cannot_be_given_out_stops_the_claim_and_those_before_it_move(h) {
        let settings = r#"{"_max_claims_per_second": 1, "_max_claims_burst": 2, "_max_claim_count": 1, "_dead_letter_queue": "dead"}"#;
        let orders = h.create_with("orders", settings);
        orders.post(4);
        orders.release(orders.take(2).id()).unwrap();
        h.pass(1);
        h.turn();
        // Two worn-out messages, and then two others, of which one can be given out.
        assert_eq!(orders.taken(9), ["2"]);
        h.turn();
        assert_eq!((h.queue("dead").all(), orders.shown()), (vec!["0".into(), "1".into()], vec!["3".to_owned()]));
    }

    fn the_explanation_names_the_rate_and_the_instant(h) {
        let orders = h.create_with("orders", r#"{"_max_claims_per_second": 4, "_max_claims_burst": 1}"#);
        let ids = orders.post(2);
        assert_eq!(orders.explain(ids[1]).unwrap().availability(), &Availability::Waiting);
        orders.take(1);
        h.turn();
        let over = orders.explain(ids[1]).unwrap();
        assert!(!over.is_claimable());
        assert!(matches!(over.availability(), Availability::OverRate { until, .. } if *until == after_start(250)));
        assert_eq!(over.since(), Some(START));
        assert!(over.to_string().starts_with("over its rate"), "{over}");
        assert!(matches!(orders.explain(ids[0]).unwrap().availability(), Availability::Claimed { .. }));
        orders.set_metadata(r#"{"_max_claims_per_second": 4, "_max_claims_burst": 1, "_paused": "claims"}"#).unwrap();
        h.turn();
        assert_eq!(orders.explain(ids[1]).unwrap().availability(), &Availability::Paused);
        orders.set_metadata(r#"{"_max_claims_per_second": 4, "_max_claims_burst": 1}"#).unwrap();
        h.pass_millis(250);
        h.turn();
        assert!(orders.explain(ids[1]).unwrap().is_claimable());
    }

    fn the_statistics_show_the_rate(h) {
        let orders = h.create("orders");
        assert_eq!(orders.stats().unwrap().claim_rate(), None);
        orders.set_metadata(r#"{"_max_claims_per_second": 2}"#).unwrap();
        let rate = orders.stats().unwrap().claim_rate().unwrap();
        assert_eq!((rate.per_second(), rate.burst(), rate.available()), (2, 2, 2));
        assert_eq!(rate.next(), START);
        orders.post(3);
        h.pass(1);
        orders.take(3);
        h.turn();
        assert_eq!(bucket(&orders), (0, 1_500));
        h.pass_millis(700);
        h.turn();
        assert_eq!(bucket(&orders), (1, 1_700));
    }

    fn a_change_of_the_rate_takes_effect_at_once(h) {
        let orders = h.create_with("orders", r#"{"_max_claims_per_second": 1}"#);
        orders.post(50);
        assert_eq!(orders.taken(9).len(), 1);
        h.pass_millis(100);
        // Faster: a tenth of a second has brought 10 messages.
        orders.set_metadata(r#"{"_max_claims_per_second": 100, "_max_claims_burst": 20}"#).unwrap();
        h.turn();
        assert_eq!(bucket(&orders), (20, 100));
        assert_eq!(orders.taken(50).len(), 20);
        // Slower: no more than the new burst was lacking, so the next message comes a second after the last ones.
        h.pass_millis(500);
        orders.set_metadata(r#"{"_max_claims_per_second": 1}"#).unwrap();
        h.turn();
        assert_eq!(bucket(&orders), (0, 1_100));
        assert!(orders.taken(9).is_empty());
        h.pass(900);
        h.turn();
        assert_eq!(orders.taken(9).len(), 1);
        orders.set_metadata("{}").unwrap();
        h.turn();
        assert_eq!(orders.taken(9).len(), 9);
    }

    fn what_was_given_out_without_a_rate_does_not_count(h) {
        let orders = h.create("orders");
        orders.post(9);
        assert_eq!(orders.taken(3).len(), 3);
        orders.set_metadata(r#"{"_max_claims_per_second": 2}"#).unwrap();
        h.turn();
        assert_eq!(bucket(&orders), (2, 0));
        assert_eq!(orders.taken(9).len(), 2);
    }

    fn a_queue_that_is_created_again_starts_with_a_full_bucket(h) {
        let settings = r#"{"_max_claims_per_second": 1, "_max_claims_burst": 3}"#;
        let orders = h.create_with("orders", settings);
        orders.post(3);
        assert_eq!(orders.taken(3).len(), 3);
        // A purge gives nothing back.
        orders.purge(Purge::All).unwrap();
        h.turn();
        orders.post(3);
        assert!(orders.taken(3).is_empty());
        orders.remove().unwrap();
        h.turn();
        let orders = h.create_with("orders", settings);
        orders.post(3);
        h.turn();
        assert_eq!(orders.taken(3).len(), 3);
    }

    fn an_empty_queue_keeps_its_bucket(h) {
        let orders = h.create_with("orders", r#"{"_max_claims_per_second": 1, "_max_claims_burst": 5}"#);
        orders.post(4);
        assert_eq!(orders.pop(9).unwrap().len(), 4);
        for _ in 0..3 {
            h.turn();
            h.driver().queues().create(&shop(), &name_of("other"), &json("{}")).unwrap();
        }
        h.pass_millis(1_300);
        h.turn();
        assert_eq!(bucket(&orders), (2, 1_300));
        orders.post(9);
        assert_eq!(orders.taken(9).len(), 2);
        h.turn();
        assert_eq!(bucket(&orders), (0, 2_000));
    }

    fn the_highest_rate_and_the_lowest(h) {
        let fast = h.create_with("fast", r#"{"_max_claims_per_second": 1000000, "_max_claims_burst": 1}"#);
        let slow = h.create_with("slow", r#"{"_max_claims_per_second": 1, "_max_claims_burst": 1000000}"#);
        for queue in [&fast, &slow] {
            queue.post(3);
            queue.take(1);
        }
        h.turn();
        assert_eq!((bucket(&fast), bucket(&slow)), ((0, 1), (999_999, 0)));
        h.pass_millis(1);
        assert_eq!(fast.taken(3).len(), 1);
        assert_eq!(slow.taken(3).len(), 2);
    }

    fn wrong_rates_are_refused(h) {
        for key in ["_max_claims_per_second", "_max_claims_burst"] {
            for value in ["0", "1000001", "-1", "1.5", r#""2""#, "true", "18446744073709551616"] {
                assert_eq!(refused(h.queue("orders").create(&format!(r#"{{"{key}": {value}}}"#))), key, "{value}");
            }
            let set = h.create_with(key, &format!(r#"{{"{key}": 1000000}}"#));
            set.set_metadata(&format!(r#"{{"{key}": null}}"#)).unwrap();
        }
        // A burst alone limits nothing.
        let orders = h.create_with("orders", r#"{"_max_claims_burst": 1}"#);
        orders.post(5);
        h.turn();
        assert_eq!(orders.stats().unwrap().claim_rate(), None);
        assert_eq!(orders.taken(9).len(), 5);
    }
}

pooled! {
    fn a_move_keeps_the_bucket(h) {
        h.register("one", at("sled:/pools/one"));
        h.register("two", at("sled:/pools/two").weight(0));
        let orders = h.create_with("orders", r#"{"_max_claims_per_second": 1, "_max_claims_burst": 3}"#);
        orders.post(5);
        assert_eq!(orders.taken(9).len(), 3);
        h.pass_millis(1_200);
        h.turn();
        orders.move_to("two");
        h.turn();
        assert_eq!(orders.pool(), "two");
        assert_eq!(bucket(&orders), (1, 1_200));
        assert_eq!(orders.taken(9), ["3"]);
        h.turn();
        assert!(orders.taken(9).is_empty());
    }

    fn the_pool_that_a_queue_has_left_forgets_its_bucket(h) {
        // A pool without a store of its own: the queue's record is there too, and stays.
        h.register("own", at("localhost"));
        h.register("other", at_in("sled:/pools/other", "disks").weight(0));
        let orders = h.create_with("orders", r#"{"_max_claims_per_second": 1, "_max_claims_burst": 3}"#);
        orders.post(1);
        assert_eq!(orders.pop(9).unwrap().len(), 1);
        orders.move_to("other");
        h.turn();
        assert_eq!(bucket(&orders), (2, 0));
        orders.remap(Some("own")).unwrap();
        h.turn();
        assert_eq!(bucket(&orders), (3, 0));
        orders.remap(Some("other")).unwrap();
        h.turn();
        assert_eq!(bucket(&orders), (2, 0));
    }

    fn a_rate_is_set_and_changed_where_the_messages_are_not(h) {
        h.register("one", at("sled:/pools/one"));
        let orders = h.create("orders");
        orders.post(9);
        orders.take(2);
        orders.set_metadata(r#"{"_max_claims_per_second": 2}"#).unwrap();
        h.turn();
        assert_eq!(orders.taken(9).len(), 2);
        h.turn();
        assert!(orders.pop(9).unwrap().is_empty());
        orders.set_metadata(r#"{"_max_claims_per_second": 2, "_max_claims_burst": 9}"#).unwrap();
        h.turn();
        assert_eq!(bucket(&orders), (7, 0));
    }
}
