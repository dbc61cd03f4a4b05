//! On a simulated disk with a limit.

use zaqar_sled::Durability;
use zaqar_sled::disk::SimulatedDisk;

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
