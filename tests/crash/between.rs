//! A call between two steps of another thread, and a power cut before the next sync: threads do not meet there by chance.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use zaqar_sled::disk::{Keep, SimulatedDisk};
use zaqar_sled::{Config, Durability, Engine, ManualClock, Metadata, NewPool, Project, Queue};

use super::support::{CLIENT, ROOT, clock, config, everything, message};
use super::wrapped_disk::{Call, Hook, WrappedDisk};

/// A moment at which something is done, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Before(Call),
    AfterSync,
}

const JOURNAL_THREAD: &str = "zaqar-journal";

type Work = Box<dyn FnOnce(&Path) + Send>;

struct Armed {
    moment: Moment,
    /// A part of the path.
    path: String,
    /// The name of the engine's thread that makes the call, if only one counts.
    thread: Option<&'static str>,
    work: Work,
}

/// Does the work when a call of that kind comes to a file whose path contains that text, and lists all syncs.
#[derive(Default)]
struct Interruption {
    armed: Mutex<Option<Armed>>,
    syncs: Mutex<Vec<(Call, PathBuf)>>,
    /// Whether each sync takes long enough for other threads to go on.
    is_slow: AtomicBool,
    /// Those of the thread that syncs within the interval and prepares segments.
    by_journal: Mutex<Vec<(Call, PathBuf)>>,
}

impl fmt::Debug for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interruption")
    }
}

impl Interruption {
    fn arm(&self, moment: Moment, path: &str, work: impl FnOnce(&Path) + Send + 'static) {
        let (path, work) = (path.to_owned(), Box::new(work));
        *self.armed.lock().unwrap() = Some(Armed { moment, path, thread: None, work });
    }

    fn arm_in(&self, thread: &'static str, moment: Moment, path: &str, work: impl FnOnce(&Path) + Send + 'static) {
        let (path, work) = (path.to_owned(), Box::new(work));
        *self.armed.lock().unwrap() = Some(Armed { moment, path, thread: Some(thread), work });
    }

    fn assert_happened(&self) {
        assert!(self.armed.lock().unwrap().is_none(), "the moment did not come");
    }

    fn reach(&self, moment: Moment, path: &Path) {
        let is_it = |armed: &mut Armed| {
            armed.moment == moment
                && path.to_string_lossy().contains(&*armed.path)
                && armed.thread.is_none_or(|name| thread::current().name() == Some(name))
        };
        let due = self.armed.lock().unwrap().take_if(is_it);
        if let Some(Armed { work, .. }) = due {
            // On another thread, as it would be.
            let path = path.to_owned();
            thread::spawn(move || work(&path)).join().unwrap();
        }
    }
}

impl Hook for Interruption {
    fn before(&self, call: Call, path: &Path) -> io::Result<()> {
        if call.syncs() {
            self.syncs.lock().unwrap().push((call, path.to_owned()));
            if thread::current().name() == Some(JOURNAL_THREAD) {
                self.by_journal.lock().unwrap().push((call, path.to_owned()));
            }
        }
        if call == Call::Sync && self.is_slow.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(2));
        }
        self.reach(Moment::Before(call), path);
        Ok(())
    }

    fn synced(&self, path: &Path) {
        self.reach(Moment::AfterSync, path);
    }
}

/// A simulated disk, and the disk around it that an engine gets.
fn disks() -> (SimulatedDisk, WrappedDisk<Interruption>) {
    let disk = SimulatedDisk::new();
    (disk.clone(), WrappedDisk::around(Arc::new(disk), Interruption::default()))
}

fn queue(engine: &Engine, name: &str) -> Queue {
    engine.queue(Project::none(), name).unwrap()
}

fn bodies(queue: &Queue) -> Vec<String> {
    queue
        .iter(everything())
        .map(|message| String::from_utf8(message.unwrap().body().as_bytes().to_vec()).unwrap())
        .collect()
}

fn post(queue: &Queue, body: &str) {
    queue.post(CLIENT, &[message(body, body.len())]).unwrap();
}

