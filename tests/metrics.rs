//! What a store counts and measures.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the way to say what is wrong")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use zaqar_sled::{
    ClaimOptions, ClientId, Config, DataDriver, Durability, Engine, ManualClock, Metadata, Metrics, NewMessage,
    NewPool, PoolName, Project, Purge, Queue, QueueSettings, RedriveOptions, Retry, SimulatedDisk, Timestamp,
};

fn engine() -> (Engine, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
    let config = Config::new().disk(Arc::new(SimulatedDisk::new())).clock(clock.clone()).background(false);
    (config.open("/store").unwrap(), clock)
}

fn created(engine: &Engine, name: &str) -> Queue {
    let queue = engine.queue(Project::none(), name).unwrap();
    queue.create(Metadata::new()).unwrap();
    queue
}

fn post(queue: &Queue, count: usize) {
    let messages = vec![NewMessage::new("12345").header("a", "b"); count];
    queue.post(ClientId::random(), &messages).unwrap();
}

/// The counters that have changed since the last time.
fn changes(engine: &Engine, before: &mut BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let serde_json::Value::Object(fields) = serde_json::to_value(engine.metrics()).unwrap() else { unreachable!() };
    let counters = fields.into_iter().filter(|(name, _)| name.ends_with("_messages") && name != "damaged_messages");
    let now: BTreeMap<String, u64> = counters.map(|(name, value)| (name, value.as_u64().unwrap())).collect();
    let difference = now.iter().map(|(name, value)| (name.clone(), value - before.get(name).unwrap_or(&0)));
    let difference = difference.filter(|(_, value)| *value > 0).collect();
    *before = now;
    difference
}

fn counts<const N: usize>(all: [(&str, u64); N]) -> BTreeMap<String, u64> {
    all.into_iter().map(|(name, count)| (format!("{name}_messages"), count)).collect()
}

#[test]
fn every_way_of_a_message_is_counted() {
    let (engine, clock) = engine();
    let (jobs, other) = (created(&engine, "jobs"), created(&engine, "other"));
    let mut seen = BTreeMap::new();
    let mut changed = || changes(&engine, &mut seen);
    assert_eq!(changed(), counts([]));
    post(&jobs, 20);
    assert_eq!(changed(), counts([("posted", 20)]));
    assert!(engine.metrics().posted_bytes >= 20 * 7);
    let claim = jobs.claim(ClaimOptions::new().limit(6)).unwrap().unwrap();
    assert_eq!(changed(), counts([("claimed", 6)]));
    claim.delete(&claim.messages()[0]).unwrap();
    let ids: Vec<_> = claim.messages()[1..3].iter().map(zaqar_sled::Message::id).collect();
    engine.messages().bulk_delete(jobs.project(), jobs.name(), &ids, &[claim.id()]).unwrap();
    // What is not there is not deleted.
    jobs.delete_message(&ids[0]).unwrap();
    assert_eq!(changed(), counts([("deleted", 3)]));
    claim.retry(Retry::from(&claim.messages()[3]).reason("why")).unwrap();
    claim.release().unwrap();
    assert_eq!(changed(), counts([("retried", 1)]));
    let again = jobs.claim(ClaimOptions::new().limit(5)).unwrap().unwrap();
    assert_eq!(changed(), counts([("claimed", 5), ("redelivered", 3)]));
    let mut batch = engine.batch();
    batch.delete(&again, &again.messages()[0]);
    batch.post(&other, ClientId::random(), vec![NewMessage::new("x"); 4]);
    batch.post(&jobs, ClientId::random(), vec![NewMessage::new("y"); 2]);
    batch.set_bookmark(&engine.bookmark(Project::none(), "offset").unwrap(), "1");
    batch.commit().unwrap();
    assert_eq!(changed(), counts([("deleted", 1), ("posted", 6)]));
    assert_eq!(jobs.pop(3).unwrap().len(), 3);
    assert_eq!(changed(), counts([("deleted", 3)]));
    again.release().unwrap();
    let left = jobs.stats().unwrap().total();
    jobs.set_metadata(&QueueSettings::new().dead_letters("dead", 1).into()).unwrap();
    while jobs.claim(ClaimOptions::new()).unwrap().is_none_or(|claim| claim.release().is_ok())
        && jobs.stats().unwrap().total() > 0
    {}
    let moved = changed();
    assert_eq!(moved["dead_lettered_messages"], left);
    assert!(!moved.contains_key("deleted_messages") && !moved.contains_key("posted_messages"), "{moved:?}");
    let dead = engine.queue(Project::none(), "dead").unwrap();
    assert_eq!(dead.redrive(&RedriveOptions::new().limit(2)).unwrap().moved(), 2);
    assert_eq!(changed(), counts([("redriven", 2)]));
    engine.queues().purge(dead.project(), dead.name(), Purge::All).unwrap();
    assert_eq!(changed(), counts([("deleted", left - 2)]));
    other.delete().unwrap();
    assert_eq!(changed(), counts([("deleted", 4)]));
    for by_call in [true, false] {
        let brief = vec![NewMessage::new("z").ttl(Duration::from_secs(10)); 3];
        jobs.post(ClientId::random(), &brief).unwrap();
        clock.advance(Duration::from_secs(10));
        if by_call {
            jobs.stats().unwrap();
        } else {
            assert_eq!(engine.gc().unwrap().messages(), 3);
        }
        assert_eq!(changed(), counts([("posted", 3), ("expired", 3)]), "{by_call}");
    }
    let metrics = engine.metrics();
    let kept = metrics.posted_messages - metrics.deleted_messages - metrics.expired_messages;
    assert_eq!((metrics.messages, metrics.queues), (kept, 2), "nothing is missing and nothing counts twice");
}

