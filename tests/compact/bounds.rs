//! The size of a store's directory after a compaction.

use std::fs;
use std::path::Path;

use zaqar_sled::{
    CompactReport, Config, Durability, Engine, Message, MessageId, MessageListOptions, Metadata, NewMessage, NewPool,
    PoolName, PoolUri, PooledDriver, Project, Queue,
};

use crate::support::{CLIENT, assert_sound};

const SEGMENT: u64 = 1 << 20;
const MIB: u64 = 1 << 20;

fn config() -> Config {
    Config::new().durability(Durability::Buffered).segment_size(SEGMENT).memory(8 * MIB).background(false)
}

/// Posts `count` messages of `bytes`, and returns their ids.
fn fill(queue: &Queue, count: usize, bytes: usize) -> Vec<MessageId> {
    queue.create(Metadata::new()).unwrap();
    let batch = vec![NewMessage::new("x".repeat(bytes)); 50];
    (0..count / batch.len()).flat_map(|_| queue.post(CLIENT, &batch).unwrap()).collect()
}

/// The bytes of all files in the directory.
fn size(path: &Path) -> u64 {
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| if entry.path().is_dir() { size(&entry.path()) } else { entry.metadata().unwrap().len() }).sum()
}

/// The bound that `Engine::compact` states, where the live messages take `live` bytes.
fn assert_within_bounds(report: &CompactReport, live: u64, trees: u64) {
    let after = report.after();
    assert!(after.page_files() <= live + live / 7, "{after:?}, {live} of them live");
    assert!(after.journal() <= SEGMENT + 4096, "{after:?}");
    assert!(after.trees() <= trees, "{after:?}");
    assert!(after.snapshots() <= live / 16 + 4096 && after.archives() == 0 && after.damaged() == 0, "{after:?}");
    assert!(after.reserve() <= 4 * SEGMENT + live / 4, "{after:?}");
}

#[test]
fn after_95_of_100_messages_are_deleted_the_directory_shrinks_to_what_is_left() {
    let directory = tempfile::tempdir().unwrap();
    let engine = config().open(directory.path()).unwrap();
    let queue = engine.queue(Project::none(), "jobs").unwrap();
    let (count, bytes) = (100_000, 2_000);
    let ids = fill(&queue, count, bytes);
    engine.checkpoint().unwrap();
    assert!(size(directory.path()) > 200_000_000);
    // Every page keeps some of its messages.
    let deleted: Vec<MessageId> = ids.iter().enumerate().filter(|(at, _)| at % 20 != 0).map(|(_, id)| *id).collect();
    deleted.chunks(1_000).for_each(|some| queue.bulk_delete(some).unwrap());
    let report = engine.compact().unwrap();
    // 100 B for each message in an image, and 200 B for each page.
    let live = (count / 20 * (bytes + 100 + 200)) as u64;
    assert_within_bounds(&report, live, 8 * MIB);
    assert_eq!(size(directory.path()), report.after().total());
    assert!(report.after().total() < 24 * MIB && report.freed() > 150 * MIB, "{report}");
    assert_sound(&engine, "compacted");
    assert_eq!(queue.stats().unwrap().total(), count as u64 / 20);
    let again = engine.compact().unwrap();
    assert_within_bounds(&again, live, 8 * MIB);
    engine.close().unwrap();
    let engine = config().open(directory.path()).unwrap();
    let first = MessageListOptions::new().limit(3);
    let found: Vec<MessageId> =
        engine.queue(Project::none(), "jobs").unwrap().list(&first).unwrap().items.iter().map(Message::id).collect();
    assert_eq!(found, [ids[0], ids[20], ids[40]]);
}

#[test]
fn an_empty_store_has_next_to_nothing_after_a_compaction() {
    let directory = tempfile::tempdir().unwrap();
    let engine = config().open(directory.path()).unwrap();
    let queue = engine.queue(Project::none(), "jobs").unwrap();
    fill(&queue, 10_000, 2_000);
    queue.delete().unwrap();
    let report = engine.compact().unwrap();
    assert_within_bounds(&report, 0, 0);
    // Nothing is added by a compaction of a store that has nothing to give back.
    for _ in 0..5 {
        let again = engine.compact().unwrap();
        assert!(again.after().journal() <= SEGMENT + 4096, "{again:?}");
        assert!(again.after().total() <= report.after().total() + 4096, "{again} {report}");
    }
}

