//! Damage of an archive, and failures while one is written or read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zaqar_sled::disk::{Calls, Disk, Fault, FaultError, Operation};
use zaqar_sled::{
    ClientId, Config, Engine, Error, ManualClock, Metadata, NewMessage, Project, QueueListOptions, SimulatedDisk,
    Timestamp,
};

use crate::images::{disk_of, files};
use crate::{ROOT, config};

const QUEUES: usize = 600;

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_millis(1 << 40)))
}

fn name(number: usize) -> String {
    format!("queue-{number:04}")
}

/// A store with archived queues; each tenth has a message.
fn filled(config: Config) -> Engine {
    let engine = config.open(ROOT).unwrap();
    for number in 0..QUEUES {
        let queue = engine.queue(Project::none(), name(number)).unwrap();
        let metadata = Metadata::new().with("number", number).unwrap().with("more", "x".repeat(100)).unwrap();
        queue.create(metadata).unwrap();
        if number % 10 == 0 {
            queue.post(ClientId::from_bytes([1; 16]), &[NewMessage::new("x")]).unwrap();
        }
    }
    engine.snapshot().unwrap();
    assert_eq!(engine.status().archived_queues(), (QUEUES - QUEUES / 10) as u64);
    engine
}

fn archive_of(disk: &SimulatedDisk) -> PathBuf {
    let mut archives =
        disk.list_all().into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "archive"));
    let archive = archives.next().expect("there is an archive");
    assert_eq!(archives.next(), None);
    archive
}

/// The number of queues whose metadata are as they were, and of those for which the call was refused as it may be.
fn count_unless(engine: &Engine, may_be: fn(&Error) -> bool) -> (usize, usize) {
    let (mut whole, mut refused) = (0, 0);
    for number in 0..QUEUES {
        match engine.queue(Project::none(), name(number)).unwrap().metadata() {
            Ok(metadata) => {
                assert_eq!(metadata.get::<usize>("number").unwrap(), Some(number));
                whole += 1;
            }
            Err(error) => {
                assert!(may_be(&error), "{error}");
                refused += 1;
            }
        }
    }
    (whole, refused)
}

/// As [`count_unless`], where queues may be damaged.
fn count(engine: &Engine) -> (usize, usize) {
    count_unless(engine, Error::is_corrupt)
}

/// As [`count_unless`], where queues may be damaged or missing.
fn count_existing(engine: &Engine) -> (usize, usize) {
    count_unless(engine, |error| error.is_not_found() || error.is_corrupt())
}

#[test]
fn damage_costs_the_queues_of_one_block_and_salvage_brings_back_all_others() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    drop(filled(config(&disk, &clock)));
    let archive = archive_of(&disk);
    let size = disk.size(&archive).unwrap();
    let saved = files(&disk.kill());
    let mut refused = 0;
    for at in (0..16).map(|part| size * part / 16 + 40).chain([size - 20]) {
        let harmed = disk_of(&saved);
        harmed.corrupt(&archive, at, 0x20).unwrap();
        match config(&harmed, &clock).open(ROOT) {
            Ok(engine) => {
                let (whole, damaged) = count(&engine);
                assert!(whole + damaged == QUEUES && damaged < 200, "{at}: {damaged}");
                assert_eq!(engine.verify().unwrap().is_sound(), damaged == 0);
                // A name in the damaged block may or may not be taken.
                if damaged > 0 {
                    let listed = engine.queues().list(&Project::none(), &QueueListOptions::new().limit(0));
                    assert!(listed.unwrap_err().is_corrupt());
                }
                // Another archive cannot be written, but the snapshot is.
                engine.queue(Project::none(), "another").unwrap().create(Metadata::new()).unwrap();
                engine.snapshot().unwrap();
                assert_eq!(count(&engine), (whole, damaged));
                engine.close().unwrap();
            }
            Err(error) => {
                assert!(error.is_corrupt(), "{error}");
                refused += 1;
            }
        }
        // A store of which the index can be read opens as it is; otherwise it is salvaged.
        let engine = config(&harmed, &clock).salvage(true).open(ROOT).unwrap();
        let (whole, _) = count_existing(&engine);
        assert!(whole > QUEUES - 200, "{at}: {whole}");
    }
    assert!(refused > 0, "the index was never damaged");
}

#[test]
fn a_store_whose_archive_is_missing_is_refused_and_salvaged_with_the_rest() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    drop(filled(config(&disk, &clock)));
    let disk = disk.kill();
    disk.remove_file(&archive_of(&disk)).unwrap();
    let error = config(&disk, &clock).open(ROOT).unwrap_err();
    assert!(error.is_corrupt() && error.to_string().contains("archive"), "{error}");
    let engine = config(&disk, &clock).salvage(true).open(ROOT).unwrap();
    assert_eq!(count_existing(&engine).0, QUEUES / 10, "those with messages");
    assert!(engine.recovery().damaged().iter().any(|damaged| damaged.to_string().contains("archive")));
    assert!(engine.verify().unwrap().is_sound());
}

