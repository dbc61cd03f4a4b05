//! Many threads on one store with next to no memory, its own threads at work: every message is accounted for exactly
//! once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use zaqar_sled::disk::SimulatedDisk;
use zaqar_sled::{
    ClaimOptions, Config, DataDriver, Durability, Engine, Message, MessageId, MessageListOptions, NewMessage, Project,
    Queue,
};

use super::ledger::Ledger;
use super::support::{CLIENT, KIB, ROOT, Random, body, config, everything, queue, seconds};
use super::variables::{MILLIS, SEED};

const NAMES: [&str; 3] = ["a", "b", "c"];

fn open(disk: &SimulatedDisk, memory: u64) -> Engine {
    let config = Config::new().disk(Arc::new(disk.clone())).segment_size(16 * KIB).memory(memory);
    let config = config.journal_max(400 * KIB).sync_interval(Duration::from_millis(2));
    config.durability(Durability::Buffered).busy_timeout(Duration::from_secs(300)).open(ROOT).unwrap()
}

/// A body that contains its own check.
fn signed(number: u64, bytes: usize) -> Vec<u8> {
    let mut signed = number.to_be_bytes().to_vec();
    signed.extend(body(number, bytes));
    signed
}

fn assert_genuine(message: &Message) -> u64 {
    let bytes = message.body().as_bytes();
    let number = u64::from_be_bytes(bytes[..8].try_into().unwrap());
    assert!(bytes[8..] == body(number, bytes.len() - 8), "message {number} has another body");
    number
}

/// The state that the threads share.
#[derive(Clone)]
struct Scene {
    engine: Engine,
    queues: Arc<Vec<Queue>>,
    stop: Arc<AtomicBool>,
    posted: Arc<AtomicU64>,
    seed: u64,
}

impl Scene {
    fn new(disk: &SimulatedDisk, memory: u64, seed: u64) -> Self {
        let engine = open(disk, memory);
        let queues = NAMES.map(|name| queue(&engine, name)).to_vec();
        let (stop, posted) = (Arc::default(), Arc::default());
        Self { engine, queues: Arc::new(queues), stop, posted, seed }
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    fn queue(&self, random: &mut Random) -> &Queue {
        &self.queues[random.below(NAMES.len() as u64) as usize]
    }

    fn spawn<T: Send + 'static>(&self, salt: u64, work: fn(&Self, Random) -> T) -> JoinHandle<T> {
        let (scene, random) = (self.clone(), Random::new(self.seed * 100 + salt));
        thread::spawn(move || work(&scene, random))
    }
}

/// Posts; returns the numbers of the acknowledged messages.
fn post(scene: &Scene, mut random: Random) -> Vec<u64> {
    let mut acknowledged = Vec::new();
    while scene.goes_on() {
        let count = 1 + random.below(12);
        let first = scene.posted.fetch_add(count, Ordering::Relaxed);
        let bytes = if random.one_in(30) { 30_000 } else { random.below(900) as usize };
        let new = |number| NewMessage::new(signed(number, bytes)).ttl(seconds(36_000)).delay(seconds(0));
        let batch: Vec<NewMessage> = (first..first + count).map(new).collect();
        scene.queue(&mut random).post(CLIENT, &batch).unwrap();
        acknowledged.extend(first..first + count);
        if acknowledged.len() % 7 == 0 {
            // Consumers are to keep up about.
            thread::sleep(Duration::from_micros(300));
        }
    }
    acknowledged
}

/// Claims, finishes most messages and releases some; returns the numbers of the finished messages.
fn work(scene: &Scene, mut random: Random) -> Vec<u64> {
    let mut finished = Vec::new();
    while scene.goes_on() {
        let options = ClaimOptions::new().ttl(seconds(3_600)).limit(1 + random.below(40) as usize);
        let Some(claim) = scene.queue(&mut random).claim(options).unwrap() else { continue };
        let numbers: Vec<u64> = claim.messages().iter().map(assert_genuine).collect();
        if random.one_in(4) {
            claim.release().unwrap();
        } else if random.one_in(2) {
            claim.delete_all().unwrap();
            finished.extend(numbers);
        } else {
            for (message, number) in claim.messages().iter().zip(numbers) {
                claim.delete(message).unwrap();
                finished.push(number);
            }
        }
    }
    finished
}

