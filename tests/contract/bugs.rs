//! Contract 16: bugs of Zaqar's drivers that this engine must not have.

use crate::support::*;
use zaqar_sled::{Error, MessageListOptions, MessageMarker, Project, Sort};

contract! {
    /// Redis 1: the first free message ended the search for claimed ones.
    fn after_a_release_the_next_claim_takes_nothing_that_others_hold(h) {
        let orders = h.create("orders");
        orders.post(4);
        let (one, two) = (orders.take(2), orders.take(2));
        orders.release(one.id()).unwrap();
        h.turn();
        assert_eq!(orders.taken(10), ["0", "1"]);
        assert_eq!(texts(orders.look_up(two.id()).unwrap().messages()), ["2", "3"]);
    }

    /// Redis 1, by time.
    fn after_a_claim_ran_out_the_next_takes_nothing_that_others_hold(h) {
        let orders = h.create("orders");
        orders.post(4);
        orders.claim(10, 10, 2);
        let two = orders.claim(100, 10, 2);
        h.pass(10);
        h.turn();
        assert_eq!(orders.taken(10), ["0", "1"]);
        assert_eq!(texts(orders.look_up(two.id()).unwrap().messages()), ["2", "3"]);
    }

    /// Redis 2.
    fn an_extended_message_outlives_its_first_ttl(h) {
        let orders = h.create("orders");
        let id = orders.send(&[lasting("42", 20)]).unwrap()[0];
        orders.claim(60, 60, 1);
        h.pass(21);
        h.driver().gc().unwrap();
        h.turn();
        assert_eq!(orders.get(id).unwrap().ttl(), seconds(120));
        h.pass(98);
        h.turn();
        assert!(orders.get(id).is_ok());
    }

    /// Redis 3.
    fn a_delayed_message_behind_a_free_one_is_not_claimed(h) {
        let orders = h.create("orders");
        orders.send(&[delayed("free", 0), delayed("late", 30)]).unwrap();
        h.turn();
        assert_eq!(orders.taken(10), ["free"]);
    }

    /// Redis 4.
    fn stats_and_claims_work_between_a_claims_end_and_gc(h) {
        let orders = h.create("orders");
        orders.post(2);
        let claim = orders.claim(10, 10, 1);
        h.pass(10);
        h.turn();
        assert_eq!(orders.counts(), (0, 2, 2));
        assert_fails!(orders.look_up(claim.id()), Error::ClaimDoesNotExist { .. });
        h.driver().gc().unwrap();
        h.turn();
        assert_eq!(orders.counts(), (0, 2, 2));
    }

    /// Redis 5.
    fn no_marker_starts_over(h) {
        let orders = h.create("orders");
        let ids = orders.post(3);
        let first: MessageMarker = ids[0].into();
        orders.delete(ids[0], None).unwrap();
        h.turn();
        assert_eq!(orders.bodies(&MessageListOptions::new().marker(first)), ["1", "2"]);
        let unknown = MessageMarker::lossy("unknown");
        assert!(orders.bodies(&MessageListOptions::new().marker(unknown)).is_empty());
    }

    /// Redis 5.
    fn claimed_messages_can_be_listed_without_a_marker(h) {
        let orders = h.create("orders");
        orders.post(2);
        orders.take(2);
        h.turn();
        assert_eq!(orders.bodies(&MessageListOptions::new().include_claimed(true)), ["0", "1"]);
        let none = orders.list(&MessageListOptions::new()).unwrap();
        assert!(none.items.is_empty() && none.next.is_none());
    }

    /// Redis 6.
    fn no_message_is_reached_through_another_queue_or_project(h) {
        let other = h.queue_in(&Project::named("other").unwrap(), "bills");
        other.create("{}").unwrap();
        let orders = h.create("orders");
        let id = orders.say("42");
        let claim = orders.take(1);
        h.turn();
        assert!(other.get(id).unwrap_err().is_not_found());
        other.delete(id, Some(claim.id())).unwrap();
        other.bulk_delete(&[id], &[claim.id()]).unwrap();
        h.turn();
        assert_eq!(orders.counts(), (1, 0, 1));
    }

    /// Redis 9.
    fn names_that_join_to_the_same_text_are_different_queues(h) {
        let one = h.queue_in(&Project::named("a").unwrap(), "b.c");
        let two = h.queue_in(&Project::named("a.b").unwrap(), "c");
        one.create("{}").unwrap();
        two.create("{}").unwrap();
        one.say("one");
        h.turn();
        assert!(two.all().is_empty());
        two.remove().unwrap();
        h.turn();
        assert_eq!(one.all(), ["one"]);
    }

    /// Redis 10.
    fn a_dead_letter_has_neither_its_old_expiry_nor_the_claim_that_moved_it(h) {
        let (orders, dead) = crate::claims::dead_lettering(h, r#", "_dead_letter_queue_messages_ttl": 500"#);
        orders.send(&[lasting("42", 200)]).unwrap();
        crate::claims::exhaust(h, &orders);
        assert!(orders.taken(1).is_empty());
        h.pass(250);
        h.turn();
        assert_eq!(dead.taken(1), ["42"]);
    }

    /// MongoDB: claim update and release forgot the count.
    fn a_message_released_again_and_again_becomes_a_dead_letter(h) {
        let (orders, dead) = crate::claims::dead_lettering(h, "");
        orders.post(3);
        crate::claims::exhaust(h, &orders);
        assert!(orders.taken(10).is_empty());
        h.turn();
        assert_eq!(dead.all(), ["0", "1", "2"]);
    }

    /// MongoDB: pop took delayed messages, in no order.
    fn a_pop_is_in_order_and_takes_no_delayed_message(h) {
        let orders = h.create("orders");
        orders.send(&[delayed("late", 30)]).unwrap();
        orders.post(5);
        h.turn();
        assert_eq!(texts(&orders.pop(3).unwrap()), ["0", "1", "2"]);
    }

    /// MongoDB: they stayed for up to a minute.
    fn an_expired_message_is_not_got_although_no_gc_ran(h) {
        let orders = h.create("orders");
        let id = orders.send(&[lasting("42", 1)]).unwrap()[0];
        h.pass(1);
        h.turn();
        assert!(orders.get(id).is_err());
        assert!(orders.bulk_get(&[id]).is_empty());
    }

    /// MongoDB: the counter started over, so old markers hid new messages.
    fn a_reader_sees_everything_in_a_queue_that_was_made_again(h) {
        let orders = h.create("orders");
        orders.post(20);
        let marker = orders.list(&MessageListOptions::new().limit(20)).unwrap().next;
        orders.remove().unwrap();
        orders.create("{}").unwrap();
        orders.post(3);
        h.turn();
        assert_eq!(orders.bodies(&MessageListOptions::new().marker(marker)), ["0", "1", "2"]);
    }

    /// MongoDB: a bulk delete by claims took unclaimed messages along.
    fn a_bulk_delete_by_claims_spares_unclaimed_messages(h) {
        let orders = h.create("orders");
        let ids = orders.post(2);
        let claim = orders.take(1);
        h.turn();
        assert_fails!(orders.bulk_delete(&ids, &[claim.id()]), Error::MessageNotClaimed { .. });
        h.turn();
        assert_eq!(orders.all(), ["0", "1"]);
    }

    /// MongoDB: the error carried an internal object.
    fn a_missing_claim_is_named_in_its_error(h) {
        let orders = h.create("orders");
        let error = orders.look_up(no_claim()).unwrap_err();
        assert!(error.to_string().contains(&no_claim().to_string()));
    }

    /// Common: the transport's purge left claimed messages.
    fn a_purge_takes_claimed_messages_too(h) {
        let orders = h.create("orders");
        orders.post(3);
        orders.take(2);
        assert_eq!(orders.purge(zaqar_sled::Purge::Messages).unwrap(), 3);
        h.turn();
        assert!(orders.all().is_empty());
    }

    /// All drivers continue to show the expired claim.
    fn an_expired_claim_is_not_shown_by_its_messages(h) {
        let orders = h.create("orders");
        let id = orders.say("42");
        orders.claim(10, 10, 1);
        h.pass(10);
        h.turn();
        assert_eq!(orders.get(id).unwrap().claim_id(), None);
        assert_eq!(orders.first(Sort::Oldest).unwrap().claim_id(), None);
        assert_eq!(orders.bulk_get(&[id])[0].claim_id(), None);
        assert_eq!(orders.list(&everything()).unwrap().items[0].claim_id(), None);
        assert_eq!(orders.pop(1).unwrap()[0].claim_id(), None);
    }
}
