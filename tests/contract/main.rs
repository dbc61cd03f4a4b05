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

            #[test]
            fn model() {
                crate::support::Harness::model().play(scene);
            }

            engines!();
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

            #[test]
            fn model() {
                crate::support::Harness::model().pooled().play(scene);
            }

            #[test]
            fn live() {
                crate::support::Harness::live().pooled().play(scene);
            }

            #[test]
            fn cold() {
                crate::support::Harness::cold().pooled().play(scene);
            }

            #[test]
            fn reopened() {
                crate::support::Harness::reopened().pooled().play(scene);
            }

            #[test]
            fn recovered() {
                crate::support::Harness::recovered().pooled().play(scene);
            }
        }
    )*};
}

/// The engine's five ways to run a scene.
macro_rules! engines {
    () => {
        #[test]
        fn live() {
            crate::support::Harness::live().play(scene);
        }

        #[test]
        fn cold() {
            crate::support::Harness::cold().play(scene);
        }

        #[test]
        fn reopened() {
            crate::support::Harness::reopened().play(scene);
        }

        #[test]
        fn recovered() {
            crate::support::Harness::recovered().play(scene);
        }

        #[test]
        fn rebuilt() {
            crate::support::Harness::rebuilt().play(scene);
        }
    };
}

mod bugs;
mod catalogue;
mod claims;
mod control;
mod decisions;
mod driver;
mod features;
mod flavors;
mod messages;
mod pool_updates;
mod pooling;
mod pools;
mod queues;
mod races;
mod settings;
mod subscription_updates;
mod subscriptions;
mod support;

#[path = "../support/values.rs"]
mod values;
