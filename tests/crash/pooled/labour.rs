//! Workers on the queues of a pooled driver while those are moved, and the books they keep.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use zaqar_sled::{
    ClaimOptions, ClaimRecord, DataDriver, Durability, Message, MessageId, Metadata, NewMessage, NewPool, PooledDriver,
    Project, QueueName, Result,
};

use super::super::support::{CLIENT, Random, message};
use super::view::name_of;
use crate::kills::Diary;

/// The last queue is the dead-letter queue of the others.
pub(super) const QUEUES: [&str; 3] = ["a", "b", "dead"];
const POOLS: [&str; 3] = ["one", "two", "here"];

/// The book to which a worker writes each call and each answer: a line `<call> ? ..` before the call and `<call> ! ..`
/// after it.
pub(super) trait Book: Send + Sync {
    fn note(&self, line: String);
}

impl Book for Diary {
    fn note(&self, line: String) {
        Self::note(self, &line);
    }
}

impl Book for Mutex<Vec<String>> {
    fn note(&self, line: String) {
        self.lock().unwrap().push(line);
    }
}

/// Creates the missing pools and queues.
pub(super) fn set_up(driver: &PooledDriver, stores: &str) -> Result<()> {
    for pool in POOLS {
        let uri = if pool == "here" { "localhost".to_owned() } else { format!("sled:{stores}/{pool}") };
        driver.pools().create(&pool.parse()?, &NewPool::new(uri.parse()?))?;
    }
    let dead_letters = Metadata::new().with("_max_claim_count", 1)?.with("_dead_letter_queue", "dead")?;
    for name in QUEUES {
        let metadata = if name == "dead" { Metadata::new() } else { dead_letters.clone() };
        driver.queue(Project::none(), name)?.create(metadata)?;
    }
    Ok(())
}

/// Moves queues between the pools until a call fails or `stop` is set.
pub(super) fn move_about(driver: &PooledDriver, book: &dyn Book, seed: u64, stop: &AtomicBool) -> Result<()> {
    let mut random = Random::new(seed);
    while !stop.load(Ordering::Relaxed) {
        let queue = QUEUES[random.below(3) as usize].parse().unwrap();
        let pool = POOLS[random.below(3) as usize].parse().unwrap();
        match driver.move_queue(&Project::none(), &queue, &pool) {
            Ok(()) => book.note(format!("{seed}/mover ! s moved")),
            Err(error) if error.is_busy() => {}
            Err(error) => return Err(error),
        }
        if random.one_in(4) {
            driver.gc()?;
        }
        for _ in 0..random.below(10) {
            thread::yield_now();
        }
    }
    Ok(())
}

/// Works until a call fails or `stop` is set.
pub(super) fn work(driver: &PooledDriver, book: &dyn Book, seed: u64, number: u64, stop: &AtomicBool) -> Result<()> {
    let random = Random::new(seed * 31 + number);
    let mut worker = Worker { driver, book, random, claims: Vec::new(), call: String::new(), mark: 's' };
    for call in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        worker.call = format!("{seed}/{number}/{call}");
        match worker.step() {
            Err(error) if error.is_busy() => {
                // The queue is being moved, so the call changed nothing.
                worker.told("busy");
                thread::yield_now();
            }
            done => done?,
        }
    }
    Ok(())
}

struct Worker<'a> {
    driver: &'a PooledDriver,
    book: &'a dyn Book,
    random: Random,
    claims: Vec<(QueueName, ClaimRecord)>,
    /// The call under way.
    call: String,
    /// `s` for one at `Sync`, `b` for one that is `Buffered`.
    mark: char,
}

impl Worker<'_> {
    fn asks(&self, what: &str) {
        self.book.note(format!("{} ? {} {what}", self.call, self.mark));
    }

    fn told(&self, what: &str) {
        self.book.note(format!("{} ! {} {what}", self.call, self.mark));
    }

    fn step(&mut self) -> Result<()> {
        self.mark = if self.random.one_in(3) { 's' } else { 'b' };
        let durability = if self.mark == 's' { Durability::Sync } else { Durability::Buffered };
        let driver = self.driver.with_durability(durability);
        let name = QUEUES[self.random.below(3) as usize];
        let (project, queue) = (Project::none(), name.parse()?);
        match self.random.below(12) {
            0..=3 => {
                let count = 1 + self.random.below(5);
                self.asks(&format!("post {name} {count}"));
                let batch: Vec<_> = (0..count).map(|i| new_message(&format!("{}/{i}.", self.call), i)).collect();
                let ids = driver.messages().post(&project, &queue, CLIENT, &batch)?;
                self.told(&format!("post {name} {}", join(ids)));
            }
            4..=6 => {
                let options =
                    ClaimOptions::new().ttl(Duration::from_secs(3600)).limit(1 + self.random.below(4) as usize);
                self.asks(&format!("claim {name}"));
                let claim = driver.claims().create(&project, &queue, &options)?;
                let Some(claim) = claim else {
                    self.told("none");
                    return Ok(());
                };
                self.told(&format!("claim {name} {} {}", claim.id(), names(claim.messages())));
                self.claims.push((queue, claim));
            }
            7 => {
                let limit = 1 + self.random.below(3);
                self.asks(&format!("pop {limit}"));
                let popped = driver.messages().pop(&project, &queue, limit as usize)?;
                let what = if popped.is_empty() { "none".to_owned() } else { format!("took {}", names(&popped)) };
                self.told(&what);
            }
            8 | 9 => {
                let Some((queue, claim)) = self.pick() else { return Ok(()) };
                let names = names(claim.messages());
                let ids: Vec<MessageId> = claim.messages().iter().map(Message::id).collect();
                self.asks(&format!("take {names}"));
                let deleted = driver.messages().bulk_delete(&Project::none(), &queue, &ids, &[claim.id()]);
                deleted.inspect_err(|_| self.claims.push((queue, claim)))?;
                self.told(&format!("took {names}"));
            }
            _ => {
                let Some((queue, claim)) = self.pick() else { return Ok(()) };
                let id = claim.id();
                self.asks(&format!("release {id}"));
                let released = driver.claims().delete(&Project::none(), &queue, &id);
                released.inspect_err(|_| self.claims.push((queue, claim)))?;
                self.told(&format!("release {id}"));
            }
        }
        Ok(())
    }

    fn pick(&mut self) -> Option<(QueueName, ClaimRecord)> {
        let held = self.claims.len() as u64;
        if held == 0 { None } else { Some(self.claims.swap_remove(self.random.below(held) as usize)) }
    }
}

fn new_message(name: &str, i: u64) -> NewMessage {
    message(name, name.len() + (i as usize * 97) % 400).ttl(Duration::from_secs(36_000))
}

fn names(messages: &[Message]) -> String {
    join(messages.iter().map(name_of))
}

fn join<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(",")
}
