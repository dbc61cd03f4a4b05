//! Archived queues: queues that are not in memory, whatever happens meanwhile.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "in a test a panic is the way to say what is wrong"
)]
#![allow(clippy::cast_possible_truncation, reason = "the numbers come from a generator and are small")]

#[path = "../support/images.rs"]
mod images;
#[path = "../support/random.rs"]
mod random;
#[path = "../support/variables.rs"]
mod variables;

mod bound;
mod damage;
mod threads;
mod walk;

use std::sync::Arc;

use zaqar_sled::{Config, ManualClock, SimulatedDisk};

const ROOT: &str = "/store";

/// The settings of these tests: every idle queue is archived by each snapshot.
fn config(disk: &SimulatedDisk, clock: &Arc<ManualClock>) -> Config {
    let config = Config::new().disk(Arc::new(disk.clone())).clock(clock.clone()).queue_memory(0);
    config.background(false).segment_size(16 << 10)
}
