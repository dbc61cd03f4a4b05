//! Backpressure: while memory or the journal is full, posts wait, no longer than configured, and no other call waits.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use zaqar_sled::{ClaimOptions, Config, DataDriver, Durability, Engine, NewMessage, Queue, Result};

use super::shelf::Shelf;
use super::support::{AMPLE, CLIENT, KIB, PAGE, ROOT, everything, promptly, queue, refused, seconds, until};
use super::watched::{Rule, Watch, WatchedDisk};

const BYTES: usize = 1_000;
/// The busy timeout of tests whose posts must not give up, and of tests whose posts must.
const PATIENT: Duration = Duration::from_secs(600);
const HASTY: Duration = Duration::from_millis(50);

/// The resource that is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Full {
    Memory,
    Journal,
}

const BOTH: [Full; 2] = [Full::Memory, Full::Journal];

/// A store with threads of its own on a disk that can be held up.
struct Scene {
    disk: WatchedDisk,
    engine: Engine,
    full: Full,
}

impl Scene {
    fn new(full: Full, busy_timeout: Duration) -> Self {
        let disk = WatchedDisk::around(Arc::default(), Watch::default());
        let config = Config::new().disk(Arc::new(disk.clone())).seed(1).segment_size(16 * KIB);
        let config = config.durability(Durability::Buffered).busy_timeout(busy_timeout);
        let engine = match full {
            Full::Memory => config.memory(200 * KIB).journal_max(AMPLE),
            Full::Journal => config.memory(AMPLE).journal_max(200 * KIB),
        };
        Self { disk, engine: engine.open(ROOT).unwrap(), full }
    }

    /// Keeps the store from freeing the resource.
    fn hold(&self) {
        self.set(Rule::Hold);
    }

    fn set(&self, rule: Rule) {
        self.disk.hook.set("base", rule);
        self.disk.hook.set("heap", rule);
    }

    /// Asserts that the resource is within its bound, plus the allowed excess.
    fn assert_bounded(&self) {
        let engine = self.engine.clone();
        let status = promptly("the status is told", move || engine.status());
        match self.full {
            // A post to each queue may have been admitted at the same time, and begun a page.
            Full::Memory => {
                let most = 200 * KIB + (status.queues() + 1) * PAGE;
                assert!(status.memory_bytes() <= most, "{most}: {status:?}");
            }
            // Twice the live data if that is more; a segment that was started and one that is prepared.
            Full::Journal => {
                let most = (200 * KIB).max(2 * status.live_bytes()) + 4 * 16 * KIB;
                assert!(status.journal_bytes() <= most, "{status:?}");
            }
        }
    }
}

/// A failing test releases the held calls, because closing waits for the store's threads.
impl Drop for Scene {
    fn drop(&mut self) {
        self.set(Rule::Pass);
    }
}

/// A thread that posts and deletes its messages, so that the journal grows and the queue stays empty, or that only
/// posts, until it is stopped or refused.
struct Poster {
    posted: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<()>>,
}

impl Poster {
    fn start(scene: &Scene, queue: &Queue) -> Self {
        let (posted, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, stopped, queue) = (posted.clone(), stop.clone(), queue.clone());
        let deletes = scene.full == Full::Journal;
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let ids = queue.post(CLIENT, &[message()])?;
                if deletes {
                    queue.bulk_delete(&ids)?;
                }
                counted.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        });
        Self { posted, stop, thread }
    }

    fn posted(&self) -> u64 {
        self.posted.load(Ordering::Relaxed)
    }

    /// Waits until the thread waits in a post.
    fn await_stall(&self, scene: &Scene) {
        let (mut last, mut since) = (u64::MAX, Instant::now());
        until("posts wait", || {
            if self.posted() != last {
                (last, since) = (self.posted(), Instant::now());
            }
            scene.disk.hook.held() > 0 && since.elapsed() > Duration::from_millis(60)
        });
        assert!(!self.thread.is_finished());
        scene.assert_bounded();
    }

    fn stop(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        until("the poster ends", || self.thread.is_finished());
        self.thread.join().unwrap()
    }
}

fn message() -> NewMessage {
    NewMessage::new(vec![7; BYTES]).ttl(seconds(3_600)).delay(seconds(0))
}

