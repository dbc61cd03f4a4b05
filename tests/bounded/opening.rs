//! Opening a store that is mostly cold, and leaving it alone.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use zaqar_sled::disk::{Disk, FaultKind, SimulatedDisk};
use zaqar_sled::{ClaimOptions, Config, Durability, Engine, Error, NewMessage, Project, RecoverySource};

use super::shelf::Shelf;
use super::support::{AMPLE, CLIENT, KIB, PAGE, ROOT, World, clock, config, page_files_of, queue, seconds};
use super::variables::IDLER;
use super::watched::{Rule, Watch, WatchedDisk};

/// A disk, and how the store on it is opened.
fn watched() -> (WatchedDisk, impl Fn(u64) -> Engine) {
    let (disk, clock) = (WatchedDisk::around(Arc::default(), Watch::default()), clock());
    let used = disk.clone();
    let open = move |seed| config(&used.disk, &clock, 0).disk(Arc::new(used.clone())).seed(seed).open(ROOT).unwrap();
    (disk, open)
}

/// Fills a store with 500 messages, and closes it, after a snapshot if asked for.
fn closed(engine: &Engine, snapshot: bool) -> Shelf {
    let mut shelf = Shelf::new(engine, "jobs");
    shelf.fill(500, 900);
    if snapshot {
        engine.snapshot().unwrap();
    }
    engine.close().unwrap();
    shelf
}

#[test]
fn after_a_clean_close_no_page_is_read_until_a_call_needs_it() {
    let (disk, open) = watched();
    let shelf = closed(&open(1), false);
    let before = disk.hook.bytes_read("heap");
    let engine = open(2);
    assert_eq!(engine.recovery().source(), RecoverySource::Trees, "{}", engine.recovery());
    let shelf = shelf.on(&engine);
    assert_eq!(shelf.queue.stats().unwrap().total(), 500);
    let read = disk.hook.bytes_read("heap") - before;
    assert!(read <= 40 * KIB, "{read} bytes were read: the oldest and the newest page are enough");
    shelf.assert_genuine(&shelf.queue.get(&shelf.ids()[250]).unwrap());
    let read = disk.hook.bytes_read("heap") - before;
    assert!(read > 0 && read <= 60 * KIB, "{read} bytes were read for one message");
    shelf.assert_whole();
    assert!(disk.hook.bytes_read("heap") - before >= 450_000);
}

#[test]
fn a_store_that_was_only_read_is_closed_without_its_pages_and_trees() {
    let (disk, open) = watched();
    let mut shelf = closed(&open(1), false);
    for seed in 2..6 {
        let engine = open(seed);
        assert_eq!(engine.recovery().source(), RecoverySource::Trees, "{}", engine.recovery());
        assert!(engine.recovery().notes().is_empty(), "{}", engine.recovery());
        shelf = shelf.on(&engine);
        assert_eq!(shelf.queue.stats().unwrap().total(), 500);
        let before = (disk.hook.bytes_read("heap"), disk.hook.trees_opened());
        engine.close().unwrap();
        assert_eq!((disk.hook.bytes_read("heap"), disk.hook.trees_opened()), before);
    }
    // What this run compared with the trees is as it was.
    let engine = open(6);
    assert!(engine.verify().unwrap().is_sound());
    engine.close().unwrap();
    drop(engine);
    let engine = open(7);
    assert_eq!(engine.recovery().source(), RecoverySource::Trees, "{}", engine.recovery());
    shelf.on(&engine).assert_whole();
}

#[test]
fn a_close_does_not_read_the_pages_that_the_snapshot_names() {
    let (disk, open) = watched();
    let mut shelf = closed(&open(1), true);
    let engine = open(2);
    shelf = shelf.on(&engine);
    shelf.fill(10, 900);
    let before = disk.hook.bytes_read("heap");
    engine.close().unwrap();
    let read = disk.hook.bytes_read("heap") - before;
    assert!(read <= 60 * KIB, "{read} bytes were read to close a store with ten new messages");
    drop(engine);
    let engine = open(3);
    assert_eq!(engine.recovery().source(), RecoverySource::Trees, "{}", engine.recovery());
    shelf.on(&engine).assert_whole();
}

#[test]
fn what_expired_before_a_close_of_an_unchanged_store_stays_expired() {
    for looks in [false, true] {
        let disk = SimulatedDisk::new();
        let open = |seed, clock: Arc<_>| config(&disk, &clock, AMPLE).seed(seed).open(ROOT).unwrap();
        let engine = open(1, clock());
        Shelf::new(&engine, "jobs").fill_as(20, 300, |message| message.ttl(seconds(60)));
        engine.close().unwrap();
        drop(engine);
        let later = clock();
        let engine = open(2, later.clone());
        later.advance(seconds(61));
        if looks {
            assert_eq!(engine.queue(Project::none(), "jobs").unwrap().stats().unwrap().total(), 0);
        }
        engine.close().unwrap();
        drop(engine);
        // The clock has been set back.
        let engine = open(3, clock());
        assert_eq!(engine.recovery().source(), RecoverySource::Trees, "{}", engine.recovery());
        assert_eq!(engine.queue(Project::none(), "jobs").unwrap().stats().unwrap().total(), 0, "looks: {looks}");
        let disk = disk.kill();
        let engine = config(&disk, &clock(), AMPLE).seed(4).open(ROOT).unwrap();
        assert_eq!(engine.queue(Project::none(), "jobs").unwrap().stats().unwrap().total(), 0, "killed, {looks}");
    }
}

