//! Cold messages that are deleted, popped, purged or removed with their queue do not come back.

use zaqar_sled::{MessageId, Purge};

use super::shelf::Shelf;
use super::support::{CLIENT, Random, World, everything};

fn frozen() -> (World, Shelf) {
    let world = World::new(0);
    let mut shelf = Shelf::new(&world.engine, "jobs");
    shelf.fill(250, 700);
    world.freeze();
    (world, shelf)
}

/// In a random order.
fn shuffled(shelf: &Shelf, seed: u64) -> Vec<MessageId> {
    let mut random = Random::new(seed);
    let mut ids: Vec<(u64, MessageId)> = shelf.ids().into_iter().map(|id| (random.next(), id)).collect();
    ids.sort_unstable();
    ids.into_iter().map(|(_, id)| id).collect()
}

#[test]
fn cold_messages_are_deleted_one_by_one_in_any_order() {
    let (world, mut shelf) = frozen();
    for (n, id) in shuffled(&shelf, 1).iter().enumerate() {
        shelf.queue.delete_message(id).unwrap();
        shelf.forget([id]);
        assert!(shelf.queue.get(id).unwrap_err().is_not_found());
        if n % 25 == 0 {
            world.chill();
            shelf.assert_whole();
        }
    }
    assert_eq!(shelf.queue.stats().unwrap().total(), 0);
    world.assert_sound("one by one");
}

#[test]
fn cold_messages_are_deleted_many_at_a_time() {
    let (world, mut shelf) = frozen();
    for ids in shuffled(&shelf, 2).chunks(40) {
        shelf.queue.bulk_delete(ids).unwrap();
        shelf.forget(ids);
        world.chill();
        shelf.assert_whole();
    }
    world.assert_sound("many at a time");
}

#[test]
fn cold_messages_are_popped_in_order() {
    let (world, mut shelf) = frozen();
    while shelf.len() > 0 {
        let popped = shelf.queue.pop(30).unwrap();
        popped.iter().for_each(|message| shelf.assert_genuine(message));
        let ids: Vec<MessageId> = popped.iter().map(zaqar_sled::Message::id).collect();
        assert_eq!(ids, shelf.ids()[..ids.len()]);
        shelf.forget(&ids);
        world.chill();
    }
    assert!(shelf.queue.pop(1).unwrap().is_empty());
}

#[test]
fn a_sparse_queue_stays_as_it_is_through_housekeeping_and_reopening() {
    let (mut world, mut shelf) = frozen();
    // One of each dozen stays: pages are merged and images rewritten.
    let gone: Vec<MessageId> =
        shelf.ids().into_iter().enumerate().filter(|(n, _)| n % 12 != 5).map(|(_, id)| id).collect();
    for ids in gone.chunks(20) {
        shelf.queue.bulk_delete(ids).unwrap();
        shelf.forget(ids);
    }
    for round in 0..6 {
        world.chill();
        shelf.assert_whole();
        world.engine.snapshot().unwrap();
        shelf.assert_whole();
        world = if round % 2 == 0 { world.killed() } else { world.reopened() };
        shelf = shelf.on(&world.engine);
        shelf.assert_whole();
        world.assert_sound("sparse");
    }
}

#[test]
fn purging_takes_cold_messages_and_posts_go_on_behind_them() {
    let (world, mut shelf) = frozen();
    let old = shelf.ids();
    let (project, name) = (shelf.queue.project().clone(), shelf.queue.name().clone());
    assert_eq!(world.engine.queues().purge(&project, &name, Purge::Messages).unwrap(), 250);
    shelf.forget_all();
    shelf.assert_whole();
    shelf.fill(100, 700);
    assert!(shelf.ids()[0] > old[249]);
    world.freeze();
    shelf.assert_whole();
    assert!(shelf.queue.bulk_get(&old).unwrap().is_empty());
    let world = world.killed();
    let shelf = shelf.on(&world.engine);
    shelf.assert_whole();
    assert!(shelf.queue.bulk_get(&old).unwrap().is_empty());
}

#[test]
fn a_queue_made_again_has_nothing_of_the_cold_one_before_it() {
    let (mut world, mut shelf) = frozen();
    let mut old = Vec::new();
    for round in 0..5 {
        old.extend(shelf.ids());
        shelf.queue.delete().unwrap();
        assert!(!shelf.queue.exists().unwrap());
        if round % 2 == 0 {
            world.chill();
        }
        shelf = Shelf::new(&world.engine, "jobs");
        shelf.assert_whole();
        shelf.fill(100, 900);
        world.freeze();
        shelf.assert_whole();
        assert!(shelf.queue.bulk_get(&old).unwrap().is_empty());
        world = if round == 3 { world.reopened() } else { world.killed() };
        shelf = shelf.on(&world.engine);
        shelf.assert_whole();
    }
    world.assert_sound("made again");
}

#[test]
fn a_reader_does_not_meet_what_was_deleted_under_its_marker() {
    let (world, mut shelf) = frozen();
    let page = shelf.queue.list(&everything().limit(100)).unwrap();
    let gone = shelf.ids()[80..130].to_vec();
    shelf.queue.bulk_delete(&gone).unwrap();
    shelf.forget(&gone);
    world.chill();
    let rest = shelf.queue.list(&everything().marker(page.next)).unwrap().items;
    rest.iter().for_each(|message| shelf.assert_genuine(message));
    assert_eq!(rest.len(), 120);
}

#[test]
fn a_message_posted_to_a_queue_whose_last_page_is_cold_comes_behind_the_others() {
    let (world, mut shelf) = frozen();
    for _ in 0..30 {
        let before = shelf.ids();
        let ids = shelf.post(&[10, 1_000]);
        assert!(ids[0] > before[before.len() - 1]);
        world.chill();
        shelf.assert_whole();
    }
    assert!(shelf.queue.post(CLIENT, &[]).unwrap().is_empty());
}