#[test]
fn a_post_waits_and_is_admitted_when_there_is_space() {
    for full in BOTH {
        let scene = Scene::new(full, PATIENT);
        scene.hold();
        let poster = Poster::start(&scene, &queue(&scene.engine, "jobs"));
        poster.await_stall(&scene);
        let before = poster.posted();
        scene.set(Rule::Pass);
        until("posts go on", || poster.posted() > before + 500);
        poster.stop().unwrap();
        scene.assert_bounded();
    }
}

#[test]
fn a_post_that_waited_in_vain_is_refused_as_busy_and_changes_nothing() {
    for full in BOTH {
        let scene = Scene::new(full, HASTY);
        scene.hold();
        let jobs = queue(&scene.engine, "jobs");
        let poster = Poster::start(&scene, &jobs);
        until("a post is refused", || poster.thread.is_finished());
        let error = refused(poster.stop());
        assert!(error.is_busy(), "{full:?}: {error}");
        scene.assert_bounded();
        let (before, appended) = (jobs.stats().unwrap(), scene.engine.status().appended_lsn());
        let asked = Instant::now();
        let again = jobs.clone();
        let error = promptly("a post is refused", move || refused(again.post(CLIENT, &[message(), message()])));
        assert!(error.is_busy(), "{full:?}: {error}");
        assert!(asked.elapsed() >= HASTY, "{full:?}: after {:?}", asked.elapsed());
        assert_eq!((jobs.stats().unwrap().total(), scene.engine.status().appended_lsn()), (before.total(), appended));
        scene.set(Rule::Pass);
        until("there is space again", || jobs.post(CLIENT, &[message()]).is_ok());
    }
}

#[test]
fn without_patience_a_post_is_refused_at_once() {
    for full in BOTH {
        let scene = Scene::new(full, Duration::ZERO);
        scene.hold();
        let jobs = queue(&scene.engine, "jobs");
        let poster = Poster::start(&scene, &jobs);
        until("a post is refused", || poster.thread.is_finished());
        assert!(refused(poster.stop()).is_busy());
        scene.set(Rule::Pass);
        until("there is space again", || jobs.post(CLIENT, &[message()]).is_ok());
    }
}

#[test]
fn while_posts_wait_all_other_calls_continue() {
    for full in BOTH {
        let scene = Scene::new(full, PATIENT);
        // Some of it is cold.
        let mut old = Shelf::new(&scene.engine, "old");
        old.fill(400, BYTES);
        until("there is space", || scene.engine.status().memory_bytes() <= 200 * KIB || full == Full::Journal);
        let jobs = queue(&scene.engine, "jobs");
        scene.hold();
        let poster = Poster::start(&scene, &jobs);
        poster.await_stall(&scene);
        let engine = scene.engine.clone();
        promptly("what is no post", move || everything_but_posts(&engine, old));
        assert!(!poster.thread.is_finished());
        scene.set(Rule::Pass);
        poster.stop().unwrap();
    }
}

fn everything_but_posts(engine: &Engine, mut old: Shelf) {
    old.assert_whole();
    let ids = old.ids();
    old.assert_genuine(&old.queue.get(&ids[300]).unwrap());
    let claim = old.queue.claim(ClaimOptions::new().ttl(seconds(60)).limit(20)).unwrap().unwrap();
    claim.renew(seconds(90), seconds(10)).unwrap();
    claim.delete(&claim.messages()[0]).unwrap();
    old.forget([&ids[0]]);
    claim.release().unwrap();
    let popped = old.queue.pop(5).unwrap();
    old.forget(popped.iter().map(zaqar_sled::Message::id).collect::<Vec<_>>().iter());
    let gone = old.ids()[100..110].to_vec();
    old.queue.bulk_delete(&gone).unwrap();
    old.forget(&gone);
    old.assert_whole();
    old.queue.set_metadata(&zaqar_sled::Metadata::new().with("a", 1).unwrap()).unwrap();
    assert!(engine.status().messages() > 0 && engine.gc().is_ok());
    let made = queue(engine, "made");
    made.delete().unwrap();
    old.queue.purge().unwrap();
    old.queue.delete().unwrap();
}

