//! The changes of each pool that survive a power cut.

use zaqar_sled::disk::Keep;
use zaqar_sled::{BatchStep, Durability, ExtendedDriver, Messages, NewPool, PoolUpdate, Project, QueueName};

use crate::support::{ALICE, Harness, json, lasting};

/// The bodies after a power cut right behind a post, in a pool with those settings.
fn after_a_power_cut(uri: &str, options: &str, durability: Option<Durability>) -> Vec<String> {
    let h = Harness::live();
    let pool = NewPool::new(uri.parse().unwrap()).options(json(options));
    h.try_pool("one", &pool).unwrap();
    let orders = h.create("orders");
    orders.say("synced by the step");
    h.step();
    let driver = durability.map_or_else(|| h.driver(), |durability| h.driver().with_durability(durability));
    Messages::post(&driver, &orders.project, &orders.name, ALICE, &[lasting("last", 3600)]).unwrap();
    let disk = h.disk().power_loss(Keep::Nothing);
    h.open_on(disk);
    let bodies = orders.all();
    assert_eq!(orders.pool().as_deref(), Some("one"));
    orders.say("after");
    h.check();
    bodies
}

#[test]
fn a_pools_durability_is_that_of_its_options_its_uri_or_the_driver() {
    let (kept, lost) = (["synced by the step", "last"].as_slice(), ["synced by the step"].as_slice());
    assert_eq!(after_a_power_cut("sled:/one", "{}", None), kept);
    assert_eq!(after_a_power_cut("sled:/one?durability=buffered", "{}", None), lost);
    assert_eq!(after_a_power_cut("sled:/one", r#"{"durability": "buffered"}"#, None), lost);
    assert_eq!(after_a_power_cut("sled:/one?durability=buffered", r#"{"durability": "sync"}"#, None), kept);
    assert_eq!(after_a_power_cut("sled:/one?durability=buffered", "{}", Some(Durability::Sync)), kept);
    assert_eq!(after_a_power_cut("sled:/one", "{}", Some(Durability::Buffered)), lost);
}

#[test]
fn a_sync_makes_the_changes_in_every_store_durable() {
    let synced = |syncs: bool| {
        let h = Harness::live().with(|config| config.durability(Durability::Buffered));
        h.pool("one", 1);
        let orders = h.create("orders");
        h.step();
        orders.say("posted");
        orders.set_metadata(r#"{"a": 1}"#).unwrap();
        if syncs {
            h.driver().sync().unwrap();
        }
        let disk = h.disk().power_loss(Keep::Nothing);
        h.open_on(disk);
        h.check();
        (orders.all(), orders.metadata().unwrap().contains("a"))
    };
    assert_eq!(synced(true), (vec!["posted".to_owned()], true));
    assert_eq!(synced(false), (vec![], false));
}

/// Unmapping a queue gives the control store a higher incarnation, which a power cut may not take back.
#[test]
fn after_a_power_cut_no_id_and_no_version_of_the_control_store_is_given_out_again() {
    let h = Harness::live().with(|config| config.durability(Durability::Buffered).virtual_pool(true));
    let own = h.create("own");
    h.pool("one", 1);
    let queues = ["a", "b", "c"].map(|name| h.create(name));
    let bookmark = || h.driver().bookmark(Project::none(), "offset").unwrap();
    own.say("synced");
    h.driver().sync().unwrap();
    queues.iter().for_each(crate::support::Queue::unmap);
    // As many changes as before the cut, so that the next have the same numbers.
    let seen: Vec<_> = (0..9).map(|n| (own.say(&n.to_string()), bookmark().set("before").unwrap())).collect();
    let disk = h.disk().power_loss(Keep::Nothing);
    h.open_on(disk);
    let again: Vec<_> = (0..30).map(|n| (own.say(&n.to_string()), bookmark().set("behind").unwrap())).collect();
    let (last_id, last_version) = *seen.last().unwrap();
    assert!(again.iter().all(|(id, version)| *id > last_id && *version > last_version), "{seen:?} {again:?}");
    h.check();
}

#[test]
fn a_pools_durability_changes_with_its_options_at_once() {
    let h = Harness::live();
    h.pool("one", 1);
    let orders = h.create("orders");
    h.change_pool("one", &PoolUpdate::new().options(json(r#"{"durability": "buffered"}"#))).unwrap();
    orders.say("lost");
    let disk = h.disk().power_loss(Keep::Nothing);
    h.open_on(disk);
    assert!(orders.all().is_empty());
    h.change_pool("one", &PoolUpdate::new().options(json(r#"{"durability": "sync"}"#))).unwrap();
    orders.say("kept");
    let disk = h.disk().power_loss(Keep::Nothing);
    h.open_on(disk);
    assert_eq!(orders.all(), ["kept"]);
    h.check();
}

#[test]
fn a_lost_pool_creation_loses_no_more_than_that() {
    let h = Harness::live().with(|config| config.durability(Durability::Buffered));
    h.pool("one", 1);
    let orders = h.create("orders");
    orders.say("coffee");
    let disk = h.disk().power_loss(Keep::Nothing);
    h.open_on(disk);
    // The first message's post made all earlier changes durable. The message itself may be lost.
    assert!(orders.exists());
    assert_eq!(orders.pool().as_deref(), Some("one"));
    assert!(orders.all().is_empty());
    h.check();
}

#[test]
fn a_batch_over_pools_of_one_store_has_the_strongest_durability_of_them() {
    for (first, last) in [("one", "two"), ("two", "one"), ("missing", "two"), ("missing", "one")] {
        let h = Harness::live();
        for (name, durability) in [("one", "buffered"), ("two", "sync")] {
            let pool = NewPool::new(format!("localhost:{name}").parse().unwrap());
            h.try_pool(name, &pool.options(json(&format!(r#"{{"durability": "{durability}"}}"#)))).unwrap();
        }
        let queues = ["one", "two"].map(|name| {
            h.prefer(name);
            let queue = h.create(name);
            assert_eq!(queue.pool().as_deref(), Some(name));
            queue
        });
        h.step();
        let of = |name: &str| queues.iter().find(|queue| queue.name.as_str() == name);
        let step = |name: &str| match of(name) {
            Some(queue) => BatchStep::Post {
                project: queue.project.clone(),
                queue: queue.name.clone(),
                client: ALICE,
                messages: vec![lasting(name, 3600)],
            },
            None => BatchStep::Delete {
                project: queues[0].project.clone(),
                queue: QueueName::new(name).unwrap(),
                messages: Vec::new(),
                claim: None,
            },
        };
        h.driver().batches().commit(&[step(first), step(last)]).unwrap();
        let disk = h.disk().power_loss(Keep::Nothing);
        h.open_on(disk);
        for name in [first, last] {
            if let Some(queue) = of(name) {
                assert_eq!(queue.all(), [name], "{first} and {last}");
            }
        }
        h.check();
    }
}
