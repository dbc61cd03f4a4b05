//! Every disk call of a backup and of a restore fails once; the disk is full.

use std::path::Path;

use zaqar_sled::disk::{Disk, Fault, FaultError, Operation};
use zaqar_sled::{ClaimOptions, Error};

use crate::scene::{BACKUP, RESTORED, Scene, config, disks_config, sets, state};
use crate::support::{CLIENT, ROOT, message};

#[test]
fn a_failing_call_harms_neither_the_store_nor_the_former_backup() {
    for error in [FaultError::Device, FaultError::Space, FaultError::ProcessDescriptors] {
        let mut failed = 0;
        for nth in 1.. {
            let context = format!("call {nth}, {error:?}");
            let mut scene = Scene::new(nth);
            scene.live();
            scene.engine.backup(BACKUP).unwrap();
            let then = scene.state();
            scene.live();
            let now = scene.state();
            let before = scene.disk.calls();
            scene.disk.inject(Fault::on_any().nth(nth).error(error));
            let done = scene.engine.backup(BACKUP);
            let calls = scene.disk.calls() - before;
            scene.disk.heal();
            failed += u64::from(done.is_err());
            // A failed sync of the journal stops the store, as always.
            if scene.engine.status().poisoned().is_none() {
                assert_eq!(scene.state(), now, "{context}");
                scene.queue("jobs").claim(ClaimOptions::new()).unwrap().unwrap().release().unwrap();
            }
            let disk = scene.disk.kill();
            scene.engine = config(&disk, &scene.clock, nth).open(ROOT).unwrap();
            disks_config(&disk).restore(BACKUP, RESTORED).unwrap_or_else(|error| panic!("{context}: {error}"));
            let found = state(&scene.open(&disk, RESTORED), &scene.claims);
            assert!(found == now || found == then && done.is_err(), "{context}: {done:?}");
            scene.engine.backup(BACKUP).unwrap();
            assert_eq!(sets(&disk).len(), 1);
            if calls < nth {
                assert!(failed > 40 && done.is_ok(), "{failed}");
                break;
            }
        }
    }
}

#[test]
fn a_failing_call_of_a_restore_leaves_no_store_and_the_next_restore_succeeds() {
    for error in [FaultError::Device, FaultError::Space] {
        let mut scene = Scene::new(3);
        scene.live();
        scene.engine.backup(BACKUP).unwrap();
        let (now, mut failed) = (scene.state(), 0);
        for nth in 1.. {
            let path = format!("/restored-{nth}");
            let before = scene.disk.calls();
            scene.disk.inject(Fault::on_any().nth(nth).error(error));
            let done = disks_config(&scene.disk).restore(BACKUP, &path);
            let calls = scene.disk.calls() - before;
            scene.disk.heal();
            if let Err(error) = &done {
                failed += 1;
                let has_store = scene.disk.exists(&Path::new(&path).join("MANIFEST")).unwrap();
                assert!(!has_store, "call {nth}: {error}");
                let again = disks_config(&scene.disk).restore(BACKUP, &path);
                again.unwrap_or_else(|again| panic!("call {nth}: {error}; {again}"));
            }
            assert_eq!(state(&scene.open(&scene.disk, &path), &scene.claims), now, "call {nth}");
            if calls < nth {
                assert!(failed > 40 && done.is_ok());
                break;
            }
        }
    }
}

#[test]
fn a_full_disk_ends_the_backup_and_leaves_the_space_as_it_was() {
    let mut fits = false;
    for free in (0..).map(|n| n * 1_500) {
        let mut scene = Scene::new(2);
        scene.live();
        scene.engine.backup(BACKUP).unwrap();
        let then = scene.state();
        for _ in 0..4 {
            scene.live();
        }
        let now = scene.state();
        scene.engine.snapshot().unwrap();
        let used = scene.disk.size("/".as_ref()).unwrap();
        scene.disk.set_capacity(used + free);
        let done = scene.engine.backup(BACKUP);
        let restored = scene.state();
        assert_eq!(restored, now, "{free} B free");
        if let Err(error) = &done {
            assert!(error.is_full(), "{free} B free: {error}");
            assert_eq!(sets(&scene.disk).len(), 1, "{free} B free");
            assert!(scene.disk.size("/".as_ref()).unwrap() <= used + 4_096, "{free} B free");
        }
        // Removals need no space, and posts need what they needed before.
        let jobs = scene.queue("jobs");
        assert_eq!(jobs.pop(3).unwrap().len(), 3);
        scene.disk.set_capacity(None);
        jobs.post(CLIENT, &[message("after", 10)]).unwrap();
        let after = scene.state();
        disks_config(&scene.disk).restore(BACKUP, RESTORED).unwrap();
        let found = state(&scene.open(&scene.disk, RESTORED), &scene.claims);
        assert_eq!(found, if done.is_ok() { now } else { then }, "{free} B free");
        scene.engine.backup(BACKUP).unwrap();
        disks_config(&scene.disk).restore(BACKUP, "/again").unwrap();
        assert_eq!(state(&scene.open(&scene.disk, "/again"), &scene.claims), after);
        if done.is_ok() {
            fits = true;
            assert!(free > 3_000);
            break;
        }
    }
    assert!(fits);
}

#[test]
fn a_store_that_cannot_write_a_snapshot_is_backed_up_with_its_journal() {
    let mut scene = Scene::new(0);
    scene.live();
    scene.engine.snapshot().unwrap();
    scene.live();
    // No snapshot can be created from here on.
    let root = scene.disk.list("/store".as_ref()).unwrap();
    scene.disk.inject(Fault::on(Operation::Create).under("/store").error(FaultError::Permission).forever());
    scene.engine.snapshot().unwrap_err();
    scene.engine.backup(BACKUP).unwrap();
    assert_eq!(scene.disk.list("/store".as_ref()).unwrap(), root);
    scene.disk.heal();
    assert_eq!(scene.restored(&scene.disk), scene.state());
}

#[test]
fn a_poisoned_store_takes_no_backup() {
    let mut scene = Scene::new(0);
    scene.live();
    scene.disk.inject(Fault::on(Operation::Sync).under("/store/journal"));
    scene.queue("jobs").post(CLIENT, &[message("lost", 10)]).unwrap_err();
    assert!(matches!(scene.engine.backup(BACKUP), Err(Error::Poisoned { .. })));
    assert!(sets(&scene.disk).is_empty());
}
