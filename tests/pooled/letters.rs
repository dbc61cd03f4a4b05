//! Dead letters: within a pool at once, between pools by way of the courier, never lost and never twice.

use zaqar_sled::{DataDriver, Error, MessageListOptions, NewMessage, PoolUpdate, Sort};

use crate::support::{ALICE, BOB, Harness, Queue, assert_fails, lasting, secs, texts};

/// What makes a message go to the queue `dead` once it has been handed out.
const ONCE: &str = r#"{"_max_claim_count": 1, "_dead_letter_queue": "dead"}"#;
const ONCE_WITH_TTL: &str =
    r#"{"_max_claim_count": 1, "_dead_letter_queue": "dead", "_dead_letter_queue_messages_ttl": 100}"#;

/// The queue `orders` in pool `one`, whose dead letters go to `dead` in pool `two`.
fn apart<'h>(h: &'h Harness, metadata: &str) -> (Queue<'h>, Queue<'h>) {
    h.two_pools();
    let orders = h.create_with("orders", metadata);
    h.prefer("two");
    let dead = h.create("dead");
    assert_eq!((orders.pool().as_deref(), dead.pool().as_deref()), (Some("one"), Some("two")));
    (orders, dead)
}

/// Posts messages and has them worn out, so that the next claim moves them.
fn worn(queue: &Queue<'_>, bodies: &[&str]) {
    let messages: Vec<NewMessage> = bodies.iter().map(|body| lasting(body, 3600)).collect();
    queue.send(&messages).unwrap();
    queue.wear();
}

/// The claim that moves what is worn out.
fn bury(queue: &Queue<'_>) {
    assert!(queue.try_claim(60, 60, 1000).unwrap().is_none());
}

