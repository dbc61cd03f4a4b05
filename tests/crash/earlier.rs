//! The times of operations of different queues need not rise with their LSNs: each operation has its own instant, and a
//! thread may be preempted between reading the clock and writing the journal. In recovery nothing may happen earlier
//! than it did live.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use zaqar_sled::{
    ClaimOptions, DataDriver, Engine, ListOptions, ManualClock, Metadata, Project, QueueName, Subscriber,
    SubscriptionUpdate,
};

use super::clock::{WatchedClock, interrupt_at, was_interrupted};
use super::support::{CLIENT, MINUTE, ROOT, assert_sound, clock, config, dump, dump_subscriptions, message};

/// A store with two queues, and a clock that can delay the use of a reading: other threads continue meanwhile, at a
/// later time.
struct World {
    disk: zaqar_sled::SimulatedDisk,
    time: Arc<ManualClock>,
    clock: Arc<WatchedClock>,
    engine: Engine,
}

fn name(text: &str) -> QueueName {
    QueueName::new(text).unwrap()
}

const TTL: Duration = MINUTE;

impl World {
    fn new() -> Self {
        let (disk, time) = (zaqar_sled::SimulatedDisk::new(), clock());
        let clock = WatchedClock::around(time.clone());
        let engine = config(&disk, &time, 1).clock(clock.clone()).open(ROOT).unwrap();
        for queue in ["a", "b"] {
            engine.queues().create(&Project::none(), &name(queue), &Metadata::new()).unwrap();
        }
        Self { disk, time, clock, engine }
    }

    /// Makes `call` with an instant that it has read so early that meanwhile a message is posted to the other queue, at
    /// a time at which the renewed item would have expired.
    fn late<R>(&self, call: impl FnOnce() -> R) -> R {
        let (time, engine) = (self.time.clone(), self.engine.clone());
        let other = move || {
            time.advance(TTL + Duration::from_secs(1));
            engine.messages().post(&Project::none(), &name("b"), CLIENT, &[message("other", 1)]).unwrap();
        };
        let other = Mutex::new(Some(other));
        self.clock.on_interrupt(move || {
            let other = other.lock().unwrap().take().unwrap();
            thread::spawn(other).join().unwrap();
        });
        // An instant is the wall clock and then the monotonic one.
        interrupt_at(2);
        let result = call();
        assert!(was_interrupted(), "the call reads no clock");
        result
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
        let engine = config(&disk, &self.time, 2).clock(self.clock.clone()).open(ROOT).unwrap();
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
