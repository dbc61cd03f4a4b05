//! The journal's copy of a page is removed only after the page has been read back.

use zaqar_sled::Engine;
use zaqar_sled::disk::{Fault, Keep, Operation, SimulatedDisk};

use super::support::{ROOT, chill, clock, config, fill, listed, queue, rot};

/// Asserts that the store has `ids`, after a kill and after a power cut.
fn assert_holds(disk: &SimulatedDisk, ids: &[zaqar_sled::MessageId], context: &str) {
    // The image after the cut is the state that a killed process leaves if the cache was dropped.
    disk.drop_caches();
    let disk = disk.power_loss(Keep::Nothing);
    let engine = config(&disk, &clock(), 99).open(ROOT).unwrap_or_else(|error| panic!("{context}: {error}"));
    let jobs = engine.queue(zaqar_sled::Project::none(), "jobs").unwrap();
    let found = listed(&jobs).unwrap_or_else(|error| panic!("{context}: {error}"));
    assert!(found == ids, "{context}: {} of {} messages", found.len(), ids.len());
    assert!(engine.verify().unwrap().is_sound(), "{context}");
}

fn filled(disk: &SimulatedDisk) -> (Engine, Vec<zaqar_sled::MessageId>) {
    let engine = config(disk, &clock(), 1).open(ROOT).unwrap();
    let ids = fill(&queue(&engine, "jobs"), 60);
    chill(&engine);
    (engine, ids)
}

/// A store with a journal of one segment, which a close does not change.
fn large(disk: &SimulatedDisk, seed: u64) -> Engine {
    config(disk, &clock(), seed).segment_size(1 << 20).open(ROOT).unwrap()
}

/// The ids of the messages of a closed store, whose pages are in page files alone.
fn closed(disk: &SimulatedDisk) -> Vec<zaqar_sled::MessageId> {
    let engine = large(disk, 1);
    let ids = fill(&queue(&engine, "jobs"), 60);
    chill(&engine);
    engine.close().unwrap();
    ids
}

#[test]
fn after_a_failed_sync_of_the_page_files_no_snapshot_names_a_lost_image() {
    let (mut refused, mut counted) = (0, 0);
    for seed in 0..60 {
        for close in [false, true] {
            let disk = SimulatedDisk::new();
            disk.set_seed(seed);
            let (engine, ids) = filled(&disk);
            disk.inject(Fault::on(Operation::Sync).under("/store/heap"));
            engine.snapshot().unwrap_err();
            let again = if close { engine.close() } else { engine.snapshot() };
            refused += u32::from(again.is_err());
            counted += u32::from(again.is_ok());
            assert_holds(&disk, &ids, &format!("seed {seed}, close {close}: {again:?}"));
        }
    }
    assert!(refused > 0 && counted > 0, "{refused} refused, {counted} counted");
}

#[test]
fn a_flipped_bit_before_a_snapshot_or_a_close_keeps_the_journal() {
    for close in [false, true] {
        let disk = SimulatedDisk::new();
        let (engine, ids) = filled(&disk);
        rot(&disk, 3);
        let ended = if close { engine.close() } else { engine.snapshot() };
        assert!(ended.is_err(), "close {close}");
        assert_holds(&disk, &ids, &format!("close {close}"));
    }
}

#[test]
fn a_bit_that_rots_while_the_store_is_closed_keeps_the_journal() {
    let disk = SimulatedDisk::new();
    let ids = closed(&disk);
    let engine = large(&disk, 2);
    assert_eq!(engine.status().snapshot_lsn(), 0, "the journal has it all");
    rot(&disk, 3);
    assert!(engine.snapshot().unwrap_err().is_corrupt());
    assert_holds(&disk, &ids, "closed");
}

#[test]
fn a_page_that_rotted_while_nothing_else_changed_is_restored_by_the_opening_after_a_close() {
    for by_listing in [true, false] {
        let disk = SimulatedDisk::new();
        let ids = closed(&disk);
        let engine = large(&disk, 2);
        rot(&disk, 3);
        if by_listing {
            assert!(listed(&engine.queue(zaqar_sled::Project::none(), "jobs").unwrap()).unwrap_err().is_corrupt());
        } else {
            assert!(engine.snapshot().unwrap_err().is_corrupt());
        }
        let _ = engine.close();
        drop(engine);
        let engine = large(&disk, 3);
        let found = listed(&engine.queue(zaqar_sled::Project::none(), "jobs").unwrap());
        assert_eq!(found.unwrap(), ids, "noticed by a listing: {by_listing}");
    }
}

#[test]
fn pages_in_memory_are_written_elsewhere_when_what_was_written_is_not_there() {
    let disk = SimulatedDisk::new();
    let ample = config(&disk, &clock(), 1).memory(1 << 20);
    let engine = ample.open(ROOT).unwrap();
    let ids = fill(&queue(&engine, "jobs"), 60);
    for _ in 0..3 {
        disk.inject(Fault::on(Operation::Sync).under("/store/heap"));
        engine.snapshot().unwrap_err();
        engine.snapshot().unwrap();
        fill(&queue(&engine, "others"), 20);
    }
    assert_holds(&disk, &ids, "in memory");
}

#[test]
fn an_image_that_a_snapshot_has_proven_is_not_read_again() {
    let disk = SimulatedDisk::new();
    let (engine, _) = filled(&disk);
    engine.snapshot().unwrap();
    disk.inject(Fault::on(Operation::Read).under("/store/heap").forever());
    fill(&queue(&engine, "others"), 1);
    // Only the new images are read, and they are unreadable.
    engine.snapshot().unwrap_err();
    disk.heal();
    engine.snapshot().unwrap();
    disk.inject(Fault::on(Operation::Read).under("/store/heap").forever());
    engine.snapshot().unwrap();
}
