//! An engine, or a pooled driver, compared with the reference model: their answers agree for all calls, with closes,
//! kills and power cuts in between.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use zaqar_sled::Durability;
use zaqar_sled_fuzz::operation::Operation;
use zaqar_sled_fuzz::subject::Kind;
use zaqar_sled_fuzz::world::{Next, World};

#[derive(Debug, Arbitrary)]
struct Input {
    kind: Kind,
    buffered: bool,
    operations: Vec<Operation>,
}

fuzz_target!(|input: Input| {
    let durability = if input.buffered { Durability::Buffered } else { Durability::Sync };
    let mut world = World::new(input.kind, durability);
    for operation in input.operations.iter().take(MOST_OPERATIONS) {
        if world.act(operation) == Next::Stop {
            return;
        }
    }
    world.finish();
});

const MOST_OPERATIONS: usize = 300;
