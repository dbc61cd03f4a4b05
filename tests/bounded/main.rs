//! A store that holds more than its memory: every answer is the same as with enough memory; memory, journal and disk
//! stay within their bounds; and a post that has to wait waits no longer than configured.
//!
//! - `ZAQAR_SEED=...`, which a failure prints, plays other mixes of calls;
//! - `ZAQAR_POWER=all` cuts after every operation;
//! - `ZAQAR_QUEUES=1000000` creates that many queues;
//! - `cargo test --release --test bounded -- --ignored` runs the tests that take longer.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "in a test a panic is the way to say what is wrong"
)]
#![allow(clippy::cast_possible_truncation, reason = "the numbers come from a generator and are small")]

mod claims;
mod cuts;
mod damage;
mod dead_letters;
mod faults;
mod lives;
mod memory;
mod mixes;
mod opening;
mod pressure;
mod queues;
mod reading;
mod registry;
mod removal;
mod shelf;
mod space;
mod support;
mod threads;
mod twins;
mod waits;
mod watched;

#[path = "../support/images.rs"]
mod images;
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
