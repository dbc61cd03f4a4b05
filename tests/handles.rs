//! Handles: the defaults that they fill in, the queues that they name, and the contract calls that they make.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the way to say what is wrong")]
#![allow(clippy::duration_suboptimal_units, reason = "seconds are what the contract counts in")]

use std::sync::Arc;
use std::time::Duration;

use zaqar_sled::{
    ClaimOptions, ClientId, Config, Engine, Limits, ManualClock, MessageListOptions, Metadata, NewMessage, NewPool,
    Project, SimulatedDisk, Sort, Timestamp, Ttl,
};

fn config(disk: &SimulatedDisk) -> Config {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
    Config::new().disk(Arc::new(disk.clone())).clock(clock).background(false)
}

fn engine() -> Engine {
    config(&SimulatedDisk::new()).open("/store").unwrap()
}

#[test]
fn a_message_without_times_gets_the_queues_or_no_end_and_no_delay() {
    let engine = engine();
    let plain = engine.queue(Project::none(), "plain").unwrap();
    plain.create(Metadata::new()).unwrap();
    plain.post(ClientId::random(), &[NewMessage::new("a")]).unwrap();
    assert_eq!(plain.pop(1).unwrap()[0].ttl(), Ttl::Forever);

    let zaqar = config(&SimulatedDisk::new()).limits(Limits::zaqar()).open("/store").unwrap();
    let limited = zaqar.queue(Project::none(), "plain").unwrap();
    limited.create(Metadata::new()).unwrap();
    limited.post(ClientId::random(), &[NewMessage::new("a")]).unwrap();
    assert_eq!(limited.pop(1).unwrap()[0].ttl(), Duration::from_secs(3600));

    let set = engine.queue(Project::none(), "set").unwrap();
    let metadata = Metadata::new().with("_default_message_ttl", 90).unwrap();
    set.create(metadata.with("_default_message_delay", 5).unwrap()).unwrap();
    let given = NewMessage::new("given").ttl(Duration::from_secs(70)).delay(Duration::ZERO);
    set.post(ClientId::random(), &[NewMessage::new("a"), given]).unwrap();
    let popped = set.pop(5).unwrap();
    assert_eq!((popped.len(), popped[0].ttl()), (1, Duration::from_secs(70).into()), "the other one is delayed");
    assert_eq!(set.first(Sort::Oldest).unwrap().ttl(), Duration::from_secs(90));
}

#[test]
fn a_handle_follows_its_name_to_a_queue_made_anew() {
    let jobs = engine().queue(Project::none(), "jobs").unwrap();
    jobs.create(Metadata::new()).unwrap();
    let old = jobs.post(ClientId::random(), &[NewMessage::new("old")]).unwrap();
    jobs.delete().unwrap();
    assert!(jobs.metadata().unwrap_err().is_not_found());
    assert!(jobs.create(Metadata::new()).unwrap());
    assert_eq!(jobs.stats().unwrap().total(), 0);
    assert!(jobs.get(&old[0]).unwrap_err().is_not_found());
    assert!(jobs.post(ClientId::random(), &[NewMessage::new("new")]).unwrap()[0] > old[0]);
}

#[test]
fn iter_walks_all_pages_under_any_limits() {
    for limits in [Limits::default(), Limits::zaqar()] {
        let engine = config(&SimulatedDisk::new()).limits(limits).open("/store").unwrap();
        let jobs = engine.queue(Project::none(), "jobs").unwrap();
        jobs.create(Metadata::new()).unwrap();
        let ids = jobs.post(ClientId::random(), &vec![NewMessage::new("work"); 205]).unwrap();
        let seen: Result<Vec<_>, _> = jobs.iter(MessageListOptions::new()).map(|m| m.map(|m| m.id())).collect();
        assert_eq!(seen.unwrap(), ids);
    }
}

#[test]
fn a_claim_deletes_renews_and_releases() {
    let jobs = engine().queue(Project::none(), "jobs").unwrap();
    jobs.create(Metadata::new()).unwrap();
    jobs.post(ClientId::random(), &vec![NewMessage::new("work"); 3]).unwrap();
    let claim = jobs.claim(ClaimOptions::new().limit(2)).unwrap().unwrap();
    claim.delete(&claim.messages()[0]).unwrap();
    claim.delete(&claim.messages()[0]).unwrap(); // Already deleted.
    claim.renew(Duration::from_secs(500), Duration::ZERO).unwrap();
    assert_eq!(claim.ttl(), Duration::from_secs(500));
    let late = claim.clone();
    claim.release().unwrap();
    assert!(late.delete(&late.messages()[1]).unwrap_err().is_not_permitted());
    assert!(late.delete_all().unwrap_err().is_not_permitted());
    let both = jobs.claim(ClaimOptions::new()).unwrap().unwrap();
    both.delete_all().unwrap();
    assert_eq!(jobs.stats().unwrap().total(), 0);
}

