//! Messages that are a page each are written once: the frame that posts one becomes the page's image.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "in a test a panic is the way to say what is wrong"
)]
#![allow(clippy::cast_possible_truncation, reason = "the numbers are small")]

#[path = "support/images.rs"]
mod images;
#[path = "support/metered.rs"]
mod metered;
#[path = "support/values.rs"]
mod values;
#[path = "support/variables.rs"]
mod variables;
#[path = "support/wrapped_disk.rs"]
mod wrapped_disk;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zaqar_sled::disk::{Calls, Disk, Fault, FaultError, Keep, Operation, SimulatedDisk};
use zaqar_sled::{ClaimOptions, Config, Durability, Engine, Message, NewMessage, Project, Queue, Sort};

use images::{assert_sound, disk_of, files};
use metered::{Meter, MeteredDisk};
use values::{CLIENT, clock, everything, seconds};
use variables::ROUNDS;

const KIB: usize = 1 << 10;
const SIZE: usize = 40 * KIB;
const SEGMENT: u64 = 256 << 10;
const ROOT: &str = "/store";

fn config(disk: impl Disk) -> Config {
    let config = Config::new().disk(Arc::new(disk)).clock(clock()).seed(1).background(false);
    config.segment_size(SEGMENT).durability(Durability::Buffered)
}

fn open(disk: &SimulatedDisk) -> Engine {
    config(disk.clone()).open(ROOT).unwrap()
}

fn jobs(engine: &Engine) -> Queue {
    let queue = engine.queue(Project::none(), "jobs").unwrap();
    queue.create(zaqar_sled::Metadata::new()).unwrap();
    queue
}

fn body(number: usize, bytes: usize) -> Vec<u8> {
    let mut body = format!("{number} ").into_bytes();
    body.resize(bytes, (number % 251) as u8);
    body
}

fn post(queue: &Queue, number: usize, bytes: usize) {
    queue.post(CLIENT, &[NewMessage::new(body(number, bytes)).ttl(seconds(3_600)).header("n", "1")]).unwrap();
}

fn post_all(queue: &Queue, numbers: impl IntoIterator<Item = usize>) {
    numbers.into_iter().for_each(|number| post(queue, number, SIZE));
}

fn bodies(engine: &Engine) -> Vec<Vec<u8>> {
    let queue = engine.queue(Project::none(), "jobs").unwrap();
    let found = queue.list(&everything()).unwrap().items;
    assert!(found.iter().all(|message| message.headers().get("n") == Some("1")), "a message has lost its headers");
    found.iter().map(|message: &Message| message.body().as_bytes().to_vec()).collect()
}

fn expected(numbers: impl IntoIterator<Item = usize>) -> Vec<Vec<u8>> {
    numbers.into_iter().map(|number| body(number, SIZE)).collect()
}

fn page_files(disk: &dyn Disk) -> Vec<PathBuf> {
    let folder = Path::new(ROOT).join("heap");
    disk.list(&folder).unwrap().into_iter().map(|name| folder.join(name)).collect()
}

fn is_segment(disk: &SimulatedDisk, path: &Path) -> bool {
    disk.read(path).unwrap().starts_with(b"zaqarlog")
}

const ENDS: [&str; 4] = ["killed", "cut", "closed", "cut after the close"];

/// The disk after that end of the process, or of the power.
fn end(disk: &SimulatedDisk, engine: Engine, end: &str) -> SimulatedDisk {
    if end.contains("close") {
        engine.close().unwrap();
    }
    if end.starts_with("cut") { disk.power_loss(Keep::Nothing) } else { disk.kill() }
}

#[test]
fn a_large_message_is_written_once_and_comes_back_in_every_way() {
    ENDS.iter().for_each(|kind| write_once(kind));
}

fn write_once(kind: &str) {
    let disk = SimulatedDisk::new();
    let metered = MeteredDisk::around(Arc::new(disk.clone()), Meter::default());
    let engine = config(metered.clone()).open(ROOT).unwrap();
    let queue = jobs(&engine);
    post_all(&queue, 0..40);
    let before = metered.hook.written();
    engine.snapshot().unwrap();
    let written = metered.hook.written() - before;
    assert!(written < (2 * SIZE) as u64, "{written} bytes were written for a snapshot of {} bytes", 40 * SIZE);
    assert!(page_files(&disk).iter().all(|path| is_segment(&disk, path)));
    let status = engine.status();
    assert!(status.page_file_bytes() + status.journal_bytes() >= (40 * SIZE) as u64, "{status:?}");
    assert_eq!(engine.status().journal_segments(), 1, "the rest is page files now");
    post_all(&queue, 40..50);
    engine.snapshot().unwrap();
    assert_sound(&engine, "after two snapshots");
    drop(queue);
    let disk = end(&disk, engine, kind);
    let engine = open(&disk);
    assert_eq!(bodies(&engine), expected(0..50), "{kind}");
    assert_sound(&engine, kind);
    // Once more through a snapshot and a restart.
    post_all(&engine.queue(Project::none(), "jobs").unwrap(), 50..52);
    engine.snapshot().unwrap();
    engine.close().unwrap();
    assert_eq!(bodies(&open(&disk.kill())), expected(0..52), "{kind}");
}

