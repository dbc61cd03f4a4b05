//! A disk that is full, fails, or is missing: errors are typed, calls are atomic, and no acknowledged change is lost.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use zaqar_sled::disk::{Disk, Fault, FaultKind, Keep, Operation, SimulatedDisk};
use zaqar_sled::{
    ClaimOptions, Config, DataDriver, Durability, Engine, Error, ManualClock, MessageId, Metadata, Project, Queue,
};

use super::support::{AMPLE, CLIENT, ROOT, Random, assert_sound, clock, config, dump, everything, files, message};

const KIB: u64 = 1 << 10;

fn jobs(engine: &Engine) -> Queue {
    engine.queue(Project::none(), "jobs").unwrap()
}

fn used(disk: &SimulatedDisk) -> u64 {
    disk.size(Path::new("/")).unwrap()
}

/// Posts until a post is refused for lack of space; returns the ids of the accepted messages.
fn fill(engine: &Engine, bytes: usize) -> Vec<MessageId> {
    let mut ids = Vec::new();
    for n in 0..100_000 {
        let before = if n < 300 { Some(dump(engine, &[]).unwrap()) } else { None };
        match jobs(engine).post(CLIENT, &[message(&n.to_string(), bytes)]) {
            Ok(new) => ids.extend(new),
            Err(error) => {
                assert!(error.is_full(), "{error}");
                assert!(before.is_none_or(|before| dump(engine, &[]).unwrap() == before), "refused, but changed");
                return ids;
            }
        }
    }
    panic!("the disk never was full");
}

#[test]
fn a_full_disk_refuses_posts_and_new_queues_and_accepts_calls_that_free_space() {
    for spare in (0..40).map(|n| n * 1_000) {
        for (stepped, memory) in [(false, AMPLE), (true, AMPLE), (false, 0), (true, 1_000)] {
            let (disk, clock) = (SimulatedDisk::new(), clock());
            let engine = config(&disk, &clock, 1).memory(memory).open(ROOT).unwrap();
            jobs(&engine).create(Metadata::new()).unwrap();
            jobs(&engine).post(CLIENT, &[message("first", 100)]).unwrap();
            if stepped {
                engine.step().unwrap();
            }
            disk.set_capacity(Some(used(&disk) + spare));
            let ids = fill(&engine, 300);
            let context = format!("{spare} bytes left, {memory} of memory, {} posts, {stepped}", ids.len());
            let before = dump(&engine, &[]).unwrap();
            assert!(jobs(&engine).post(CLIENT, &[message("more", 300)]).unwrap_err().is_full(), "{context}");
            assert_eq!(dump(&engine, &[]).unwrap(), before, "{context}");
            assert_eq!(engine.status().poisoned(), None, "{context}");

            let claim = jobs(&engine).claim(ClaimOptions::new().limit(1)).unwrap_or_else(|e| panic!("{context}: {e}"));
            let claim = claim.unwrap();
            claim.renew(Duration::from_secs(60), Duration::ZERO).unwrap_or_else(|e| panic!("{context}: {e}"));
            claim.delete(&claim.messages()[0]).unwrap_or_else(|e| panic!("{context}: {e}"));
            claim.release().unwrap_or_else(|e| panic!("{context}: {e}"));
            if ids.len() > 2 {
                jobs(&engine).pop(1).unwrap_or_else(|e| panic!("{context}: {e}"));
                jobs(&engine).delete_message(&ids[ids.len() - 1]).unwrap_or_else(|e| panic!("{context}: {e}"));
            }
            let left = dump(&engine, &[]).unwrap();
            assert_sound(&engine, &context);

            // A kill or power cut while the disk is full loses nothing, once there is space to open the store.
            let image = super::support::disk_of(&files(&disk));
            let again =
                config(&image, &clock, 2).memory(memory).open(ROOT).unwrap_or_else(|e| panic!("{context}: {e}"));
            assert_eq!(dump(&again, &[]).unwrap(), left, "{context}");
            drop(again);

            disk.set_capacity(None);
            jobs(&engine).post(CLIENT, &[message("healed", 300)]).unwrap_or_else(|e| panic!("{context}: {e}"));
            jobs(&engine).delete().unwrap();
            engine.close().unwrap();
        }
    }
}

