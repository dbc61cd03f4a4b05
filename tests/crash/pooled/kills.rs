//! `kill -9`, again and again: a child opens the stores that the last one left, works on them from several threads
//! while another moves the queues, and dies at a random moment. See [`kill`](super::super::kill).

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use zaqar_sled::{Config, PooledDriver, Result};

use crate::kills::{Diary, Kills, Order, Outcome, tell_ready};
use crate::variables::POOLED_CHILD as CHILD;

use super::accounts::Accounts;
use super::labour::{move_about, set_up, work};

const WORKERS: u64 = 2;

fn open(root: &Path) -> Result<PooledDriver> {
    let config = Config::new().segment_size(16 << 10).sync_interval(Duration::from_millis(5));
    config.open_pooled(root.join("control"))
}

/// The child: not a test of its own, but the way back into this program.
#[test]
fn child() {
    let Some(Order { root, diary, seed }) = Order::read(CHILD) else { return };
    let driver = open(&root).unwrap();
    set_up(&driver, &root.display().to_string()).unwrap();
    tell_ready();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let (driver, diary, stop) = (&driver, &diary, &stop);
        for number in 0..WORKERS {
            scope.spawn(move || work(driver, diary, seed, number, stop).unwrap());
        }
        scope.spawn(move || move_about(driver, diary, seed, stop).unwrap());
        // Long after it should have been killed.
        thread::sleep(Duration::from_secs(20));
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn acknowledged_calls_of_a_killed_process_are_kept() {
    if CHILD.get().is_some() {
        return;
    }
    let mut accounts = Accounts::new(true);
    let kills = Kills { child: ("pooled::kills::child", CHILD), rounds: 25 };
    let read = |accounts: &mut Accounts, diary: &Path| {
        Diary::lines(diary).iter().for_each(|line| accounts.read(line));
    };
    let Outcome { seed, rounds, took, .. } = kills.run(&mut accounts, read, |accounts, root, round, _| {
        let driver = open(root).unwrap_or_else(|error| panic!("{error}"));
        set_up(&driver, &root.display().to_string()).unwrap();
        accounts.check(&driver, &format!("round {round}"));
        accounts.go_on(&driver, round % 4 == 3);
        if round % 3 == 0 {
            driver.close().unwrap();
        }
    });
    let Accounts { answers, dead_letters, moves, .. } = accounts;
    println!("seed {seed}: {rounds} rounds, {answers} answers, {dead_letters} dead letters, {moves} moves in {took:?}");
    assert!(rounds < 20 || dead_letters.min(moves) > 0, "too little happens");
}
