//! The contents of trees after a power cut.

use super::*;
use crate::Error;

/// The trees after a power cut: one letter for each existing key.
fn keys_left(disk: &SimulatedDisk, keep: Keep) -> String {
    let trees = disk.power_loss(keep).trees(Path::new("/trees")).unwrap();
    let mut keys = String::new();
    let mut visit = |key: &[u8], _: &[u8]| {
        keys.push_str(&String::from_utf8_lossy(key));
        Ok(())
    };
    trees.scan(Tree::Messages, &mut visit).unwrap();
    keys
}

#[test]
fn synced_trees_are_exact_and_later_changes_are_a_matter_of_chance() {
    let make = || {
        let disk = SimulatedDisk::new();
        let trees = disk.trees(Path::new("/trees")).unwrap();
        trees.insert(Tree::Messages, b"a", b"").unwrap();
        trees.insert(Tree::Messages, b"b", b"").unwrap();
        disk.sync_trees(Path::new("/trees")).unwrap();
        disk
    };
    assert_eq!(keys_left(&make(), Keep::Nothing), "ab");
    assert_eq!(keys_left(&make(), Keep::Random(1)), "ab");
    let left: BTreeSet<_> = (0..300)
        .map(|seed| {
            let disk = make();
            let trees = disk.trees(Path::new("/trees")).unwrap();
            trees.remove(Tree::Messages, b"a").unwrap();
            trees.insert(Tree::Messages, b"c", b"").unwrap();
            trees.flush().unwrap();
            keys_left(&disk, Keep::Random(seed))
        })
        .collect();
    assert_eq!(left, set(&["ab", "abc", "b", "bc"]));
}

#[test]
fn trees_survive_a_kill_and_go_with_their_directory() {
    let disk = SimulatedDisk::new();
    let trees = disk.trees(Path::new("/store/trees")).unwrap();
    trees.insert(Tree::Messages, b"a", b"1").unwrap();
    let disk = disk.kill();
    let trees = disk.trees(Path::new("/store/trees")).unwrap();
    assert_eq!(trees.get(Tree::Messages, b"a").unwrap(), Some(b"1".to_vec()));
    assert_eq!(disk.size(Path::new("/store")).unwrap(), 2);
    disk.remove_dir_all(Path::new("/store")).unwrap();
    let trees = disk.trees(Path::new("/store/trees")).unwrap();
    assert_eq!(trees.get(Tree::Messages, b"a").unwrap(), None);
    drop(trees);
    assert!(!disk.power_loss(Keep::Nothing).exists(Path::new("/store")).unwrap());
}

#[test]
fn a_scan_sees_every_key_and_may_use_the_trees_meanwhile() {
    let disk = SimulatedDisk::new();
    let trees = disk.trees(Path::new("/trees")).unwrap();
    for key in 0..1000_u16 {
        trees.insert(Tree::Queues, &key.to_be_bytes(), b"").unwrap();
    }
    let mut next = 0_u16;
    let mut visit = |key: &[u8], _: &[u8]| {
        assert_eq!(key, next.to_be_bytes());
        next += 1;
        trees.remove(Tree::Queues, key).map(drop)
    };
    trees.scan(Tree::Queues, &mut visit).unwrap();
    assert_eq!(next, 1000);
    trees.insert(Tree::Queues, b"k", b"").unwrap();
    let reason = || "stop".to_owned();
    trees.scan(Tree::Queues, &mut |_, _| Err(Error::Trees { reason: reason() })).unwrap_err();
}