#[test]
fn deleting_the_queue_works_on_a_full_disk() {
    for memory in [AMPLE, 0, 4 * KIB] {
        let (disk, clock) = (SimulatedDisk::new(), clock());
        let engine = config(&disk, &clock, 1).memory(memory).open(ROOT).unwrap();
        jobs(&engine).create(Metadata::new()).unwrap();
        disk.set_capacity(Some(used(&disk) + 30 * KIB));
        fill(&engine, 500);
        // A page that cannot be written out needs more than a queue does.
        let metadata = Metadata::new().with("a", "b".repeat(300)).unwrap();
        let create = |n| engine.queue(Project::none(), format!("other{n}")).unwrap().create(metadata.clone());
        let refused = (0..1_000).find_map(|n| create(n).err()).expect("the disk is full");
        assert!(refused.is_full(), "{refused}");
        jobs(&engine).delete().unwrap();
        assert!(!jobs(&engine).exists().unwrap());
    }
}

#[test]
fn a_store_that_filled_its_disk_and_was_emptied_takes_posts_again() {
    for memory in [AMPLE, 0, 50 * KIB] {
        for background in [false, true] {
            let (disk, clock) = (SimulatedDisk::new(), clock());
            let open = || {
                config(&disk, &clock, 1)
                    .background(background)
                    .sync_interval(Duration::from_millis(5))
                    .memory(memory)
                    .open(ROOT)
            };
            let engine = open().unwrap();
            jobs(&engine).create(Metadata::new()).unwrap();
            // Far below the length of the journal at which the engine writes a snapshot by itself.
            disk.set_capacity(Some(used(&disk) + 400 * KIB));
            fill(&engine, 500);
            jobs(&engine).purge().unwrap();
            assert_eq!(jobs(&engine).stats().unwrap().total(), 0);
            let mut healed = false;
            for _ in 0..100 {
                let _ = engine.step();
                healed |= jobs(&engine).post(CLIENT, &[message("again", 500)]).is_ok();
                std::thread::sleep(Duration::from_millis(if background { 5 } else { 0 }));
            }
            assert!(healed, "background {background}, {memory} of memory: nothing is in it, and nothing can be put in");
        }
    }
}

#[test]
fn a_full_disk_can_be_emptied_a_hundred_messages_at_a_time() {
    for memory in [AMPLE, 20 * KIB] {
        let (disk, clock) = (SimulatedDisk::new(), clock());
        let engine = config(&disk, &clock, 1).segment_size(64 * KIB).memory(memory).open(ROOT).unwrap();
        jobs(&engine).create(Metadata::new()).unwrap();
        disk.set_capacity(Some(used(&disk) + 2_000 * KIB));
        let ids = fill(&engine, 100);
        for ids in ids.chunks(100) {
            jobs(&engine).bulk_delete(ids).unwrap();
            let _ = engine.step();
        }
        jobs(&engine).post(CLIENT, &[message("again", 100)]).unwrap();
    }
}

#[test]
fn a_store_that_filled_its_disk_can_be_opened_and_emptied() {
    for memory in [AMPLE, 20 * KIB] {
        let (disk, clock) = (SimulatedDisk::new(), clock());
        let engine = config(&disk, &clock, 1).segment_size(64 * KIB).memory(memory).open(ROOT).unwrap();
        jobs(&engine).create(Metadata::new()).unwrap();
        engine.step().unwrap();
        let capacity = used(&disk) + 500 * KIB;
        disk.set_capacity(Some(capacity));
        fill(&engine, 500);
        let before = dump(&engine, &[]).unwrap();
        let disk = disk.kill();
        disk.set_capacity(Some(capacity));
        let engine = config(&disk, &clock, 2).segment_size(64 * KIB).memory(memory).open(ROOT).unwrap();
        assert_eq!(dump(&engine, &[]).unwrap(), before);
        jobs(&engine).pop(3).unwrap();
    }
}

#[test]
fn opening_on_a_full_disk_fails_typed_and_leaves_the_store_as_it_was() {
    for memory in [AMPLE, 0] {
        let (disk, clock) = (SimulatedDisk::new(), clock());
        let engine = config(&disk, &clock, 1).memory(memory).open(ROOT).unwrap();
        jobs(&engine).create(Metadata::new()).unwrap();
        jobs(&engine).post(CLIENT, &[message("kept", 900), message("too", 900)]).unwrap();
        let before = dump(&engine, &[]).unwrap();
        let disk = disk.kill();
        let mut capacity = used(&disk);
        let mut refused = 0;
        loop {
            disk.set_capacity(Some(capacity));
            match config(&disk, &clock, 2).memory(memory).open(ROOT) {
                Ok(engine) => {
                    assert_eq!(dump(&engine, &[]).unwrap(), before);
                    break;
                }
                Err(error) => assert!(error.is_full(), "{error}"),
            }
            refused += 1;
            capacity += 100;
            assert!(refused < 1_000);
        }
    }
}

