//! Queues that hold only so much.

use crate::support::*;
use zaqar_sled::{BatchStep, Error, NewMessage, QueueSettings, RedriveOptions};

fn posting(queue: &Queue<'_>, bodies: &[&str]) -> BatchStep {
    let (project, queue) = (queue.project.clone(), queue.name.clone());
    let messages = bodies.iter().map(|body| lasting(body, 600)).collect();
    BatchStep::Post { project, queue, client: ALICE, messages }
}

contract! {
    fn a_post_that_exceeds_the_messages_of_a_queue_is_refused_as_a_whole(h) {
        let orders = h.create_with("orders", r#"{"_max_queue_messages": 3}"#);
        orders.say("a");
        let claim = orders.take(1);
        h.turn();
        let three = [lasting("b", 60), delayed("c", 5), lasting("d", 60)];
        let error = orders.send(&three).unwrap_err();
        assert!(error.is_full() && !error.is_busy() && !error.is_too_large(), "{error}");
        assert_fails!(Err::<(), _>(error), Error::QueueIsFull { what: "messages", limit: 3, .. });
        assert_eq!(orders.all(), ["a"]);
        // Claimed and delayed messages count.
        orders.send(&three[..2]).unwrap();
        h.turn();
        assert_fails!(orders.send(&three[2..]), Error::QueueIsFull { .. });
        assert!(orders.send(&[]).unwrap().is_empty());
        orders.delete(claim.messages()[0].id(), Some(claim.id())).unwrap();
        h.turn();
        orders.send(&three[2..]).unwrap();
        assert_eq!(orders.all(), ["b", "c", "d"]);
    }

    fn room_comes_from_pops_purges_and_time(h) {
        let orders = h.create_with("orders", r#"{"_max_queue_messages": 2}"#);
        orders.send(&[lasting("brief", 10), lasting("long", 600)]).unwrap();
        h.pass(9);
        h.turn();
        assert_fails!(orders.send(&[lasting("x", 60)]), Error::QueueIsFull { .. });
        h.pass(1);
        h.turn();
        orders.say("x");
        assert_eq!(orders.pop(1).unwrap().len(), 1);
        orders.say("y");
        h.turn();
        assert_fails!(orders.send(&[lasting("z", 60)]), Error::QueueIsFull { .. });
        orders.purge(zaqar_sled::Purge::Messages).unwrap();
        h.turn();
        orders.send(&[lasting("z", 60), lasting("z", 60)]).unwrap();
    }

    fn bytes_are_those_of_bodies_and_headers_and_64_each(h) {
        let orders = h.create_with("orders", r#"{"_max_queue_bytes": 200}"#);
        let of = |bytes: usize| lasting(&"x".repeat(bytes), 60);
        assert_fails!(orders.send(&[of(137)]), Error::QueueIsFull { what: "bytes", limit: 200, .. });
        orders.send(&[of(50)]).unwrap();
        h.turn();
        assert_fails!(orders.send(&[of(23)]), Error::QueueIsFull { .. });
        let with_header = of(20).header("name", "value");
        assert_fails!(orders.send(std::slice::from_ref(&with_header)), Error::QueueIsFull { .. });
        orders.send(&[of(22)]).unwrap();
        h.turn();
        assert_fails!(orders.send(&[of(0)]), Error::QueueIsFull { .. });
        assert_eq!(orders.pop(1).unwrap().len(), 1);
        h.turn();
        orders.send(&[with_header]).unwrap();
    }

    fn a_bound_that_is_set_later_leaves_what_is_there(h) {
        let orders = h.create("orders");
        orders.post(5);
        orders.set_metadata(r#"{"_max_queue_messages": 2, "_max_queue_bytes": 1000000}"#).unwrap();
        h.turn();
        assert_eq!(orders.all().len(), 5);
        assert_fails!(orders.send(&[lasting("x", 60)]), Error::QueueIsFull { .. });
        assert_eq!(orders.pop(3).unwrap().len(), 3);
        assert_fails!(orders.send(&[lasting("x", 60)]), Error::QueueIsFull { .. });
        orders.set_metadata("{}").unwrap();
        h.turn();
        orders.post(9);
        for value in ["0", "-1", "true"] {
            let json = format!(r#"{{"_max_queue_messages": {value}}}"#);
            assert_eq!(refused(orders.set_metadata(&json)), "_max_queue_messages");
        }
        assert_eq!(refused(orders.set_metadata(r#"{"_max_queue_bytes": "1 MiB"}"#)), "_max_queue_bytes");
    }

    fn a_batch_has_the_room_that_its_earlier_steps_make(h) {
        let orders = h.create_with("orders", r#"{"_max_queue_messages": 2, "_max_queue_bytes": 200}"#);
        let ids = orders.post(2);
        let delete = |index: usize| BatchStep::Delete {
            project: orders.project.clone(),
            queue: orders.name.clone(),
            messages: vec![ids[index]],
            claim: None,
        };
        let commit = |steps: &[BatchStep]| h.driver().batches().commit(steps);
        assert_fails!(commit(&[posting(&orders, &["a"]), delete(0)]), Error::QueueIsFull { .. });
        assert_fails!(commit(&[delete(0), posting(&orders, &["a", "b"])]), Error::QueueIsFull { what: "messages", .. });
        assert_fails!(commit(&[delete(0), posting(&orders, &[]), posting(&orders, &["a"]), posting(&orders, &["b"])]), Error::QueueIsFull { .. });
        let large = "x".repeat(80);
        assert_fails!(commit(&[delete(0), posting(&orders, &[&large])]), Error::QueueIsFull { what: "bytes", .. });
        h.turn();
        assert_eq!(orders.all(), ["0", "1"]);
        commit(&[delete(0), posting(&orders, &["a"]), delete(1), posting(&orders, &["b"])]).unwrap();
        h.turn();
        assert_eq!(orders.all(), ["a", "b"]);
        // Without a message there is nothing to refuse.
        commit(&[posting(&orders, &[])]).unwrap();
    }

    fn dead_letters_and_redrives_reach_a_full_queue(h) {
        let settings = QueueSettings::new().dead_letters("dead", 1).max_messages(1);
        let orders = h.create_with("orders", &zaqar_sled::Metadata::from(settings).to_json());
        let dead = h.create_with("dead", r#"{"_max_queue_messages": 1}"#);
        dead.say("there");
        orders.say("a");
        let claim = orders.take(1);
        orders.release(claim.id()).unwrap();
        h.turn();
        assert!(orders.taken(1).is_empty());
        assert_eq!(dead.all(), ["there", "a"]);
        orders.say("b");
        assert_eq!(dead.redrive(&RedriveOptions::new()).unwrap().moved(), 1);
        h.turn();
        assert_eq!(orders.all(), ["b", "a"]);
        assert_fails!(orders.send(&[NewMessage::new("c").ttl(seconds(60)).delay(seconds(0))]), Error::QueueIsFull { .. });
    }
}

mod in_pools {
    use super::*;

    pooled! {
        fn the_bound_of_a_queue_in_a_pool_is_that_of_its_metadata(h) {
            h.register("one", at("sled:/pools/one"));
            let orders = h.create_with("orders", r#"{"_max_queue_messages": 1}"#);
            orders.say("a");
            h.turn();
            assert_fails!(orders.send(&[lasting("b", 60)]), Error::QueueIsFull { .. });
            orders.set_metadata(r#"{"_max_queue_messages": 2}"#).unwrap();
            orders.say("b");
            h.turn();
            assert_fails!(h.driver().batches().commit(&[posting(&orders, &["c"])]), Error::QueueIsFull { .. });
            assert_eq!(orders.pop(1).unwrap().len(), 1);
            h.driver().batches().commit(&[posting(&orders, &["c"])]).unwrap();
            assert_eq!(orders.all(), ["b", "c"]);
        }
    }
}
