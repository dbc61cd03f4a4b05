//! Linearizability: concurrent calls must give answers that the same calls could give one after the other, each at some
//! instant between its start and its end (Herlihy and Wing; the search is Wing and Gong's).
//!
//! A history is three threads with four calls each on a few new queues, between calls of one thread before and after.
//! The calls are post, claim with dead letters, pop, delete, release, renew, list, statistics, reading and setting
//! metadata, and deleting and creating queues. A search compares the answers with `spec`, a short form of the contract,
//! and looks for an order that explains them. The clock and the disk delay threads at random, also while a queue and
//! the journal are locked.
//!
//! - `ZAQAR_HISTORIES=100000 cargo test --release --test histories -- --nocapture` runs that many of each kind;
//! - `ZAQAR_SEED=...`, which a failure prints, makes the threads make the same calls; the scheduler decides how they
//!   interleave.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "in a test a panic is the way to say what is wrong"
)]

mod calls;
#[path = "../support/clock.rs"]
mod clock;
#[path = "../support/random.rs"]
mod random;
mod search;
mod spec;
#[path = "../support/turbulence.rs"]
mod turbulence;
#[path = "../support/variables.rs"]
mod variables;
mod world;
#[path = "../support/wrapped_disk.rs"]
mod wrapped_disk;

use variables::{HISTORIES, SEED};
use world::{Kind, World};

#[test]
fn calls_on_one_store_are_linearizable() {
    run(Kind::Engine);
}

#[test]
fn calls_on_a_store_that_keeps_nothing_in_memory_are_linearizable() {
    run(Kind::Tiny);
}

#[test]
fn calls_on_a_driver_with_one_pool_are_linearizable() {
    run(Kind::OnePool);
}

#[test]
fn calls_on_a_driver_whose_dead_letters_go_to_another_pool_are_linearizable() {
    run(Kind::TwoPools);
}

fn run(kind: Kind) {
    let histories = HISTORIES.or(DEFAULT_HISTORIES);
    let seed = SEED.or_arbitrary();
    let (mut done, mut dead_letters) = (0, 0);
    while done < histories {
        // A store of its own for some of them at a time, so that it does not grow, and is opened in all its states.
        let world = World::open(kind);
        for number in done..histories.min(done + HISTORIES_A_STORE) {
            let history = world.play(seed.wrapping_add(number));
            dead_letters += history.dead_letters();
            if let Err(why) = search::explain(&history) {
                panic!("{kind:?}, history {number}: {why}\n{history}ZAQAR_SEED={seed}");
            }
        }
        done = histories.min(done + HISTORIES_A_STORE);
        world.finish();
    }
    println!("{kind:?}: {histories} histories, {dead_letters} dead letters, ZAQAR_SEED={seed}");
    assert!(
        dead_letters > 0 || histories < DEFAULT_HISTORIES,
        "{kind:?}: no dead letters: the calls do not meet what they are to"
    );
}

const DEFAULT_HISTORIES: u64 = 250;
const HISTORIES_A_STORE: u64 = 250;
