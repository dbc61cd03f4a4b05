//! Power cuts during calls of several threads, one of which moves queues, and during the relay's work.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use zaqar_sled::disk::{Keep, SimulatedDisk};
use zaqar_sled::{DataDriver, Error, NewMessage, Project};

use super::super::support::{CLIENT, Random, clock, config};
use super::super::variables::{ROUNDS, SEED};
use super::accounts::Accounts;
use super::labour::{QUEUES, move_about, set_up, work};

const WORKERS: u64 = 3;

#[test]
fn a_power_cut_under_several_threads_and_a_move_loses_and_doubles_nothing_acknowledged() {
    let rounds = ROUNDS.or(100);
    let seed = SEED.or(1);
    let mut random = Random::new(seed);
    let (mut answers, mut dead_letters, mut moves) = (0, 0, 0);
    for round in 0..rounds {
        let keep = if random.one_in(2) { Keep::Nothing } else { Keep::Random(round) };
        let context = format!("ZAQAR_SEED={seed}, round {round}, {keep:?}");
        let accounts = cut_labour(seed * 1_000 + round, 20 + random.below(6_000), keep, &context);
        answers += accounts.answers;
        dead_letters += accounts.dead_letters;
        moves += accounts.moves;
    }
    println!("{rounds} rounds, {answers} answers, {dead_letters} dead letters, {moves} moves");
    assert!(dead_letters > 0 && moves > 0, "too little happens");
}

fn cut_labour(seed: u64, operations: u64, keep: Keep, context: &str) -> Accounts {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let config = |disk: &SimulatedDisk, seed| {
        config(disk, &clock, seed).background(true).sync_interval(Duration::from_millis(1))
    };
    let driver = config(&disk, seed).open_pooled("/control").unwrap();
    set_up(&driver, "").unwrap();
    disk.fail_after(operations);
    let book = Mutex::new(Vec::new());
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let (driver, book, stop) = (&driver, &book, &stop);
        let workers: Vec<_> = (0..WORKERS)
            .map(|number| scope.spawn(move || work(driver, book, seed, number, stop).unwrap_err()))
            .collect();
        let mover = scope.spawn(move || move_about(driver, book, seed, stop));
        for worker in workers {
            assert_failure(&worker.join().unwrap(), context);
        }
        // A thread that writes nothing does not notice the cut by itself.
        stop.store(true, Ordering::Relaxed);
        mover.join().unwrap().unwrap_or_else(|error| assert_failure(&error, context));
    });
    let left = disk.power_loss(keep);
    drop(driver);
    let mut accounts = Accounts::new(false);
    book.into_inner().unwrap().iter().for_each(|line| accounts.read(line));
    let driver = config(&left, 2).background(false).open_pooled("/control");
    let driver = driver.unwrap_or_else(|error| panic!("{context}: {error}"));
    accounts.check(&driver, context);
    for queue in QUEUES {
        let message = NewMessage::new("new").ttl(Duration::from_secs(60));
        let ids = driver.messages().post(&Project::none(), &queue.parse().unwrap(), CLIENT, &[message]).unwrap();
        assert!(!accounts.was_shown(&ids[0]), "{context}: {} was given out before", ids[0]);
    }
    accounts
}

/// Asserts that the call failed, and was not only refused.
fn assert_failure(error: &Error, context: &str) {
    let answer = error.is_not_found() || error.is_conflict() || error.is_not_permitted() || error.is_invalid();
    assert!(!answer, "{context}: {error}");
}
