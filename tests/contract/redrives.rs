//! Putting dead letters back.

use crate::support::*;
use zaqar_sled::{Error, Headers, Limits, Message, MessageId, QueueName, RedriveOptions, Retry, Sort, Ttl};

const DEAD_AFTER_ONE: &str = r#"{"_max_claim_count": 1, "_dead_letter_queue": "dead"}"#;

/// A queue whose messages die after one claim, with that many messages in its dead-letter queue, each with a reason of
/// its own: `why 0` and so on.
fn dead_letters<'h>(h: &'h Harness, name: &str, count: usize) -> (Queue<'h>, Vec<MessageId>) {
    let queue = h.create_with(name, DEAD_AFTER_ONE);
    let ids = queue.post(count);
    let claim = queue.take(count);
    let why = |(number, id): (usize, &MessageId)| Retry::new(*id).reason(format!("why {number}"));
    queue.retry(claim.id(), &ids.iter().enumerate().map(why).collect::<Vec<_>>()).unwrap();
    assert!(queue.taken(count).is_empty());
    h.turn();
    (queue, ids)
}

fn redrive(dead: &Queue<'_>, options: RedriveOptions) -> (u64, u64) {
    let outcome = dead.redrive(&options).unwrap();
    (outcome.moved(), outcome.stranded())
}

fn all() -> RedriveOptions {
    RedriveOptions::new()
}

