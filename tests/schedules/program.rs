//! The world of a program, and its schedules.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::thread::{self, JoinHandle};
use shuttle::{MaxSteps, Runner};
use zaqar_sled::disk::{Disk, SimulatedDisk};
use zaqar_sled::{
    Claim, ClaimOptions, ClientId, Config, Engine, Error, ManualClock, MessageId, Metadata, NewMessage, Project, Queue,
    Timestamp,
};

use crate::variables::{SCHEDULES, SEED};

/// Runs a program under many schedules.
pub(crate) fn check(name: &str, program: fn()) {
    // The engine's statics belong to the checker, which supports only one system thread.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let (seed, schedules) = (SEED.or(1), SCHEDULES.or(100));
    println!("{name}: {schedules} schedules by chance and {schedules} by PCT, ZAQAR_SEED={seed}");
    run("chance", RandomScheduler::new_from_seed(seed, schedules), program);
    run("PCT", PctScheduler::new_from_seed(seed, DEPTH, schedules), program);
}

fn run(by: &'static str, scheduler: impl Scheduler + 'static, program: fn()) {
    let mut config = shuttle::Config::new();
    config.stack_size = STACK_BYTES;
    config.max_steps = MaxSteps::FailAfter(MOST_STEPS);
    // That weak memory orders are not tried.
    config.silence_warnings = true;
    let begun = Begun { by, schedules: Arc::default() };
    let count = begun.schedules.clone();
    Runner::new(scheduler, config).run(move || {
        count.fetch_add(1, Ordering::Relaxed);
        program();
    });
}

/// Prints the schedule in which a program failed.
struct Begun {
    by: &'static str,
    schedules: Arc<AtomicUsize>,
}

impl Drop for Begun {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("it failed in schedule {} by {}", self.schedules.load(Ordering::Relaxed), self.by);
        }
    }
}

/// A store with one queue on a simulated disk, and a clock that stands still.
pub(crate) struct World {
    pub(crate) disk: SimulatedDisk,
    pub(crate) engine: Engine,
    pub(crate) jobs: Queue,
}

impl World {
    /// A store on `disk`, or on the disk that `config` wraps around it.
    pub(crate) fn open(disk: SimulatedDisk, config: Config) -> Self {
        let engine = config.open(ROOT).unwrap();
        let jobs = engine.queue(Project::none(), "jobs").unwrap();
        jobs.create(Metadata::new()).unwrap();
        Self { disk, engine, jobs }
    }

    /// A store with the usual settings.
    pub(crate) fn plain() -> Self {
        let disk = SimulatedDisk::new();
        Self::open(disk.clone(), config(disk))
    }

    /// Closes the store, opens it again and counts the messages.
    pub(crate) fn reopened(self) -> u64 {
        self.engine.close().unwrap();
        let found = Self::open(self.disk.clone(), config(self.disk));
        let total = found.jobs.stats().unwrap().total();
        found.engine.close().unwrap();
        total
    }
}

/// Settings without background threads, so that fewer schedules are equivalent.
pub(crate) fn config(disk: impl Disk) -> Config {
    Config::new()
        .disk(Arc::new(disk))
        .clock(Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000))))
        .seed(7)
        .segment_size(SEGMENT_BYTES)
        .sync_interval(LONG)
        .busy_timeout(LONG)
        .background(false)
}

pub(crate) fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    thread::spawn(work)
}

/// Posts each body as a message, in one call.
pub(crate) fn post(queue: &Queue, bodies: &[&str]) -> Result<Vec<MessageId>, Error> {
    let message = |body: &&str| NewMessage::new(*body).ttl(LONG).delay(Duration::ZERO);
    queue.post(ClientId::from_bytes([1; 16]), &bodies.iter().map(message).collect::<Vec<_>>())
}

/// Claims one message, waiting as long as it takes.
pub(crate) fn claim_one(queue: &Queue) -> Result<Claim, Error> {
    queue.claim_wait(ClaimOptions::new().ttl(LONG).limit(1), LONG).map(|claim| claim.expect("the clock stands still"))
}

pub(crate) const ROOT: &str = "/store";
pub(crate) const LONG: Duration = Duration::from_secs(43_200);
/// Two of the larger messages fill one segment.
const SEGMENT_BYTES: u64 = 4 << 10;
/// The decisions that matter, in PCT.
const DEPTH: usize = 3;
const STACK_BYTES: usize = 1 << 20;
/// Some hundred times those of a program that ends.
const MOST_STEPS: usize = 200_000;
