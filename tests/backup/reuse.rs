//! Backups into the directory of an earlier one.

use zaqar_sled::disk::{Disk, Fault, Operation};
use zaqar_sled::{Metadata, NewMessage};

use crate::scene::{BACKUP, RESTORED, Scene, config, disks_config, sets};
use crate::support::{CLIENT, message};

/// Posts so much that there are several page files.
fn fill(scene: &Scene, name: &str) {
    scene.queue(name).create(Metadata::new()).unwrap();
    for n in 0..20 {
        let many: Vec<NewMessage> = (0..10).map(|one| message(&format!("{name} {n} {one}"), 300)).collect();
        scene.queue(name).post(CLIENT, &many).unwrap();
    }
}

#[test]
fn page_files_that_the_former_backup_has_are_not_copied_again() {
    let scene = Scene::new(1);
    fill(&scene, "one");
    let first = scene.engine.backup(BACKUP).unwrap();
    assert_eq!(first.reused_files(), 0);
    fill(&scene, "two");
    let second = scene.engine.backup(BACKUP).unwrap();
    assert!(second.reused_files() >= 3 && second.reused_bytes() > 40_000, "{second}");
    assert!(second.copied_bytes() < first.copied_bytes() + 20_000, "{first}; {second}");
    let third = scene.engine.backup(BACKUP).unwrap();
    assert!(third.reused_files() > second.reused_files() && third.copied_files() <= 2, "{third}");
    assert_eq!(sets(&scene.disk).len(), 1);
    assert_eq!(scene.restored(&scene.disk), scene.state());
}

#[test]
fn a_page_file_of_the_same_name_with_other_messages_is_copied() {
    let mut scene = Scene::new(1);
    for round in 0..4 {
        fill(&scene, &format!("{round}"));
        scene.engine.backup(BACKUP).unwrap();
        // The page files are removed, and after a kill their numbers are used again.
        scene.queue(&format!("{round}")).delete().unwrap();
        scene.engine.step().unwrap();
        scene.engine.snapshot().unwrap();
        let disk = scene.disk.kill();
        scene.engine = config(&disk, &scene.clock, 1).open("/store").unwrap();
        scene.disk = disk;
    }
    fill(&scene, "last");
    scene.engine.backup(BACKUP).unwrap();
    assert_eq!(scene.restored(&scene.disk), scene.state());
}

#[test]
fn a_damaged_file_of_the_former_backup_is_not_used() {
    let scene = Scene::new(1);
    fill(&scene, "one");
    scene.engine.backup(BACKUP).unwrap();
    let of_pages = |path: &std::path::PathBuf| path.starts_with(BACKUP) && path.to_string_lossy().ends_with(".heap");
    let files: Vec<_> = scene.disk.list_all().into_iter().filter(of_pages).collect();
    assert!(files.len() >= 3);
    for at in (100..scene.disk.size(&files[0]).unwrap()).step_by(100) {
        scene.disk.corrupt(&files[0], at, 1).unwrap();
    }
    scene.disk.truncate(&files[1], 100).unwrap();
    scene.disk.remove_file(&files[2]).unwrap();
    let again = scene.engine.backup(BACKUP).unwrap();
    assert_eq!(again.reused_files(), files.len() as u64 - 3);
    assert_eq!(scene.restored(&scene.disk), scene.state());
}

#[test]
fn a_disk_without_links_gets_copies() {
    let scene = Scene::new(1);
    fill(&scene, "one");
    let first = scene.engine.backup(BACKUP).unwrap();
    scene.disk.inject(Fault::on(Operation::Link).forever());
    let second = scene.engine.backup(BACKUP).unwrap();
    assert_eq!((second.reused_files(), second.copied_files()), (0, first.copied_files()));
    assert_eq!(scene.restored(&scene.disk), scene.state());
}

#[test]
fn a_disk_that_clones_files_copies_no_page_file_and_clones_are_cut_off_behind_what_is_needed() {
    let scene = Scene::new(1);
    scene.disk.set_cloning(true);
    fill(&scene, "one");
    let first = scene.engine.backup(BACKUP).unwrap();
    assert!(first.cloned_files() >= 3 && first.cloned_bytes() > 40_000, "{first}");
    assert!(first.copied_bytes() < 10_000, "{first}");
    let size = |under: &str| {
        let files = scene.disk.list_all().into_iter().filter(|path| path.starts_with(under));
        let pages = files.filter(|path| path.to_string_lossy().ends_with(".heap"));
        pages.map(|path| scene.disk.size(&path).unwrap()).sum::<u64>()
    };
    assert_eq!(size(BACKUP), first.cloned_bytes());
    let state = scene.state();
    // The engine goes on in its page files, and the clones stay.
    fill(&scene, "two");
    assert_eq!(size(BACKUP), first.cloned_bytes());
    let report = disks_config(&scene.disk).restore(BACKUP, RESTORED).unwrap();
    assert_eq!(report.cloned_files(), first.cloned_files());
    assert_eq!(crate::scene::state(&scene.open(&scene.disk, RESTORED), &scene.claims), state);
}
