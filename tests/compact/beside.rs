//! Compactions beside calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use zaqar_sled::disk::SimulatedDisk;
use zaqar_sled::{ClaimOptions, Config, DataDriver, Engine, Metadata, Project};

use crate::support::{CLIENT, Life, Lived, assert_sound, clock, config, dump, message};

#[test]
fn a_compaction_changes_nothing_that_a_caller_sees() {
    for life in [Life::Journal, Life::Snapshot, Life::Cold] {
        let lived = Lived::new(life);
        for _ in 0..3 {
            lived.engine.compact().unwrap();
            assert_eq!(dump(&lived.engine, &lived.claims).unwrap(), lived.with_claims, "{life:?}");
            assert_sound(&lived.engine, &format!("{life:?}"));
        }
        let killed = lived.config(&lived.disk.kill(), 1).open("/store").unwrap();
        assert_eq!(dump(&killed, &lived.claims).unwrap(), lived.with_claims, "{life:?}, killed");
    }
}

#[test]
fn workers_go_on_during_compactions() {
    let disk = SimulatedDisk::new();
    let config = Config::new().disk(Arc::new(disk.clone())).segment_size(64 << 10).memory(64 << 10);
    let engine: Engine = config.clone().open("/store").unwrap();
    let done = AtomicBool::new(false);
    let mut worked = 0;
    thread::scope(|scope| {
        let workers: Vec<_> = ["a", "b"]
            .map(|name| {
                let (queue, done) = (engine.queue(Project::none(), name).unwrap(), &done);
                queue.create(Metadata::new()).unwrap();
                scope.spawn(move || {
                    let mut worked = 0_u64;
                    while !done.load(Ordering::SeqCst) || worked == 0 {
                        queue.post(CLIENT, &vec![message("work", 700); 20]).unwrap();
                        let claim = queue.claim(ClaimOptions::new().limit(10)).unwrap().unwrap();
                        claim.delete_all().unwrap();
                        claim.release().unwrap();
                        worked += 10;
                    }
                    worked
                })
            })
            .into_iter()
            .collect();
        for _ in 0..20 {
            engine.compact().unwrap();
        }
        done.store(true, Ordering::SeqCst);
        worked = workers.into_iter().map(|worker| worker.join().unwrap()).sum();
    });
    let total = |engine: &Engine| {
        let of = |name: &str| engine.queue(Project::none(), name).unwrap().stats().unwrap().total();
        of("a") + of("b")
    };
    assert_eq!(total(&engine), worked);
    assert_sound(&engine, "after compactions");
    engine.sync().unwrap();
    let disk = disk.kill();
    let killed = config.disk(Arc::new(disk)).open("/store").unwrap();
    assert_eq!(total(&killed), worked);
}

#[test]
fn a_closed_engine_is_not_compacted() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let engine = config(&disk, &clock, 1).open("/store").unwrap();
    engine.close().unwrap();
    assert!(engine.compact().unwrap_err().is_closed());
    assert!(!engine.is_alive());
}
