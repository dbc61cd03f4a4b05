//! Contract 7: the claim controller.

use crate::support::*;
use zaqar_sled::{ClaimId, ClaimOptions, Error, Project};

contract! {
    fn a_claim_takes_the_oldest_up_to_its_limit(h) {
        let orders = h.create("orders");
        orders.post(5);
        h.turn();
        assert_eq!(texts(orders.take(2).messages()), ["0", "1"]);
        h.turn();
        assert_eq!(texts(orders.take(10).messages()), ["2", "3", "4"]);
    }

    fn a_claim_takes_ten_messages_for_five_minutes_unless_said_otherwise(h) {
        let orders = h.create("orders");
        orders.post(12);
        let claim = h.driver().claims().create(&shop(), &name_of("orders"), &ClaimOptions::new()).unwrap().unwrap();
        assert_eq!((claim.messages().len(), claim.ttl(), claim.age()), (10, seconds(300), seconds(0)));
        h.turn();
        assert_eq!(orders.look_up(claim.id()).unwrap(), claim);
    }

    fn claimed_messages_show_their_claim(h) {
        let orders = h.create("orders");
        let id = orders.say("42");
        let claim = orders.take(1);
        assert_eq!(claim.messages()[0].claim_id(), Some(claim.id()));
        h.turn();
        assert_eq!(orders.get(id).unwrap().claim_id(), Some(claim.id()));
        assert_eq!(orders.look_up(claim.id()).unwrap().messages()[0].claim_id(), Some(claim.id()));
    }

    fn a_claimed_message_cannot_be_claimed_again(h) {
        let orders = h.create("orders");
        orders.post(1);
        orders.take(1);
        h.turn();
        assert!(orders.taken(10).is_empty());
    }

    fn no_two_claims_hold_the_same_message(h) {
        let orders = h.create("orders");
        orders.post(30);
        let mut seen = Vec::new();
        for limit in [7, 1, 12, 3, 9] {
            seen.extend(orders.taken(limit));
            h.turn();
        }
        assert_eq!(seen, (0..30).map(|i| i.to_string()).collect::<Vec<_>>());
    }

    fn a_claim_ends_at_the_instant_its_ttl_is_over(h) {
        let orders = h.create("orders");
        let id = orders.say("42");
        let claim = orders.claim(10, 60, 1);
        h.pass_millis(9_999);
        h.turn();
        assert!(orders.taken(1).is_empty());
        assert_eq!(orders.look_up(claim.id()).unwrap().age(), seconds(9));
        h.pass_millis(1);
        h.turn();
        assert_fails!(orders.look_up(claim.id()), Error::ClaimDoesNotExist { .. });
        assert_eq!(orders.get(id).unwrap().claim_id(), None);
        assert_eq!(orders.taken(1), ["42"]);
    }

    fn there_is_nothing_to_claim_in_an_empty_or_missing_queue(h) {
        assert!(h.create("orders").try_claim(60, 60, 1).unwrap().is_none());
        assert!(h.queue("bills").try_claim(60, 60, 1).unwrap().is_none());
        h.turn();
        assert!(!h.queue("bills").exists());
    }

    fn a_claim_of_nothing_is_refused(h) {
        h.create("orders").post(1);
        assert_eq!(refused(h.queue("orders").try_claim(60, 60, 0)), "limit");
        assert_eq!(refused(h.queue("bills").try_claim(60, 60, 0)), "limit");
    }

    fn a_claim_past_the_year_9999_is_refused(h) {
        let orders = h.create("orders");
        orders.post(1);
        assert!(orders.try_claim(300_000_000_000, 0, 1).unwrap_err().is_invalid());
        assert!(orders.try_claim(60, 300_000_000_000, 1).unwrap_err().is_invalid());
        h.turn();
        assert_eq!(orders.counts(), (0, 1, 1));
    }

    fn a_claim_of_no_time_is_over_at_once(h) {
        let orders = h.create("orders");
        orders.post(1);
        let claim = orders.claim(0, 0, 1);
        assert_eq!(claim.messages().len(), 1);
        h.turn();
        assert_fails!(orders.look_up(claim.id()), Error::ClaimDoesNotExist { .. });
        assert_eq!(orders.counts(), (0, 1, 1));
        assert_eq!(orders.take(1).messages()[0].claim_count(), 2);
    }

    fn a_message_that_would_die_within_the_claim_is_extended(h) {
        let orders = h.create("orders");
        let id = orders.send(&[lasting("42", 50)]).unwrap()[0];
        h.pass(10);
        let claim = orders.claim(60, 30, 1);
        assert_eq!(claim.messages()[0].ttl(), seconds(90));
        h.turn();
        assert_eq!(orders.get(id).unwrap().ttl(), seconds(90));
        h.pass(89);
        h.turn();
        assert_eq!(orders.get(id).unwrap().age(), seconds(99));
        h.pass(1);
        h.turn();
        assert_fails!(orders.get(id), Error::MessageDoesNotExist { .. });
    }

    fn a_message_that_outlives_the_claim_is_left_as_it_is(h) {
        let orders = h.create("orders");
        orders.send(&[lasting("same", 100), lasting("longer", 101)]).unwrap();
        let claim = orders.claim(100, 60, 10);
        assert!(claim.messages()[0].ttl() == seconds(100) && claim.messages()[1].ttl() == seconds(101));
        h.pass(100);
        h.turn();
        assert_eq!(orders.all(), ["longer"]);
    }

    fn a_message_that_dies_a_moment_before_the_claim_is_extended(h) {
        let orders = h.create("orders");
        orders.send(&[lasting("42", 100)]).unwrap();
        h.pass_millis(1);
        let claim = orders.claim(100, 60, 10);
        assert_eq!(claim.messages()[0].ttl(), seconds(160));
        h.turn();
        assert_eq!(orders.look_up(claim.id()).unwrap().messages()[0].ttl(), seconds(160));
    }

    fn every_claim_counts(h) {
        let orders = h.create("orders");
        let id = orders.say("42");
        for count in 1..=3 {
            let claim = orders.take(1);
            assert_eq!(claim.messages()[0].claim_count(), count);
            orders.release(claim.id()).unwrap();
            h.turn();
        }
        assert_eq!(orders.get(id).unwrap().claim_count(), 3);
    }

    fn a_claim_is_got_with_its_live_messages_in_queue_order(h) {
        let orders = h.create("orders");
        let ids = orders.post(4);
        let claim = orders.take(3);
        orders.delete(ids[1], Some(claim.id())).unwrap();
        h.pass(20);
        h.turn();
        let record = orders.look_up(claim.id()).unwrap();
        assert_eq!(texts(record.messages()), ["0", "2"]);
        assert_eq!((record.id(), record.ttl(), record.age()), (claim.id(), seconds(60), seconds(20)));
    }

    fn getting_a_claim_that_is_not_there_fails(h) {
        let orders = h.create("orders");
        orders.post(1);
        let claim = orders.take(1);
        h.turn();
        let result = orders.look_up(no_claim());
        assert_fails!(result, Error::ClaimDoesNotExist { project, queue, id }
            if project == shop() && queue == name_of("orders") && id == no_claim());
        assert_fails!(orders.look_up(ClaimId::lossy("?")), Error::ClaimDoesNotExist { .. });
        assert_fails!(h.queue("bills").look_up(claim.id()), Error::ClaimDoesNotExist { .. });
    }

    fn claims_of_other_queues_and_projects_name_nothing(h) {
        let orders = h.create("orders");
        let bills = h.create("bills");
        let abroad = h.queue_in(&Project::none(), "orders");
        abroad.create("{}").unwrap();
        orders.post(1);
        let claim = orders.take(1);
        h.turn();
        for other in [&bills, &abroad] {
            assert_fails!(other.look_up(claim.id()), Error::ClaimDoesNotExist { .. });
            assert_fails!(other.renew(claim.id(), 60, 60), Error::ClaimDoesNotExist { .. });
            other.release(claim.id()).unwrap();
        }
        h.turn();
        assert_eq!(orders.counts(), (1, 0, 1));
    }

    fn updating_a_claim_restarts_its_time(h) {
        let orders = h.create("orders");
        orders.post(1);
        let claim = orders.claim(60, 60, 1);
        h.pass(50);
        orders.renew(claim.id(), 100, 60).unwrap();
        h.pass(30);
        h.turn();
        let record = orders.look_up(claim.id()).unwrap();
        assert_eq!((record.ttl(), record.age()), (seconds(100), seconds(30)));
        h.pass(69);
        h.turn();
        assert!(orders.taken(1).is_empty());
        h.pass(1);
        assert_eq!(orders.taken(1), ["0"]);
    }

    fn updating_a_claim_may_shorten_it(h) {
        let orders = h.create("orders");
        orders.post(1);
        let claim = orders.claim(600, 60, 1);
        orders.renew(claim.id(), 5, 60).unwrap();
        h.turn();
        h.pass(5);
        assert_eq!(orders.taken(1), ["0"]);
    }

    fn updating_a_claim_extends_its_messages_again(h) {
        let orders = h.create("orders");
        let id = orders.send(&[lasting("42", 100)]).unwrap()[0];
        let claim = orders.claim(60, 60, 1);
        assert_eq!(claim.messages()[0].ttl(), seconds(100));
        h.pass(50);
        orders.renew(claim.id(), 60, 30).unwrap();
        h.turn();
        assert_eq!(orders.get(id).unwrap().ttl(), seconds(90));
        h.pass(89);
        assert!(orders.get(id).is_ok());
        h.pass(1);
        h.turn();
        assert_fails!(orders.get(id), Error::MessageDoesNotExist { .. });
    }

    fn updating_a_claim_leaves_messages_that_outlive_it(h) {
        let orders = h.create("orders");
        let id = orders.send(&[lasting("42", 100)]).unwrap()[0];
        let claim = orders.claim(60, 60, 1);
        h.pass(40);
        orders.renew(claim.id(), 60, 30).unwrap();
        h.turn();
        assert_eq!(orders.get(id).unwrap().ttl(), seconds(100));
    }

    fn an_expired_claim_cannot_be_revived(h) {
        let orders = h.create("orders");
        orders.post(1);
        let claim = orders.claim(10, 10, 1);
        h.pass(10);
        h.turn();
        assert_fails!(orders.renew(claim.id(), 60, 60), Error::ClaimDoesNotExist { .. });
        assert_eq!(orders.taken(1), ["0"]);
    }

    fn updating_a_claim_that_is_not_there_fails(h) {
        let orders = h.create("orders");
        orders.post(1);
        let claim = orders.take(1);
        orders.release(claim.id()).unwrap();
        h.turn();
        for missing in [claim.id(), no_claim(), ClaimId::lossy("?")] {
            assert_fails!(orders.renew(missing, 60, 60), Error::ClaimDoesNotExist { .. });
        }
        assert_fails!(h.queue("bills").renew(claim.id(), 60, 60), Error::ClaimDoesNotExist { .. });
    }

    fn a_missing_claim_is_told_before_a_wrong_time(h) {
        let orders = h.create("orders");
        orders.post(1);
        assert_fails!(orders.renew(no_claim(), 300_000_000_000, 0), Error::ClaimDoesNotExist { .. });
        let claim = orders.take(1);
        h.turn();
        assert!(orders.renew(claim.id(), 300_000_000_000, 0).unwrap_err().is_invalid());
    }

    fn releasing_a_claim_makes_its_messages_claimable_at_once(h) {
        let orders = h.create("orders");
        let ids = orders.post(2);
        let claim = orders.take(2);
        orders.release(claim.id()).unwrap();
        h.turn();
        assert_eq!(orders.get(ids[0]).unwrap().claim_id(), None);
        assert_fails!(orders.look_up(claim.id()), Error::ClaimDoesNotExist { .. });
        assert_eq!(orders.taken(10), ["0", "1"]);
    }

    fn a_released_message_keeps_its_extended_life(h) {
        let orders = h.create("orders");
        let id = orders.send(&[lasting("42", 10)]).unwrap()[0];
        let claim = orders.claim(60, 30, 1);
        orders.release(claim.id()).unwrap();
        h.turn();
        assert_eq!(orders.get(id).unwrap().ttl(), seconds(90));
        h.pass(89);
        assert!(orders.get(id).is_ok());
        h.pass(1);
        h.turn();
        assert!(orders.get(id).unwrap_err().is_not_found());
    }

    fn releasing_what_is_not_there_is_fine(h) {
        let orders = h.create("orders");
        orders.post(1);
        let claim = orders.claim(10, 10, 1);
        h.pass(10);
        h.turn();
        for missing in [claim.id(), no_claim(), ClaimId::lossy("?")] {
            orders.release(missing).unwrap();
            h.queue("bills").release(missing).unwrap();
        }
    }

    fn a_message_of_a_deleted_claim_can_be_claimed_again(h) {
        let orders = h.create("orders");
        orders.post(1);
        let one = orders.take(1);
        orders.release(one.id()).unwrap();
        h.turn();
        let two = orders.take(1);
        assert_ne!(one.id(), two.id());
        h.turn();
        assert_fails!(orders.delete(two.messages()[0].id(), Some(one.id())), Error::ClaimDoesNotExist { .. });
        orders.delete(two.messages()[0].id(), Some(two.id())).unwrap();
    }

    fn a_claim_survives_the_deletion_of_other_messages(h) {
        let orders = h.create("orders");
        let ids = orders.post(3);
        let claim = orders.take(1);
        orders.bulk_delete(&ids[1..], &[]).unwrap();
        h.turn();
        assert_eq!(texts(orders.look_up(claim.id()).unwrap().messages()), ["0"]);
    }

    fn released_messages_come_back_in_their_old_order(h) {
        let orders = h.create("orders");
        orders.post(6);
        let (one, _two) = (orders.take(2), orders.take(2));
        orders.release(one.id()).unwrap();
        h.turn();
        assert_eq!(orders.taken(3), ["0", "1", "4"]);
    }

    fn a_message_is_handed_out_as_often_as_its_queue_allows_and_then_moved(h) {
        let (orders, dead) = dead_lettering(h, "");
        orders.post(2);
        for count in 1..=2 {
            let claim = orders.claim(10, 10, 10);
            assert_eq!(claim.messages()[0].claim_count(), count);
            h.pass(10);
            h.turn();
        }
        assert!(orders.try_claim(10, 10, 10).unwrap().is_none());
        h.turn();
        assert!(orders.all().is_empty());
        assert_eq!(dead.all(), ["0", "1"]);
        assert_eq!(orders.counts(), (0, 0, 0));
    }

    fn dead_letters_go_to_the_end_of_a_queue_that_is_there(h) {
        let (orders, dead) = dead_lettering(h, "");
        dead.create(r#"{"a": 1}"#).unwrap();
        dead.say("first");
        orders.post(1);
        exhaust(h, &orders);
        assert!(orders.taken(10).is_empty());
        h.turn();
        assert_eq!(dead.all(), ["first", "0"]);
        assert_eq!(dead.metadata().unwrap(), json(r#"{"a": 1}"#));
    }

    fn a_moved_message_has_an_id_in_its_new_queue_only(h) {
        let (orders, dead) = dead_lettering(h, "");
        let old = orders.say("42");
        exhaust(h, &orders);
        assert!(orders.taken(10).is_empty());
        h.turn();
        let dead_letter = dead.list(&everything()).unwrap().items[0].clone();
        assert_ne!(dead_letter.id(), old);
        assert_eq!(dead.get(dead_letter.id()).unwrap(), dead_letter);
        assert_fails!(orders.get(old), Error::MessageDoesNotExist { .. });
        assert_fails!(dead.get(old), Error::MessageDoesNotExist { .. });
    }

    fn a_moved_message_keeps_its_creation_count_client_and_ttl(h) {
        let (orders, dead) = dead_lettering(h, "");
        orders.send_as(BOB, &[lasting("42", 1_000)]).unwrap();
        h.pass(100);
        exhaust(h, &orders);
        assert!(orders.taken(10).is_empty());
        h.turn();
        let dead_letter = dead.list(&everything()).unwrap().items[0].clone();
        assert_eq!((dead_letter.created(), dead_letter.claim_count(), dead_letter.ttl()), (START, 2, seconds(1_000).into()));
        assert!(dead.bodies(&everything().client(BOB)).is_empty());
        h.pass(900);
        h.turn();
        assert!(dead.all().is_empty());
    }

    fn a_moved_message_uses_up_a_place_of_the_limit(h) {
        let (orders, dead) = dead_lettering(h, "");
        orders.post(1);
        exhaust(h, &orders);
        orders.say("a");
        orders.say("b");
        h.turn();
        assert_eq!(orders.taken(2), ["a"]);
        h.turn();
        assert_eq!(dead.all(), ["0"]);
        assert_eq!(orders.taken(2), ["b"]);
    }

    fn without_a_dead_letter_queue_nothing_is_ever_moved(h) {
        let orders = h.create_with("orders", r#"{"_max_claim_count": 1}"#);
        orders.post(1);
        for count in 1..=4 {
            assert_eq!(orders.claim(10, 10, 1).messages()[0].claim_count(), count);
            h.pass(10);
            h.turn();
        }
    }

    fn without_a_most_claim_count_nothing_is_ever_moved(h) {
        let orders = h.create_with("orders", r#"{"_dead_letter_queue": "dead"}"#);
        orders.post(1);
        for count in 1..=4 {
            assert_eq!(orders.claim(10, 10, 1).messages()[0].claim_count(), count);
            h.pass(10);
            h.turn();
        }
        assert!(!h.queue("dead").exists());
    }

    fn a_most_claim_count_of_zero_moves_at_the_first_claim(h) {
        let orders = h.create_with("orders", r#"{"_max_claim_count": 0, "_dead_letter_queue": "dead"}"#);
        orders.post(2);
        assert!(orders.try_claim(60, 60, 1).unwrap().is_none());
        h.turn();
        assert_eq!(h.queue("dead").all(), ["0"]);
        assert_eq!(h.queue("dead").list(&everything()).unwrap().items[0].claim_count(), 0);
        assert_eq!(orders.all(), ["1"]);
    }

    fn the_dead_letter_rule_of_the_moment_applies(h) {
        let orders = h.create("orders");
        orders.post(1);
        exhaust(h, &orders);
        orders.set_metadata(r#"{"_max_claim_count": 2, "_dead_letter_queue": "dead"}"#).unwrap();
        h.turn();
        assert!(orders.taken(1).is_empty());
        h.turn();
        assert_eq!(h.queue("dead").all(), ["0"]);
    }

    fn a_dead_letter_queue_is_of_the_same_project(h) {
        let (orders, dead) = dead_lettering(h, "");
        let abroad = h.queue_in(&Project::none(), "dead");
        abroad.create("{}").unwrap();
        orders.post(1);
        exhaust(h, &orders);
        assert!(orders.taken(10).is_empty());
        h.turn();
        assert_eq!((dead.counts().2, abroad.counts().2), (1, 0));
    }

    fn dead_letters_can_be_claimed_and_counted_on(h) {
        let (orders, dead) = dead_lettering(h, "");
        orders.post(1);
        exhaust(h, &orders);
        assert!(orders.taken(10).is_empty());
        h.turn();
        let claim = dead.take(1);
        assert_eq!(claim.messages()[0].claim_count(), 3);
        h.turn();
        dead.delete(claim.messages()[0].id(), Some(claim.id())).unwrap();
        h.turn();
        assert!(dead.all().is_empty());
    }
}

/// A queue whose messages become dead letters after two claims, and its dead-letter queue, which does not exist yet.
pub(crate) fn dead_lettering<'h>(h: &'h Harness, more: &str) -> (Queue<'h>, Queue<'h>) {
    let metadata = format!(r#"{{"_max_claim_count": 2, "_dead_letter_queue": "dead"{more}}}"#);
    (h.create_with("orders", &metadata), h.queue("dead"))
}

/// Claims and releases all messages twice.
pub(crate) fn exhaust(h: &Harness, orders: &Queue<'_>) {
    for _ in 0..2 {
        let claim = orders.take(100);
        orders.release(claim.id()).unwrap();
        h.turn();
    }
}
