//! Workers: what becomes of each message, that leases are kept and lost as they should be, and how a run ends. The clock
//! is moved by hand, and handlers wait until the test lets them go on.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "in a test a panic is the way to say what is wrong"
)]

#[path = "support/waits.rs"]
mod waits;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use zaqar_sled::disk::{Fault, FaultError, Operation};
use zaqar_sled::{
    CancelToken, ClaimOptions, ClientId, Clock, Config, DataDriver, Engine, ManualClock, MessageId, MessageListOptions,
    Metadata, NewMessage, NewPool, Outcome, PoolName, Project, Queue, QueueSet, QueueSettings, Result, RetryPolicy,
    SimulatedDisk, Timestamp, WorkReport, Worker,
};

use waits::{LONG, Quick, STUCK, created, engine, jobs, joined, post};

const SECOND: Duration = Duration::from_secs(1);

/// Leases of a minute on one message at a time.
fn lease() -> ClaimOptions {
    ClaimOptions::new().ttl(60 * SECOND).limit(1)
}

fn draining(queue: &Queue, options: ClaimOptions) -> Worker {
    Worker::new(queue, options).idle_timeout(Duration::ZERO)
}

/// The body as text.
fn text(job: &zaqar_sled::Job) -> String {
    String::from_utf8(job.message().body().as_bytes().to_vec()).unwrap()
}

fn until(what: &str, mut happened: impl FnMut() -> bool) {
    let started = Instant::now();
    while !happened() {
        assert!(started.elapsed() < STUCK, "not so: {what}");
        thread::yield_now();
    }
}

/// Handlers that say when they begin, and wait until they are let go on.
struct Held {
    run: JoinHandle<Result<WorkReport>>,
    begun: mpsc::Receiver<zaqar_sled::Job>,
    go_on: mpsc::Sender<Outcome>,
}

impl Held {
    fn start(worker: Worker, threads: usize, stop: &CancelToken) -> Self {
        let (send, begun) = mpsc::channel();
        let (go_on, outcomes) = mpsc::channel();
        let (stop, send, outcomes) = (stop.clone(), Mutex::new(send), Mutex::new(outcomes));
        let run = thread::spawn(move || {
            worker.run(threads, &stop, |job| {
                send.lock().unwrap().send(job.clone()).unwrap();
                loop {
                    // Several handlers wait: none keeps the receiver locked while it does.
                    match outcomes.lock().unwrap().try_recv() {
                        Ok(outcome) => break outcome,
                        Err(mpsc::TryRecvError::Empty) => thread::yield_now(),
                        Err(mpsc::TryRecvError::Disconnected) => break Outcome::Done,
                    }
                }
            })
        });
        Self { run, begun, go_on }
    }

    fn begun(&self) -> zaqar_sled::Job {
        self.begun.recv_timeout(STUCK).unwrap()
    }

    fn end(self) -> Result<WorkReport> {
        drop(self.go_on);
        joined(self.run)
    }
}

fn counts(report: WorkReport) -> [u64; 5] {
    [report.done, report.retried, report.panicked, report.lost, report.given_back]
}

#[test]
fn every_message_of_many_queues_is_handled_once_by_many_threads() {
    const COUNT: usize = 600;
    let (engine, _) = engine();
    let queues: Vec<Queue> = (0..20).map(|number| created(&engine, &format!("queue-{number}"))).collect();
    (0..COUNT).for_each(|number| post(&queues[number % 20], &number.to_string()));
    let handled = Mutex::new(BTreeSet::new());
    let worker = Worker::new(QueueSet::new(&queues).unwrap(), lease().limit(7)).idle_timeout(Duration::ZERO);
    let report = worker.run(8, &CancelToken::new(), |job| {
        assert!(handled.lock().unwrap().insert((job.queue().name().clone(), text(job))), "it was handled before");
        Outcome::Done
    });
    assert_eq!(counts(report.unwrap()), [COUNT as u64, 0, 0, 0, 0]);
    assert_eq!(handled.into_inner().unwrap().len(), COUNT);
    let status = engine.status();
    assert_eq!((status.messages(), status.claims(), status.waiting()), (0, 0, 0));
}

