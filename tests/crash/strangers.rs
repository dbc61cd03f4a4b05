//! Foreign files and directories with names like the store's own: the store leaves them alone and takes no numbers from
//! them. And openings that are refused, which change nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zaqar_sled::disk::{Disk, FaultKind, RealDisk, SimulatedDisk};
use zaqar_sled::{Config, DataDriver, Engine, Metadata, NewPool, PoolName, Project, QueueName, Result};

use super::support::{AMPLE, CLIENT, ROOT, clock, config, files, message, messages_of};

fn jobs() -> QueueName {
    QueueName::new("jobs").unwrap()
}

/// Posts so much that pages leave memory and several segments of the journal are filled.
fn work(engine: &Engine, round: u64) {
    engine.queues().create(&Project::none(), &jobs(), &Metadata::new()).unwrap();
    for n in 0..30 {
        let batch = [message(&format!("{round}.{n}"), 700)];
        engine.messages().post(&Project::none(), &jobs(), CLIENT, &batch).unwrap();
        engine.step().unwrap();
    }
}

fn count(engine: &Engine) -> usize {
    messages_of(engine, &Project::none(), &jobs()).unwrap().len()
}

/// Puts a file of that name where a store keeps its own.
fn put(disk: &dyn Disk, path: &Path) {
    let file = disk.create(path).unwrap();
    file.write_all_at(b"not a store's", 0).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir(path.parent().unwrap()).unwrap();
}

#[test]
fn files_of_the_highest_numbers_are_left_alone_and_lose_nothing() {
    let names = ["heap/fffffffffffffffe.heap", "journal/fffffffffffffffe.journal", "fffffffffffffffe.base"];
    let names = names.into_iter().chain(["heap/ffffffffffffffff.heap", "journal/ffffffffffffffff.journal"]);
    let strange: Vec<PathBuf> = names.map(|name| Path::new(ROOT).join(name)).collect();
    for memory in [0, AMPLE] {
        let (mut disk, clock) = (SimulatedDisk::new(), clock());
        let mut engine = config(&disk, &clock, 1).memory(memory).open(ROOT).unwrap();
        work(&engine, 0);
        strange.iter().for_each(|path| put(&disk, path));
        let trees = Path::new(ROOT).join("trees-fffffffffffffffe");
        disk.create_dir_all(&trees).unwrap();
        for round in 1..5 {
            if round % 2 == 0 {
                engine.close().unwrap();
            }
            disk = disk.kill();
            engine = config(&disk, &clock, round + 1).memory(memory).open(ROOT).unwrap();
            assert_eq!(count(&engine), 30 * round as usize, "round {round}: {}", engine.recovery());
            work(&engine, round);
            engine.snapshot().unwrap();
            assert_eq!(count(&engine), 30 * (round as usize + 1), "round {round}");
            for path in &strange {
                assert_eq!(disk.read(path).unwrap(), b"not a store's", "{}", path.display());
            }
            assert!(disk.exists(&trees).unwrap());
        }
    }
}

#[test]
fn directories_named_like_unused_files_do_not_prevent_an_opening() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    let simulated = SimulatedDisk::new();
    let disks: [(Arc<dyn Disk>, &Path); 2] = [(Arc::new(simulated), Path::new(ROOT)), (Arc::new(RealDisk), &root)];
    for (disk, root) in disks {
        let open = |seed: u64| -> Result<Engine> {
            let config = Config::new().disk(disk.clone()).clock(clock()).seed(seed).background(false);
            config.segment_size(4096).memory(0).open(root)
        };
        let engine = open(1).unwrap();
        work(&engine, 0);
        engine.close().unwrap();
        drop(engine);
        let strange: Vec<PathBuf> = (1..60)
            .flat_map(|number| {
                let name = |folder: &str, kind: &str| root.join(folder).join(format!("{number:016x}.{kind}"));
                [name("heap", "heap"), name("journal", "journal"), name("", "base")]
            })
            .filter(|path| !disk.exists(path).unwrap())
            .collect();
        strange.iter().for_each(|path| disk.create_dir_all(path).unwrap());
        for round in 1..4 {
            let engine = open(round + 1).unwrap_or_else(|error| panic!("{}: {error}", root.display()));
            assert_eq!(count(&engine), 30 * round as usize);
            work(&engine, round);
            engine.close().unwrap();
        }
        assert!(strange.iter().all(|path| disk.exists(path).unwrap()));
    }
}

#[test]
fn a_pool_within_another_stores_directory_is_refused() {
    let disk = SimulatedDisk::new();
    let driver = config(&disk, &clock(), 1).open_pooled("/control").unwrap();
    let create = |name: &str, uri: &str| {
        let pool = NewPool::new(uri.parse().unwrap());
        driver.pools().create(&PoolName::new(name).unwrap(), &pool)
    };
    for uri in ["sled:/control", "sled:/control/heap", "sled:/control/trees-0000000000000007", "sled:/"] {
        assert!(create("inside", uri).unwrap_err().is_invalid(), "{uri}");
    }
    create("one", "sled:/pools/one").unwrap();
    for uri in ["sled:/pools/one/journal", "sled:/pools"] {
        assert!(create("two", uri).unwrap_err().is_invalid(), "{uri}");
    }
    create("two", "sled:/pools/two").unwrap();
}

#[test]
fn an_opening_that_is_refused_changes_no_file() {
    let disk = SimulatedDisk::new();
    let driver = config(&disk, &clock(), 1).open_pooled("/control").unwrap();
    let pool = NewPool::new("sled:/pool".parse().unwrap()).weight(1);
    driver.pools().create(&PoolName::new("one").unwrap(), &pool).unwrap();
    driver.queues().create(&Project::none(), &jobs(), &Metadata::new()).unwrap();
    driver.messages().post(&Project::none(), &jobs(), CLIENT, &[message("one", 10)]).unwrap();
    let disk = disk.kill();
    let before = files(&disk);
    // It is a pool of that driver.
    for _ in 0..2 {
        assert!(config(&disk, &clock(), 2).open("/pool").unwrap_err().is_invalid());
        assert!(files(&disk) == before, "a refused opening changed something");
    }
}

#[test]
fn a_poisoned_store_reports_it_to_waiting_posts() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let engine = config(&disk, &clock, 1).memory(0).open(ROOT).unwrap();
    engine.queues().create(&Project::none(), &jobs(), &Metadata::new()).unwrap();
    let post = || engine.messages().post(&Project::none(), &jobs(), CLIENT, &[message("one", 700)]);
    // Its page cannot be written out, so that memory stays full.
    disk.fail_nth(FaultKind::Write, 2);
    disk.fail_nth(FaultKind::Sync, 1);
    assert!(post().unwrap_err().is_outcome_unknown());
    for _ in 0..3 {
        disk.fail_nth(FaultKind::Write, 1);
        let error = post().unwrap_err();
        assert!(error.is_poisoned(), "{error}");
    }
}
