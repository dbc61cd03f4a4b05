//! Contract 6: the message controller.

use crate::support::*;
use zaqar_sled::{
    Body, ClaimId, Error, Message, MessageId, MessageListOptions, MessageMarker, NewMessage, Project, Sort,
};

fn page(limit: usize) -> MessageListOptions {
    MessageListOptions::new().limit(limit)
}

contract! {
    fn a_new_message_has_the_contracts_fields(h) {
        let orders = h.create("orders");
        let id = orders.send(&[lasting("42", 120)]).unwrap()[0];
        h.pass(7);
        h.turn();
        let message = orders.get(id).unwrap();
        assert_eq!((message.id(), message.age(), message.ttl()), (id, seconds(7), seconds(120).into()));
        assert_eq!(message.body(), &Body::from("42"));
        assert_eq!((message.claim_id(), message.claim_count(), message.checksum()), (None, 0, None));
        assert_eq!(message.created(), START);
    }

    fn bodies_come_back_byte_for_byte(h) {
        let orders = h.create("orders");
        let bodies: Vec<Body> = vec![
            Body::from(""),
            Body::from(vec![0_u8, 255, 128, 10]),
            Body::json("caf\u{e9}").unwrap(),
            Body::json(&()).unwrap(),
            Body::json(&1.0).unwrap(),
            Body::from(vec![7_u8; 100_000]),
        ];
        let messages: Vec<_> = bodies.iter().map(|body| NewMessage::new(body.clone()).ttl(seconds(60))).collect();
        let ids = orders.send(&messages).unwrap();
        h.turn();
        let read: Vec<Body> = orders.bulk_get(&ids).iter().map(|message| message.body().clone()).collect();
        assert_eq!(read, bodies);
    }

    fn ids_come_back_in_the_order_given_which_is_queue_order(h) {
        let orders = h.create("orders");
        let mut posted = orders.post(3);
        posted.extend(orders.post(2));
        h.turn();
        posted.extend(orders.post(2));
        assert_eq!(ids(&orders.list(&everything()).unwrap().items), posted);
        assert!(posted.is_sorted());
    }

    fn every_message_has_an_id_of_its_own(h) {
        let (orders, bills) = (h.create("orders"), h.create("bills"));
        let mut all = [orders.post(3), bills.post(3)].concat();
        h.turn();
        all.extend(orders.post(3));
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    fn an_id_survives_being_written_down(h) {
        let orders = h.create("orders");
        let text = orders.say("42").to_string();
        h.turn();
        assert_eq!(texts(&[orders.get(text.parse().unwrap()).unwrap()]), ["42"]);
    }

    fn posting_nothing_gives_no_ids(h) {
        let orders = h.create("orders");
        assert!(orders.send(&[]).unwrap().is_empty());
        h.turn();
        assert_eq!(orders.counts(), (0, 0, 0));
    }

    fn a_post_without_a_ttl_is_refused_whole(h) {
        let orders = h.create("orders");
        assert_eq!(refused(orders.send(&[lasting("good", 60), NewMessage::new("bad")])), "ttl");
        h.turn();
        assert!(orders.all().is_empty());
    }

    fn a_ttl_past_the_year_9999_is_refused_whole(h) {
        let orders = h.create("orders");
        let forever = NewMessage::new("bad").ttl(std::time::Duration::MAX);
        assert!(orders.send(&[lasting("good", 60), forever]).unwrap_err().is_invalid());
        h.turn();
        assert!(orders.all().is_empty());
    }

    fn a_ttl_of_zero_is_accepted_and_already_expired(h) {
        let orders = h.create("orders");
        let ids = orders.send(&[lasting("gone", 0), lasting("here", 1)]).unwrap();
        h.turn();
        assert_eq!(orders.all(), ["here"]);
        assert_fails!(orders.get(ids[0]), Error::MessageDoesNotExist { .. });
        assert_eq!(orders.counts(), (0, 1, 1));
    }

    fn a_message_is_live_until_the_instant_it_expires(h) {
        let orders = h.create("orders");
        let id = orders.send(&[lasting("42", 10)]).unwrap()[0];
        h.pass_millis(9_999);
        h.turn();
        assert_eq!(orders.get(id).unwrap().age(), seconds(9));
        h.pass_millis(1);
        h.turn();
        assert_fails!(orders.get(id), Error::MessageDoesNotExist { .. });
        assert!(orders.all().is_empty());
        assert!(orders.bulk_get(&[id]).is_empty());
        assert!(orders.pop(1).unwrap().is_empty());
        assert!(orders.try_claim(60, 60, 1).unwrap().is_none());
        assert_fails!(orders.first(Sort::Oldest), Error::QueueIsEmpty { .. });
    }

    fn a_list_is_in_the_order_of_posts(h) {
        let orders = h.create("orders");
        for body in ["c", "a", "b"] {
            orders.say(body);
        }
        h.turn();
        assert_eq!(orders.shown(), ["c", "a", "b"]);
    }

    fn a_list_has_ten_messages_unless_said_otherwise(h) {
        let orders = h.create("orders");
        orders.post(15);
        h.turn();
        assert_eq!(orders.bodies(&MessageListOptions::new()).len(), 10);
        assert_eq!(orders.bodies(&page(3)), ["0", "1", "2"]);
        assert_eq!(orders.bodies(&page(0)).len(), 15);
        assert_eq!(orders.bodies(&page(100)).len(), 15);
    }

    fn a_list_leaves_out_claimed_messages_unless_asked(h) {
        let orders = h.create("orders");
        orders.post(4);
        let claim = orders.take(2);
        h.turn();
        assert_eq!(orders.shown(), ["2", "3"]);
        let all = orders.list(&page(0).include_claimed(true)).unwrap().items;
        assert_eq!(texts(&all), ["0", "1", "2", "3"]);
        assert_eq!(all[0].claim_id(), Some(claim.id()));
        assert_eq!(all[2].claim_id(), None);
    }

    fn a_list_leaves_out_the_clients_own_messages_unless_echoed(h) {
        let orders = h.create("orders");
        orders.send_as(ALICE, &[lasting("from alice", 60)]).unwrap();
        orders.send_as(BOB, &[lasting("from bob", 60)]).unwrap();
        h.turn();
        assert_eq!(orders.bodies(&page(0).client(ALICE)), ["from bob"]);
        assert_eq!(orders.bodies(&page(0).client(BOB)), ["from alice"]);
        assert_eq!(orders.bodies(&page(0).client(ALICE).echo(true)).len(), 2);
        assert_eq!(orders.bodies(&page(0).echo(false)).len(), 2);
    }

    fn a_list_leaves_out_delayed_messages_unless_asked(h) {
        let orders = h.create("orders");
        orders.send(&[delayed("late", 30), delayed("now", 0)]).unwrap();
        h.turn();
        assert_eq!(orders.shown(), ["now"]);
        assert_eq!(orders.bodies(&page(0).include_delayed(true)), ["late", "now"]);
        h.pass(30);
        h.turn();
        assert_eq!(orders.shown(), ["late", "now"]);
    }

    fn a_list_leaves_out_what_has_expired_whatever_is_asked(h) {
        let orders = h.create("orders");
        orders.send(&[lasting("short", 10), lasting("long", 60)]).unwrap();
        h.pass(10);
        h.turn();
        assert_eq!(orders.all(), ["long"]);
    }

    fn pages_of_messages_follow_one_another(h) {
        let orders = h.create("orders");
        orders.post(7);
        let (mut seen, mut marker) = (Vec::new(), None);
        loop {
            h.turn();
            let page = orders.list(&page(3).marker(marker)).unwrap();
            marker = page.next;
            if page.items.is_empty() {
                break;
            }
            assert_eq!(page.next, page.items.last().map(Message::marker));
            seen.extend(texts(&page.items));
        }
        assert_eq!(seen, ["0", "1", "2", "3", "4", "5", "6"]);
        assert_eq!(marker, None);
    }

    fn a_full_last_page_has_a_marker_and_an_empty_page_behind_it(h) {
        let orders = h.create("orders");
        orders.post(4);
        h.turn();
        let last = orders.list(&page(4)).unwrap();
        assert!(last.next.is_some());
        let behind = orders.list(&page(4).marker(last.next)).unwrap();
        assert!(behind.items.is_empty());
        assert_eq!(behind.next, None);
    }

    fn a_reader_with_a_marker_sees_what_is_posted_later(h) {
        let orders = h.create("orders");
        orders.post(2);
        let marker = orders.list(&page(10)).unwrap().next;
        h.turn();
        orders.say("later");
        h.turn();
        assert_eq!(orders.bodies(&page(10).marker(marker)), ["later"]);
    }

    fn a_marker_survives_being_written_down(h) {
        let orders = h.create("orders");
        orders.post(4);
        let text = orders.list(&page(2)).unwrap().next.unwrap().to_string();
        h.turn();
        let marker: MessageMarker = text.parse().unwrap();
        assert_eq!(orders.bodies(&page(0).marker(marker)), ["2", "3"]);
    }

    fn the_marker_of_the_first_message_continues_behind_it(h) {
        let orders = h.create("orders");
        orders.post(3);
        h.turn();
        let marker = orders.list(&page(1)).unwrap().next;
        assert_eq!(orders.bodies(&page(0).marker(marker)), ["1", "2"]);
    }

    fn listing_a_missing_queue_fails(h) {
        assert_fails!(h.queue("orders").list(&page(10)), Error::QueueDoesNotExist { .. });
    }

    fn an_empty_page_has_no_marker(h) {
        let orders = h.create("orders");
        h.turn();
        let page = orders.list(&page(10)).unwrap();
        assert!(page.items.is_empty());
        assert_eq!(page.next, None);
    }

    fn first_gives_the_oldest_or_the_newest(h) {
        let orders = h.create("orders");
        orders.post(3);
        h.turn();
        assert_eq!(texts(&[orders.first(Sort::Oldest).unwrap()]), ["0"]);
        assert_eq!(texts(&[orders.first(Sort::Newest).unwrap()]), ["2"]);
        assert_eq!(orders.first(Sort::Oldest).unwrap().created(), START);
    }

    fn first_skips_what_has_expired(h) {
        let orders = h.create("orders");
        orders.send(&[lasting("a", 10), lasting("b", 60), lasting("c", 10)]).unwrap();
        h.pass(10);
        h.turn();
        assert_eq!(texts(&[orders.first(Sort::Oldest).unwrap()]), ["b"]);
        assert_eq!(texts(&[orders.first(Sort::Newest).unwrap()]), ["b"]);
    }

    fn first_counts_claimed_messages(h) {
        let orders = h.create("orders");
        orders.post(2);
        let claim = orders.take(1);
        h.turn();
        assert_eq!(orders.first(Sort::Oldest).unwrap().claim_id(), Some(claim.id()));
    }

    fn first_knows_no_sort_but_1_and_minus_1(h) {
        h.create("orders");
        assert!(Sort::try_from(0).unwrap_err().is_invalid());
        assert!(Sort::try_from(2).unwrap_err().is_invalid());
        assert_eq!((Sort::try_from(1).unwrap(), Sort::try_from(-1).unwrap()), (Sort::Oldest, Sort::Newest));
    }

    fn claimed_and_delayed_messages_are_got_like_others(h) {
        let orders = h.create("orders");
        let late = orders.send(&[delayed("late", 30)]).unwrap()[0];
        let held = orders.say("held");
        let claim = orders.take(1);
        h.turn();
        assert_eq!(texts(&[orders.get(late).unwrap()]), ["late"]);
        assert_eq!(orders.get(held).unwrap().claim_id(), Some(claim.id()));
    }

    fn getting_what_is_not_there_says_which_message(h) {
        let orders = h.create("orders");
        let id = orders.say("42");
        orders.delete(id, None).unwrap();
        h.turn();
        assert_fails!(orders.get(id), Error::MessageDoesNotExist { project, queue, id: missing }
            if project == shop() && queue == name_of("orders") && missing == id);
        assert_fails!(orders.get(no_message()), Error::MessageDoesNotExist { .. });
        assert_fails!(orders.get(MessageId::lossy("no id at all")), Error::MessageDoesNotExist { .. });
    }

    fn bulk_get_skips_what_is_not_there(h) {
        let orders = h.create("orders");
        let ids = orders.send(&[lasting("a", 60), lasting("b", 10), lasting("c", 60), lasting("d", 60)]).unwrap();
        orders.delete(ids[2], None).unwrap();
        h.pass(10);
        h.turn();
        let asked = [no_message(), ids[0], ids[1], ids[2], MessageId::lossy("?"), ids[3]];
        assert_eq!(texts(&orders.bulk_get(&asked)), ["a", "d"]);
    }

    fn bulk_get_of_nothing_gives_nothing(h) {
        let orders = h.create("orders");
        orders.post(1);
        h.turn();
        assert!(orders.bulk_get(&[]).is_empty());
    }

    fn bulk_get_from_a_missing_queue_gives_nothing(h) {
        let ids = h.create("orders").post(2);
        assert!(h.queue("bills").bulk_get(&ids).is_empty());
    }

    fn a_repeated_id_gives_the_message_again(h) {
        let orders = h.create("orders");
        let ids = orders.post(2);
        h.turn();
        assert_eq!(texts(&orders.bulk_get(&[ids[1], ids[0], ids[1]])), ["1", "0", "1"]);
    }

    fn deleting_an_unclaimed_message_needs_no_claim(h) {
        let orders = h.create("orders");
        let ids = orders.post(3);
        orders.delete(ids[1], None).unwrap();
        h.turn();
        assert_eq!(orders.all(), ["0", "2"]);
    }

    fn deleting_what_is_not_there_is_fine(h) {
        let orders = h.create("orders");
        let id = orders.send(&[lasting("short", 10)]).unwrap()[0];
        h.pass(10);
        h.turn();
        for missing in [id, no_message(), MessageId::lossy("?")] {
            orders.delete(missing, None).unwrap();
            orders.delete(missing, Some(no_claim())).unwrap();
            orders.delete(missing, Some(ClaimId::lossy("?"))).unwrap();
        }
        h.queue("bills").delete(id, None).unwrap();
        h.queue("bills").delete(id, Some(no_claim())).unwrap();
    }

    fn deleting_a_claimed_message_without_the_claim_fails(h) {
        let orders = h.create("orders");
        let id = orders.say("42");
        orders.take(1);
        h.turn();
        assert_fails!(orders.delete(id, None), Error::MessageIsClaimed { id: claimed } if claimed == id);
        assert!(orders.delete(id, None).unwrap_err().is_not_permitted());
        h.turn();
        assert_eq!(orders.all(), ["42"]);
    }

    fn the_claim_deletes_its_message(h) {
        let orders = h.create("orders");
        let id = orders.say("42");
        let claim = orders.take(1);
        h.turn();
        orders.delete(id, Some(claim.id())).unwrap();
        h.turn();
        assert!(orders.all().is_empty());
        assert!(orders.look_up(claim.id()).unwrap().messages().is_empty());
    }

    fn deleting_with_a_malformed_claim_fails_even_when_nothing_is_claimed(h) {
        let orders = h.create("orders");
        let id = orders.say("42");
        h.turn();
        assert_fails!(orders.delete(id, Some(ClaimId::lossy("?"))), Error::ClaimDoesNotExist { .. });
        orders.take(1);
        h.turn();
        assert_fails!(orders.delete(id, Some(ClaimId::lossy("?"))), Error::ClaimDoesNotExist { .. });
    }

    fn deleting_an_unclaimed_message_by_a_claim_fails(h) {
        let orders = h.create("orders");
        let ids = orders.post(2);
        let claim = orders.take(1);
        h.turn();
        assert_fails!(orders.delete(ids[1], Some(claim.id())), Error::MessageNotClaimed { id } if id == ids[1]);
        assert_fails!(orders.delete(ids[1], Some(no_claim())), Error::MessageNotClaimed { .. });
        assert_eq!(orders.counts(), (1, 1, 2));
    }

    fn deleting_by_another_live_claim_fails(h) {
        let orders = h.create("orders");
        let ids = orders.post(2);
        let (_one, two) = (orders.take(1), orders.take(1));
        h.turn();
        let result = orders.delete(ids[0], Some(two.id()));
        assert_fails!(result, Error::MessageNotClaimedBy { id, claim } if id == ids[0] && claim == two.id());
        h.turn();
        assert_eq!(orders.counts(), (2, 0, 2));
    }

    fn bulk_delete_takes_claimed_messages_too(h) {
        let orders = h.create("orders");
        let ids = orders.post(4);
        orders.take(2);
        orders.bulk_delete(&ids[1..3], &[]).unwrap();
        h.turn();
        assert_eq!(orders.all(), ["0", "3"]);
        assert_eq!(orders.counts(), (1, 1, 2));
    }

    fn bulk_delete_skips_what_is_not_there(h) {
        let orders = h.create("orders");
        let ids = orders.post(3);
        h.turn();
        orders.bulk_delete(&[no_message(), ids[0], ids[0], MessageId::lossy("?"), ids[2]], &[]).unwrap();
        h.turn();
        assert_eq!(orders.all(), ["1"]);
        orders.bulk_delete(&ids, &[]).unwrap();
        orders.bulk_delete(&ids, &[]).unwrap();
        orders.bulk_delete(&[], &[]).unwrap();
        h.queue("bills").bulk_delete(&ids, &[no_claim()]).unwrap();
    }

    fn bulk_delete_by_claims_takes_messages_of_any_of_them(h) {
        let orders = h.create("orders");
        let ids = orders.post(4);
        let (one, two) = (orders.take(2), orders.take(1));
        h.turn();
        orders.bulk_delete(&[ids[2], ids[0]], &[no_claim(), two.id(), one.id()]).unwrap();
        h.turn();
        assert_eq!(orders.all(), ["1", "3"]);
    }

    fn bulk_delete_by_claims_skips_missing_messages(h) {
        let orders = h.create("orders");
        let ids = orders.post(2);
        let claim = orders.take(1);
        h.turn();
        orders.bulk_delete(&[no_message(), ids[0]], &[claim.id()]).unwrap();
        h.turn();
        assert_eq!(orders.all(), ["1"]);
    }

    fn pop_removes_and_gives_the_oldest(h) {
        let orders = h.create("orders");
        orders.post(5);
        h.turn();
        assert_eq!(texts(&orders.pop(2).unwrap()), ["0", "1"]);
        h.turn();
        assert_eq!(texts(&orders.pop(10).unwrap()), ["2", "3", "4"]);
        h.turn();
        assert!(orders.pop(10).unwrap().is_empty());
        assert_eq!(orders.counts(), (0, 0, 0));
    }

    fn popping_an_empty_or_missing_queue_gives_nothing(h) {
        assert!(h.create("orders").pop(1).unwrap().is_empty());
        assert!(h.queue("bills").pop(1).unwrap().is_empty());
    }

    fn a_pop_of_nothing_is_refused(h) {
        let orders = h.create("orders");
        orders.post(1);
        assert_eq!(refused(orders.pop(0)), "limit");
        assert_eq!(refused(h.queue("bills").pop(0)), "limit");
        h.turn();
        assert_eq!(orders.counts().2, 1);
    }

    fn pop_skips_claimed_and_delayed_messages(h) {
        let orders = h.create("orders");
        orders.post(2);
        orders.take(1);
        orders.send(&[delayed("late", 30), lasting("last", 60)]).unwrap();
        h.turn();
        assert_eq!(texts(&orders.pop(10).unwrap()), ["1", "last"]);
        h.turn();
        assert_eq!(orders.counts(), (1, 1, 2));
    }

    fn ids_of_other_queues_and_projects_name_nothing(h) {
        let (orders, bills) = (h.create("orders"), h.create("bills"));
        let abroad = h.queue_in(&Project::none(), "orders");
        abroad.create("{}").unwrap();
        let id = orders.say("42");
        bills.say("bill");
        abroad.say("abroad");
        h.turn();
        for other in [&bills, &abroad] {
            assert_fails!(other.get(id), Error::MessageDoesNotExist { .. });
            assert!(other.bulk_get(&[id]).is_empty());
            other.delete(id, None).unwrap();
            other.bulk_delete(&[id], &[]).unwrap();
            assert_eq!(other.counts().2, 1);
        }
        h.turn();
        assert_eq!(orders.all(), ["42"]);
    }

    fn a_large_batch_is_one_post(h) {
        let orders = h.create("orders");
        let ids = orders.post(1_000);
        h.turn();
        assert_eq!(ids.len(), 1_000);
        assert_eq!(orders.counts(), (0, 1_000, 1_000));
        assert_eq!(orders.all(), (0..1_000).map(|i| i.to_string()).collect::<Vec<_>>());
    }
}
