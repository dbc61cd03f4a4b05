//! Changes that no call waits for are synced within the interval.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zaqar_sled::disk::{Keep, RealDisk, SimulatedDisk};
use zaqar_sled::{Config, Durability, Engine, ManualClock, Metadata, Project, Queue};

use super::metered::{Meter, MeteredDisk};
use super::support::{CLIENT, ROOT, clock, config, everything, message};

fn jobs(engine: &Engine) -> Queue {
    engine.queue(Project::none(), "jobs").unwrap()
}

/// Posts bodies of that size for a while, and cuts the power. Returns three times: the age of the oldest lost post, the
/// age of the oldest post that a power cut at any earlier time would have lost, and the longest time for which the
/// machine kept the poster from running.
fn oldest_lost(interval: Duration, sync: Duration, body: usize) -> (Duration, Duration, Duration) {
    let clock = clock();
    let disk = SimulatedDisk::new();
    let slow = MeteredDisk::around(Arc::new(disk.clone()), Meter::default());
    let settings = Config::new().clock(clock.clone()).segment_size(4 << 20).durability(Durability::Buffered);
    let engine = settings.sync_interval(interval).disk(Arc::new(slow.clone())).open(ROOT).unwrap();
    jobs(&engine).create(Metadata::new()).unwrap();
    slow.hook.slow_down(sync);
    let (started, mut last, mut held_up, mut oldest) = (Instant::now(), Instant::now(), Duration::ZERO, Duration::ZERO);
    let mut told = Vec::new();
    while started.elapsed() < Duration::from_millis(900) {
        told.extend(
            jobs(&engine).post(CLIENT, &[message("m", body)]).unwrap().into_iter().map(|id| (id, Instant::now())),
        );
        // Each post is one change, and there are no other changes.
        let unsynced = usize::try_from(engine.status().unsynced()).unwrap();
        let first = told.len().checked_sub(unsynced).and_then(|synced| told.get(synced));
        oldest = oldest.max(first.map_or(Duration::ZERO, |(_, at)| at.elapsed()));
        held_up = held_up.max(last.elapsed());
        last = Instant::now();
        std::thread::sleep(Duration::from_millis(1));
    }
    let disk = disk.power_loss(Keep::Nothing);
    let cut = Instant::now();
    drop(engine);
    let engine = config(&disk, &clock, 2).segment_size(4 << 20).open(ROOT).unwrap();
    let there = jobs(&engine).exists().unwrap();
    let found =
        there.then(|| jobs(&engine).iter(everything()).map(|message| message.unwrap().id()).collect::<Vec<_>>());
    let kept: BTreeSet<_> = found.into_iter().flatten().collect();
    let gone = told.iter().find(|(id, _)| !kept.contains(id));
    (gone.map_or(Duration::ZERO, |(_, at)| cut.duration_since(*at)), oldest, held_up)
}

/// Asserts that in one of some tries no lost post was older than the longer of interval and sync, plus one sync.
fn assert_within(interval: u64, sync: u64, lost: impl Fn(Duration, Duration) -> (Duration, Duration)) {
    let (interval, sync) = (Duration::from_millis(interval), Duration::from_millis(sync));
    // The longer of both until a sync begins, then the sync.
    let bound = interval.max(sync) + sync;
    // A busy machine may delay the syncs. It is a fault only if no try is within the bound.
    let tries = (0..6).map(|_| lost(interval, sync));
    let slack = |held_up: Duration| Duration::from_millis(30) + held_up * 2;
    let over: Vec<_> = tries.take_while(|(lost, held_up)| *lost > bound + slack(*held_up)).collect();
    assert!(over.len() < 6, "{over:?} lost of {interval:?} and {sync:?}");
}

#[test]
fn buffered_loses_no_more_than_the_interval_and_a_sync() {
    for (interval, sync) in [(60, 40), (200, 50), (30, 8), (20, 60)] {
        // Bodies so large that a segment has to be prepared during the run.
        assert_within(interval, sync, |interval, sync| {
            let (lost, _, held_up) = oldest_lost(interval, sync, 2_000);
            (lost, held_up)
        });
    }
}

#[test]
fn buffered_would_lose_no_more_at_any_instant_between_two_segments() {
    for (interval, sync) in [(60, 40), (200, 50), (20, 60), (150, 150)] {
        assert_within(interval, sync, |interval, sync| {
            let (lost, oldest, held_up) = oldest_lost(interval, sync, 10);
            (lost.max(oldest), held_up)
        });
    }
}

#[test]
fn an_observed_expiry_stays_after_a_power_cut_and_a_clock_set_back() {
    let (disk, clock, set_back) = (SimulatedDisk::new(), clock(), clock());
    let open = |disk: &SimulatedDisk, clock: &Arc<ManualClock>| {
        config(disk, clock, 1).background(true).sync_interval(Duration::from_millis(5)).open(ROOT).unwrap()
    };
    let engine = open(&disk, &clock);
    jobs(&engine).create(Metadata::new()).unwrap();
    jobs(&engine).post(CLIENT, &[message("short", 9).ttl(Duration::from_secs(10))]).unwrap();
    clock.advance(Duration::from_secs(10));
    assert!(jobs(&engine).list(&everything()).unwrap().items.is_empty());
    let patience = Instant::now();
    while engine.status().unsynced() > 0 {
        assert!(patience.elapsed() < Duration::from_secs(20), "it is never synced: {:?}", engine.status());
        std::thread::yield_now();
    }
    let disk = disk.power_loss(Keep::Nothing);
    drop(engine);
    let engine = open(&disk, &set_back);
    assert!(jobs(&engine).list(&everything()).unwrap().items.is_empty(), "it is back");
}

#[test]
fn opening_one_post_and_closing_write_little_and_sync_seldom() {
    let folder = tempfile::tempdir().unwrap();
    let disk = MeteredDisk::around(Arc::new(RealDisk), Meter::default());
    let settings = || Config::new().disk(Arc::new(disk.clone()));
    let first = settings().open(folder.path()).unwrap();
    jobs(&first).create(Metadata::new()).unwrap();
    first.close().unwrap();
    drop(first);
    for round in 0..5 {
        let (written, syncs) = (disk.hook.written(), disk.hook.syncs());
        let engine = settings().open(folder.path()).unwrap();
        jobs(&engine).post(CLIENT, &[message("m", 100)]).unwrap();
        engine.close().unwrap();
        drop(engine);
        let (written, syncs) = (disk.hook.written() - written, disk.hook.syncs() - syncs);
        println!("round {round}: {written} bytes written, {syncs} syncs");
        assert!(written <= 2 << 20, "round {round}: {written} bytes were written");
        assert!(syncs <= 12, "round {round}: {syncs} syncs");
    }
}