contract! {
    fn dead_letters_go_back_in_their_order_as_if_never_claimed(h) {
        let (orders, ids) = dead_letters(h, "orders", 3);
        let dead = h.queue("dead");
        h.pass(5);
        assert_eq!(redrive(&dead, all()), (3, 0));
        h.turn();
        assert_eq!((dead.all(), orders.all()), (vec![], vec!["0".into(), "1".into(), "2".into()]));
        for message in orders.list(&everything()).unwrap().items {
            assert!(message.id() > ids[2], "it has a new id");
            assert_eq!((message.claim_count(), message.first_claimed(), message.last_failure()), (0, None, None));
            assert!(message.dead_letter_origin().is_none());
            assert_eq!((message.created(), message.age().as_secs()), (START, 5));
        }
        assert_fails!(orders.get(ids[0]), Error::MessageDoesNotExist { .. });
        // They are as good as new: each can be claimed once more before it is moved again.
        orders.release(orders.take(3).id()).unwrap();
        assert!(orders.taken(3).is_empty());
        h.turn();
        assert_eq!(dead.all(), ["0", "1", "2"]);
        assert_eq!(redrive(&dead, all()), (3, 0));
    }

    fn a_dry_run_counts_and_changes_nothing(h) {
        let (orders, _) = dead_letters(h, "orders", 3);
        let dead = h.queue("dead");
        let before = dead.list(&everything()).unwrap();
        assert_eq!(redrive(&dead, all().dry_run(true)), (3, 0));
        assert_eq!(redrive(&dead, all().dry_run(true).limit(2)), (2, 0));
        h.turn();
        assert_eq!(dead.list(&everything()).unwrap(), before);
        assert!(orders.all().is_empty());
    }

    fn a_limit_moves_the_oldest_and_the_next_call_the_rest(h) {
        let (orders, _) = dead_letters(h, "orders", 600);
        let dead = h.queue("dead");
        assert_eq!(redrive(&dead, all().limit(0)), (0, 0));
        assert_eq!(redrive(&dead, all().limit(1)), (1, 0));
        h.turn();
        assert_eq!((orders.all(), dead.all().len()), (vec!["0".into()], 599));
        assert_eq!(redrive(&dead, all().limit(300)), (300, 0));
        h.turn();
        assert_eq!(redrive(&dead, all()), (299, 0));
        h.turn();
        assert_eq!(orders.all(), (0..600).map(|number| number.to_string()).collect::<Vec<_>>());
    }

    fn filters_choose_by_source_age_and_reason(h) {
        let (orders, _) = dead_letters(h, "orders", 12);
        h.pass(60);
        let (mail, _) = dead_letters(h, "mail", 2);
        let dead = h.queue("dead");
        assert_eq!(redrive(&dead, all().source(name_of("mail")).reason("why 1")), (1, 0));
        assert_eq!(mail.all(), ["1"]);
        assert_eq!(redrive(&dead, all().older_than(seconds(60)).reason("why 1")), (3, 0));
        assert_eq!(orders.all(), ["1", "10", "11"]);
        assert_eq!(redrive(&dead, all().older_than(seconds(61))), (0, 0));
        assert_eq!(redrive(&dead, all().source(name_of("other"))), (0, 0));
        assert_eq!(redrive(&dead, all().reason("WHY")), (0, 0));
        h.turn();
        assert_eq!(redrive(&dead, all().older_than(seconds(0))), (10, 0));
        h.turn();
        assert_eq!((orders.all().len(), mail.all().len()), (12, 2));
    }

    fn only_free_messages_move(h) {
        let (orders, _) = dead_letters(h, "orders", 4);
        let dead = h.queue("dead");
        let held = dead.take(2);
        dead.retry(held.id(), &[Retry::new(held.messages()[1].id()).delay(seconds(30))]).unwrap();
        h.turn();
        assert_eq!(redrive(&dead, all()), (2, 0));
        h.turn();
        assert_eq!((orders.all(), dead.all()), (vec!["2".into(), "3".into()], vec!["0".into(), "1".into()]));
        h.pass(30);
        assert_eq!(redrive(&dead, all()), (1, 0));
        dead.delete(held.messages()[0].id(), Some(held.id())).unwrap();
        h.turn();
        assert_eq!((orders.all(), dead.all().len()), (vec!["2".into(), "3".into(), "1".into()], 0));
    }

    fn a_message_that_comes_from_no_queue_stays_unless_it_is_sent_somewhere(h) {
        let (orders, _) = dead_letters(h, "orders", 2);
        let dead = h.queue("dead");
        dead.say("posted");
        let rescued = h.create("rescued");
        assert_eq!(redrive(&dead, all().limit(9)), (2, 1));
        assert_eq!(redrive(&dead, all().to(name_of("rescued")).source(name_of("orders"))), (0, 0));
        h.turn();
        assert_eq!((orders.all().len(), dead.all()), (2, vec!["posted".into()]));
        assert_eq!(redrive(&dead, all().to(name_of("rescued"))), (1, 0));
        h.turn();
        assert_eq!(rescued.all(), ["posted"]);
    }

    fn letters_of_a_deleted_queue_stay_unless_they_are_sent_somewhere(h) {
        let (orders, _) = dead_letters(h, "orders", 2);
        let (mail, _) = dead_letters(h, "mail", 1);
        let dead = h.queue("dead");
        orders.remove().unwrap();
        h.turn();
        assert_eq!(redrive(&dead, all()), (1, 2));
        h.turn();
        assert!(!orders.exists(), "it is not made again");
        assert_eq!((mail.all(), dead.all()), (vec!["0".into()], vec!["0".into(), "1".into()]));
        assert_eq!(redrive(&dead, all().dry_run(true)), (0, 2));
        assert_eq!(redrive(&dead, all().to(name_of("mail"))), (2, 0));
        h.turn();
        assert_eq!(mail.all(), ["0", "0", "1"]);
    }

    fn a_message_lives_anew_as_long_as_before_or_as_the_call_says(h) {
        let orders = h.create_with(
            "orders",
            r#"{"_max_claim_count": 1, "_dead_letter_queue": "dead", "_dead_letter_queue_messages_ttl": 100}"#,
        );
        let (dead, forever) = (h.queue("dead"), h.create("forever"));
        orders.send(&[lasting("a", 3600), lasting("b", 3600).ttl(Ttl::Forever), lasting("c", 3600)]).unwrap();
        orders.release(orders.take(3).id()).unwrap();
        assert!(orders.taken(3).is_empty());
        h.pass(90);
        h.turn();
        let ttl = |message: &Message| (message.ttl(), message.dead_letter_origin().unwrap().ttl());
        let letters = dead.list(&everything()).unwrap().items;
        let hundred = Ttl::For(seconds(100));
        assert_eq!(letters.iter().map(ttl).collect::<Vec<_>>(), [
            (hundred, Ttl::For(seconds(3600))), (hundred, Ttl::Forever), (hundred, Ttl::For(seconds(3600)))
        ]);
        assert_eq!(redrive(&dead, all().limit(2)), (2, 0));
        assert_eq!(redrive(&dead, all().ttl(Ttl::For(seconds(20)))), (1, 0));
        orders.say("d");
        let letter = orders.list(&everything()).unwrap().items[0].id();
        assert_fails!(forever.get(letter), Error::MessageDoesNotExist { .. });
        h.turn();
        let ttls: Vec<Ttl> = orders.list(&everything()).unwrap().items.iter().map(Message::ttl).collect();
        assert_eq!(ttls[..3], [Ttl::For(seconds(3600)), Ttl::Forever, Ttl::For(seconds(20))]);
        h.pass(20);
        assert_eq!(orders.all(), ["a", "b", "d"]);
        h.pass(3580);
        h.turn();
        assert_eq!(orders.all(), ["b"]);
        orders.release(orders.take(1).id()).unwrap();
        assert!(orders.taken(1).is_empty());
        assert_eq!(redrive(&dead, all().ttl(Ttl::Forever).to(name_of("forever"))), (1, 0));
        h.turn();
        assert_eq!(forever.first(Sort::Oldest).unwrap().ttl(), Ttl::Forever);
    }

    fn a_message_keeps_its_body_headers_client_and_checksum(h) {
        let h = h.with_checksums();
        let orders = h.create_with("orders", DEAD_AFTER_ONE);
        let headers = Headers::new().with("a", "1").with("b", "2");
        let large = "x".repeat(50_000);
        orders.send_as(BOB, &[lasting(&large, 3600).headers(headers.clone()), lasting("", 3600)]).unwrap();
        let before = orders.list(&everything()).unwrap().items;
        orders.release(orders.take(2).id()).unwrap();
        assert!(orders.taken(2).is_empty());
        h.turn();
        assert_eq!(redrive(&h.queue("dead"), all()), (2, 0));
        h.turn();
        let after = orders.list(&everything()).unwrap().items;
        let told = |message: &Message| (message.body().clone(), message.checksum(), message.headers().clone());
        assert_eq!(after.iter().map(told).collect::<Vec<_>>(), before.iter().map(told).collect::<Vec<_>>());
        assert_eq!(after[0].headers(), &headers);
        let of_others = zaqar_sled::MessageListOptions::new().client(BOB);
        assert!(orders.list(&of_others).unwrap().items.is_empty());
    }

    fn bad_calls_are_refused_and_nothing_moves(h) {
        let dead = h.queue("dead");
        assert_fails!(dead.redrive(&all()), Error::QueueDoesNotExist { .. });
        dead_letters(h, "orders", 1);
        let (itself, nowhere): (QueueName, QueueName) = (name_of("dead"), name_of("nowhere"));
        assert_eq!(refused(dead.redrive(&all().to(itself))), "to");
        assert_fails!(dead.redrive(&all().to(nowhere)), Error::QueueDoesNotExist { queue, .. } if queue == name_of("nowhere"));
        assert_eq!(refused(dead.redrive(&all().ttl(Ttl::For(std::time::Duration::MAX)))), "ttl");
        assert_eq!(refused(dead.redrive(&all().ttl(Ttl::For(seconds(0))))), "ttl");
        assert_eq!(dead.all(), ["0"]);
        let h = h.with_limits(Limits::zaqar());
        h.create("dead");
        assert_eq!(refused(h.queue("dead").redrive(&all().ttl(Ttl::For(seconds(59))))), "ttl");
        assert_eq!(refused(h.queue("dead").redrive(&all().ttl(Ttl::Forever))), "ttl");
    }
}
