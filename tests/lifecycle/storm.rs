//! Many threads make calls of every kind while the store is closed, dropped or killed, and another thread waits to open
//! it next.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use zaqar_sled::disk::{Disk, RealDisk, SimulatedDisk};
use zaqar_sled::{
    ClaimOptions, Config, DataDriver, Durability, Engine, Error, MessageId, Metadata, NewMessage, Project, Queue,
};

use super::ledger::Ledger;
use super::random::Random;
use super::tracked_disk::{Owner, TrackedDisk};
use super::values::{CLIENT, everything};
use super::variables::{ROUNDS, SEED};

/// The answers of all callers, over all lives of a store.
#[derive(Default)]
struct Answers {
    messages: Mutex<Ledger<MessageId>>,
    /// Acknowledged calls.
    count: AtomicU64,
}

impl Answers {
    fn posted(&self, ids: Vec<MessageId>) {
        self.messages.lock().unwrap().posted(ids.into_iter().map(|id| (id, ())));
        self.count.fetch_add(1, Ordering::SeqCst);
    }
}

/// How a life of the store ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Close,
    TwoClose,
    Drop,
    Kill,
}

struct Storm {
    root: PathBuf,
    answers: Arc<Answers>,
    seed: u64,
}

impl Storm {
    fn config(disk: Arc<dyn Disk>, random: &mut Random) -> Config {
        let durability = if random.one_in(2) { Durability::Sync } else { Durability::Buffered };
        let config = Config::new().disk(disk).segment_size(64 << 10).memory(1 << 20).durability(durability);
        let config = if random.one_in(2) { config.queue_memory(0) } else { config };
        config.sync_interval(Duration::from_millis(1 + random.below(5))).background(!random.one_in(4))
    }

    /// Opens the store, starts the callers, ends the store in some way, and lets the waiting thread open it next.
    fn round(&self, disk: &Arc<dyn Disk>, kill: Option<&SimulatedDisk>, random: &mut Random) -> End {
        let tracked = TrackedDisk::around(disk.clone(), Owner::new(random.next()));
        let engine = Self::config(Arc::new(tracked.clone()), random).open(&self.root).unwrap();
        jobs(&engine).create(Metadata::new()).unwrap();
        let (stop, killed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let mut callers: Vec<thread::JoinHandle<()>> = Vec::new();
        for number in 0..CALLERS {
            let caller = Caller {
                engine: engine.clone(),
                answers: self.answers.clone(),
                root: self.root.clone(),
                is_real: kill.is_none(),
                stop: stop.clone(),
                killed: killed.clone(),
            };
            let random = Random::new(random.next());
            callers.push(thread::spawn(move || caller.run(number, random)));
        }
        let next = (!random.one_in(3)).then(|| self.spawn_next(disk, &stop, random));
        let goal = self.answers.count.load(Ordering::SeqCst) + random.below(40);
        while self.answers.count.load(Ordering::SeqCst) < goal {
            thread::yield_now();
        }
        let ends = [End::Close, End::TwoClose, End::Drop, End::Kill];
        let end = random.pick(if kill.is_some() { &ends } else { &ends[..3] });
        match (end, kill) {
            (End::Kill, Some(disk)) => {
                killed.store(true, Ordering::SeqCst);
                // From here on this engine's writes do not reach the image.
                let image = disk.kill();
                *KILLED.lock().unwrap() = Some(image);
                let _ = engine.close();
            }
            (End::Drop, _) => {}
            (End::TwoClose, _) => {
                let other = engine.clone();
                let other = thread::spawn(move || other.close());
                engine.close().unwrap();
                tracked.hook.note_closed();
                other.join().unwrap().unwrap();
            }
            _ => {
                engine.close().unwrap();
                tracked.hook.note_closed();
            }
        }
        stop.store(true, Ordering::SeqCst);
        drop(engine);
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        tracked.hook.note_closed();
        if let Some(next) = next {
            next.join().unwrap();
        }
        assert_eq!(tracked.hook.late(), [""; 0], "seed {}: {end:?}", self.seed);
        end
    }

    /// Starts a thread that opens the store as soon as possible, and uses it.
    fn spawn_next(&self, disk: &Arc<dyn Disk>, stop: &Arc<AtomicBool>, random: &mut Random) -> thread::JoinHandle<()> {
        let tracked = TrackedDisk::around(disk.clone(), Owner::new(random.next()));
        let config = Self::config(Arc::new(tracked.clone()), random);
        let (root, answers, stop, seed) = (self.root.clone(), self.answers.clone(), stop.clone(), self.seed);
        thread::spawn(move || {
            let engine = loop {
                match config.clone().open(&root) {
                    Ok(engine) => break engine,
                    Err(error) if error.is_busy() && !stop.load(Ordering::SeqCst) => thread::yield_now(),
                    // The disk has been replaced, or the engine is still open in a handle.
                    Err(_) => return,
                }
            };
            for _ in 0..3 {
                if let Ok(ids) = jobs(&engine).post(CLIENT, &[NewMessage::new("next").ttl(TTL)]) {
                    answers.posted(ids);
                }
            }
            let _ = engine.snapshot();
            let _ = engine.close();
            tracked.hook.note_closed();
            drop(engine);
            assert_eq!(tracked.hook.late(), [""; 0], "seed {seed}: the next opening");
        })
    }

    /// Opens the store alone and compares it with the acknowledged messages.
    fn check(&self, disk: &Arc<dyn Disk>, round: u64, end: End) {
        let engine = Config::new().disk(disk.clone()).background(false).open(&self.root).unwrap();
        let found = messages(&engine);
        let context = format!("seed {}, round {round}, {end:?}", self.seed);
        let mut messages = self.answers.messages.lock().unwrap();
        if end == End::Kill {
            // A call that was refused may have been made before.
            messages.may_have_posted(usize::MAX);
        }
        messages.check(found.iter().map(|id| (*id, ())), &context);
        messages.settle(found.into_iter().map(|id| (id, ())));
        drop(messages);
        let verification = engine.verify().unwrap();
        assert!(verification.is_sound(), "{context}: {:?}", verification.findings());
        engine.close().unwrap();
    }
}

/// One caller of the store.
struct Caller {
    engine: Engine,
    answers: Arc<Answers>,
    root: PathBuf,
    is_real: bool,
    stop: Arc<AtomicBool>,
    killed: Arc<AtomicBool>,
}

impl Caller {
    fn run(self, number: usize, mut random: Random) {
        while !self.stop.load(Ordering::SeqCst) {
            let outcome = match number {
                0 | 1 => self.post(&mut random),
                2 => self.wait(),
                _ => self.work(&mut random),
            };
            match outcome {
                Ok(()) => {}
                Err(error) if error.is_closed() => return,
                Err(error) => {
                    assert!(self.killed.load(Ordering::SeqCst), "{error}");
                    return;
                }
            }
        }
    }

