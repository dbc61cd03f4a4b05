//! Opening, closing, dropping and killing a store during calls of every kind: no acknowledged change is lost, a closed
//! engine writes nothing, and the store opens afterwards.
//!
//! The rounds follow from `ZAQAR_SEED`, except for the scheduling of threads; `ZAQAR_ROUNDS` makes the campaigns
//! longer. Both are printed with `--nocapture`, and the seed on failure too.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod closing;
mod fork;
mod inspecting;
#[path = "../support/ledger.rs"]
mod ledger;
mod opening;
mod placing;
#[path = "../support/random.rs"]
mod random;
mod storm;
#[path = "../support/tracked_disk.rs"]
mod tracked_disk;
#[path = "../support/values.rs"]
mod values;
#[path = "../support/variables.rs"]
mod variables;
#[path = "../support/wrapped_disk.rs"]
mod wrapped_disk;
