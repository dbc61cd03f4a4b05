//! Queues that are moved, mapped again and deleted while other threads use them: at the end the ledgers agree with the
//! stores.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use zaqar_sled::{
    ClaimOptions, Error, MessageId, MessageListOptions, MessageMarker, Metadata, NewMessage, Queue, Result,
};

use crate::support::{ALICE, Harness, pool_of, seconds, shop, texts};

/// A driver with threads of its own, and pools `one` and `two`.
pub(crate) fn running() -> Harness {
    let h = Harness::live().with(|config| config.background(true));
    h.two_pools();
    h
}

pub(crate) fn handle(h: &Harness, name: &str) -> Queue {
    h.driver().queue(shop(), name).unwrap()
}

/// Tries again while the answer is that it may work later.
pub(crate) fn patiently<T>(mut call: impl FnMut() -> Result<T>) -> T {
    loop {
        match call() {
            Ok(done) => return done,
            Err(error) if error.is_busy() => thread::yield_now(),
            Err(error) => panic!("it cannot be done later either: {error:?}"),
        }
    }
}

/// The number of rounds so far.
#[derive(Default)]
pub(crate) struct Rounds(AtomicUsize);

impl Rounds {
    /// Waits until there were so many rounds, so that the work does not run ahead of the disturbance.
    pub(crate) fn reach(&self, rounds: usize) {
        while self.0.load(Ordering::Relaxed) < rounds {
            thread::yield_now();
        }
    }
}

/// Posts `most` messages one by one, `per_round` in each round; posts again where the queue or its pool is missing for
/// a moment. Returns the ids.
fn post(queue: &Queue, most: usize, rounds: &Rounds, per_round: usize) -> Vec<MessageId> {
    let mut posted = Vec::new();
    while posted.len() < most {
        rounds.reach(posted.len() / per_round);
        match queue.post(ALICE, &[NewMessage::new(posted.len().to_string())]) {
            Ok(ids) => posted.extend(ids),
            Err(error) => assert!(error.is_not_found() || error.is_busy(), "{error:?}"),
        }
    }
    posted
}

/// Runs `work` while `unrest` runs again and again.
pub(crate) fn during<T: Send>(unrest: impl Fn(usize) + Sync, work: impl FnOnce(&Rounds) -> T + Send) -> T {
    let (rounds, done) = (Rounds::default(), AtomicBool::new(false));
    thread::scope(|scope| {
        let (unrest, rounds, done) = (&unrest, &rounds, &done);
        let restless = scope.spawn(move || {
            while !done.load(Ordering::Relaxed) {
                let outcome = catch_unwind(AssertUnwindSafe(|| unrest(rounds.0.load(Ordering::Relaxed))));
                rounds.0.fetch_add(1, Ordering::Relaxed);
                if let Err(panic) = outcome {
                    // The rounds have ended, so no thread may wait for them.
                    rounds.0.store(usize::MAX, Ordering::Relaxed);
                    resume_unwind(panic);
                }
            }
        });
        let outcome = scope.spawn(|| work(rounds)).join();
        done.store(true, Ordering::Relaxed);
        restless.join().unwrap();
        outcome.unwrap()
    })
}

/// Moves a queue to and fro.
pub(crate) fn moving<'h>(h: &'h Harness, name: &'h str) -> impl Fn(usize) + Sync + 'h {
    move |round| {
        let moved = h.driver().move_queue(&shop(), &crate::support::name_of(name), &pool_of(["two", "one"][round % 2]));
        if let Err(error) = moved {
            assert!(error.is_busy(), "{error:?}");
        }
    }
}

pub(crate) fn wait_until_settled(h: &Harness) {
    while h.pending() != (0, 0) {
        thread::yield_now();
    }
}

