//! `claim_wait` of a queue and of a queue set: a message that becomes claimable between the check and the sleep is noticed, and each message wakes a
//! waiter that takes it, also while others are cancelled.

use zaqar_sled::disk::{Fault, FaultError, Operation};
use zaqar_sled::{CancelToken, Claim, ClaimOptions, Error, Metadata, Project, QueueSet};

use crate::program::{LONG, ROOT, World, check, claim_one, post, spawn};

#[test]
fn each_message_wakes_one_waiter() {
    check("posts", || {
        let world = World::plain();
        let waiters = [0, 1].map(|_| {
            let jobs = world.jobs.clone();
            spawn(move || claim_one(&jobs).unwrap().messages()[0].id())
        });
        let posters = ["a", "b"].map(|body| {
            let jobs = world.jobs.clone();
            spawn(move || post(&jobs, &[body]).unwrap()[0])
        });
        let mut taken = waiters.map(|waiter| waiter.join().unwrap());
        let mut posted = posters.map(|poster| poster.join().unwrap());
        taken.sort_unstable();
        posted.sort_unstable();
        assert_eq!(taken, posted);
        world.engine.close().unwrap();
    });
}

#[test]
fn as_many_are_woken_as_can_claim() {
    check("one post", || {
        let world = World::plain();
        let waiters = [0, 1, 2].map(|_| {
            let jobs = world.jobs.clone();
            spawn(move || claim_one(&jobs).unwrap())
        });
        post(&world.jobs, &["a", "b", "c"]).unwrap();
        waiters.into_iter().for_each(|waiter| drop(waiter.join().unwrap()));
        assert_eq!(world.jobs.stats().unwrap().free(), 0);
        world.engine.close().unwrap();
    });
}

#[test]
fn a_release_wakes_waiters() {
    check("released", || {
        let world = World::plain();
        post(&world.jobs, &["a", "b"]).unwrap();
        let first = world.jobs.claim(ClaimOptions::new().ttl(LONG).limit(2)).unwrap().unwrap();
        let waiters = [0, 1].map(|_| {
            let jobs = world.jobs.clone();
            spawn(move || claim_one(&jobs).unwrap())
        });
        first.release().unwrap();
        waiters.into_iter().for_each(|waiter| drop(waiter.join().unwrap()));
        world.engine.close().unwrap();
    });
}

#[test]
fn a_waiter_that_fails_hands_on() {
    check("handed on", || {
        let world = World::plain();
        let waiters = [0, 1].map(|_| {
            let jobs = world.jobs.clone();
            spawn(move || claim_one(&jobs))
        });
        // Of the journal's next writes the first is the post's and the second the first claim's.
        let no_space = Fault::on(Operation::Write).nth(2).error(FaultError::Space);
        world.disk.inject(no_space.under(format!("{ROOT}/journal")));
        post(&world.jobs, &["a"]).unwrap();
        let claims = waiters.map(|waiter| waiter.join().unwrap());
        assert_eq!(claims.iter().filter(|claim| claim.is_ok()).count(), 1);
        assert!(claims.iter().flat_map(|claim| claim.as_ref().err()).all(zaqar_sled::Error::is_full));
        world.engine.close().unwrap();
    });
}

#[test]
fn a_waiter_that_is_cancelled_hands_on() {
    check("cancelled", || {
        let world = World::plain();
        let token = CancelToken::new();
        let cancelled = [0, 1].map(|_| {
            let (jobs, token) = (world.jobs.clone(), token.clone());
            spawn(move || jobs.claim_wait_with(ClaimOptions::new().ttl(LONG).limit(1), LONG, &token).unwrap())
        });
        let kept = {
            let jobs = world.jobs.clone();
            spawn(move || claim_one(&jobs).unwrap())
        };
        let canceller = spawn(move || token.cancel());
        post(&world.jobs, &["a"]).unwrap();
        post(&world.jobs, &["b"]).unwrap();
        let taken = cancelled.into_iter().filter_map(|wait| wait.join().unwrap()).count();
        // A message that the cancelled waiters have left wakes the other; otherwise one more does.
        if taken == 2 {
            post(&world.jobs, &["c"]).unwrap();
        }
        drop(kept.join().unwrap());
        canceller.join().unwrap();
        world.engine.close().unwrap();
    });
}