/// A store at work on a disk that fails once.
fn at_work(seed: u64, memory: u64, (kind, nth): (FaultKind, u64), durability: Durability, goes_on: bool) {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let engine = config(&disk, &clock, seed).durability(durability).memory(memory).open(ROOT).unwrap();
    jobs(&engine).create(Metadata::new()).unwrap();
    disk.fail_nth(kind, nth);
    let mut random = Random::new(seed);
    let context = format!("seed {seed}, {memory} of memory, {kind:?} {nth}, {durability:?}");
    let mut acknowledged = dump(&engine, &[]).unwrap();
    let mut unknown = None;
    // A failed sync of the page files may have lost pages that only the journal has from then on: until the store is
    // opened again they cannot be read.
    let mut unreadable = false;
    for n in 0..60 {
        let outcome = match random.below(12) {
            0 => engine.snapshot(),
            1 => engine.checkpoint(),
            2 => engine.step(),
            3..=6 => jobs(&engine).post(CLIENT, &[message(&format!("{n}"), 400)]).map(drop),
            7 | 8 => jobs(&engine).claim(ClaimOptions::new().limit(2)).map(drop),
            9 => jobs(&engine).set_metadata(&Metadata::new().with("n", n).unwrap()),
            _ => jobs(&engine).pop(1).map(drop),
        };
        let now = match dump(&engine, &[]) {
            Err(error) if error.is_corrupt() && kind == FaultKind::Sync => {
                unreadable = true;
                break;
            }
            now => now.unwrap(),
        };
        match outcome {
            Ok(()) => acknowledged = now,
            Err(error) if error.is_outcome_unknown() => {
                unknown.get_or_insert(now);
            }
            Err(error) if error.is_poisoned() => {}
            Err(_) => assert_eq!(now, acknowledged, "{context}: failed, but changed"),
        }
        if engine.status().poisoned().is_some() {
            let refused = jobs(&engine).post(CLIENT, &[message("late", 9)]).unwrap_err();
            assert!(refused.is_poisoned(), "{context}: {refused}");
            assert!(refused.to_string().contains(engine.status().poisoned().unwrap()), "{context}: {refused}");
            assert!(!engine.is_alive(), "{context}");
            jobs(&engine).list(&everything()).unwrap_or_else(|error| panic!("{context}: reads stop: {error}"));
            break;
        }
    }
    let poisoned = engine.status().poisoned().map(str::to_owned);
    if poisoned.is_some() {
        let closed = engine.close();
        assert!(closed.is_err(), "{context}: closed as if nothing had been");
    }
    if goes_on {
        disk.fail_nth(kind, u64::MAX);
        return assert_works(&engine, &disk, &clock, (seed, memory), &context);
    }
    for keep in [None, Some(Keep::Nothing)] {
        // Without a clean close: as after the failure.
        let disk = if let Some(keep) = keep { disk.power_loss(keep) } else { copy(&disk) };
        let engine = config(&disk, &clock, seed + 1)
            .memory(memory)
            .open(ROOT)
            .unwrap_or_else(|error| panic!("{context}: {error}"));
        let now = dump(&engine, &[]).unwrap();
        // A failed sync loses what it covered, as a power cut does.
        let buffered = durability == Durability::Buffered && (keep.is_some() || kind == FaultKind::Sync);
        let allowed = now == acknowledged || unknown.as_ref() == Some(&now) || buffered || unreadable;
        assert!(allowed, "{context} {keep:?} {poisoned:?}\n{now}\nacknowledged\n{acknowledged}\nunknown\n{unknown:?}");
        assert_sound(&engine, &context);
        jobs(&engine).create(Metadata::new()).unwrap();
        jobs(&engine).post(CLIENT, &[message("goes on", 9)]).unwrap();
        engine.close().unwrap();
    }
}

