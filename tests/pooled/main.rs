//! The pooled driver as its callers see it: contract 12, and the features beyond it.
//!
//! A scene is written once, against a [`Harness`](support::Harness), and registered by `pooled!` as
//!
//! - `live`: the driver is left running;
//! - `reopened`: it is closed and opened again at every [`turn`](support::Harness::turn) of the scene;
//! - `killed`: it is killed and opened again at every turn.
//!
//! At the end of each scene the driver checks all its stores.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "in a test a panic is the way to say what is wrong"
)]

/// Registers each scene once for every way to run it.
macro_rules! pooled {
    ($($(#[$attribute:meta])* fn $name:ident($h:ident) $body:block)*) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            $(#[$attribute])*
            fn scene($h: &crate::support::Harness) $body

            #[test]
            fn live() {
                crate::support::Harness::live().play(scene);
            }

            #[test]
            fn reopened() {
                crate::support::Harness::reopened().play(scene);
            }

            #[test]
            fn killed() {
                crate::support::Harness::killed().play(scene);
            }
        }
    )*};
}

mod choice;
mod closing;
mod damage;
mod dead_letters;
mod driver;
mod durability;
mod ledgers;
mod leftovers;
mod likeness;
mod memory;
mod missing_stores;
mod moves;
mod operation;
mod portions;
mod quotas;
mod real;
mod recreation;
mod routing;
mod seeds;
mod storms;
mod subscriptions;
mod support;
mod threads;
mod transit;
mod unmapped;
mod unreachable;

#[path = "../support/random.rs"]
mod random;
#[path = "../support/values.rs"]
mod values;
#[path = "../support/variables.rs"]
mod variables;
