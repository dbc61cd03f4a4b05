//! The files and names that a power cut leaves.

use super::*;

#[test]
fn unsynced_contents_are_lost_to_a_power_cut_and_kept_by_a_kill() {
    let disk = SimulatedDisk::new();
    let file = put(&disk, "/file", b"synced");
    file.sync_data().unwrap();
    sync(&disk, "/");
    file.write_all_at(b"lost!!", 0).unwrap();
    file.set_len(4).unwrap();
    file.allocate(8).unwrap();
    let disk = disk.kill();
    assert_eq!(files(&disk), ["/file=lost\0\0\0\0"]);
    assert_eq!(durable(&disk), ["/file=synced"]);
}

#[test]
fn a_created_file_is_lost_with_its_name_however_well_it_was_synced() {
    let disk = SimulatedDisk::new();
    put(&disk, "/file", b"synced").sync_data().unwrap();
    assert!(durable(&disk).is_empty());
}

#[test]
fn a_durable_name_does_not_keep_contents() {
    let disk = SimulatedDisk::new();
    put(&disk, "/file", b"unsynced");
    sync(&disk, "/");
    assert_eq!(durable(&disk), ["/file="]);
}

#[test]
fn truncating_by_create_is_undone_by_a_power_cut() {
    let disk = SimulatedDisk::new();
    disk.write("/file", "old").unwrap();
    put(&disk, "/file", b"newer");
    assert_eq!(files(&disk), ["/file=newer"]);
    assert_eq!(durable(&disk), ["/file=old"]);
}

#[test]
fn an_unsynced_link_is_there_or_not_and_its_file_stays() {
    let left = possible(|disk| {
        disk.write("/file", "abc").unwrap();
        disk.link(Path::new("/file"), Path::new("/link")).unwrap();
        assert_eq!(disk.link(Path::new("/file"), Path::new("/link")).unwrap_err().kind(), ErrorKind::AlreadyExists);
    });
    assert_eq!(left, set(&["/file=abc", "/file=abc /link=abc"]));
    let disk = SimulatedDisk::new();
    disk.write("/file", "abc").unwrap();
    disk.set_capacity(Some(4));
    disk.link(Path::new("/file"), Path::new("/link")).unwrap();
    disk.open(Path::new("/link")).unwrap().write_all_at(b"d", 3).unwrap();
    assert_eq!(files(&disk), ["/file=abcd", "/link=abcd"]);
    disk.open(Path::new("/link")).unwrap().write_all_at(b"e", 4).unwrap_err();
}

#[test]
fn an_unsynced_rename_over_a_file_shows_the_old_or_the_new_one() {
    let left = possible(|disk| {
        disk.write("/current", "old").unwrap();
        put(disk, "/next", b"new").sync_data().unwrap();
        sync(disk, "/");
        rename(disk, "/next", "/current");
        assert_eq!(files(disk), ["/current=new"]);
    });
    assert_eq!(left, set(&["/current=old /next=new", "/current=new"]));
}

#[test]
fn a_rename_rests_on_the_create_before_it() {
    let left = possible(|disk| {
        disk.write("/current", "old").unwrap();
        put(disk, "/next", b"new").sync_data().unwrap();
        rename(disk, "/next", "/current");
    });
    assert_eq!(left, set(&["/current=old", "/current=old /next=new", "/current=new"]));
}

#[test]
fn a_file_renamed_twice_has_one_name() {
    let left = possible(|disk| {
        disk.write("/x", "1").unwrap();
        rename(disk, "/x", "/y");
        rename(disk, "/y", "/z");
    });
    assert_eq!(left, set(&["/x=1", "/y=1", "/z=1"]));
}

#[test]
fn a_rename_to_another_directory_is_atomic_whichever_is_synced() {
    for synced in ["/a", "/b"] {
        let left = possible(|disk| {
            disk.create_dir_all(Path::new("/a")).unwrap();
            disk.create_dir_all(Path::new("/b")).unwrap();
            put(disk, "/a/x", b"1").sync_data().unwrap();
            rename(disk, "/a/x", "/b/y");
            put(disk, "/a/x", b"2").sync_data().unwrap();
            sync(disk, synced);
        });
        assert!(left.contains("/a/x=2 /b/y=1"));
        assert_eq!(left.contains("/b/y=1"), synced == "/b");
        assert!(left.len() <= 2, "{left:?}");
    }
}

#[test]
fn unsynced_names_survive_in_any_combination() {
    let left = possible(|disk| {
        disk.write("/gone", "").unwrap();
        disk.remove_file(Path::new("/gone")).unwrap();
        put(disk, "/new", b"").sync_data().unwrap();
    });
    assert_eq!(left, set(&["", "/gone=", "/new=", "/gone= /new="]));
}

#[test]
fn a_removed_file_is_back_after_a_power_cut_unless_its_directory_was_synced() {
    let disk = SimulatedDisk::new();
    disk.write("/file", "here").unwrap();
    disk.remove_file(Path::new("/file")).unwrap();
    let disk = disk.kill();
    assert!(files(&disk).is_empty());
    let disk = disk.power_loss(Keep::Nothing);
    assert_eq!(files(&disk), ["/file=here"]);
    disk.remove_file(Path::new("/file")).unwrap();
    sync(&disk, "/");
    assert!(durable(&disk).is_empty());
}

#[test]
fn created_directories_are_durable_and_removed_ones_come_back() {
    let disk = SimulatedDisk::new();
    disk.create_dir_all(Path::new("/a/b")).unwrap();
    disk.create_dir_all(Path::new("/a/b")).unwrap();
    disk.write("/a/b/file", "x").unwrap();
    disk.remove_dir_all(Path::new("/a")).unwrap();
    disk.remove_dir_all(Path::new("/a")).unwrap();
    assert!(!disk.exists(Path::new("/a")).unwrap());
    assert_eq!(durable(&disk), ["/a/b/file=x"]);
}

#[test]
fn a_directory_made_before_a_kill_is_durable_once_it_is_made_again() {
    for cut in 0..6 {
        let disk = SimulatedDisk::new();
        disk.fail_after(cut);
        let _ = disk.create_dir_all(Path::new("/a/b"));
        let disk = disk.kill();
        disk.create_dir_all(Path::new("/a/b")).unwrap();
        assert!(disk.power_loss(Keep::Nothing).exists(Path::new("/a/b")).unwrap());
    }
}

#[test]
fn a_seed_decides_all_that_chance_does() {
    let left = |seed| {
        let disk = SimulatedDisk::new();
        for name in 0..50 {
            put(&disk, &format!("/{name}"), &[b'x'; 2000]);
        }
        files(&disk.power_loss(Keep::Random(seed)))
    };
    assert_eq!(left(7), left(7));
    assert_ne!(left(7), left(8));
}

#[test]
fn memory_is_not_durable_and_remembers_nothing_unsynced() {
    let disk = SimulatedDisk::memory();
    assert!(!disk.is_durable());
    assert!(SimulatedDisk::new().is_durable());
    put(&disk, "/file", b"1");
    disk.trees(Path::new("/trees")).unwrap().insert(Tree::Meta, b"k", b"v").unwrap();
    let disk = disk.kill();
    assert_eq!(files(&disk), ["/file=1"]);
    let disk = disk.power_loss(Keep::Nothing);
    assert!(disk.list(Path::new("/")).unwrap().is_empty());
    assert!(!disk.is_durable());
}