/// The data after the failure may be only in the system's cache. Once the store was opened again and has acknowledged a
/// change, the data must be on the disk.
fn assert_works(
    failed: &Engine,
    disk: &SimulatedDisk,
    clock: &Arc<ManualClock>,
    (seed, memory): (u64, u64),
    context: &str,
) {
    let _ = failed.close();
    let open = || config(disk, clock, seed + 2).memory(memory).open(ROOT);
    // The cache may drop data that the failed sync lost during the read.
    let opened = (0..3).map(|_| open()).find(|opened| !opened.as_ref().is_err_and(Error::is_busy));
    let engine = opened.unwrap_or_else(open).unwrap_or_else(|error| panic!("{context}: {error}"));
    jobs(&engine).create(Metadata::new()).unwrap();
    jobs(&engine).post(CLIENT, &[message("goes on", 9)]).unwrap();
    let before = dump(&engine, &[]).unwrap();
    let disk = disk.power_loss(Keep::Nothing);
    let engine =
        config(&disk, clock, seed + 3).memory(memory).open(ROOT).unwrap_or_else(|error| panic!("{context}: {error}"));
    assert_eq!(dump(&engine, &[]).unwrap(), before, "{context}");
}

/// A copy of the disk as a killed process leaves it, without the trees. The original stays in use.
fn copy(disk: &SimulatedDisk) -> SimulatedDisk {
    super::support::disk_of(&files(disk))
}

#[test]
fn a_failed_write_or_sync_stops_writes_keeps_reads_and_loses_nothing_acknowledged() {
    for seed in 0..6 {
        for nth in 1..50 {
            for kind in [FaultKind::Write, FaultKind::Sync] {
                for durability in [Durability::Sync, Durability::Buffered] {
                    let memory = if seed % 2 == 0 { AMPLE } else { 2 * KIB };
                    at_work(seed * 10, memory, (kind, nth), durability, false);
                    at_work(seed * 10, memory, (kind, nth), durability, true);
                }
            }
        }
    }
}

#[test]
fn a_failed_sync_leaves_the_outcome_unknown_for_its_caller_and_poisons_the_store() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let engine = config(&disk, &clock, 1).open(ROOT).unwrap();
    jobs(&engine).create(Metadata::new()).unwrap();
    jobs(&engine).post(CLIENT, &[message("kept", 9)]).unwrap();
    disk.fail_nth(FaultKind::Sync, 1);
    let error = jobs(&engine).post(CLIENT, &[message("unknown", 9)]).unwrap_err();
    assert!(error.is_outcome_unknown(), "{error}");
    let later = jobs(&engine).pop(1).unwrap_err();
    assert!(later.is_poisoned(), "{later}");
    // A call that found nothing to do must still be durable, which is impossible here.
    let nothing = jobs(&engine).delete_message(&MessageId::lossy("none")).unwrap_err();
    assert!(nothing.is_outcome_unknown(), "{nothing}");
    assert_eq!(jobs(&engine).stats().unwrap().total(), 2);
    assert!(!engine.is_alive());
    let disk = disk.power_loss(Keep::Nothing);
    let engine = config(&disk, &clock, 2).open(ROOT).unwrap();
    assert_eq!(jobs(&engine).stats().unwrap().total(), 1);
}

#[test]
fn a_snapshot_whose_manifest_failed_to_sync_and_the_next_one_cut_short_lose_nothing() {
    let manifest = Path::new(ROOT).join("MANIFEST.new");
    let faults = [
        Fault::on(FaultKind::Write),
        Fault::on(Operation::Sync).under(manifest),
        // That of the store's directory, after the snapshot and after the manifest, or of another.
        Fault::on(Operation::SyncDir),
    ];
    for memory in [AMPLE, 2 * KIB] {
        for fault in &faults {
            for nth in 1..8 {
                for k in 0..30 {
                    let (disk, clock) = (SimulatedDisk::new(), clock());
                    let engine = config(&disk, &clock, 1).memory(memory).open(ROOT).unwrap();
                    jobs(&engine).create(Metadata::new()).unwrap();
                    for n in 0..20 {
                        jobs(&engine).post(CLIENT, &[message(&n.to_string(), 500)]).unwrap();
                    }
                    disk.inject(fault.clone().nth(nth));
                    let failed = engine.snapshot().is_err();
                    if !failed || engine.status().poisoned().is_some() {
                        continue; // The fault applies to other calls, or has hit the journal.
                    }
                    jobs(&engine).post(CLIENT, &[message("later", 500)]).unwrap();
                    let before = dump(&engine, &[]).unwrap();
                    disk.fail_after(k);
                    let cut = engine.snapshot().is_err();
                    let context = format!("{fault:?} {nth}, cut after {k}: {failed} {cut}");
                    for image in [copy_of_dead(&disk), disk.power_loss(Keep::Nothing)] {
                        let engine = config(&image, &clock, 2)
                            .memory(memory)
                            .open(ROOT)
                            .unwrap_or_else(|e| panic!("{context}: {e}"));
                        assert_eq!(dump(&engine, &[]).unwrap(), before, "{context}");
                    }
                }
            }
        }
    }
}

