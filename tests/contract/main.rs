//! The storage contract as tests: one for every rule, each run against every implementation of the traits.
//!
//! A test is written once, against a [`Harness`](support::Harness), and registered by `contract!` as
//!
//! - `model`: the reference model;
//! - `live`: the engine, left running;
//! - `cold`: the engine, left running, that may keep no message in memory;
//! - `reopened`: the engine, closed and opened again at every [`turn`](support::Harness::turn) of the test;
//! - `recovered`: the engine, killed and opened again at every turn;
//! - `rebuilt`: the engine, at every turn made to write a checkpoint and a snapshot, killed, opened from the snapshot,
//!   closed, and opened from the trees.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "in a test a panic is the way to say what is wrong"
)]

/// Registers each scene once for every implementation.
macro_rules! contract {
    ($($(#[$attribute:meta])* fn $name:ident($h:ident) $body:block)*) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            $(#[$attribute])*
            fn scene($h: &crate::support::Harness) $body

            ways!(std::convert::identity; model live cold reopened recovered rebuilt);
        }
    )*};
}

/// Registers each scene once for every pooled driver. Each turn runs the work between the stores.
macro_rules! pooled {
    ($($(#[$attribute:meta])* fn $name:ident($h:ident) $body:block)*) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            $(#[$attribute])*
            fn scene($h: &crate::support::Harness) $body

            ways!(crate::support::Harness::pooled; model live cold reopened recovered);
        }
    )*};
}

/// A test for each way to run a scene, with the harness that `change` makes of the plain one.
macro_rules! ways {
    ($change:expr; $($way:ident)*) => {$(
        #[test]
        fn $way() {
            ($change)(crate::support::Harness::$way()).play(scene);
        }
    )*};
}

mod batches;
mod bookmarks;
mod bounds;
mod bugs;
mod catalogue;
mod claims;
mod control;
mod decisions;
mod diagnostics;
mod driver;
mod features;
mod flavors;
mod headers;
mod lifetimes;
mod messages;
mod pauses;
mod pool_updates;
mod pooling;
mod pools;
mod projects;
mod queues;
mod races;
mod rates;
mod redrives;
mod retries;
mod settings;
mod subscription_updates;
mod subscriptions;
mod support;
mod topics;

#[path = "../support/values.rs"]
mod values;
