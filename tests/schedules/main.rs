//! Small programs of two to five threads on a whole engine, run under many schedules. A checker chooses the next thread
//! at each lock, wait, signal and atomic of the engine (`src/sync`). A program fails by an assertion, or when all its
//! threads wait. A lost wake-up is a deadlock here, because no time passes that would end the wait.
//!
//! ```sh
//! RUSTFLAGS='--cfg zaqar_schedules' cargo test --profile schedules --target-dir target/schedules --test schedules
//! ```
//!
//! Each program runs under `ZAQAR_SCHEDULES` random schedules and as many of PCT, which finds every fault that needs up
//! to three decisions with a known probability. The schedules follow from `ZAQAR_SEED`. Without the flag this test is
//! empty.

#![cfg(zaqar_schedules)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod admission;
mod archives;
mod claim_wait;
mod closing;
mod group_commit;
mod large;
mod pooled;
mod program;
mod quotas;
#[path = "../support/random.rs"]
mod random;
mod rates;
mod topics;
#[path = "../support/tracked_disk.rs"]
mod tracked_disk;
#[path = "../support/variables.rs"]
mod variables;
#[path = "../support/wrapped_disk.rs"]
mod wrapped_disk;