#[test]
fn a_failure_to_write_an_archive_leaves_the_queues_in_memory_and_the_next_succeeds() {
    let clock = clock();
    for error in [FaultError::Space, FaultError::Device, FaultError::ProcessDescriptors] {
        for operation in [Operation::Create, Operation::Write, Operation::Sync] {
            let disk = SimulatedDisk::new();
            let engine = config(&disk, &clock).open(ROOT).unwrap();
            for number in 0..50 {
                engine.queue(Project::none(), name(number)).unwrap().create(Metadata::new()).unwrap();
            }
            // The first archive.
            let archive = Path::new(ROOT).join("0000000000000001.archive");
            disk.inject(Fault::on(Calls::from(operation).under(archive)).error(error));
            engine.snapshot().unwrap();
            assert_eq!(
                (engine.status().queues(), engine.status().archived_queues()),
                (50, 0),
                "{operation:?} {error:?}"
            );
            disk.heal();
            // It is tried again when there are more queues.
            engine.queue(Project::none(), name(50)).unwrap().create(Metadata::new()).unwrap();
            engine.snapshot().unwrap();
            assert_eq!(
                (engine.status().queues(), engine.status().archived_queues()),
                (51, 51),
                "{operation:?} {error:?}"
            );
            let killed = disk.kill();
            let engine = config(&killed, &clock).open(ROOT).unwrap();
            assert_eq!((engine.status().queues(), engine.status().archived_queues()), (51, 51));
            archive_of(&killed);
        }
    }
}

#[test]
fn a_queue_that_changed_since_the_archive_keeps_its_change_when_the_next_archive_fails() {
    let clock = clock();
    for operation in [Operation::Create, Operation::Write, Operation::Sync] {
        let disk = SimulatedDisk::new();
        let engine = filled(config(&disk, &clock));
        let queue = |engine: &Engine, number| engine.queue(Project::none(), name(number)).unwrap();
        queue(&engine, 1).set_metadata(&Metadata::new().with("changed", true).unwrap()).unwrap();
        queue(&engine, 2).delete().unwrap();
        queue(&engine, 3).delete().unwrap();
        queue(&engine, 3).create(Metadata::new().with("again", true).unwrap()).unwrap();
        let next = Path::new(ROOT).join("0000000000000002.archive");
        disk.inject(Fault::on(Calls::from(operation).under(&next)).forever());
        engine.snapshot().unwrap();
        assert!(engine.status().archive_fault().is_some(), "{operation:?}");
        disk.heal();
        // The journal before the snapshot is not needed any more, and this snapshot writes no archive either.
        engine.snapshot().unwrap();
        let check = |engine: &Engine| {
            assert!(queue(engine, 1).metadata().unwrap().contains("changed"), "{operation:?}");
            assert!(!queue(engine, 2).exists().unwrap(), "{operation:?}");
            assert!(queue(engine, 3).metadata().unwrap().contains("again"), "{operation:?}");
            assert_eq!(engine.status().queues(), QUEUES as u64 - 1);
        };
        check(&engine);
        let disk = disk.kill();
        let engine = config(&disk, &clock).open(ROOT).unwrap();
        check(&engine);
        queue(&engine, 4).delete().unwrap();
        queue(&engine, 4).create(Metadata::new()).unwrap();
        engine.snapshot().unwrap();
        check(&config(&disk.kill(), &clock).open(ROOT).unwrap());
    }
}

#[test]
fn an_archive_whose_queues_were_all_deleted_gives_its_space_back() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let engine = filled(config(&disk, &clock));
    let size = disk.size(&archive_of(&disk)).unwrap();
    for number in 0..QUEUES {
        engine.queue(Project::none(), name(number)).unwrap().delete().unwrap();
    }
    engine.snapshot().unwrap();
    assert_eq!((engine.status().queues(), engine.status().archive_fault()), (0, None));
    let left = disk.size(&archive_of(&disk)).unwrap();
    assert!(size > 50_000 && left < 1_000, "{size} bytes, then {left}");
    let engine = config(&disk.kill(), &clock).open(ROOT).unwrap();
    assert_eq!(engine.status().queues(), 0);
    assert!(engine.queue(Project::none(), name(7)).unwrap().create(Metadata::new()).unwrap());
}

#[test]
fn the_reserve_holds_what_the_removal_of_archived_queues_needs() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let engine = filled(config(&disk, &clock));
    let reserve = || disk.size(&Path::new(ROOT).join("RESERVE")).unwrap();
    engine.snapshot().unwrap();
    engine.step().unwrap();
    let held = reserve();
    assert!(held > 2 * QUEUES as u64 * 230, "{held} bytes for {QUEUES} queues");
    // On a full disk all of them can be deleted.
    disk.set_capacity(Some(disk.size(Path::new("/")).unwrap()));
    for number in 0..QUEUES {
        let queue = engine.queue(Project::none(), name(number)).unwrap();
        queue.delete().unwrap_or_else(|error| panic!("queue {number}: {error}"));
        if number % 50 == 0 {
            // There may be no space for the next segment.
            drop(engine.step());
        }
    }
    assert_eq!(engine.status().queues(), 0);
    // The next snapshot says of each that it is deleted, and there is space for that.
    engine.snapshot().unwrap();
    let killed = disk.kill();
    assert_eq!(config(&killed, &clock).open(ROOT).unwrap().status().queues(), 0);
}

#[test]
fn an_archive_that_cannot_be_read_for_a_moment_is_an_error_of_that_call() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let engine = filled(config(&disk, &clock));
    let queue = engine.queue(Project::none(), name(1)).unwrap();
    disk.inject(Fault::on(Calls::from(Operation::Read).under(archive_of(&disk))).forever());
    assert!(queue.metadata().is_err() && queue.create(Metadata::new()).is_err() && queue.delete().is_err());
    assert!(engine.queues().count(&Project::none()).is_err());
    disk.heal();
    assert!(engine.status().poisoned().is_none() && !queue.create(Metadata::new()).unwrap());
    assert_eq!(count(&engine), (QUEUES, 0));
}
