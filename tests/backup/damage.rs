//! Damage of the store that is backed up, and of the backup.

use std::path::{Path, PathBuf};

use zaqar_sled::Error;
use zaqar_sled::disk::{Disk, SimulatedDisk};

use crate::images::{disk_of, files};
use crate::scene::{BACKUP, RESTORED, Scene, disks_config, sets, state};

/// The file that an error says is damaged.
fn damaged(error: &Error) -> &Path {
    match error {
        Error::Corrupt { file, .. } => file,
        other => panic!("{other}"),
    }
}

/// The ways in which a file is damaged.
fn harms(bytes: &[u8]) -> Vec<Option<Vec<u8>>> {
    let flipped = (0..bytes.len()).step_by(11).map(|at| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 0x10;
        Some(bytes)
    });
    let cut = [0, 1, bytes.len() / 2, bytes.len() - 1].map(|len| Some(bytes[..len].to_vec()));
    flipped.chain(cut).chain([None]).collect()
}

#[test]
fn damage_of_any_file_of_a_backup_is_noticed_by_a_restore() {
    for seed in [1, 3] {
        let mut scene = Scene::new(seed);
        scene.live();
        scene.live();
        scene.engine.backup(BACKUP).unwrap();
        let before = scene.state();
        let backup: Vec<_> = files(&scene.disk).into_iter().filter(|(path, _)| path.starts_with(BACKUP)).collect();
        let (mut noticed, mut harmless) = (0, 0);
        for (index, (path, bytes)) in backup.iter().enumerate() {
            for harm in harms(bytes) {
                let mut with_damage = backup.clone();
                match harm {
                    Some(bytes) => with_damage[index].1 = bytes,
                    None => drop(with_damage.remove(index)),
                }
                let disk = disk_of(&with_damage);
                match disks_config(&disk).restore(BACKUP, RESTORED) {
                    Ok(_) => {
                        assert_eq!(state(&scene.open(&disk, RESTORED), &scene.claims), before);
                        let is_of_salvage = |kind: &std::ffi::OsStr| kind == "heap" || kind == "archive";
                        assert!(path.extension().is_some_and(is_of_salvage), "{}", path.display());
                        harmless += 1;
                    }
                    Err(Error::InvalidArgument { .. }) => assert!(path.ends_with("BACKUP")),
                    Err(error) => {
                        let file = damaged(&error);
                        let directory = path.parent().unwrap();
                        assert!(file == path || file == directory, "{}: {error}", path.display());
                        assert!(!disk.exists(Path::new("/restored/MANIFEST")).unwrap());
                        noticed += 1;
                    }
                }
            }
        }
        // The header of an image, and the head of an archive, are needed only by a salvage.
        assert!(noticed > 50 * harmless && noticed > 300, "{noticed} noticed, {harmless} harmless");
    }
}

fn page_files(disk: &SimulatedDisk, under: &str) -> Vec<PathBuf> {
    let all = disk.list_all().into_iter();
    all.filter(|path| path.starts_with(under) && path.to_string_lossy().ends_with(".heap")).collect()
}

#[test]
fn damage_of_a_page_of_the_store_is_named_and_the_former_backup_stays() {
    let mut scene = Scene::new(1);
    scene.live();
    scene.engine.backup(BACKUP).unwrap();
    let before = scene.state();
    for file in page_files(&scene.disk, "/store") {
        let size = scene.disk.size(&file).unwrap();
        for at in (32..size).step_by(40) {
            scene.disk.corrupt(&file, at, 1).unwrap();
        }
        for path in [BACKUP, "/another"] {
            // The former backup has these pages undamaged.
            let done = scene.engine.backup(path);
            assert_eq!(done.is_ok(), path == BACKUP, "{done:?}");
            done.err().iter().for_each(|error| assert_eq!(damaged(error), file));
        }
        assert_eq!(sets(&scene.disk).len(), 1);
        for at in (32..size).step_by(40) {
            scene.disk.corrupt(&file, at, 1).unwrap();
        }
    }
    assert_eq!(scene.restored(&scene.disk), before);
}

#[test]
fn damage_of_the_journal_of_the_store_is_named() {
    let mut scene = Scene::new(0);
    scene.live();
    scene.engine.backup(BACKUP).unwrap();
    let before = scene.state();
    scene.live();
    let created = zaqar_sled::disk::Fault::on(zaqar_sled::disk::Operation::Create).under("/store").forever();
    // Without a new snapshot the journal is needed.
    scene.disk.inject(created);
    let journal = scene.disk.list_all().into_iter().filter(|path| path.starts_with("/store/journal"));
    for file in journal.collect::<Vec<_>>() {
        let size = scene.disk.size(&file).unwrap();
        let bytes = scene.disk.read(&file).unwrap();
        if bytes[100..].iter().all(|byte| *byte == 0) {
            continue;
        }
        scene.disk.truncate(&file, size.min(80)).unwrap();
        let done = scene.engine.backup(BACKUP);
        scene.disk.write(&file, bytes).unwrap();
        if let Err(error) = done {
            assert_eq!(damaged(&error), file);
        }
    }
    scene.disk.heal();
    assert_eq!(scene.restored(&scene.disk), before);
}

#[test]
fn a_page_given_up_is_in_no_later_backup() {
    let mut scene = Scene::new(1);
    scene.live();
    scene.engine.snapshot().unwrap();
    for file in page_files(&scene.disk, "/store") {
        let size = scene.disk.size(&file).unwrap();
        (32..size).step_by(40).for_each(|at| scene.disk.corrupt(&file, at, 1).unwrap());
    }
    assert!(scene.engine.backup(BACKUP).unwrap_err().is_corrupt());
    let _ = scene.engine.verify().unwrap();
    assert!(!scene.engine.drop_damaged().unwrap().is_empty());
    scene.engine.backup(BACKUP).unwrap();
    assert_eq!(scene.restored(&scene.disk), scene.state());
}
