//! Dead letters that move from cold pages to queues that are cold too.

use zaqar_sled::{ClaimOptions, Durability, Message, MessageId, NewMessage, Project, Retry, Sort};

use super::shelf::Shelf;
use super::support::{CLIENT, World, everything, queue_with, seconds};

const DEAD_LETTERS: &str =
    r#"{"_max_claim_count": 1, "_dead_letter_queue": "dead", "_dead_letter_queue_messages_ttl": 900}"#;

/// Claims all messages and lets the claims expire.
fn wear_out(world: &World, shelf: &Shelf) {
    while let Some(claim) = shelf.queue.claim(ClaimOptions::new().ttl(seconds(5)).limit(20)).unwrap() {
        claim.messages().iter().for_each(|message| shelf.assert_genuine(message));
    }
    world.freeze();
    world.clock.advance(seconds(5));
}

/// The messages that have moved, with their bodies.
fn moved(listed: &[Message], from: &Shelf) -> Vec<(MessageId, Vec<u8>)> {
    listed.iter().zip(from.ids()).map(|(message, old)| (message.id(), from.body(&old).to_vec())).collect()
}

#[test]
fn worn_out_cold_messages_move_to_the_dead_letter_queue_byte_for_byte() {
    let world = World::new(0);
    let mut dead = Shelf::new(&world.engine, "dead");
    dead.fill(60, 700);
    let mut jobs = Shelf::of(queue_with(&world.engine, "jobs", DEAD_LETTERS));
    for _ in 0..30 {
        jobs.post(&[1, 900, 5_000]);
    }
    world.freeze();
    wear_out(&world, &jobs);
    while jobs.queue.stats().unwrap().total() > 0 {
        // A message that moves counts toward the claim's limit.
        assert!(jobs.queue.claim(ClaimOptions::new().limit(20)).unwrap().is_none());
        world.chill();
    }
    world.freeze();
    let listed = dead.queue.list(&everything()).unwrap().items;
    let dead_letters = moved(&listed[60..], &jobs);
    assert_eq!(dead_letters.len(), 90);
    assert!(
        listed[60..].iter().all(|dead_letter| dead_letter.ttl() == seconds(900) && dead_letter.claim_id().is_none())
    );
    dead.adopt(&dead_letters);
    jobs.forget_all();
    dead.assert_whole();
    jobs.assert_whole();
    let world = world.killed();
    let (dead, jobs) = (dead.on(&world.engine), jobs.on(&world.engine));
    dead.assert_whole();
    jobs.assert_whole();
    world.clock.advance(seconds(900));
    assert_eq!(dead.queue.stats().unwrap().total(), 60);
}

#[test]
fn worn_out_messages_move_and_the_rest_is_claimed_in_one_call() {
    let world = World::new(0);
    let mut jobs = Shelf::of(queue_with(&world.engine, "jobs", DEAD_LETTERS));
    jobs.fill(80, 800);
    world.freeze();
    wear_out(&world, &jobs);
    let fresh = jobs.fill(50, 800);
    world.freeze();
    let claim = jobs.queue.claim(ClaimOptions::new().ttl(seconds(60)).limit(100)).unwrap().unwrap();
    assert_eq!(claim.messages().iter().map(Message::id).collect::<Vec<_>>(), fresh[..20]);
    claim.messages().iter().for_each(|message| jobs.assert_genuine(message));
    let dead = world.engine.queue(zaqar_sled::Project::none(), "dead").unwrap();
    let dead_letters = dead.list(&everything()).unwrap().items;
    let old: Vec<MessageId> = jobs.ids().into_iter().filter(|id| !fresh.contains(id)).collect();
    assert_eq!(dead_letters.len(), old.len());
    for (dead_letter, old) in dead_letters.iter().zip(&old) {
        assert_eq!(dead_letter.body().as_bytes(), jobs.body(old));
    }
    jobs.forget(&old);
    jobs.assert_whole();
    world.assert_sound("some moved");
}

#[test]
fn dead_letters_move_within_a_number_of_bytes_and_the_rest_with_the_next_claim() {
    const LARGE: usize = 4 << 20;
    let world = World::new(64 << 20);
    let quick = world.engine.with_durability(Durability::Buffered);
    let jobs = queue_with(&quick, "jobs", DEAD_LETTERS);
    let large = NewMessage::new(vec![7; LARGE]).ttl(seconds(3_600)).delay(seconds(0));
    (0..40).for_each(|_| drop(jobs.post(CLIENT, std::slice::from_ref(&large)).unwrap()));
    let all = || ClaimOptions::new().limit(100).max_bytes(u64::MAX);
    jobs.claim(all()).unwrap().unwrap().release().unwrap();
    let left = || jobs.stats().unwrap().total();
    // The first, and beyond it 64 MiB with the 128 B of each.
    assert!(jobs.claim(all()).unwrap().is_none());
    assert_eq!(left(), 40 - 16);
    // By default, as few bytes as a claim takes.
    assert!(jobs.claim(ClaimOptions::new().limit(100)).unwrap().is_none());
    assert_eq!(left(), 40 - 17);
    assert!(jobs.claim(all()).unwrap().is_none());
    assert!(jobs.claim(all()).unwrap().is_none());
    assert_eq!(left(), 0);
    let dead = quick.queue(Project::none(), "dead").unwrap();
    assert_eq!(dead.stats().unwrap().total(), 40);
    world.assert_sound("large dead letters");
}

#[test]
fn the_reasons_of_dead_letters_count_to_the_bytes_that_one_claim_moves() {
    const MESSAGES: usize = 62_000;
    let world = World::new(256 << 20);
    let quick = world.engine.with_durability(Durability::Buffered);
    let jobs = queue_with(&quick, "jobs", DEAD_LETTERS);
    let posted = vec![NewMessage::new("").delay(seconds(0)); MESSAGES / 20];
    (0..20).for_each(|_| drop(jobs.post(CLIENT, &posted).unwrap()));
    let all = || ClaimOptions::new().limit(MESSAGES).max_bytes(u64::MAX);
    let claim = jobs.claim(all()).unwrap().unwrap();
    let reason = "x".repeat(1_024);
    let given_back: Vec<Retry> =
        claim.messages().iter().map(|message| Retry::new(message.id()).reason(reason.clone())).collect();
    assert_eq!(claim.retry_all(&given_back).unwrap(), MESSAGES as u64);
    claim.release().unwrap();
    assert!(jobs.claim(all()).unwrap().is_none());
    // The reason is also in the origin, beside the name of the queue.
    let (left, most) = (jobs.stats().unwrap().total(), (64 << 20) / (2 * 1_024 + 4 + 1_280) + 1);
    assert_eq!(left, MESSAGES as u64 - most);
    while jobs.stats().unwrap().total() > 0 {
        assert!(jobs.claim(all()).unwrap().is_none());
    }
    let dead = quick.queue(Project::none(), "dead").unwrap();
    assert_eq!(dead.first(Sort::Oldest).unwrap().last_failure(), Some(&*reason));
}
