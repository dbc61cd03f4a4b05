//! Calls beside archives that are written all the time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use zaqar_sled::{
    ClientId, Engine, ManualClock, Metadata, NewMessage, Project, Queue, QueueListOptions, SimulatedDisk, Timestamp,
};

use crate::random::Random;
use crate::variables::{ROUNDS, SEED};
use crate::{ROOT, config};

const THREADS: u64 = 3;
const CALLS: u64 = 400;

/// A thread with queues of its own, so that it knows the answer to each call.
fn live(engine: &Engine, thread: u64, seed: u64) -> BTreeMap<String, String> {
    let mut random = Random::new(seed.wrapping_mul(1_000).wrapping_add(thread));
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    for call in 0..CALLS {
        // The queues of the threads lie between one another.
        let name = format!("queue-{}-{thread}", random.below(30));
        let queue = engine.queue(Project::none(), &name).unwrap();
        let metadata = format!(r#"{{"call":{call}}}"#);
        let parsed = Metadata::from_json(&metadata).unwrap();
        match random.below(10) {
            0..4 => {
                assert_eq!(queue.create(parsed).unwrap(), !known.contains_key(&name), "{name}");
                known.entry(name).or_insert(metadata);
            }
            4 => {
                queue.delete().unwrap();
                known.remove(&name);
            }
            5 => {
                assert_eq!(queue.set_metadata(&parsed).is_ok(), known.contains_key(&name), "{name}");
                known.entry(name).and_modify(|known| *known = metadata);
            }
            6 => post_and_pop(&queue, known.contains_key(&name)),
            7 => check_listing(engine, thread, &known),
            _ => assert_eq!(
                queue.metadata().ok().map(|metadata| metadata.to_json()).as_ref(),
                known.get(&name),
                "{name}"
            ),
        }
    }
    known
}

fn post_and_pop(queue: &Queue, is_known: bool) {
    let posted = queue.post(ClientId::from_bytes([1; 16]), &[NewMessage::new("x")]);
    assert_eq!(posted.is_ok(), is_known);
    assert_eq!(queue.pop(1).unwrap().len(), usize::from(is_known));
}

fn check_listing(engine: &Engine, thread: u64, known: &BTreeMap<String, String>) {
    let options = QueueListOptions::new().limit(0).detailed(true);
    let page = engine.queues().list(&Project::none(), &options).unwrap();
    let ours = page.items.iter().filter(|entry| entry.name().as_str().ends_with(&format!("-{thread}")));
    let found: BTreeMap<String, String> =
        ours.map(|entry| (entry.name().to_string(), entry.metadata().unwrap().to_json())).collect();
    assert_eq!(&found, known);
    assert!(page.items.is_sorted_by_key(|entry| entry.name().clone()));
}

#[test]
fn calls_beside_archives_see_every_queue_as_it_is() {
    let first: u64 = SEED.or(1);
    for seed in first..first + ROUNDS.or(4) {
        println!("seed {seed}");
        let disk = SimulatedDisk::new();
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1 << 40)));
        let engine = config(&disk, &clock).open(ROOT).unwrap();
        let done = AtomicBool::new(false);
        let known: BTreeMap<String, String> = thread::scope(|scope| {
            let archiver = scope.spawn(|| {
                let mut archives = 0_u64;
                while !done.load(Ordering::Acquire) {
                    engine.snapshot().unwrap();
                    archives += 1;
                }
                archives
            });
            let threads: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let engine = engine.clone();
                    scope.spawn(move || live(&engine, thread, seed))
                })
                .collect();
            let known = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
            done.store(true, Ordering::Release);
            assert!(archiver.join().unwrap() > 0);
            known
        });
        check(&engine, &known);
        check(&config(&disk.kill(), &clock).open(ROOT).unwrap(), &known);
    }
}

fn check(engine: &Engine, known: &BTreeMap<String, String>) {
    assert_eq!(engine.status().queues(), known.len() as u64);
    assert_eq!(engine.queues().count(&Project::none()).unwrap(), known.len() as u64);
    for (name, metadata) in known {
        let found = engine.queue(Project::none(), name).unwrap().metadata().unwrap();
        assert_eq!(&found.to_json(), metadata);
    }
    assert!(engine.verify().unwrap().is_sound());
}
