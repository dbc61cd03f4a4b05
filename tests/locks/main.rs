//! Who waits for whom: locks are taken in one order, and nothing that all calls need is held by a thread that waits.

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
