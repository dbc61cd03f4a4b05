//! Damage to every file of a store: what an opening without salvage makes of it, and how much salvage gets back.
//!
//! Without salvage a damaged store is refused and left as it was, or it opens and gives no wrong data: what is missing or
//! cannot be read was damaged. With salvage what was not damaged is there again: at least 99 in 100 of the messages whose
//! bytes are whole, over all cases of a kind, and none that a record that is left says was deleted.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "in a test a panic is the way to say what is wrong"
)]
#![allow(clippy::cast_possible_truncation, reason = "the numbers come from a generator and are small")]

mod campaign;
mod cases;
mod evidence;
mod harm;
mod judge;
mod store;
