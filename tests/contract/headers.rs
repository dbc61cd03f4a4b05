//! The headers of messages, and the origin of dead letters.

use crate::support::*;
use zaqar_sled::{Headers, Limits, Message, NewMessage, Retry};

fn labeled(body: &str, headers: &Headers) -> NewMessage {
    lasting(body, 3600).headers(headers.clone())
}

fn three() -> Headers {
    [("b", "1"), ("a", ""), ("b", "ü\0")].into_iter().collect()
}

/// The queue, the claim count, the reason and the second of a dead letter's move.
fn origin(message: &Message) -> (String, u32, Option<String>, u64) {
    let origin = message.dead_letter_origin().expect("it is a dead letter");
    let moved = origin.moved().since(START).as_secs();
    (origin.queue().to_string(), origin.claim_count(), origin.reason().map(str::to_owned), moved)
}

const DEAD_AFTER_ONE: &str = r#"{"_max_claim_count": 1, "_dead_letter_queue": "dead"}"#;

contract! {
    fn headers_come_back_in_their_order_from_every_call(h) {
        let orders = h.create("orders");
        let ids = orders.send(&[labeled("0", &three()), lasting("1", 3600), labeled("2", &three())]).unwrap();
        h.turn();
        let (none, shown) = (Headers::new(), |message: &Message| message.headers().clone());
        assert_eq!(shown(&orders.get(ids[0]).unwrap()), three());
        assert_eq!(orders.list(&everything()).unwrap().items.iter().map(shown).collect::<Vec<_>>(), [
            three(), none.clone(), three()
        ]);
        assert_eq!(orders.bulk_get(&ids).iter().map(shown).collect::<Vec<_>>(), [three(), none, three()]);
        let claim = orders.take(1);
        h.turn();
        assert_eq!(shown(&claim.messages()[0]), three());
        assert_eq!(shown(&orders.look_up(claim.id()).unwrap().messages()[0]), three());
        orders.retry(claim.id(), &[Retry::new(ids[0]).reason("no route")]).unwrap();
        h.turn();
        assert_eq!(orders.pop(3).unwrap().iter().map(shown).collect::<Vec<_>>(), [three(), Headers::new(), three()]);
        assert!(orders.all().is_empty());
    }

    fn a_message_with_headers_has_its_body_its_size_and_its_checksum(h) {
        let h = h.with_checksums();
        let orders = h.create("orders");
        let long = Headers::new().with("x", "y".repeat(8_000));
        for (body, headers) in [(String::new(), three()), ("z".repeat(40_000), long.clone()), ("2".into(), long)] {
            let ids = orders.send(&[labeled(&body, &headers), lasting(&body, 3600)]).unwrap();
            h.turn();
            let [with, without] = [orders.get(ids[0]).unwrap(), orders.get(ids[1]).unwrap()];
            assert_eq!((with.body(), with.checksum()), (without.body(), without.checksum()));
            assert!(with.checksum().is_some() && with.body().len() == body.len());
            assert_eq!(with.headers(), &headers);
        }
    }

    fn bad_headers_are_refused_and_nothing_is_posted(h) {
        let orders = h.create("orders");
        let many: Headers = (0..65).map(|number| (number.to_string(), "")).collect();
        let cases = [
            (Headers::new().with("", "x"), "headers"),
            (many, "headers"),
            (Headers::new().with(Headers::TRACE_PARENT, "x"), Headers::TRACE_PARENT),
            (Headers::new().with(Headers::CONTENT_TYPE, "x"), Headers::CONTENT_TYPE),
        ];
        for (headers, name) in cases {
            assert_eq!(refused(orders.send(&[lasting("0", 60), labeled("1", &headers)])), name);
        }
        let large = Headers::new().with("x", "y".repeat(8 << 10));
        assert!(orders.send(&[labeled("1", &large)]).unwrap_err().is_too_large());
        assert!(orders.all().is_empty());
    }

    fn headers_count_as_bytes_of_a_post(h) {
        let h = h.with_limits(Limits::zaqar());
        let orders = h.create("orders");
        let (body, headers) = ("x".repeat(131_072), Headers::new().with("a", "b".repeat(99)));
        let two = [labeled(&body[100..], &headers), labeled(&body[100..], &headers)];
        assert_eq!(orders.send(&two).unwrap().len(), 2);
        let over = [labeled(&body[100..], &headers), labeled(&body[99..], &headers)];
        assert!(orders.send(&over).unwrap_err().is_too_large());
        orders.set_metadata(r#"{"_max_messages_post_size": 10}"#).unwrap();
        let short = Headers::new().with("a", "bcd");
        assert!(orders.send(&[labeled("123456", &short)]).is_ok());
        assert!(orders.send(&[labeled("1234567", &short)]).unwrap_err().is_too_large());
    }

    fn headers_count_as_bytes_that_a_call_returns(h) {
        let orders = h.create("orders");
        let headers = Headers::new().with("x", "y".repeat(999));
        let messages: Vec<NewMessage> = (0..3).map(|_| labeled("", &headers)).collect();
        orders.send(&messages).unwrap();
        h.turn();
        let options = everything().max_bytes(1_999);
        assert_eq!(orders.list(&options).unwrap().items.len(), 2);
        let claim = |bytes| terms(60, 60, 9).max_bytes(bytes);
        let claimed = h.driver().claims().create(&orders.project, &orders.name, &claim(999)).unwrap().unwrap();
        assert_eq!(claimed.messages().len(), 1);
        let claimed = h.driver().claims().create(&orders.project, &orders.name, &claim(1_000)).unwrap().unwrap();
        assert_eq!(claimed.messages().len(), 2);
    }

    fn a_pop_returns_a_mebibyte_of_headers_beyond_the_first_message(h) {
        let orders = h.create("orders");
        let headers = Headers::new().with("x", "y".repeat(8_191));
        orders.send(&vec![labeled("", &headers); 200]).unwrap();
        h.turn();
        assert_eq!(orders.pop(200).unwrap().len(), 129);
    }

    fn a_dead_letter_tells_where_it_comes_from_and_why(h) {
        let orders = h.create_with("orders", DEAD_AFTER_ONE);
        let ids = orders.send(&[labeled("0", &three()), lasting("1", 3600), lasting("2", 3600)]).unwrap();
        h.pass(5);
        let claim = orders.claim(10, 60, 3);
        orders.retry(claim.id(), &[Retry::new(ids[0]).reason("no route"), Retry::new(ids[1])]).unwrap();
        h.turn();
        h.pass(20);
        h.turn();
        assert!(orders.taken(9).is_empty());
        h.pass(10);
        h.turn();
        let dead = h.queue("dead");
        let letters = dead.list(&everything()).unwrap().items;
        assert_eq!(texts(&letters), ["0", "1", "2"]);
        let reasons = [Some("no route"), None, Some(Message::LEASE_RAN_OUT)];
        for ((letter, id), reason) in letters.iter().zip(&ids).zip(reasons) {
            assert_eq!(letter.dead_letter_origin().unwrap().id(), *id);
            assert_eq!(origin(letter), ("orders".into(), 1, reason.map(str::to_owned), 25));
            assert_eq!(letter.created().since(START).as_secs(), 0);
        }
        assert_eq!((letters[0].headers(), letters[1].headers()), (&three(), &Headers::new()));
        // What happens to the letter later does not change its origin.
        let again = dead.take(1);
        dead.retry(again.id(), &[Retry::new(letters[0].id()).reason("still no route")]).unwrap();
        h.turn();
        let letter = dead.get(letters[0].id()).unwrap();
        assert_eq!((letter.claim_count(), letter.last_failure()), (2, Some("still no route")));
        assert_eq!(origin(&letter), ("orders".into(), 1, Some("no route".into()), 25));
    }

    fn a_dead_letter_that_moves_on_tells_its_last_queue(h) {
        let orders = h.create_with("orders", DEAD_AFTER_ONE);
        let dead = h.create_with("dead", r#"{"_max_claim_count": 2, "_dead_letter_queue": "deader"}"#);
        orders.send(&[labeled("0", &three())]).unwrap();
        orders.release(orders.take(1).id()).unwrap();
        assert!(orders.taken(1).is_empty());
        let first = dead.list(&everything()).unwrap().items[0].id();
        h.turn();
        dead.release(dead.take(1).id()).unwrap();
        h.pass(5);
        h.turn();
        assert!(dead.taken(1).is_empty());
        h.turn();
        let letter = h.queue("deader").first(zaqar_sled::Sort::Oldest).unwrap();
        assert_eq!(origin(&letter), ("dead".into(), 2, None, 5));
        assert_eq!(letter.dead_letter_origin().unwrap().id(), first);
        assert_eq!(letter.headers(), &three());
    }

    fn a_posted_message_has_no_origin(h) {
        let orders = h.create("orders");
        let id = orders.send(&[labeled("0", &three())]).unwrap()[0];
        h.turn();
        assert!(orders.get(id).unwrap().dead_letter_origin().is_none());
    }
}