#[test]
fn a_lease_is_renewed_for_as_long_as_its_handler_runs() {
    let (engine, clock) = engine();
    let jobs = jobs(&engine);
    post(&jobs, "work");
    let held = Held::start(draining(&jobs, lease()), 1, &CancelToken::new());
    let job = held.begun();
    let claim = job.message().claim_id().unwrap();
    for _ in 0..10 {
        clock.advance(30 * SECOND);
        until("the lease is renewed at its half", || {
            engine.claims().get(jobs.project(), jobs.name(), &claim).unwrap().age().is_zero()
        });
        assert!(jobs.claim(lease()).unwrap().is_none());
    }
    clock.advance(29 * SECOND);
    assert!(!job.is_lost());
    assert_eq!(counts(held.end().unwrap()), [1, 0, 0, 0, 0]);
    assert_eq!(jobs.stats().unwrap().total(), 0);
}

#[test]
fn a_lease_is_renewed_on_a_clock_that_wakes_nobody() {
    let clock = Quick::new(50);
    let config = Config::new().disk(Arc::new(SimulatedDisk::new())).clock(clock.clone()).background(false);
    let engine = config.open("/store").unwrap();
    let jobs = jobs(&engine);
    post(&jobs, "work");
    let stop = CancelToken::new();
    let report = Worker::new(&jobs, lease()).run(1, &stop, |_| {
        let begun = clock.monotonic();
        until("two leases would be over", || clock.monotonic() > begun + 130 * SECOND);
        stop.cancel();
        Outcome::Done
    });
    assert_eq!(counts(report.unwrap()), [1, 0, 0, 0, 0]);
}

#[test]
fn leases_of_batches_that_wait_for_a_thread_are_renewed_too() {
    let (engine, clock) = engine();
    let jobs = jobs(&engine);
    (0..3).for_each(|_| post(&jobs, "work"));
    let held = Held::start(draining(&jobs, lease().limit(3)), 1, &CancelToken::new());
    let claim = held.begun().message().claim_id().unwrap();
    let is_fresh = || engine.claims().get(jobs.project(), jobs.name(), &claim).unwrap().age().is_zero();
    for _ in 0..2 {
        clock.advance(45 * SECOND);
        until("the batch is renewed", is_fresh);
    }
    held.go_on.send(Outcome::Done).unwrap();
    held.begun();
    clock.advance(45 * SECOND);
    until("the rest of the batch is renewed", is_fresh);
    assert_eq!(counts(held.end().unwrap()), [3, 0, 0, 0, 0]);
}

#[test]
fn a_lost_lease_leaves_the_message_to_its_next_holder() {
    for outcome in [Outcome::Done, Outcome::Retry { delay: None, reason: Some("late".into()) }] {
        let (engine, clock) = engine();
        let jobs = jobs(&engine);
        post(&jobs, "work");
        let stop = CancelToken::new();
        let held = Held::start(Worker::new(&jobs, lease()), 1, &stop);
        let job = held.begun();
        // As after a sleep of the machine: the lease ends before it can be renewed.
        clock.advance(61 * SECOND);
        let next = jobs.claim(lease().ttl(LONG)).unwrap().expect("the lease has ended");
        until("the handler can know that", || job.is_lost());
        held.go_on.send(outcome).unwrap();
        stop.cancel();
        assert_eq!(counts(held.end().unwrap()), [0, 0, 0, 1, 0]);
        let message = jobs.get(&job.message().id()).unwrap();
        assert_eq!((message.claim_id(), message.last_failure()), (Some(next.id()), next.messages()[0].last_failure()));
        next.delete_all().unwrap();
    }
}

#[test]
fn a_claim_that_somebody_ends_is_lost_and_the_messages_that_wait_are_not_handled() {
    let (engine, clock) = engine();
    let jobs = jobs(&engine);
    ["a", "b", "c"].iter().for_each(|body| post(&jobs, body));
    let held = Held::start(Worker::new(&jobs, lease().limit(3)), 1, &CancelToken::new());
    let job = held.begun();
    engine.claims().delete(jobs.project(), jobs.name(), &job.message().claim_id().unwrap()).unwrap();
    let others = jobs.claim(lease().limit(3).ttl(LONG)).unwrap().unwrap();
    clock.advance(30 * SECOND);
    until("the renewal fails", || job.is_lost());
    held.go_on.send(Outcome::Done).unwrap();
    until("the worker waits for messages", || engine.status().waiting() == 1);
    assert_eq!(jobs.stats().unwrap().claimed(), 3);
    engine.close().unwrap();
    assert!(held.end().unwrap_err().is_closed());
    drop(others);
}

