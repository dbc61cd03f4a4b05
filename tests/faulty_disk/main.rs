//! Disks that fail as on Linux: failed syncs that lose data and succeed afterwards, flipped bits, unreadable sectors,
//! and too few descriptors. After the fault acknowledged messages exist and deleted ones do not, and one unreadable
//! page affects only that page.
//!
//! The short form takes seconds; the README's table of campaigns has the long one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "in a test a panic is the way to say what is wrong"
)]

mod batches;
mod damaged;
mod descriptors;
mod gaps;
mod given_back;
mod journal;
#[path = "../support/ledger.rs"]
mod ledger;
mod openings;
mod proof;
mod script;
mod support;

#[path = "../support/random.rs"]
mod random;
#[path = "../support/values.rs"]
mod values;
#[path = "../support/variables.rs"]
mod variables;
