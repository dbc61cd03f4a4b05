//! A store needs no more memory than planned, and a call no more than it may, counted by the allocator.

use std::time::Duration;

use zaqar_sled::{ClaimOptions, MessageListOptions, Metadata, NewMessage, Queue, Subscriber};

use crate::peak_of;
use crate::world::{CLIENT, KIB, World};

const MIB: u64 = KIB * KIB;
/// A body that has a page of its own.
const LARGE: usize = 4 << 20;
const FOREVER: Duration = Duration::from_secs(360_000_000);

fn post(queue: &Queue, count: usize, bytes: usize) {
    let message = NewMessage::new(vec![7; bytes]).ttl(FOREVER).delay(Duration::ZERO);
    queue.post(CLIENT, &vec![message; count]).unwrap();
}

fn assert_planned(what: &str, world: &World) {
    let (grown, planned) = (world.grown(), world.planned());
    println!("{what}: {grown} bytes of {planned} planned");
    assert!(grown <= planned, "{what}: {grown} bytes, {planned} planned: {:?}", world.engine.status());
}

#[test]
fn many_small_messages_in_many_queues() {
    let world = World::new(256 * MIB);
    for n in 0..500 {
        let queue = world.queue(&format!("jobs-{n}"));
        (0..20).for_each(|_| post(&queue, 10, 100));
    }
    assert_planned("small messages", &world);
}

#[test]
fn many_queues_without_messages() {
    let world = World::new(256 * MIB);
    (0..20_000).for_each(|n| drop(world.queue(&format!("idle-{n}"))));
    assert_planned("idle queues", &world);
}

/// An idle queue keeps what its claim rate has handed out.
#[test]
fn many_queues_whose_claim_rate_has_been_used() {
    const QUEUES: u64 = 5_000;
    let grown_by = |metadata: &str| {
        let world = World::new(256 * MIB);
        let queues: Vec<Queue> = (0..QUEUES).map(|n| world.queue_with(&format!("idle-{n}"), metadata)).collect();
        let before = world.grown();
        [(); 2].map(|()| {
            for queue in &queues {
                post(queue, 1, 10);
                assert_eq!(queue.pop(1).unwrap().len(), 1);
            }
            world.advance(1_000);
            world.grown() - before
        })
    };
    let ([without, _], [with, again]) = (grown_by(r#"{"max":1}"#), grown_by(r#"{"_max_claims_per_second":1}"#));
    println!("{} bytes for {QUEUES} used rates", with - without);
    assert!((1..=64 * QUEUES).contains(&(with - without)), "{with} bytes, {without} without a rate");
    assert!(again <= with + 16 * KIB, "{again} bytes when they are used again, {with} before");
}

#[test]
fn many_claims() {
    let world = World::new(256 * MIB);
    let queue = world.queue("jobs");
    (0..300).for_each(|_| post(&queue, 100, 50));
    while queue.claim(ClaimOptions::new().limit(3)).unwrap().is_some() {}
    assert_planned("claims", &world);
}

#[test]
fn many_subscriptions() {
    let world = World::new(256 * MIB);
    let queue = world.queue("news");
    for n in 0..10_000 {
        let hook = Subscriber::new(format!("https://example.com/{n}")).unwrap();
        queue.subscribe(&hook, FOREVER, &Metadata::new()).unwrap().unwrap();
    }
    assert_planned("subscriptions", &world);
}

#[test]
fn a_full_store_with_little_memory() {
    let world = World::new(2 * MIB);
    let queue = world.queue("jobs");
    for _ in 0..100 {
        post(&queue, 100, 1_000);
        world.engine.step().unwrap();
    }
    assert!(world.engine.status().cold_pages() > 300, "{:?}", world.engine.status());
    assert_planned("cold pages", &world);
}

/// Fifty messages that are on disk alone.
fn large(world: &World, ttl: Duration) -> Queue {
    let queue = world.queue("films");
    for _ in 0..50 {
        let message = NewMessage::new(vec![7; LARGE]).ttl(ttl).delay(Duration::ZERO);
        queue.post(CLIENT, &[message]).unwrap();
        world.engine.step().unwrap();
    }
    queue
}

/// The memory of one message while it is read from its page and returned, and of everything else.
const ONE_BY_ONE: usize = 3 * LARGE + (8 << 20);

#[test]
fn a_call_on_large_messages_takes_no_more_than_one_of_them_and_what_it_may() {
    let world = World::new(8 * MIB);
    let queue = large(&world, FOREVER);
    let options = || MessageListOptions::new().limit(50).echo(true);
    let (page, peak) = peak_of(|| queue.list(&options()).unwrap());
    assert!(peak <= ONE_BY_ONE, "list: {peak}");
    assert_eq!(page.items.len(), 1);
    drop(page);
    let (count, peak) = peak_of(|| queue.iter(options()).map(Result::unwrap).count());
    assert!(peak <= ONE_BY_ONE, "iter: {peak}");
    assert_eq!(count, 50);
    let (stats, peak) = peak_of(|| queue.stats().unwrap());
    assert!(peak <= ONE_BY_ONE && stats.total() == 50, "stats: {peak}");
    let (claim, peak) = peak_of(|| queue.claim(ClaimOptions::new().limit(50)).unwrap().unwrap());
    assert!(peak <= ONE_BY_ONE, "claim: {peak}");
    assert_eq!(claim.messages().len(), 1);
    drop(claim);
    world.engine.step().unwrap();
    let (popped, peak) = peak_of(|| queue.pop(50).unwrap());
    assert!(peak <= ONE_BY_ONE, "pop: {peak}");
    assert_eq!(popped.len(), 1);
    drop(popped);
    let ids: Vec<_> = queue.iter(options()).map(|message| message.unwrap().id()).collect();
    let (read, peak) = peak_of(|| queue.bulk_get(&ids).unwrap_err());
    assert!(read.is_too_large() && peak <= (128 << 20) + ONE_BY_ONE, "bulk get: {peak}");
    let (read, _) = peak_of(|| queue.bulk_get(&ids[..5]).unwrap().len());
    assert_eq!(read, 5);
}

#[test]
fn a_claim_may_ask_for_more() {
    let world = World::new(8 * MIB);
    let queue = large(&world, FOREVER);
    let claim = queue.claim(ClaimOptions::new().limit(50).max_bytes(4 * LARGE as u64)).unwrap().unwrap();
    assert_eq!(claim.messages().len(), 5);
    let all = queue.list(&MessageListOptions::new().limit(0).echo(true)).unwrap();
    assert_eq!(all.items.len(), 45);
}

#[test]
fn statistics_of_many_pages_in_which_something_is_due() {
    let world = World::new(MIB);
    let queue = world.queue("jobs");
    let short = NewMessage::new(vec![7; 7_000]).ttl(Duration::from_secs(5)).delay(Duration::ZERO);
    let long = short.clone().ttl(FOREVER);
    for _ in 0..500 {
        queue.post(CLIENT, &[short.clone(), long.clone()]).unwrap();
        world.engine.step().unwrap();
    }
    world.advance(6_000);
    let (stats, peak) = peak_of(|| queue.stats().unwrap());
    assert_eq!(stats.total(), 500);
    assert!(peak <= 3 << 20, "{peak} bytes");
}
