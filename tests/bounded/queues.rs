//! Many queues, and queues of many messages.

use std::time::{Duration, Instant};

use zaqar_sled::disk::SimulatedDisk;
use zaqar_sled::{
    DataDriver, Durability, Engine, Metadata, NewMessage, Project, QueueListOptions, QueueName, QueueStats,
};

use super::support::{CLIENT, KIB, ROOT, World, clock, config, queue, seconds};
use super::variables::QUEUES;

fn name(n: u64) -> QueueName {
    QueueName::new(format!("queue-{n:07}")).unwrap()
}

/// The names of all queues, page by page.
fn names(engine: &Engine) -> Vec<QueueName> {
    let mut options = QueueListOptions::new().limit(1_000);
    let mut names = Vec::new();
    loop {
        let page = engine.queues().list(&Project::none(), &options).unwrap();
        names.extend(page.items.iter().map(|entry| entry.name().clone()));
        let Some(next) = page.next else { return names };
        options = options.marker(next);
    }
}

fn message(n: u64) -> NewMessage {
    NewMessage::new(n.to_be_bytes().repeat(25)).ttl(seconds(3_600)).delay(seconds(0))
}

/// Creates, lists, posts to, checks after a kill and a close, and deletes `count` queues.
fn play(count: u64) {
    let mut world = World::on(SimulatedDisk::new(), clock(), 256 * KIB);
    world.engine.close().unwrap();
    let none = Project::none();
    let open = |disk: &SimulatedDisk, clock: &_| config(disk, clock, 256 * KIB).segment_size(1024 * KIB).open(ROOT);
    world.engine = open(&world.disk, &world.clock).unwrap();
    let started = Instant::now();
    let engine = world.engine.with_durability(Durability::Buffered);
    for n in 0..count {
        assert!(engine.queues().create(&none, &name(n), &Metadata::new()).unwrap());
    }
    println!("{count} queues made after {:?}", started.elapsed());
    assert_eq!(engine.queues().count(&none).unwrap(), count);
    assert!(names(&engine).into_iter().eq((0..count).map(name)));
    for n in (0..count).step_by(2) {
        engine.messages().post(&none, &name(n), CLIENT, &[message(n), message(n + 1)]).unwrap();
    }
    println!("posted to after {:?}", started.elapsed());
    world.chill();
    assert!(world.engine.status().cold_pages() >= count / 3, "{:?}", world.engine.status());
    world.engine.snapshot().unwrap();
    drop(engine);
    world.disk = world.disk.kill();
    world.engine = open(&world.disk, &world.clock).unwrap();
    println!("killed and opened after {:?}", started.elapsed());
    assert_whole(&world.engine, count);
    world.engine.close().unwrap();
    world.engine = open(&world.disk, &world.clock).unwrap();
    println!("closed and opened after {:?}", started.elapsed());
    assert_whole(&world.engine, count);
    let engine = world.engine.with_durability(Durability::Buffered);
    for n in 0..count {
        engine.queues().delete(&none, &name(n)).unwrap();
    }
    println!("deleted after {:?}", started.elapsed());
    engine.gc().unwrap();
    engine.snapshot().unwrap();
    let status = engine.status();
    assert_eq!((status.queues(), status.messages(), status.pages()), (0, 0, 0));
    assert_eq!((status.memory_bytes(), names(&engine).len()), (0, 0));
    assert!(status.page_file_bytes() <= 4 * 1024 * KIB, "{status:?}");
}

fn assert_whole(engine: &Engine, count: u64) {
    let none = Project::none();
    assert_eq!(engine.queues().count(&none).unwrap(), count);
    for n in (0..count).step_by(if count > 10_000 { 997 } else { 7 }) {
        let stats: QueueStats = engine.queues().stats(&none, &name(n)).unwrap();
        let listed = engine.messages().list(&none, &name(n), &super::support::everything()).unwrap().items;
        let expected = if n % 2 == 0 { vec![message(n), message(n + 1)] } else { Vec::new() };
        assert_eq!(stats.total(), expected.len() as u64);
        assert!(listed.iter().map(zaqar_sled::Message::body).eq(expected.iter().map(NewMessage::body)), "queue {n}");
    }
}

#[test]
fn thousands_of_queues_are_made_listed_posted_to_and_deleted() {
    play(QUEUES.or(5_000));
}

#[test]
#[ignore = "takes a minute"]
fn a_million_queues_are_made_listed_posted_to_and_deleted() {
    play(1_000_000);
}

/// A queue of so many messages is deleted at once, and its space is given back later.
fn delete_large(count: u64) {
    let disk = SimulatedDisk::memory();
    let engine = config(&disk, &clock(), 256 * KIB).segment_size(1024 * KIB).open(ROOT).unwrap();
    let quick = engine.with_durability(Durability::Buffered);
    let large = queue(&quick, "large");
    let batch: Vec<NewMessage> = (0..1_000).map(message).collect();
    for _ in 0..count / 1_000 {
        large.post(CLIENT, &batch).unwrap();
    }
    engine.step().unwrap();
    let before = engine.status();
    assert!(before.cold_pages() > count / 200, "{before:?}");
    let (operations, started) = (disk.operations(), Instant::now());
    large.delete().unwrap();
    let (operations, elapsed) = (disk.operations() - operations, started.elapsed());
    println!("{count} messages went with their queue in {elapsed:?} and {operations} operations");
    assert!(operations <= 5 && elapsed < Duration::from_millis(200), "{operations} operations in {elapsed:?}");
    assert!(!large.exists().unwrap());
    assert!(large.create(Metadata::new()).unwrap());
    large.post(CLIENT, &batch[..10]).unwrap();
    assert_eq!(large.stats().unwrap().total(), 10);
    engine.gc().unwrap();
    engine.snapshot().unwrap();
    let status = engine.status();
    assert_eq!((status.messages(), status.pages()), (10, 1));
    assert!(status.page_file_bytes() <= 4 * 1024 * KIB, "{status:?}");
}

#[test]
fn a_large_queue_is_deleted_at_once_and_its_space_given_back_later() {
    delete_large(200_000);
}

#[test]
#[ignore = "takes half a minute"]
fn a_queue_of_a_million_messages_is_deleted_at_once_and_its_space_given_back_later() {
    delete_large(1_000_000);
}

#[test]
fn a_page_or_two_of_each_of_many_queues_come_and_go() {
    let world = World::new(32 * KIB);
    let mut shelves: Vec<super::shelf::Shelf> =
        (0..150).map(|n| super::shelf::Shelf::new(&world.engine, name(n).as_str())).collect();
    for round in 0..4 {
        for shelf in &mut shelves {
            shelf.post(&[30, 500, 1]);
            if round % 2 == 1 {
                let popped = shelf.queue.pop(2).unwrap();
                shelf.forget(popped.iter().map(zaqar_sled::Message::id).collect::<Vec<_>>().iter());
            }
        }
        world.chill();
    }
    assert!(world.engine.status().cold_pages() > 50, "{:?}", world.engine.status());
    shelves.iter().for_each(super::shelf::Shelf::assert_whole);
    let world = world.killed();
    shelves.into_iter().for_each(|shelf| shelf.on(&world.engine).assert_whole());
    world.assert_sound("many queues");
}