#[test]
fn a_queue_deleted_during_a_snapshot_is_deleted_durably_when_the_snapshot_counts() {
    for posts in [true, false] {
        let ((disk, between), clock) = (disks(), clock());
        let engine = config(&disk, &clock, 1).disk(Arc::new(between.clone())).open(ROOT).unwrap();
        for name in ["a", "z"] {
            queue(&engine, name).create(Metadata::new()).unwrap();
            post(&queue(&engine, name), "early");
        }
        // While the pages of the first queue are written, the last one is deleted, which no sync follows.
        between.hook.arm(Moment::Before(Call::Write), "heap", {
            let engine = engine.clone();
            move |_| {
                if posts {
                    post(&queue(&engine, "z"), "late");
                }
                queue(&engine.with_durability(Durability::Buffered), "z").delete().unwrap();
            }
        });
        engine.snapshot().unwrap();
        between.hook.assert_happened();
        let disk = disk.power_loss(Keep::Nothing);
        drop(engine);
        let engine = config(&disk, &clock, 2).open(ROOT).unwrap_or_else(|error| panic!("posts: {posts}: {error}"));
        assert_eq!(bodies(&queue(&engine, "a")), ["early"]);
        // The snapshot does not have it.
        assert!(!queue(&engine, "z").exists().unwrap());
        assert!(engine.verify().unwrap().is_sound());
    }
}

#[test]
fn a_sync_does_not_count_for_what_was_appended_during_the_sync() {
    let ((disk, between), clock) = (disks(), clock());
    let engine = config(&disk, &clock, 1).disk(Arc::new(between.clone())).open(ROOT).unwrap();
    queue(&engine, "q").create(Metadata::new()).unwrap();
    let late = Arc::new(Mutex::new(None));
    between.hook.arm(Moment::AfterSync, ".journal", {
        let (engine, late) = (engine.clone(), late.clone());
        move |_| {
            let appended = engine.status().appended_lsn();
            let other = engine.clone();
            *late.lock().unwrap() = Some(thread::spawn(move || post(&queue(&other, "q"), "late")));
            // It waits for its sync, which this one is not.
            while engine.status().appended_lsn() == appended {
                thread::yield_now();
            }
        }
    });
    post(&queue(&engine, "q"), "first");
    between.hook.assert_happened();
    let late = late.lock().unwrap().take().unwrap();
    late.join().unwrap();
    let disk = disk.power_loss(Keep::Nothing);
    drop(engine);
    let engine = config(&disk, &clock, 2).open(ROOT).unwrap();
    assert_eq!(bodies(&queue(&engine, "q")).len(), 2, "a post acknowledged at Sync is lost");
}

#[test]
fn a_snapshot_counts_only_when_the_changes_made_meanwhile_are_synced() {
    let ((disk, between), clock) = (disks(), clock());
    let engine = config(&disk, &clock, 1).disk(Arc::new(between.clone())).open(ROOT).unwrap();
    for name in ["a", "b"] {
        queue(&engine, name).create(Metadata::new()).unwrap();
        post(&queue(&engine, name), "first");
    }
    // The snapshot begins at an earlier change, and contains this one.
    between.hook.arm(Moment::Before(Call::Create), ".base", {
        let engine = engine.with_durability(Durability::Buffered);
        // So much that the segment in which the snapshot begins is full.
        move |_| (0..10).for_each(|_| post(&queue(&engine, "b"), &"meanwhile".repeat(100)))
    });
    engine.snapshot().unwrap();
    between.hook.assert_happened();
    let mut disk = disk.power_loss(Keep::Nothing);
    drop(engine);
    for seed in 2..4 {
        let engine = config(&disk, &clock, seed).open(ROOT).unwrap();
        assert_eq!(bodies(&queue(&engine, "a")).len(), 1);
        assert_eq!(bodies(&queue(&engine, "b")).len() as u64, 9 + seed, "the snapshot had them");
        assert!(engine.verify().unwrap().is_sound());
        post(&queue(&engine, "b"), "later");
        disk = disk.power_loss(Keep::Nothing);
        drop(engine);
    }
}

/// A store at `Buffered` with so many posts in unsynced segments, of which one message is left.
fn with_unsynced_segments(disk: &WrappedDisk<Interruption>, clock: &Arc<ManualClock>, posts: usize) -> (Engine, u64) {
    let settings = Config::new().disk(Arc::new(disk.clone())).clock(clock.clone()).background(false);
    let engine = settings.segment_size(4096).durability(Durability::Buffered).open(ROOT).unwrap();
    let q = queue(&engine, "q");
    q.create(Metadata::new()).unwrap();
    for _ in 0..posts {
        post(&q, &"x".repeat(1_000));
    }
    q.pop(posts - 1).unwrap();
    let segments = engine.status().journal_segments() as u64;
    assert!(segments > posts as u64 / 4, "{segments}");
    (engine, segments)
}

impl Interruption {
    /// The segments that were synced after the first `from` syncs.
    fn segments_synced(&self, from: usize) -> u64 {
        let syncs = self.syncs.lock().unwrap();
        let paths = syncs.iter().skip(from).map(|(_, path)| path);
        paths.filter(|path| path.extension().is_some_and(|end| end == "journal")).collect::<BTreeSet<_>>().len() as u64
    }
}

