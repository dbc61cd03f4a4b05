//! Claims over cold messages: taken, read, renewed, finished, released, run out.

use zaqar_sled::{Claim, ClaimId, ClaimOptions, DataDriver, Durability, Message, MessageId};

use super::shelf::Shelf;
use super::support::{Random, World, everything, seconds};

/// Two hundred cold messages.
fn frozen() -> (World, Shelf) {
    let world = World::new(0);
    let mut shelf = Shelf::new(&world.engine, "jobs");
    shelf.fill(200, 900);
    world.freeze();
    (world, shelf)
}

fn claim(shelf: &Shelf, ttl: u64, limit: usize) -> Claim {
    let options = ClaimOptions::new().ttl(seconds(ttl)).grace(seconds(30)).limit(limit);
    let claim = shelf.queue.claim(options).unwrap().expect("there is something to claim");
    claim.messages().iter().for_each(|message| shelf.assert_genuine(message));
    claim
}

fn ids(claim: &Claim) -> Vec<MessageId> {
    claim.messages().iter().map(Message::id).collect()
}

/// The messages under that claim, as the store reports them.
fn held(world: &World, shelf: &Shelf, claim: ClaimId) -> Vec<MessageId> {
    let record = world.engine.claims().get(shelf.queue.project(), shelf.queue.name(), &claim).unwrap();
    record.messages().iter().for_each(|message| shelf.assert_genuine(message));
    record.messages().iter().map(Message::id).collect()
}

#[test]
fn claims_take_cold_messages_in_order_and_each_once() {
    let (world, mut shelf) = frozen();
    let mut taken = Vec::new();
    for limit in [1, 5, 30, 100, 64] {
        taken.extend(ids(&claim(&shelf, 60, limit)));
        world.chill();
        shelf.assert_whole();
    }
    assert_eq!(taken, shelf.ids());
    assert!(shelf.queue.claim(ClaimOptions::new()).unwrap().is_none());
    assert_eq!(shelf.queue.stats().unwrap().free(), 0);
    shelf.fill(10, 40);
    assert_eq!(ids(&claim(&shelf, 60, 20)).len(), 10);
}

#[test]
fn a_claim_whose_messages_went_cold_can_be_read() {
    let (world, shelf) = frozen();
    let claims: Vec<Claim> = (0..5).map(|_| claim(&shelf, 600, 37)).collect();
    world.freeze();
    for claim in &claims {
        assert_eq!(held(&world, &shelf, claim.id()), ids(claim));
        assert!(claim.messages().iter().all(|message| message.claim_count() == 1));
    }
    let world = world.killed();
    let shelf = shelf.on(&world.engine);
    for claim in &claims {
        assert_eq!(held(&world, &shelf, claim.id()), ids(claim));
    }
}

#[test]
fn finished_messages_are_gone_from_cold_pages() {
    let (world, mut shelf) = frozen();
    for round in 0..10 {
        let claim = claim(&shelf, 600, 20);
        world.freeze();
        if round % 2 == 0 {
            claim.delete_all().unwrap();
        } else {
            claim.messages().iter().for_each(|message| claim.delete(message).unwrap());
        }
        shelf.forget(&ids(&claim));
        shelf.assert_whole();
        world.chill();
    }
    assert_eq!(shelf.len(), 0);
    world.assert_sound("finished");
}

#[test]
fn a_message_under_another_claim_is_not_finished_by_mistake() {
    let (world, shelf) = frozen();
    let (first, second) = (claim(&shelf, 600, 20), claim(&shelf, 600, 20));
    world.freeze();
    let error = second.delete(&first.messages()[3]).unwrap_err();
    assert!(error.is_not_permitted(), "{error}");
    let error = shelf.queue.delete_message(&first.messages()[3].id()).unwrap_err();
    assert!(error.is_not_permitted(), "{error}");
    shelf.assert_whole();
}

#[test]
fn renewing_a_cold_claim_lets_its_messages_live_as_long() {
    let world = World::new(0);
    let mut shelf = Shelf::new(&world.engine, "jobs");
    let short = shelf.fill_as(100, 500, |message| message.ttl(seconds(100)));
    let claim = claim(&shelf, 60, 100);
    world.freeze();
    world.clock.advance(seconds(50));
    claim.renew(seconds(200), seconds(40)).unwrap();
    world.freeze();
    world.clock.advance(seconds(199));
    assert_eq!(held(&world, &shelf, claim.id()), short);
    world.clock.advance(seconds(1));
    assert!(world.engine.claims().get(shelf.queue.project(), shelf.queue.name(), &claim.id()).is_err());
    shelf.assert_whole();
    world.clock.advance(seconds(40));
    shelf.forget_all();
    shelf.assert_whole();
}

