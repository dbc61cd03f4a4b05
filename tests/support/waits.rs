//! Calls that wait for messages in threads of their own, on a clock that is moved by hand: a wait that polls, or that
//! sleeps on real time, hangs or answers too early.
#![allow(dead_code, reason = "each test binary uses what it needs")]

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use zaqar_sled::{
    Claim, ClaimOptions, ClientId, Clock, Config, Engine, Error, ManualClock, MessageId, Metadata, NewMessage, Project,
    Queue, SimulatedDisk, Timestamp,
};

pub(crate) const LONG: Duration = Duration::from_secs(1_000_000);
/// Longer than any wait that is ended.
pub(crate) const STUCK: Duration = Duration::from_secs(30);

pub(crate) fn engine() -> (Engine, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
    let config = Config::new().disk(Arc::new(SimulatedDisk::new())).clock(clock.clone()).background(false);
    (config.open("/store").unwrap(), clock)
}

pub(crate) fn jobs(engine: &Engine) -> Queue {
    created(engine, "jobs")
}

pub(crate) fn created(engine: &Engine, name: &str) -> Queue {
    let queue = engine.queue(Project::none(), name).unwrap();
    queue.create(Metadata::new()).unwrap();
    queue
}

pub(crate) fn post(queue: &Queue, body: &str) {
    queue.post(ClientId::random(), &[NewMessage::new(body)]).unwrap();
}

pub(crate) fn of(body: &str) -> [NewMessage; 1] {
    [NewMessage::new(body)]
}

/// A post that waits by the time this returns.
pub(crate) fn poster(engine: &Engine, queue: &Queue, timeout: Duration) -> JoinHandle<Result<Vec<MessageId>, Error>> {
    let queue = queue.clone();
    waiting(engine, move || queue.post_wait(ClientId::random(), &of("late"), timeout))
}

pub(crate) fn assert_posted(queue: &Queue, poster: JoinHandle<Result<Vec<MessageId>, Error>>) {
    let ids = joined(poster).unwrap();
    assert_eq!(queue.get(&ids[0]).unwrap().body().as_bytes(), b"late");
}

pub(crate) fn options() -> ClaimOptions {
    ClaimOptions::new().ttl(Duration::from_secs(60)).limit(1)
}

/// A clock that runs so many times as fast as the machine's, and wakes nobody: only what a call knows ends its sleep.
#[derive(Debug)]
pub(crate) struct Quick(Instant, u32);

impl Quick {
    pub(crate) fn new(factor: u32) -> Arc<Self> {
        Arc::new(Self(Instant::now(), factor))
    }
}

impl Clock for Quick {
    fn wall(&self) -> Timestamp {
        Timestamp::from_millis(1_000_000 + u64::try_from(self.monotonic().as_millis()).unwrap())
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed() * self.1
    }

    fn real_wait(&self, duration: Duration) -> Option<Duration> {
        Some(duration / self.1)
    }

    fn on_jump(&self, _: Box<dyn Fn() + Send + Sync>) {}
}

/// A waiter that is asleep by the time this returns.
pub(crate) fn waiter(engine: &Engine, queue: &Queue, timeout: Duration) -> JoinHandle<Result<Option<Claim>, Error>> {
    let queue = queue.clone();
    waiting(engine, move || queue.claim_wait(options(), timeout))
}

/// A thread with a call that waits by the time this returns.
pub(crate) fn waiting<T: Send + 'static>(engine: &Engine, call: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let before = engine.status().waiting();
    let waiter = thread::spawn(call);
    let started = Instant::now();
    while engine.status().waiting() == before {
        assert!(started.elapsed() < STUCK, "it does not wait");
        thread::yield_now();
    }
    waiter
}

/// The result of the thread. A thread that still waits after a while has missed its wake-up.
pub(crate) fn joined<T>(thread: JoinHandle<T>) -> T {
    let started = Instant::now();
    while !thread.is_finished() {
        assert!(started.elapsed() < STUCK, "it waits for ever");
        thread::sleep(Duration::from_millis(1));
    }
    thread.join().unwrap()
}

pub(crate) fn body_of(claimed: Result<Option<Claim>, Error>) -> Vec<u8> {
    claimed.unwrap().unwrap().messages()[0].body().as_bytes().to_vec()
}
