//! The most obvious cases, each by itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zaqar_sled::disk::{Disk, Keep, SimulatedDisk};
use zaqar_sled::{ClientId, Config, Metadata, NewMessage, NewPool, PoolName, Project};

use super::harm::{Harm, Kind};
use super::images::files;
use super::judge::{Figures, assert_enough, judge, print};
use super::store::{ENDS, End, Ended, ROOT};

fn of_kind(original: &[(PathBuf, Vec<u8>)], kind: Kind) -> Vec<(PathBuf, u64)> {
    let kind = original.iter().filter(|(path, _)| Kind::of(path) == kind && !is_of_control(original, path));
    kind.map(|(path, bytes)| (path.clone(), used(bytes))).collect()
}

/// Whether a file belongs to the control store. No other file has the control store's data about its pools.
pub(crate) fn is_of_control(original: &[(PathBuf, Vec<u8>)], path: &Path) -> bool {
    path.starts_with(ROOT) && original.iter().any(|(one, _)| !one.starts_with(ROOT))
}

/// The bytes before the zeros that a file may end with.
fn used(bytes: &[u8]) -> u64 {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1)
}

/// Harms every file of a kind, each in turn and at several places.
fn harm_all(kind: Kind, places: u64, harms: impl Fn(u64) -> Harm) {
    let mut figures = Figures::new();
    for end in ENDS {
        let ended = Ended::new(end, 1);
        let original = files(&ended.disk);
        for (path, bytes) in of_kind(&original, kind) {
            for place in (0..places).filter(|_| bytes > 0) {
                judge(&ended, &original, &path, harms(bytes * (place * 2 + 1) / (places * 2)), &mut figures);
            }
        }
    }
    print("every file", &figures);
    assert!(!figures.is_empty());
    assert_enough(&figures);
}

#[test]
fn one_bit_in_the_snapshot() {
    harm_all(Kind::Snapshot, 40, Harm::Flip);
}

#[test]
fn the_snapshot_removed() {
    harm_all(Kind::Snapshot, 1, |_| Harm::Remove);
}

#[test]
fn the_snapshot_cut_short() {
    harm_all(Kind::Snapshot, 6, Harm::Cut);
}

#[test]
fn a_pool_that_lost_the_record_of_its_driver_is_salvaged_by_the_driver_that_knows_it() {
    for byte in [69, 105] {
        let disk = SimulatedDisk::new();
        let open = |disk: &SimulatedDisk, salvage| {
            let config = Config::new().disk(Arc::new(disk.clone())).background(false).salvage(salvage);
            config.open_pooled("/control").unwrap()
        };
        let driver = open(&disk, false);
        let pool = NewPool::new("sled:/one".parse().unwrap());
        driver.pools().create(&PoolName::new("one").unwrap(), &pool).unwrap();
        let jobs = driver.queue(Project::none(), "jobs").unwrap();
        jobs.create(Metadata::new()).unwrap();
        let posted = jobs.post(ClientId::random(), &[NewMessage::new("a"), NewMessage::new("b")]).unwrap();
        let disk = disk.kill();
        let journal = Path::new("/one/journal");
        let first = disk.list(journal).unwrap().into_iter().min().unwrap();
        disk.corrupt(journal.join(first), byte, 1).unwrap();
        let driver = open(&disk, true);
        let found = driver.queue(Project::none(), "jobs").unwrap().bulk_get(&posted);
        assert_eq!(found.unwrap_or_else(|error| panic!("byte {byte}: {error}")).len(), 2);
        driver.close().unwrap();
        let driver = open(&disk, false);
        assert_eq!(driver.queue(Project::none(), "jobs").unwrap().bulk_get(&posted).unwrap().len(), 2);
    }
}

#[test]
fn one_bit_in_the_first_frame_of_a_segment() {
    // The first change of a pool's store says whose pool it is.
    for byte in [66, 69, 80, 120] {
        harm_all(Kind::Journal, 1, |_| Harm::Flip(byte));
    }
}

