//! Time that passes during a call: the clock advances by itself, and jumps at any reading that a test chooses.

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
#[path = "../support/values.rs"]
mod values;