#[test]
fn a_snapshot_syncs_no_segment_that_it_makes_unnecessary_and_makes_everything_before_it_durable() {
    let ((disk, between), clock) = (disks(), clock());
    let (engine, segments) = with_unsynced_segments(&between, &clock, 40);
    let before = between.hook.syncs.lock().unwrap().len();
    engine.snapshot().unwrap();
    assert_eq!(engine.status().unsynced(), 0);
    let synced = between.hook.segments_synced(before);
    assert!(synced <= 2, "{synced} of {segments}");
    let mut disk = disk.power_loss(Keep::Nothing);
    drop(engine);
    for opened in 1..3 {
        let engine = config(&disk, &clock, opened).open(ROOT).unwrap();
        assert_eq!(bodies(&queue(&engine, "q")).len() as u64, opened);
        assert!(engine.verify().unwrap().is_sound());
        post(&queue(&engine, "q"), "later");
        disk = disk.power_loss(Keep::Nothing);
        drop(engine);
    }
}

#[test]
fn a_power_cut_at_any_operation_of_a_snapshot_over_unsynced_segments_leaves_a_state_that_there_was() {
    for (rounds, random) in [(0, false), (0, true), (1, false), (1, true)] {
        for operation in 0.. {
            let ((disk, between), clock) = (disks(), clock());
            let (engine, _) = with_unsynced_segments(&between, &clock, 24);
            let durable = engine.with_durability(Durability::Sync);
            if rounds == 1 {
                // Everything up to here is acknowledged as synced, and more follows that is not.
                post(&queue(&durable, "q"), "synced");
                (0..24).for_each(|_| post(&queue(&engine, "q"), &"y".repeat(1_000)));
            }
            disk.fail_after(operation);
            let done = engine.snapshot();
            // What goes on behind the snapshot, and claims to be durable.
            let later = done.is_ok() && queue(&durable, "q").post(CLIENT, &[message("later", 5)]).is_ok();
            let keep = if random { Keep::Random(operation) } else { Keep::Nothing };
            let context = format!("round {rounds}, operation {operation}, {keep:?}");
            let left = disk.power_loss(keep);
            drop((durable, engine));
            let opened = config(&left, &clock, 2).open(ROOT).unwrap_or_else(|error| panic!("{context}: {error}"));
            if queue(&opened, "q").exists().unwrap() {
                let found = bodies(&queue(&opened, "q"));
                let has = |body: &str| found.iter().any(|one| one.starts_with(body));
                assert!(rounds == 0 || has("synced"), "{context}: {} found", found.len());
                assert!(!later || has("later"), "{context}");
                let first = found.iter().filter(|body| body.starts_with('x')).count();
                assert!(first == 1 || rounds == 0 && done.is_err(), "{context}: {first} messages");
                post(&queue(&opened, "q"), "works");
            } else {
                assert!(rounds == 0 && done.is_err(), "{context}: the queue is lost");
            }
            assert!(opened.verify().unwrap().is_sound(), "{context}");
            if later {
                break;
            }
        }
    }
}

#[test]
fn what_a_snapshot_has_is_durable_only_when_the_manifest_names_it() {
    let ((disk, between), clock) = (disks(), clock());
    let (engine, _) = with_unsynced_segments(&between, &clock, 10);
    let durable = engine.with_durability(Durability::Sync);
    let ids = queue(&durable, "q").post(CLIENT, &[message("removed", 7)]).unwrap();
    queue(&engine, "q").bulk_delete(&ids).unwrap();
    (0..10).for_each(|_| post(&queue(&engine, "q"), &"x".repeat(1_000)));
    let left = Arc::new(Mutex::new(None));
    between.hook.arm(Moment::Before(Call::Rename), "MANIFEST", {
        let (disk, left) = (disk.clone(), left.clone());
        move |_| {
            // There is nothing left to delete, and the call says so only when that is durable.
            queue(&durable, "q").bulk_delete(&ids).unwrap();
            *left.lock().unwrap() = Some(disk.power_loss(Keep::Nothing));
        }
    });
    assert!(engine.snapshot().is_err(), "the power was cut");
    between.hook.assert_happened();
    drop(engine);
    let disk = left.lock().unwrap().take().unwrap();
    let engine = config(&disk, &clock, 2).open(ROOT).unwrap();
    assert!(!bodies(&queue(&engine, "q")).iter().any(|body| body == "removed"), "it is back");
}

