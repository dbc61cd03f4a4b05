//! Bookmarks beside other threads, power cuts and snapshots.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is the way to say what is wrong")]

use std::collections::BTreeSet;
use std::sync::{Arc, Barrier};
use std::thread;

use zaqar_sled::disk::Keep;
use zaqar_sled::{
    Bookmark, BookmarkRecord, ClientId, Config, Durability, Engine, Error, ExtendedDriver, ListOptions,
    MessageListOptions, Metadata, NewMessage, Project, SimulatedDisk,
};

fn config(disk: &SimulatedDisk) -> Config {
    Config::new().disk(Arc::new(disk.clone())).segment_size(64 << 10)
}

fn open(disk: &SimulatedDisk) -> Engine {
    config(disk).open("store").unwrap()
}

fn bookmark(engine: &Engine, name: &str) -> Bookmark {
    engine.bookmark(Project::none(), name).unwrap()
}

fn number(read: Option<&BookmarkRecord>) -> u64 {
    read.map_or(0, |read| String::from_utf8_lossy(read.value().as_bytes()).parse().unwrap())
}

#[test]
fn of_the_threads_that_expect_the_same_version_one_wins() {
    const EACH: u64 = 300;
    const THREADS: usize = 4;
    let engine = open(&SimulatedDisk::new());
    let log = engine.queue(Project::none(), "log").unwrap();
    log.create(Metadata::new()).unwrap();
    let together = Arc::new(Barrier::new(THREADS));
    let lost: u64 = thread::scope(|scope| {
        let count = |with_batch: bool| {
            let (engine, log, counter) = (engine.clone(), log.clone(), bookmark(&engine, "count"));
            let together = together.clone();
            move || {
                let (mut won, mut lost) = (0, 0);
                while won < EACH {
                    let read = counter.get().unwrap();
                    if won + lost == 0 {
                        // All have read the same.
                        together.wait();
                    }
                    let (version, next) = (read.as_ref().map(BookmarkRecord::version), number(read.as_ref()) + 1);
                    let set = if with_batch {
                        let mut batch = engine.batch();
                        batch.post(&log, ClientId::random(), [NewMessage::new(next.to_string())]);
                        batch.set_bookmark_if(&counter, version, next.to_string());
                        batch.commit().map(|outcome| outcome.bookmark_version().unwrap())
                    } else {
                        counter.set_if(version, next.to_string())
                    };
                    match set {
                        Ok(set) => {
                            assert!(Some(set) > version);
                            won += 1;
                        }
                        Err(Error::BookmarkChanged { version: present, .. }) => {
                            assert!(present > version, "versions rise");
                            lost += 1;
                        }
                        Err(error) => panic!("{error}"),
                    }
                    thread::yield_now();
                }
                lost
            }
        };
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(count(thread % 2 == 0))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(number(bookmark(&engine, "count").get().unwrap().as_ref()), EACH * THREADS as u64);
    assert_eq!(log.stats().unwrap().total(), EACH * THREADS as u64 / 2, "a batch that lost has posted nothing");
    assert!(lost >= THREADS as u64 - 1, "{lost}");
}

/// Posts the numbers from 1 on, each in a batch with the bookmark, through power cuts that take back what was not synced.
#[test]
fn after_a_power_cut_the_messages_are_those_up_to_the_bookmark_and_no_version_has_two_values() {
    let (mut disk, mut last, mut taken_back) = (SimulatedDisk::new(), 0, 0);
    let mut versions: BTreeSet<u64> = BTreeSet::new();
    for round in 0..60 {
        let engine = config(&disk).durability(Durability::Buffered).background(false).open("store").unwrap();
        let queue = engine.queue(Project::none(), "lines").unwrap();
        queue.create(Metadata::new()).unwrap();
        let offset = bookmark(&engine, "offset");
        let read = offset.get().unwrap();
        let done = number(read.as_ref());
        taken_back += u64::from(done < last);
        let posted: Vec<u64> = queue
            .iter(MessageListOptions::new())
            .map(|message| String::from_utf8_lossy(message.unwrap().body().as_bytes()).parse().unwrap())
            .collect();
        assert_eq!(posted, (1..=done).collect::<Vec<_>>(), "round {round}");
        let mut version = read.map(|read| read.version());
        last = done;
        for next in done + 1..done + 1 + 7 * (round % 5) {
            let mut batch = engine.batch();
            batch.post(&queue, ClientId::random(), [NewMessage::new(next.to_string())]);
            batch.set_bookmark_if(&offset, version, next.to_string());
            version = batch.commit().unwrap().bookmark_version();
            assert!(versions.insert(version.unwrap()), "round {round}: version {version:?} again");
            last = next;
        }
        if round % 3 == 0 {
            engine.sync().unwrap();
        }
        disk = disk.power_loss(Keep::Random(round));
        drop(engine);
    }
    assert!(taken_back > 5, "{taken_back} power cuts took something back");
}

#[test]
fn a_snapshot_of_many_large_bookmarks_that_change_meanwhile_is_of_one_instant() {
    const NAMES: usize = 150;
    let disk = SimulatedDisk::new();
    let engine = config(&disk).background(false).open("store").unwrap();
    let set = |name: usize, number: usize| {
        let mut value = number.to_string().into_bytes();
        value.resize(40 << 10, b' ');
        bookmark(&engine, &format!("{name:03}")).set(value).unwrap();
    };
    (0..NAMES).for_each(|name| set(name, 0));
    thread::scope(|scope| {
        let writer = scope.spawn(|| (1..=5).for_each(|number| (0..NAMES).for_each(|name| set(name, number))));
        while !writer.is_finished() {
            engine.snapshot().unwrap();
        }
    });
    (0..NAMES).step_by(2).for_each(|name| assert!(bookmark(&engine, &format!("{name:03}")).delete().unwrap()));
    engine.snapshot().unwrap();
    let all = |engine: &Engine| engine.bookmarks().list(&Project::none(), &ListOptions::new().limit(0)).unwrap();
    let before = all(&engine);
    assert_eq!(before.items.len(), NAMES / 2);
    let again = open(&disk.kill());
    assert_eq!(all(&again), before);
    assert!(again.verify().unwrap().is_sound());
    again.close().unwrap();
    drop(engine);
}

/// The trees may be older or newer than the snapshot; the values are those of the snapshot and of the journal behind it.
#[test]
fn a_salvage_that_takes_the_registrys_head_from_trees_takes_no_values_from_them() {
    let store = |life: fn(&Engine)| {
        let disk = SimulatedDisk::new();
        let engine = config(&disk).background(false).open("store").unwrap();
        life(&engine);
        let disk = disk.kill();
        drop(engine);
        let snapshot =
            disk.list_all().into_iter().find(|path| path.extension().is_some_and(|end| end == "base")).unwrap();
        let bytes = disk.read(&snapshot).unwrap();
        let head = bytes.windows(8).position(|found| found == b"registry").unwrap();
        disk.corrupt(&snapshot, head as u64, 0x10).unwrap();
        assert!(config(&disk).open("store").unwrap_err().is_corrupt());
        config(&disk).salvage(true).open("store").unwrap()
    };
    let older = store(|engine| {
        bookmark(engine, "a").set("old").unwrap();
        engine.checkpoint().unwrap();
        bookmark(engine, "a").set("new").unwrap();
        engine.snapshot().unwrap();
        bookmark(engine, "b").set("last").unwrap();
    });
    let value = |engine: &Engine, name: &str| bookmark(engine, name).get().unwrap().map(|read| read.value().clone());
    assert_eq!((value(&older, "a"), value(&older, "b")), (Some("new".into()), Some("last".into())));
    let newer = store(|engine| {
        bookmark(engine, "a").set("old").unwrap();
        bookmark(engine, "gone").set("x").unwrap();
        engine.snapshot().unwrap();
        bookmark(engine, "gone").delete().unwrap();
        bookmark(engine, "a").set("new").unwrap();
        engine.checkpoint().unwrap();
    });
    assert_eq!((value(&newer, "a"), value(&newer, "gone")), (Some("new".into()), None));
}

#[test]
fn the_bookmarks_of_a_store_take_up_to_64_mib() {
    let engine = open(&SimulatedDisk::new());
    let value = vec![7; 64 << 10];
    let mut set = 0_u64;
    let refused = loop {
        match bookmark(&engine, &set.to_string()).set(value.clone()) {
            Ok(_) if set < 2_000 => set += 1,
            Ok(_) => panic!("more than 64 MiB"),
            Err(error) => break error,
        }
    };
    assert!(refused.is_too_large(), "{refused}");
    assert!(set > 1_000 && set * value.len() as u64 <= BookmarkRecord::MOST_BYTES_OF_ALL, "{set}");
    // What does not grow is still set, and what is deleted makes room.
    bookmark(&engine, "0").set(value.clone()).unwrap();
    assert!(bookmark(&engine, "another").set(value.clone()).unwrap_err().is_too_large());
    let mut batch = engine.batch();
    batch.delete_bookmark_if(&bookmark(&engine, "1"), zaqar_sled::BookmarkCondition::Any);
    batch.commit().unwrap();
    bookmark(&engine, "another").set(value).unwrap();
}
