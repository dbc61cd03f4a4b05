//! Contract 2 and 14: the decisions where Zaqar's drivers disagree or define nothing.

use crate::claims::{dead_lettering, exhaust};
use crate::support::*;
use zaqar_sled::{Clock, Error, MessageListOptions, MessageMarker, NewMessage, QueueListOptions, Sort, Timestamp};

fn page(limit: usize) -> MessageListOptions {
    MessageListOptions::new().limit(limit)
}

contract! {
    fn posting_to_a_missing_queue_fails(h) {
        assert_fails!(h.queue("orders").send(&[lasting("42", 60)]), Error::QueueDoesNotExist { .. });
        h.turn();
        assert!(!h.queue("orders").exists());
        assert!(h.queue("orders").taken(1).is_empty());
    }

    fn getting_from_a_missing_queue_says_that_the_queue_is_missing(h) {
        let id = h.create("bills").say("42");
        h.turn();
        let error = h.queue("orders").get(id).unwrap_err();
        assert!(error.is_not_found());
        assert_fails!(Err::<(), _>(error), Error::QueueDoesNotExist { .. });
    }

    fn the_first_of_an_empty_queue_is_an_error_of_its_own(h) {
        let orders = h.create("orders");
        h.turn();
        for sort in [Sort::Oldest, Sort::Newest] {
            let error = orders.first(sort).unwrap_err();
            assert!(!error.is_not_found());
            assert_fails!(Err::<(), _>(error), Error::QueueIsEmpty { project, queue }
                if project == shop() && queue == name_of("orders"));
        }
    }

    fn the_first_of_a_missing_queue_is_that_of_an_empty_one(h) {
        assert_fails!(h.queue("orders").first(Sort::Oldest), Error::QueueIsEmpty { .. });
    }

    fn first_counts_delayed_messages(h) {
        let orders = h.create("orders");
        orders.send(&[delayed("early", 30), lasting("middle", 60), delayed("late", 30)]).unwrap();
        h.turn();
        assert_eq!(texts(&[orders.first(Sort::Oldest).unwrap()]), ["early"]);
        assert_eq!(texts(&[orders.first(Sort::Newest).unwrap()]), ["late"]);
    }

    fn the_marker_of_a_deleted_message_continues_from_its_place(h) {
        let orders = h.create("orders");
        let ids = orders.post(5);
        let marker = orders.list(&page(2)).unwrap().next;
        orders.bulk_delete(&ids[..3], &[]).unwrap();
        h.turn();
        assert_eq!(orders.bodies(&page(10).marker(marker)), ["3", "4"]);
    }

    fn the_marker_of_an_expired_message_continues_from_its_place(h) {
        let orders = h.create("orders");
        orders.send(&[lasting("a", 60), lasting("b", 10), lasting("c", 60)]).unwrap();
        let marker = orders.list(&page(2)).unwrap().next;
        h.pass(10);
        h.turn();
        assert_eq!(orders.bodies(&page(10).marker(marker)), ["c"]);
    }

    fn a_malformed_marker_gives_an_empty_page(h) {
        let orders = h.create("orders");
        orders.post(3);
        h.turn();
        for text in ["", "?", "0", "123", "00000000-0000-0000-0000-000000000000", &"f".repeat(33)] {
            let page = orders.list(&everything().marker(MessageMarker::lossy(text))).unwrap();
            assert!(page.items.is_empty(), "{text:?}");
            assert_eq!(page.next, None);
        }
    }

    fn the_marker_of_a_newer_queue_gives_an_empty_page(h) {
        let (orders, newer) = (h.create("orders"), h.create("newer"));
        orders.post(3);
        newer.post(3);
        let marker = newer.list(&page(1)).unwrap().next;
        h.turn();
        assert!(orders.bodies(&everything().marker(marker)).is_empty());
    }

    fn the_marker_of_an_older_queue_stands_before_the_first_message(h) {
        let (older, orders) = (h.create("older"), h.create("orders"));
        older.post(5);
        orders.post(2);
        let marker = older.list(&page(5)).unwrap().next;
        h.turn();
        assert_eq!(orders.bodies(&everything().marker(marker)), ["0", "1"]);
    }

    fn an_empty_page_behind_a_marker_has_no_marker(h) {
        let orders = h.create("orders");
        orders.post(1);
        let marker = orders.list(&page(1)).unwrap().next;
        h.turn();
        assert_eq!(orders.list(&page(1).marker(marker)).unwrap().next, None);
        let queues = QueueListOptions::new().marker("orders".parse::<zaqar_sled::QueueMarker>().unwrap());
        assert_eq!(h.driver().queues().list(&shop(), &queues).unwrap().next, None);
    }

    fn filters_come_before_the_limit(h) {
        let orders = h.create("orders");
        orders.post(5);
        orders.take(5);
        orders.send_as(BOB, &[lasting("bob", 60)]).unwrap();
        orders.send(&[delayed("late", 60), lasting("gone", 0)]).unwrap();
        orders.post(3);
        h.turn();
        assert_eq!(orders.bodies(&page(2).client(BOB)), ["0", "1"]);
        assert_eq!(orders.bodies(&page(2)), ["bob", "0"]);
        assert_eq!(orders.bodies(&page(1).client(ALICE)), ["bob"]);
    }

    fn bulk_get_answers_in_the_order_asked(h) {
        let orders = h.create("orders");
        let ids = orders.post(4);
        h.turn();
        assert_eq!(texts(&orders.bulk_get(&[ids[3], ids[0], ids[2]])), ["3", "0", "2"]);
    }

    fn an_expired_claim_deletes_nothing(h) {
        let orders = h.create("orders");
        let id = orders.say("42");
        let claim = orders.claim(10, 10, 1);
        h.pass(10);
        h.turn();
        assert_fails!(orders.delete(id, Some(claim.id())), Error::MessageNotClaimed { .. });
        assert!(orders.delete(id, Some(claim.id())).unwrap_err().is_not_permitted());
        assert!(orders.get(id).is_ok());
    }

    fn a_released_claim_deletes_nothing(h) {
        let orders = h.create("orders");
        let id = orders.say("42");
        let claim = orders.take(1);
        orders.release(claim.id()).unwrap();
        h.turn();
        assert_fails!(orders.delete(id, Some(claim.id())), Error::MessageNotClaimed { .. });
    }

    fn deleting_by_a_missing_claim_what_another_holds_says_the_claim_is_missing(h) {
        let orders = h.create("orders");
        let id = orders.say("42");
        let first = orders.claim(10, 10, 1);
        h.pass(10);
        orders.take(1);
        h.turn();
        for gone in [no_claim(), first.id()] {
            assert_fails!(orders.delete(id, Some(gone)), Error::ClaimDoesNotExist { id, .. } if id == gone);
        }
    }

    fn deleting_a_missing_message_by_a_bad_claim_is_silent(h) {
        let orders = h.create("orders");
        let id = orders.say("42");
        let claim = orders.take(1);
        orders.delete(id, Some(claim.id())).unwrap();
        h.turn();
        orders.delete(id, Some(claim.id())).unwrap();
        orders.delete(id, Some(no_claim())).unwrap();
    }

    fn a_bulk_delete_that_fails_deletes_nothing(h) {
        let orders = h.create("orders");
        let ids = orders.post(3);
        let claim = orders.take(2);
        assert!(orders.bulk_delete(&ids, &[claim.id()]).is_err());
        h.turn();
        assert_eq!(orders.all(), ["0", "1", "2"]);
    }

    fn popped_records_show_no_trace_of_the_pop(h) {
        let orders = h.create("orders");
        orders.send(&[lasting("42", 100)]).unwrap();
        let claim = orders.take(1);
        orders.release(claim.id()).unwrap();
        h.pass(99);
        h.turn();
        let popped = orders.pop(1).unwrap();
        assert_eq!((popped[0].claim_id(), popped[0].claim_count(), popped[0].ttl()), (None, 1, seconds(100).into()));
        assert_eq!(popped[0].age(), seconds(99));
    }

    fn a_pop_moves_no_dead_letters(h) {
        let (orders, dead) = dead_lettering(h, "");
        orders.post(1);
        exhaust(h, &orders);
        assert_eq!(texts(&orders.pop(1).unwrap()), ["0"]);
        h.turn();
        assert!(!dead.exists());
    }

    fn claiming_nothing_makes_no_claim(h) {
        let orders = h.create("orders");
        orders.send(&[delayed("late", 60)]).unwrap();
        h.turn();
        assert!(orders.try_claim(60, 60, 10).unwrap().is_none());
    }

    fn the_extension_rule_is_the_same_in_create_and_update(h) {
        let orders = h.create("orders");
        orders.send(&[lasting("42", 100)]).unwrap();
        let claim = orders.claim(100, 60, 1);
        assert_eq!(claim.messages()[0].ttl(), seconds(100));
        orders.renew(claim.id(), 100, 60).unwrap();
        h.turn();
        assert_eq!(orders.look_up(claim.id()).unwrap().messages()[0].ttl(), seconds(100));
        orders.renew(claim.id(), 101, 60).unwrap();
        h.turn();
        assert_eq!(orders.look_up(claim.id()).unwrap().messages()[0].ttl(), seconds(161));
    }

    fn every_messages_own_delay_is_honoured_by_a_claim(h) {
        let orders = h.create("orders");
        orders.send(&[delayed("a", 0), delayed("b", 30), delayed("c", 0), delayed("d", 60)]).unwrap();
        h.turn();
        let first = orders.try_claim(600, 60, 10).unwrap().unwrap();
        assert_eq!(texts(first.messages()), ["a", "c"]);
        h.pass(30);
        h.turn();
        assert_eq!(orders.taken(10), ["b"]);
    }

    fn claim_count_rises_without_dead_letters_too(h) {
        let orders = h.create("orders");
        orders.post(1);
        assert_eq!(orders.take(1).messages()[0].claim_count(), 1);
        h.turn();
        assert_eq!(orders.list(&everything()).unwrap().items[0].claim_count(), 1);
    }

    fn the_claim_that_counts_is_counted_in_its_own_result(h) {
        let (orders, _dead) = dead_lettering(h, "");
        orders.post(1);
        let claim = orders.take(1);
        assert_eq!(claim.messages()[0].claim_count(), 1);
        h.turn();
        assert_eq!(orders.look_up(claim.id()).unwrap().messages()[0].claim_count(), 1);
    }

    fn the_count_is_kept_at_release_and_update(h) {
        let (orders, dead) = dead_lettering(h, "");
        let id = orders.say("42");
        let one = orders.take(1);
        orders.renew(one.id(), 100, 60).unwrap();
        h.turn();
        assert_eq!(orders.get(id).unwrap().claim_count(), 1);
        orders.release(one.id()).unwrap();
        h.turn();
        assert_eq!(orders.get(id).unwrap().claim_count(), 1);
        let two = orders.take(1);
        orders.release(two.id()).unwrap();
        h.turn();
        assert!(orders.taken(1).is_empty());
        h.turn();
        assert_eq!(dead.all(), ["42"]);
    }

    fn a_dead_letter_lives_its_new_ttl_from_the_move_on(h) {
        let (orders, dead) = dead_lettering(h, r#", "_dead_letter_queue_messages_ttl": 50"#);
        orders.send(&[lasting("42", 1_000)]).unwrap();
        exhaust(h, &orders);
        h.pass(900);
        assert!(orders.taken(1).is_empty());
        h.turn();
        let dead_letter = dead.list(&everything()).unwrap().items[0].clone();
        assert_eq!((dead_letter.ttl(), dead_letter.age()), (seconds(50).into(), seconds(900)));
        h.pass(49);
        h.turn();
        assert_eq!(dead.all(), ["42"]);
        h.pass(1);
        h.turn();
        assert!(dead.all().is_empty());
    }

    fn a_dead_letter_may_live_longer_than_it_was_to(h) {
        let (orders, dead) = dead_lettering(h, r#", "_dead_letter_queue_messages_ttl": 5000"#);
        orders.send(&[lasting("42", 1_000)]).unwrap();
        exhaust(h, &orders);
        assert!(orders.taken(1).is_empty());
        h.pass(4_999);
        h.turn();
        assert_eq!(dead.all(), ["42"]);
        h.pass(1);
        h.turn();
        assert!(dead.all().is_empty());
    }

    fn a_dead_letter_ttl_of_zero_leaves_the_message_its_own(h) {
        let (orders, dead) = dead_lettering(h, r#", "_dead_letter_queue_messages_ttl": 0"#);
        orders.send(&[lasting("42", 1_000)]).unwrap();
        exhaust(h, &orders);
        assert!(orders.taken(1).is_empty());
        h.turn();
        assert_eq!(dead.list(&everything()).unwrap().items[0].ttl(), seconds(1_000));
    }

    fn a_dead_letter_is_claimable_at_once(h) {
        let (orders, dead) = dead_lettering(h, "");
        orders.post(1);
        exhaust(h, &orders);
        assert!(orders.taken(1).is_empty());
        h.turn();
        assert_eq!(dead.counts(), (0, 1, 1));
        assert_eq!(dead.list(&everything()).unwrap().items[0].claim_id(), None);
        assert_eq!(texts(&dead.pop(1).unwrap()), ["0"]);
    }

    fn a_missing_dead_letter_queue_is_made(h) {
        let (orders, dead) = dead_lettering(h, "");
        orders.post(1);
        assert!(!dead.exists());
        exhaust(h, &orders);
        assert!(!dead.exists());
        assert!(orders.taken(1).is_empty());
        h.turn();
        assert!(dead.exists());
        assert!(dead.metadata().unwrap().is_empty());
        assert_eq!(h.names(&QueueListOptions::new()), ["dead", "orders"]);
    }

    fn a_deleted_dead_letter_queue_is_made_again(h) {
        let (orders, dead) = dead_lettering(h, "");
        dead.create(r#"{"a": 1}"#).unwrap();
        dead.post(2);
        dead.remove().unwrap();
        orders.post(1);
        exhaust(h, &orders);
        assert!(orders.taken(1).is_empty());
        h.turn();
        assert_eq!(dead.all(), ["0"]);
        assert!(dead.metadata().unwrap().is_empty());
    }

    fn dead_letters_may_go_on_to_another_queue(h) {
        let (orders, dead) = dead_lettering(h, "");
        dead.create(r#"{"_max_claim_count": 2, "_dead_letter_queue": "deader"}"#).unwrap();
        orders.post(1);
        exhaust(h, &orders);
        assert!(orders.taken(1).is_empty());
        h.turn();
        assert!(dead.taken(1).is_empty());
        h.turn();
        assert_eq!(h.queue("deader").all(), ["0"]);
        assert!(dead.all().is_empty());
    }

    fn a_claim_with_no_messages_left_is_kept(h) {
        let orders = h.create("orders");
        let ids = orders.post(2);
        let claim = orders.claim(60, 60, 2);
        orders.bulk_delete(&ids, &[claim.id()]).unwrap();
        h.turn();
        assert!(orders.look_up(claim.id()).unwrap().messages().is_empty());
        orders.renew(claim.id(), 100, 60).unwrap();
        h.pass(99);
        h.turn();
        assert_eq!(orders.look_up(claim.id()).unwrap().age(), seconds(99));
        h.pass(1);
        h.turn();
        assert_fails!(orders.look_up(claim.id()), Error::ClaimDoesNotExist { .. });
    }

    fn old_markers_stay_safe_when_a_queue_is_made_again(h) {
        let orders = h.create("orders");
        orders.post(5);
        let marker = orders.list(&page(4)).unwrap().next;
        orders.remove().unwrap();
        h.turn();
        orders.create("{}").unwrap();
        orders.post(2);
        h.turn();
        assert_eq!(orders.bodies(&page(10).marker(marker)), ["0", "1"]);
    }

    fn old_ids_stay_safe_when_a_queue_is_made_again(h) {
        let orders = h.create("orders");
        let old = orders.post(3);
        let claim = orders.take(3);
        orders.remove().unwrap();
        orders.create("{}").unwrap();
        let new = orders.post(3);
        h.turn();
        assert!(old.iter().all(|id| !new.contains(id)));
        assert!(orders.bulk_get(&old).is_empty());
        orders.bulk_delete(&old, &[]).unwrap();
        orders.delete(old[0], Some(claim.id())).unwrap();
        orders.release(claim.id()).unwrap();
        h.turn();
        assert_eq!(orders.counts(), (0, 3, 3));
    }

    fn stats_show_three_keys_of_the_oldest_and_newest(h) {
        let orders = h.create("orders");
        let id = orders.say("42");
        h.pass(3);
        h.turn();
        let stats = orders.stats().unwrap();
        let oldest = stats.oldest().unwrap();
        assert_eq!((oldest.id(), oldest.age(), oldest.created()), (id, seconds(3), START));
    }

    fn no_limit_is_a_limit_of_zero(h) {
        let orders = h.create("orders");
        orders.post(300);
        for i in 0..30 {
            h.create(&format!("queue-{i}"));
        }
        h.turn();
        assert_eq!(orders.bodies(&page(0)).len(), 300);
        assert_eq!(h.names(&QueueListOptions::new().limit(0)).len(), 31);
    }

    fn a_post_that_is_refused_uses_up_nothing(h) {
        let orders = h.create("orders");
        orders.say("a");
        assert!(orders.send(&[lasting("x", 60), lasting("y", 60), NewMessage::new("z")]).is_err());
        orders.say("b");
        h.turn();
        assert_eq!(orders.all(), ["a", "b"]);
    }

    fn ages_are_rounded_down_and_lifetimes_up(h) {
        let orders = h.create("orders");
        let ttl = std::time::Duration::from_millis(10_001);
        let id = orders.send(&[NewMessage::new("42").ttl(ttl)]).unwrap()[0];
        h.pass_millis(1_999);
        h.turn();
        let message = orders.get(id).unwrap();
        assert_eq!((message.age(), message.ttl()), (seconds(1), seconds(11).into()));
        h.pass_millis(8_001);
        assert!(orders.get(id).is_ok());
        h.pass_millis(1);
        h.turn();
        assert!(orders.get(id).is_err());
    }

    fn time_never_runs_backwards(h) {
        let orders = h.create("orders");
        let id = orders.send(&[lasting("42", 100)]).unwrap()[0];
        h.pass(60);
        assert_eq!(orders.get(id).unwrap().age(), seconds(60));
        orders.say("later");
        h.clock().set_wall(START);
        h.turn();
        assert_eq!(orders.get(id).unwrap().age(), seconds(60));
        h.pass(39);
        orders.say("a change, so that a killed engine knows how far time had come");
        h.turn();
        assert_eq!(orders.get(id).unwrap().age(), seconds(99));
        h.pass(1);
        assert!(orders.get(id).is_err());
    }

    fn a_forward_jump_of_the_clock_is_believed(h) {
        let orders = h.create("orders");
        orders.send(&[lasting("short", 3_600), lasting("long", 360_000)]).unwrap();
        h.clock().set_wall(h.clock().wall().saturating_add(seconds(86_400)));
        h.turn();
        assert_eq!(orders.all(), ["long"]);
        assert_eq!(orders.stats().unwrap().oldest().unwrap().age(), seconds(86_400));
    }

    fn a_time_past_the_year_9999_is_told_before_a_missing_queue(h) {
        let orders = h.queue("orders");
        assert_eq!(refused(orders.send(&[lasting("42", 300_000_000_000)])), "ttl");
        assert_eq!(refused(orders.send(&[delayed("42", 300_000_000_000)])), "delay");
        assert_eq!(refused(orders.try_claim(300_000_000_000, 60, 1)), "ttl");
    }

    fn an_observed_expiry_stays_whatever_the_clock_says(h) {
        let orders = h.create("orders");
        let id = orders.send(&[lasting("42", 10)]).unwrap()[0];
        let held = orders.say("held");
        let claim = orders.claim(5, 0, 2);
        h.pass(10);
        assert!(orders.get(id).is_err());
        assert_eq!(orders.get(held).unwrap().claim_id(), None);
        h.clock().set_wall(START);
        h.turn();
        assert!(orders.get(id).is_err());
        assert_eq!(orders.all(), ["held"]);
        assert_fails!(orders.look_up(claim.id()), Error::ClaimDoesNotExist { .. });
    }

    fn a_delay_that_was_seen_to_be_over_stays_over_whatever_the_clock_says(h) {
        let orders = h.create("orders");
        orders.send(&[delayed("42", 10)]).unwrap();
        h.pass(10);
        assert_eq!(orders.shown(), ["42"]);
        h.clock().set_wall(START);
        h.turn();
        assert_eq!(orders.shown(), ["42"]);
    }

    fn a_life_may_last_until_the_end_of_time_but_not_longer(h) {
        let orders = h.create("orders");
        let left = Timestamp::MAX.since(h.clock().wall());
        let more = left + std::time::Duration::from_millis(1);
        assert_eq!(refused(orders.send(&[NewMessage::new("42").ttl(more)])), "ttl");
        assert_eq!(refused(orders.send(&[NewMessage::new("42").ttl(seconds(1)).delay(more)])), "delay");
        orders.send(&[NewMessage::new("42").ttl(left).delay(left)]).unwrap();
        h.turn();
        assert_eq!(orders.all(), ["42"]);
        assert!(orders.shown().is_empty());
    }
}