    fn post(&self, random: &mut Random) -> Result<(), Error> {
        let body = vec![7; usize::try_from(random.below(2_000)).unwrap()];
        let count = usize::try_from(1 + random.below(3)).unwrap();
        self.answers.posted(jobs(&self.engine).post(CLIENT, &vec![NewMessage::new(body).ttl(TTL); count])?);
        Ok(())
    }

    /// Waits for a message that never comes, possibly until the store is closed.
    fn wait(&self) -> Result<(), Error> {
        let patience = u64::from(!self.killed.load(Ordering::SeqCst));
        let nothing = self.engine.queue(Project::none(), "nothing")?;
        nothing.claim_wait(ClaimOptions::new(), Duration::from_millis(patience)).map(drop)
    }

    fn work(&self, random: &mut Random) -> Result<(), Error> {
        let engine = &self.engine;
        match random.below(14) {
            0..4 => engine.snapshot(),
            4 | 5 => engine.checkpoint(),
            6 | 7 => engine.step(),
            8 => engine.gc().map(drop),
            9 => {
                let verification = engine.verify()?;
                // A killed disk cannot be read.
                let is_fine = verification.is_sound() || self.killed.load(Ordering::SeqCst);
                assert!(is_fine, "{:?}", verification.findings());
                Ok(())
            }
            10 => engine.health().map(drop),
            11 | 12 => match engine.backup(self.root.with_file_name("backup")) {
                // Another caller takes one.
                Err(Error::Locked { .. }) => Ok(()),
                taken => taken.map(drop),
            },
            _ => {
                let _ = engine.status();
                if self.is_real {
                    let inspected = Engine::inspect(&self.root);
                    assert!(!inspected.as_ref().is_err_and(Error::is_corrupt), "{inspected:?}");
                }
                Ok(())
            }
        }
    }
}

fn jobs(engine: &Engine) -> Queue {
    engine.queue(Project::none(), "jobs").unwrap()
}

fn messages(engine: &Engine) -> BTreeSet<MessageId> {
    jobs(engine).list(&everything()).unwrap().items.iter().map(zaqar_sled::Message::id).collect()
}

/// The image of a disk whose process was killed, on its way to the next round.
static KILLED: Mutex<Option<SimulatedDisk>> = Mutex::new(None);

#[test]
fn a_simulated_store_survives_every_end_during_calls_of_all_threads() {
    let (seed, rounds) = (SEED.or(1), ROUNDS.or(40));
    let mut random = Random::new(seed);
    let storm = Storm { root: "/store".into(), answers: Arc::default(), seed };
    let mut disk = SimulatedDisk::new();
    for round in 0..rounds {
        let end = storm.round(&(Arc::new(disk.clone()) as Arc<dyn Disk>), Some(&disk), &mut random);
        if let Some(image) = KILLED.lock().unwrap().take() {
            disk = image;
        }
        storm.check(&(Arc::new(disk.clone()) as Arc<dyn Disk>), round, end);
    }
    println!("seed {seed}: {rounds} rounds, {} acknowledged", storm.answers.count.load(Ordering::SeqCst));
}

#[test]
fn a_store_on_a_real_disk_survives_every_end_with_everybody_at_it() {
    let (seed, rounds) = (SEED.or(1), ROUNDS.or(40) / 4);
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random::new(seed ^ 0x5eed);
    let storm = Storm { root: Path::join(folder.path(), "store"), answers: Arc::default(), seed };
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    for round in 0..rounds {
        let end = storm.round(&disk, None, &mut random);
        storm.check(&disk, round, end);
    }
    println!("seed {seed}: {rounds} rounds, {} acknowledged", storm.answers.count.load(Ordering::SeqCst));
}

const TTL: Duration = Duration::from_secs(86_400);
/// Two callers post, one waits, three make all other calls.
const CALLERS: usize = 6;
