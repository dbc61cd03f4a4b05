//! Directories that are refused, and backups that are not stores.

use std::path::Path;
use std::thread;
use std::time::Duration;

use zaqar_sled::disk::{Calls, Disk, Operation};
use zaqar_sled::{ControlDriver, Error, NewPool, PoolName};

use crate::scene::{BACKUP, RESTORED, Scene, config, disks_config, sets};
use crate::support::ROOT;

#[test]
fn a_backup_is_not_opened_as_a_store_and_stays_as_it_is() {
    let mut scene = Scene::new(0);
    scene.live();
    let before = scene.state();
    scene.engine.backup(BACKUP).unwrap();
    let set = format!("{BACKUP}/{}", sets(&scene.disk)[0]);
    for path in [BACKUP, &set, &format!("{set}/store")] {
        for salvage in [false, true] {
            let error = config(&scene.disk, &scene.clock, 0).salvage(salvage).open(path).unwrap_err();
            assert!(matches!(&error, Error::IsBackup { path } if path == Path::new(BACKUP)), "{path}: {error}");
        }
    }
    assert_eq!(scene.restored(&scene.disk), before);
}

#[test]
fn a_restore_takes_only_an_empty_directory() {
    let mut scene = Scene::new(0);
    scene.live();
    let before = scene.state();
    scene.engine.backup(BACKUP).unwrap();
    scene.disk.create_dir_all(Path::new("/other")).unwrap();
    scene.disk.write("/other/notes", "mine").unwrap();
    let restore = |backup: &str, path: &str| disks_config(&scene.disk).restore(backup, path);
    for path in [ROOT, BACKUP, "/other", "/backup/inside"] {
        assert!(restore(BACKUP, path).is_err_and(|error| error.is_invalid() || path == BACKUP), "{path}");
    }
    for backup in [ROOT, "/other", "/nowhere"] {
        assert!(restore(backup, "/new").unwrap_err().is_invalid(), "{backup}");
    }
    assert_eq!(scene.disk.read("/other/notes").unwrap(), b"mine");
    assert_eq!(scene.state(), before);
    scene.disk.create_dir_all(Path::new(RESTORED)).unwrap();
    let lock = scene.disk.lock(Path::new("/restored/LOCK")).unwrap();
    assert!(restore(BACKUP, RESTORED).unwrap_err().is_busy());
    drop(lock);
    assert_eq!(scene.restored(&scene.disk), before);
    assert!(restore(BACKUP, RESTORED).unwrap_err().is_invalid());
}

#[test]
fn a_backup_goes_only_to_a_directory_of_its_own() {
    let mut scene = Scene::new(0);
    scene.live();
    let disk = &scene.disk;
    disk.create_dir_all(Path::new("/other")).unwrap();
    disk.write("/other/notes", "mine").unwrap();
    for path in ["/other", ROOT, "/store/backup", "/store/heap"] {
        assert!(scene.engine.backup(path).unwrap_err().is_invalid(), "{path}");
    }
    assert!(!disk.exists(Path::new("/store/backup")).unwrap());
    assert_eq!(disk.list(Path::new("/other")).unwrap(), ["notes"]);
    scene.engine.backup(BACKUP).unwrap();
    let other = config(disk, &scene.clock, 5).open("/second").unwrap();
    assert!(other.backup(BACKUP).unwrap_err().is_invalid());
    let lock = disk.lock(Path::new("/backup/LOCK")).unwrap();
    assert!(matches!(scene.engine.backup(BACKUP), Err(Error::Locked { .. })));
    drop(lock);
    assert_eq!(scene.restored(disk), scene.state());
}

#[test]
fn a_restore_from_a_backup_that_is_replaced_meanwhile_is_told_to_try_again() {
    let mut scene = Scene::new(1);
    scene.live();
    scene.engine.backup(BACKUP).unwrap();
    // The journal is there, and no page file yet.
    let gate = scene.disk.hold(Calls::from(Operation::Create).under("/restored/heap"));
    let done = thread::scope(|scope| {
        let restore = scope.spawn(|| disks_config(&scene.disk).restore(BACKUP, RESTORED));
        assert!(gate.wait_for(1, Duration::from_secs(60)));
        scene.queue("quiet").delete().unwrap();
        scene.queue("jobs").delete().unwrap();
        scene.engine.backup(BACKUP).unwrap();
        gate.open();
        restore.join().unwrap()
    });
    // What was open by then can be read on.
    if let Err(error) = done {
        assert!(error.is_busy(), "{error}");
        assert!(!scene.disk.exists(Path::new("/restored/MANIFEST")).unwrap());
        assert_eq!(scene.restored(&scene.disk), scene.state());
    }
    let gate = scene.disk.hold(Calls::from(Operation::Create).under("/late/journal"));
    let done = thread::scope(|scope| {
        let restore = scope.spawn(|| disks_config(&scene.disk).restore(BACKUP, "/late"));
        assert!(gate.wait_for(1, Duration::from_secs(60)));
        scene.queue("dead").delete().unwrap();
        scene.engine.backup(BACKUP).unwrap();
        gate.open();
        restore.join().unwrap()
    });
    assert!(done.unwrap_err().is_busy());
    disks_config(&scene.disk).restore(BACKUP, "/late").unwrap();
}

#[test]
fn a_control_store_is_not_backed_up_without_its_pools() {
    let scene = Scene::new(0);
    let pool = NewPool::new("sled:/pool".parse().unwrap());
    ControlDriver::pools(&scene.engine).create(&PoolName::new("one").unwrap(), &pool).unwrap();
    assert!(scene.engine.backup(BACKUP).unwrap_err().is_invalid());
}

#[test]
fn a_closed_store_takes_no_backup() {
    let scene = Scene::new(0);
    scene.engine.close().unwrap();
    assert!(scene.engine.backup(BACKUP).unwrap_err().is_closed());
    assert!(!scene.disk.exists(Path::new(BACKUP)).unwrap());
}

#[test]
fn the_root_of_a_file_system_takes_a_backup_and_a_restore() {
    let mut scene = Scene::new(0);
    scene.live();
    let before = scene.state();
    for path in [BACKUP, RESTORED] {
        scene.disk.create_dir_all(&Path::new(path).join("lost+found")).unwrap();
    }
    scene.engine.backup(BACKUP).unwrap();
    assert_eq!(scene.restored(&scene.disk), before);
}
