//! The pending work of moves and deletions that were cut off, or whose pool was out of reach.

use zaqar_sled::{DataDriver, Error, PoolUpdate};

use crate::subscriptions::{names, subscribe};
use crate::support::{Harness, assert_fails, json, seconds};

/// The phase of a move at the cut.
#[derive(PartialEq, Eq, Debug, Clone, Copy)]
enum Cut {
    /// Pool `two` may have a copy, which will be removed.
    BeforeTheSwitch,
    /// Pool `one` may still have its contents, which will be removed.
    AfterTheSwitch,
}

/// Cuts moves of `orders` from `one` to `two` after every disk operation, kills the process, damages the pool with the
/// pending removal, opens the driver, and plays the scene if work is pending.
fn with_every_cut(scene: fn(&Harness, Cut)) -> [usize; 2] {
    with_every_cut_behind(|_| {}, scene)
}

/// The same, of a queue with a past.
fn with_every_cut_behind(past: fn(&Harness), scene: fn(&Harness, Cut)) -> [usize; 2] {
    let mut played = [0, 0];
    for operations in 0.. {
        let Some(found) = cut_after(operations, past) else { break };
        let h = Harness::live();
        h.open_on(found);
        let cut =
            if h.queue("orders").pool().as_deref() == Some("one") { Cut::BeforeTheSwitch } else { Cut::AfterTheSwitch };
        // This opening has removed the copy. The same cut again, with the pool out of reach.
        let image = cut_after(operations, past).expect("it is cut again");
        let path = format!("/{}", out_of_reach(cut));
        crate::damage::flip_manifest_on(&image, &path);
        h.open_on(image);
        if h.pending().0 == 0 {
            continue;
        }
        scene(&h, cut);
        if crate::damage::is_damaged(&h.disk(), &path) {
            h.mend_pool(&path);
        }
        h.settle();
        h.check();
        played[usize::from(cut == Cut::AfterTheSwitch)] += 1;
    }
    played
}

/// The disk after a move that was cut after so many operations; `None` if the move takes fewer.
fn cut_after(operations: u64, past: fn(&Harness)) -> Option<zaqar_sled::SimulatedDisk> {
    let h = Harness::live();
    h.two_pools();
    let orders = h.create("orders");
    past(&h);
    orders.post(20);
    subscribe(&h, &orders, "old", 3600).unwrap();
    h.step();
    h.disk().fail_after(operations);
    let moved = orders.move_to("two").and_then(|()| h.driver().step());
    moved.is_err().then(|| h.disk().kill())
}

/// The pool that is out of reach.
fn out_of_reach(cut: Cut) -> &'static str {
    if cut == Cut::BeforeTheSwitch { "two" } else { "one" }
}

#[test]
fn a_cut_move_leaves_the_queue_whole_in_one_pool() {
    let played = with_every_cut(|h, cut| {
        let orders = h.queue("orders");
        assert_eq!(orders.counts(), (0, 20, 20));
        assert_eq!(names(h, &orders), ["old"]);
        h.mend_pool(&format!("/{}", out_of_reach(cut)));
        assert_eq!(h.pending(), (0, 0));
        assert_eq!(orders.counts(), (0, 20, 20));
        assert_eq!(names(h, &orders), ["old"]);
        let there = orders.pool().unwrap();
        orders.route(out_of_reach(cut));
        assert_eq!(orders.counts(), (0, 0, 0));
        assert!(names(h, &orders).is_empty());
        orders.route(&there);
        assert_eq!(h.driver().health().unwrap().volume().total, 20);
    });
    assert!(played.iter().all(|cuts| *cuts > 0), "{played:?}");
}

#[test]
fn the_rest_of_a_cut_move_prevents_a_mapping_onto_it() {
    with_every_cut(|h, cut| {
        let orders = h.queue("orders");
        let (project, name) = (&orders.project, &orders.name);
        let pool = crate::support::pool_of(out_of_reach(cut));
        let refused = zaqar_sled::Catalogue::insert(&h.driver(), project, name, &pool);
        assert_fails!(refused, Error::Moving { .. });
        assert!(orders.move_to(pool.as_str()).unwrap_err().is_busy());
        assert_eq!(orders.counts(), (0, 20, 20));
        h.mend_pool(&format!("/{pool}"));
        orders.move_to(pool.as_str()).unwrap();
        assert_eq!(orders.counts(), (0, 20, 20));
        assert_eq!(names(h, &orders), ["old"]);
    });
}

