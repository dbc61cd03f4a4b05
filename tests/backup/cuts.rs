//! A power cut, or a kill, after every operation of a backup and of a restore.

use zaqar_sled::disk::{Keep, SimulatedDisk};

use crate::scene::{BACKUP, RESTORED, Scene, config, disks_config, sets, state};
use crate::support::{ROOT, assert_sound};

/// The ways in which a process ends.
const ENDS: [fn(&SimulatedDisk) -> SimulatedDisk; 4] = [
    SimulatedDisk::kill,
    |disk| disk.power_loss(Keep::Nothing),
    |disk| disk.power_loss(Keep::Random(1)),
    |disk| disk.power_loss(Keep::Random(2)),
];

/// A store with a backup of its first half, unless `first`; and the two states.
fn scene(seed: u64, first: bool) -> (Scene, String, String) {
    let mut scene = Scene::new(seed);
    scene.live();
    let then = scene.state();
    if !first {
        scene.engine.backup(BACKUP).unwrap();
    }
    scene.live();
    let now = scene.state();
    (scene, then, now)
}

/// The number of disk operations of the second backup.
fn operations_of_backup(seed: u64, first: bool) -> u64 {
    let (scene, ..) = scene(seed, first);
    let before = scene.disk.operations();
    scene.engine.backup(BACKUP).unwrap();
    scene.disk.operations() - before
}

#[test]
fn a_cut_during_a_backup_harms_neither_the_store_nor_the_former_backup() {
    for (seed, first) in [(0, false), (1, false), (3, true), (2, true)] {
        let operations = operations_of_backup(seed, first);
        assert!(operations > 30);
        let (mut former, mut newer) = (0, 0);
        for cut in 0..=operations {
            for (way, end) in ENDS.iter().enumerate() {
                let context = format!("seed {seed}, cut {cut} of {operations}, way {way}");
                let (scene, then, now) = scene(seed, first);
                scene.disk.fail_after(cut);
                let done = scene.engine.backup(BACKUP);
                // The last operations only remove the former files.
                assert!(done.is_ok() || cut < operations, "{context}: {done:?}");
                let disk = end(&scene.disk);
                let engine = config(&disk, &scene.clock, seed).open(ROOT).unwrap();
                assert_eq!(state(&engine, &scene.claims), now, "{context}: the store");
                match disks_config(&disk).restore(BACKUP, RESTORED) {
                    Ok(_) => {
                        let restored = scene.open(&disk, RESTORED);
                        let found = state(&restored, &scene.claims);
                        assert!(found == now || found == then && !first && done.is_err(), "{context}: {found}");
                        if found == now { newer += 1 } else { former += 1 }
                    }
                    Err(error) => assert!(error.is_invalid() && first && done.is_err(), "{context}: {error}"),
                }
                if cut % 5 == 0 {
                    engine.backup(BACKUP).unwrap();
                    assert_eq!(sets(&disk).len(), 1, "{context}");
                    disks_config(&disk).restore(BACKUP, "/again").unwrap();
                    assert_eq!(state(&scene.open(&disk, "/again"), &scene.claims), now, "{context}: again");
                }
            }
        }
        assert!(newer >= ENDS.len() && (first || former > newer), "{former} of the former, {newer} of the new one");
    }
}

#[test]
fn a_cut_during_a_restore_leaves_no_store_or_the_whole_and_the_next_restore_finishes_it() {
    for seed in [0, 1] {
        let (scene, _, now) = scene(seed, true);
        scene.engine.backup(BACKUP).unwrap();
        let files = crate::images::files(&scene.disk);
        let disk = || crate::images::disk_of(&files);
        let whole = disk();
        let before = whole.operations();
        disks_config(&whole).restore(BACKUP, RESTORED).unwrap();
        let operations = whole.operations() - before;
        let (mut refused, mut finished) = (0, 0);
        for cut in 0..=operations {
            for (way, end) in ENDS.iter().enumerate() {
                let context = format!("seed {seed}, cut {cut} of {operations}, way {way}");
                let disk = disk();
                disk.fail_after(cut);
                let done = disks_config(&disk).restore(BACKUP, RESTORED);
                assert_eq!(done.is_ok(), cut == operations, "{context}");
                let disk = end(&disk);
                let left = disk.list_all().into_iter().filter(|path| path.starts_with(RESTORED));
                // Without a file of its own the directory is any empty one.
                if left.filter(|path| !path.ends_with("LOCK")).count() > 0 {
                    match config(&disk, &scene.clock, 4).salvage(true).open(RESTORED) {
                        Ok(engine) => assert_eq!(state(&engine, &scene.claims), now, "{context}"),
                        Err(error) => {
                            assert!(error.is_invalid(), "{context}: {error}");
                            refused += 1;
                        }
                    }
                }
                match disks_config(&disk).restore(BACKUP, RESTORED) {
                    Ok(_) => {}
                    Err(error) => {
                        assert!(error.is_invalid(), "{context}: {error}");
                        finished += 1;
                    }
                }
                let engine = scene.open(&disk, RESTORED);
                assert_sound(&engine, &context);
                assert_eq!(state(&engine, &scene.claims), now, "{context}");
            }
        }
        assert!(refused > 20 && finished >= ENDS.len(), "{refused} refused, {finished} finished");
    }
}

/// The record of the newer backup counts in the cache alone, and the next backup removes the files of the former one: a
/// power cut must not keep the removal without the record.
#[test]
fn a_cut_after_a_backup_that_was_killed_leaves_one_of_the_backups() {
    let operations = operations_of_backup(0, false);
    let mut former = 0;
    // The record is replaced near the end.
    for kill in operations.saturating_sub(20)..=operations {
        for (cut, seed) in (0..14).flat_map(|cut| [(cut, 1), (cut, 2)]) {
            let context = format!("kill {kill} of {operations}, cut {cut}, seed {seed}");
            let (scene, then, now) = scene(0, false);
            scene.disk.fail_after(kill);
            let _ = scene.engine.backup(BACKUP);
            let disk = scene.disk.kill();
            let engine = config(&disk, &scene.clock, 0).open(ROOT).unwrap();
            disk.fail_after(cut);
            let _ = engine.backup(BACKUP);
            let disk = disk.power_loss(Keep::Random(seed));
            let restored = disks_config(&disk).restore(BACKUP, RESTORED);
            assert!(restored.is_ok(), "{context}: {restored:?}");
            let found = state(&scene.open(&disk, RESTORED), &scene.claims);
            assert!(found == then || found == now, "{context}: {found}");
            former += u64::from(found == then);
        }
    }
    assert!(former > 0);
}