#[test]
fn one_bit_in_the_journal() {
    harm_all(Kind::Journal, 10, Harm::Flip);
}

#[test]
fn a_block_of_the_journal_lost() {
    harm_all(Kind::Journal, 6, Harm::Zero);
}

#[test]
fn a_block_that_the_device_cannot_read() {
    harm_all(Kind::Journal, 4, Harm::Unreadable);
    harm_all(Kind::Snapshot, 4, Harm::Unreadable);
    harm_all(Kind::PageFile, 2, Harm::Unreadable);
    harm_all(Kind::Manifest, 1, Harm::Unreadable);
}

#[test]
fn a_file_of_the_journal_removed() {
    harm_all(Kind::Journal, 1, |_| Harm::Remove);
}

/// A lost file that alone had a queue's name: the control store has the name too.
#[test]
fn a_pool_whose_journal_lost_its_beginning_has_its_messages_under_their_queues_names() {
    let ended = Ended::new(End::Pooled, 3);
    let original = files(&ended.disk);
    let mut figures = Figures::new();
    for (path, _) in of_kind(&original, Kind::Journal) {
        judge(&ended, &original, &path, Harm::Remove, &mut figures);
    }
    assert!(!figures.is_empty());
    assert_enough(&figures);
}

#[test]
fn the_manifest_lost_or_damaged() {
    harm_all(Kind::Manifest, 8, Harm::Flip);
    harm_all(Kind::Manifest, 1, |_| Harm::Remove);
}

#[test]
fn an_older_manifest_beside_a_newer_snapshot_and_journal() {
    harm_all(Kind::Manifest, 1, |_| Harm::Older);
}

#[test]
fn a_file_of_pages_damaged_cut_or_removed() {
    harm_all(Kind::PageFile, 4, Harm::Flip);
    harm_all(Kind::PageFile, 2, Harm::Cut);
    harm_all(Kind::PageFile, 1, |_| Harm::Remove);
}

/// The report of salvage, and the place of the files that it moves aside.
#[test]
fn the_report_names_every_damaged_place_and_counts_what_each_queue_lost() {
    let ended = Ended::new(End::Cold, 1);
    let disk = &ended.disk;
    let original = files(disk);
    let page_files: Vec<(PathBuf, u64)> = of_kind(&original, Kind::PageFile);
    let (first, last) = (page_files[0].clone(), page_files[page_files.len() - 1].clone());
    for (path, bytes) in [&first, &last] {
        disk.corrupt(path, bytes / 2, 1).unwrap();
    }
    let opened = ended.open(disk, true).unwrap();
    let super::store::Opened::Engine(engine) = &opened else { panic!("an engine") };
    let report = engine.recovery().clone();
    let missed: u64 = report.lost().iter().map(zaqar_sled::LostMessages::messages).sum();
    assert_eq!(engine.status().messages() + missed, ended.known.messages.live().len() as u64, "{report}");
    assert!(missed > 0 && missed < 257, "{report}");
    for (path, _) in [&first, &last] {
        let named = report.damaged().iter().any(|place| place.file() == path);
        let aside = report.moved_aside().iter().any(|moved| moved.file_name() == path.file_name());
        // An image that nothing refers to is no loss.
        assert!(named == aside, "{}: {report}", path.display());
        let kept = files(disk).iter().any(|(_, bytes)| {
            let harmed = original.iter().find(|(one, _)| one == path).unwrap();
            bytes.len() == harmed.1.len() && bytes.iter().zip(&harmed.1).filter(|(a, b)| a != b).count() == 1
        });
        assert!(kept, "{} is kept", path.display());
    }
    assert!(report.damaged().iter().any(|place| Kind::of(place.file()) == Kind::PageFile), "{report}");
    // Undamaged files stay in their place.
    for (path, bytes) in original.iter().filter(|(path, _)| matches!(Kind::of(path), Kind::Journal | Kind::Snapshot)) {
        let moved = report.moved_aside().iter().any(|moved| moved.file_name() == path.file_name());
        assert!(!moved || used(bytes) == 0, "{} is not damaged", path.display());
    }
    // The next snapshots leave the files that were moved aside alone.
    let aside = files_aside(disk);
    engine.snapshot().unwrap();
    engine.snapshot().unwrap();
    assert_eq!(files_aside(disk), aside);
    assert!(!aside.is_empty());
}

