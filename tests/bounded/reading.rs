//! Cold messages are read as if they were in memory.

use zaqar_sled::{Message, MessageId, MessageListOptions, Sort};

use super::shelf::Shelf;
use super::support::{KIB, Random, World, everything};

/// Body sizes around every limit: of pages, of segments, and of messages with a page of their own.
const SIZES: [usize; 14] =
    [1, 2, 100, 1_000, 4_095, 4_096, 8_192, 16_383, 16_384, 16_385, 40_000, 65_537, 300_000, 1 << 20];

/// A queue of three hundred messages, all of them cold.
fn frozen(memory: u64) -> (World, Shelf) {
    let world = World::new(memory);
    let mut shelf = Shelf::new(&world.engine, "jobs");
    shelf.fill(300, 700);
    world.freeze();
    (world, shelf)
}

#[test]
fn bodies_of_every_size_come_back_byte_for_byte() {
    let world = World::new(0);
    let mut shelf = Shelf::new(&world.engine, "jobs");
    for size in SIZES {
        shelf.post(&[size]);
    }
    shelf.post(&SIZES);
    world.freeze();
    for id in shelf.ids() {
        shelf.assert_genuine(&shelf.queue.get(&id).unwrap());
    }
    shelf.assert_whole();
    let world = world.reopened();
    let shelf = shelf.on(&world.engine);
    shelf.assert_whole();
    let world = world.killed();
    shelf.on(&world.engine).assert_whole();
    world.assert_sound("bodies of every size");
}

#[test]
fn a_body_of_no_bytes_is_not_taken_for_one_that_is_missing() {
    let world = World::new(0);
    let mut shelf = Shelf::new(&world.engine, "jobs");
    shelf.fill(200, 0);
    shelf.fill(20, 5_000);
    world.freeze();
    shelf.assert_whole();
}

#[test]
fn a_message_is_got_by_id_in_any_order() {
    let (world, shelf) = frozen(0);
    let mut random = Random::new(1);
    let ids = shelf.ids();
    for _ in 0..600 {
        let id = random.of(&ids).unwrap();
        shelf.assert_genuine(&shelf.queue.get(id).unwrap());
    }
    world.chill();
}

#[test]
fn messages_are_got_in_the_order_asked_for_across_pages() {
    let (_world, shelf) = frozen(0);
    let mut ids: Vec<MessageId> = shelf.ids().into_iter().step_by(7).collect();
    ids.reverse();
    let there = shelf.queue.bulk_get(&ids).unwrap();
    there.iter().for_each(|message| shelf.assert_genuine(message));
    assert_eq!(there.iter().map(Message::id).collect::<Vec<_>>(), ids);
}

#[test]
fn a_reader_with_a_marker_sees_every_cold_message_once_and_in_order() {
    for limit in [1, 7, 24, 128, 1_000] {
        let (_world, shelf) = frozen(3 * KIB);
        let mut options = everything().limit(limit);
        let mut seen = Vec::new();
        loop {
            let page = shelf.queue.list(&options).unwrap();
            page.items.iter().for_each(|message| shelf.assert_genuine(message));
            seen.extend(page.items.iter().map(Message::id));
            let Some(next) = page.next else { break };
            options = options.marker(next);
        }
        assert_eq!(seen, shelf.ids(), "{limit} at a time");
    }
}

#[test]
fn a_marker_in_the_middle_of_a_cold_page_starts_behind_it() {
    let (_world, shelf) = frozen(0);
    let ids = shelf.ids();
    for at in [0, 10, 23, 150, 298, 299] {
        let page = shelf.queue.list(&everything().marker(zaqar_sled::MessageMarker::from(ids[at]))).unwrap();
        assert_eq!(page.items.iter().map(Message::id).collect::<Vec<_>>(), ids[at + 1..]);
    }
}

#[test]
fn a_client_that_is_not_to_see_its_own_sees_nothing_of_cold_pages_either() {
    let (_world, shelf) = frozen(0);
    let others = MessageListOptions::new().client(super::support::CLIENT).limit(0);
    assert_eq!(shelf.queue.list(&others).unwrap().items, []);
    assert_eq!(shelf.queue.list(&others.echo(true)).unwrap().items.len(), 300);
}

#[test]
fn the_oldest_and_the_newest_are_found_on_disk() {
    let (_world, mut shelf) = frozen(0);
    for _ in 0..40 {
        let ids = shelf.ids();
        let (first, last) = (ids[0], ids[ids.len() - 1]);
        for (sort, id) in [(Sort::Oldest, first), (Sort::Newest, last)] {
            let message = shelf.queue.first(sort).unwrap();
            assert_eq!(message.id(), id);
            shelf.assert_genuine(&message);
        }
        shelf.queue.bulk_delete(&[first, last]).unwrap();
        shelf.forget([&first, &last]);
    }
    shelf.assert_whole();
}

#[test]
fn iterating_over_a_cold_queue_sees_it_whole() {
    let (_world, shelf) = frozen(0);
    let seen: Vec<Message> = shelf.queue.iter(everything()).map(Result::unwrap).collect();
    seen.iter().for_each(|message| shelf.assert_genuine(message));
    assert_eq!(seen.iter().map(Message::id).collect::<Vec<_>>(), shelf.ids());
}

#[test]
fn queues_that_take_turns_do_not_get_each_others_messages() {
    let world = World::new(0);
    let mut shelves: Vec<Shelf> = (0..12).map(|n| Shelf::new(&world.engine, &format!("jobs{n}"))).collect();
    for round in 0..20 {
        for (n, shelf) in shelves.iter_mut().enumerate() {
            shelf.post(&[100 + n * 37, 10, 2_000 * (round % 3)]);
        }
    }
    world.freeze();
    for shelf in &shelves {
        shelf.assert_whole();
    }
    let world = world.killed();
    shelves.into_iter().for_each(|shelf| shelf.on(&world.engine).assert_whole());
}

#[test]
fn checksums_of_cold_messages_are_those_of_warm_ones() {
    let checksums = |memory| {
        let world = World::new(memory);
        world.engine.close().unwrap();
        let engine = world.config().checksums(true).open(super::support::ROOT).unwrap();
        let mut shelf = Shelf::new(&engine, "jobs");
        shelf.fill(60, 900);
        engine.step().unwrap();
        shelf.assert_whole();
        let listed = shelf.queue.list(&everything()).unwrap().items;
        listed.iter().map(|message| message.checksum().unwrap().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(checksums(0), checksums(super::support::AMPLE));
}
