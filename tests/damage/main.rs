//! Damage to every file of a store: the result of an opening without salvage, and the messages that salvage recovers.
//!
//! Without salvage, a damaged store is refused and unchanged, or it opens and gives no wrong data: only damaged
//! messages are missing or unreadable. With salvage, undamaged messages are recovered: at least 99 in 100 of the
//! messages whose bytes are intact, over all cases of a kind, and no message that an intact record reports as deleted.

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
#[path = "../support/images.rs"]
mod images;
mod judge;
#[path = "../support/ledger.rs"]
mod ledger;
#[path = "../support/random.rs"]
mod random;
mod store;
#[path = "../support/values.rs"]
mod values;
#[path = "../support/variables.rs"]
mod variables;
