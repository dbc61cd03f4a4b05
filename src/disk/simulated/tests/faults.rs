//! Faults, a full disk, damage.

use std::time::Duration;

use super::*;
use crate::Error;
use crate::disk::Trees;

#[test]
fn a_full_disk_refuses_growth_and_heals_with_space() {
    let disk = SimulatedDisk::new();
    let file = put(&disk, "/file", b"12345");
    let trees = disk.trees(Path::new("/trees")).unwrap();
    trees.insert(Tree::Meta, b"k", b"value").unwrap();
    disk.set_capacity(Some(12));
    assert_eq!(disk.size(Path::new("/")).unwrap(), 11);

    assert!(matches!(trees.insert(Tree::Meta, b"k", b"longer!"), Err(Error::StorageFull { .. })));
    assert_eq!(kind(file.write_all_at(b"0", 6)), Some(ErrorKind::StorageFull));
    assert_eq!(file.len().unwrap(), 5, "not even the space before it fits");
    assert_eq!(kind(file.write_all_at(b"67", 5)), Some(ErrorKind::StorageFull));
    assert_eq!(file.len().unwrap(), 6, "the part that fits stays");
    file.set_len(5).unwrap();
    assert_eq!(kind(file.allocate(7)), Some(ErrorKind::StorageFull));
    assert_eq!(file.len().unwrap(), 6, "of an allocation too");
    file.set_len(5).unwrap();
    file.write_all_at(b"4567", 3).unwrap_err();
    assert_eq!(disk.read("/file").unwrap(), b"123456".as_slice());
    file.write_all_at(b"12345", 0).unwrap();
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
fn the_power_fails_after_the_given_operations() {
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
    let (mut lost, mut kept) = (0, 0);
    for seed in 0..100 {
        let disk = SimulatedDisk::new();
        disk.set_seed(seed);
        disk.write("/file", "..").unwrap();
        let file = disk.open(Path::new("/file")).unwrap();
        file.write_all_at(b"1", 0).unwrap();
        disk.fail_nth(FaultKind::Sync, 1);
        file.sync_data().unwrap_err();
        file.sync_data().unwrap();
        disk.drop_caches();
        let seen = files(&disk);
        assert_eq!(durable(&disk), seen);
        lost += u32::from(seen == ["/file=.."]);
        kept += u32::from(seen == ["/file=1."]);
    }
    assert!(lost > 0 && kept > 0 && lost + kept == 100);
}

#[test]
fn the_same_seed_loses_the_same() {
    let left = |seed| {
        let disk = SimulatedDisk::new();
        disk.set_seed(seed);
        let file = put(&disk, "/file", &vec![b'x'; 20_000]);
        sync(&disk, "/");
        disk.fail_nth(FaultKind::Sync, 1);
        file.sync_data().unwrap_err();
        files(&disk.kill())
    };
    assert_eq!(left(1), left(1));
    assert!((2..10).any(|seed| left(seed) != left(1)));
}

#[test]
fn changes_of_trees_that_a_failed_sync_lost_come_back_only_when_made_again() {
    let (mut lost, mut kept) = (0, 0);
    for seed in 0..50 {
        let disk = SimulatedDisk::new();
        disk.set_seed(seed);
        let trees = disk.trees(Path::new("/trees")).unwrap();
        for key in [b"a", b"b"] {
            trees.insert(Tree::Meta, key, b"1").unwrap();
        }
        disk.inject(Fault::on(Operation::SyncTrees));
        disk.sync_trees(Path::new("/trees")).unwrap_err();
        assert_eq!(trees.get(Tree::Meta, b"a").unwrap(), Some(b"1".to_vec()));
        trees.insert(Tree::Meta, b"a", b"2").unwrap();
        disk.sync_trees(Path::new("/trees")).unwrap();
        let left = disk.power_loss(Keep::Nothing).trees(Path::new("/trees")).unwrap();
        assert_eq!(left.get(Tree::Meta, b"a").unwrap(), Some(b"2".to_vec()));
        let b = left.get(Tree::Meta, b"b").unwrap();
        lost += u32::from(b.is_none());
        kept += u32::from(b.is_some());
    }
    assert!(lost > 0 && kept > 0);
}

#[test]
fn a_failing_write_leaves_any_part_of_its_beginning() {
    let mut lengths = BTreeSet::new();
    for seed in 0..100 {
        let disk = SimulatedDisk::new();
        disk.set_seed(seed);
        let file = put(&disk, "/file", b"");
        disk.inject(Fault::on(Operation::Write).error(FaultError::Space));
        assert_eq!(kind(file.write_all_at(b"12345", 0)), Some(ErrorKind::StorageFull));
        let left = disk.read("/file").unwrap();
        assert!(b"12345".starts_with(&left));
        lengths.insert(left.len());
    }
    assert_eq!(lengths, BTreeSet::from([0, 1, 2, 3, 4]));
}

#[test]
fn every_kind_of_call_can_fail_with_every_error_once_and_for_ever() {
    type Call = fn(&SimulatedDisk, &dyn DiskFile, &dyn Trees) -> bool;
    let calls: [(Operation, Call); 17] = [
        (Operation::Open, |disk, _, _| disk.open_read(Path::new("/file")).is_ok()),
        (Operation::Create, |disk, _, _| disk.create(Path::new("/new")).is_ok()),
        (Operation::Read, |_, file, _| file.read_at(&mut [0], 0).is_ok() && file.len().is_ok()),
        (Operation::Write, |_, file, _| file.write_all_at(b"1", 0).is_ok()),
        (Operation::Allocate, |_, file, _| file.allocate(9).is_ok() && file.set_len(1).is_ok()),
        (Operation::Sync, |_, file, _| file.sync_data().is_ok()),
        (Operation::SyncDir, |disk, _, _| disk.sync_dir(Path::new("/")).is_ok()),
        (Operation::Rename, |disk, _, _| disk.rename(Path::new("/file"), Path::new("/file")).is_ok()),
        (Operation::Link, |disk, _, _| {
            let _ = disk.remove_file(Path::new("/link"));
            disk.link(Path::new("/file"), Path::new("/link")).is_ok()
        }),
        (Operation::Remove, |disk, _, _| {
            disk.write("/gone", "").unwrap();
            disk.remove_file(Path::new("/gone")).is_ok()
        }),
        (Operation::MakeDir, |disk, _, _| {
            disk.remove_dir_all(Path::new("/dir")).unwrap();
            disk.create_dir_all(Path::new("/dir")).is_ok()
        }),
        (Operation::Look, |disk, _, _| disk.list(Path::new("/")).is_ok() && disk.size(Path::new("/")).is_ok()),
        (Operation::Lock, |disk, _, _| disk.lock(Path::new("/file")).is_ok_and(|lock| lock.is_some())),
        (Operation::OpenTrees, |disk, _, _| disk.trees(Path::new("/trees")).is_ok()),
        (Operation::ReadTrees, |_, _, trees| trees.get(Tree::Meta, b"k").is_ok()),
        (Operation::WriteTrees, |_, _, trees| trees.insert(Tree::Meta, b"k", b"").is_ok()),
        (Operation::SyncTrees, |disk, _, trees| trees.flush().is_ok() && disk.sync_trees(Path::new("/trees")).is_ok()),
    ];
    assert!(calls.iter().map(|call| call.0).eq(Operation::ALL));
    for (operation, call) in calls {
        for error in FaultError::ALL {
            let disk = SimulatedDisk::new();
            let file = put(&disk, "/file", b"1");
            let trees = disk.trees(Path::new("/trees")).unwrap();
            let call = || call(&disk, &*file, &*trees);
            assert!(call(), "{operation:?}");
            disk.inject(Fault::on(operation).error(error));
            assert!(!call() && call(), "{operation:?}");
            disk.inject(Fault::on(operation).forever().error(error));
            assert!(!call() && !call(), "{operation:?}");
            disk.heal();
            assert!(call(), "{operation:?}");
        }
    }
}

#[test]
fn any_call_can_be_the_one_that_fails() {
    for nth in 1..=4 {
        let disk = SimulatedDisk::new();
        let before = disk.calls();
        disk.inject(Fault::on_any().nth(nth));
        let done = [
            disk.create(Path::new("/file")).is_ok(),
            disk.exists(Path::new("/file")).is_ok(),
            disk.sync_dir(Path::new("/")).is_ok(),
            disk.list(Path::new("/")).is_ok(),
        ];
        assert_eq!(done.iter().position(|done| !done), usize::try_from(nth - 1).ok());
        assert_eq!(disk.calls() - before, 4);
    }
}

#[test]
fn a_held_call_delays_no_other_and_does_nothing_until_it_is_released() {
    const LONG: Duration = Duration::from_mins(1);
    let disk = SimulatedDisk::new();
    let (slow, quick) = (put(&disk, "/slow", b"1"), put(&disk, "/quick", b"1"));
    sync(&disk, "/");
    let gate = disk.hold(Calls::from(FaultKind::Sync).under("/slow"));
    assert!(!gate.wait_for(1, Duration::ZERO));
    std::thread::scope(|scope| {
        let held: Vec<_> = (0..2).map(|_| scope.spawn(|| slow.sync_data())).collect();
        assert!(gate.wait_for(2, LONG));
        quick.sync_data().unwrap();
        slow.write_all_at(b"2", 0).unwrap();
        let calls = disk.calls();
        drop(gate);
        held.into_iter().for_each(|held| held.join().unwrap().unwrap());
        assert_eq!(disk.calls(), calls + 2);
    });
    slow.sync_data().unwrap();
    assert_eq!(durable(&disk), ["/quick=1", "/slow=2"]);
}

#[test]
fn handles_are_counted_until_they_are_dropped() {
    let disk = SimulatedDisk::new();
    let file = put(&disk, "/file", b"1");
    let lock = disk.lock(Path::new("/lock")).unwrap();
    let trees = disk.trees(Path::new("/trees")).unwrap();
    assert_eq!(disk.open_handles(), 3);
    disk.set_descriptors(Some(3));
    let refused = disk.open(Path::new("/file")).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(rustix::io::Errno::MFILE.raw_os_error()));
    disk.lock(Path::new("/other")).map(drop).unwrap_err();
    assert!(!disk.exists(Path::new("/other")).unwrap());
    disk.list(Path::new("/")).unwrap_err();
    drop((file, lock, trees));
    assert_eq!(disk.open_handles(), 0);
    disk.list(Path::new("/")).unwrap();
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
