//! The forged checksums of the fuzz target `journal_recovery` fit: what it forges without a change has the bytes of the
//! real thing. If a layout changes, the target would otherwise find nothing any more.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "../fuzz/src/forge.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "a file of another crate with other lints"
)]
mod forge;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use forge::{Frame, Seed};
use zaqar_sled::disk::{Disk, SimulatedDisk, Tree};
use zaqar_sled::{ClaimOptions, ClientId, Config, Engine, Metadata, NewMessage, Project};

const STORE: &str = "/store";

fn open(disk: &SimulatedDisk) -> Engine {
    Config::new().disk(Arc::new(disk.clone())).background(false).segment_size(4096).open(STORE).unwrap()
}

/// A store with a few segments and a snapshot; closed, so that its trees count.
fn store() -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    let engine = open(&disk);
    let queue = engine.queue(Project::none(), "jobs").unwrap();
    queue.create(Metadata::new()).unwrap();
    for round in 0..3 {
        for body in 0..20_u8 {
            queue.post(ClientId::from_bytes([1; 16]), &[NewMessage::new(vec![body; 100])]).unwrap();
        }
        drop(queue.claim(ClaimOptions::new().limit(5)).unwrap());
        if round == 1 {
            engine.snapshot().unwrap();
        }
    }
    engine.close().unwrap();
    disk
}

/// The files of a store whose names end so, with their contents.
fn files(disk: &SimulatedDisk, kind: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let named = disk.list_all().into_iter().filter(|path| path.to_str().unwrap().ends_with(kind));
    let files: Vec<_> = named.map(|path| (path.clone(), disk.read(&path).unwrap())).collect();
    assert!(!files.is_empty(), "there is no {kind}");
    files
}

/// The manifest names the store.
fn id(disk: &SimulatedDisk) -> [u8; 16] {
    let (_, manifest) = files(disk, "MANIFEST").remove(0);
    manifest[forge::MANIFEST_BODY..forge::MANIFEST_BODY + 16].try_into().unwrap()
}

fn frames(path: &Path, bytes: &[u8]) -> Vec<Frame> {
    forge::frames(bytes, forge::first_frame(path))
}

#[test]
fn a_forged_frame_is_the_real_one() {
    let disk = store();
    let mut count = 0;
    for (path, bytes) in [files(&disk, ".journal"), files(&disk, ".base")].concat() {
        let seed = Seed::of(id(&disk), &path).unwrap();
        let all = frames(&path, &bytes);
        for frame in &all {
            let real = &bytes[frame.start..frame.end()];
            assert_eq!(forge::sealed(&frame.body, seed, frame.stamp), real, "{} at {}", path.display(), frame.start);
        }
        let end = all.last().map_or(forge::first_frame(&path), Frame::end);
        assert!(bytes[end..].iter().all(|byte| *byte == 0), "{}: frames behind {end} were not found", path.display());
        count += all.len();
    }
    assert!(count > 20, "{count} frames");
}

#[test]
fn a_forged_header_and_a_forged_manifest_are_the_real_ones() {
    let disk = store();
    let number = |bytes: &[u8]| {
        let mut all = [0; 8];
        all[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(all)
    };
    for (path, real) in files(&disk, ".journal") {
        let mut forged = real.clone();
        let (first_lsn, incarnation) = (number(&real[36..44]), number(&real[44..48]).try_into().unwrap());
        let first = frames(&path, &real).first().map(|frame| frame.stamp);
        assert!(first.is_none_or(|first| (first.lsn, first.incarnation) == (first_lsn, incarnation)));
        forge::header(&mut forged, first_lsn, incarnation, number(&real[48..56]));
        assert_eq!(forged, real, "{}", path.display());
    }
    let (_, real) = files(&disk, "MANIFEST").remove(0);
    let mut forged = real.clone();
    forged[12..16].fill(0);
    forge::manifest(&mut forged);
    assert_eq!(forged, real);
}

#[test]
fn a_forged_record_is_the_real_one() {
    let disk = store();
    for (path, real) in files(&disk, ".base") {
        let seed = Seed::of(id(&disk), &path).unwrap();
        for nth in 0..5 {
            let mut forged = real.clone();
            forge::base_record(&mut forged, seed, nth, 0, 0).unwrap();
            assert_eq!(forged, real, "record {nth}");
            forge::base_record(&mut forged, seed, nth, 0, 1).unwrap();
            forge::base_record(&mut forged, seed, nth, 0, 1).unwrap();
            assert_eq!(forged, real, "record {nth}, changed there and back");
        }
    }
    let names = disk.list(Path::new(STORE)).unwrap();
    let trees =
        disk.trees(&Path::new(STORE).join(names.iter().find(|name| name.starts_with("trees-")).unwrap())).unwrap();
    let mut count = 0;
    for (tag, tree) in (0..).zip(Tree::ALL) {
        let mut check = |key: &[u8], real: &[u8]| {
            let mut forged = real.to_vec();
            if forge::tree_record(tag, key, &mut forged, 0, 0).is_some() {
                assert_eq!(forged, real);
                count += 1;
            }
            Ok(())
        };
        trees.scan(tree, &mut check).unwrap();
    }
    assert!(count > 3, "{count} records");
}
