//! Time and cold messages: delays that end, pages that expire whole or in part.

use zaqar_sled::{DataDriver, GcReport, MessageListOptions};

use super::shelf::Shelf;
use super::support::{World, seconds};

#[test]
fn delays_of_cold_messages_end_at_their_instant() {
    let world = World::new(0);
    let mut shelf = Shelf::new(&world.engine, "jobs");
    for delay in [10, 20, 30] {
        shelf.fill_as(40, 800, |message| message.delay(seconds(delay)));
    }
    world.freeze();
    let shown = |shelf: &Shelf| shelf.queue.list(&MessageListOptions::new().limit(0).echo(true)).unwrap().items;
    for n in 0..=3 {
        let items = shown(&shelf);
        items.iter().for_each(|message| shelf.assert_genuine(message));
        assert_eq!(items.len(), 40 * n);
        assert_eq!(shelf.queue.stats().unwrap().total(), 120);
        world.chill();
        world.clock.advance(seconds(9));
        assert_eq!(shown(&shelf).len(), 40 * n);
        world.chill();
        world.clock.advance(seconds(1));
    }
    let popped = shelf.queue.pop(200).unwrap();
    popped.iter().for_each(|message| shelf.assert_genuine(message));
    assert_eq!(popped.len(), 120);
}

#[test]
fn cold_pages_expire_whole() {
    let world = World::new(0);
    let mut shelf = Shelf::new(&world.engine, "jobs");
    let short = shelf.fill_as(200, 800, |message| message.ttl(seconds(60)));
    shelf.fill(50, 800);
    world.freeze();
    world.clock.advance(seconds(59));
    shelf.assert_whole();
    world.chill();
    world.clock.advance(seconds(1));
    shelf.forget(&short);
    assert_eq!(shelf.queue.stats().unwrap().total(), 50);
    shelf.assert_whole();
    world.assert_sound("expired whole");
}

#[test]
fn cold_pages_expire_in_part() {
    let world = World::new(0);
    let mut shelf = Shelf::new(&world.engine, "jobs");
    let mut lives = Vec::new();
    for n in 0..60 {
        let ttl = 10 + n % 7 * 10;
        lives.push((ttl, shelf.post_as(&[300, 20, 3_000], |message| message.ttl(seconds(ttl)))));
    }
    world.freeze();
    for past in (10..=70).step_by(10) {
        world.clock.advance(seconds(10));
        for (_, ids) in lives.extract_if(.., |(ttl, _)| *ttl <= past) {
            shelf.forget(&ids);
        }
        shelf.assert_whole();
        world.chill();
    }
    assert_eq!(shelf.len(), 0);
    world.assert_sound("expired in part");
}

#[test]
fn collecting_counts_what_expired_in_cold_pages() {
    let world = World::new(0);
    let mut shelf = Shelf::new(&world.engine, "jobs");
    shelf.fill_as(150, 600, |message| message.ttl(seconds(30)));
    shelf.fill(30, 600);
    world.freeze();
    world.clock.advance(seconds(30));
    let report = world.engine.gc().unwrap();
    assert_eq!((report.messages(), report.claims()), (150, 0));
    assert_eq!(world.engine.gc().unwrap(), GcReport::default());
    assert_eq!(world.engine.status().messages(), 30);
}

#[test]
fn messages_that_expired_while_the_store_was_closed_are_gone_from_cold_pages() {
    for kill in [false, true] {
        let world = World::new(0);
        let mut shelf = Shelf::new(&world.engine, "jobs");
        let short = shelf.fill_as(100, 700, |message| message.ttl(seconds(60)));
        shelf.fill(100, 700);
        world.freeze();
        world.engine.snapshot().unwrap();
        world.clock.advance(seconds(if kill { 60 } else { 10 }));
        let world = if kill { world.killed() } else { world.reopened() };
        world.clock.advance(seconds(60));
        shelf.forget(&short);
        let shelf = shelf.on(&world.engine);
        assert_eq!(shelf.queue.stats().unwrap().total(), 100);
        shelf.assert_whole();
        world.assert_sound("expired while closed");
    }
}

#[test]
fn the_age_of_a_cold_message_continues() {
    let world = World::new(0);
    let mut shelf = Shelf::new(&world.engine, "jobs");
    let ids = shelf.fill(100, 900);
    world.freeze();
    world.clock.advance(seconds(77));
    let message = shelf.queue.get(&ids[5]).unwrap();
    assert_eq!((message.age(), message.ttl()), (seconds(77), seconds(36_000).into()));
    let stats = shelf.queue.stats().unwrap();
    assert_eq!(stats.oldest().unwrap().age(), seconds(77));
    assert_eq!(stats.newest().unwrap().age(), seconds(77));
}
