//! A power cut, a kill or a failing call after every disk operation of an import.

use std::sync::Arc;

use zaqar_sled::disk::{Fault, Keep, Operation, SimulatedDisk};
use zaqar_sled::{Engine, ExportReport, Result};

use crate::scene::{COPY, Scene, config, exported};
use crate::support::assert_sound;
use crate::variables::POWER;

/// The ways in which a process ends.
const ENDS: [fn(&SimulatedDisk) -> SimulatedDisk; 4] = [
    SimulatedDisk::kill,
    |disk| disk.power_loss(Keep::Nothing),
    |disk| disk.power_loss(Keep::Random(1)),
    |disk| disk.power_loss(Keep::Random(2)),
];

fn import(scene: &Scene, disk: &SimulatedDisk, lines: &str) -> Result<ExportReport> {
    config(disk, &scene.clock, scene.seed).import(COPY, lines.as_bytes())
}

fn open(scene: &Scene, disk: &SimulatedDisk) -> Result<Engine> {
    config(disk, &scene.clock, 4).salvage(true).open(COPY)
}

#[test]
fn a_cut_during_an_import_leaves_no_store_or_the_whole_and_the_next_import_finishes_it() {
    for seed in [0, 1, 3] {
        let scene = Scene::lived(seed, 30);
        let (lines, seen) = (exported(&scene.engine).1, scene.seen(&scene.engine));
        let whole = SimulatedDisk::new();
        import(&scene, &whole, &lines).unwrap();
        let operations = whole.operations();
        assert!(operations > 40);
        let (mut refused, mut finished) = (0, 0);
        for cut in (0..=operations).rev().step_by(POWER.stride(11) as usize) {
            for (way, end) in ENDS.iter().enumerate() {
                let context = format!("seed {seed}, cut {cut} of {operations}, way {way}");
                let disk = SimulatedDisk::new();
                disk.fail_after(cut);
                let done = import(&scene, &disk, &lines);
                assert!(done.is_ok() || cut < operations, "{context}: {done:?}");
                let disk = end(&disk);
                let left = disk.list_all().into_iter().filter(|path| path.starts_with(COPY));
                // Without a file of its own the directory is any empty one.
                if left.filter(|path| !path.ends_with("LOCK")).count() > 0 {
                    match open(&scene, &disk) {
                        Ok(engine) => assert_eq!(scene.seen(&engine), seen, "{context}"),
                        Err(error) => {
                            assert!(error.is_invalid() && done.is_err(), "{context}: {error}");
                            refused += 1;
                        }
                    }
                }
                match import(&scene, &disk, &lines) {
                    Ok(_) => assert!(done.is_err(), "{context}: a finished import is kept"),
                    Err(error) => {
                        assert!(error.is_invalid(), "{context}: {error}");
                        finished += 1;
                    }
                }
                let engine = open(&scene, &disk).unwrap();
                assert_sound(&engine, &context);
                assert_eq!(scene.seen(&engine), seen, "{context}");
            }
        }
        assert!(refused > 9 && finished >= ENDS.len(), "{refused} refused, {finished} finished");
    }
}

#[test]
fn an_import_that_meets_a_failing_disk_leaves_no_store() {
    let scene = Scene::lived(0, 60);
    let (lines, seen) = (exported(&scene.engine).1, scene.seen(&scene.engine));
    let mut failed = 0;
    for operation in [Operation::Create, Operation::Write, Operation::Sync, Operation::Rename, Operation::SyncDir] {
        for nth in (1..40).step_by(3) {
            let disk = SimulatedDisk::new();
            disk.inject(Fault::on(operation).under(COPY).nth(nth));
            let done = import(&scene, &disk, &lines);
            disk.heal();
            if done.is_ok() {
                assert_eq!(scene.seen(&open(&scene, &disk).unwrap()), seen);
                continue;
            }
            failed += 1;
            let engine = open(&scene, &disk).map(|engine| scene.seen(&engine));
            assert!(engine.as_ref().is_ok_and(|found| found.is_empty() || *found == seen) || engine.is_err(), "{nth}");
            if engine.is_err() {
                import(&scene, &disk, &lines).unwrap();
            }
        }
    }
    assert!(failed > 9, "{failed}");
}

#[test]
fn a_restore_begins_again_where_an_import_was_cut_and_the_reverse() {
    let scene = Scene::lived(0, 60);
    let lines = exported(&scene.engine).1;
    scene.engine.backup("/backup").unwrap();
    let before = scene.disk.operations();
    let whole = crate::images::disk_of(&crate::images::files(&scene.disk));
    import(&scene, &whole, &lines).unwrap();
    let files = crate::images::files(&scene.disk);
    assert_eq!(scene.disk.operations(), before);
    for cut in (5..60).step_by(5) {
        let disk = crate::images::disk_of(&files);
        disk.fail_after(cut);
        let _ = import(&scene, &disk, &lines);
        let disk = disk.kill();
        let restoring = zaqar_sled::Config::new().disk(Arc::new(disk.clone()));
        restoring.restore("/backup", COPY).unwrap();
        assert!(open(&scene, &disk).is_ok());
        let disk = crate::images::disk_of(&files);
        disk.fail_after(cut);
        let _ = zaqar_sled::Config::new().disk(Arc::new(disk.clone())).restore("/backup", COPY);
        let disk = disk.kill();
        import(&scene, &disk, &lines).unwrap();
        assert!(open(&scene, &disk).is_ok());
    }
}

#[test]
fn an_import_for_which_the_disk_has_no_space_ends_at_once_and_leaves_it_free() {
    let scene = Scene::lived(0, 120);
    let (lines, seen) = (exported(&scene.engine).1, scene.seen(&scene.engine));
    let size = |disk: &SimulatedDisk| zaqar_sled::disk::Disk::size(disk, "/".as_ref()).unwrap();
    let whole = SimulatedDisk::new();
    import(&scene, &whole, &lines).unwrap();
    let needed = size(&whole);
    let (mut full, mut done) = (0, 0);
    // An import needs more space on its way than in the end.
    for capacity in (0..needed + 400_000).step_by(needed as usize / 9).chain([2 * needed + 4_000_000]) {
        for is_threaded in [false, true] {
            let disk = SimulatedDisk::new();
            disk.set_capacity(Some(capacity));
            let config = config(&disk, &scene.clock, scene.seed).background(is_threaded);
            match config.import(COPY, lines.as_bytes()) {
                Ok(_) => done += 1,
                Err(error) => {
                    assert!(error.is_full(), "{capacity} of {needed}: {error}");
                    assert!(size(&disk) < 1_000, "{capacity} of {needed}: {:?}", disk.list_all());
                    full += 1;
                    disk.set_capacity(None);
                    import(&scene, &disk, &lines).unwrap();
                }
            }
            disk.set_capacity(None);
            assert_eq!(scene.seen(&open(&scene, &disk).unwrap()), seen);
        }
    }
    assert!(full > 4 && done > 0, "{full} full, {done} done");
}