#[test]
fn workers_lose_and_repeat_nothing_while_their_queue_moves() {
    let h = running();
    h.create("orders");
    let taken = Mutex::new(BTreeMap::new());
    let posted = during(moving(&h, "orders"), |rounds| {
        thread::scope(|scope| {
            let poster = scope.spawn(|| {
                let queue = handle(&h, "orders");
                let post = |number: usize| {
                    rounds.reach(number / 10);
                    let batch: Vec<NewMessage> = (0..3).map(|i| NewMessage::new(format!("{number}.{i}"))).collect();
                    patiently(|| queue.post(ALICE, &batch))
                };
                (0..150).flat_map(post).collect::<BTreeSet<_>>()
            });
            for _ in 0..2 {
                scope.spawn(|| {
                    let queue = handle(&h, "orders");
                    while taken.lock().unwrap().len() < 300 {
                        let claim = patiently(|| queue.claim(ClaimOptions::new().limit(4)));
                        for message in claim.iter().flat_map(zaqar_sled::Claim::messages) {
                            let body = texts(std::slice::from_ref(message)).remove(0);
                            let before = taken.lock().unwrap().insert(message.id(), body);
                            assert_eq!(before, None, "it was handed out twice");
                            patiently(|| claim.as_ref().unwrap().delete(message));
                        }
                        if claim.is_none() {
                            thread::yield_now();
                        }
                    }
                });
            }
            poster.join().unwrap()
        })
    });
    let taken = taken.into_inner().unwrap();
    let queue = h.queue("orders");
    let left: BTreeSet<_> = queue.messages().iter().map(zaqar_sled::Message::id).collect();
    assert!(taken.keys().all(|id| posted.contains(id) && !left.contains(id)));
    assert_eq!((posted.len(), taken.len() + left.len()), (450, 450));
    wait_until_settled(&h);
    h.check();
}

#[test]
fn a_reader_sees_every_message_once_and_in_order_while_the_queue_moves() {
    let h = running();
    h.create("orders");
    let seen = during(moving(&h, "orders"), |rounds| {
        thread::scope(|scope| {
            scope.spawn(|| {
                let queue = handle(&h, "orders");
                for number in 0..400 {
                    rounds.reach(number / 20);
                    patiently(|| queue.post(ALICE, &[NewMessage::new(number.to_string())]));
                }
            });
            let queue = handle(&h, "orders");
            let mut marker: Option<MessageMarker> = None;
            let mut seen = Vec::new();
            while seen.len() < 400 {
                let page = queue.list(&MessageListOptions::new().limit(7).marker(marker)).unwrap();
                seen.extend(texts(&page.items));
                marker = page.next.or(marker);
            }
            seen
        })
    });
    assert_eq!(seen, (0..400).map(|number| number.to_string()).collect::<Vec<_>>());
    wait_until_settled(&h);
    h.check();
}

#[test]
fn waiting_claims_do_not_fail_while_their_queue_moves() {
    let h = running();
    h.create("orders");
    let outcome = during(moving(&h, "orders"), |rounds| {
        thread::scope(|scope| {
            let worker = scope.spawn(|| {
                let queue = handle(&h, "orders");
                for _ in 0..100 {
                    let claim =
                        queue.claim_wait(ClaimOptions::new().limit(1), seconds(3600))?.expect("a post ends the wait");
                    patiently(|| claim.delete_all());
                }
                Ok::<(), Error>(())
            });
            let queue = handle(&h, "orders");
            for number in 0..100 {
                rounds.reach(number / 5);
                patiently(|| queue.post(ALICE, &[NewMessage::new(number.to_string())]));
            }
            worker.join().unwrap()
        })
    });
    outcome.expect("who waits for messages waits for the end of a move, too");
    h.check();
}

#[test]
fn acknowledged_posts_are_in_one_pool_however_the_queue_is_mapped_meanwhile() {
    let h = running();
    let orders = h.create("orders");
    let reroute = |round: usize| match round % 5 {
        0 | 2 => h.queue("orders").route("two"),
        1 | 3 => h.queue("orders").route("one"),
        _ => h.queue("orders").unmap(),
    };
    let posted = during(reroute, |rounds| post(&handle(&h, "orders"), 300, rounds, 10));
    let mut found = Vec::new();
    for pool in ["one", "two"] {
        orders.route(pool);
        found.extend(crate::support::ids(&orders.messages()));
    }
    assert_eq!(posted.iter().collect::<BTreeSet<_>>().len(), 300, "an id was given out twice");
    assert!(posted.is_sorted(), "ids of one poster do not rise");
    found.sort_unstable();
    assert_eq!(found, posted);
    h.check();
}

