//! Contract 15, and the part of 13 that the storage enforces: the features of later releases.

use crate::support::*;
use zaqar_sled::{Body, ClientId, Error, Limits, MessageListOptions, NewMessage, Project, Purge, QueueListOptions};

contract! {
    fn purging_takes_all_messages_and_claims_at_once_and_counts_them(h) {
        let orders = h.create_with("orders", r#"{"a": 1}"#);
        let ids = orders.post(4);
        let claim = orders.take(2);
        orders.send(&[delayed("late", 60), lasting("gone", 0)]).unwrap();
        h.turn();
        assert_eq!(orders.purge(Purge::Messages).unwrap(), 5);
        h.turn();
        assert!(orders.all().is_empty());
        assert_eq!(orders.counts(), (0, 0, 0));
        assert_fails!(orders.look_up(claim.id()), Error::ClaimDoesNotExist { .. });
        assert!(orders.bulk_get(&ids).is_empty());
        assert_eq!(orders.metadata().unwrap(), json(r#"{"a": 1}"#));
        assert_eq!(orders.purge(Purge::Messages).unwrap(), 0);
    }

    fn purging_everything_purges_messages(h) {
        let orders = h.create("orders");
        orders.post(3);
        assert_eq!(orders.purge(Purge::All).unwrap(), 3);
        h.turn();
        assert!(orders.all().is_empty());
    }

    fn purging_subscriptions_leaves_messages(h) {
        let orders = h.create("orders");
        orders.post(3);
        let claim = orders.take(1);
        assert_eq!(orders.purge(Purge::Subscriptions).unwrap(), 0);
        h.turn();
        assert_eq!(orders.counts(), (1, 2, 3));
        assert!(orders.look_up(claim.id()).is_ok());
    }

    fn a_missing_queue_has_nothing_to_purge(h) {
        for what in [Purge::Messages, Purge::Subscriptions, Purge::All] {
            assert_eq!(h.queue("orders").purge(what).unwrap(), 0);
        }
        assert!(!h.queue("orders").exists());
    }

    fn purging_does_not_count_what_has_expired(h) {
        let orders = h.create("orders");
        orders.post_lasting(3, 10);
        orders.post_lasting(1, 20);
        h.pass(10);
        h.turn();
        assert_eq!(orders.purge(Purge::All).unwrap(), 1);
    }

    fn markers_and_ids_stay_safe_over_a_purge(h) {
        let orders = h.create("orders");
        let old = orders.post(3);
        let marker = orders.list(&MessageListOptions::new()).unwrap().next;
        orders.purge(Purge::All).unwrap();
        h.turn();
        let new = orders.post(2);
        h.turn();
        assert!(new.iter().all(|id| !old.contains(id)));
        assert!(orders.bulk_get(&old).is_empty());
        assert_eq!(orders.bodies(&MessageListOptions::new().marker(marker)), ["0", "1"]);
    }

    fn purging_one_queue_leaves_others_alone(h) {
        let (orders, bills) = (h.create("orders"), h.create("bills"));
        orders.post(2);
        bills.post(2);
        orders.purge(Purge::All).unwrap();
        h.turn();
        assert_eq!(bills.counts(), (0, 2, 2));
    }

    fn a_delayed_message_is_hidden_until_the_instant_its_delay_ends(h) {
        let orders = h.create("orders");
        orders.send(&[delayed("late", 10)]).unwrap();
        h.pass_millis(9_999);
        h.turn();
        assert!(orders.shown().is_empty());
        assert!(orders.pop(1).unwrap().is_empty());
        assert!(orders.taken(1).is_empty());
        h.pass_millis(1);
        h.turn();
        assert_eq!(orders.shown(), ["late"]);
        assert_eq!(orders.taken(1), ["late"]);
    }

    fn a_delayed_messages_ttl_runs_meanwhile(h) {
        let orders = h.create("orders");
        orders.send(&[lasting("42", 20).delay(seconds(15)), lasting("never", 10).delay(seconds(15))]).unwrap();
        h.pass(15);
        h.turn();
        assert_eq!(orders.shown(), ["42"]);
        h.pass(5);
        h.turn();
        assert!(orders.all().is_empty());
    }

    fn a_message_keeps_its_place_while_it_is_delayed(h) {
        let orders = h.create("orders");
        orders.send(&[delayed("first", 10), delayed("second", 0)]).unwrap();
        h.pass(10);
        h.turn();
        assert_eq!(orders.taken(2), ["first", "second"]);
    }

    fn the_storage_leaves_default_ttl_and_delay_to_its_caller(h) {
        let orders = h.create_with("orders", r#"{"_default_message_ttl": 60, "_default_message_delay": 30}"#);
        assert_eq!(refused(orders.send(&[NewMessage::new("42")])), "ttl");
        orders.send(&[lasting("42", 100)]).unwrap();
        h.turn();
        assert_eq!(orders.shown(), ["42"]);
        assert_eq!(orders.list(&everything()).unwrap().items[0].ttl(), seconds(100));
    }

    fn a_queue_may_lower_the_size_of_a_post(h) {
        let orders = h.create_with("orders", r#"{"_max_messages_post_size": 10}"#);
        orders.send(&[lasting("12345", 60), lasting("67890", 60)]).unwrap();
        let error = orders.send(&[lasting("12345", 60), lasting("678901", 60)]).unwrap_err();
        assert!(error.is_too_large());
        h.turn();
        assert_eq!(orders.counts().2, 2);
        orders.set_metadata("{}").unwrap();
        h.turn();
        orders.send(&[lasting("12345678901", 60)]).unwrap();
    }

    fn a_checksum_is_of_the_body_as_python_writes_it(h) {
        let h = &h.with_checksums();
        let orders = h.create("orders");
        let bodies = [
            (Body::json(&serde_json::json!({"a": 1, "b": [1.5, null, true]})).unwrap(), "5dd5c20f5b5609eca01b8e5e530a1886"),
            (Body::json("caf\u{e9} \u{1F600}").unwrap(), "220dd90e5737d646d6d65edbd16dfe71"),
            (Body::json(&0).unwrap(), "cfcd208495d565ef66e7dff9f98764da"),
            (Body::json("").unwrap(), "9d4568c009d203ab10e33ea9953a0264"),
            (Body::from("42"), "a1d0c6e83f027327d8461063f4ac58a6"),
            (Body::from(""), "d41d8cd98f00b204e9800998ecf8427e"),
        ];
        let messages: Vec<_> = bodies.iter().map(|(body, _)| NewMessage::new(body.clone()).ttl(seconds(60))).collect();
        let ids = orders.send(&messages).unwrap();
        h.turn();
        for (message, (_, md5)) in orders.bulk_get(&ids).iter().zip(&bodies) {
            assert_eq!(message.checksum().unwrap().to_string(), format!("MD5:{md5}"));
        }
        let claimed = orders.take(10);
        assert!(claimed.messages().iter().all(|message| message.checksum().is_some()));
        orders.release(claimed.id()).unwrap();
        h.turn();
        assert!(orders.pop(10).unwrap().iter().all(|message| message.checksum().is_some()));
    }

    fn json_null_has_no_checksum(h) {
        let h = &h.with_checksums();
        let orders = h.create("orders");
        orders.send(&[NewMessage::json(&()).unwrap().ttl(seconds(60))]).unwrap();
        h.turn();
        assert_eq!(orders.list(&everything()).unwrap().items[0].checksum(), None);
    }

    fn without_the_option_there_are_no_checksums(h) {
        let orders = h.create("orders");
        orders.post(1);
        h.turn();
        assert_eq!(orders.list(&everything()).unwrap().items[0].checksum(), None);
    }

    fn a_dead_letter_keeps_its_checksum(h) {
        let h = &h.with_checksums();
        let (orders, dead) = crate::claims::dead_lettering(h, "");
        orders.say("42");
        crate::claims::exhaust(h, &orders);
        assert!(orders.taken(1).is_empty());
        h.turn();
        let checksum = dead.list(&everything()).unwrap().items[0].checksum().unwrap();
        assert_eq!(checksum.to_string(), "MD5:a1d0c6e83f027327d8461063f4ac58a6");
    }

    fn queues_can_be_listed_by_a_part_of_their_name_taken_literally(h) {
        for name in ["orders", "old-orders", "bills", "or.ers"] {
            h.create(name);
        }
        h.turn();
        let named = |text: &str| h.names(&QueueListOptions::new().name_contains(text));
        assert_eq!(named("order"), ["old-orders", "orders"]);
        assert_eq!(named("or.er"), ["or.ers"]);
        assert_eq!(named("^o"), Vec::<String>::new());
        assert_eq!(named("").len(), 4);
    }

    fn queues_can_be_listed_by_their_metadata(h) {
        h.create_with("a", r#"{"owner": "ann", "size": 1}"#);
        h.create_with("b", r#"{"owner": "ann", "size": 1.0, "more": {"x": [1]}}"#);
        h.create_with("c", r#"{"owner": "bob", "size": null}"#);
        h.create("d");
        h.turn();
        let with = |filter: &str| h.names(&QueueListOptions::new().metadata_filter(json(filter)));
        assert_eq!(with(r#"{"owner": "ann"}"#), ["a", "b"]);
        assert_eq!(with(r#"{"owner": "ann", "size": 1}"#), ["a"]);
        assert_eq!(with(r#"{"more": {"x": [1]}}"#), ["b"]);
        assert_eq!(with(r#"{"more": {"x": []}}"#), Vec::<String>::new());
        assert_eq!(with(r#"{"size": null}"#), ["c"]);
        assert_eq!(with("{}").len(), 4);
    }

    fn filters_of_queues_come_before_the_limit(h) {
        for i in 0..20 {
            let metadata = format!(r#"{{"third": {}}}"#, i % 3 == 0);
            h.create_with(&format!("queue-{i:02}"), &metadata);
        }
        h.turn();
        let options = QueueListOptions::new().limit(3).metadata_filter(json(r#"{"third": true}"#));
        let first = h.driver().queues().list(&shop(), &options).unwrap();
        assert_eq!(h.names(&options), ["queue-00", "queue-03", "queue-06"]);
        assert_eq!(h.names(&options.clone().marker(first.next)), ["queue-09", "queue-12", "queue-15"]);
        let options = options.name_contains("-1");
        assert_eq!(h.names(&options), ["queue-12", "queue-15", "queue-18"]);
    }

    fn the_queues_of_a_project_are_counted(h) {
        let count = || h.driver().queues().count(&shop()).unwrap();
        assert_eq!(count(), 0);
        for name in ["a", "b", "c"] {
            h.create(name);
        }
        h.queue_in(&Project::none(), "d").create("{}").unwrap();
        h.turn();
        assert_eq!(count(), 3);
        h.queue("a").remove().unwrap();
        h.queue("a").remove().unwrap();
        h.turn();
        assert_eq!((count(), h.driver().queues().count(&Project::none()).unwrap()), (2, 1));
    }

    fn deleting_only_by_claim_wants_every_message_under_a_claim(h) {
        let orders = h.create("orders");
        let ids = orders.post(3);
        let claim = orders.take(2);
        h.turn();
        let result = orders.bulk_delete(&ids, &[claim.id()]);
        assert_fails!(result, Error::MessageNotClaimed { id } if id == ids[2]);
        h.turn();
        assert_eq!(orders.counts(), (2, 1, 3));
    }

    fn deleting_only_by_claim_wants_the_messages_own_claim(h) {
        let orders = h.create("orders");
        let ids = orders.post(2);
        let (one, two) = (orders.take(1), orders.take(1));
        h.turn();
        let result = orders.bulk_delete(&ids, &[one.id(), no_claim()]);
        assert_fails!(result, Error::ClaimDoesNotMatch { project, queue, id, claim }
            if project == shop() && queue == name_of("orders") && id == ids[1] && claim == two.id());
        assert!(orders.bulk_delete(&ids, &[no_claim()]).unwrap_err().is_conflict());
        h.turn();
        assert_eq!(orders.counts(), (2, 0, 2));
    }

    fn the_first_message_that_fails_decides_in_a_bulk_delete(h) {
        let orders = h.create("orders");
        let ids = orders.post(3);
        let (_one, two) = (orders.take(1), orders.take(1));
        h.turn();
        let both = [two.id()];
        assert_fails!(orders.bulk_delete(&[ids[1], ids[0], ids[2]], &both), Error::ClaimDoesNotMatch { .. });
        assert_fails!(orders.bulk_delete(&[ids[1], ids[2], ids[0]], &both), Error::MessageNotClaimed { .. });
    }

    fn an_expired_claim_deletes_nothing_in_bulk(h) {
        let orders = h.create("orders");
        let ids = orders.post(1);
        let claim = orders.claim(10, 10, 1);
        h.pass(10);
        h.turn();
        assert_fails!(orders.bulk_delete(&ids, &[claim.id()]), Error::MessageNotClaimed { .. });
    }

    fn a_reserved_key_of_the_wrong_type_is_refused_by_name(h) {
        let wrong = [
            ("_flavor", "1"),
            ("_default_message_ttl", "\"60\""),
            ("_default_message_ttl", "-1"),
            ("_default_message_ttl", "1.5"),
            ("_default_message_delay", "true"),
            ("_max_messages_post_size", "[]"),
            ("_max_messages_post_size", "0"),
            ("_max_claim_count", "4294967296"),
            ("_dead_letter_queue", "7"),
            ("_dead_letter_queue", "\"\""),
            ("_dead_letter_queue_messages_ttl", "{}"),
            ("_enable_encrypt_messages", "1"),
            ("_retry_policy", "\"none\""),
        ];
        let orders = h.create_with("orders", r#"{"a": 1}"#);
        for (key, value) in wrong {
            let metadata = format!(r#"{{"b": 2, "{key}": {value}}}"#);
            assert_eq!(refused(h.queue("new").create(&metadata)), key);
            assert_eq!(refused(orders.set_metadata(&metadata)), key);
        }
        h.turn();
        assert!(!h.queue("new").exists());
        assert_eq!(orders.metadata().unwrap(), json(r#"{"a": 1}"#));
    }

    fn reserved_keys_are_kept_as_given_and_unknown_ones_too(h) {
        let text = r#"{"_max_claim_count": 3, "_flavor": null, "_mine": [1], "_default_message_ttl": 60}"#;
        let orders = h.create_with("orders", text);
        h.turn();
        assert_eq!(orders.metadata().unwrap().to_json(), json(text).to_json());
    }

    fn a_queue_cannot_be_its_own_dead_letter_queue(h) {
        let own = r#"{"_dead_letter_queue": "orders", "_max_claim_count": 1}"#;
        assert_eq!(refused(h.queue("orders").create(own)), "_dead_letter_queue");
        assert_eq!(refused(h.queue("orders").create(r#"{"_dead_letter_queue": "orders"}"#)), "_dead_letter_queue");
        let orders = h.create("orders");
        assert_eq!(refused(orders.set_metadata(own)), "_dead_letter_queue");
        h.turn();
        assert!(orders.metadata().unwrap().is_empty());
        h.create_with("bills", own);
    }

    fn dots_in_names_do_not_mix_queues_up(h) {
        let names = [("a", "b.c"), ("a.b", "c"), ("a.b.c", "d"), ("", "a.b.c"), ("a", "b/c"), ("a/b", "c")];
        for (project, name) in names {
            let queue = h.queue_in(&Project::named(project).unwrap(), name);
            assert!(queue.create("{}").unwrap());
            queue.say(&format!("{project} {name}"));
        }
        h.turn();
        for (project, name) in names {
            let project_name = Project::named(project).unwrap();
            assert_eq!(h.queue_in(&project_name, name).all(), [format!("{project} {name}")]);
        }
    }

    fn a_client_id_is_a_uuid_or_its_text(h) {
        h.create("orders");
        assert!("not a uuid".parse::<ClientId>().unwrap_err().is_invalid());
        assert!("".parse::<ClientId>().unwrap_err().is_invalid());
        let text = "01234567-89ab-4def-8123-456789abcdef";
        assert_eq!(text.parse::<ClientId>().unwrap().to_string(), text);
    }

    fn no_project_is_not_the_project_with_an_empty_name(h) {
        let (none, empty) = (Project::none(), Project::named("").unwrap());
        h.queue_in(&none, "orders").create("{}").unwrap();
        h.turn();
        assert!(h.queue_in(&none, "orders").exists());
        assert!(!h.queue_in(&empty, "orders").exists());
        assert!(!h.queue("orders").exists());
    }

    fn zaqars_limits_hold_when_asked_for(h) {
        let h = &h.with_limits(Limits::zaqar());
        let orders = h.create("orders");
        let too_many = 21;
        assert!(h.queue("a b").create("{}").unwrap_err().is_invalid());
        assert!(h.queue(&"x".repeat(65)).create("{}").unwrap_err().is_too_large());
        assert!(h.queue("a b").set_metadata("{}").unwrap_err().is_invalid());
        assert!(h.queue("a b").pop(1).unwrap_err().is_invalid());
        let long = Project::named("x".repeat(257)).unwrap();
        assert!(h.queue_in(&long, "orders").create("{}").unwrap_err().is_too_large());
        assert!(h.driver().queues().count(&long).unwrap_err().is_too_large());
        let large = format!(r#"{{"a": "{}"}}"#, "x".repeat(65_536));
        assert!(orders.set_metadata(&large).unwrap_err().is_too_large());
        assert_eq!(refused(orders.set_metadata(r#"{"_default_message_ttl": 59}"#)), "_default_message_ttl");
        assert_eq!(refused(orders.send(&[])), "messages");
        assert_eq!(refused(orders.send(&[lasting("42", 59)])), "ttl");
        assert_eq!(refused(orders.send(&[delayed("42", 901)])), "delay");
        assert!(orders.send(&[lasting(&"x".repeat(262_145), 60)]).unwrap_err().is_too_large());
        let ids = orders.send(&[lasting("42", 60)]).unwrap();
        assert_eq!(refused(orders.try_claim(59, 60, 1)), "ttl");
        assert_eq!(refused(orders.try_claim(60, 43_201, 1)), "grace");
        assert_eq!(refused(orders.try_claim(60, 60, too_many)), "limit");
        assert_eq!(refused(orders.pop(too_many)), "limit");
        assert_eq!(refused(orders.list(&MessageListOptions::new().limit(0))), "limit");
        let page = QueueListOptions::new().limit(too_many);
        assert_eq!(refused(h.driver().queues().list(&shop(), &page)), "limit");
        let many = vec![ids[0]; too_many];
        assert_eq!(refused(h.driver().messages().bulk_get(&shop(), &name_of("orders"), &many)), "ids");
        assert_eq!(refused(orders.bulk_delete(&many, &[])), "ids");
        h.turn();
        assert_eq!(orders.counts(), (0, 1, 1));
        assert_eq!(orders.taken(20), ["42"]);
    }

    fn wrong_arguments_are_told_before_a_missing_queue(h) {
        let h = &h.with_limits(Limits::zaqar());
        let orders = h.queue("orders");
        assert_eq!(refused(orders.send(&[lasting("42", 1)])), "ttl");
        assert_eq!(refused(orders.list(&MessageListOptions::new().limit(21))), "limit");
        assert_eq!(refused(orders.pop(21)), "limit");
        assert_eq!(refused(orders.try_claim(1, 60, 1)), "ttl");
    }

    fn limits_on_a_claims_renewal_come_after_its_existence(h) {
        let h = &h.with_limits(Limits::zaqar());
        let orders = h.create("orders");
        orders.post(1);
        let claim = orders.take(1);
        h.turn();
        assert_eq!(refused(orders.renew(claim.id(), 59, 60)), "ttl");
        assert_fails!(orders.renew(no_claim(), 59, 60), Error::ClaimDoesNotExist { .. });
    }
}