#[test]
fn syncs_snapshots_and_checkpoints_are_timed() {
    let (engine, _) = engine();
    let jobs = created(&engine, "jobs");
    let before = engine.metrics();
    (0..5).for_each(|_| post(&jobs, 1));
    assert_eq!(engine.metrics().journal_syncs.count(), before.journal_syncs.count() + 5);
    let buffered = engine.with_durability(Durability::Buffered).queue(Project::none(), "jobs").unwrap();
    (0..5).for_each(|_| post(&buffered, 1));
    assert_eq!(engine.metrics().journal_syncs.count(), before.journal_syncs.count() + 5);
    assert_eq!(engine.metrics().unsynced_changes, 5);
    engine.snapshot().unwrap();
    engine.checkpoint().unwrap();
    let after = engine.metrics();
    assert_eq!(after.snapshots.count(), before.snapshots.count() + 1);
    assert_eq!(after.checkpoints.count(), before.checkpoints.count() + 1);
    assert!(after.checkpoints.total() > Duration::ZERO);
    engine.close().unwrap();
    assert_eq!(engine.metrics().posted_messages, 10, "also when it is closed");
}

#[test]
fn the_names_are_those_of_the_documentation() {
    let table = include_str!("../src/docs/metrics.md");
    let cell = |line: &str, number: usize| line.split('|').nth(number).unwrap().trim().trim_matches('`').to_owned();
    let rows = table.lines().filter(|line| line.starts_with("| `zaqar_") && line.matches('|').count() == 4);
    let documented: BTreeSet<_> = rows.map(|row| (cell(row, 1), cell(row, 3))).collect();
    let fields: BTreeSet<String> = table
        .lines()
        .filter(|line| line.starts_with("| `zaqar_") && line.matches('|').count() == 4)
        .map(|row| cell(row, 2))
        .collect();
    let text = Metrics::default().to_prometheus();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    assert_eq!(types.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect::<BTreeSet<_>>(), documented);
    let serde_json::Value::Object(json) = serde_json::to_value(Metrics::default()).unwrap() else { unreachable!() };
    assert_eq!(json.keys().cloned().collect::<BTreeSet<_>>(), fields);
}

#[test]
fn each_pool_counts_its_own() {
    let disk = Arc::new(SimulatedDisk::new());
    let driver = Config::new().disk(disk).background(false).open_pooled("/control").unwrap();
    for (name, uri) in [("one", "sled:/pools/one"), ("home", "localhost:1"), ("two", "sled:/pools/two")] {
        let weight = i64::from(name == "one");
        driver
            .pools()
            .create(&PoolName::new(name).unwrap(), &NewPool::new(uri.parse().unwrap()).weight(weight))
            .unwrap();
    }
    let jobs = driver.queue(Project::none(), "jobs").unwrap();
    jobs.create(Metadata::new()).unwrap();
    post(&jobs, 3);
    let all = driver.metrics();
    let told: Vec<_> = all.iter().map(|one| (one.pool.as_ref().map(PoolName::as_str), one.posted_messages)).collect();
    assert_eq!(told, [(None, 0), (Some("one"), 3), (Some("two"), 0)]);
    // A moved message is neither posted nor deleted again.
    driver.move_queue(&Project::none(), jobs.name(), &PoolName::new("two").unwrap()).unwrap();
    let sums = |of: fn(&Metrics) -> u64| driver.metrics().iter().map(of).sum::<u64>();
    let counted = [sums(|one| one.posted_messages), sums(|one| one.messages), sums(|one| one.deleted_messages)];
    assert_eq!(counted, [3, 3, 0]);
    let text = Metrics::all_to_prometheus(&driver.metrics());
    assert!(text.contains("\nzaqar_messages{pool=\"two\"} 3\n"), "{text}");
}
