//! Claiming from many queues: each event that ends a wait, fairness, and that no message is missed. The clock is moved by
//! hand, so a wait that polls, or that sleeps on real time, hangs or answers too early.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the way to say what is wrong")]

#[path = "support/clock.rs"]
mod clock;
#[path = "support/random.rs"]
mod random;
#[path = "support/waits.rs"]
mod waits;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use zaqar_sled::disk::{Fault, FaultError, Operation};
use zaqar_sled::{
    CancelToken, Claim, ClaimOptions, ClientId, Config, Engine, ManualClock, MessageId, Metadata, NewMessage, NewPool,
    PoolName, PooledDriver, Project, Queue, QueueSet, Result, Retry, SimulatedDisk, Timestamp,
};

use clock::{WatchedClock, interrupt_at, was_interrupted};
use random::Random;
use waits::{LONG, Quick, body_of, created, engine, joined, options, post, waiter, waiting};

const SECOND: Duration = Duration::from_secs(1);

fn queues(engine: &Engine, count: usize) -> Vec<Queue> {
    (0..count).map(|number| created(engine, &format!("queue-{number}"))).collect()
}

/// A call on the set that waits by the time this returns.
fn set_waiter(engine: &Engine, set: &QueueSet, timeout: Duration) -> JoinHandle<Result<Option<Claim>>> {
    let set = set.clone();
    waiting(engine, move || set.claim_wait(options(), timeout))
}

fn name_of(claim: &Claim) -> String {
    claim.queue().name().to_string()
}

/// The names of the queues that are served until none has a message.
fn served(set: &QueueSet, options: &ClaimOptions) -> Vec<String> {
    std::iter::from_fn(|| set.claim(options.clone()).unwrap().map(|claim| name_of(&claim))).collect()
}

#[test]
fn a_post_to_any_of_the_queues_wakes_a_call() {
    let (engine, _) = engine();
    let queues = queues(&engine, 3);
    let set = QueueSet::new(&queues).unwrap();
    for queue in &queues {
        let call = set_waiter(&engine, &set, LONG);
        post(queue, "work");
        let claim = joined(call).unwrap().unwrap();
        assert_eq!(claim.queue().name(), queue.name());
    }
    assert_eq!(engine.status().waiting(), 0);
}

#[test]
fn every_message_of_a_post_wakes_a_call_and_no_more() {
    let (engine, _) = engine();
    let queues = queues(&engine, 2);
    let set = QueueSet::new(&queues).unwrap();
    let calls: Vec<_> = (0..8).map(|_| set_waiter(&engine, &set, LONG)).collect();
    queues[1].post(ClientId::random(), &vec![NewMessage::new("work"); 7]).unwrap();
    queues[0].post(ClientId::random(), &[NewMessage::new("work")]).unwrap();
    let names: Vec<_> = calls.into_iter().map(|call| name_of(&joined(call).unwrap().unwrap())).collect();
    assert_eq!(names.iter().filter(|name| *name == "queue-1").count(), 7);
}

#[test]
fn a_batch_that_posts_to_several_queues_wakes_a_call_for_each_message() {
    let (engine, _) = engine();
    let queues = queues(&engine, 3);
    let set = QueueSet::new(&queues).unwrap();
    let calls: Vec<_> = (0..3).map(|_| set_waiter(&engine, &set, LONG)).collect();
    let messages = |count| vec![NewMessage::new("work"); count];
    let mut batch = engine.batch();
    batch
        .post(&queues[2], ClientId::random(), messages(1))
        .post(&queues[0], ClientId::random(), messages(2))
        .commit()
        .unwrap();
    let mut names: Vec<_> = calls.into_iter().map(|call| name_of(&joined(call).unwrap().unwrap())).collect();
    names.sort();
    assert_eq!(names, ["queue-0", "queue-0", "queue-2"]);
}

