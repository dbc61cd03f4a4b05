//! Disks that fail while pages are evicted or read: errors are typed, nothing is changed or lost, and the store works
//! again when the disk does.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use zaqar_sled::disk::{Fault, FaultKind, Keep, Operation};
use zaqar_sled::{ClaimOptions, Engine, Error, MessageId};

use super::shelf::Shelf;
use super::support::{ROOT, World, clock, config, disk_of, everything, files, refused};
use super::watched::{Rule, Watch, WatchedDisk};

/// A cold queue.
fn frozen() -> (World, Shelf) {
    let world = World::new(0);
    let mut shelf = Shelf::new(&world.engine, "jobs");
    shelf.fill(200, 900);
    world.freeze();
    (world, shelf)
}

fn assert_io<T>(result: zaqar_sled::Result<T>) {
    let error = refused(result);
    assert!(matches!(error, Error::Io { .. }), "{error}");
}

#[test]
fn a_read_that_fails_is_told_and_the_next_one_is_fine() {
    let (world, shelf) = frozen();
    for id in shelf.ids().iter().step_by(13) {
        world.disk.fail_nth(FaultKind::Read, 1);
        assert_io(shelf.queue.get(id));
        shelf.assert_genuine(&shelf.queue.get(id).unwrap());
        world.chill();
    }
    assert_eq!(world.engine.status().poisoned(), None);
}

#[test]
fn a_listing_ends_at_the_first_read_that_fails() {
    let (world, shelf) = frozen();
    for nth in 1..8 {
        world.chill();
        world.disk.fail_nth(FaultKind::Read, nth);
        assert_io(shelf.queue.list(&everything()));
        shelf.assert_whole();
    }
}

#[test]
fn a_claim_or_pop_that_could_not_read_takes_nothing() {
    let (world, shelf) = frozen();
    for nth in 1..6 {
        world.chill();
        world.disk.fail_nth(FaultKind::Read, nth);
        assert_io(shelf.queue.claim(ClaimOptions::new().limit(150)));
        world.chill();
        world.disk.fail_nth(FaultKind::Read, nth);
        assert_io(shelf.queue.pop(150));
        let stats = shelf.queue.stats().unwrap();
        assert_eq!((stats.claimed(), stats.total()), (0, 200));
        shelf.assert_whole();
    }
    world.assert_sound("reads that failed");
    let world = world.killed();
    shelf.on(&world.engine).assert_whole();
}

#[test]
fn changes_of_cold_messages_happen_whole_or_not_at_all_when_a_read_fails() {
    let (world, mut shelf) = frozen();
    let mut failed = 0;
    for nth in 1..6 {
        let gone: Vec<MessageId> = shelf.ids().into_iter().step_by(9).collect();
        world.chill();
        world.disk.fail_nth(FaultKind::Read, nth);
        match shelf.queue.bulk_delete(&gone) {
            // A deletion needs no read.
            Ok(()) => shelf.forget(&gone),
            Err(error) => {
                assert!(matches!(error, Error::Io { .. }), "{error}");
                failed += 1;
            }
        }
        world.disk.fail_nth(FaultKind::Read, u64::MAX);
        shelf.assert_whole();
    }
    println!("{failed} of 5 deletions failed");
    world.assert_sound("reads that failed");
}

#[test]
fn a_read_that_fails_during_a_snapshot_fails_only_the_snapshot() {
    let (world, mut shelf) = frozen();
    for nth in 1..12 {
        shelf.fill(10, 500);
        world.disk.fail_nth(FaultKind::Read, nth);
        let _ = world.engine.snapshot();
        world.disk.fail_nth(FaultKind::Read, u64::MAX);
        assert_eq!(world.engine.status().poisoned(), None);
        shelf.assert_whole();
    }
    world.engine.snapshot().unwrap();
    let world = world.killed();
    shelf.on(&world.engine).assert_whole();
}

/// A store whose page files can be made to fail.
fn watched(memory: u64) -> (WatchedDisk, Engine, Shelf) {
    let disk = WatchedDisk::around(Arc::default(), Watch::default());
    let engine = config(&disk.disk, &clock(), memory).disk(Arc::new(disk.clone())).open(ROOT).unwrap();
    let shelf = Shelf::new(&engine, "jobs");
    (disk, engine, shelf)
}

