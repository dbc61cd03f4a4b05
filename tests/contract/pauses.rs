//! Paused queues.

use crate::support::*;
use zaqar_sled::{Availability, BatchStep, Error, Pause, QueueSettings, RedriveOptions};

contract! {
    fn while_claims_are_paused_nothing_is_claimed_or_popped(h) {
        let orders = h.create("orders");
        let ids = orders.post(3);
        let held = orders.take(1);
        for pause in [Pause::Claims, Pause::All] {
            orders.pause(Some(pause)).unwrap();
            h.turn();
            assert!(orders.taken(9).is_empty());
            assert!(orders.pop(9).unwrap().is_empty());
            assert_eq!(orders.explain(ids[1]).unwrap().availability(), &Availability::Paused);
            assert_eq!(orders.counts(), (1, 2, 3));
            assert_eq!(orders.shown(), ["1", "2"]);
        }
        // What is claimed can be finished.
        orders.renew(held.id(), 60, 60).unwrap();
        orders.delete(ids[0], Some(held.id())).unwrap();
        orders.release(held.id()).unwrap();
        orders.pause(None).unwrap();
        h.turn();
        assert_eq!(orders.taken(9), ["1", "2"]);
    }

    fn while_posts_are_paused_nothing_is_posted(h) {
        let orders = h.create("orders");
        orders.post(1);
        let (project, queue) = (orders.project.clone(), orders.name.clone());
        let step = BatchStep::Post { project, queue, client: ALICE, messages: vec![lasting("x", 60)] };
        for pause in [Pause::Posts, Pause::All] {
            orders.pause(Some(pause)).unwrap();
            h.turn();
            let error = orders.send(&[lasting("x", 60)]).unwrap_err();
            assert!(error.is_paused() && !error.is_busy(), "{error}");
            assert_fails!(orders.send(&[]), Error::QueuePaused { .. });
            assert_fails!(h.driver().batches().commit(std::slice::from_ref(&step)), Error::QueuePaused { .. });
        }
        orders.pause(Some(Pause::Claims)).unwrap();
        orders.say("y");
        orders.pause(Some(Pause::Posts)).unwrap();
        h.turn();
        assert_eq!(orders.taken(9), ["0", "y"]);
    }

    fn times_go_on_in_a_pause(h) {
        let orders = h.create("orders");
        orders.send(&[lasting("brief", 10), lasting("long", 3600), delayed("late", 5)]).unwrap();
        orders.pause(Some(Pause::Claims)).unwrap();
        h.pass(10);
        h.turn();
        orders.pause(None).unwrap();
        assert_eq!(orders.taken(9), ["long", "late"]);
    }

    fn a_pause_is_a_key_of_the_metadata_and_changes_no_other(h) {
        let orders = h.create_with("orders", r#"{"b": 1, "a": [2]}"#);
        orders.pause(Some(Pause::All)).unwrap();
        h.turn();
        assert_eq!(orders.metadata().unwrap().to_json(), r#"{"b":1,"a":[2],"_paused":"all"}"#);
        orders.pause(Some(Pause::Posts)).unwrap();
        orders.pause(None).unwrap();
        orders.pause(None).unwrap();
        h.turn();
        assert_eq!(orders.metadata().unwrap().to_json(), r#"{"b":1,"a":[2]}"#);
        orders.set_metadata(r#"{"_paused": "claims"}"#).unwrap();
        orders.say("x");
        assert!(orders.taken(1).is_empty());
        orders.set_metadata("{}").unwrap();
        assert_eq!(orders.taken(1), ["x"]);
        assert_eq!(refused(orders.set_metadata(r#"{"_paused": "both"}"#)), "_paused");
        assert_eq!(refused(h.queue("mail").create(r#"{"_paused": true}"#)), "_paused");
    }

    fn dead_letters_and_redrives_reach_a_queue_that_is_paused_for_posts(h) {
        let settings = QueueSettings::new().dead_letters("dead", 1);
        let orders = h.create_with("orders", &zaqar_sled::Metadata::from(settings).to_json());
        let dead = h.create_with("dead", r#"{"_paused": "all"}"#);
        orders.post(2);
        orders.release(orders.take(2).id()).unwrap();
        assert!(orders.taken(2).is_empty());
        h.turn();
        assert_eq!(dead.all(), ["0", "1"]);
        orders.pause(Some(Pause::Posts)).unwrap();
        assert_eq!(dead.redrive(&RedriveOptions::new()).unwrap().moved(), 2);
        h.turn();
        assert_eq!(orders.all(), ["0", "1"]);
    }

    fn a_missing_queue_cannot_be_paused(h) {
        assert_fails!(h.queue("orders").pause(Some(Pause::All)), Error::QueueDoesNotExist { .. });
        assert_fails!(h.queue("orders").pause(None), Error::QueueDoesNotExist { .. });
        assert!(!h.queue("orders").exists());
    }
}
