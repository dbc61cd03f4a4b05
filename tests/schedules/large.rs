//! Messages that are a page each, whose frames become images: beside snapshots and evictions, while segments are retired
//! and used again.

use zaqar_sled::disk::{Keep, SimulatedDisk};
use zaqar_sled::{ClientId, Config, Engine, MessageListOptions, NewMessage, Project, Queue};

use crate::program::{LONG, ROOT, World, check, config, spawn};

const SIZE: usize = 17 << 10;
const POSTS: u8 = 4;

fn small(disk: SimulatedDisk, memory: u64) -> Config {
    config(disk).segment_size(64 << 10).memory(memory)
}

fn post_large(queue: &Queue, number: u8) {
    let message = NewMessage::new(vec![number; SIZE]).ttl(LONG);
    queue.post(ClientId::from_bytes([1; 16]), &[message]).unwrap();
}

/// The first bytes of the messages, whose bodies are whole.
fn numbers(engine: &Engine) -> Vec<u8> {
    let jobs = engine.queue(Project::none(), "jobs").unwrap();
    let found = jobs.list(&MessageListOptions::new().limit(0).include_claimed(true)).unwrap().items;
    found
        .iter()
        .map(|message| {
            let body = message.body().as_bytes();
            assert!(body.len() == SIZE && body.iter().all(|byte| *byte == body[0]), "a body is not what was posted");
            body[0]
        })
        .collect()
}

/// Posts and pops beside snapshots; what is left is there after a kill, and after a power cut if it was synced.
fn posts_beside_snapshots<const MEMORY: u64>() {
    let disk = SimulatedDisk::new();
    let world = World::open(disk.clone(), small(disk, MEMORY));
    let jobs = world.jobs.clone();
    let poster = spawn(move || {
        for number in 0..POSTS {
            post_large(&jobs, number);
            if number == 1 {
                assert_eq!(jobs.pop(1).unwrap()[0].body().as_bytes(), [0; SIZE]);
            }
        }
    });
    let engine = world.engine.clone();
    let snapshots = spawn(move || (0..3).for_each(|_| engine.snapshot().unwrap()));
    poster.join().unwrap();
    snapshots.join().unwrap();
    let expected: Vec<u8> = (1..POSTS).collect();
    assert_eq!(numbers(&world.engine), expected);
    let killed = small(world.disk.kill(), MEMORY).open(ROOT).unwrap();
    assert_eq!(numbers(&killed), expected);
    killed.snapshot().unwrap();
    let verification = killed.verify().unwrap();
    assert!(verification.is_sound(), "{:?}", verification.findings());
}

#[test]
fn a_page_is_whole_wherever_its_frame_is() {
    check("large messages beside snapshots", posts_beside_snapshots::<{ 1 << 20 }>);
    check("large messages that leave memory beside snapshots", posts_beside_snapshots::<{ 20 << 10 }>);
}

#[test]
fn what_a_snapshot_covers_is_durable_whichever_thread_named_its_segment() {
    check("large messages and a power cut", || {
        let disk = SimulatedDisk::new();
        let world = World::open(disk.clone(), small(disk, 20 << 10));
        post_large(&world.jobs, 1);
        let jobs = world.jobs.clone();
        let poster = spawn(move || post_large(&jobs, 2));
        world.engine.snapshot().unwrap();
        poster.join().unwrap();
        let cut = world.disk.power_loss(Keep::Nothing);
        drop(world);
        let engine = small(cut, 20 << 10).open(ROOT).unwrap();
        let found = numbers(&engine);
        assert!(found.starts_with(&[1]) && found.len() <= 2, "{found:?}");
    });
}