#[test]
fn a_snapshot_ends_a_long_sync_that_no_call_waits_for() {
    let ((disk, between), clock) = (disks(), clock());
    let (engine, segments) = with_unsynced_segments(&between, &clock, 100);
    let snapshot = Arc::new(Mutex::new(None));
    between.hook.arm(Moment::AfterSync, ".journal", {
        let (engine, snapshot, hook) = (engine.clone(), snapshot.clone(), between.hook.clone());
        move |_| {
            *snapshot.lock().unwrap() = Some(thread::spawn(move || engine.snapshot()));
            // Then it waits for this sync or one of the next.
            hook.is_slow.store(true, Ordering::SeqCst);
            let has_written = |(call, path): &(Call, PathBuf)| *call == Call::SyncDirectory && path.ends_with(ROOT);
            while !hook.syncs.lock().unwrap().last().is_some_and(has_written) {
                thread::yield_now();
            }
        }
    });
    let before = between.hook.syncs.lock().unwrap().len();
    engine.step().unwrap();
    between.hook.assert_happened();
    let snapshot = snapshot.lock().unwrap().take().unwrap();
    snapshot.join().unwrap().unwrap();
    let synced = between.hook.segments_synced(before);
    assert!(synced < segments / 2, "{synced} of {segments}");
    assert_eq!(engine.status().unsynced(), 0);
    let disk = disk.power_loss(Keep::Nothing);
    drop(engine);
    let engine = config(&disk, &clock, 2).open(ROOT).unwrap();
    assert_eq!(bodies(&queue(&engine, "q")).len(), 1);
}

#[test]
fn a_pool_removes_the_messages_of_a_queue_only_when_its_deletion_is_synced() {
    let ((disk, between), clock) = (disks(), clock());
    let driver = config(&disk, &clock, 1).disk(Arc::new(between.clone())).open_pooled("/control").unwrap();
    driver.pools().create(&"one".parse().unwrap(), &NewPool::new("sled:/one".parse().unwrap())).unwrap();
    let of = |driver: &zaqar_sled::PooledDriver| driver.queue(Project::none(), "q").unwrap();
    of(&driver).create(Metadata::new()).unwrap();
    of(&driver).post(CLIENT, &[message("m", 10)]).unwrap();
    of(&driver.with_durability(Durability::Buffered)).delete().unwrap();
    let left = Arc::new(Mutex::new(None));
    between.hook.arm(Moment::AfterSync, "/one/", {
        let (disk, left) = (disk, left.clone());
        move |_| *left.lock().unwrap() = Some(disk.power_loss(Keep::Nothing))
    });
    assert!(driver.step().is_err(), "the power was cut");
    between.hook.assert_happened();
    drop(driver);
    let disk = left.lock().unwrap().take().unwrap();
    let driver = config(&disk, &clock, 2).open_pooled("/control").unwrap();
    if of(&driver).exists().unwrap() {
        assert_eq!(of(&driver).iter(everything()).count(), 1, "the queue is back without its message");
    }
}

#[test]
fn changes_that_are_due_are_synced_while_a_segment_is_prepared() {
    let (_, between) = disks();
    let settings = Config::new().clock(clock()).segment_size(64 << 10).durability(Durability::Buffered);
    let interval = Duration::from_millis(2);
    let engine = settings.sync_interval(interval).disk(Arc::new(between.clone())).open(ROOT).unwrap();
    queue(&engine, "q").create(Metadata::new()).unwrap();
    let prepared = Arc::new(Mutex::new(None));
    between.hook.arm_in(JOURNAL_THREAD, Moment::Before(Call::Allocate), ".journal", {
        let (hook, engine, prepared) = (between.hook.clone(), engine.clone(), prepared.clone());
        move |segment| {
            let (path, known) = (segment.to_string_lossy().into_owned(), hook.clone());
            // The sync of the new segment takes so long that a change is due meanwhile.
            hook.arm(Moment::AfterSync, &path, move |segment| {
                *prepared.lock().unwrap() = Some((segment.to_owned(), known.by_journal.lock().unwrap().len()));
                post(&queue(&engine, "q"), "due");
                let posted = Instant::now();
                while posted.elapsed() <= interval {
                    thread::yield_now();
                }
            });
        }
    });
    // More than an eighth of the first segment, so that the next is prepared, and less than half, so that no call makes it.
    for _ in 0..12 {
        post(&queue(&engine, "q"), &"x".repeat(1 << 10));
    }
    while prepared.lock().unwrap().is_none() {
        thread::yield_now();
    }
    let (segment, at) = prepared.lock().unwrap().clone().unwrap();
    let (call, path) = loop {
        if let Some(next) = between.hook.by_journal.lock().unwrap().get(at) {
            break next.clone();
        }
        thread::yield_now();
    };
    assert_eq!(call, Call::Sync, "the change waits until {} is prepared", segment.display());
    assert!(path != segment && path.extension() == segment.extension(), "{path:?} was synced");
}