#[test]
fn time_a_release_and_a_retry_wake_a_call() {
    let (engine, clock) = engine();
    let queues = queues(&engine, 2);
    let set = QueueSet::new(&queues).unwrap();
    post(&queues[1], "work");
    let held = queues[1].claim(options()).unwrap().unwrap();
    let call = set_waiter(&engine, &set, LONG);
    held.release().unwrap();
    let held = joined(call).unwrap().unwrap();

    let call = set_waiter(&engine, &set, LONG);
    held.retry(Retry::from(&held.messages()[0]).delay(20 * SECOND)).unwrap();
    clock.advance(19 * SECOND);
    assert!(!call.is_finished());
    clock.advance(SECOND);
    assert_eq!(body_of(joined(call)), b"work");

    // The lease ends after 60 s.
    let call = set_waiter(&engine, &set, LONG);
    clock.advance(59 * SECOND);
    assert!(!call.is_finished());
    clock.advance(SECOND);
    assert_eq!(body_of(joined(call)), b"work");

    let call = set_waiter(&engine, &set, LONG);
    queues[0].post(ClientId::random(), &[NewMessage::new("late").delay(30 * SECOND)]).unwrap();
    clock.advance(29 * SECOND);
    assert!(!call.is_finished());
    clock.advance(SECOND);
    assert_eq!(body_of(joined(call)), b"late");

    let call = set_waiter(&engine, &set, 10 * SECOND);
    clock.advance(9 * SECOND);
    assert!(!call.is_finished());
    clock.advance(SECOND);
    assert!(joined(call).unwrap().is_none());
}

#[test]
fn a_call_that_takes_a_message_tells_another_when_the_lease_ends() {
    let config = Config::new().disk(Arc::new(SimulatedDisk::new())).clock(Quick::new(200));
    let engine = config.background(false).open("/store").unwrap();
    let jobs = created(&engine, "jobs");
    let set = QueueSet::new([&jobs]).unwrap();
    let calls = [(); 2].map(|()| set_waiter(&engine, &set, LONG));
    post(&jobs, "work");
    // The first to get the message never gives it back.
    for call in calls {
        assert_eq!(body_of(joined(call)), b"work");
    }
}

#[test]
fn missing_queues_are_waited_for_and_deleted_ones_again() {
    let (engine, _) = engine();
    let later = engine.queue(Project::named("another").unwrap(), "later").unwrap();
    let jobs = created(&engine, "jobs");
    let set = QueueSet::new([&jobs, &later]).unwrap();
    for _ in 0..3 {
        let call = set_waiter(&engine, &set, LONG);
        later.create(Metadata::new()).unwrap();
        post(&later, "work");
        assert_eq!(joined(call).unwrap().unwrap().queue().project(), later.project());
        let call = set_waiter(&engine, &set, LONG);
        later.delete().unwrap();
        jobs.delete().unwrap();
        jobs.create(Metadata::new()).unwrap();
        post(&jobs, "work");
        assert_eq!(name_of(&joined(call).unwrap().unwrap()), "jobs");
    }
}

#[test]
fn no_queue_is_served_twice_while_another_has_waited_longer() {
    let (engine, _) = engine();
    let queues = queues(&engine, 4);
    let set = QueueSet::new(&queues).unwrap();
    let one = options();
    assert_eq!(served(&set, &one), [""; 0]);
    queues[2].post(ClientId::random(), &vec![NewMessage::new("work"); 4]).unwrap();
    assert_eq!(name_of(&set.claim(one.clone()).unwrap().unwrap()), "queue-2");
    post(&queues[3], "work");
    post(&queues[0], "work");
    assert_eq!(served(&set, &one), ["queue-2", "queue-3", "queue-0", "queue-2", "queue-2"]);
    // An empty queue that was served comes behind one whose message came first.
    post(&queues[1], "work");
    assert_eq!(name_of(&set.claim(one.clone()).unwrap().unwrap()), "queue-1");
    post(&queues[0], "work");
    post(&queues[1], "work");
    assert_eq!(served(&set, &one), ["queue-0", "queue-1"]);
}

/// What a set of queues has to do, and when each queue was served last.
#[derive(Default)]
struct Fairness {
    events: u64,
    /// When each message of a queue came that no claim has taken.
    waiting: BTreeMap<String, VecDeque<u64>>,
    served: BTreeMap<String, u64>,
}

impl Fairness {
    fn came(&mut self, name: &str) {
        self.events += 1;
        self.waiting.entry(name.into()).or_default().push_back(self.events);
    }

    fn serve(&mut self, name: &str, messages: usize) {
        let came = self.waiting[name][0];
        if let Some(last) = self.served.get(name) {
            for (other, waiting) in &self.waiting {
                let is_due = waiting.front().is_some_and(|first| *first < came);
                let was_served = self.served.get(other).is_some_and(|at| at > last);
                assert!(other == name || !is_due || was_served, "{name} is served again before {other}");
            }
        }
        self.events += 1;
        self.served.insert(name.into(), self.events);
        self.waiting.get_mut(name).unwrap().drain(..messages);
    }
}

