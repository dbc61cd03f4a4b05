//! Waiting under locks: locks are taken in one order, and a waiting thread holds no lock that all calls need.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "in a test a panic is the way to say what is wrong"
)]

#[path = "../support/clock.rs"]
mod clock;
mod directory;
mod storms;
#[path = "../support/values.rs"]
mod values;
#[path = "../support/variables.rs"]
mod variables;