#[test]
fn deletes_admit_posts_although_no_page_can_be_evicted() {
    let scene = Scene::new(Full::Memory, PATIENT);
    scene.hold();
    let jobs = queue(&scene.engine, "jobs");
    let poster = Poster::start(&scene, &jobs);
    poster.await_stall(&scene);
    let before = poster.posted();
    let drained = jobs.clone();
    promptly("a purge", move || drained.purge().unwrap());
    until("posts go on", || poster.posted() > before + 20);
    scene.set(Rule::Pass);
    poster.stop().unwrap();
}

#[test]
fn many_posters_share_the_space_and_none_is_forgotten() {
    for full in BOTH {
        let scene = Scene::new(full, PATIENT);
        let queues: Vec<Queue> = (0..6).map(|n| queue(&scene.engine, &format!("jobs{n}"))).collect();
        scene.hold();
        let posters: Vec<Poster> = queues.iter().map(|queue| Poster::start(&scene, queue)).collect();
        until("posts wait", || scene.disk.hook.held() > 0);
        posters[0].await_stall(&scene);
        scene.set(Rule::Pass);
        let before: Vec<u64> = posters.iter().map(Poster::posted).collect();
        for (poster, before) in posters.iter().zip(before) {
            until("each goes on", || poster.posted() > before + 100);
        }
        let posted: u64 = posters
            .into_iter()
            .map(|poster| (poster.posted.clone(), poster.stop()))
            .map(|(posted, ended)| {
                ended.unwrap();
                posted.load(Ordering::Relaxed)
            })
            .sum();
        let there: u64 = queues.iter().map(|queue| queue.stats().unwrap().total()).sum();
        assert_eq!(there, if full == Full::Memory { posted } else { 0 });
        scene.assert_bounded();
    }
}

#[test]
fn closing_ends_the_wait() {
    for full in BOTH {
        let scene = Scene::new(full, PATIENT);
        scene.hold();
        let poster = Poster::start(&scene, &queue(&scene.engine, "jobs"));
        poster.await_stall(&scene);
        let engine = scene.engine.clone();
        let closing = thread::spawn(move || engine.close());
        until("the post ends", || poster.thread.is_finished());
        let error = refused(poster.stop());
        assert!(error.is_closed(), "{full:?}: {error}");
        scene.set(Rule::Pass);
        until("the store closes", || closing.is_finished());
        closing.join().unwrap().unwrap();
    }
}

#[test]
fn on_a_full_disk_posts_that_would_wait_get_storage_full() {
    let scene = Scene::new(Full::Memory, Duration::from_millis(300));
    scene.set(Rule::Fail(ErrorKind::StorageFull));
    let jobs = queue(&scene.engine, "jobs");
    let poster = Poster::start(&scene, &jobs);
    until("a post is refused", || poster.thread.is_finished());
    let error = refused(poster.stop());
    assert!(error.is_full(), "{error}");
    scene.assert_bounded();
    let there = jobs.stats().unwrap().total();
    assert!(refused(jobs.post(CLIENT, &[message()])).is_full());
    assert_eq!(jobs.list(&everything()).unwrap().items.len() as u64, there);
    assert_eq!(scene.engine.status().poisoned(), None);
    scene.set(Rule::Pass);
    until("there is space again", || jobs.post(CLIENT, &[message()]).is_ok());
}

#[test]
fn a_busy_store_neither_hangs_nor_grows_at_full_speed() {
    for full in BOTH {
        let scene = Scene::new(full, PATIENT);
        let queues: Vec<Queue> = (0..3).map(|n| queue(&scene.engine, &format!("jobs{n}"))).collect();
        let posters: Vec<Poster> = queues.iter().map(|queue| Poster::start(&scene, queue)).collect();
        let started = Instant::now();
        while started.elapsed() < Duration::from_millis(500) {
            scene.assert_bounded();
            thread::yield_now();
        }
        posters.into_iter().for_each(|poster| poster.stop().unwrap());
        assert!(scene.engine.status().appended_lsn() > 1_000, "{:?}", scene.engine.status());
    }
}

#[test]
fn a_snapshot_is_written_as_often_as_the_journal_needs_one() {
    let scene = Scene::new(Full::Journal, PATIENT);
    let poster = Poster::start(&scene, &queue(&scene.engine, "jobs"));
    let mut snapshots = std::collections::BTreeSet::new();
    until("ten snapshots are written", || {
        snapshots.insert(scene.engine.status().snapshot_lsn());
        scene.assert_bounded();
        snapshots.len() > 10
    });
    poster.stop().unwrap();
}
