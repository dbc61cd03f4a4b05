//! What happens when time passes within a call: the clock ticks by itself, and jumps at whichever reading a test says.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "in a test a panic is the way to say what is wrong"
)]

#[path = "../support/clock.rs"]
mod clock;
mod moves;
