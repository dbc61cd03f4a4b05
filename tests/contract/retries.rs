//! Giving back and renewing some messages of a claim; the history that a message shows.

use crate::support::*;
use zaqar_sled::{Error, Limits, Message, MessageId, Retry, Sort};

fn later(id: MessageId, delay: u64, reason: &str) -> Retry {
    Retry::new(id).delay(seconds(delay)).reason(reason)
}

/// How often the message was claimed, when first and last in seconds since the start, and why it failed.
fn history(message: &Message) -> (u32, Option<u64>, Option<u64>, Option<&str>) {
    let since = |time: zaqar_sled::Timestamp| time.since(START).as_secs();
    let (first, last) = (message.first_claimed().map(since), message.last_claimed().map(since));
    (message.claim_count(), first, last, message.last_failure())
}

contract! {
    fn some_messages_of_a_claim_are_given_back_and_the_others_stay(h) {
        let orders = h.create("orders");
        let ids = orders.post(4);
        let claim = orders.take(3);
        h.turn();
        assert_eq!(orders.retry(claim.id(), &[later(ids[2], 10, "b"), Retry::new(ids[0])]).unwrap(), 2);
        h.turn();
        assert_eq!(orders.counts(), (1, 3, 4));
        assert_eq!(texts(orders.look_up(claim.id()).unwrap().messages()), ["1"]);
        assert_eq!(orders.shown(), ["0", "3"]);
        assert_eq!(orders.taken(9), ["0", "3"]);
        h.pass_millis(9_999);
        assert!(orders.taken(9).is_empty());
        h.pass_millis(1);
        h.turn();
        assert_eq!(orders.taken(9), ["2"]);
        orders.delete(ids[1], Some(claim.id())).unwrap();
    }

    fn a_message_shows_its_claims_and_its_last_failure(h) {
        let orders = h.create("orders");
        let ids = orders.post(3);
        assert_eq!(history(&orders.get(ids[0]).unwrap()), (0, None, None, None));
        h.pass(5);
        let claim = orders.take(3);
        assert_eq!(history(&claim.messages()[0]), (1, Some(5), Some(5), None));
        orders.retry(claim.id(), &[later(ids[0], 0, "no route"), later(ids[1], 0, "")]).unwrap();
        h.turn();
        assert_eq!(history(&orders.get(ids[0]).unwrap()), (1, Some(5), Some(5), Some("no route")));
        assert_eq!(history(&orders.get(ids[1]).unwrap()), (1, Some(5), Some(5), Some("")));
        h.pass(20);
        let again = orders.take(2);
        h.turn();
        assert_eq!(history(&again.messages()[0]), (2, Some(5), Some(25), Some("no route")));
        assert_eq!(history(&orders.look_up(again.id()).unwrap().messages()[0]), (2, Some(5), Some(25), Some("no route")));
        // Neither a release nor a retry without a reason changes the reason.
        orders.retry(again.id(), &[Retry::new(ids[0])]).unwrap();
        orders.release(again.id()).unwrap();
        h.turn();
        assert_eq!(orders.get(ids[0]).unwrap().last_failure(), Some("no route"));
        assert_eq!(orders.get(ids[1]).unwrap().last_failure(), Some(""));
        assert_eq!(orders.pop(1).unwrap()[0].last_failure(), Some("no route"));
    }

    fn a_lease_that_runs_out_is_a_failure_and_a_release_is_none(h) {
        let orders = h.create("orders");
        let ids = orders.post(2);
        let (short, released) = (orders.claim(10, 60, 1), orders.claim(10, 60, 1));
        orders.release(released.id()).unwrap();
        h.turn();
        h.pass(10);
        h.turn();
        assert_eq!(orders.get(ids[0]).unwrap().last_failure(), Some(Message::LEASE_RAN_OUT));
        assert_eq!(orders.get(ids[1]).unwrap().last_failure(), None);
        assert_eq!(orders.counts(), (0, 2, 2));
        assert_fails!(orders.look_up(short.id()), Error::ClaimDoesNotExist { .. });
        let again = orders.take(2);
        h.turn();
        assert_eq!(again.messages()[0].last_failure(), Some(Message::LEASE_RAN_OUT));
        assert_eq!(orders.get(ids[0]).unwrap().last_failure(), Some(Message::LEASE_RAN_OUT));
        // The next reason takes its place, and the next lease takes the place of a reason.
        orders.retry(again.id(), &[later(ids[0], 0, "x"), later(ids[1], 0, "y")]).unwrap();
        h.turn();
        assert_eq!(orders.get(ids[0]).unwrap().last_failure(), Some("x"));
        orders.claim(10, 60, 2);
        h.pass(10);
        h.turn();
        for id in ids {
            assert_eq!(orders.get(id).unwrap().last_failure(), Some(Message::LEASE_RAN_OUT));
            orders.delete(id, None).unwrap();
        }
        h.turn();
        assert_eq!(orders.counts(), (0, 0, 0));
    }

    fn a_retry_is_all_or_nothing(h) {
        let orders = h.create("orders");
        let ids = orders.post(3);
        let (claim, other) = (orders.take(2), orders.take(1));
        h.turn();
        let retry = |ids: &[MessageId]| orders.retry(claim.id(), &ids.iter().copied().map(Retry::new).collect::<Vec<_>>());
        assert_fails!(retry(&ids), Error::MessageNotClaimedBy { id, claim: given } if (id, given) == (ids[2], claim.id()));
        assert_fails!(retry(&[ids[0], ids[1], ids[0]]), Error::MessageNotClaimed { id } if id == ids[0]);
        assert_fails!(orders.retry(no_claim(), &[Retry::new(ids[0])]), Error::ClaimDoesNotExist { .. });
        assert_eq!(orders.counts(), (3, 0, 3));
        orders.release(other.id()).unwrap();
        assert_fails!(retry(&ids), Error::MessageNotClaimed { id } if id == ids[2]);
        orders.delete(ids[0], Some(claim.id())).unwrap();
        h.turn();
        assert_eq!(retry(&[ids[0], ids[1], no_message()]).unwrap(), 1, "a missing message is left out");
        assert_fails!(retry(&[ids[1]]), Error::MessageNotClaimed { id } if id == ids[1]);
        assert_eq!(retry(&[]).unwrap(), 0);
        h.turn();
        assert_eq!(orders.counts(), (0, 2, 2));
        assert!(orders.look_up(claim.id()).unwrap().messages().is_empty(), "the claim lasts");
        h.pass(60);
        assert_fails!(retry(&[]), Error::ClaimDoesNotExist { .. });
    }

    fn a_claim_that_ends_leaves_what_it_gave_back_to_its_new_holder(h) {
        let orders = h.create("orders");
        let ids = orders.post(5);
        let old = orders.claim(10, 60, 5);
        orders.retry(old.id(), &[Retry::new(ids[1]), Retry::new(ids[3]), later(ids[4], 30, "z")]).unwrap();
        let new = orders.claim(100, 60, 5);
        h.turn();
        assert_eq!(texts(new.messages()), ["1", "3"]);
        h.pass(10);
        h.turn();
        assert_eq!(orders.taken(9), ["0", "2"]);
        assert_eq!(texts(orders.look_up(new.id()).unwrap().messages()), ["1", "3"]);
        assert_eq!(orders.get(ids[4]).unwrap().last_failure(), Some("z"), "it was not under the claim at its end");
        orders.bulk_delete(&[ids[1], ids[3]], &[new.id()]).unwrap();
        h.turn();
        assert_eq!(orders.counts(), (2, 1, 3));
    }

    fn a_delayed_retry_expires_as_its_message_would_have(h) {
        let orders = h.create("orders");
        let ids = orders.post_lasting(2, 100);
        let claim = orders.take(2);
        orders.retry(claim.id(), &[later(ids[0], 200, "a"), later(ids[1], 50, "b")]).unwrap();
        h.turn();
        h.pass(50);
        h.turn();
        assert_eq!(orders.shown(), ["1"]);
        h.pass(50);
        h.turn();
        assert!(orders.all().is_empty());
        assert_eq!(orders.stats().unwrap().expired(), 2);
    }

    fn a_queues_policy_delays_what_is_given_back_without_a_delay(h) {
        let orders = h.create_with("orders", r#"{"_retry": {"base_ms": 2000, "factor": 3, "cap_ms": 10000}}"#);
        let ids = orders.post(2);
        for delay in [2, 6, 10, 10] {
            let claim = orders.take(2);
            orders.retry(claim.id(), &[Retry::new(ids[0]), later(ids[1], 0, "")]).unwrap();
            h.turn();
            assert_eq!(orders.shown(), ["1"], "a delay that is given counts");
            h.pass_millis(delay * 1_000 - 1);
            assert_eq!(orders.shown(), ["1"]);
            h.pass_millis(1);
            h.turn();
            assert_eq!(orders.shown(), ["0", "1"], "{delay}");
        }
        orders.set_metadata("{}").unwrap();
        let claim = orders.take(1);
        orders.retry(claim.id(), &[Retry::new(ids[0])]).unwrap();
        assert_eq!(orders.shown(), ["0", "1"]);
    }

    fn a_worn_out_message_moves_without_a_delay_and_keeps_its_history(h) {
        let settings = r#"{"_retry": {"base_ms": 5000, "attempts": 2}, "_dead_letter_queue": "dead"}"#;
        let (orders, dead) = (h.create_with("orders", settings), h.queue("dead"));
        let id = orders.say("42");
        for delay in [5, 0] {
            let claim = orders.take(1);
            orders.retry(claim.id(), &[Retry::new(id).reason("no route")]).unwrap();
            h.turn();
            h.pass(delay);
        }
        assert!(orders.taken(1).is_empty());
        h.turn();
        assert_eq!(history(&dead.first(Sort::Oldest).unwrap()), (2, Some(0), Some(5), Some("no route")));
        // A lease that ran out is its failure in the dead-letter queue too.
        orders.say("43");
        for _ in 0..2 {
            orders.claim(10, 60, 1);
            h.pass(10);
        }
        h.turn();
        assert!(orders.taken(1).is_empty());
        h.turn();
        let newest = dead.first(Sort::Newest).unwrap();
        assert_eq!((newest.claim_count(), newest.last_failure()), (2, Some(Message::LEASE_RAN_OUT)));
    }

    fn a_split_claim_has_times_of_its_own(h) {
        let orders = h.create("orders");
        let ids = orders.post(4);
        let claim = orders.claim(20, 0, 4);
        h.pass(5);
        let split = orders.split(claim.id(), &[ids[3], ids[1]], 100, 0).unwrap().unwrap();
        h.turn();
        assert_eq!((texts(split.messages()), split.ttl()), (vec!["1".to_owned(), "3".to_owned()], seconds(100)));
        assert_eq!(history(&split.messages()[0]), (1, Some(0), Some(0), None), "a renewal is no claim");
        assert_eq!(texts(orders.look_up(claim.id()).unwrap().messages()), ["0", "2"]);
        assert_fails!(orders.delete(ids[1], Some(claim.id())), Error::MessageNotClaimedBy { .. });
        h.pass(15);
        h.turn();
        assert_eq!(orders.counts(), (2, 2, 4));
        assert_eq!(orders.taken(9), ["0", "2"]);
        let shorter = orders.split(split.id(), &[ids[3]], 1, 0).unwrap().unwrap();
        h.turn();
        h.pass(1);
        h.turn();
        assert_eq!(orders.taken(9), ["3"]);
        assert_fails!(orders.renew(shorter.id(), 60, 0), Error::ClaimDoesNotExist { .. });
        orders.renew(split.id(), 1_000, 0).unwrap();
        orders.delete(ids[1], Some(split.id())).unwrap();
        assert!(orders.split(split.id(), &[ids[1]], 60, 0).unwrap().is_none(), "the message is gone");
        assert_fails!(orders.split(no_claim(), &ids, 60, 0), Error::ClaimDoesNotExist { .. });
        assert_fails!(orders.split(split.id(), &[ids[0]], 60, 0), Error::MessageNotClaimedBy { .. });
    }

    fn a_split_extends_the_lives_of_its_messages_alone(h) {
        let orders = h.create("orders");
        let ids = orders.post_lasting(2, 30);
        let claim = orders.claim(20, 0, 2);
        orders.split(claim.id(), &ids[..1], 100, 10).unwrap();
        h.turn();
        assert_eq!(orders.get(ids[0]).unwrap().ttl(), seconds(110));
        assert_eq!(orders.get(ids[1]).unwrap().ttl(), seconds(30));
        orders.split(claim.id(), &ids[1..], 0, 10).unwrap();
        h.turn();
        assert_eq!(orders.taken(9), ["1"], "a ttl of zero ends at once");
    }

    fn long_reasons_and_delays_are_refused(h) {
        let orders = h.create("orders");
        let ids = orders.post(1);
        let claim = orders.take(1);
        let retry = |retry: Retry| orders.retry(claim.id(), &[retry]);
        assert!(retry(Retry::new(ids[0]).reason("x".repeat(1_025))).unwrap_err().is_too_large());
        assert_eq!(refused(retry(Retry::new(ids[0]).delay(std::time::Duration::MAX))), "delay");
        assert_eq!(retry(Retry::new(ids[0]).reason("x".repeat(1_024))).unwrap(), 1);
        h.turn();
        assert_eq!(orders.get(ids[0]).unwrap().last_failure().map(str::len), Some(1_024));
        let h = &h.with_limits(Limits::zaqar());
        let orders = h.create("orders");
        let ids = orders.post(1);
        let claim = orders.take(1);
        assert_eq!(refused(orders.retry(claim.id(), &[later(ids[0], 901, "")])), "delay");
        assert_eq!(refused(h.queue("policy").create(r#"{"_retry": {"base_ms": 1, "cap_ms": 900001}}"#)), "_retry");
    }

    fn reasons_of_many_messages_keep_their_places_when_others_go(h) {
        let orders = h.create("orders");
        let ids = orders.post(200);
        let claim = orders.take(200);
        let retries: Vec<_> = ids.iter().enumerate().map(|(i, id)| later(*id, (i % 3) as u64, &format!("r{i}"))).collect();
        orders.retry(claim.id(), &retries).unwrap();
        let gone: Vec<_> = ids.iter().copied().enumerate().filter(|(i, _)| i % 5 != 0).map(|(_, id)| id).collect();
        h.turn();
        orders.bulk_delete(&gone, &[]).unwrap();
        h.turn();
        h.pass(2);
        h.turn();
        let left = orders.list(&everything()).unwrap().items;
        let reasons: Vec<_> = left.iter().map(|message| message.last_failure().unwrap().to_owned()).collect();
        assert_eq!(reasons, (0..200).step_by(5).map(|i| format!("r{i}")).collect::<Vec<_>>());
        assert_eq!(orders.taken(200).len(), 40);
    }
}
