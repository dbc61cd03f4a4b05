//! The times of operations of different queues need not rise with their LSNs: each operation has its own instant, and a
//! thread may be preempted between reading the clock and writing the journal. In recovery nothing may happen earlier
//! than it did live.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use zaqar_sled::{
    ClaimOptions, Clock, DataDriver, Engine, ListOptions, ManualClock, Metadata, Project, QueueName, Subscriber,
    SubscriptionUpdate, Timestamp,
};

use super::support::{CLIENT, MINUTE, ROOT, assert_sound, clock, config, dump, dump_subscriptions, message};

type Interlude = Box<dyn FnOnce() + Send>;

/// A clock that can delay the use of one reading: other threads continue meanwhile, at a later time.
#[derive(Debug)]
struct Late {
    clock: Arc<ManualClock>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// The thread whose readings are fixed, and their values.
    readings: Option<(std::thread::ThreadId, Timestamp, Duration)>,
    interlude: Option<Interlude>,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held").field("readings", &self.readings).finish_non_exhaustive()
    }
}

impl Late {
    fn new(clock: Arc<ManualClock>) -> Arc<Self> {
        Arc::new(Self { clock, held: Mutex::default() })
    }

    /// Makes `call` with the current time, while `interlude` runs in another thread after the call's first reading.
    fn call_late<R>(&self, interlude: impl FnOnce() + Send + 'static, call: impl FnOnce() -> R) -> R {
        let readings = Some((std::thread::current().id(), self.clock.wall(), self.clock.monotonic()));
        *self.held.lock() = Held { readings, interlude: Some(Box::new(interlude)) };
        let result = call();
        *self.held.lock() = Held::default();
        result
    }

    fn held(&self) -> Option<(Timestamp, Duration)> {
        let (held, interlude) = {
            let mut held = self.held.lock();
            let (thread, wall, monotonic) = held.readings?;
            if thread != std::thread::current().id() {
                return None;
            }
            ((wall, monotonic), held.interlude.take())
        };
        if let Some(interlude) = interlude {
            std::thread::spawn(interlude).join().unwrap();
        }
        Some(held)
    }
}

impl Clock for Late {
    fn wall(&self) -> Timestamp {
        self.held().map_or_else(|| self.clock.wall(), |(wall, _)| wall)
    }

    fn monotonic(&self) -> Duration {
        self.held().map_or_else(|| self.clock.monotonic(), |(_, monotonic)| monotonic)
    }

    fn real_wait(&self, duration: Duration) -> Option<Duration> {
        self.clock.real_wait(duration)
    }

    fn on_jump(&self, wake: Box<dyn Fn() + Send + Sync>) {
        self.clock.on_jump(wake);
    }
}

/// A store whose clock can be held, and two queues in it.
struct World {
    disk: zaqar_sled::SimulatedDisk,
    time: Arc<ManualClock>,
    late: Arc<Late>,
    engine: Engine,
}

fn name(text: &str) -> QueueName {
    QueueName::new(text).unwrap()
}

const TTL: Duration = MINUTE;

impl World {
    fn new() -> Self {
        let (disk, time) = (zaqar_sled::SimulatedDisk::new(), clock());
        let late = Late::new(time.clone());
        let engine = config(&disk, &time, 1).clock(late.clone()).open(ROOT).unwrap();
        for queue in ["a", "b"] {
            engine.queues().create(&Project::none(), &name(queue), &Metadata::new()).unwrap();
        }
        Self { disk, time, late, engine }
    }

    /// Makes `call` so late that meanwhile a message was posted to the other queue, at a time at which the renewed item
    /// would have expired.
    fn late<R>(&self, call: impl FnOnce() -> R) -> R {
        let (time, engine) = (self.time.clone(), self.engine.clone());
        let other = move || {
            time.advance(TTL + Duration::from_secs(1));
            engine.messages().post(&Project::none(), &name("b"), CLIENT, &[message("other", 1)]).unwrap();
        };
        self.late.call_late(other, call)
    }

    fn seen(&self) -> String {
        let none = Project::none();
        let places = [(none.clone(), name("a")), (none, name("b"))];
        dump(&self.engine, &[]).unwrap() + &dump_subscriptions(&self.engine, &places).unwrap()
    }

    /// Kills the store, opens it again, and asserts that its state is the same.
    fn assert_recovers(self, context: &str) {
        let before = self.seen();
        let disk = self.disk.kill();
        let engine = config(&disk, &self.time, 2).clock(self.late.clone()).open(ROOT).unwrap();
        let again = Self { disk, engine, ..self };
        assert_eq!(again.seen(), before, "{context}: {}", again.engine.recovery());
        assert_sound(&again.engine, context);
    }
}

#[test]
fn a_subscription_renewed_while_another_queue_went_ahead_in_time_is_there_after_recovery() {
    for snapshot_between in [false, true] {
        let world = World::new();
        let none = Project::none();
        let subscriptions = world.engine.subscriptions();
        let subscriber = Subscriber::new("http://a").unwrap();
        let id = subscriptions.create(&none, &name("a"), &subscriber, TTL, &Metadata::new()).unwrap().unwrap();
        if snapshot_between {
            world.engine.snapshot().unwrap();
        }
        world.late(|| subscriptions.update(&none, &name("a"), &id, &SubscriptionUpdate::new().ttl(TTL * 60)).unwrap());
        assert_eq!(subscriptions.list(&none, &name("a"), &ListOptions::new()).unwrap().items.len(), 1);
        world.assert_recovers("renewed late");
    }
}

#[test]
fn a_claim_renewed_while_another_queue_went_ahead_in_time_lives_after_recovery() {
    for snapshot_between in [false, true] {
        let world = World::new();
        let none = Project::none();
        world.engine.messages().post(&none, &name("a"), CLIENT, &[message("held", 10)]).unwrap();
        let claims = world.engine.claims();
        let claim = claims.create(&none, &name("a"), &ClaimOptions::new().ttl(TTL)).unwrap().unwrap();
        if snapshot_between {
            world.engine.snapshot().unwrap();
        }
        let renewal = ClaimOptions::new().ttl(TTL * 60);
        world.late(|| claims.update(&none, &name("a"), &claim.id(), &renewal).unwrap());
        world.assert_recovers("claim renewed late");
    }
}