#[test]
fn a_queue_that_lost_its_pool_gets_none_that_has_still_to_remove_what_it_had_of_the_queue() {
    with_every_cut(|h, cut| {
        let orders = h.queue("orders");
        let (project, name) = (&orders.project, &orders.name);
        let driver = h.driver();
        let catalogue: &dyn zaqar_sled::Catalogue = &driver;
        catalogue.delete(project, name).unwrap();
        h.prefer(out_of_reach(cut));
        let set = || driver.queues().set_metadata(project, name, &zaqar_sled::Metadata::new());
        assert_fails!(orders.create("{}"), Error::Moving { .. });
        assert_fails!(set(), Error::Moving { .. });
        // The pool can be reached again: the removal comes first, and the queue goes there after it.
        h.mend_pool(&format!("/{}", out_of_reach(cut)));
        h.step();
        assert!(!orders.create("{}").unwrap());
        assert_eq!(orders.pool().as_deref(), Some(out_of_reach(cut)));
        orders.say("new");
        h.settle();
        assert_eq!(orders.all(), ["new"]);
    });
}

#[test]
fn subscriptions_to_a_queue_without_a_pool_outlast_the_removal_of_a_former_one() {
    with_every_cut(|h, cut| {
        let orders = h.queue("orders");
        orders.remove().unwrap();
        // Kept in the control store, until the queue exists.
        subscribe(h, &orders, "early", 3600).unwrap();
        h.prefer(out_of_reach(cut));
        // The pool can be reached again, but the removal is still pending.
        h.flip_manifest(&format!("/{}", out_of_reach(cut)));
        assert!(orders.create("{}").unwrap());
        h.settle();
        assert!(names(h, &orders).contains(&"early".to_owned()), "a subscription that was acknowledged is gone");
    });
}

#[test]
fn the_rest_of_a_cut_move_is_removed_without_the_content_of_a_new_queue() {
    with_every_cut(|h, cut| {
        let orders = h.queue("orders");
        orders.remove().unwrap();
        h.prefer(out_of_reach(cut));
        assert!(orders.create("{}").unwrap());
        // The pool can be reached again, but the removal is still pending.
        h.flip_manifest(&format!("/{}", out_of_reach(cut)));
        orders.say("new");
        let hook = crate::subscriptions::hook("new");
        let subscribed =
            || h.driver().subscriptions().create(&orders.project, &orders.name, &hook, seconds(3600), &json("{}"));
        // The subscription is accepted, or refused until the old ones are removed.
        match subscribed() {
            Ok(id) => assert!(id.is_some()),
            Err(error) => {
                assert!(error.is_busy(), "{error:?}");
                h.step();
                assert!(subscribed().unwrap().is_some());
            }
        }
        h.settle();
        assert_eq!(orders.all(), ["new"]);
        assert!(names(h, &orders).contains(&"new".to_owned()), "a subscription that was acknowledged is gone");
    });
}

#[test]
fn the_rest_of_a_cut_move_is_removed_even_if_its_pool_is_dropped() {
    with_every_cut(|h, cut| {
        let orders = h.queue("orders");
        let pool = out_of_reach(cut);
        h.drop_pool(pool).unwrap();
        h.step();
        h.flip_manifest(&format!("/{pool}"));
        h.pool(pool, 0);
        let back =
            zaqar_sled::Catalogue::insert(&h.driver(), &orders.project, &orders.name, &crate::support::pool_of(pool));
        assert!(back.as_ref().err().is_none_or(Error::is_busy), "{back:?}");
        h.settle();
        orders.route(pool);
        // No message of the cut copy, or of the moved queue, is visible again.
        assert_eq!(orders.counts().2, 0, "{cut:?}");
    });
}

#[test]
fn the_rest_of_a_cut_move_is_removed_even_if_its_pool_has_another_store_meanwhile() {
    with_every_cut(|h, cut| {
        let orders = h.queue("orders");
        let pool = out_of_reach(cut);
        let lead = |uri: String| h.change_pool(pool, &zaqar_sled::PoolUpdate::new().uri(uri.parse().unwrap()));
        lead("sled:/spare".into()).unwrap();
        h.step();
        h.flip_manifest(&format!("/{pool}"));
        lead(format!("sled:/{pool}")).unwrap();
        h.step();
        assert_eq!(orders.counts(), (0, 20, 20));
        orders.route(pool);
        assert_eq!(orders.counts().2, 0, "{cut:?}");
    });
}

#[test]
fn the_rest_of_a_cut_move_holds_up_nothing_in_a_pool_with_a_new_store() {
    with_every_cut(|h, cut| {
        let (orders, pool) = (h.queue("orders"), out_of_reach(cut));
        // Its disk is broken for good.
        h.change_pool(pool, &PoolUpdate::new().uri(format!("sled:/{pool}-again").parse().unwrap())).unwrap();
        h.settle();
        assert_eq!(h.pending(), (0, 0), "{cut:?}: the work of a store that is not there is not due");
        let (project, name, there) = (&orders.project, &orders.name, orders.pool().unwrap());
        zaqar_sled::Catalogue::insert(&h.driver(), project, name, &crate::support::pool_of(pool)).unwrap();
        assert_eq!(orders.counts(), (0, 0, 0));
        assert!(names(h, &orders).is_empty());
        orders.route(&there);
        orders.move_to(pool).unwrap();
        assert_eq!((orders.counts(), names(h, &orders)), ((0, 20, 20), vec!["old".to_owned()]));
        orders.remove().unwrap();
        h.prefer(pool);
        h.create("orders").say("new");
        subscribe(h, &orders, "new", 3600).unwrap();
        h.settle();
        assert_eq!((orders.all(), h.pending()), (vec!["new".to_owned()], (0, 0)));
        assert!(names(h, &orders).contains(&"new".to_owned()));
    });
}