#[test]
fn pages_that_cannot_be_written_out_stay_in_memory_and_refuse_posts() {
    for kind in [ErrorKind::StorageFull, ErrorKind::Other] {
        let (disk, engine, mut shelf) = watched(20 << 10);
        shelf.fill(60, 900);
        disk.hook.set("heap", Rule::Fail(kind));
        let message = zaqar_sled::NewMessage::new(vec![7; 900]).ttl(super::support::seconds(60));
        let mut taken = 0;
        let error = loop {
            match shelf.queue.post(super::support::CLIENT, std::slice::from_ref(&message)) {
                Ok(ids) => {
                    shelf.adopt(&[(ids[0], vec![7; 900])]);
                    taken += 1;
                }
                Err(error) => break error,
            }
            assert!(taken < 100, "posts go on for ever");
        };
        assert_eq!(error.is_full(), kind == ErrorKind::StorageFull, "{error}");
        assert_eq!(engine.status().poisoned(), None);
        shelf.assert_whole();
        let popped = shelf.queue.pop(1).unwrap();
        shelf.forget([&popped[0].id()]);
        shelf.assert_whole();

        disk.hook.set("heap", Rule::Pass);
        shelf.fill(60, 900);
        engine.step().unwrap();
        assert!(engine.status().memory_bytes() <= 20 << 10, "{:?}", engine.status());
        shelf.assert_whole();
        let kept = shelf.len();
        let disk = disk.disk.kill();
        let engine = config(&disk, &clock(), 0).open(ROOT).unwrap();
        assert_eq!(engine.status().messages(), kept);
        shelf.on(&engine).assert_whole();
    }
}

#[test]
fn a_snapshot_that_could_not_write_its_pages_leaves_the_former_one_and_the_journal() {
    for kind in ["heap", "base"] {
        let (disk, engine, mut shelf) = watched(1 << 20);
        shelf.fill(60, 900);
        engine.snapshot().unwrap();
        shelf.fill(60, 900);
        disk.hook.set(kind, Rule::Fail(ErrorKind::Other));
        assert_io(engine.snapshot());
        assert_eq!(engine.status().poisoned(), None);
        shelf.fill(10, 900);
        shelf.assert_whole();
        let image = disk.disk.power_loss(Keep::Nothing);
        let engine = config(&image, &clock(), 0).open(ROOT).unwrap();
        shelf.on(&engine).assert_whole();
    }
}

#[test]
fn after_a_failed_sync_of_the_page_files_no_snapshot_names_an_unsynced_image() {
    for nth in 1..6 {
        let (disk, engine, mut shelf) = watched(0);
        shelf.fill(100, 900);
        engine.step().unwrap();
        disk.disk.fail_nth(FaultKind::Sync, nth);
        let failed = engine.snapshot().is_err();
        disk.disk.fail_nth(FaultKind::Sync, u64::MAX);
        let again = engine.snapshot();
        let context = format!("sync {nth} failed: {failed}, then {again:?}");
        assert!(again.is_ok() || engine.status().poisoned().is_some(), "{context}");
        let image = disk.disk.power_loss(Keep::Nothing);
        let engine = config(&image, &clock(), 0).open(ROOT).unwrap_or_else(|error| panic!("{context}: {error}"));
        println!("{context}");
        shelf.on(&engine).assert_whole();
    }
}

#[test]
fn files_of_a_manifest_that_could_not_be_synced_stay_until_another_manifest_is_synced() {
    let manifest = Path::new(ROOT).join("MANIFEST.new");
    for (fault, nth) in [
        (Fault::on(Operation::Sync).under(manifest), 1),
        (Fault::on(Operation::SyncDir), 1),
        (Fault::on(Operation::SyncDir), 2),
        (Fault::on(Operation::SyncDir), 3),
    ] {
        for k in 0..12 {
            let (disk, engine, mut shelf) = watched(0);
            for name in ["a", "b"] {
                Shelf::new(&engine, name).fill(20, 900);
            }
            shelf.fill(60, 900);
            engine.step().unwrap();
            engine.snapshot().unwrap();
            shelf.fill(20, 900);
            engine.step().unwrap();
            disk.disk.inject(fault.clone().nth(nth));
            let failed = engine.snapshot().is_err();
            disk.disk.heal();
            if !failed || engine.status().poisoned().is_some() {
                continue; // The fault hit no call, or hit the journal.
            }
            // The images that the new snapshot names are garbage to the engine now.
            let gone: Vec<MessageId> = shelf.ids().into_iter().skip(2).collect();
            shelf.queue.bulk_delete(&gone).unwrap();
            shelf.forget(&gone);
            shelf.fill(5, 900);
            disk.disk.fail_after(k);
            let again = engine.snapshot().is_err();
            let context = format!("{fault:?} {nth}, cut {k} operations later: {again}");
            let written = disk_of(&files(&disk.disk));
            for image in [written, disk.disk.power_loss(Keep::Nothing)] {
                let engine =
                    config(&image, &clock(), 0).open(ROOT).unwrap_or_else(|error| panic!("{context}: {error}"));
                shelf.clone().on(&engine).assert_whole();
            }
        }
    }
}
