//! Dead letters: within a pool at once, between pools through the outbox and the relay.

use zaqar_sled::{
    Error, ExtendedDriver, Headers, ListOptions, MessageListOptions, NewMessage, Pause, PoolName, RedriveOptions, Sort,
};

use crate::support::{ALICE, BOB, Harness, Queue, assert_fails, lasting, seconds, texts};
use crate::values::shop;

/// Metadata with which a message moves to the queue `dead` after one claim.
pub(crate) const ONCE: &str = r#"{"_max_claim_count": 1, "_dead_letter_queue": "dead"}"#;
pub(crate) const ONCE_WITH_TTL: &str =
    r#"{"_max_claim_count": 1, "_dead_letter_queue": "dead", "_dead_letter_queue_messages_ttl": 100}"#;

/// The queue `orders` in pool `one`, whose dead letters go to `dead` in pool `two`.
pub(crate) fn apart<'h>(h: &'h Harness, metadata: &str) -> (Queue<'h>, Queue<'h>) {
    h.two_pools();
    let orders = h.create_with("orders", metadata);
    h.prefer("two");
    let dead = h.create("dead");
    assert_eq!((orders.pool().as_deref(), dead.pool().as_deref()), (Some("one"), Some("two")));
    (orders, dead)
}

/// Posts messages and has them worn out, so that the next claim moves them.
pub(crate) fn worn(queue: &Queue<'_>, bodies: &[&str]) {
    let messages: Vec<NewMessage> = bodies.iter().map(|body| lasting(body, 3600)).collect();
    queue.send(&messages).unwrap();
    queue.wear();
}

/// Makes the claim that moves worn-out messages.
pub(crate) fn bury(queue: &Queue<'_>) {
    assert!(queue.try_claim(60, 60, 1000).unwrap().is_none());
}

/// Buries messages of two sources, whose dead letters go to other stores, and asserts that they arrive.
fn assert_exchanged(h: &Harness, [orders, bills]: [&Queue<'_>; 2], [dead, unpaid]: [&Queue<'_>; 2]) {
    worn(orders, &["a", "b"]);
    worn(bills, &["1.00"]);
    bury(orders);
    bury(bills);
    assert_eq!(h.pending(), (0, 3));
    h.turn();
    h.settle();
    assert_eq!((dead.all(), unpaid.all()), (vec!["a".into(), "b".into()], vec!["1.00".to_owned()]));
}

/// The numbers of messages that a redrive moved, and left because there is no queue for them.
fn redrive(h: &Harness, dead: &Queue<'_>, options: &RedriveOptions) -> (u64, u64) {
    let outcome = h.driver().dead_letters().redrive(&dead.project, &dead.name, options).unwrap();
    (outcome.moved(), outcome.stranded())
}