/// As [`copy`], of a disk whose power is off.
fn copy_of_dead(disk: &SimulatedDisk) -> SimulatedDisk {
    copy(disk)
}

/// A small file system in memory; `None` where mounting is not allowed.
struct Mount(tempfile::TempDir);

impl Mount {
    fn new(options: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = mount(&["-t", "tmpfs", "-o", options, "tmpfs"], folder.path());
        if mounted { Some(Self(folder)) } else { None }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).stderr(Stdio::null()).status();
    }
}

fn mount(arguments: &[&str], at: &Path) -> bool {
    let status = Command::new("mount").args(arguments).arg(at).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

#[test]
fn on_a_real_full_file_system_posts_are_refused_and_nothing_is_lost() {
    for memory in [AMPLE, 64 * KIB] {
        let Some(mount) = Mount::new("size=4m") else {
            println!("skipped: mounting is not allowed here");
            return;
        };
        let root = mount.path().join("store");
        let open =
            || Config::new().segment_size(256 * KIB).sync_interval(Duration::from_millis(5)).memory(memory).open(&root);
        let engine = open().unwrap();
        jobs(&engine).create(Metadata::new()).unwrap();
        let mut posted = Vec::new();
        let refused = loop {
            match jobs(&engine).post(CLIENT, &[message(&posted.len().to_string(), 2_000)]) {
                Ok(ids) => posted.extend(ids),
                Err(error) => break error,
            }
        };
        assert!(refused.is_full(), "{refused}");
        println!("{} posts of 2000 bytes went onto 4 MiB", posted.len());
        for id in &posted[..10] {
            jobs(&engine).delete_message(id).unwrap();
        }
        assert_eq!(jobs(&engine).pop(10).unwrap().len(), 10);
        assert_eq!(engine.status().poisoned(), None);
        assert_eq!(jobs(&engine).stats().unwrap().total(), posted.len() as u64 - 20);
        jobs(&engine).purge().unwrap();
        engine.snapshot().unwrap();
        jobs(&engine).post(CLIENT, &[message("again", 2_000)]).unwrap();
    }
}

#[test]
fn a_read_only_file_system_gives_a_typed_error_and_can_be_inspected() {
    let Some(mounted) = Mount::new("size=8m") else {
        println!("skipped: mounting is not allowed here");
        return;
    };
    let root = mounted.path().join("store");
    let engine = Config::new().segment_size(64 * KIB).open(&root).unwrap();
    jobs(&engine).create(Metadata::new()).unwrap();
    jobs(&engine).post(CLIENT, &[message("kept", 9)]).unwrap();
    engine.close().unwrap();
    drop(engine);
    if !mount(&["-o", "remount,ro"], mounted.path()) {
        println!("skipped: remounting is not allowed here");
        return;
    }
    let error = Engine::open(&root).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    assert_eq!(Engine::inspect(&root).unwrap().queues()[0].messages(), 1);
    assert!(mount(&["-o", "remount,rw"], mounted.path()));
    let engine = Engine::open(&root).unwrap();
    assert_eq!(jobs(&engine).stats().unwrap().total(), 1);
}

#[test]
fn claim_waiters_end_when_a_sync_fails() {
    let (disk, clock): (SimulatedDisk, Arc<ManualClock>) = (SimulatedDisk::new(), clock());
    let engine = config(&disk, &clock, 1).open(ROOT).unwrap();
    jobs(&engine).create(Metadata::new()).unwrap();
    let callers: Vec<_> = (0..8)
        .map(|n| {
            let engine = engine.clone();
            std::thread::spawn(move || {
                let mut answered = 0;
                loop {
                    match jobs(&engine).post(CLIENT, &[message(&n.to_string(), 9)]) {
                        Ok(_) => answered += 1,
                        Err(error) => break (answered, error),
                    }
                }
            })
        })
        .collect();
    std::thread::sleep(Duration::from_millis(5));
    disk.fail_nth(FaultKind::Sync, 3);
    let mut total = 0;
    for caller in callers {
        let (answered, error) = caller.join().unwrap();
        assert!(error.is_outcome_unknown() || error.is_poisoned(), "{error}");
        total += answered;
    }
    let disk = disk.power_loss(Keep::Nothing);
    let engine = config(&disk, &clock, 2).open(ROOT).unwrap();
    let there = jobs(&engine).stats().unwrap().total();
    assert!(there >= total && there <= total + 8, "{there} of {total}");
}