#[test]
fn trees_that_have_outgrown_their_content_are_filled_anew() {
    let directory = tempfile::tempdir().unwrap();
    let engine = config().open(directory.path()).unwrap();
    for number in 0..8_000 {
        engine.queue(Project::none(), format!("queue-{number}")).unwrap().create(Metadata::new()).unwrap();
    }
    for _ in 0..4 {
        let metadata = Metadata::new().with("long", "x".repeat(500)).unwrap();
        for number in (0..8_000).step_by(3) {
            engine.queue(Project::none(), format!("queue-{number}")).unwrap().set_metadata(&metadata).unwrap();
        }
        engine.checkpoint().unwrap();
    }
    for number in 1..8_000 {
        engine.queue(Project::none(), format!("queue-{number}")).unwrap().delete().unwrap();
    }
    let report = engine.compact().unwrap();
    assert!(report.before().trees() > 6 * MIB, "{report:?}");
    assert!(report.after().trees() <= 4 * MIB, "{report:?}");
    assert!(engine.verify().unwrap().is_sound());
    engine.close().unwrap();
    let engine = config().open(directory.path()).unwrap();
    assert_eq!(engine.queues().count(&Project::none()).unwrap(), 1);
}

#[test]
fn an_archive_of_deleted_queues_is_written_anew() {
    let directory = tempfile::tempdir().unwrap();
    let engine = config().queue_memory(0).open(directory.path()).unwrap();
    for number in 0..5_000 {
        engine.queue(Project::none(), format!("queue-{number}")).unwrap().create(Metadata::new()).unwrap();
    }
    engine.snapshot().unwrap();
    let full = engine.compact().unwrap().after().archives();
    assert!(full > 100_000, "{full}");
    engine.close().unwrap();
    // With ample memory no archive is due.
    let engine = config().queue_memory(64 * MIB).open(directory.path()).unwrap();
    for number in 0..4_990 {
        engine.queue(Project::none(), format!("queue-{number}")).unwrap().delete().unwrap();
    }
    engine.snapshot().unwrap();
    let report = engine.compact().unwrap();
    assert!(report.before().archives() == full && report.after().archives() < full / 50, "{report:?}");
    assert_eq!(engine.queues().count(&Project::none()).unwrap(), 10);
    assert!(engine.verify().unwrap().is_sound());
}

#[test]
fn all_stores_of_a_pooled_driver_are_compacted() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let driver: PooledDriver = config().open_pooled(path("control")).unwrap();
    for name in ["one", "two"] {
        let uri = PoolUri::new(format!("sled:{}", path(name).display())).unwrap();
        driver.pools().create(&PoolName::new(name).unwrap(), &NewPool::new(uri)).unwrap();
    }
    let queues: Vec<Queue> =
        (0..6).map(|number| driver.queue(Project::none(), format!("queue-{number}")).unwrap()).collect();
    queues.iter().for_each(|queue| drop(fill(queue, 2_000, 2_000)));
    queues[1..].iter().for_each(|queue| queue.delete().unwrap());
    let report = driver.compact().unwrap();
    assert!(report.after().journal() <= 3 * (SEGMENT + 4096), "{report:?}");
    assert!(report.after().page_files() < 2_000 * 2_400, "{report:?}");
    assert_eq!(size(directory.path()), report.after().total());
    assert!(driver.verify().unwrap().is_sound());
    assert_eq!(queues[0].stats().unwrap().total(), 2_000);
}

#[test]
fn a_full_disk_is_compacted_as_far_as_it_has_space() {
    use zaqar_sled::disk::SimulatedDisk;
    let disk = SimulatedDisk::new();
    let engine: Engine = config().disk(std::sync::Arc::new(disk.clone())).open("/store").unwrap();
    let queue = engine.queue(Project::none(), "jobs").unwrap();
    let ids = fill(&queue, 2_000, 2_000);
    let deleted: Vec<MessageId> = ids.iter().skip(1_000).copied().collect();
    queue.bulk_delete(&deleted).unwrap();
    for spare in [0, 100_000, 1_000_000] {
        let used = engine.compact().map_or(0, |report| report.after().total());
        disk.set_capacity(Some(used + spare));
        match engine.compact() {
            Ok(report) => assert!(report.after().total() <= report.before().total(), "{report:?}"),
            Err(error) => assert!(error.is_full(), "{error}"),
        }
        assert_sound(&engine, "on a full disk");
        disk.set_capacity(None);
    }
    assert_eq!(queue.stats().unwrap().total(), 1_000);
}