pooled! {
    fn within_a_pool_dead_letters_arrive_with_the_claim(h) {
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

    fn between_pools_dead_letters_are_counted_and_arrive_with_a_step(h) {
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

    fn a_dead_letter_keeps_what_it_is_and_changes_what_it_should(h) {
        let h = &h.with(|config| config.checksums(true));
        let (orders, dead) = apart(h, ONCE_WITH_TTL);
        let sent = orders.send(&[NewMessage::json(&"coffee").unwrap().ttl(seconds(3600))]).unwrap()[0];
        let before = orders.get(sent).unwrap();
        assert!(before.checksum().is_some());
        h.pass(10);
        orders.wear();
        bury(&orders);
        h.pass(5);
        h.turn();
        h.settle();
        let dead_letter = dead.first(Sort::Oldest).unwrap();
        assert_eq!(dead_letter.body(), before.body());
        assert_eq!(dead_letter.checksum(), before.checksum());
        assert_eq!((dead_letter.claim_id(), dead_letter.claim_count()), (None, 1));
        assert_eq!((dead_letter.ttl(), dead_letter.age()), (seconds(100).into(), seconds(15)));
        assert_eq!(dead_letter.created(), before.created());
        assert_ne!(dead_letter.id(), sent);
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

    fn a_dead_letter_without_a_new_ttl_keeps_its_end(h) {
        let (orders, dead) = apart(h, ONCE);
        orders.send(&[lasting("a", 300)]).unwrap();
        orders.wear();
        h.pass(200);
        bury(&orders);
        h.turn();
        h.settle();
        assert_eq!(dead.first(Sort::Oldest).unwrap().ttl(), seconds(300));
        h.pass(99);
        assert_eq!(dead.all(), ["a"]);
        h.pass(1);
        assert!(dead.all().is_empty());
    }

    fn dead_letters_go_back_to_the_pool_that_they_come_from(h) {
        let (orders, dead) = apart(h, ONCE);
        let headers = Headers::new().with("customer", "ann");
        orders.send(&[lasting("a", 300).headers(headers.clone()), lasting("b", 300)]).unwrap();
        orders.wear();
        bury(&orders);
        h.turn();
        h.settle();
        let letters = dead.messages();
        assert_eq!(letters[0].headers(), &headers);
        assert_eq!(letters[1].dead_letter_origin().unwrap().queue().as_str(), "orders");
        assert_eq!(redrive(h, &dead, &RedriveOptions::new().dry_run(true)), (2, 0));
        assert_eq!(redrive(h, &dead, &RedriveOptions::new()), (2, 0));
        assert_eq!((dead.all().len(), orders.all().len(), h.pending()), (0, 0, (0, 2)));
        h.turn();
        h.settle();
        let back = orders.messages();
        assert_eq!((texts(&back), back[0].headers()), (vec!["a".into(), "b".into()], &headers));
        assert!(back.iter().all(|message| message.claim_count() == 0 && message.dead_letter_origin().is_none()));
        // They are worn out once more, and come back once more.
        orders.wear();
        bury(&orders);
        h.turn();
        h.settle();
        assert_eq!(redrive(h, &dead, &RedriveOptions::new().limit(1)), (1, 0));
        h.settle();
        assert_eq!((orders.all(), dead.all()), (vec!["a".into()], vec!["b".into()]));
    }

    fn dead_letters_of_a_queue_without_a_registered_pool_stay(h) {
        let (orders, dead) = apart(h, ONCE);
        worn(&orders, &["a"]);
        bury(&orders);
        h.settle();
        h.driver().pools().delete(&PoolName::new("one").unwrap()).unwrap();
        assert_eq!(redrive(h, &dead, &RedriveOptions::new()), (0, 1));
        assert_eq!(dead.all(), ["a"]);
    }

    fn a_pause_is_kept_by_a_queue_that_is_moved(h) {
        h.two_pools();
        let orders = h.create("orders");
        orders.say("a");
        let set = |pause| h.driver().flow_control().set_pause(&orders.project, &orders.name, pause);
        set(Some(Pause::All)).unwrap();
        h.turn();
        assert!(orders.try_claim(60, 60, 1).unwrap().is_none());
        orders.move_to("two").unwrap();
        h.turn();
        assert!(orders.send(&[lasting("b", 60)]).unwrap_err().is_paused());
        set(None).unwrap();
        h.turn();
        assert_eq!(orders.taken(1), ["a"]);
    }

    fn dead_letters_go_back_to_where_their_queue_was_moved(h) {
        let (orders, dead) = apart(h, ONCE);
        worn(&orders, &["a", "b"]);
        bury(&orders);
        h.settle();
        orders.move_to("two").unwrap();
        h.turn();
        assert_eq!(redrive(h, &dead, &RedriveOptions::new()), (2, 0));
        assert_eq!((orders.all(), h.pending()), (vec!["a".into(), "b".into()], (0, 0)));
    }

    fn a_queue_that_is_deleted_while_its_messages_are_on_the_way_back_is_made_again(h) {
        let (orders, dead) = apart(h, ONCE);
        worn(&orders, &["a"]);
        bury(&orders);
        h.settle();
        assert_eq!(redrive(h, &dead, &RedriveOptions::new()), (1, 0));
        orders.remove().unwrap();
        h.turn();
        h.settle();
        assert_eq!(orders.all(), ["a"]);
        // But not one that was deleted before.
        worn(&h.create_with("bills", ONCE), &["1.00"]);
        let bills = h.queue("bills");
        bury(&bills);
        h.settle();
        bills.remove().unwrap();
        h.turn();
        assert_eq!(redrive(h, &dead, &RedriveOptions::new()), (0, 1));
        assert_eq!(dead.all(), ["1.00"]);
        assert!(!bills.exists());
    }

    fn dead_letters_keep_their_order_in_any_number(h) {
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

    fn large_dead_letters_arrive_whole(h) {
        let (orders, dead) = apart(h, ONCE);
        let large = "x".repeat(200_000);
        worn(&orders, &[&large, "small", &large]);
        bury(&orders);
        h.turn();
        h.settle();
        assert_eq!(dead.all(), [&large, "small", &large]);
    }

    fn a_moved_dead_letter_uses_up_a_place_of_the_claim(h) {
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

    fn dead_letters_go_on_from_queue_to_queue(h) {
        h.two_pools();
        let orders = h.create_with("orders", ONCE);
        h.prefer("two");
        let dead = h.create_with("dead", r#"{"_max_claim_count": 2, "_dead_letter_queue": "buried"}"#);
        h.prefer("one");
        worn(&orders, &["a"]);
        bury(&orders);
        h.settle();
        // After one more claim the message moves on.
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

    fn markers_do_not_skip_dead_letters_within_a_pool(h) {
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

    fn markers_do_not_skip_dead_letters_between_pools(h) {
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

    fn dead_letters_leave_and_reach_the_control_store(h) {
        h.pool_at("home", "localhost", 1);
        h.pool("one", 0);
        let orders = h.create_with("orders", ONCE);
        let bills = h.create_with("bills", r#"{"_max_claim_count": 1, "_dead_letter_queue": "unpaid"}"#);
        let (dead, unpaid) = (h.create("dead"), h.create("unpaid"));
        bills.move_to("one").unwrap();
        dead.move_to("one").unwrap();
        assert_exchanged(h, [&orders, &bills], [&dead, &unpaid]);
        // The outbox of the control store comes before all queues, and is none of a project.
        let projects = |limit| h.driver().diagnostics().list_projects(&ListOptions::new().limit(limit)).unwrap();
        assert_eq!((projects(0).items, projects(1).items), (vec![shop()], vec![shop()]));
    }

    fn dead_letters_leave_and_reach_the_virtual_pool(h) {
        let h = &h.with(|config| config.virtual_pool(true));
        let orders = h.create_with("orders", ONCE);
        let unpaid = h.create("unpaid");
        h.pool("one", 1);
        let dead = h.create("dead");
        let bills = h.create_with("bills", r#"{"_max_claim_count": 1, "_dead_letter_queue": "unpaid"}"#);
        assert_exchanged(h, [&orders, &bills], [&dead, &unpaid]);
        assert_eq!((orders.pool(), unpaid.pool()), (None, None));
        h.check();
    }

    fn dead_letters_reach_a_memory_pool(h) {
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
        // An opening delivers too, and the memory pool has the message from then on.
        assert_eq!(dead.all(), ["a"]);
        assert!(orders.all().is_empty());
    }
}