#[test]
fn pages_leave_memory_without_being_written_and_are_read_from_the_journals_frames() {
    ["killed", "closed", "cut after the close"].iter().for_each(|kind| read_back(kind));
}

fn read_back(kind: &str) {
    let disk = SimulatedDisk::new();
    let metered = MeteredDisk::around(Arc::new(disk.clone()), Meter::default());
    let engine = config(metered.clone()).memory(4 * SIZE as u64).open(ROOT).unwrap();
    let queue = jobs(&engine);
    let before = metered.hook.written();
    post_all(&queue, 0..60);
    let written = metered.hook.written() - before;
    assert!(written < (66 * SIZE) as u64, "{written} bytes were written for {}", 60 * SIZE);
    assert!(engine.status().cold_pages() > 40, "{:?}", engine.status());
    assert_eq!(bodies(&engine), expected(0..60));
    drop(queue);
    let engine = config(end(&disk, engine, kind)).memory(4 * SIZE as u64).open(ROOT).unwrap();
    assert_eq!(bodies(&engine), expected(0..60), "{kind}");
    assert_sound(&engine, kind);
}

#[test]
fn claimed_retried_and_deleted_messages_have_what_changed() {
    ENDS.iter().for_each(|kind| [true, false].iter().for_each(|is_image| change(kind, *is_image)));
}

/// The frames are images already when the messages are claimed, or could become images.
fn change(kind: &str, is_image: bool) {
    let disk = SimulatedDisk::new();
    let engine = open(&disk);
    let queue = jobs(&engine);
    post_all(&queue, 0..12);
    if is_image {
        engine.snapshot().unwrap();
    }
    let claim = queue.claim(ClaimOptions::new().ttl(seconds(60)).limit(4)).unwrap().unwrap();
    claim.delete(&claim.messages()[0]).unwrap();
    claim.retry(zaqar_sled::Retry::new(claim.messages()[1].id()).delay(seconds(5)).reason("not yet")).unwrap();
    engine.snapshot().unwrap();
    drop((claim, queue));
    let engine = open(&end(&disk, engine, kind));
    assert_eq!(bodies(&engine), expected(1..12), "{kind}");
    let found = engine.queue(Project::none(), "jobs").unwrap().list(&everything()).unwrap().items;
    assert_eq!(found.iter().map(Message::claim_count).collect::<Vec<_>>()[..4], [1, 1, 1, 0], "{kind}");
    assert_eq!(found[0].last_failure(), Some("not yet"), "{kind}");
    assert_eq!(found.iter().filter(|message| message.claim_id().is_some()).count(), 2, "{kind}");
    assert_sound(&engine, kind);
}

#[test]
fn a_segment_with_little_left_of_it_is_left() {
    let disk = SimulatedDisk::new();
    let engine = open(&disk);
    let queue = jobs(&engine);
    for number in 0..60 {
        post(&queue, number, if number % 20 == 0 { SIZE } else { 10 * KIB });
    }
    engine.snapshot().unwrap();
    assert!(page_files(&disk).iter().all(|path| !is_segment(&disk, path)), "most frames are small messages");

    let queue = engine.queue(Project::none(), "others").unwrap();
    queue.create(zaqar_sled::Metadata::new()).unwrap();
    post_all(&queue, 0..30);
    engine.snapshot().unwrap();
    let segments = || page_files(&disk).iter().filter(|path| is_segment(&disk, path)).count();
    assert!(segments() >= 4, "{:?}", page_files(&disk));
    // Every sixth stays.
    let found = queue.list(&everything()).unwrap().items;
    let gone: Vec<_> = found.iter().enumerate().filter(|(at, _)| at % 6 != 0).map(|(_, one)| one.id()).collect();
    queue.bulk_delete(&gone).unwrap();
    engine.snapshot().unwrap();
    engine.snapshot().unwrap();
    assert_eq!(segments(), 0, "{:?}", page_files(&disk));
    let left: Vec<Vec<u8>> =
        queue.list(&everything()).unwrap().items.iter().map(|one| one.body().as_bytes().to_vec()).collect();
    assert_eq!(left, expected((0..30).step_by(6)));
    queue.pop(5).unwrap();
    engine.compact().unwrap();
    assert_sound(&engine, "compacted");
}

