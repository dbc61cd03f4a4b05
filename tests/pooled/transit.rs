//! Dead letters in transit, and events meanwhile: they are never lost and never duplicated.

use zaqar_sled::{DataDriver, Error, PoolUpdate, Purge};

use crate::dead_letters::{ONCE, ONCE_WITH_TTL, apart, bury, worn};
use crate::support::assert_fails;

pooled! {
    fn a_dead_letter_queue_that_finds_no_pool_keeps_dead_letters_waiting(h) {
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

    fn dead_letters_follow_a_queue_that_is_mapped_elsewhere(h) {
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

    fn dead_letters_follow_a_queue_that_is_mapped_into_their_own_pool(h) {
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

    fn dead_letters_follow_a_queue_that_is_moved(h) {
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

    fn dead_letters_survive_the_deletion_of_their_queue(h) {
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

    fn dead_letters_survive_the_deletion_of_their_source(h) {
        let (orders, dead) = apart(h, ONCE);
        worn(&orders, &["a", "b"]);
        bury(&orders);
        orders.remove().unwrap();
        h.turn();
        h.settle();
        assert_eq!(dead.all(), ["a", "b"]);
        assert!(!orders.exists());
    }

    fn dead_letters_survive_the_move_of_their_source(h) {
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

    fn a_source_moved_to_its_dead_letters_pool_loses_none(h) {
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

    fn a_dead_letter_expires_on_its_way(h) {
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

    fn an_expired_dead_letter_is_not_counted(h) {
        let (orders, dead) = apart(h, ONCE_WITH_TTL);
        worn(&orders, &["a"]);
        bury(&orders);
        h.pass(100);
        h.turn();
        assert_eq!(h.pending(), (0, 0));
        h.settle();
        assert!(dead.all().is_empty());
    }

    fn dead_letters_wait_for_a_pool_that_cannot_be_reached(h) {
        let (orders, dead) = apart(h, ONCE);
        worn(&orders, &["a", "b"]);
        orders.say("c");
        h.break_pool("/two");
        // The claim works anyway.
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

    fn dead_letters_on_their_way_wait_for_a_pool_that_fails_meanwhile(h) {
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

    fn dead_letters_for_a_pool_that_cannot_be_reached_do_not_hold_up_others(h) {
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

    fn dead_letters_keep_their_order_when_their_pool_comes_back(h) {
        let (orders, dead) = apart(h, ONCE);
        worn(&orders, &["a", "b"]);
        h.break_pool("/two");
        bury(&orders);
        h.flip_manifest("/two");
        // The pool can be reached again, but no step has been made: later dead letters come behind the earlier ones.
        worn(&orders, &["c", "d"]);
        while orders.try_claim(60, 60, 10).unwrap().is_some() {}
        h.turn();
        h.settle();
        assert_eq!(dead.all(), ["a", "b", "c", "d"]);
    }

    fn a_queue_mapped_away_from_a_pool_that_cannot_be_reached_gets_its_dead_letters(h) {
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

    fn dead_letters_wait_for_a_pool_that_is_registered_again(h) {
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

    fn dead_letters_of_a_pool_that_is_gone_for_a_while_come_after_all(h) {
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

    fn dead_letters_go_to_the_store_their_pool_has_by_then(h) {
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

    fn dead_letters_on_their_way_are_in_no_listing_and_no_volume(h) {
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

    fn dead_letters_keep_their_order_when_their_queue_is_mapped_elsewhere(h) {
        let (orders, dead) = apart(h, ONCE);
        h.pool("three", 0);
        worn(&orders, &["a", "b"]);
        bury(&orders);
        dead.route("three");
        worn(&orders, &["c", "d"]);
        bury(&orders);
        h.turn();
        h.settle();
        assert_eq!(dead.all(), ["a", "b", "c", "d"]);
    }

    fn dead_letters_keep_their_order_when_their_queue_finds_a_pool_at_last(h) {
        h.two_pools();
        let orders = h.create_with("orders", ONCE);
        worn(&orders, &["a", "b"]);
        h.prefer("neither");
        bury(&orders);
        h.prefer("two");
        worn(&orders, &["c", "d"]);
        bury(&orders);
        h.turn();
        h.settle();
        assert_eq!(h.queue("dead").all(), ["a", "b", "c", "d"]);
    }

    fn a_later_dead_letter_does_not_overtake_one_whose_former_store_is_out_of_reach(h) {
        let (orders, dead) = apart(h, ONCE);
        h.pool("three", 0);
        h.step();
        worn(&orders, &["a"]);
        bury(&orders);
        h.break_pool("/two");
        dead.route("three");
        worn(&orders, &["b"]);
        bury(&orders);
        assert!(h.driver().step().is_err());
        assert_eq!((h.pending().1, dead.all().len()), (2, 0));
        h.turn();
        h.mend_pool("/two");
        h.settle();
        assert_eq!(dead.all(), ["a", "b"]);
    }

    fn a_dead_letter_does_not_overtake_those_in_the_outbox(h) {
        let (orders, dead) = apart(h, ONCE);
        worn(&orders, &["a"]);
        bury(&orders);
        dead.route("one");
        worn(&orders, &["b"]);
        bury(&orders);
        assert_eq!(h.pending(), (0, 2));
        h.turn();
        h.settle();
        assert_eq!(dead.all(), ["a", "b"]);
        // The outbox is empty again: the next one arrives with its claim.
        worn(&orders, &["c"]);
        bury(&orders);
        assert_eq!(dead.all(), ["a", "b", "c"]);
    }

    fn dead_letters_on_their_way_outlive_a_purge_of_both_queues(h) {
        let (orders, dead) = apart(h, ONCE);
        dead.say("purged");
        worn(&orders, &["a", "b"]);
        bury(&orders);
        orders.say("purged");
        assert_eq!(orders.purge(Purge::All).unwrap(), 1);
        assert_eq!(dead.purge(Purge::All).unwrap(), 1);
        h.turn();
        h.settle();
        assert_eq!(dead.all(), ["a", "b"]);
    }

    fn a_dead_letter_can_be_deleted_by_its_new_id_only(h) {
        let (orders, dead) = apart(h, ONCE);
        let id = orders.say("a");
        orders.wear();
        bury(&orders);
        orders.delete(id, None).unwrap();
        dead.delete(id, None).unwrap();
        h.turn();
        h.settle();
        let dead_letter = dead.messages().remove(0);
        dead.delete(dead_letter.id(), None).unwrap();
        h.turn();
        h.settle();
        assert!(dead.all().is_empty());
        assert_eq!(h.pending(), (0, 0));
    }

    fn dead_letters_of_many_queues_do_not_mix(h) {
        h.two_pools();
        for number in 0..10 {
            let metadata = format!(r#"{{"_max_claim_count": 1, "_dead_letter_queue": "dead{}"}}"#, number % 3);
            let queue = h.create_with(&format!("q{number}"), &metadata);
            worn(&queue, &[&format!("{number}.0"), &format!("{number}.1")]);
        }
        h.prefer("two");
        for number in 0..10 {
            bury(&h.queue(&format!("q{number}")));
        }
        assert_eq!(h.pending(), (0, 20));
        h.turn();
        h.settle();
        for dead in 0..3 {
            let expected: Vec<String> =
                (0..10).filter(|q| q % 3 == dead).flat_map(|q| [format!("{q}.0"), format!("{q}.1")]).collect();
            assert_eq!(h.queue(&format!("dead{dead}")).all(), expected);
        }
    }
}
