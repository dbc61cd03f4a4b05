//! A power cut, or a kill, after each operation of a pooled driver's stores; see [`cut`](super::cut).

mod accounts;
mod kills;
mod labour;
mod ledger;
mod scene;
mod threads;
mod view;

use std::collections::BTreeMap;

use zaqar_sled::disk::Keep;

use super::cut::{self, End, Left, Oracle, Scene, cut_everywhere, cut_recovery, operations, run_and_cut, seeds, uncut};
use super::variables::POWER;
use scene::Pooled;

/// Each call acknowledged at `Sync`.
type Synced = Pooled<false>;
/// Most only `Buffered`.
type Mixed = Pooled<true>;

#[test]
fn the_calls_come_to_the_same_on_every_disk() {
    let mut counts = BTreeMap::new();
    // One seed alone may make none of a kind: the runs of the next ones count too.
    let seeds = if let [one] = seeds()[..] { (one..one + 6).collect() } else { seeds() };
    for seed in seeds {
        for (what, times) in uncut::<Synced>(seed).told.counts.into_iter().chain(uncut::<Mixed>(seed).told.counts) {
            *counts.entry(what).or_default() += times;
        }
        println!("up to seed {seed}: {counts:?}");
    }
    for what in
        ["dead letters", "claims", "subscriptions", "moves", "moved under a claim", "mapped again", "queues deleted"]
    {
        assert!(counts.get(what).is_some_and(|times: &u64| *times > 1), "too few {what}: {counts:?}");
    }
}

#[test]
fn a_power_cut_that_keeps_nothing_unsynced_leaves_all_that_was_synced() {
    cut_everywhere::<Synced>(|_| End::Power(Keep::Nothing), 12);
}

#[test]
fn a_power_cut_that_keeps_some_of_the_unsynced_leaves_all_that_was_synced() {
    cut_everywhere::<Synced>(|k| End::Power(Keep::Random(k)), 12);
}

#[test]
fn a_kill_leaves_all_that_was_acknowledged() {
    cut_everywhere::<Mixed>(|_| End::Kill, 12);
}

#[test]
fn a_power_cut_loses_and_doubles_nothing_synced_whatever_it_takes_back() {
    for seed in seeds() {
        let stride = POWER.stride(5);
        for k in (seed % stride..operations::<Mixed>(seed)).step_by(stride as usize) {
            let end = End::Power(if k % 2 == 0 { Keep::Nothing } else { Keep::Random(k) });
            let mut left = run_and_cut::<Mixed>(seed, k, end);
            if k % 3 == 1 {
                cut_recovery(&mut left, k / 3 % Mixed::RECOVERY, end);
            }
            check_ledger(left, &format!("seed {seed}, operation {k}, {end:?}"));
        }
    }
}

fn check_ledger(left: Left<Mixed>, context: &str) {
    let Left { disk, clock, told, reached } = left;
    let context = format!("{context}, {reached:?}");
    let driver = Mixed::recover(&disk, &clock, 78).unwrap_or_else(|error| panic!("{context}: {error}"));
    Mixed::assert_sound(&driver, &context);
    told.ledger.check(&driver, cut::wall(&clock), &context);
    Mixed::add(&driver, &told, &context);
    cut::go_on::<Mixed>(driver, &disk, &clock, &context);
}

#[test]
fn a_recovery_can_be_cut_after_every_operation() {
    let seed = seeds()[0];
    let mut oracle = Oracle::<Synced>::new(seed);
    let operations = operations::<Synced>(seed);
    let cuts = if POWER.is_all() { 40 } else { 3 };
    for n in 0..cuts {
        let k = operations * (2 * n + 1) / (2 * cuts);
        let mut r = 0;
        loop {
            let mut ended = true;
            for end in [End::Kill, End::Power(Keep::Nothing), End::Power(Keep::Random(r))] {
                let mut left = run_and_cut::<Synced>(seed, k, end);
                ended &= cut_recovery(&mut left, r, end);
                let context = format!("seed {seed}, operation {k}, then {r}, {end:?}, {:?}", left.reached);
                cut::check(&mut oracle, &left, end, &context);
            }
            if ended {
                break;
            }
            r += 1;
        }
        println!("seed {seed}, operation {k}: {r} operations of recovery");
    }
}