#[test]
fn random_posts_claims_and_deletions_are_served_fairly_and_completely() {
    for seed in 0..30 {
        let (mut dice, mut fairness) = (Random::new(seed), Fairness::default());
        let (engine, _) = engine();
        let queues = queues(&engine, 6);
        let set = QueueSet::new(&queues).unwrap();
        for _ in 0..300 {
            let queue = dice.of(&queues).unwrap();
            let name = queue.name().as_str();
            match dice.below(10) {
                0..4 => {
                    let count = usize::try_from(1 + dice.below(4)).unwrap();
                    queue.post(ClientId::random(), &vec![NewMessage::new("work"); count]).unwrap();
                    (0..count).for_each(|_| fairness.came(name));
                }
                4..9 => {
                    match set.claim(ClaimOptions::new().limit(usize::try_from(1 + dice.below(3)).unwrap())).unwrap() {
                        Some(claim) => {
                            fairness.serve(&name_of(&claim), claim.messages().len());
                            claim.delete_all().unwrap();
                            claim.release().unwrap();
                        }
                        None => assert!(fairness.waiting.values().all(VecDeque::is_empty), "it missed a message"),
                    }
                }
                _ => {
                    queue.delete().unwrap();
                    queue.create(Metadata::new()).unwrap();
                    fairness.waiting.remove(name);
                    fairness.served.remove(name);
                }
            }
        }
    }
}

#[test]
fn ten_thousand_queues_are_claimed_from_without_looking_at_those_that_are_empty() {
    const COUNT: usize = 10_000;
    let clock = WatchedClock::at(Timestamp::from_millis(1_000_000));
    let config = Config::new().disk(Arc::new(SimulatedDisk::new())).clock(clock.clone()).background(false);
    let engine = config.open("/store").unwrap();
    let queue = |number: usize| engine.queue(Project::none(), format!("queue-{number}")).unwrap();
    let all: Vec<Queue> = (0..COUNT).map(queue).collect();
    let set = QueueSet::new(&all).unwrap();
    assert!(set.claim(options()).unwrap().is_none());
    let busy: Vec<&Queue> = all.iter().step_by(100).collect();
    for queue in &busy {
        queue.create(Metadata::new()).unwrap();
        post(queue, "work");
    }
    let before = clock.readings();
    let names: BTreeSet<String> = served(&set, &options()).into_iter().collect();
    assert_eq!(names.len(), busy.len());
    let readings = clock.readings() - before;
    assert!(readings < 20 * busy.len() as u64, "{readings} readings for {} claims", busy.len());
    let call = set_waiter(&engine, &set, LONG);
    let last = &all[COUNT - 1];
    last.create(Metadata::new()).unwrap();
    post(last, "work");
    assert_eq!(joined(call).unwrap().unwrap().queue().name(), last.name());
    let more = engine.queue(Project::none(), "more").unwrap();
    assert!(QueueSet::new(all.iter().chain([&more, &all[0]])).unwrap_err().is_invalid());
    assert_eq!(QueueSet::new(all.iter().chain(&all)).unwrap().queues().len(), COUNT);
}

#[test]
fn a_set_has_queues_of_one_engine() {
    let ((one, _), (other, _)) = (engine(), engine());
    let (ours, theirs) = (created(&one, "jobs"), created(&other, "jobs"));
    assert!(QueueSet::new([&ours, &theirs]).unwrap_err().is_invalid());
    let set = QueueSet::new([&ours]).unwrap();
    assert!(set.claim_wait(options().limit(0), LONG).unwrap_err().is_invalid());
}

#[test]
fn close_and_a_token_end_every_wait() {
    let (engine, _) = engine();
    let queues = queues(&engine, 2);
    let (set, token) = (QueueSet::new(&queues).unwrap(), CancelToken::new());
    let cancelled: Vec<_> = (0..3)
        .map(|_| {
            let (set, token) = (set.clone(), token.clone());
            waiting(&engine, move || set.claim_wait_with(options(), Duration::MAX, &token))
        })
        .collect();
    let closed: Vec<_> = (0..3).map(|_| set_waiter(&engine, &set, Duration::MAX)).collect();
    token.cancel();
    assert!(cancelled.into_iter().all(|call| joined(call).unwrap().is_none()));
    assert!(closed.iter().all(|call| !call.is_finished()));
    post(&queues[0], "work");
    assert!(set.claim_wait_with(options(), LONG, &token).unwrap().is_none(), "a cancelled call takes nothing");
    let mut closed = closed.into_iter();
    while engine.status().waiting() == 3 {
        thread::yield_now();
    }
    engine.close().unwrap();
    let results: Vec<_> = closed.by_ref().map(joined).collect();
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "the message was taken once");
    assert!(results.iter().filter_map(|result| result.as_ref().err()).all(zaqar_sled::Error::is_closed));
    assert!(set.claim(options()).unwrap_err().is_closed());
}