#[test]
fn an_unsubscribed_copy_of_a_cut_move_does_not_come_back_with_a_queue_that_was_in_both_pools() {
    let past = |h: &Harness| {
        h.queue("orders").route("two");
        h.queue("orders").route("one");
    };
    with_every_cut_behind(past, |h, cut| {
        let (orders, pool) = (h.queue("orders"), out_of_reach(cut));
        for subscription in crate::subscriptions::subscribed(h, &orders) {
            let driver = h.driver();
            driver.subscriptions().delete(&orders.project, &orders.name, &subscription.id()).unwrap();
        }
        orders.remove().unwrap();
        h.mend_pool(&format!("/{pool}"));
        h.settle();
        h.prefer(pool);
        let orders = h.create("orders");
        assert_eq!((names(h, &orders), orders.counts()), (Vec::<String>::new(), (0, 0, 0)), "{cut:?}");
    });
}

pooled! {
    fn garbage_is_collected_in_pools_that_no_call_has_used(h) {
        h.two_pools();
        let orders = h.create("orders");
        orders.send(&[crate::support::lasting("brief", 10)]).unwrap();
        h.drop_pool("one").unwrap();
        h.turn();
        h.pool("one", 1);
        h.pass(10);
        assert_eq!(h.driver().gc().unwrap().messages(), 1);
    }

    fn the_content_that_a_deleted_queue_left_in_other_pools_is_not_counted(h) {
        h.two_pools();
        let orders = h.create("orders");
        orders.post(5);
        orders.route("two");
        orders.post(3);
        orders.remove().unwrap();
        h.turn();
        h.settle();
        h.driver().gc().unwrap();
        // No queue has them, and none will.
        assert_eq!(h.driver().health().unwrap().volume().total, 0);
    }

    fn the_content_of_a_queue_deleted_without_its_pool_is_not_counted(h) {
        h.two_pools();
        let orders = h.create("orders");
        orders.post(5);
        h.drop_pool("one").unwrap();
        orders.remove().unwrap();
        // The removal is impossible now.
        h.settle();
        h.turn();
        h.pool("one", 1);
        assert_eq!(h.pending(), (1, 0));
        h.settle();
        h.driver().gc().unwrap();
        assert_eq!(h.driver().health().unwrap().volume().total, 0);
    }

    fn a_thousand_deleted_queues_leave_nothing(h) {
        h.two_pools();
        for number in 0..500 {
            h.create(&format!("a{number}")).say("x");
        }
        h.prefer("two");
        for number in 0..500 {
            h.create(&format!("b{number}")).say("x");
        }
        for number in 0..500 {
            h.queue(&format!("a{number}")).remove().unwrap();
            h.queue(&format!("b{number}")).remove().unwrap();
        }
        assert_eq!(h.pending().0, 1000);
        h.turn();
        h.step();
        assert_eq!(h.pending(), (0, 0));
        assert_eq!(h.driver().health().unwrap().volume().total, 0);
    }

    fn pools_with_a_common_prefix_are_distinguished(h) {
        let long = "x".repeat(512);
        let pools = ["a", "aa", "a\u{0}", "ä", "a/b", &long];
        for (number, pool) in pools.iter().enumerate() {
            h.pool_at(pool, &format!("sled:/store-{number}"), 0);
            let queue = h.queue(&format!("q{number}"));
            queue.route(pool);
            queue.create("{}").unwrap();
            queue.post(number + 1);
        }
        for number in [0, 2, 4] {
            h.queue(&format!("q{number}")).remove().unwrap();
        }
        assert_eq!(h.pending().0, 3);
        h.turn();
        h.settle();
        for number in [1_u64, 3, 5] {
            let queue = h.queue(&format!("q{number}"));
            assert_eq!(queue.counts().2, number + 1);
            queue.move_to("a").unwrap();
            assert_eq!(queue.counts().2, number + 1);
        }
        h.settle();
    }
}

/// The removal of a deleted queue names the store: a pool that got another store meanwhile does not have the queue.
#[test]
fn the_content_of_a_deleted_queue_is_removed_though_its_pool_had_another_store_meanwhile() {
    let h = Harness::live();
    h.pool("one", 1);
    let orders = h.create("orders");
    orders.post(3);
    orders.remove().unwrap();
    let lead_to = |uri: &str| h.change_pool("one", &PoolUpdate::new().uri(uri.parse().unwrap())).unwrap();
    lead_to("sled:/elsewhere");
    h.driver().step().unwrap();
    lead_to("sled:/one");
    h.settle();
    assert_eq!(h.driver().health().unwrap().volume().total, 0);
}