#[test]
fn a_snapshot_of_a_cold_store_reads_no_proven_image() {
    let disk = WatchedDisk::around(Arc::default(), Watch::default());
    let engine = config(&disk.disk, &clock(), 0).disk(Arc::new(disk.clone())).open(ROOT).unwrap();
    let mut shelf = Shelf::new(&engine, "jobs");
    shelf.fill(500, 900);
    engine.step().unwrap();
    engine.snapshot().unwrap();
    let before = disk.hook.bytes_read("heap");
    for _ in 0..3 {
        shelf.fill(10, 900);
        engine.snapshot().unwrap();
    }
    let read = disk.hook.bytes_read("heap") - before;
    assert!(read <= 200 * KIB, "{read} bytes were read to write out thirty messages");
    shelf.assert_whole();
}

#[test]
fn a_clean_close_of_a_cold_store_is_what_the_next_opening_finds() {
    let clock = clock();
    let disk = SimulatedDisk::new();
    let mut shelf: Option<Shelf> = None;
    for round in 0..6 {
        let engine = config(&disk, &clock, 4 * KIB).seed(round + 1).open(ROOT).unwrap();
        let mut now = match shelf.take() {
            Some(shelf) => {
                assert_eq!(engine.recovery().source(), RecoverySource::Trees, "{}", engine.recovery());
                assert!(engine.recovery().notes().is_empty(), "{}", engine.recovery());
                shelf.on(&engine)
            }
            None => Shelf::new(&engine, "jobs"),
        };
        now.assert_whole();
        now.fill(60, 800);
        let gone: Vec<_> = now.ids().into_iter().step_by(4).collect();
        now.queue.bulk_delete(&gone).unwrap();
        now.forget(&gone);
        if round % 2 == 0 {
            engine.snapshot().unwrap();
        }
        engine.close().unwrap();
        shelf = Some(now);
    }
}

/// A store that was killed with five times as much in its journal as may be in memory.
fn killed() -> (SimulatedDisk, Shelf) {
    let disk = SimulatedDisk::new();
    let engine = config(&disk, &clock(), AMPLE).open(ROOT).unwrap();
    let mut shelf = Shelf::new(&engine, "jobs");
    shelf.fill(40, 900);
    engine.snapshot().unwrap();
    shelf.fill(100, 900);
    let gone: Vec<_> = shelf.ids().into_iter().step_by(7).collect();
    shelf.queue.bulk_delete(&gone).unwrap();
    shelf.forget(&gone);
    (disk.kill(), shelf)
}

#[test]
fn a_store_that_cannot_write_its_pages_out_while_it_opens_says_so_and_loses_nothing() {
    for kind in [ErrorKind::StorageFull, ErrorKind::Other] {
        for salvage in [true, false] {
            let (disk, shelf) = killed();
            let disk = WatchedDisk::around(Arc::new(disk), Watch::default());
            let open =
                || config(&disk.disk, &clock(), 20 * KIB).disk(Arc::new(disk.clone())).salvage(salvage).open(ROOT);
            disk.hook.set("heap", Rule::Fail(kind));
            // An open that exceeds the memory for a moment is fine too.
            if let Err(error) = open() {
                let told =
                    if kind == ErrorKind::StorageFull { error.is_full() } else { matches!(error, Error::Io { .. }) };
                assert!(told, "{kind:?}, salvage {salvage}: {error}");
            }
            disk.hook.set("heap", Rule::Pass);
            let engine = open().unwrap_or_else(|error| panic!("{kind:?}, salvage {salvage}: {error}"));
            assert!(engine.recovery().notes().is_empty(), "{kind:?}, salvage {salvage}: {}", engine.recovery());
            shelf.on(&engine).assert_whole();
        }
    }
}

#[test]
fn a_read_that_fails_while_a_store_opens_is_told_as_such_and_nothing_is_lost() {
    for salvage in [true, false] {
        let mut failed = 0;
        for nth in 1..60 {
            let (disk, shelf) = killed();
            let open = |disk: &SimulatedDisk| config(disk, &clock(), 0).salvage(salvage).open(ROOT);
            disk.fail_nth(FaultKind::Read, nth);
            if let Err(error) = open(&disk) {
                assert!(matches!(error, Error::Io { .. }), "read {nth}, salvage {salvage}: {error}");
                failed += 1;
            }
            let disk = disk.kill();
            let engine = open(&disk).unwrap_or_else(|error| panic!("read {nth}, salvage {salvage}: {error}"));
            assert!(engine.recovery().notes().is_empty(), "read {nth}, salvage {salvage}: {}", engine.recovery());
            shelf.on(&engine).assert_whole();
        }
        // Salvage reads again, and the device then returns the data.
        assert!(salvage || failed > 10, "{failed} of 60 failed");
    }
}