#[test]
fn messages_of_a_released_claim_can_be_claimed_again() {
    let (world, shelf) = frozen();
    let claim_of = claim(&shelf, 600, 60);
    let taken = ids(&claim_of);
    world.freeze();
    claim_of.release().unwrap();
    world.freeze();
    shelf.assert_whole();
    let again = claim(&shelf, 600, 60);
    assert_eq!(ids(&again), taken);
    assert!(again.messages().iter().all(|message| message.claim_count() == 2));
}

#[test]
fn claims_that_run_out_free_their_cold_messages_at_that_instant() {
    let (world, shelf) = frozen();
    for n in 1..=4 {
        claim(&shelf, n * 10, 25);
    }
    world.freeze();
    for n in 1..=4 {
        world.clock.advance(seconds(9));
        assert_eq!(shelf.queue.stats().unwrap().claimed(), 100 - (n - 1) * 25);
        world.clock.advance(seconds(1));
        let stats = shelf.queue.stats().unwrap();
        assert_eq!((stats.claimed(), stats.total()), (100 - n * 25, 200), "after {n} claims");
        world.chill();
        shelf.assert_whole();
    }
    let again = claim(&shelf, 60, 200);
    let counts = again.messages().iter().map(Message::claim_count);
    assert!(counts.eq((0..200).map(|n| if n < 100 { 2 } else { 1 })));
}

#[test]
fn claims_and_their_ends_in_any_order_leave_what_they_ought() {
    let (mut world, mut shelf) = frozen();
    let mut random = Random::new(5);
    let mut claims: Vec<Claim> = Vec::new();
    for round in 0..120 {
        match random.below(6) {
            0 | 1 if shelf.queue.stats().unwrap().free() > 0 => claims.push(claim(&shelf, 10_000, 15)),
            2 if !claims.is_empty() => {
                let claim = claims.swap_remove(random.below(claims.len() as u64) as usize);
                claim.delete_all().unwrap();
                shelf.forget(&ids(&claim));
            }
            3 if !claims.is_empty() => {
                claims.swap_remove(random.below(claims.len() as u64) as usize).release().unwrap();
            }
            4 => drop(shelf.fill(12, 700)),
            _ => world.chill(),
        }
        if round % 40 == 39 {
            world = if round == 79 { world.killed() } else { world.reopened() };
            shelf = shelf.on(&world.engine);
            // The handles belong to the closed store. Their messages are free once the claims are released.
            for claim in claims.drain(..) {
                world.engine.claims().delete(shelf.queue.project(), shelf.queue.name(), &claim.id()).unwrap();
            }
        }
        shelf.assert_whole();
    }
    let claimed = shelf.queue.list(&everything()).unwrap().items.iter().filter(|one| one.claim_id().is_some()).count();
    assert_eq!(claimed, claims.iter().map(|claim| claim.messages().len()).sum::<usize>());
    world.assert_sound("any order");
}

#[test]
fn claims_without_messages_stay_up_to_a_bound_and_those_that_ended_early_stay_over() {
    let world = World::new(0);
    let quick = world.engine.with_durability(Durability::Buffered);
    let mut shelf = Shelf::new(&quick, "jobs");
    let emptied: Vec<ClaimId> = (0..6_000)
        .map(|_| {
            shelf.post(&[1]);
            let claim = claim(&shelf, 300, 1);
            claim.delete_all().unwrap();
            shelf.forget_all();
            claim.id()
        })
        .collect();
    let kept = |world: &World| -> Vec<bool> {
        let (project, name) = (shelf.queue.project(), shelf.queue.name());
        emptied.iter().map(|id| world.engine.claims().get(project, name, id).is_ok()).collect()
    };
    let before = kept(&world);
    let count = before.iter().filter(|kept| **kept).count();
    // 1 MiB of 240 bytes each, and as many less as end at once.
    assert!((4_000..=4_400).contains(&count), "{count} are kept");
    // The oldest claims end first.
    assert!(before.is_sorted());
    assert_eq!(world.engine.status().spent_claims(), count as u64);
    // A claim that was kept can be renewed and released like any other.
    let (project, name) = (shelf.queue.project(), shelf.queue.name());
    let last = emptied.last().unwrap();
    world.engine.claims().update(project, name, last, &ClaimOptions::new().ttl(seconds(900))).unwrap();
    world.assert_sound("many claims without messages");
    let world = world.killed();
    assert_eq!(kept(&world), before);
    assert_eq!(world.engine.status().spent_claims(), count as u64);
    let world = world.reopened();
    assert_eq!(kept(&world), before);
    world.clock.advance(seconds(300));
    world.engine.gc().unwrap();
    assert_eq!((world.engine.status().claims(), world.engine.status().spent_claims()), (1, 1));
    world.engine.claims().delete(shelf.queue.project(), shelf.queue.name(), last).unwrap();
    assert_eq!((world.engine.status().claims(), world.engine.status().spent_claims()), (0, 0));
}