/// Pops; returns the numbers of the popped messages.
fn pop(scene: &Scene, mut random: Random) -> Vec<u64> {
    let mut popped = Vec::new();
    while scene.goes_on() {
        let limit = 1 + random.below(30) as usize;
        popped.extend(scene.queue(&mut random).pop(limit).unwrap().iter().map(assert_genuine));
    }
    popped
}

/// Reads in every way there is.
fn read(scene: &Scene, mut random: Random) -> u64 {
    let mut read = 0;
    while scene.goes_on() {
        let queue = scene.queue(&mut random);
        let mut options = MessageListOptions::new().echo(true).limit(50).include_claimed(random.one_in(2));
        let mut last: Option<MessageId> = None;
        loop {
            let page = queue.list(&options).unwrap();
            for message in &page.items {
                assert_genuine(message);
                assert!(last.is_none_or(|last| last < message.id()));
                last = Some(message.id());
            }
            read += page.items.len() as u64;
            let ids: Vec<MessageId> = page.items.iter().step_by(5).map(Message::id).collect();
            queue.bulk_get(&ids).unwrap().iter().for_each(|message| {
                assert_genuine(message);
            });
            let Some(next) = page.next else { break };
            options = options.marker(next);
        }
        let stats = queue.stats().unwrap();
        assert!(stats.oldest().map(zaqar_sled::MessageStat::id) <= stats.newest().map(zaqar_sled::MessageStat::id));
    }
    read
}

/// Runs housekeeping by hand, in addition to the store's own threads.
fn run_housekeeping(scene: &Scene, mut random: Random) -> u64 {
    let mut rounds = 0;
    while scene.goes_on() {
        match random.below(5) {
            0 => scene.engine.checkpoint().unwrap(),
            1 => scene.engine.snapshot().unwrap(),
            2 => drop(scene.engine.gc().unwrap()),
            3 => {
                let verification = scene.engine.verify().unwrap();
                assert!(verification.is_sound(), "{:?}", verification.findings());
            }
            _ => thread::sleep(Duration::from_millis(random.below(5))),
        }
        rounds += 1;
    }
    rounds
}

fn hammer(memory: u64, seed: u64, length: Duration) {
    let disk = SimulatedDisk::new();
    let scene = Scene::new(&disk, memory, seed);
    let posters: Vec<_> = (0..2).map(|n| scene.spawn(n, post)).collect();
    let consumers = [scene.spawn(10, work), scene.spawn(11, work), scene.spawn(12, pop)];
    let (reader, housekeeper) = (scene.spawn(20, read), scene.spawn(30, run_housekeeping));
    let started = Instant::now();
    let mut coldest = 0;
    while started.elapsed() < length && !housekeeper.is_finished() && !reader.is_finished() {
        coldest = coldest.max(scene.engine.status().cold_pages());
        thread::sleep(Duration::from_millis(1));
    }
    scene.stop.store(true, Ordering::Relaxed);
    let posted: Vec<u64> = posters.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    let gone: Vec<u64> = consumers.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    let (read, rounds) = (reader.join().unwrap(), housekeeper.join().unwrap());
    let context = format!("ZAQAR_SEED={seed}, {memory} bytes of memory");
    println!("{context}: {} posted, {} gone, {read} read, {rounds} rounds, {coldest} cold", posted.len(), gone.len());
    assert!(coldest > 0 && posted.len() > 100 && gone.len() > 100 && rounds > 3, "{context}: too little happened");
    assert!(scene.engine.verify().unwrap().is_sound(), "{context}");
    drop(scene);

    let engine = config(&disk.kill(), &super::support::clock(), memory).open(ROOT).unwrap();
    let mut ledger = Ledger::default();
    ledger.posted(posted.into_iter().map(|number| (number, ())));
    gone.iter().for_each(|number| ledger.taken(number));
    let left = NAMES.map(|name| engine.queue(Project::none(), name).unwrap().list(&everything()).unwrap().items);
    assert!(engine.verify().unwrap().is_sound(), "{context}");
    ledger.check(left.iter().flatten().map(|message| (assert_genuine(message), ())), &context);
}

#[test]
fn with_next_to_no_memory_many_threads_lose_and_double_nothing() {
    let length = MILLIS.millis_or(Duration::from_millis(1_500));
    let seed = SEED.or(1);
    hammer(40 * KIB, seed, length);
    hammer(0, seed + 1, length);
}
