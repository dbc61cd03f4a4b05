//! `claim_wait`: a message that becomes claimable between the check and the sleep is noticed, and each message wakes a
//! waiter that takes it, also while others are cancelled.

use zaqar_sled::disk::{Fault, FaultError, Operation};
use zaqar_sled::{CancelToken, ClaimOptions, Metadata};

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
