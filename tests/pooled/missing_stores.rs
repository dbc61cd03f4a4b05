//! A pool whose disk is not mounted is out of reach: it is never treated as empty, and is unchanged when the disk is
//! back.

use std::path::Path;

use zaqar_sled::disk::Disk;
use zaqar_sled::{DataDriver, Error, NewPool, PoolUpdate, SimulatedDisk};

use crate::support::{Harness, json, pool_of};

/// Moves a directory away, or back.
fn rename(disk: &SimulatedDisk, from: &str, to: &str) -> SimulatedDisk {
    disk.rename(Path::new(from), Path::new(to)).unwrap();
    disk.clone()
}

/// Closes the driver, and opens it again with a directory renamed.
fn remount(h: &Harness, from: &str, to: &str) {
    h.reopen_on(|disk| rename(disk, from, to));
}

fn is_wrong(error: &Error, with_another: bool) -> bool {
    let Error::PoolUnavailable { source, .. } = error else { return false };
    matches!(**source, Error::WrongStore { other, .. } if other == with_another)
}

/// Asserts that every kind of call on a queue in the pool reports the missing store, and so do health and status.
fn all_calls_tell(h: &Harness, with_another: bool) {
    let orders = h.queue("orders");
    let told = [
        orders.try_say("lost").unwrap_err(),
        orders.stats().unwrap_err(),
        orders.pop(1).unwrap_err(),
        orders.try_claim(60, 60, 1).unwrap_err(),
        orders.list(&crate::support::everything()).unwrap_err(),
        orders.purge(zaqar_sled::Purge::All).unwrap_err(),
    ];
    for error in &told {
        assert!(is_wrong(error, with_another) && error.is_busy(), "{error}");
    }
    let health = h.driver().health().unwrap();
    assert!(!health.storage_reachable() && !h.driver().is_alive());
    let pool = health.pools().iter().find(|pool| pool.name() == &pool_of("one")).unwrap();
    let words = if with_another { "another store" } else { "no store" };
    assert!(pool.error().is_some_and(|error| error.contains(words)), "{:?}", pool.error());
    let status = h.driver().status();
    let (_, status) = status.pools().iter().find(|(name, _)| name == &pool_of("one")).unwrap();
    assert!(status.as_ref().is_err_and(|error| error.contains(words)));
    // Calls on other queues continue.
    h.queue("bills").say("x");
}

/// Queues `orders` in pool `one` with a message, and `bills` in `two`.
fn arrange(h: &Harness) {
    h.two_pools();
    h.create("orders").say("kept");
    h.prefer("two");
    h.create("bills").say("x");
    assert_eq!((h.queue("orders").pool().as_deref(), h.queue("bills").pool().as_deref()), (Some("one"), Some("two")));
}

pooled! {
    fn a_missing_directory_is_told_and_left_alone(h) {
        arrange(h);
        h.turn();
        remount(h, "/one", "/unmounted");
        all_calls_tell(h, false);
        assert!(!h.disk().exists(Path::new("/one")).unwrap(), "nothing is made there");
        remount(h, "/unmounted", "/one");
        h.turn();
        assert_eq!(h.queue("orders").all(), ["kept"]);
    }

    fn an_empty_directory_is_told_and_left_alone(h) {
        arrange(h);
        h.turn();
        remount(h, "/one", "/unmounted");
        h.disk().create_dir_all(Path::new("/one")).unwrap();
        all_calls_tell(h, false);
        assert!(h.disk().list(Path::new("/one")).unwrap().is_empty());
        h.reopen_on(|disk| {
            disk.remove_dir_all(Path::new("/one")).unwrap();
            rename(disk, "/unmounted", "/one")
        });
        assert_eq!(h.queue("orders").all(), ["kept"]);
    }

    fn another_pools_store_is_told_and_left_alone(h) {
        arrange(h);
        h.turn();
        // Two disks mounted in each other's places.
        h.reopen_on(|disk| {
            rename(disk, "/one", "/former");
            rename(disk, "/two", "/one");
            rename(disk, "/former", "/two")
        });
        assert!(is_wrong(&h.queue("orders").stats().unwrap_err(), true));
        assert!(is_wrong(&h.queue("bills").stats().unwrap_err(), true));
        assert!(h.driver().renew_pool(&pool_of("one")).is_err_and(|error| is_wrong(&error, true)));
        h.reopen_on(|disk| {
            rename(disk, "/one", "/former");
            rename(disk, "/two", "/one");
            rename(disk, "/former", "/two")
        });
        assert_eq!((h.queue("orders").all(), h.queue("bills").all()), (vec!["kept".to_owned()], vec!["x".to_owned()]));
    }

    fn it_is_made_anew_when_that_is_asked_for(h) {
        arrange(h);
        let before = h.queue("orders").messages()[0].id();
        h.turn();
        assert!(h.driver().renew_pool(&pool_of("one")).unwrap_err().is_invalid());
        assert!(h.driver().renew_pool(&pool_of("none")).unwrap_err().is_not_found());
        remount(h, "/one", "/lost");
        h.driver().renew_pool(&pool_of("one")).unwrap();
        h.turn();
        let orders = h.queue("orders");
        assert_eq!(orders.counts(), (0, 0, 0));
        let after = orders.say("new");
        assert!(after > before, "no id is given out again");
        h.turn();
        // The former store is another's now.
        h.reopen_on(|disk| {
            rename(disk, "/one", "/renewed");
            rename(disk, "/lost", "/one")
        });
        assert!(is_wrong(&orders.stats().unwrap_err(), true));
        h.reopen_on(|disk| {
            rename(disk, "/one", "/lost");
            rename(disk, "/renewed", "/one")
        });
        assert_eq!(orders.all(), ["new"]);
    }

    fn a_deletion_waits_for_the_store_and_not_for_a_renewed_one(h) {
        arrange(h);
        h.turn();
        remount(h, "/one", "/unmounted");
        h.queue("orders").remove().unwrap();
        assert_eq!(h.pending().0, 1);
        remount(h, "/unmounted", "/one");
        h.settle();
        assert_eq!(h.pending().0, 0);
        h.prefer("one");
        h.create("orders").say("again");
        remount(h, "/one", "/lost");
        h.queue("orders").remove().unwrap();
        h.driver().renew_pool(&pool_of("one")).unwrap();
        assert_eq!(h.pending().0, 0);
    }

    fn settings_are_changed_without_forgetting_the_store(h) {
        arrange(h);
        h.change_pool("one", &PoolUpdate::new().weight(7).options(json(r#"{"durability": "buffered"}"#))).unwrap();
        let again = NewPool::new("sled:/one".parse().unwrap()).weight(3);
        h.try_pool("one", &again).unwrap();
        h.turn();
        remount(h, "/one", "/unmounted");
        all_calls_tell(h, false);
        // If the URI leads to another place, the store there is the pool's.
        h.change_pool("one", &PoolUpdate::new().uri("sled:/unmounted".parse().unwrap())).unwrap();
        assert_eq!(h.queue("orders").all(), ["kept"]);
    }
}