#[test]
fn acknowledged_posts_stay_while_the_pools_come_and_go() {
    let h = running();
    let orders = h.create("orders");
    let unrest = |round: usize| {
        if round.is_multiple_of(2) {
            h.drop_pool("one").unwrap();
            h.pool("one", 1);
        } else {
            h.change_pool("one", &zaqar_sled::PoolUpdate::new().uri("sled:/else".parse().unwrap())).unwrap();
            h.change_pool("one", &zaqar_sled::PoolUpdate::new().uri("sled:/one".parse().unwrap())).unwrap();
        }
        thread::yield_now();
    };
    let posted = during(unrest, |rounds| post(&handle(&h, "orders"), 100, rounds, 5));
    let look = |uri: &str| {
        h.change_pool("one", &zaqar_sled::PoolUpdate::new().uri(uri.parse().unwrap())).unwrap();
        patiently(|| orders.list(&crate::support::everything())).items
    };
    let mut found = crate::support::ids(&look("sled:/else"));
    found.extend(crate::support::ids(&look("sled:/one")));
    assert!(posted.is_sorted());
    found.sort_unstable();
    assert_eq!(found, posted);
    h.check();
}

#[test]
fn queues_deleted_and_made_again_under_load_leave_nothing() {
    let h = running();
    h.create("orders");
    let unrest = |round: usize| {
        let queue = handle(&h, "orders");
        h.prefer(["one", "two"][round % 2]);
        patiently(|| queue.delete());
        patiently(|| queue.create(Metadata::new()));
    };
    during(unrest, |rounds| {
        thread::scope(|scope| {
            for worker in 0..2 {
                let h = &h;
                scope.spawn(move || {
                    let queue = handle(h, "orders");
                    for number in 0..200 {
                        rounds.reach(number / 10);
                        match queue.post(ALICE, &[NewMessage::new(format!("{worker}.{number}"))]) {
                            Ok(ids) => {
                                // The message may be gone, but the id never names another.
                                if let Ok(message) = queue.get(&ids[0]) {
                                    assert_eq!(message.body().as_bytes(), format!("{worker}.{number}").as_bytes());
                                }
                            }
                            Err(error) => assert!(error.is_not_found() || error.is_busy(), "{error:?}"),
                        }
                    }
                });
            }
        });
    });
    handle(&h, "orders").delete().unwrap();
    wait_until_settled(&h);
    assert_eq!(h.driver().health().unwrap().volume().total, 0);
    wait_until_settled(&h);
    h.check();
}

/// Moves worn-out messages to `dead` while `unrest` changes one of the queues, and asserts that each message exists
/// once.
fn dead_letters_during(unrest: impl Fn(&Harness, usize) + Sync) {
    let h = running();
    h.create_with("orders", r#"{"_max_claim_count": 1, "_dead_letter_queue": "dead"}"#);
    h.create("dead");
    let refused = during(
        |round| unrest(&h, round),
        |rounds| {
            let queue = handle(&h, "orders");
            let mut refused = Vec::new();
            for number in 0..150 {
                rounds.reach(number / 5);
                patiently(|| queue.post(ALICE, &[NewMessage::new(format!("{number:03}"))]));
                let claim = patiently(|| queue.claim(ClaimOptions::new())).expect("it was posted");
                patiently(|| claim.clone().release());
                loop {
                    match queue.claim(ClaimOptions::new()) {
                        Ok(None) => break,
                        Ok(Some(claim)) => panic!("handed out once more: {:?}", texts(claim.messages())),
                        Err(Error::Moving { .. }) => {}
                        Err(other) => refused.push(other),
                    }
                }
            }
            refused
        },
    );
    wait_until_settled(&h);
    let mut all = h.queue("dead").all();
    all.sort_unstable();
    assert_eq!(all, (0..150).map(|number| format!("{number:03}")).collect::<Vec<_>>());
    assert_eq!(h.queue("orders").counts(), (0, 0, 0));
    assert!(refused.is_empty(), "a claim was refused for its dead letters' sake: {:?}", refused[0]);
    h.check();
}

#[test]
fn no_dead_letter_is_lost_while_the_dead_letter_queue_moves() {
    dead_letters_during(|h, round| moving(h, "dead")(round));
}

#[test]
fn no_dead_letter_is_lost_while_its_source_moves() {
    dead_letters_during(|h, round| moving(h, "orders")(round));
}

#[test]
fn no_dead_letter_is_lost_while_both_queues_move() {
    dead_letters_during(|h, round| {
        moving(h, if round % 3 == 0 { "orders" } else { "dead" })(round);
        thread::yield_now();
    });
}
