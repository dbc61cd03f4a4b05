//! Disks that fail as Linux lets them fail: failed syncs that lose what they covered and report success afterwards, bits that
//! rot, sectors that cannot be read, descriptors that run out. What was acknowledged is there after the fault has gone, what
//! was deleted is not, and one unreadable page costs that page.
//!
//! The short form takes seconds; see README's table of campaigns for the long one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "in a test a panic is the way to say what is wrong"
)]

mod damaged;
mod descriptors;
mod proof;
mod script;
mod support;

#[path = "../support/random.rs"]
mod random;