#[test]
fn when_the_messages_are_gone_so_are_the_files() {
    let disk = SimulatedDisk::new();
    let engine = open(&disk);
    let queue = jobs(&engine);
    for round in 0..20 {
        post_all(&queue, 0..20);
        engine.snapshot().unwrap();
        assert_eq!(queue.first(Sort::Oldest).unwrap().body().as_bytes(), body(0, SIZE));
        assert_eq!(queue.purge().unwrap(), 20);
        engine.snapshot().unwrap();
        let used = disk.size(Path::new(ROOT)).unwrap();
        assert!(used <= 4 * SEGMENT, "{used} bytes are used after round {round}: {:?}", disk.list_all());
    }
}

/// Threads post and take messages of all sizes while memory is short, snapshots are written all the time, and files are
/// used again; every body is read whole, and what is left is there after a kill, or after a power cut if it was synced.
#[test]
fn nothing_is_mixed_up_while_files_are_used_again() {
    mix(None);
    (1..=3).for_each(|seed| mix(Some(seed)));
}

fn mix(cut: Option<u64>) {
    let disk = SimulatedDisk::new();
    let config = || {
        let config = Config::new().disk(Arc::new(disk.clone())).clock(clock()).durability(Durability::Buffered);
        config.segment_size(SEGMENT).memory(600 << 10).journal_max(2 << 20)
    };
    let engine = config().open(ROOT).unwrap();
    let rounds = ROUNDS.or(400);
    let names = ["a", "b", "c"];
    let whole = |message: &Message| {
        let body = message.body().as_bytes();
        let number: usize =
            std::str::from_utf8(body.split(|byte| *byte == b' ').next().unwrap()).unwrap().parse().unwrap();
        assert!(body == self::body(number, body.len()), "a body is not what was posted");
        number
    };
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let workers: Vec<_> = names
            .iter()
            .map(|name| {
                let queue = engine.queue(Project::none(), name).unwrap();
                queue.create(zaqar_sled::Metadata::new()).unwrap();
                scope.spawn(move || {
                    let mut next = 0;
                    for number in 0..rounds {
                        // Up to 40 wait: some die in memory, some in a segment, some in a page file.
                        let size = [17, 40, 130, 3][number % 4] * KIB;
                        post(&queue, number, size);
                        if number % 40 >= 20 {
                            for message in queue.pop(2).unwrap() {
                                assert_eq!(whole(&message), next);
                                next += 1;
                            }
                        }
                    }
                    next
                })
            })
            .collect();
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                engine.snapshot().unwrap();
            }
        });
        let left: Vec<_> = workers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        let left: Vec<usize> = left.into_iter().map(Result::unwrap).collect();
        for (name, next) in names.iter().zip(left) {
            let found = engine.queue(Project::none(), name).unwrap().list(&everything()).unwrap().items;
            assert_eq!(found.iter().map(whole).collect::<Vec<_>>(), (next..rounds).collect::<Vec<_>>());
        }
    });
    assert_sound(&engine, "at the end");
    let expected = engine.status().messages();
    let killed = match cut {
        None => disk.kill(),
        Some(seed) => {
            engine.snapshot().unwrap();
            disk.power_loss(Keep::Random(seed))
        }
    };
    drop(engine);
    let again = |salvage: bool| {
        let config = Config::new().disk(Arc::new(disk_of(&files(&killed)))).clock(clock()).segment_size(SEGMENT);
        config.salvage(salvage).open(ROOT).unwrap()
    };
    // Beside files that were about to be used again.
    let salvaged = again(true);
    assert_eq!((salvaged.status().messages(), salvaged.recovery().damaged()), (expected, [].as_slice()));
    drop(salvaged);
    let engine = again(false);
    assert_eq!(engine.status().messages(), expected);
    for name in names {
        let found = engine.queue(Project::none(), name).unwrap().list(&everything()).unwrap().items;
        assert!(found.iter().map(whole).is_sorted());
    }
    assert_sound(&engine, "after a kill");
}

