//! A store whose directory, or lock file, is moved, removed or replaced while the store is open.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use zaqar_sled::disk::{Disk, RealDisk, SimulatedDisk};
use zaqar_sled::{Config, Engine, Error, Metadata, NewMessage, Project};

use super::values::CLIENT;

fn config(disk: &Arc<dyn Disk>) -> Config {
    Config::new().disk(disk.clone()).segment_size(64 << 10).memory(256 << 10).background(false)
}

fn post(engine: &Engine, bytes: usize) -> Result<(), Error> {
    let jobs = engine.queue(Project::none(), "jobs").unwrap();
    jobs.create(Metadata::new())?;
    jobs.post(CLIENT, &[NewMessage::new(vec![7; bytes])]).map(drop)
}

fn count(engine: &Engine) -> u64 {
    engine.queue(Project::none(), "jobs").unwrap().stats().unwrap().total()
}

fn is_displaced(error: &Error) -> bool {
    matches!(error, Error::Displaced { .. })
}

/// On a real disk and on a simulated one.
fn on_both(attack: impl Fn(&Arc<dyn Disk>, &Path)) {
    let folder = tempfile::tempdir().unwrap();
    attack(&(Arc::new(RealDisk) as Arc<dyn Disk>), folder.path());
    let disk: Arc<dyn Disk> = Arc::new(SimulatedDisk::new());
    disk.create_dir_all(Path::new("/folder")).unwrap();
    attack(&disk, Path::new("/folder"));
}

#[test]
fn work_on_a_moved_store_fails_and_creates_nothing_at_the_old_path() {
    type Work = fn(&Engine) -> Result<(), Error>;
    let works: [Work; 5] = [
        Engine::snapshot,
        Engine::checkpoint,
        Engine::step,
        Engine::close,
        // The engine checks the directory when a segment is full.
        |engine| (0..1000).try_for_each(|_| post(engine, 1000)),
    ];
    on_both(|disk, folder| {
        for (number, work) in works.into_iter().enumerate() {
            let (here, there) = (folder.join(format!("here-{number}")), folder.join(format!("there-{number}")));
            let engine = config(disk).open(&here).unwrap();
            post(&engine, 10).unwrap();
            disk.rename(&here, &there).unwrap();
            let error = work(&engine).unwrap_err();
            assert!(is_displaced(&error), "{number}: {error}");
            assert!(number == 4 || post(&engine, 10).is_err(), "{number}: a change is taken");
            let closed = engine.close().unwrap_err();
            assert!(is_displaced(&closed), "{number}: {closed}");
            assert!(!disk.exists(&here).unwrap(), "{number}: the directory was made again");
            let moved = config(disk).open(&there).unwrap();
            assert!(count(&moved) >= 1, "{number}: {}", moved.recovery());
            config(disk).open(&here).unwrap();
        }
    });
}

#[test]
fn a_store_in_place_of_one_that_was_moved_is_left_alone() {
    on_both(|disk, folder| {
        let (here, there, new) = (folder.join("here"), folder.join("there"), folder.join("new"));
        let other = config(disk).open(&new).unwrap();
        (0..20).try_for_each(|_| post(&other, 10)).unwrap();
        other.close().unwrap();
        drop(other);
        let engine = config(disk).open(&here).unwrap();
        (0..5).try_for_each(|_| post(&engine, 10)).unwrap();
        disk.rename(&here, &there).unwrap();
        disk.rename(&new, &here).unwrap();
        for _ in 0..300 {
            // Journal segments, page files, housekeeping: every change is refused, or kept in the moved store.
            let _ = post(&engine, 3000);
        }
        assert!(engine.step().is_err() && engine.snapshot().is_err() && engine.close().is_err());
        drop(engine);
        let other = config(disk).open(&here).unwrap();
        assert_eq!(count(&other), 20, "{}", other.recovery());
        assert!(other.verify().unwrap().is_sound());
        let moved = config(disk).open(&there).unwrap();
        assert!(count(&moved) >= 5);
        assert!(moved.verify().unwrap().is_sound());
    });
}

#[test]
fn a_store_that_was_removed_is_not_made_again_by_its_threads() {
    on_both(|disk, folder| {
        let here = folder.join("here");
        let engine = config(disk).background(true).open(&here).unwrap();
        post(&engine, 10).unwrap();
        // The store's threads may create files meanwhile.
        while disk.remove_dir_all(&here).is_err() {}
        for _ in 0..300 {
            let _ = post(&engine, 3000);
        }
        assert!(is_displaced(&engine.close().unwrap_err()));
        assert!(!disk.exists(&here).unwrap());
        assert_eq!(config(disk).open(&here).unwrap().status().queues(), 0);
    });
}

#[test]
fn a_directory_above_that_was_moved_counts_too() {
    on_both(|disk, folder| {
        let (above, moved) = (folder.join("above"), folder.join("moved"));
        let engine = config(disk).open(above.join("store")).unwrap();
        post(&engine, 10).unwrap();
        disk.rename(&above, &moved).unwrap();
        assert!(is_displaced(&engine.snapshot().unwrap_err()));
        disk.rename(&moved, &above).unwrap();
        // Once the engine has noticed the move, it writes nothing more, wherever the directory is.
        assert!(post(&engine, 10).unwrap_err().is_poisoned());
        drop(engine);
        assert_eq!(count(&config(disk).open(above.join("store")).unwrap()), 1);
    });
}

#[test]
fn a_removed_lock_file_admits_no_other_opening() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let engine = config(&disk).open(&root).unwrap();
    fs::remove_file(root.join("LOCK")).unwrap();
    // As another process would.
    assert!(RealDisk.lock(&root.join("LOCK")).unwrap().is_none());
    post(&engine, 10).unwrap();
    engine.close().unwrap();
    assert!(RealDisk.lock(&root.join("LOCK")).unwrap().is_some());
    assert_eq!(count(&config(&disk).open(&root).unwrap()), 1);
}
