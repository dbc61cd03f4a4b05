//! Exports of stores in use, and stores that are made of them: what they hold, which exports are refused, and what power
//! cuts and failing calls leave.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![allow(clippy::cast_possible_truncation, reason = "the numbers are small")]

mod beside;
mod cuts;
mod exactness;
mod pooled;
mod refusals;
mod scene;

#[path = "../support/images.rs"]
mod images;
#[path = "../support/random.rs"]
mod random;
#[path = "../crash/support.rs"]
#[allow(dead_code, unused_imports, clippy::expect_used, reason = "the crash tests use more of it")]
mod support;
#[path = "../support/values.rs"]
mod values;
#[path = "../support/variables.rs"]
mod variables;
