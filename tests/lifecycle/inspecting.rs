//! Looking into a store from outside: `Engine::inspect`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use zaqar_sled::{Config, Durability, Engine, Metadata, NewMessage, Project};

use crate::values::ALICE;
use crate::variables::ROUNDS;

fn small() -> Config {
    Config::new().durability(Durability::Buffered).segment_size(64 << 10).background(false)
}

fn jobs(engine: &Engine) -> zaqar_sled::Queue {
    engine.queue(Project::none(), "jobs").unwrap()
}

#[test]
fn a_store_in_use_is_never_called_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    let engine = small().open(&root).unwrap();
    jobs(&engine).create(Metadata::new()).unwrap();
    let (is_over, snapshots) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut seen = 0;
    thread::scope(|scope| {
        scope.spawn(|| {
            let batch = vec![NewMessage::new(vec![7; 2000]); 8];
            for round in 0_u64.. {
                jobs(&engine).post(ALICE, &batch).unwrap();
                if jobs(&engine).stats().unwrap().total() > 400 {
                    jobs(&engine).purge().unwrap();
                }
                if round % 4 == 0 {
                    engine.step().unwrap();
                    engine.snapshot().unwrap();
                    snapshots.fetch_add(1, Ordering::Relaxed);
                }
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        while snapshots.load(Ordering::Relaxed) < ROUNDS.or(40) {
            match Engine::inspect(&root) {
                Ok(inspection) => {
                    assert_eq!(inspection.queues().len(), 1);
                    seen += 1;
                }
                // It changes faster than it can be read: no lie, and the caller is told to try again.
                Err(error) if error.is_busy() => {}
                Err(error) => {
                    is_over.store(true, Ordering::Relaxed);
                    panic!("{error}");
                }
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    println!("{seen} inspections beside {} snapshots", snapshots.into_inner());
    assert!(seen > 0, "no inspection saw the store");
}

#[test]
fn a_store_in_use_that_is_damaged_is_called_so() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    let engine = small().durability(Durability::Sync).open(&root).unwrap();
    jobs(&engine).create(Metadata::new()).unwrap();
    for _ in 0..3 {
        jobs(&engine).post(ALICE, &[NewMessage::new("a body that can be found")]).unwrap();
    }
    let segment = fs::read_dir(root.join("journal")).unwrap().map(|entry| entry.unwrap().path()).find(|path| {
        let bytes = fs::read(path).unwrap();
        place(&bytes).is_some()
    });
    let segment = segment.unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    let at = place(&bytes).unwrap();
    bytes[at] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let error = Engine::inspect(&root).unwrap_err();
    assert!(error.is_corrupt(), "{error}");
}

fn place(bytes: &[u8]) -> Option<usize> {
    bytes.windows(24).position(|window| window == b"a body that can be found")
}

#[test]
fn inspecting_changes_not_a_byte() {
    for closed in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("store");
        let engine = small().open(&root).unwrap();
        jobs(&engine).create(Metadata::new()).unwrap();
        jobs(&engine).post(ALICE, &vec![NewMessage::new(vec![7; 2000]); 100]).unwrap();
        engine.snapshot().unwrap();
        jobs(&engine).post(ALICE, &[NewMessage::new("one more")]).unwrap();
        if closed {
            engine.close().unwrap();
        }
        let before = tree(&root);
        let inspection = Engine::inspect(&root).unwrap();
        assert_eq!((inspection.was_closed(), inspection.queues()[0].messages()), (closed, 101));
        assert!(Engine::inspect(folder.path().join("nowhere")).unwrap_err().is_invalid());
        assert_eq!(tree(&root), before);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

/// Every file with its content, and when and what it was.
fn tree(folder: &Path) -> BTreeMap<PathBuf, (u64, i64, i64, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let metadata = fs::metadata(&path).unwrap();
        let content = if metadata.is_dir() { Vec::new() } else { fs::read(&path).unwrap() };
        if metadata.is_dir() {
            found.extend(tree(&path));
        }
        found.insert(path, (metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), content));
    }
    found
}
