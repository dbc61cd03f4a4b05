//! Compactions of stores in use: how small they make a store, and that they change nothing that a caller sees.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![allow(clippy::cast_possible_truncation, reason = "the numbers are small")]

mod beside;
mod bounds;

#[path = "../support/images.rs"]
mod images;
#[path = "../support/random.rs"]
mod random;
#[path = "../crash/support.rs"]
#[allow(dead_code, unused_imports, clippy::expect_used, reason = "the crash tests use more of it")]
mod support;
#[path = "../support/values.rs"]
mod values;