#[test]
fn a_closed_store_keeps_no_segments_to_be_used_again() {
    for (way, queue_memory) in [("trees", 1 << 20), ("an archive", 0)] {
        let disk = SimulatedDisk::new();
        let config = config(disk.clone()).background(true).queue_memory(queue_memory).segment_size(64 << 10);
        let engine = config.open(ROOT).unwrap();
        let queue = jobs(&engine);
        engine.queue(Project::none(), "idle").unwrap().create(zaqar_sled::Metadata::new()).unwrap();
        for number in 0..120 {
            post(&queue, number, 3 * KIB);
        }
        engine.snapshot().unwrap();
        let segments = || disk.list(&Path::new(ROOT).join("journal")).unwrap().len();
        assert!(segments() > 4, "{way}: {:?}", disk.list_all());
        drop(queue);
        engine.close().unwrap();
        assert!(segments() <= 2, "{way}: {:?}", disk.list_all());
    }
}

/// Evicted pages are not synced. If salvage makes one the only copy, it has to sync it.
#[test]
fn what_a_salvage_has_taken_from_page_files_survives_a_power_cut() {
    let disk = SimulatedDisk::new();
    let engine = config(disk.clone()).memory(32 << 10).open(ROOT).unwrap();
    let queue = jobs(&engine);
    for number in 0..60 {
        post(&queue, number, 3 * KIB);
    }
    assert!(engine.status().cold_pages() > 5, "{:?}", engine.status());
    // The next frame proves that those before it were synced.
    let synced = engine.with_durability(Durability::Sync).queue(Project::none(), "jobs").unwrap();
    (60..62).for_each(|number| post(&synced, number, 3 * KIB));
    drop((queue, synced));
    let disk = end(&disk, engine, "killed");
    let journal = disk.list(&Path::new(ROOT).join("journal")).unwrap();
    // In the frames of all messages of the first page, which is in a page file too.
    for offset in (2_000..17_000).step_by(3_000) {
        disk.corrupt(Path::new(ROOT).join("journal").join(&journal[0]), offset, 1).unwrap();
    }
    let engine = config(disk.clone()).salvage(true).open(ROOT).unwrap();
    let expected: Vec<Vec<u8>> = (0..62).map(|number| body(number, 3 * KIB)).collect();
    assert_eq!(bodies(&engine), expected);
    drop(engine);
    assert_eq!(bodies(&open(&disk.power_loss(Keep::Nothing))), expected);
}

#[test]
fn a_disk_without_second_names_writes_the_pages() {
    let disk = SimulatedDisk::new();
    let engine = open(&disk);
    let queue = jobs(&engine);
    disk.inject(Fault::on(Operation::Link).forever());
    post_all(&queue, 0..20);
    engine.snapshot().unwrap();
    assert!(!page_files(&disk).is_empty() && page_files(&disk).iter().all(|path| !is_segment(&disk, path)));
    drop(queue);
    disk.heal();
    assert_eq!(bodies(&open(&end(&disk, engine, "cut"))), expected(0..20));
}

#[test]
fn a_failed_sync_of_a_segment_that_is_a_page_file_too_is_a_failure_of_the_journal() {
    let disk = SimulatedDisk::new();
    let engine = open(&disk);
    let queue = jobs(&engine);
    post_all(&queue, 0..10);
    disk.inject(Fault::on(Calls::of([Operation::Sync]).under("/store/journal")).error(FaultError::Device));
    assert!(engine.snapshot().is_err());
    assert!(queue.post(CLIENT, &[NewMessage::new("late")]).unwrap_err().is_poisoned());
    assert_eq!(bodies(&engine), expected(0..10));
}

#[test]
fn a_moment_without_descriptors_or_a_failed_sync_of_another_page_file_poisons_nothing() {
    let disk = SimulatedDisk::new();
    let engine = open(&disk);
    let queue = jobs(&engine);
    post_all(&queue, 0..10);
    // A page of small messages has a page file of its own.
    post(&queue, 10, 3 * KIB);
    let faults = [
        Fault::on(Calls::of([Operation::Open]).under("/store/heap")).error(FaultError::ProcessDescriptors),
        Fault::on(Calls::of([Operation::Sync]).under("/store/heap")).error(FaultError::Device),
        Fault::on(Calls::of([Operation::SyncDir]).under("/store/heap")).error(FaultError::Device),
    ];
    for fault in faults {
        disk.inject(fault.forever());
        let _ = engine.snapshot();
        disk.heal();
        post(&queue, 11, SIZE);
        engine.snapshot().unwrap();
        let last = queue.first(Sort::Newest).unwrap();
        assert_eq!(last.body().as_bytes(), body(11, SIZE));
        queue.delete_message(&last.id()).unwrap();
    }
    drop(queue);
    let engine = open(&end(&disk, engine, "killed"));
    assert_eq!(bodies(&engine).len(), 11);
    assert_sound(&engine, "killed");
}

