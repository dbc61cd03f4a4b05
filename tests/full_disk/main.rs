//! Full disks. From any of them, after any mix of calls and any kill, a store opens, keeps what it acknowledged, can be
//! drained to nothing, and then takes posts again.
//!
//! Always on a simulated disk with a limit; on small real file systems where mounting is allowed. `ZAQAR_SEED` is the first
//! seed, `ZAQAR_ROUNDS` how many follow.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "in a test a panic is the way to say what is wrong"
)]

mod cases;
mod drain;
mod mounted;
mod place;
mod simulated;

#[path = "../support/metered.rs"]
mod metered;
#[path = "../support/random.rs"]
mod random;
#[path = "../support/severed.rs"]
mod severed;