/// Posts when the call reads the clock for the `nth` time, or when it is asleep if it never does; whether it did.
fn posted_at_reading(nth: u64) -> bool {
    let (due, on_due) = mpsc::channel::<()>();
    let (made, on_made) = mpsc::channel::<()>();
    let (now, on_made) = (due.clone(), Mutex::new(on_made));
    // A post that has to wait for a lock of the call happens a little later.
    let clock = WatchedClock::at(Timestamp::from_millis(1_000_000));
    clock.on_interrupt(move || {
        let _ = now.send(());
        let _ = on_made.lock().unwrap().recv_timeout(Duration::from_millis(30));
    });
    let config = Config::new().disk(Arc::new(SimulatedDisk::new())).clock(clock).background(false);
    let engine = config.open("/store").unwrap();
    let queues = queues(&engine, 3);
    let set = QueueSet::new(&queues).unwrap();
    let poster = thread::spawn({
        let queue = queues[0].clone();
        move || {
            on_due.recv().unwrap();
            post(&queue, "work");
            let _ = made.send(());
        }
    });
    let call = thread::spawn(move || {
        interrupt_at(nth);
        (set.claim_wait(options(), LONG), was_interrupted())
    });
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(100) && !call.is_finished() {
        thread::yield_now();
    }
    // No second post happens, because the poster already has its signal.
    let _ = due.send(());
    let (claimed, was_read) = joined(call);
    assert_eq!(body_of(claimed), b"work", "posted at reading {nth}");
    joined(poster);
    was_read
}

#[test]
fn a_post_at_any_instant_between_the_checks_and_the_sleep_is_not_missed() {
    let reached = (1..100).take_while(|nth| posted_at_reading(*nth)).count();
    assert!((8..99).contains(&reached), "{reached} readings");
}

#[test]
fn a_call_that_fails_leaves_the_message_to_another() {
    let disk = SimulatedDisk::new();
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
    let engine = Config::new().disk(Arc::new(disk.clone())).clock(clock).background(false).open("/store").unwrap();
    let queues = queues(&engine, 2);
    let set = QueueSet::new(&queues).unwrap();
    let calls = [(); 2].map(|()| set_waiter(&engine, &set, LONG));
    // Of the journal's next writes the first is the post's and the second the first claim's.
    disk.inject(Fault::on(Operation::Write).nth(2).error(FaultError::Space).under("/store/journal"));
    post(&queues[1], "work");
    let results = calls.map(joined);
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(results.iter().filter_map(|result| result.as_ref().err()).all(zaqar_sled::Error::is_full));
}

#[test]
fn calls_posters_and_tokens_side_by_side_lose_nothing() {
    const POSTS: usize = 400;
    let (engine, _) = engine();
    let queues = queues(&engine, 20);
    let set = QueueSet::new(&queues).unwrap();
    let (stop, (send, done)) = (CancelToken::new(), mpsc::channel::<MessageId>());
    let finish = |claim: Claim, done: &mpsc::Sender<MessageId>| {
        claim.delete_all().unwrap();
        claim.messages().iter().for_each(|message| done.send(message.id()).unwrap());
        claim.release().unwrap();
    };
    let single = queues[0].clone();
    thread::scope(|scope| {
        for _ in 0..3 {
            let (send, set, stop) = (send.clone(), &set, &stop);
            scope.spawn(move || {
                while let Some(claim) = set.claim_wait_with(options(), Duration::MAX, stop).unwrap() {
                    finish(claim, &send);
                }
            });
        }
        // One that waits for a single queue, and one whose waits are cancelled all the time.
        let (one, stopped) = (send.clone(), &stop);
        scope.spawn(move || {
            while let Some(claim) = single.claim_wait_with(options(), Duration::MAX, stopped).unwrap() {
                finish(claim, &one);
            }
        });
        let (fickle, other, stopped) = (&set, send.clone(), &stop);
        scope.spawn(move || {
            while !stopped.is_cancelled() {
                let token = CancelToken::new();
                let canceller = thread::spawn({
                    let token = token.clone();
                    move || token.cancel()
                });
                if let Some(claim) = fickle.claim_wait_with(options(), Duration::MAX, &token).unwrap() {
                    finish(claim, &other);
                }
                canceller.join().unwrap();
            }
        });
        for poster in 0..2 {
            let queues = &queues;
            scope.spawn(move || {
                (0..POSTS).for_each(|number| post(&queues[(7 * number + poster) % queues.len()], "work"));
            });
        }
        let ids: BTreeSet<MessageId> = (0..2 * POSTS)
            .map(|number| done.recv_timeout(waits::STUCK).unwrap_or_else(|_| panic!("{number} were done")))
            .collect();
        assert_eq!(ids.len(), 2 * POSTS);
        stop.cancel();
    });
    assert_eq!((engine.status().waiting(), engine.status().messages()), (0, 0));
}

