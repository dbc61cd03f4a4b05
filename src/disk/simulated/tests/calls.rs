//! The calls without faults.

use super::*;

#[test]
fn an_open_file_outlives_its_name() {
    let disk = SimulatedDisk::new();
    let file = put(&disk, "/file", b"here");
    disk.remove_file(Path::new("/file")).unwrap();
    file.write_all_at(b"t", 0).unwrap();
    assert_eq!(file.read_at(&mut [0; 9], 0).unwrap(), 4);
    assert_eq!(disk.size(Path::new("/")).unwrap(), 0);
}

fn with_a_file_and_directories() -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    disk.write("/file", "x").unwrap();
    disk.create_dir_all(Path::new("/dir/sub")).unwrap();
    disk.create_dir_all(Path::new("/other")).unwrap();
    disk
}

#[test]
fn missing_files_are_not_found() {
    let disk = with_a_file_and_directories();
    let path = Path::new("/no/file");
    let expected = Some(ErrorKind::NotFound);
    assert_eq!(kind(disk.open(path)), expected);
    assert_eq!(kind(disk.open_read(path)), expected);
    assert_eq!(kind(disk.create(path)), expected);
    assert_eq!(kind(disk.list(path)), expected);
    assert_eq!(kind(disk.sync_dir(path)), expected);
    assert_eq!(kind(disk.sync_trees(path)), expected);
    assert_eq!(kind(disk.remove_file(path)), expected);
    assert_eq!(kind(disk.rename(path, Path::new("/yes"))), expected);
    assert_eq!(kind(disk.rename(Path::new("/file"), path)), expected);
    assert_eq!(kind(disk.lock(path)), expected);
    assert_eq!(disk.size(path).unwrap(), 0);
    assert!(!disk.exists(path).unwrap());
}

#[test]
fn files_and_directories_are_not_taken_for_each_other() {
    let disk = with_a_file_and_directories();
    let (file, under, dir) = (Path::new("/file"), Path::new("/file/x"), Path::new("/dir"));
    let expected = Some(ErrorKind::NotADirectory);
    assert_eq!(kind(disk.open(under)), expected);
    assert_eq!(kind(disk.create_dir_all(file)), expected);
    assert_eq!(kind(disk.create_dir_all(under)), expected);
    assert_eq!(kind(disk.remove_dir_all(file)), expected);
    assert_eq!(kind(disk.rename(dir, file)), expected);
    let expected = Some(ErrorKind::IsADirectory);
    assert_eq!(kind(disk.create(dir)), expected);
    assert_eq!(kind(disk.remove_file(dir)), expected);
    assert_eq!(kind(disk.rename(file, dir)), expected);
    assert_eq!(files(&disk), ["/file=x"]);
}

#[test]
fn directories_are_renamed_but_not_into_themselves_or_over_full_ones() {
    let disk = with_a_file_and_directories();
    let (dir, other) = (Path::new("/dir"), Path::new("/other"));
    let inside = disk.rename(dir, Path::new("/dir/sub/x"));
    assert_eq!(kind(inside), Some(ErrorKind::InvalidInput));
    assert_eq!(kind(disk.rename(other, dir)), Some(ErrorKind::DirectoryNotEmpty));
    disk.rename(dir, dir).unwrap();
    rename(&disk, "/dir", "/other");
    assert_eq!(disk.list(Path::new("/")).unwrap(), ["file", "other"]);
    assert_eq!(disk.list(other).unwrap(), ["sub"]);
}

#[test]
fn paths_that_lead_upwards_are_refused() {
    let disk = with_a_file_and_directories();
    let result = disk.remove_dir_all(Path::new("/dir/.."));
    assert_eq!(kind(result), Some(ErrorKind::InvalidInput));
}

#[test]
fn a_file_open_to_read_is_not_changed() {
    let disk = with_a_file_and_directories();
    let file = disk.open_read(Path::new("/file")).unwrap();
    let expected = Some(ErrorKind::PermissionDenied);
    assert_eq!(kind(file.write_all_at(b"y", 0)), expected);
    assert_eq!(kind(file.allocate(9)), expected);
    assert_eq!(kind(file.set_len(0)), expected);
    assert_eq!(files(&disk), ["/file=x"]);
}

#[test]
fn writing_nothing_far_out_does_not_lengthen_a_file() {
    let disk = with_a_file_and_directories();
    let file = disk.open(Path::new("/file")).unwrap();
    file.write_all_at(b"", 100).unwrap();
    assert_eq!(file.len().unwrap(), 1);
}

#[test]
fn a_lock_is_held_until_dropped_or_killed() {
    let disk = SimulatedDisk::new();
    let path = Path::new("/lock");
    let held = disk.lock(path).unwrap();
    assert!(held.is_some());
    assert!(disk.clone().lock(path).unwrap().is_none());
    drop(held);
    let held = disk.lock(path).unwrap();
    assert!(held.is_some());
    let disk = disk.kill();
    let again = disk.lock(path).unwrap();
    assert!(again.is_some());
    drop(held);
    assert!(disk.lock(path).unwrap().is_none());
}
