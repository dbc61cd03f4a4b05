//! Backups beside threads that post, claim and delete.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use zaqar_sled::disk::{Calls, Operation, SimulatedDisk};
use zaqar_sled::{ClaimOptions, Config, DataDriver, Durability, Engine, Metadata, Project, Queue};

use crate::scene::{BACKUP, Scene, disks_config};
use crate::support::{CLIENT, assert_sound, everything, message};

/// How far one queue is: messages are posted in order, and deleted in order.
#[derive(Default)]
struct Progress {
    begun: AtomicU64,
    posted: AtomicU64,
    deleting: AtomicU64,
    deleted: AtomicU64,
}

impl Progress {
    /// Begun, posted, deleting, deleted: what has at most, and at least, happened.
    fn now(&self) -> [u64; 4] {
        [&self.begun, &self.posted, &self.deleting, &self.deleted].map(|counter| counter.load(Ordering::SeqCst))
    }
}

/// Ends the other threads, also when the test fails.
pub(crate) struct Over<'a>(pub(crate) &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn queue(engine: &Engine, name: &str) -> Queue {
    engine.queue(Project::none(), name).unwrap()
}

fn post(queue: &Queue, progress: &Progress) {
    let number = progress.begun.fetch_add(1, Ordering::SeqCst);
    queue.post(CLIENT, &[message(&format!("{number:08}"), 200)]).unwrap();
    progress.posted.fetch_add(1, Ordering::SeqCst);
}

fn delete(queue: &Queue, progress: &Progress) {
    progress.deleting.fetch_add(1, Ordering::SeqCst);
    match queue.claim(ClaimOptions::new().limit(1)).unwrap() {
        Some(claim) => {
            claim.delete(&claim.messages()[0]).unwrap();
            progress.deleted.fetch_add(1, Ordering::SeqCst);
            claim.release().unwrap();
        }
        None => drop(progress.deleting.fetch_sub(1, Ordering::SeqCst)),
    }
}

/// The numbers of the first message and behind the last one.
fn range(engine: &Engine, name: &str) -> (u64, u64) {
    let numbers: Vec<u64> = queue(engine, name)
        .iter(everything())
        .map(|message| String::from_utf8_lossy(&message.unwrap().body().as_bytes()[..8]).parse().unwrap())
        .collect();
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{name}: {numbers:?}");
    numbers.first().zip(numbers.last()).map_or((0, 0), |(first, last)| (*first, last + 1))
}

#[test]
fn a_backup_beside_calls_is_the_state_of_one_instant() {
    let disk = SimulatedDisk::new();
    let config = || Config::new().disk(Arc::new(disk.clone())).segment_size(32 << 10).memory(64 << 10);
    let engine = config().open("/store").unwrap();
    let names = ["a", "b", "chained"];
    let progress: BTreeMap<&str, Progress> = names.map(|name| (name, Progress::default())).into();
    for name in names {
        queue(&engine, name).create(Metadata::new()).unwrap();
    }
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for name in ["a", "b"] {
            for durability in [Durability::Sync, Durability::Buffered] {
                let (engine, progress, over) = (engine.with_durability(durability), &progress, &over);
                scope.spawn(move || {
                    while !over.load(Ordering::SeqCst) {
                        if durability == Durability::Sync {
                            post(&queue(&engine, name), &progress[name]);
                            if name == "a" {
                                // Never more than are posted to the first queue.
                                post(&queue(&engine, "chained"), &progress["chained"]);
                            }
                        } else {
                            delete(&queue(&engine, name), &progress[name]);
                        }
                    }
                });
            }
        }
        let _over = Over(&over);
        for round in 0..12 {
            let before = names.map(|name| progress[name].now());
            let report = engine.backup("/backup").unwrap();
            let after = names.map(|name| progress[name].now());
            let path = format!("/restored-{round}");
            assert_eq!(disks_config(&disk).restore("/backup", &path).unwrap().last_lsn(), report.last_lsn());
            let restored = config().open(&path).unwrap();
            assert_sound(&restored, &path);
            let found = names.map(|name| range(&restored, name));
            for ((name, (first, end)), (before, after)) in names.iter().zip(found).zip(before.iter().zip(&after)) {
                let context = format!("{name}, round {round}: {first}..{end}, {before:?}, {after:?}");
                if first < end {
                    assert!(before[3] <= first && first <= after[2], "{context}");
                    assert!(before[1] <= end && end <= after[0], "{context}");
                } else {
                    assert!(before[1] <= after[2], "{context}: all are gone");
                }
            }
            let [(_, a), _, (_, chained)] = found;
            assert!(chained <= a || a == 0, "round {round}: {chained} behind {a}");
        }
    });
    assert_sound(&engine, "the original");
}

#[test]
fn a_close_ends_a_backup_early() {
    let disk = SimulatedDisk::new();
    let engine = Config::new().disk(Arc::new(disk.clone())).open("/store").unwrap();
    let jobs = queue(&engine, "jobs");
    jobs.create(Metadata::new()).unwrap();
    jobs.post(CLIENT, &[message("work", 100)]).unwrap();
    let gate = disk.hold(Calls::from(Operation::Create).under("/backup"));
    thread::scope(|scope| {
        let backup = scope.spawn(|| engine.backup("/backup"));
        assert!(gate.wait_for(1, Duration::from_secs(60)));
        let close = scope.spawn(|| engine.close());
        while engine.is_alive() {
            thread::yield_now();
        }
        gate.open();
        assert!(backup.join().unwrap().unwrap_err().is_closed());
        close.join().unwrap().unwrap();
    });
    assert!(crate::scene::sets(&disk).is_empty());
}

#[test]
fn housekeeping_goes_on_while_files_are_copied_and_keeps_those_that_the_backup_needs() {
    let mut scene = Scene::new(1);
    scene.live();
    let before = scene.state();
    let page_files = || {
        let all = scene.disk.list_all().into_iter();
        all.filter(|path| path.starts_with("/store") && path.to_string_lossy().ends_with(".heap")).count()
    };
    let gate = scene.disk.hold(Calls::from(Operation::Create).under("/backup/set-0000000000000001/store/heap"));
    thread::scope(|scope| {
        let backup = scope.spawn(|| scene.engine.backup(BACKUP));
        assert!(gate.wait_for(1, Duration::from_secs(60)));
        ["jobs", "dead", "quiet"].iter().for_each(|name| scene.queue(name).delete().unwrap());
        for _ in 0..3 {
            scene.engine.step().unwrap();
            scene.engine.snapshot().unwrap();
        }
        assert!(page_files() > 0, "the backup needs them");
        gate.open();
        backup.join().unwrap().unwrap();
    });
    scene.engine.snapshot().unwrap();
    assert_eq!(page_files(), 0, "nobody needs them any more");
    assert_eq!(scene.restored(&scene.disk), before);
}
