//! Quotas of projects whose queues are in several pools: moves, pools out of reach, and threads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use zaqar_sled::{DataDriver as _, Error, ExtendedDriver as _, Project, ProjectQuota};

use crate::support::{Harness, Queue, assert_fails, lasting, shop};

impl Harness {
    fn limit(&self, messages: u64) {
        self.driver().projects().set_quota(&shop(), &ProjectQuota::new().max_messages(messages)).unwrap();
    }

    /// The queues and the messages that the project holds. A new account must count the same.
    fn held(&self) -> (u64, u64) {
        let held = || self.driver().projects().usage(&shop()).unwrap();
        let (before, quota) = (held(), self.driver().projects().quota(&shop()).unwrap());
        self.driver().projects().set_quota(&shop(), &ProjectQuota::new()).unwrap();
        assert_eq!(held(), before, "the account differs from what is there");
        self.driver().projects().set_quota(&shop(), &quota).unwrap();
        assert_eq!(held(), before, "a new account differs from what is there");
        (before.queues(), before.messages())
    }
}

/// `orders` in pool `one`, with three messages, and `bills` in pool `two`, with one.
fn both(h: &Harness) -> (Queue<'_>, Queue<'_>) {
    h.two_pools();
    let orders = h.create("orders");
    h.prefer("two");
    let bills = h.create("bills");
    h.limit(5);
    orders.post(3);
    bills.say("5.00");
    (orders, bills)
}

fn assert_full(queue: &Queue<'_>) {
    assert_fails!(queue.send(&[lasting("x", 60)]), Error::ProjectIsFull { what: "messages", .. });
}

pooled! {
    fn a_queue_that_is_moved_counts_once(h) {
        let (orders, bills) = both(h);
        orders.take(1);
        h.turn();
        orders.move_to("two").unwrap();
        assert_eq!(h.held(), (2, 4));
        bills.say("6.00");
        assert_full(&orders);
        h.turn();
        assert_full(&bills);
        orders.move_to("one").unwrap();
        h.step();
        assert_eq!(h.held(), (2, 5));
        assert_full(&orders);
        orders.pop(2).unwrap();
        h.turn();
        orders.send(&[lasting("brief", 10), lasting("brief", 10)]).unwrap();
        orders.move_to("two").unwrap();
        assert_full(&bills);
        h.pass(10);
        bills.send(&[lasting("x", 60), lasting("y", 60)]).unwrap();
        assert_full(&orders);
        assert_eq!(h.held(), (2, 5));
    }

    fn what_a_deleted_queue_leaves_in_its_pool_does_not_count(h) {
        let (orders, bills) = both(h);
        h.break_pool("/one");
        orders.remove().unwrap();
        assert_eq!(h.held(), (1, 1));
        bills.send(&vec![lasting("x", 600); 4]).unwrap();
        h.turn();
        h.mend_pool("/one");
        assert_eq!(h.held(), (1, 5));
        h.settle();
        assert_full(&bills);
        assert_eq!(h.held(), (1, 5));
    }

    fn the_messages_of_a_pool_out_of_reach_count_when_it_is_back(h) {
        let (orders, bills) = both(h);
        let other = h.queue_in(&Project::none(), "other");
        h.prefer("one");
        other.create("{}").unwrap();
        h.break_pool("/one");
        assert_eq!(h.driver().projects().usage(&shop()).unwrap().messages(), 1);
        bills.send(&vec![lasting("x", 600); 4]).unwrap();
        assert_full(&bills);
        h.turn();
        assert_full(&bills);
        h.mend_pool("/one");
        // A call on another queue opens the pool.
        other.say("x");
        assert_eq!(h.driver().projects().usage(&shop()).unwrap().messages(), 8);
        assert_eq!(orders.all().len(), 3);
        assert_eq!(h.held(), (2, 8));
        assert_full(&orders);
        bills.pop(3).unwrap();
        assert_full(&orders);
        bills.pop(1).unwrap();
        orders.say("y");
        assert_eq!(h.held(), (2, 5));
    }

    fn a_pool_that_goes_and_comes_back_at_another_place_counts_once(h) {
        let (orders, bills) = both(h);
        h.drop_pool("one").unwrap();
        assert_eq!(h.driver().projects().usage(&shop()).unwrap().messages(), 1);
        h.turn();
        h.pool("one", 0);
        assert_eq!(h.held(), (2, 4));
        bills.say("6.00");
        assert_full(&orders);
    }

    fn threads_fill_a_project_exactly_while_a_queue_moves(h) {
        const MOST: u64 = 150;
        let (orders, bills) = both(h);
        h.limit(MOST);
        let (driver, done) = (h.driver(), AtomicBool::new(false));
        let post = |queue: &Queue<'_>| queue.driver_post(&driver);
        thread::scope(|scope| {
            for queue in [&orders, &bills, &orders] {
                scope.spawn(|| {
                    while !done.load(Ordering::SeqCst) {
                        match post(queue) {
                            Err(error) => assert!(error.is_full() || error.is_busy(), "{error}"),
                            Ok(()) => assert!(driver.projects().usage(&shop()).is_ok()),
                        }
                    }
                });
            }
            for to in ["two", "one", "two"] {
                orders.move_to(to).unwrap();
            }
            done.store(true, Ordering::SeqCst);
        });
        while post(&bills).is_ok() {}
        assert_full(&orders);
        let all = orders.stats().unwrap().total() + bills.stats().unwrap().total();
        assert_eq!((all, h.held()), (MOST, (2, MOST)));
    }
}

impl Queue<'_> {
    fn driver_post(&self, driver: &zaqar_sled::PooledDriver) -> zaqar_sled::Result<()> {
        driver.messages().post(&self.project, &self.name, crate::support::BOB, &[lasting("x", 600)]).map(drop)
    }
}