/// A page that was rewritten without its removed messages forgot its records in the trees.
#[test]
fn a_page_that_shrank_leaves_nothing_behind_in_the_trees() {
    for left in [0, 1, 5] {
        let disk = SimulatedDisk::new();
        let engine = config(&disk).open("/store").unwrap();
        let jobs = engine.queue(Project::none(), "jobs").unwrap();
        jobs.create(Metadata::new()).unwrap();
        let mut messages = vec![NewMessage::new("work"); 35];
        messages.extend(vec![NewMessage::new(""); 5]); // What is left may have no bodies at all.
        let ids = jobs.post(ClientId::random(), &messages).unwrap();
        engine.checkpoint().unwrap();
        jobs.bulk_delete(&ids[..40 - left]).unwrap();
        engine.close().unwrap();
        let engine = config(&disk).open("/store").unwrap();
        assert_eq!(engine.recovery().notes(), [""; 0]);
        assert!(engine.verify().unwrap().is_sound());
        assert_eq!(engine.queue(Project::none(), "jobs").unwrap().stats().unwrap().total(), left as u64);
    }
}

#[test]
fn a_queue_is_created_or_its_metadata_are_replaced() {
    let engine = engine();
    let jobs = engine.queue(Project::none(), "jobs").unwrap();
    let owner = |name: &str| Metadata::new().with("owner", name).unwrap();
    assert!(jobs.create_or_update(owner("ann")).unwrap());
    let ids = jobs.post(ClientId::random(), &[NewMessage::new("a")]).unwrap();
    assert!(!jobs.create_or_update(owner("bob")).unwrap());
    assert_eq!(jobs.metadata().unwrap(), owner("bob"));
    assert!(jobs.get(&ids[0]).is_ok(), "it is the same queue");
    let wrong = Metadata::new().with("_max_claim_count", "many").unwrap();
    assert!(jobs.create_or_update(wrong.clone()).unwrap_err().is_invalid());
    assert_eq!(jobs.metadata().unwrap(), owner("bob"));
    jobs.delete().unwrap();
    assert!(jobs.create_or_update(wrong).unwrap_err().is_invalid());
    assert!(!jobs.exists().unwrap());
    assert!(jobs.create_or_update(owner("eve")).unwrap());
}

#[test]
fn a_queue_that_others_create_and_delete_is_created_or_updated_all_the_same() {
    let engine = engine();
    let jobs = engine.queue(Project::none(), "jobs").unwrap();
    let round = |thread: u64| {
        for n in 0..200 {
            let metadata = Metadata::new().with("by", thread).unwrap();
            jobs.create_or_update(metadata).unwrap();
            if n % 3 == 0 {
                jobs.delete().unwrap();
            }
        }
    };
    std::thread::scope(|scope| (0..3).for_each(|thread| drop(scope.spawn(move || round(thread)))));
    jobs.create_or_update(Metadata::new()).unwrap();
    assert!(engine.verify().unwrap().is_sound());
}

#[test]
fn a_pooled_queue_is_created_or_updated_and_stays_where_it_is() {
    let driver = config(&SimulatedDisk::new()).open_pooled("/store").unwrap();
    let jobs = driver.queue(Project::none(), "jobs").unwrap();
    assert_eq!(jobs.create_or_update(Metadata::new()).unwrap_err().name(), "NoPoolFound");
    driver.pools().create(&"one".parse().unwrap(), &NewPool::new("sled:/one".parse().unwrap())).unwrap();
    assert!(jobs.create_or_update(Metadata::new()).unwrap());
    let flavored = Metadata::new().with("_flavor", "gold").unwrap();
    assert_eq!(jobs.create_or_update(flavored).unwrap_err().name(), "FlavorDoesNotExist");
    assert!(!jobs.create_or_update(Metadata::new().with("owner", "ann").unwrap()).unwrap());
    assert!(jobs.metadata().unwrap().contains("owner"));
}
