//! Small programs of two to five threads on a whole engine, run under many schedules: a checker decides at each lock, wait,
//! signal and atomic of the engine which thread goes on (`src/sync`). A program fails by an assertion, or when all its
//! threads wait: a wake-up that was lost is a deadlock here, since no time passes that would make it good.
//!
//! ```sh
//! RUSTFLAGS='--cfg zaqar_schedules' cargo test --profile schedules --target-dir target/schedules --test schedules
//! ```
//!
//! Each program is run under `ZAQAR_SCHEDULES` schedules by chance and as many by PCT, which finds every fault that needs up to
//! three decisions with a known probability. They follow from `ZAQAR_SEED`. Without the flag there is nothing in here.

#![cfg(zaqar_schedules)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod admission;
mod claim_wait;
mod closing;
mod group_commit;
mod program;
#[path = "../support/tracked_disk.rs"]
#[allow(dead_code, reason = "shared with other tests, which use the rest")]
mod tracked_disk;
