//! Days in the life of an operator.

use zaqar_sled::disk::Disk;
use zaqar_sled::{Catalogue, DataDriver, Error, ListOptions, NewPool, PoolUpdate, Pools, Project};

use crate::support::{Harness, assert_fails, group_of, lasting, pool_of, shop};

pooled! {
    fn a_disk_is_replaced_by_another(h) {
        h.pool("one", 1);
        for number in 0..20 {
            let queue = h.create(&format!("q{number}"));
            queue.post(number + 1);
            queue.take(1);
        }
        // A second disk is added: new queues go to it, and the old ones are moved.
        h.pool("two", 1);
        h.change_pool("one", &PoolUpdate::new().weight(0)).unwrap();
        h.turn();
        assert_eq!(h.create("new").pool().as_deref(), Some("two"));
        for entry in Catalogue::list(&h.driver(), &shop()).unwrap() {
            h.driver().move_queue(entry.project(), entry.queue(), &pool_of("two")).unwrap();
        }
        h.settle();
        h.drop_pool("one").unwrap();
        // The first disk is removed.
        h.reopen_on(|disk| {
            disk.remove_dir_all("/one".as_ref()).unwrap();
            disk.clone()
        });
        h.turn();
        for number in 0..20 {
            assert_eq!(h.queue(&format!("q{number}")).counts(), (1, number, number + 1));
        }
        let health = h.driver().health().unwrap();
        assert!(health.storage_reachable());
        assert_eq!((health.volume().total, health.volume().claimed), (210, 20));
        h.settle();
    }

    fn a_pool_is_replaced_whole_by_creating_it_again(h) {
        h.two_pools();
        let orders = h.create("orders");
        orders.say("coffee");
        let elsewhere = NewPool::new("sled:/elsewhere".parse().unwrap()).weight(5).group(group_of("fast"));
        h.try_pool("one", &elsewhere).unwrap();
        assert!(orders.all().is_empty());
        h.turn();
        orders.say("tea");
        let pool = Pools::get(&h.driver(), &pool_of("one"), true).unwrap();
        assert_eq!((pool.weight(), pool.group()), (5, Some(&group_of("fast"))));
        // No pool without a group has a weight any more.
        assert_fails!(h.queue("bills").create("{}"), Error::NoPoolFound { .. });
        h.pool("one", 1);
        assert_eq!(orders.all(), ["coffee"]);
    }

    fn the_last_pool_of_a_flavor_stays(h) {
        h.pool_in("fast", "one", 1);
        h.flavor("gold", Some("fast"));
        assert_fails!(h.drop_pool("one"), Error::PoolInUseByFlavor { flavor, .. } if flavor == "gold");
        h.turn();
        h.pool_in("fast", "two", 1);
        h.drop_pool("one").unwrap();
        assert_fails!(h.drop_pool("two"), Error::PoolInUseByFlavor { .. });
        Pools::drop_all(&h.driver()).unwrap();
        assert!(Pools::list(&h.driver(), &ListOptions::new()).unwrap().items.is_empty());
    }

    fn the_catalogue_tells_where_queues_are(h) {
        h.two_pools();
        let none = Project::none();
        h.create("b");
        h.create("a").move_to("two").unwrap();
        h.queue_in(&none, "a").create("{}").unwrap();
        h.queue("never").route("gone");
        h.turn();
        let list = |project: &Project| -> Vec<(String, String)> {
            let entries = Catalogue::list(&h.driver(), project).unwrap();
            entries.iter().map(|entry| (entry.queue().to_string(), entry.pool().to_string())).collect()
        };
        let pair = |queue: &str, pool: &str| (queue.to_owned(), pool.to_owned());
        assert_eq!(list(&shop()), [pair("a", "two"), pair("b", "one"), pair("never", "gone")]);
        assert_eq!(list(&none), [pair("a", "one")]);
        h.queue("b").remove().unwrap();
        assert_eq!(list(&shop()), [pair("a", "two"), pair("never", "gone")]);
    }

    fn a_wall_clock_that_steps_back_upsets_nothing(h) {
        h.two_pools();
        let orders = h.create_with("orders", r#"{"_max_claim_count": 1, "_dead_letter_queue": "dead"}"#);
        h.prefer("two");
        let dead = h.create("dead");
        h.pass(1000);
        orders.send(&[lasting("a", 600), lasting("b", 600)]).unwrap();
        orders.try_claim(60, 0, 1).unwrap().unwrap();
        h.pass(60);
        assert_eq!(orders.counts(), (0, 2, 2));
        h.set_back(900);
        h.turn();
        assert_eq!(orders.counts(), (0, 2, 2));
        for pool in ["two", "one"] {
            orders.move_to(pool).unwrap();
            assert_eq!(orders.messages()[0].age().as_secs(), 60, "in {pool}");
        }
        assert_eq!(orders.taken(2), ["b"]);
        h.settle();
        assert_eq!(dead.all(), ["a"]);
        h.pass(541);
        assert!(orders.all().is_empty() && dead.all().is_empty());
    }

    fn many_stores_are_open_at_once(h) {
        for number in 0..12 {
            h.pool(&format!("p{number}"), 1);
        }
        for number in 0..60 {
            h.create(&format!("q{number}")).say("x");
        }
        h.turn();
        assert_eq!(h.driver().health().unwrap().volume().total, 60);
        for number in 0..60 {
            h.queue(&format!("q{number}")).move_to(&format!("p{}", number % 12)).unwrap();
        }
        h.turn();
        for number in 0..60 {
            assert_eq!(h.queue(&format!("q{number}")).all(), ["x"]);
        }
        h.settle();
        assert!(h.driver().is_alive());
    }
}

#[test]
fn a_full_disk_refuses_what_grows_and_lets_everything_else_go_on() {
    let h = Harness::live();
    h.two_pools();
    let orders = h.create_with("orders", r#"{"_max_claim_count": 1, "_dead_letter_queue": "dead"}"#);
    h.prefer("two");
    let (dead, bills) = (h.create("dead"), h.create("bills"));
    orders.post(10);
    bills.post(10);
    h.prefer("one");
    orders.wear();
    h.step();
    let disk = h.disk();
    let used: usize = disk.list_all().iter().map(|file| disk.read(file).unwrap().len()).sum();
    disk.set_capacity(Some(used as u64));
    let fill = |queue: &crate::support::Queue<'_>| {
        let filled = (0..100).map(|_| queue.try_say(&"x".repeat(2000))).find_map(Result::err);
        assert!(filled.expect("it fills up").is_full());
    };
    fill(&orders);
    fill(&bills);
    let refused = (0..1000).map(|number| h.queue(&format!("q{number}")).create("{}")).find_map(Result::err);
    assert!(refused.expect("it fills up").is_full());
    let free = orders.counts().1;
    // Worn-out messages leave their queue, whether or not they can be delivered.
    while orders.try_claim(60, 60, 10).unwrap().is_some() {}
    assert!(orders.counts().1 < free);
    let claim = bills.take(2);
    bills.delete(claim.messages()[0].id(), Some(claim.id())).unwrap();
    bills.release(claim.id()).unwrap();
    assert_eq!(bills.pop(3).unwrap().len(), 3);
    h.queue("q0").remove().unwrap();
    let _ = h.driver().step();
    disk.set_capacity(None);
    h.kill();
    h.settle();
    assert_eq!(dead.counts().2, 10);
    assert!(bills.try_say("again").is_ok() && orders.try_say("again").is_ok());
    assert!(h.driver().is_alive());
    h.check();
}

#[test]
fn a_driver_that_is_open_is_not_opened_again() {
    let h = Harness::live();
    h.two_pools();
    let orders = h.create("orders");
    orders.say("coffee");
    assert_fails!(h.config().open_pooled("/control"), Error::AlreadyOpen { .. });
    assert_fails!(h.config().open("/control"), Error::AlreadyOpen { .. });
    assert_eq!(orders.all(), ["coffee"]);
}

#[test]
fn changes_of_a_buffered_driver_survive_its_process() {
    let h = Harness::live().with(|config| config.durability(zaqar_sled::Durability::Buffered));
    h.two_pools();
    let orders = h.create_with("orders", r#"{"_max_claim_count": 1, "_dead_letter_queue": "dead"}"#);
    h.prefer("two");
    let dead = h.create("dead");
    for round in 0..10 {
        let body = round.to_string();
        orders.say(&body);
        orders.wear();
        assert!(orders.try_claim(60, 60, 10).unwrap().is_none());
        let notes = h.create("notes");
        notes.say(&body);
        h.kill();
        assert_eq!(notes.all(), [body]);
        notes.move_to("one").unwrap();
        h.kill();
        assert_eq!(notes.counts().2, 1);
        notes.remove().unwrap();
        h.kill();
        assert!(!notes.exists());
    }
    h.settle();
    assert_eq!(dead.all(), (0..10).map(|round| round.to_string()).collect::<Vec<_>>());
    h.check();
}

#[test]
fn a_shared_driver_is_opened_twice_and_works_twice() {
    let h = Harness::live().with(|config| config.shared(true));
    h.two_pools();
    let orders = h.create("orders");
    orders.say("coffee");
    let other = h.config().open_pooled("/control").unwrap();
    let same = other.queue(shop(), "orders").unwrap();
    assert_eq!(same.stats().unwrap().total(), 1);
    same.post(crate::support::ALICE, &[lasting("tea", 60)]).unwrap();
    assert_eq!(orders.all(), ["coffee", "tea"]);
    drop((same, other));
    assert_eq!(orders.all(), ["coffee", "tea"]);
    orders.say("cocoa");
    h.check();
}
