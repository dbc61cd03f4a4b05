//! Stores that were killed, lost power, were damaged or ran out of space. The tests check durability, atomicity,
//! exclusive claims, order and finality.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "in a test a panic is the way to say what is wrong"
)]
#![allow(clippy::cast_possible_truncation, reason = "the numbers come from a generator and are small")]
#![allow(clippy::format_collect, reason = "a dump is a few lines")]
#![allow(clippy::duration_suboptimal_units, reason = "seconds are what the contract counts in")]

mod archives;
mod around;
mod between;
#[path = "../support/clock.rs"]
mod clock;
mod cut;
mod earlier;
mod full;
mod inspecting;
mod interval;
mod kill;
mod markers;
#[path = "../support/metered.rs"]
mod metered;
mod opening;
mod pooled;
mod power_loss;
mod recovery;
mod registry;
mod strangers;
mod support;

#[path = "../support/images.rs"]
mod images;
#[path = "../support/kills.rs"]
mod kills;
#[path = "../support/ledger.rs"]
mod ledger;
#[path = "../support/random.rs"]
mod random;
#[path = "../support/values.rs"]
mod values;
#[path = "../support/variables.rs"]
mod variables;
#[path = "../support/wrapped_disk.rs"]
mod wrapped_disk;
