//! Backups of stores in use, and stores restored from them: what they hold, when they count, and what damage, power cuts,
//! failing calls and full disks leave.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![allow(clippy::cast_possible_truncation, reason = "the numbers are small")]

mod beside;
mod content;
mod cuts;
mod damage;
mod faults;
mod instants;
mod pooled;
mod refusals;
mod reuse;
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
#[path = "../support/wrapped_disk.rs"]
mod wrapped_disk;
