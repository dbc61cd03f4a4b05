//! Messages that live until they are deleted, and the count of those that have expired.

use crate::support::*;
use zaqar_sled::{Error, Limits, NewMessage, Purge, Sort, Timestamp, Ttl};

fn kept(body: &str) -> NewMessage {
    NewMessage::new(body).ttl(Ttl::Forever)
}

contract! {
    fn a_message_kept_forever_outlives_all_others_up_to_the_last_instant(h) {
        let orders = h.create("orders");
        let id = orders.send(&[lasting("a", 100), kept("b"), lasting("c", 200)]).unwrap()[1];
        h.turn();
        h.pass(200);
        h.turn();
        assert_eq!(orders.all(), ["b"]);
        assert_eq!(orders.get(id).unwrap().ttl(), Ttl::Forever);
        // As far as a clock is believed, and then by its own pace to the last instant.
        h.pass(Timestamp::MAX.since(START).as_secs() - 100 * 366 * 86_400);
        h.turn();
        h.pass(200 * 366 * 86_400);
        h.turn();
        assert_eq!((orders.all(), orders.counts()), (vec!["b".to_owned()], (0, 1, 1)));
        orders.delete(id, None).unwrap();
        h.turn();
        assert_eq!((orders.all(), orders.stats().unwrap().expired()), (Vec::new(), 2));
    }

    fn claims_and_renewals_leave_a_message_kept_forever_as_it_is(h) {
        let orders = h.create("orders");
        let id = orders.send(&[kept("a")]).unwrap()[0];
        let claim = orders.claim(1_000_000, 60, 1);
        assert_eq!(claim.messages()[0].ttl(), Ttl::Forever);
        orders.renew(claim.id(), 2_000_000, 60).unwrap();
        h.turn();
        assert_eq!(orders.get(id).unwrap().ttl(), Ttl::Forever);
        h.pass(2_000_000);
        h.turn();
        assert_eq!(orders.taken(1), ["a"]);
    }

    fn a_dead_letter_is_kept_as_long_as_its_message_unless_the_queue_says_otherwise(h) {
        for (setting, ttl) in [("null", Ttl::Forever), ("70", Ttl::For(seconds(70)))] {
            let name = format!("orders {setting}");
            let dead = h.queue(&format!("dead of {name}"));
            let settings = r#"{"_max_claim_count": 0, "_dead_letter_queue": "NAME", "_dead_letter_queue_messages_ttl": TTL}"#;
            let orders = h.create_with(&name, &settings.replace("NAME", dead.name.as_str()).replace("TTL", setting));
            orders.send(&[kept("a")]).unwrap();
            assert!(orders.taken(1).is_empty());
            h.turn();
            assert_eq!(dead.first(Sort::Oldest).unwrap().ttl(), ttl);
            h.pass(70);
            h.turn();
            assert_eq!(dead.all().len(), usize::from(ttl == Ttl::Forever));
        }
    }

    fn kept_messages_can_be_delayed_and_leave_no_other_messages_behind(h) {
        let orders = h.create("orders");
        let messages: Vec<_> = (0..300).map(|i| if i % 3 == 0 { kept("kept") } else { lasting("short", 10) }).collect();
        orders.send(&messages).unwrap();
        orders.send(&[kept("late").delay(seconds(20))]).unwrap();
        h.turn();
        h.pass(10);
        h.turn();
        assert_eq!((orders.shown().len(), orders.all().len()), (100, 101));
        h.pass(10);
        h.turn();
        assert_eq!(orders.shown().len(), 101);
        assert_eq!(orders.stats().unwrap().expired(), 200);
    }

    fn a_ttl_that_ends_after_the_last_instant_is_refused_and_is_not_forever(h) {
        let orders = h.create("orders");
        for ttl in [std::time::Duration::MAX, Timestamp::MAX.since(START) + seconds(1)] {
            assert_eq!(refused(orders.send(&[NewMessage::new("a").ttl(ttl)])), "ttl");
        }
        orders.send(&[NewMessage::new("a").ttl(Timestamp::MAX.since(START))]).unwrap();
        assert_ne!(orders.first(Sort::Oldest).unwrap().ttl(), Ttl::Forever);
    }

    fn zaqars_limits_refuse_a_message_kept_forever(h) {
        let h = &h.with_limits(Limits::zaqar());
        let orders = h.create("orders");
        assert_fails!(orders.send(&[kept("a")]), Error::InvalidArgument { name, .. } if name == "ttl");
    }

    fn expired_messages_are_counted_once_and_no_others(h) {
        let orders = h.create("orders");
        let ids = orders.post_lasting(5, 10);
        orders.post_lasting(1, 20);
        orders.delete(ids[0], None).unwrap();
        h.turn();
        h.pass(10);
        assert_eq!(orders.stats().unwrap().expired(), 4);
        h.turn();
        assert_eq!(orders.stats().unwrap().expired(), 4);
        h.pass(10);
        h.turn();
        orders.purge(Purge::All).unwrap();
        h.turn();
        assert_eq!(orders.stats().unwrap().expired(), 0, "a purge ends the count");
        orders.post_lasting(1, 0);
        h.turn();
        assert_eq!(orders.stats().unwrap().expired(), 1);
        orders.remove().unwrap();
        h.create("orders");
        h.turn();
        assert_eq!(orders.stats().unwrap().expired(), 0, "a new queue counts anew");
    }
}
