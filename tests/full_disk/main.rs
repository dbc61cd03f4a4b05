//! Full disks. After any mix of calls and any kill, a store on a full disk opens, keeps its acknowledged messages, can
//! be emptied, and then accepts posts again.
//!
//! The tests always use a simulated disk with a limit, and also small real file systems where mounting is allowed.
//! `ZAQAR_SEED` is the first seed, `ZAQAR_ROUNDS` the number of seeds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "in a test a panic is the way to say what is wrong"
)]

mod cases;
mod drain;
mod medium;
mod mounted;
mod simulated;

#[path = "../support/ledger.rs"]
mod ledger;
#[path = "../support/metered.rs"]
mod metered;
#[path = "../support/random.rs"]
mod random;
#[path = "../support/severed.rs"]
mod severed;
#[path = "../support/values.rs"]
mod values;
#[path = "../support/variables.rs"]
mod variables;
#[path = "../support/wrapped_disk.rs"]
mod wrapped_disk;