#[test]
fn a_handler_that_panics_gives_its_message_back_with_the_panic_as_the_reason() {
    let (engine, _) = engine();
    let jobs = engine.queue(Project::none(), "jobs").unwrap();
    jobs.create(QueueSettings::new().retry(RetryPolicy::new(90 * SECOND))).unwrap();
    ["fine", "literal", "owned", "long", "other", "fine"].iter().for_each(|body| post(&jobs, body));
    let report = draining(&jobs, lease().limit(4)).run(2, &CancelToken::new(), |job| {
        match text(job).as_str() {
            "literal" => panic!("no luck"),
            "owned" => panic!("no luck with {}", job.message().id()),
            "long" => panic!("{}", "ü".repeat(2_000)),
            "other" => std::panic::panic_any(7),
            _ => {}
        }
        Outcome::Done
    });
    assert_eq!(counts(report.unwrap()), [2, 0, 4, 0, 0]);
    let left: Vec<_> = jobs.iter(MessageListOptions::new().include_delayed(true)).map(Result::unwrap).collect();
    let reasons: Vec<&str> = left.iter().map(|message| message.last_failure().unwrap()).collect();
    assert_eq!(reasons[0], "the handler panicked: no luck");
    assert_eq!(reasons[1], format!("the handler panicked: no luck with {}", left[1].id()));
    assert_eq!(reasons[2], format!("the handler panicked: {}", "ü".repeat(501)));
    assert_eq!(reasons[3], "the handler panicked");
    assert_eq!(jobs.stats().unwrap().delayed(), 4, "by the policy of the queue");
}