#[test]
fn a_store_without_page_files_opens_without_their_folder() {
    let disk = SimulatedDisk::new();
    let engine = config(&disk, &clock(), AMPLE).open(ROOT).unwrap();
    let mut shelf = Shelf::new(&engine, "jobs");
    shelf.fill(100, 900);
    let disk = disk.kill();
    assert!(page_files_of(&disk).is_empty());
    // As a copy of the files alone has it.
    disk.remove_dir_all(Path::new("/store/heap")).unwrap();
    let engine = config(&disk, &clock(), 0).open(ROOT).unwrap();
    shelf.on(&engine).assert_whole();
}

/// A store of its own process, full of cold messages, with its threads; prints which woke in each second until none
/// did.
#[test]
fn idler() {
    let Some(root) = IDLER.get() else { return };
    let config = Config::new().segment_size(64 * KIB).memory(64 * KIB).durability(Durability::Buffered);
    let engine = config.open(root).unwrap();
    let mut shelf = Shelf::new(&engine, "jobs");
    shelf.fill(600, 900);
    engine.snapshot().unwrap();
    engine.checkpoint().unwrap();
    shelf.queue.get(&shelf.ids()[3]).unwrap();
    assert!(engine.status().cold_pages() > 10, "{:?}", engine.status());
    // Space is freed when the store is quiet; after that there is no work left.
    let mut before = sleeps();
    for _ in 0..12 {
        std::thread::sleep(seconds(1));
        let after = sleeps();
        assert!(after.len() > 1, "the engine's threads were not found");
        let woke: Vec<_> = after.iter().filter(|(thread, count)| before.get(*thread) != Some(count)).collect();
        println!("woke: {woke:?}");
        if woke.is_empty() {
            break;
        }
        before = after;
    }
}

/// The number of times each thread of the engine has gone to sleep. sled keeps a pool of threads for the whole process,
/// which wake once a second from the first checkpoint on, whether or not a store is open. The engine cannot stop them.
fn sleeps() -> BTreeMap<String, u64> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let count = |task: &Path| {
        let name = std::fs::read_to_string(task.join("comm")).ok()?;
        let status = std::fs::read_to_string(task.join("status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        let own = name.starts_with("zaqar-");
        own.then(|| (format!("{} {}", task.display(), name.trim()), line.trim().parse().unwrap()))
    };
    tasks.filter_map(|task| count(&task)).collect()
}

#[test]
fn an_idle_engine_wakes_no_thread() {
    if IDLER.get().is_some() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut command = IDLER.command("opening::idler", folder.path());
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let woke: Vec<&str> = text.lines().filter_map(|line| line.split_once("woke: ")).map(|(_, count)| count).collect();
    assert_eq!(woke.last(), Some(&"[]"), "it never rests: {woke:?}");
    drop(Engine::open(folder.path()).unwrap());
}

#[test]
fn opening_a_store_with_much_due_takes_no_more_memory_than_it_may() {
    let world = World::new(30 * KIB);
    let jobs = queue(&world.engine, "jobs");
    let message = |ttl| NewMessage::new(vec![7; 7_000]).ttl(seconds(ttl)).delay(seconds(0));
    for _ in 0..100 {
        jobs.post(CLIENT, &[message(5), message(5_000)]).unwrap();
        world.engine.step().unwrap();
    }
    world.engine.snapshot().unwrap();
    world.clock.advance(seconds(6));
    // The journal contains this time, but no call has advanced the queue since.
    drop(queue(&world.engine, "other"));
    let world = world.killed();
    assert_eq!(world.engine.status().messages(), 100, "what was due is gone");
    world.assert_within(PAGE);
    let jobs = world.engine.queue(Project::none(), "jobs").unwrap();
    assert_eq!(jobs.stats().unwrap().total(), 100);
    world.assert_within(PAGE);
    world.assert_sound("after opening with much due");
}

#[test]
fn opening_a_store_with_many_claims_due_takes_no_more_memory_than_it_may() {
    let world = World::new(30 * KIB);
    let jobs = queue(&world.engine, "jobs");
    let message = |ttl, delay| NewMessage::new(vec![7; 7_000]).ttl(seconds(ttl)).delay(seconds(delay));
    for _ in 0..100 {
        jobs.post(CLIENT, &[message(5_000, 0)]).unwrap();
        jobs.claim(ClaimOptions::new().limit(1).ttl(seconds(60)).grace(seconds(60))).unwrap().unwrap();
        // Beside it in the page, and gone before the claim ends.
        jobs.post(CLIENT, &[message(5, 3)]).unwrap();
        world.engine.step().unwrap();
    }
    world.engine.snapshot().unwrap();
    world.clock.advance(seconds(100));
    drop(queue(&world.engine, "other"));
    let world = world.killed();
    assert_eq!(world.engine.status().messages(), 100);
    world.assert_within(PAGE);
    let jobs = world.engine.queue(Project::none(), "jobs").unwrap();
    assert_eq!(jobs.stats().unwrap().free(), 100);
    world.assert_within(PAGE);
    world.assert_sound("after opening with many claims due");
}