#[test]
fn a_deleted_message_in_a_segment_does_not_take_the_place_of_one_whose_record_is_lost() {
    let disk = SimulatedDisk::new();
    let engine = open(&disk);
    let queue = jobs(&engine);
    post_all(&queue, 0..8);
    let found = queue.list(&everything()).unwrap().items;
    queue.delete_message(&found[3].id()).unwrap();
    // The journal has no part in what follows.
    post_all(&queue, 8..24);
    engine.snapshot().unwrap();
    engine.snapshot().unwrap();
    drop(queue);
    let disk = end(&disk, engine, "killed");
    let snapshot = disk.list_all().into_iter().find(|path| path.extension() == Some("base".as_ref())).unwrap();
    let bytes = disk.read(&snapshot).unwrap();
    let mut lost = 0;
    for at in (200..bytes.len() as u64 - 60).step_by(97) {
        let damaged = disk_of(&files(&disk));
        damaged.corrupt(&snapshot, at, 1).unwrap();
        let engine = config(damaged).salvage(true).open(ROOT).unwrap();
        let bodies = bodies(&engine);
        assert!(!bodies.contains(&body(3, SIZE)), "byte {at}: a deleted message is back");
        lost += 23 - bodies.len();
    }
    assert_eq!(lost, 0);
}

#[test]
fn a_flipped_bit_damages_one_message_and_a_lost_header_none() {
    let disk = SimulatedDisk::new();
    let engine = open(&disk);
    post_all(&jobs(&engine), 0..20);
    engine.snapshot().unwrap();
    engine.close().unwrap();
    let path = page_files(&disk).into_iter().find(|path| is_segment(&disk, path)).unwrap();
    // The header of the file, and the header of its first frame: the images have checksums of their own.
    for offset in [3, 30, 70] {
        let damaged = disk_of(&files(&disk));
        damaged.corrupt(&path, offset, 1).unwrap();
        for salvage in [false, true] {
            let engine = config(damaged.clone()).salvage(salvage).open(ROOT).unwrap();
            assert_eq!(bodies(&engine), expected(0..20), "byte {offset}");
            engine.close().unwrap();
        }
    }
    let damaged = disk_of(&files(&disk));
    damaged.corrupt(&path, 20 * KIB as u64, 1).unwrap();
    let engine = config(damaged.clone()).open(ROOT).unwrap();
    assert!(engine.queue(Project::none(), "jobs").unwrap().list(&everything()).unwrap_err().is_corrupt());
    assert_eq!(engine.verify().unwrap().findings().len(), 1);
    drop(engine);
    let engine = config(damaged.kill()).salvage(true).open(ROOT).unwrap();
    assert_eq!(bodies(&engine), expected(1..20));
    assert_eq!(engine.recovery().lost().iter().map(zaqar_sled::LostMessages::messages).sum::<u64>(), 1);
}

#[test]
fn without_its_snapshot_a_store_finds_the_messages_in_the_segments() {
    let disk = SimulatedDisk::new();
    let engine = open(&disk);
    post_all(&jobs(&engine), 0..20);
    engine.snapshot().unwrap();
    engine.close().unwrap();
    let without: Vec<_> =
        files(&disk).into_iter().filter(|(path, _)| path.extension() != Some("base".as_ref())).collect();
    let engine = config(disk_of(&without)).salvage(true).open(ROOT).unwrap();
    assert_eq!(engine.status().messages(), 20);
    assert_eq!(bodies(&engine), expected(0..20), "the frames have the queue's name too");
}

#[test]
fn a_backup_stays_what_it_is_while_the_store_goes_on() {
    let disk = SimulatedDisk::new();
    // With threads in the background, files are used again.
    let engine = config(disk.clone()).background(true).open(ROOT).unwrap();
    let queue = jobs(&engine);
    post_all(&queue, 0..15);
    engine.backup("/backup").unwrap();
    for round in 0..12 {
        queue.purge().unwrap();
        post_all(&queue, 100 + round * 20..120 + round * 20);
        engine.snapshot().unwrap();
        engine.step().unwrap();
    }
    config(disk.clone()).restore("/backup", "/restored").unwrap();
    let engine = config(disk.clone()).open("/restored").unwrap();
    assert_eq!(bodies(&engine), expected(0..15));
    assert_sound(&engine, "restored");
}
