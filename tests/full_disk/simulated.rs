//! On a simulated disk with a limit.

use std::sync::Arc;

use zaqar_sled::disk::{Disk, SimulatedDisk};
use zaqar_sled::{ClientId, Config, Durability, Metadata, NewMessage, Project};

use crate::drain::{Shape, live};
use crate::medium::Simulated;
use crate::random::Random;
use crate::variables::{ROUNDS, SEED};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// The shape of a life that follows from a seed, and its disk space beside the empty store.
pub(crate) fn shape(seed: u64, most: u64) -> (Shape, u64) {
    let mut random = Random::new(seed ^ 0xd15c);
    let segment = random.pick(&[4 * KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 16 * MIB]).min(most / 3);
    let body = random.pick(&[1, 1, 30, 300, 300, 2_000, 20_000, 300_000, 10_000_000]);
    let body = body.min(usize::try_from(most / 12).unwrap());
    let space = (segment * (2 + random.below(6)) + body as u64 * 8 + random.below(300_000)).min(most);
    let memory = random.pick(&[0, 8 * KIB, 64 * KIB, MIB, 256 * MIB]);
    let durability = if random.one_in(2) { Durability::Sync } else { Durability::Buffered };
    let kills = random.pick(&[3, 20, 100, 1_000]);
    (Shape { segment, memory, body, calls: 3_000, background: false, durability, kills }, space)
}

#[test]
fn health_on_a_full_disk_leaves_out_what_it_could_not_try() {
    let disk = SimulatedDisk::new();
    let engine = Config::new().disk(Arc::new(disk.clone())).background(false).open("/store").unwrap();
    let queue = engine.queue(Project::none(), "jobs").unwrap();
    queue.create(Metadata::new()).unwrap();
    disk.set_capacity(Some(disk.list_all().iter().map(|path| disk.size(path).unwrap_or(0)).sum()));
    while queue.post(ClientId::random(), &vec![NewMessage::new(vec![7; 20_000]); 8]).is_ok() {}
    let health = engine.health().unwrap();
    let failed: Vec<_> = health.operations().iter().filter(|tried| !tried.succeeded()).collect();
    let names: Vec<&str> = health.operations().iter().map(zaqar_sled::OperationStatus::name).collect();
    assert!(!failed.is_empty(), "{names:?}");
    assert!(failed.iter().all(|tried| tried.failure().unwrap().contains("full") && tried.reference().is_some()));
    // Nothing was there to claim or to delete.
    assert!(names == ["create_queue"] || names == ["create_queue", "post_messages", "delete_queue"], "{names:?}");
}

#[test]
fn a_store_on_a_full_disk_opens_and_drains_to_nothing_and_the_space_comes_back() {
    let (first, rounds) = (SEED.or(0), ROUNDS.or(24));
    for seed in first..first + rounds {
        let (shape, space) = shape(seed, 100 * MIB);
        let disk = SimulatedDisk::new();
        let limit = disk.clone();
        let calls = live(Simulated(disk), &shape, seed, |empty| limit.set_capacity(Some(empty + space)));
        println!("seed {seed}: drained in {calls} calls, {space} bytes of space, {shape:?}");
    }
}