#[test]
fn a_retry_has_the_delay_and_the_reason_of_its_handler() {
    let (engine, clock) = engine();
    let jobs = jobs(&engine);
    ["later", "wrong", "twice"].iter().for_each(|body| post(&jobs, body));
    let seen = AtomicUsize::new(0);
    let stop = CancelToken::new();
    let run = || {
        draining(&jobs, lease()).run(1, &stop, |job| match (text(job).as_str(), job.message().claim_count()) {
            ("later", 1) => Outcome::Retry { delay: Some(20 * SECOND), reason: Some("x".repeat(5_000)) },
            ("wrong", 1) => "x".parse::<u32>().map(drop).into(),
            ("wrong", 2) => {
                assert_eq!(job.message().last_failure(), Some("invalid digit found in string"));
                seen.fetch_add(1, Ordering::SeqCst);
                Outcome::Done
            }
            ("twice", 1) => Outcome::Retry { delay: Some(Duration::ZERO), reason: None },
            ("twice", 2) => {
                assert_eq!(job.message().last_failure(), None);
                seen.fetch_add(1, Ordering::SeqCst);
                Outcome::Done
            }
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(counts(run().unwrap()), [1, 3, 0, 0, 0]);
    assert_eq!(jobs.stats().unwrap().delayed(), 2);
    // A message that fails without a delay, in a queue without a policy, is delayed even so.
    clock.advance(Duration::from_millis(999));
    assert_eq!(counts(run().unwrap()), [0, 0, 0, 0, 0]);
    clock.advance(Duration::from_millis(1));
    assert_eq!(counts(run().unwrap()), [1, 0, 0, 0, 0]);
    assert_eq!(seen.load(Ordering::SeqCst), 2);
    assert_eq!(jobs.stats().unwrap().delayed(), 1);
    let left = jobs.iter(MessageListOptions::new().include_delayed(true)).next().unwrap().unwrap();
    assert_eq!(left.last_failure(), Some("x".repeat(1_024).as_str()));
}

#[test]
fn a_stop_lets_handlers_finish_and_gives_the_rest_back_at_once() {
    let (engine, _) = engine();
    let jobs = engine.queue(Project::none(), "jobs").unwrap();
    jobs.create(QueueSettings::new().retry(RetryPolicy::new(90 * SECOND))).unwrap();
    (0..10).for_each(|_| post(&jobs, "work"));
    let stop = CancelToken::new();
    let held = Held::start(Worker::new(&jobs, lease().limit(10)), 2, &stop);
    let running = [held.begun(), held.begun()];
    assert!(!running[0].is_stopping());
    assert_eq!(jobs.stats().unwrap().claimed(), 10);
    stop.cancel();
    until("the rest is given back", || jobs.stats().unwrap().claimed() == 2);
    assert!(running.iter().all(zaqar_sled::Job::is_stopping));
    let stats = jobs.stats().unwrap();
    assert_eq!((stats.free(), stats.delayed()), (8, 0));
    let again = jobs.claim(lease().limit(10)).unwrap().unwrap();
    assert_eq!(again.messages().len(), 8);
    assert!(again.messages().iter().all(|message| message.last_failure().is_none()));
    assert!(!held.run.is_finished());
    assert_eq!(counts(held.end().unwrap()), [2, 0, 0, 0, 8]);
    again.release().unwrap();
    assert_eq!((jobs.stats().unwrap().total(), engine.status().claims()), (8, 0));
}

#[test]
fn a_stop_ends_threads_that_wait_and_one_that_came_before_begins_nothing() {
    let (engine, _) = engine();
    let jobs = jobs(&engine);
    let stop = CancelToken::new();
    let held = Held::start(Worker::new(&jobs, lease()), 3, &stop);
    until("it waits", || engine.status().waiting() == 1);
    stop.cancel();
    assert_eq!(held.end().unwrap(), WorkReport::default());
    post(&jobs, "work");
    let report = draining(&jobs, lease()).run(2, &stop, |_| -> Outcome { panic!("it is stopped") });
    assert_eq!((report.unwrap(), jobs.stats().unwrap().free()), (WorkReport::default(), 1));
    assert_eq!(engine.status().waiting(), 0);
}

#[test]
fn a_slow_message_holds_up_none_of_its_batch() {
    let (engine, _) = engine();
    let jobs = jobs(&engine);
    (0..10).for_each(|number| post(&jobs, if number == 0 { "slow" } else { "quick" }));
    let (quick, stop) = (AtomicUsize::new(0), CancelToken::new());
    let report = draining(&jobs, lease().limit(10)).run(2, &stop, |job| {
        if text(job) == "slow" {
            until("the others are done", || quick.load(Ordering::SeqCst) == 9);
        } else {
            quick.fetch_add(1, Ordering::SeqCst);
        }
        Outcome::Done
    });
    assert_eq!(counts(report.unwrap()), [10, 0, 0, 0, 0]);
}

#[test]
fn an_idle_run_ends_when_no_handler_can_make_messages_any_more() {
    let (engine, clock) = engine();
    let jobs = jobs(&engine);
    post(&jobs, "5");
    let report = draining(&jobs, lease()).run(4, &CancelToken::new(), |job| {
        let left: u32 = text(job).parse().unwrap();
        if left > 0 {
            post(job.queue(), &(left - 1).to_string());
        }
        Outcome::Done
    });
    assert_eq!(report.unwrap().done, 6);
    // A handler that waits for the work that it has posted.
    let answered = AtomicUsize::new(0);
    post(&jobs, "question");
    let report = draining(&jobs, lease()).run(2, &CancelToken::new(), |job| {
        if text(job) == "question" {
            until("the worker waits", || engine.status().waiting() == 1);
            post(job.queue(), "answer");
            until("the other thread has answered", || answered.load(Ordering::SeqCst) == 1);
        } else {
            answered.fetch_add(1, Ordering::SeqCst);
        }
        Outcome::Done
    });
    assert_eq!(report.unwrap().done, 2);
    let patient = Worker::new(&jobs, lease()).idle_timeout(10 * SECOND);
    let run = thread::spawn(move || patient.run(2, &CancelToken::new(), |_| Outcome::Done));
    until("it waits", || engine.status().waiting() == 1);
    clock.advance(9 * SECOND);
    assert!(!run.is_finished());
    clock.advance(SECOND);
    assert_eq!(joined(run).unwrap(), WorkReport::default());
}

#[test]
fn a_close_ends_a_run_with_its_error() {
    let (engine, _) = engine();
    let jobs = jobs(&engine);
    post(&jobs, "work");
    let held = Held::start(Worker::new(&jobs, lease()), 2, &CancelToken::new());
    let job = held.begun();
    engine.close().unwrap();
    until("it stops", || job.is_stopping());
    assert!(held.end().unwrap_err().is_closed());
}

#[test]
fn an_error_of_the_engine_ends_the_run_and_what_was_not_begun_is_given_back() {
    let disk = SimulatedDisk::new();
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
    let engine = Config::new().disk(Arc::new(disk.clone())).clock(clock).background(false).open("/store").unwrap();
    let jobs = jobs(&engine);
    (0..4).for_each(|_| post(&jobs, "work"));
    let held = Held::start(Worker::new(&jobs, lease().limit(4)), 1, &CancelToken::new());
    held.begun();
    disk.inject(Fault::on(Operation::Write).nth(1).error(FaultError::Space).under("/store/journal"));
    held.go_on.send(Outcome::Retry { delay: None, reason: None }).unwrap();
    assert!(held.end().unwrap_err().is_full());
    // The message whose retry failed is free too: the run has nothing more to do under the claim.
    assert_eq!((jobs.stats().unwrap().free(), jobs.stats().unwrap().claimed()), (4, 0));
}

#[test]
fn a_message_that_has_failed_too_often_is_not_delayed_on_its_way_to_the_dead_letters() {
    let (engine, _) = engine();
    let jobs = engine.queue(Project::none(), "jobs").unwrap();
    jobs.create(QueueSettings::new().dead_letters("dead", 1)).unwrap();
    post(&jobs, "work");
    let failed = |_: &zaqar_sled::Job| Outcome::Retry { delay: None, reason: None };
    let report = draining(&jobs, lease()).run(1, &CancelToken::new(), failed);
    assert_eq!(counts(report.unwrap()), [0, 1, 0, 0, 0]);
    let dead = engine.queue(Project::none(), "dead").unwrap();
    assert_eq!((jobs.stats().unwrap().total(), dead.stats().unwrap().total()), (0, 1));
}

/// A payload that panics when it is dropped.
struct Dropped;

impl Drop for Dropped {
    fn drop(&mut self) {
        panic!("again");
    }
}

#[test]
fn a_panic_whose_payload_panics_too_is_a_panic_of_the_handler_and_no_more() {
    let (engine, _) = engine();
    let jobs = jobs(&engine);
    (0..3).for_each(|_| post(&jobs, "work"));
    let report =
        draining(&jobs, lease()).run(2, &CancelToken::new(), |_| -> Outcome { std::panic::panic_any(Dropped) });
    assert_eq!(counts(report.unwrap()), [0, 0, 3, 0, 0]);
    assert_eq!((jobs.stats().unwrap().delayed(), jobs.stats().unwrap().claimed()), (3, 0));
}

#[test]
fn a_message_that_somebody_else_has_finished_is_lost() {
    let (engine, _) = engine();
    let jobs = jobs(&engine);
    post(&jobs, "work");
    let held = Held::start(draining(&jobs, lease()), 1, &CancelToken::new());
    let job = held.begun();
    // The run does not notice before it wants to delete the message.
    engine.claims().delete(jobs.project(), jobs.name(), &job.message().claim_id().unwrap()).unwrap();
    let other = jobs.claim(lease()).unwrap().unwrap();
    other.delete_all().unwrap();
    assert!(!job.is_lost());
    assert_eq!(counts(held.end().unwrap()), [0, 0, 0, 1, 0]);
}

/// The clock stands still for the thread that renews: only the time shows that the lease is over.
#[test]
fn a_lease_that_has_ended_by_the_clock_is_lost_at_once() {
    let disk = SimulatedDisk::new();
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
    let engine = Config::new().disk(Arc::new(disk)).clock(clock.clone()).background(false).open("/store").unwrap();
    let jobs = jobs(&engine);
    post(&jobs, "work");
    let held = Held::start(draining(&jobs, lease()), 1, &CancelToken::new());
    let job = held.begun();
    clock.advance(61 * SECOND);
    assert!(job.is_lost());
    // The message is claimed again, and handled.
    assert_eq!(counts(held.end().unwrap()), [1, 0, 0, 1, 0]);
}

#[test]
fn leases_of_other_queues_are_renewed_while_a_queue_is_moved() {
    let gate_disk = SimulatedDisk::new();
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
    let config = Config::new().disk(Arc::new(gate_disk.clone())).clock(clock.clone()).background(false);
    let driver = config.open_pooled("/control").unwrap();
    let pools = ["one", "two"].map(|name| PoolName::new(name).unwrap());
    driver.pools().create(&pools[0], &NewPool::new("sled:/one".parse().unwrap())).unwrap();
    let queues = ["moved", "stays"].map(|name| driver.queue(Project::none(), name).unwrap());
    for queue in &queues {
        queue.create(Metadata::new()).unwrap();
        queue.post(ClientId::random(), &[NewMessage::new("work")]).unwrap();
    }
    driver.pools().create(&pools[1], &NewPool::new("sled:/two".parse().unwrap()).weight(0)).unwrap();
    driver.step().unwrap();
    let worker = Worker::new(QueueSet::new(&queues).unwrap(), lease()).idle_timeout(Duration::ZERO);
    let held = Held::start(worker, 2, &CancelToken::new());
    let jobs = [held.begun(), held.begun()];
    let stays = jobs.iter().find(|job| job.queue().name().as_str() == "stays").unwrap();
    let claim = stays.message().claim_id().unwrap();
    // The copy of the move hangs at the disk.
    let gate = gate_disk.hold(zaqar_sled::disk::Calls::from(Operation::Write).under("/two/journal"));
    let mover = {
        let (driver, moved, to) = (driver.clone(), queues[0].clone(), pools[1].clone());
        thread::spawn(move || driver.move_queue(moved.project(), moved.name(), &to))
    };
    assert!(gate.wait_for(1, STUCK), "the queue is not moved");
    for _ in 0..4 {
        clock.advance(30 * SECOND);
        until("the lease of the other queue is renewed", || {
            driver
                .claims()
                .get(stays.queue().project(), stays.queue().name(), &claim)
                .is_ok_and(|it| it.age().is_zero())
        });
    }
    gate.open();
    joined(mover).unwrap();
    // The lease on the queue that was moved for so long is over, and the message is handled again.
    let report = held.end().unwrap();
    assert_eq!((report.done, report.lost), (2, 1));
}

#[test]
fn a_delay_outside_the_limits_and_a_run_that_makes_no_sense_are_refused() {
    let (engine, _) = engine();
    let jobs = jobs(&engine);
    post(&jobs, "work");
    let never = |_: &zaqar_sled::Job| -> Outcome { panic!("there is nothing to do") };
    let stop = CancelToken::new();
    assert!(Worker::new(&jobs, lease()).run(0, &stop, never).unwrap_err().is_invalid());
    assert!(Worker::new(&jobs, lease().ttl(Duration::ZERO)).run(1, &stop, never).unwrap_err().is_invalid());
    assert!(Worker::new(&jobs, lease().limit(0)).run(1, &stop, never).unwrap_err().is_invalid());
    let report = Worker::new(&jobs, lease())
        .run(2, &stop, |_| Outcome::Retry { delay: Some(Duration::from_secs(u64::MAX / 2_000)), reason: None });
    assert!(report.unwrap_err().is_invalid());
    assert_eq!(engine.status().waiting(), 0);
}

#[test]
fn messages_are_handled_once_while_their_queue_moves_between_pools() {
    const COUNT: usize = 200;
    let config = Config::new().disk(Arc::new(SimulatedDisk::new())).background(false);
    let driver = config.open_pooled("/control").unwrap();
    let pools = ["one", "two"].map(|name| PoolName::new(name).unwrap());
    for pool in &pools {
        driver.pools().create(pool, &NewPool::new(format!("sled:/{pool}").parse().unwrap())).unwrap();
    }
    let jobs = driver.queue(Project::none(), "jobs").unwrap();
    jobs.create(Metadata::new()).unwrap();
    let ids = jobs.post(ClientId::random(), &vec![NewMessage::new("work"); COUNT]).unwrap();
    let (moving, handled) = (CancelToken::new(), Mutex::new(BTreeSet::<MessageId>::new()));
    let mover = {
        let (driver, jobs, moving) = (driver.clone(), jobs.clone(), moving.clone());
        thread::spawn(move || {
            for pool in pools.iter().cycle() {
                driver.move_queue(jobs.project(), jobs.name(), pool).unwrap();
                driver.step().unwrap();
                if moving.is_cancelled() {
                    return;
                }
            }
        })
    };
    let stop = CancelToken::new();
    let report = Worker::new(&jobs, lease().limit(5)).run(3, &stop, |job| {
        let mut handled = handled.lock().unwrap();
        assert!(handled.insert(job.message().id()));
        if handled.len() == COUNT {
            stop.cancel();
        }
        Outcome::Done
    });
    moving.cancel();
    joined(mover);
    assert_eq!(counts(report.unwrap()), [COUNT as u64, 0, 0, 0, 0]);
    assert_eq!((handled.into_inner().unwrap().len(), jobs.stats().unwrap().total()), (ids.len(), 0));
}

/// That the handlers of one run may borrow, and that a run may be made again.
#[test]
fn a_worker_may_run_again_and_its_handlers_may_borrow() {
    let (engine, _): (Engine, _) = engine();
    let jobs = jobs(&engine);
    let worker = draining(&jobs, lease());
    let bodies = Mutex::new(Vec::new());
    for body in ["a", "b"] {
        post(&jobs, body);
        let report = worker.run(1, &CancelToken::new(), |job| {
            bodies.lock().unwrap().push(text(job));
            Ok::<(), std::fmt::Error>(())
        });
        assert_eq!(report.unwrap().done, 1);
    }
    assert_eq!(bodies.into_inner().unwrap(), ["a", "b"]);
}
