//! The engine, and the pooled driver, against the reference model: the same random calls to both have to give the same
//! answers.
//!
//! A case is a sequence of calls on a few queues in two projects. Ids, claims and markers are picked among all seen so
//! far: live, stale or of another queue. Between the calls time passes, the wall clock steps, and the engine is closed,
//! killed or loses power and is opened again, writes checkpoints and snapshots, and collects garbage. In most cases the
//! engine may keep little or nothing in memory. After each case everything is compared once more, before and after
//! another opening, and the engine is verified.
//!
//! The calls include topics, subscriptions, pools, flavors and the catalogue. The engine only registers pools. The pooled
//! driver opens their stores, chooses among them, moves queues between them and sends dead letters between them.
//!
//! In a third of the tests time also passes during the calls, at every reading of the clock.
//!
//! The ids of the two differ, so each of the engine's ids is paired with the model's id of the same item.
//!
//! - `ZAQAR_OPS=10000000 cargo test --release --test differential` runs a campaign of that many calls;
//! - `ZAQAR_SEED=...`, which a failure prints, runs the same cases again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "in a test a panic is the way to say what is wrong"
)]
mod batches;
mod bookmarks;
mod calls;
mod catalogue;
#[path = "../support/clock.rs"]
mod clock;
mod clocks;
mod controllers;
mod diagnostics;
mod flavors;
mod ids;
mod moves;
mod pair;
mod pools;
mod projects;
mod retries;
mod subject;
mod subscriptions;
mod topics;
#[path = "../support/variables.rs"]
mod variables;
mod world;

use std::cell::Cell;
use std::time::Instant;

use proptest::test_runner::{Config as RunnerConfig, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use calls::{CASE_OPS, case};
use moves::Traffic;
use pair::play;
use subject::Kind;
use variables::{OPS, SEED};

#[test]
fn the_engine_answers_as_the_model_does() {
    let traffic = run("the_engine", Kind::Engine, 120_000);
    assert!(OPS.get::<u32>().is_some() || (traffic.published > 0 && traffic.limited > 100), "{traffic:?}");
}

#[test]
fn an_engine_whose_clock_ticks_at_every_reading_answers_as_the_model_does() {
    run("an_engine_whose_clock_ticks", Kind::Ticking, 40_000);
}

#[test]
fn the_pooled_driver_answers_as_the_model_does() {
    // A random run in which no dead letter waits for its pool is rare and proves nothing, so another follows.
    let covers_all = (0..8).any(|_| {
        let traffic = run("the_pooled_driver", Kind::Pooled, DEFAULT_POOLED);
        println!("{traffic:?}");
        // Few calls may be without.
        let few = OPS.get().is_some_and(|calls: u32| calls < DEFAULT_POOLED);
        few || (traffic.moves > 0 && traffic.dead_letters > 0 && traffic.waits > 0 && traffic.published > 0)
    });
    assert!(covers_all, "no run had moves, dead letters, dead letters that waited and posts to subscribed queues");
}

/// The default number of calls on the pooled driver.
const DEFAULT_POOLED: u32 = 60_000;

/// Plays cases with `calls` calls together, unless `ZAQAR_OPS` sets another number.
fn run(name: &str, kind: Kind, calls: u32) -> Traffic {
    let total = OPS.or(calls);
    let seed = SEED.or_arbitrary();
    let cases = total.div_ceil(CASE_OPS);
    let config = RunnerConfig { cases, max_shrink_iters: 8_000, failure_persistence: None, ..RunnerConfig::default() };
    let mut runner = TestRunner::new_with_rng(config, rng(seed));
    let (started, done) = (Instant::now(), Cell::new(0_usize));
    let traffic = Cell::new(Traffic::default());
    let result = runner.run(&case(kind), |case| {
        done.set(done.get() + case.ops.len());
        let of_case = play(&case).map_err(TestCaseError::fail)?;
        traffic.set([traffic.get(), of_case].into_iter().sum());
        Ok(())
    });
    match result {
        Ok(()) => println!("{} calls in {:?}, seed {seed}", done.get(), started.elapsed()),
        Err(TestError::Fail(reason, case)) => panic!(
            "{reason}\n{}to run the same cases again: \
             ZAQAR_SEED={seed} ZAQAR_OPS={total} cargo test --test differential {name}",
            case.text()
        ),
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
    traffic.get()
}

fn rng(seed: u64) -> TestRng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)
}