pooled! {
    fn within_a_pool_letters_arrive_with_the_claim(h) {
        h.two_pools();
        let orders = h.create_with("orders", ONCE);
        worn(&orders, &["a", "b"]);
        h.turn();
        bury(&orders);
        let dead = h.queue("dead");
        assert_eq!(h.pending(), (0, 0));
        assert_eq!(dead.pool().as_deref(), Some("one"));
        assert_eq!(dead.all(), ["a", "b"]);
        assert_eq!(orders.counts(), (0, 0, 0));
        h.turn();
        assert_eq!(dead.taken(10), ["a", "b"]);
    }

    fn between_pools_letters_are_counted_and_arrive_with_a_step(h) {
        let (orders, dead) = apart(h, ONCE);
        worn(&orders, &["a", "b", "c"]);
        bury(&orders);
        assert_eq!(orders.counts(), (0, 0, 0));
        assert_eq!(h.pending(), (0, 3));
        assert!(dead.all().is_empty());
        h.turn();
        h.settle();
        assert_eq!(dead.all(), ["a", "b", "c"]);
        assert_eq!(dead.counts(), (0, 3, 3));
        h.turn();
        h.step();
        assert_eq!(dead.taken(10), ["a", "b", "c"]);
        assert_eq!(orders.counts(), (0, 0, 0));
    }

    fn a_letter_keeps_what_it_is_and_changes_what_it_should(h) {
        let h = &h.with(|config| config.checksums(true));
        let (orders, dead) = apart(h, ONCE_WITH_TTL);
        let sent = orders.send(&[NewMessage::json(&"coffee").unwrap().ttl(secs(3600))]).unwrap()[0];
        let before = orders.get(sent).unwrap();
        assert!(before.checksum().is_some());
        h.pass(10);
        orders.wear();
        bury(&orders);
        h.pass(5);
        h.turn();
        h.settle();
        let letter = dead.first(Sort::Oldest).unwrap();
        assert_eq!(letter.body(), before.body());
        assert_eq!(letter.checksum(), before.checksum());
        assert_eq!((letter.claim_id(), letter.claim_count()), (None, 1));
        assert_eq!((letter.ttl(), letter.age()), (secs(100), secs(15)));
        assert_eq!(letter.created(), before.created());
        assert_ne!(letter.id(), sent);
        assert_fails!(orders.get(sent), Error::MessageDoesNotExist { .. });
        // It is still its poster's.
        let seen_by = |client| dead.list(&MessageListOptions::new().client(client)).unwrap().items.len();
        assert_eq!((seen_by(ALICE), seen_by(BOB)), (0, 1));
        // Its new life began with the claim, not with the delivery.
        h.pass(94);
        assert_eq!(dead.all().len(), 1);
        h.pass(1);
        assert!(dead.all().is_empty());
        h.check();
    }

    fn a_letter_without_a_new_ttl_keeps_its_end(h) {
        let (orders, dead) = apart(h, ONCE);
        orders.send(&[lasting("a", 300)]).unwrap();
        orders.wear();
        h.pass(200);
        bury(&orders);
        h.turn();
        h.settle();
        assert_eq!(dead.first(Sort::Oldest).unwrap().ttl(), secs(300));
        h.pass(99);
        assert_eq!(dead.all(), ["a"]);
        h.pass(1);
        assert!(dead.all().is_empty());
    }

    fn letters_keep_their_order_in_any_number(h) {
        let (orders, dead) = apart(h, ONCE);
        let bodies: Vec<String> = (0..300).map(|number| number.to_string()).collect();
        worn(&orders, &bodies.iter().map(String::as_str).collect::<Vec<_>>());
        for _ in 0..3 {
            orders.try_claim(60, 60, 100).unwrap();
        }
        assert_eq!(h.pending(), (0, 300));
        h.turn();
        h.settle();
        assert_eq!(dead.all(), bodies);
    }

    fn large_letters_arrive_whole(h) {
        let (orders, dead) = apart(h, ONCE);
        let large = "x".repeat(200_000);
        worn(&orders, &[&large, "small", &large]);
        bury(&orders);
        h.turn();
        h.settle();
        assert_eq!(dead.all(), [&large, "small", &large]);
    }

    fn a_moved_letter_uses_up_a_place_of_the_claim(h) {
        let (orders, dead) = apart(h, ONCE);
        worn(&orders, &["a", "b"]);
        orders.say("c");
        orders.say("d");
        let claim = orders.take(3);
        assert_eq!(texts(claim.messages()), ["c"]);
        h.turn();
        assert_eq!(texts(orders.look_up(claim.id()).unwrap().messages()), ["c"]);
        assert_eq!(orders.counts(), (1, 1, 2));
        h.settle();
        assert_eq!(dead.all(), ["a", "b"]);
    }

    fn the_dead_letter_queue_is_made_by_the_move(h) {
        h.two_pools();
        let orders = h.create_with("orders", ONCE);
        worn(&orders, &["a"]);
        h.prefer("two");
        bury(&orders);
        let dead = h.queue("dead");
        h.turn();
        h.settle();
        assert!(dead.exists());
        assert_eq!(dead.pool().as_deref(), Some("two"));
        assert_eq!(dead.all(), ["a"]);
        assert!(dead.metadata().unwrap().is_empty());
    }

    fn a_dead_letter_queue_that_finds_no_pool_keeps_letters_waiting(h) {
        h.two_pools();
        let orders = h.create_with("orders", ONCE);
        worn(&orders, &["a"]);
        h.prefer("neither");
        bury(&orders);
        assert_eq!(orders.counts(), (0, 0, 0));
        h.turn();
        let _ = h.driver().step();
        assert_eq!(h.pending(), (0, 1));
        assert!(!h.queue("dead").exists());
        h.prefer("two");
        h.settle();
        assert_eq!(h.queue("dead").all(), ["a"]);
    }

    fn a_dead_letter_queue_that_lost_its_mapping_gets_one(h) {
        let (orders, dead) = apart(h, ONCE);
        dead.set_metadata(r#"{"mine": 1}"#).unwrap();
        worn(&orders, &["a"]);
        bury(&orders);
        dead.unmap();
        h.turn();
        h.settle();
        assert_eq!(dead.all(), ["a"]);
        assert_eq!(dead.metadata().unwrap().to_json(), r#"{"mine":1}"#);
    }

    fn letters_follow_a_queue_that_is_mapped_elsewhere(h) {
        let (orders, dead) = apart(h, ONCE);
        h.pool("three", 0);
        worn(&orders, &["a", "b"]);
        bury(&orders);
        for pool in ["three", "one", "three"] {
            dead.route(pool);
        }
        h.turn();
        h.settle();
        assert_eq!(dead.all(), ["a", "b"]);
        for pool in ["one", "two"] {
            dead.route(pool);
            assert!(dead.all().is_empty(), "{pool}");
        }
    }

    fn letters_follow_a_queue_that_is_mapped_into_their_own_pool(h) {
        let (orders, dead) = apart(h, ONCE);
        worn(&orders, &["a", "b"]);
        bury(&orders);
        dead.route("one");
        h.turn();
        h.settle();
        assert_eq!(dead.all(), ["a", "b"]);
        dead.route("two");
        assert!(dead.all().is_empty());
    }

    fn letters_follow_a_queue_that_is_moved(h) {
        let (orders, dead) = apart(h, ONCE);
        h.pool("three", 0);
        dead.say("first");
        worn(&orders, &["a", "b"]);
        bury(&orders);
        dead.move_to("three").unwrap();
        h.turn();
        h.settle();
        assert_eq!(dead.all(), ["first", "a", "b"]);
        worn(&orders, &["c"]);
        bury(&orders);
        dead.move_to("one").unwrap();
        h.settle();
        h.turn();
        assert_eq!(dead.all(), ["first", "a", "b", "c"]);
    }

    fn letters_survive_the_deletion_of_their_queue(h) {
        let (orders, dead) = apart(h, ONCE);
        dead.say("gone");
        worn(&orders, &["a", "b"]);
        bury(&orders);
        dead.remove().unwrap();
        h.turn();
        h.settle();
        assert!(dead.exists());
        assert_eq!(dead.all(), ["a", "b"]);
    }

    fn letters_survive_the_deletion_of_their_source(h) {
        let (orders, dead) = apart(h, ONCE);
        worn(&orders, &["a", "b"]);
        bury(&orders);
        orders.remove().unwrap();
        h.turn();
        h.settle();
        assert_eq!(dead.all(), ["a", "b"]);
        assert!(!orders.exists());
    }

    fn letters_survive_the_move_of_their_source(h) {
        let (orders, dead) = apart(h, ONCE);
        h.pool("three", 0);
        worn(&orders, &["a", "b"]);
        orders.say("c");
        assert_eq!(orders.taken(3), ["c"]);
        orders.move_to("three").unwrap();
        h.turn();
        h.settle();
        assert_eq!((orders.all(), dead.all()), (vec!["c".into()], vec!["a".into(), "b".into()]));
    }

    fn a_source_moved_to_its_letters_pool_loses_none(h) {
        let (orders, dead) = apart(h, ONCE);
        worn(&orders, &["a", "b"]);
        bury(&orders);
        worn(&orders, &["c"]);
        orders.move_to("two").unwrap();
        bury(&orders);
        h.turn();
        h.settle();
        let mut all = dead.all();
        all.sort_unstable();
        assert_eq!(all, ["a", "b", "c"]);
    }

    fn a_letter_expires_on_its_way(h) {
        let (orders, dead) = apart(h, ONCE_WITH_TTL);
        worn(&orders, &["a"]);
        bury(&orders);
        h.pass(99);
        worn(&orders, &["b"]);
        bury(&orders);
        assert_eq!(h.pending(), (0, 2));
        h.pass(1);
        h.turn();
        h.settle();
        assert_eq!(dead.all(), ["b"]);
    }

    fn an_expired_letter_is_not_counted(h) {
        let (orders, dead) = apart(h, ONCE_WITH_TTL);
        worn(&orders, &["a"]);
        bury(&orders);
        h.pass(100);
        h.turn();
        assert_eq!(h.pending(), (0, 0));
        h.settle();
        assert!(dead.all().is_empty());
    }

    fn letters_wait_for_a_pool_that_cannot_be_reached(h) {
        let (orders, dead) = apart(h, ONCE);
        worn(&orders, &["a", "b"]);
        orders.say("c");
        h.break_pool("/two");
        // The claim works all the same.
        assert_eq!(orders.taken(3), ["c"]);
        assert_fails!(dead.stats(), Error::PoolUnavailable { .. });
        assert_eq!(h.pending(), (0, 2));
        assert!(h.driver().step().is_err());
        h.turn();
        assert_eq!(h.pending(), (0, 2));
        h.mend_pool("/two");
        h.settle();
        assert_eq!(dead.all(), ["a", "b"]);
        assert_eq!(orders.counts(), (1, 0, 1));
    }

    fn letters_on_their_way_wait_for_a_pool_that_fails_meanwhile(h) {
        let (orders, dead) = apart(h, ONCE);
        h.step();
        worn(&orders, &["a", "b"]);
        bury(&orders);
        h.break_pool("/two");
        h.turn();
        assert_eq!(h.pending(), (0, 2));
        h.mend_pool("/two");
        h.settle();
        assert_eq!(dead.all(), ["a", "b"]);
    }

    fn letters_for_a_pool_that_cannot_be_reached_do_not_hold_up_others(h) {
        let (orders, dead) = apart(h, ONCE);
        h.pool("three", 0);
        let bills = h.create_with("bills", r#"{"_max_claim_count": 1, "_dead_letter_queue": "unpaid"}"#);
        bills.move_to("one").unwrap();
        let unpaid = h.queue("unpaid");
        unpaid.route("three");
        unpaid.create("{}").unwrap();
        worn(&orders, &["a"]);
        worn(&bills, &["1.00"]);
        h.break_pool("/two");
        bury(&orders);
        bury(&bills);
        let _ = h.driver().step();
        let _ = h.driver().step();
        assert_eq!(unpaid.all(), ["1.00"]);
        assert_eq!(h.pending(), (0, 1));
        h.mend_pool("/two");
        h.settle();
        assert_eq!(dead.all(), ["a"]);
    }

    fn letters_keep_their_order_when_their_pool_comes_back(h) {
        let (orders, dead) = apart(h, ONCE);
        worn(&orders, &["a", "b"]);
        h.break_pool("/two");
        bury(&orders);
        h.flip_manifest("/two");
        // The pool can be reached again, but nobody has made a step: later letters come behind the earlier ones.
        worn(&orders, &["c", "d"]);
        while orders.try_claim(60, 60, 10).unwrap().is_some() {}
        h.turn();
        h.settle();
        assert_eq!(dead.all(), ["a", "b", "c", "d"]);
    }

    fn a_queue_mapped_away_from_a_pool_that_cannot_be_reached_gets_its_letters(h) {
        let (orders, dead) = apart(h, ONCE);
        worn(&orders, &["a", "b"]);
        h.break_pool("/two");
        bury(&orders);
        dead.route("one");
        h.turn();
        h.settle_but_for_broken_pools();
        assert_eq!(dead.all(), ["a", "b"]);
        h.mend_pool("/two");
        h.settle();
        assert_eq!(dead.all(), ["a", "b"]);
        dead.route("two");
        assert!(dead.all().is_empty());
    }

    fn letters_wait_for_a_pool_that_is_registered_again(h) {
        let (orders, dead) = apart(h, ONCE);
        worn(&orders, &["a"]);
        h.drop_pool("two").unwrap();
        bury(&orders);
        let _ = h.driver().step();
        h.turn();
        assert_eq!(h.pending(), (0, 1));
        h.pool("two", 0);
        h.settle();
        assert_eq!(dead.all(), ["a"]);
    }

    fn letters_of_a_pool_that_is_gone_for_a_while_come_after_all(h) {
        let (orders, dead) = apart(h, ONCE);
        worn(&orders, &["a"]);
        bury(&orders);
        h.drop_pool("one").unwrap();
        h.settle();
        assert!(dead.all().is_empty());
        h.turn();
        h.pool("one", 0);
        h.settle();
        assert_eq!(dead.all(), ["a"]);
    }

    fn letters_go_to_the_store_their_pool_has_by_then(h) {
        let (orders, dead) = apart(h, ONCE);
        worn(&orders, &["a"]);
        bury(&orders);
        h.change_pool("two", &PoolUpdate::new().uri("sled:/elsewhere".parse().unwrap())).unwrap();
        h.turn();
        h.settle();
        assert_eq!(dead.all(), ["a"]);
        h.change_pool("two", &PoolUpdate::new().uri("sled:/two".parse().unwrap())).unwrap();
        assert!(dead.all().is_empty());
    }

    fn letters_go_on_from_queue_to_queue(h) {
        h.two_pools();
        let orders = h.create_with("orders", ONCE);
        h.prefer("two");
        let dead = h.create_with("dead", r#"{"_max_claim_count": 2, "_dead_letter_queue": "buried"}"#);
        h.prefer("one");
        worn(&orders, &["a"]);
        bury(&orders);
        h.settle();
        // One more time it is handed out, then it goes on.
        dead.wear();
        bury(&dead);
        h.turn();
        h.settle();
        let buried = h.queue("buried");
        assert_eq!(buried.pool().as_deref(), Some("one"));
        assert_eq!(buried.all(), ["a"]);
        assert_eq!(buried.first(Sort::Oldest).unwrap().claim_count(), 2);
        assert!(dead.all().is_empty() && orders.all().is_empty());
    }

    fn markers_do_not_skip_letters_within_a_pool(h) {
        h.two_pools();
        let orders = h.create_with("orders", ONCE);
        let dead = h.create("dead");
        dead.say("old");
        dead.route("two");
        let seen = dead.say("seen");
        dead.route("one");
        worn(&orders, &["a"]);
        bury(&orders);
        h.settle();
        assert_eq!(dead.all(), ["old", "a"]);
        assert_eq!(dead.after(seen), ["a"]);
        h.turn();
        assert_eq!(dead.after(seen), ["a"]);
    }

    fn markers_do_not_skip_letters_between_pools(h) {
        let (orders, dead) = apart(h, ONCE);
        h.pool("three", 0);
        dead.route("three");
        let seen = dead.say("seen");
        dead.route("two");
        worn(&orders, &["a"]);
        bury(&orders);
        h.turn();
        h.settle();
        assert_eq!(dead.after(seen), ["a"]);
    }

    fn letters_leave_and_reach_the_control_store(h) {
        h.pool_at("home", "localhost", 1);
        h.pool("one", 0);
        let orders = h.create_with("orders", ONCE);
        let bills = h.create_with("bills", r#"{"_max_claim_count": 1, "_dead_letter_queue": "unpaid"}"#);
        let (dead, unpaid) = (h.create("dead"), h.create("unpaid"));
        bills.move_to("one").unwrap();
        dead.move_to("one").unwrap();
        worn(&orders, &["a", "b"]);
        worn(&bills, &["1.00"]);
        bury(&orders);
        bury(&bills);
        assert_eq!(h.pending(), (0, 3));
        h.turn();
        h.settle();
        assert_eq!((dead.all(), unpaid.all()), (vec!["a".into(), "b".into()], vec!["1.00".to_owned()]));
    }

    fn letters_leave_and_reach_the_virtual_pool(h) {
        let h = &h.with(|config| config.virtual_pool(true));
        let orders = h.create_with("orders", ONCE);
        let unpaid = h.create("unpaid");
        h.pool("one", 1);
        let dead = h.create("dead");
        let bills = h.create_with("bills", r#"{"_max_claim_count": 1, "_dead_letter_queue": "unpaid"}"#);
        worn(&orders, &["a", "b"]);
        worn(&bills, &["1.00"]);
        bury(&orders);
        bury(&bills);
        assert_eq!(h.pending(), (0, 3));
        h.turn();
        h.settle();
        assert_eq!((dead.all(), unpaid.all()), (vec!["a".into(), "b".into()], vec!["1.00".to_owned()]));
        assert_eq!((orders.pool(), unpaid.pool()), (None, None));
        h.check();
    }

    fn letters_reach_a_memory_pool(h) {
        h.pool_in("lasting", "one", 1);
        h.flavor("gold", Some("lasting"));
        let orders = h.create_with(
            "orders",
            r#"{"_flavor": "gold", "_max_claim_count": 1, "_dead_letter_queue": "dead"}"#,
        );
        h.pool_at("scratch", "memory:x", 1);
        worn(&orders, &["a"]);
        bury(&orders);
        h.turn();
        let dead = h.queue("dead");
        assert_eq!(dead.pool().as_deref(), Some("scratch"));
        h.settle();
        // An opening delivers too, and what it delivers is in memory from then on.
        assert_eq!(dead.all(), ["a"]);
        assert!(orders.all().is_empty());
    }

    fn letters_on_their_way_are_in_no_listing_and_no_volume(h) {
        let (orders, dead) = apart(h, ONCE);
        worn(&orders, &["a"]);
        bury(&orders);
        h.turn();
        let driver = h.driver();
        let listed = driver.queues().list(&crate::support::shop(), &zaqar_sled::QueueListOptions::new()).unwrap();
        assert_eq!(listed.items.len(), 2);
        let none = zaqar_sled::Project::none();
        assert_eq!(driver.queues().count(&none).unwrap(), 0);
        assert!(driver.queues().list(&none, &zaqar_sled::QueueListOptions::new()).unwrap().items.is_empty());
        assert_eq!(DataDriver::gc(&driver).unwrap().messages(), 0);
        h.settle();
        assert_eq!(dead.all(), ["a"]);
        assert_eq!(h.driver().health().unwrap().volume().total, 1);
    }
}
