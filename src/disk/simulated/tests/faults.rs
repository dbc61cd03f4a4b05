//! Faults, a full disk, damage.

use super::*;
use crate::Error;

#[test]
fn a_full_disk_refuses_growth_and_heals_with_space() {
    let disk = SimulatedDisk::new();
    let file = put(&disk, "/file", b"12345");
    let trees = disk.trees(Path::new("/trees")).unwrap();
    trees.insert(Tree::Meta, b"k", b"value").unwrap();
    disk.set_capacity(Some(12));
    assert_eq!(disk.size(Path::new("/")).unwrap(), 11);

    assert_eq!(kind(file.write_all_at(b"67", 5)), Some(ErrorKind::StorageFull));
    assert_eq!(kind(file.allocate(7)), Some(ErrorKind::StorageFull));
    assert!(matches!(trees.insert(Tree::Meta, b"k", b"longer!"), Err(Error::StorageFull { .. })));
    assert_eq!(file.len().unwrap(), 5);
    file.write_all_at(b"6", 5).unwrap();
    assert_eq!(kind(disk.create(Path::new("/new"))), Some(ErrorKind::StorageFull));
    assert_eq!(kind(disk.create_dir_all(Path::new("/dir"))), Some(ErrorKind::StorageFull));

    file.write_all_at(b"654321", 0).unwrap();
    trees.insert(Tree::Meta, b"k", b"VALUE").unwrap();
    trees.remove(Tree::Meta, b"k").unwrap();
    file.allocate(12).unwrap();
    disk.set_capacity(None);
    file.allocate(1000).unwrap();
}

#[test]
fn the_power_goes_after_the_operations_given() {
    let disk = SimulatedDisk::new();
    let file = put(&disk, "/file", b"1");
    assert_eq!(disk.operations(), 2);
    disk.fail_after(2);
    file.write_all_at(b"2", 0).unwrap();
    file.read_at(&mut [0], 0).unwrap();
    sync(&disk, "/");
    assert_eq!(file.read_at(&mut [0], 0).unwrap_err().to_string(), "power is off");
    file.sync_data().unwrap_err();
    disk.open(Path::new("/file")).unwrap_err();
    disk.trees(Path::new("/trees")).unwrap_err();
    assert_eq!(disk.operations(), 4);
    assert_eq!(disk.read("/file").unwrap(), b"2");

    let image = disk.kill();
    assert_eq!(image.operations(), 0);
    assert_eq!(files(&image), ["/file=2"]);
    assert_eq!(durable(&image), ["/file="]);
}

#[test]
fn a_disk_that_lives_on_as_its_image_is_dead() {
    let disk = SimulatedDisk::new();
    let file = put(&disk, "/file", b"1");
    let trees = disk.trees(Path::new("/trees")).unwrap();
    let image = disk.kill();
    file.write_all_at(b"2", 0).unwrap_err();
    file.len().unwrap_err();
    trees.insert(Tree::Meta, b"k", b"v").unwrap_err();
    disk.fail_after(9);
    disk.list(Path::new("/")).unwrap_err();
    disk.read("/file").unwrap_err();
    assert!(disk.list_all().is_empty());
    disk.power_loss(Keep::Nothing).list(Path::new("/")).unwrap_err();
    assert_eq!(files(&image), ["/file=1"]);
}

#[test]
fn one_call_fails_and_the_next_does_not() {
    let disk = SimulatedDisk::new();
    let file = put(&disk, "/file", b"1");
    disk.fail_nth(FaultKind::Write, 2);
    disk.fail_nth(FaultKind::Read, 1);
    file.write_all_at(b"2", 0).unwrap();
    file.write_all_at(b"3", 0).unwrap_err();
    file.len().unwrap_err();
    assert_eq!(disk.read("/file").unwrap(), b"2");
    file.write_all_at(b"4", 0).unwrap();
    assert_eq!(file.len().unwrap(), 1);
}

#[test]
fn a_sync_after_a_failed_one_does_not_save_what_that_one_lost() {
    let disk = SimulatedDisk::new();
    disk.write("/file", "..").unwrap();
    let file = disk.open(Path::new("/file")).unwrap();
    file.write_all_at(b"1", 0).unwrap();
    disk.fail_nth(FaultKind::Sync, 1);
    file.sync_data().unwrap_err();
    file.write_all_at(b"2", 1).unwrap();
    file.sync_data().unwrap();
    assert_eq!(files(&disk), ["/file=12"]);
    assert_eq!(durable(&disk), ["/file=.2"]);
}

#[test]
fn damage_counts_as_done_and_synced() {
    let disk = SimulatedDisk::new();
    disk.write("/file", "abc").unwrap();
    disk.corrupt("/file", 1, 0x20).unwrap();
    assert_eq!(kind(disk.corrupt("/file", 3, 1)), Some(ErrorKind::InvalidInput));
    put(&disk, "/cut", b"123456");
    disk.truncate("/cut", 4).unwrap();
    disk.truncate("/cut", 9).unwrap();
    sync(&disk, "/");
    assert_eq!(disk.operations(), 3);
    assert_eq!(durable(&disk), ["/cut=1234", "/file=aBc"]);
}
