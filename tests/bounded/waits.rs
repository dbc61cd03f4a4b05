//! A waiting post sleeps: while nothing changes, neither the post nor the threads that free space are active, and a
//! change wakes the post.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use zaqar_sled::{Config, Durability, Engine, NewMessage, Queue, Result};

use super::shelf::Shelf;
use super::support::{AMPLE, CLIENT, KIB, ROOT, everything, promptly, queue, refused, seconds, until};
use super::watched::{Rule, Watch, WatchedDisk};

const MEMORY: u64 = 200 * KIB;
const BYTES: usize = 1_000;
/// Longer than any of these tests, so that a post that is not woken is found.
const PATIENT: Duration = Duration::from_secs(600);
/// The time for which posts and the other threads are watched. Two threads that signal each other do so thousands of
/// times in it.
const WATCHED: Duration = Duration::from_millis(300);
const MOST_ROUNDS: u64 = 16;

fn config(disk: &WatchedDisk) -> Config {
    let config = Config::new().disk(Arc::new(disk.clone())).seed(1).segment_size(16 * KIB).busy_timeout(PATIENT);
    config.durability(Durability::Buffered).memory(MEMORY).journal_max(AMPLE)
}

/// A thread that posts until it is refused, or has posted so many.
struct Poster {
    thread: JoinHandle<Result<()>>,
    status: PathBuf,
}

impl Poster {
    fn start(queue: &Queue, messages: usize, deletes: bool) -> Self {
        let (queue, (told, tell)) = (queue.clone(), mpsc::channel());
        let thread = thread::spawn(move || {
            let own = fs::read_link("/proc/thread-self").map(|own| PathBuf::from("/proc").join(own).join("status"));
            told.send(own).unwrap();
            for _ in 0..messages {
                let message = NewMessage::new(vec![7; BYTES]).ttl(seconds(3_600)).delay(seconds(0));
                let ids = queue.post(CLIENT, &[message])?;
                if deletes {
                    queue.bulk_delete(&ids)?;
                }
            }
            Ok(())
        });
        let status = tell.recv().unwrap().expect("Linux says what a thread does");
        Self { thread, status }
    }

    /// The number of times its thread has slept and was woken.
    fn wakeups(&self) -> u64 {
        let status = fs::read_to_string(&self.status).expect("it has not ended");
        let switches = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        switches.unwrap().trim().parse().unwrap()
    }

    /// Asserts that the post waits, and that neither the post nor the threads that free space are active.
    fn assert_rests(&self, disk: &WatchedDisk) {
        // Work that is in progress before all threads are idle ends by itself.
        let (mut last, mut since) = ((self.wakeups(), disk.hook.rounds()), Instant::now());
        let started = Instant::now();
        while since.elapsed() < WATCHED / 3 && started.elapsed() < WATCHED {
            thread::yield_now();
            let now = (self.wakeups(), disk.hook.rounds());
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        let (woken, rounds, started) = (self.wakeups(), disk.hook.rounds(), Instant::now());
        while started.elapsed() < WATCHED {
            thread::yield_now();
        }
        assert!(!self.thread.is_finished(), "it does not wait");
        let (woken, rounds) = (self.wakeups() - woken, disk.hook.rounds() - rounds);
        assert!(woken <= MOST_ROUNDS && rounds <= MOST_ROUNDS, "woken {woken} times, {rounds} rounds in {WATCHED:?}");
    }

    fn end(self) -> Result<()> {
        until("the poster ends", || self.thread.is_finished());
        self.thread.join().unwrap()
    }
}

/// A store with a queue of that name and so many messages, none of them in memory.
fn opened_cold(disk: &WatchedDisk, name: &str, messages: usize) -> (Engine, Queue) {
    let engine = config(disk).background(false).open(ROOT).unwrap();
    let mut old = Shelf::new(&engine, name);
    old.fill(messages, BYTES);
    engine.close().unwrap();
    drop(engine);
    let engine = config(disk).open(ROOT).unwrap();
    let old = old.on(&engine).queue;
    (engine, old)
}

#[test]
fn while_a_reader_has_all_memory_in_a_queue_that_he_keeps_locked() {
    let disk = WatchedDisk::around(Arc::default(), Watch::default());
    let (engine, old) = opened_cold(&disk, "old", 600);
    let jobs = queue(&engine, "jobs");
    disk.hook.hold_reads("heap", Some(3 * MEMORY / 2));
    let reader = thread::spawn(move || old.list(&everything().max_bytes(AMPLE)).unwrap().items.len());
    until("the reader is held up", || disk.hook.held() > 0);
    let poster = Poster::start(&jobs, 10, false);
    poster.assert_rests(&disk);
    disk.hook.hold_reads("heap", None);
    poster.end().unwrap();
    assert_eq!(reader.join().unwrap(), 600);
}

#[test]
fn while_pages_cannot_be_written_out() {
    let disk = WatchedDisk::around(Arc::default(), Watch::default());
    let engine = config(&disk).open(ROOT).unwrap();
    let jobs = queue(&engine, "jobs");
    disk.hook.set("heap", Rule::Fail(ErrorKind::Other));
    let poster = Poster::start(&jobs, 600, false);
    poster.assert_rests(&disk);
    disk.hook.set("heap", Rule::Pass);
    poster.end().unwrap();
}

#[test]
fn while_no_snapshot_can_be_written() {
    let disk = WatchedDisk::around(Arc::default(), Watch::default());
    let engine = config(&disk).memory(AMPLE).journal_max(MEMORY).open(ROOT).unwrap();
    let jobs = queue(&engine, "jobs");
    disk.hook.set("base", Rule::Fail(ErrorKind::Other));
    let poster = Poster::start(&jobs, 2_000, true);
    poster.assert_rests(&disk);
    disk.hook.set("base", Rule::Pass);
    poster.end().unwrap();
}

#[test]
fn until_the_store_takes_no_changes_any_more() {
    let disk = WatchedDisk::around(Arc::default(), Watch::default());
    let engine = config(&disk).open(ROOT).unwrap();
    let (jobs, other) = (queue(&engine, "jobs"), queue(&engine, "other"));
    let id = other.post(CLIENT, &[NewMessage::new("x").ttl(seconds(3_600))]).unwrap().remove(0);
    disk.hook.set("heap", Rule::Hold);
    let poster = Poster::start(&jobs, 600, false);
    until("eviction is held up", || disk.hook.held() > 0);
    poster.assert_rests(&disk);
    disk.hook.set("journal", Rule::Fail(ErrorKind::Other));
    promptly("a change is refused", move || refused(other.delete_message(&id)));
    assert!(engine.status().poisoned().is_some());
    let error = refused(poster.end());
    assert!(!error.is_busy(), "{error}");
    disk.hook.set("heap", Rule::Pass);
}