/// An opening after the power cut would remove a file that is back at its old place, as one that nothing names any
/// more.
#[test]
fn a_damaged_file_is_kept_also_if_the_power_fails_after_the_salvage() {
    for kind in [Kind::Manifest, Kind::Snapshot, Kind::Journal, Kind::PageFile] {
        let ended = Ended::new(End::Cold, 1);
        // The first: damage to the end of the journal can pass for a torn write.
        let (path, bytes) = of_kind(&files(&ended.disk), kind).swap_remove(0);
        ended.disk.corrupt(&path, bytes / 2, 1).unwrap();
        let harmed = ended.disk.read(&path).unwrap();
        let opened = ended.open(&ended.disk, true).unwrap();
        let was_moved = !files_aside(&ended.disk).is_empty();
        let left = ended.disk.power_loss(Keep::Nothing);
        drop(opened);
        let opened = ended.open(&left, true).unwrap();
        opened.driver().close().unwrap();
        let is_kept = files(&left).iter().any(|(_, bytes)| *bytes == harmed);
        assert!(was_moved && is_kept, "{kind:?}: {} moved: {was_moved}, kept: {is_kept}", path.display());
    }
}

fn files_aside(disk: &SimulatedDisk) -> Vec<PathBuf> {
    disk.list_all().into_iter().filter(|path| path.to_string_lossy().contains("damaged-")).collect()
}

#[test]
fn salvage_of_a_store_that_is_whole_changes_nothing_but_what_opening_does() {
    for end in ENDS {
        let ended = Ended::new(end, 1);
        let disk = &ended.disk;
        let opened = ended.open(disk, true).unwrap();
        assert!(files_aside(disk).is_empty(), "{end:?}");
        if let super::store::Opened::Engine(engine) = &opened {
            assert!(engine.recovery().damaged().is_empty() && engine.recovery().notes().is_empty());
            assert_eq!(engine.status().messages(), ended.known.messages.live().len() as u64);
        }
        assert!(disk.exists(&Path::new(ROOT).join("MANIFEST")).unwrap());
    }
}

/// A file that is there and may not be read is no damage: the error names it.
#[test]
fn a_file_that_may_not_be_read_is_an_error_that_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    let open = |salvage: bool| zaqar_sled::Config::new().background(false).salvage(salvage).open(&root);
    let engine = open(false).unwrap();
    engine.queue(zaqar_sled::Project::none(), "jobs").unwrap().create(zaqar_sled::Metadata::new()).unwrap();
    engine.snapshot().unwrap();
    engine.close().unwrap();
    drop(engine);
    let manifest = root.join("MANIFEST");
    let aside = folder.path().join("aside");
    std::fs::rename(&manifest, &aside).unwrap();
    // A link to itself, and a directory.
    std::os::unix::fs::symlink(&manifest, &manifest).unwrap();
    for salvage in [false, true] {
        let error = open(salvage).unwrap_err();
        assert!(error.to_string().contains("MANIFEST"), "{error}");
        assert!(!error.is_corrupt(), "{error}");
    }
    std::fs::remove_file(&manifest).unwrap();
    std::fs::create_dir(&manifest).unwrap();
    for salvage in [false, true] {
        let error = open(salvage).unwrap_err();
        assert!(error.to_string().contains("MANIFEST"), "{error}");
    }
    std::fs::remove_dir(&manifest).unwrap();
    std::fs::rename(&aside, &manifest).unwrap();
    assert!(open(false).unwrap().recovery().notes().is_empty());
}
