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
mod opening;
mod placing;
#[path = "../support/random.rs"]
#[allow(dead_code, reason = "shared with other tests, which use the rest")]
mod random;
mod storm;
#[path = "../support/tracked_disk.rs"]
mod tracked_disk;
#[path = "../support/wrapped_disk.rs"]
mod wrapped_disk;

/// A number from the environment, or `default`.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}