#[test]
fn a_waiter_of_one_queue_and_a_call_of_a_set_are_both_woken() {
    let (engine, _) = engine();
    let jobs = created(&engine, "jobs");
    let set = QueueSet::new([&jobs]).unwrap();
    let (single, call) = (waiter(&engine, &jobs, LONG), set_waiter(&engine, &set, LONG));
    post(&jobs, "work");
    post(&jobs, "work");
    assert!(joined(single).unwrap().is_some() && joined(call).unwrap().is_some());
    drop(set);
    post(&jobs, "work");
    assert_eq!(engine.status().waiting(), 0);
}

/// A driver with two pools, and a queue in each.
fn pooled() -> (PooledDriver, Arc<ManualClock>, [Queue; 2]) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
    let config = Config::new().disk(Arc::new(SimulatedDisk::new())).clock(clock.clone()).background(false);
    let driver = config.open_pooled("/control").unwrap();
    let pools = ["one", "two"].map(|name| {
        let pool = PoolName::new(name).unwrap();
        driver.pools().create(&pool, &NewPool::new(format!("sled:/{name}").parse().unwrap())).unwrap();
        pool
    });
    let queues = pools.map(|pool| {
        let queue = driver.queue(Project::none(), format!("in-{pool}")).unwrap();
        queue.create(Metadata::new()).unwrap();
        post(&queue, "first");
        driver.move_queue(queue.project(), queue.name(), &pool).unwrap();
        queue
    });
    (driver, clock, queues)
}

#[test]
fn queues_in_two_pools_are_waited_for_together() {
    let (driver, clock, queues) = pooled();
    let set = QueueSet::new(&queues).unwrap();
    assert_eq!(served(&set, &options()), ["in-one", "in-two"]);
    let call = |timeout| {
        let set = set.clone();
        waiting_at(&driver, move || set.claim_wait(options(), timeout))
    };
    // Both leases end after 60 s, in another store than the one that the calls wait in.
    let calls = [call(LONG), call(LONG)];
    clock.advance(60 * SECOND);
    let names: BTreeSet<String> = calls.map(|call| name_of(&joined(call).unwrap().unwrap())).into();
    assert_eq!(names.len(), 2);
    for queue in &queues {
        let call = call(LONG);
        post(queue, "more");
        assert_eq!(joined(call).unwrap().unwrap().queue().name(), queue.name());
    }
    // A queue that moves, and one that is mapped only later.
    let moved = call(LONG);
    driver.move_queue(queues[0].project(), queues[0].name(), &PoolName::new("two").unwrap()).unwrap();
    post(&queues[0], "moved");
    assert_eq!(body_of(joined(moved)), b"moved");
    let ended = [call(LONG), call(Duration::MAX)];
    driver.close().unwrap();
    assert!(ended.into_iter().all(|call| joined(call).unwrap_err().is_closed()));
}

/// As `waiting`, for a pooled driver.
fn waiting_at<T: Send + 'static>(driver: &PooledDriver, call: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let waits = || driver.status().control().waiting();
    let before = waits();
    let waiter = thread::spawn(call);
    while waits() == before {
        thread::yield_now();
    }
    waiter
}

#[test]
fn messages_that_only_move_to_the_dead_letter_queue_do_not_end_a_call() {
    let (engine, _) = engine();
    let jobs = engine.queue(Project::none(), "jobs").unwrap();
    let metadata = Metadata::new().with("_max_claim_count", 1).unwrap().with("_dead_letter_queue", "dead").unwrap();
    jobs.create(metadata).unwrap();
    let dead = engine.queue(Project::none(), "dead").unwrap();
    (0..3).for_each(|_| post(&jobs, "worn"));
    jobs.claim(options().limit(3)).unwrap().unwrap().release().unwrap();
    let set = QueueSet::new([&jobs, &dead]).unwrap();
    // Each turn at the worn-out messages moves one, which the other queue then has.
    assert_eq!(served(&set, &options()), ["dead", "dead", "dead"]);
    assert!(set.claim(options()).unwrap().is_none());
}