#[test]
fn a_claim_of_several_messages_leaves_the_other_waiters_asleep() {
    check("greedy", || {
        let world = World::plain();
        let waiters = [2, 1].map(|limit| {
            let jobs = world.jobs.clone();
            spawn(move || {
                jobs.claim_wait(ClaimOptions::new().ttl(LONG).limit(limit), LONG).unwrap().unwrap().messages().len()
            })
        });
        post(&world.jobs, &["a", "b"]).unwrap();
        post(&world.jobs, &["c"]).unwrap();
        let taken: usize = waiters.into_iter().map(|waiter| waiter.join().unwrap()).sum();
        assert_eq!(taken as u64, world.jobs.stats().unwrap().claimed());
        world.engine.close().unwrap();
    });
}

#[test]
fn a_queue_that_is_created_again_wakes_its_waiters() {
    check("created again", || {
        let world = World::plain();
        let waiter = {
            let jobs = world.jobs.clone();
            spawn(move || claim_one(&jobs).unwrap())
        };
        let other = {
            let jobs = world.jobs.clone();
            spawn(move || {
                jobs.delete().unwrap();
                jobs.create(Metadata::new()).unwrap();
                post(&jobs, &["a"]).unwrap();
            })
        };
        other.join().unwrap();
        drop(waiter.join().unwrap());
        world.engine.close().unwrap();
    });
}

#[test]
fn closing_wakes_everybody() {
    check("closed", || {
        let world = World::plain();
        let waiters = [0, 1].map(|_| {
            let jobs = world.jobs.clone();
            spawn(move || claim_one(&jobs))
        });
        world.engine.close().unwrap();
        for waiter in waiters {
            assert!(waiter.join().unwrap().unwrap_err().is_closed());
        }
    });
}

/// A store with a second queue, and a set of the two.
fn world_with_set() -> (World, QueueSet) {
    let world = World::plain();
    let other = world.engine.queue(Project::none(), "other").unwrap();
    other.create(Metadata::new()).unwrap();
    let set = QueueSet::new([&other, &world.jobs]).unwrap();
    (world, set)
}

fn claim_any(set: &QueueSet) -> Result<Claim, Error> {
    set.claim_wait(ClaimOptions::new().ttl(LONG).limit(1), LONG).map(|claim| claim.expect("the clock stands still"))
}

#[test]
fn each_message_of_either_queue_wakes_one_call_of_a_set() {
    check("set", || {
        let (world, set) = world_with_set();
        let calls = [0, 1].map(|_| {
            let set = set.clone();
            spawn(move || claim_any(&set).unwrap().messages()[0].id())
        });
        let posters = [0, 1].map(|index| {
            let queue = set.queues()[index].clone();
            spawn(move || post(&queue, &["a"]).unwrap()[0])
        });
        let mut taken = calls.map(|call| call.join().unwrap());
        let mut posted = posters.map(|poster| poster.join().unwrap());
        taken.sort_unstable();
        posted.sort_unstable();
        assert_eq!(taken, posted);
        world.engine.close().unwrap();
    });
}

#[test]
fn a_call_of_a_set_that_fails_or_is_cancelled_hands_on() {
    check("set handed on", || {
        let (world, set) = world_with_set();
        let token = CancelToken::new();
        let cancelled = {
            let (set, token) = (set.clone(), token.clone());
            spawn(move || set.claim_wait_with(ClaimOptions::new().ttl(LONG).limit(1), LONG, &token))
        };
        let calls = [0, 1].map(|_| {
            let set = set.clone();
            spawn(move || claim_any(&set))
        });
        let canceller = spawn(move || token.cancel());
        let no_space = Fault::on(Operation::Write).nth(2).error(FaultError::Space);
        world.disk.inject(no_space.under(format!("{ROOT}/journal")));
        post(&world.jobs, &["a"]).unwrap();
        let mut results: Vec<_> = vec![cancelled.join().unwrap()];
        canceller.join().unwrap();
        // One call fails. If the message is left, another takes it; the rest need one each.
        if matches!(results[0], Ok(Some(_)) | Err(_)) {
            post(&world.jobs, &["b"]).unwrap();
        }
        results.extend(calls.map(|call| call.join().unwrap().map(Some)));
        assert_eq!(results.iter().filter(|result| result.is_err()).count(), 1);
        world.engine.close().unwrap();
    });
}

#[test]
fn closing_wakes_the_calls_of_a_set() {
    check("set closed", || {
        let (world, set) = world_with_set();
        let calls = [0, 1].map(|_| {
            let set = set.clone();
            spawn(move || claim_any(&set))
        });
        world.engine.close().unwrap();
        for call in calls {
            assert!(call.join().unwrap().unwrap_err().is_closed());
        }
    });
}
