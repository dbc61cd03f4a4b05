//! A damaged page with gaps: its entry names every message, so a claim on its messages changes and ends as any other.

use std::sync::Arc;

use zaqar_sled::disk::SimulatedDisk;
use zaqar_sled::{Claim, ClaimOptions, Engine, ManualClock, Project, Queue};

use super::support::{ROOT, chill, clock, config, fill, listed, places, queue, rot, seconds};

/// A store whose snapshot names its pages. The first page has gaps, and the claim holds messages of it.
struct World {
    disk: SimulatedDisk,
    clock: Arc<ManualClock>,
    engine: Engine,
    jobs: Queue,
    claim: Claim,
}

/// Twenty-three messages of 700 bytes fit into a page of 16 KiB; eleven of the first page are left.
const LEFT: u64 = 11;
const HELD: u64 = 3;
const OTHERS: u64 = 60 - 23;
/// A message of the first page that is alive and free.
const FREE: u8 = 20;

fn world() -> World {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let engine = config(&disk, &clock, 1).open(ROOT).unwrap();
    let jobs = queue(&engine, "jobs");
    let ids = fill(&jobs, 60);
    jobs.bulk_delete(&ids[..12]).unwrap();
    let claim = jobs.claim(ClaimOptions::new().limit(3).ttl(seconds(60)).grace(seconds(60))).unwrap().unwrap();
    assert_eq!(claim.messages().iter().map(zaqar_sled::Message::id).collect::<Vec<_>>(), ids[12..15]);
    chill(&engine);
    engine.snapshot().unwrap();
    World { disk, clock, engine, jobs, claim }
}

/// Opens the store again after a kill, or after a close.
fn opened_again(disk: SimulatedDisk, clock: &Arc<ManualClock>, engine: Engine, closes: bool) -> (Engine, Queue) {
    let disk = if closes {
        engine.close().unwrap();
        disk
    } else {
        disk.kill()
    };
    drop(engine);
    let engine = config(&disk, clock, 2).open(ROOT).unwrap_or_else(|error| panic!("closes: {closes}: {error}"));
    let jobs = engine.queue(Project::none(), "jobs").unwrap();
    (engine, jobs)
}

fn counts(jobs: &Queue) -> (u64, u64) {
    let stats = jobs.stats().unwrap();
    (stats.free(), stats.claimed())
}

#[test]
fn a_claim_on_a_damaged_page_with_gaps_ends_by_release_and_by_time() {
    for (by_time, closes) in [(false, false), (false, true), (true, false), (true, true)] {
        let World { disk, clock, engine, jobs, claim } = world();
        rot(&disk, FREE);
        assert_eq!(counts(&jobs), (LEFT + OTHERS - HELD, HELD));
        if by_time {
            clock.advance(seconds(61));
            engine.step().unwrap();
        } else {
            claim.release().unwrap();
        }
        assert_eq!(counts(&jobs), (LEFT + OTHERS, 0), "by time: {by_time}");
        engine.snapshot().unwrap();
        let (engine, jobs) = opened_again(disk, &clock, engine, closes);
        assert_eq!(counts(&jobs), (LEFT + OTHERS, 0), "by time: {by_time}, closes: {closes}");
        assert_eq!(engine.drop_damaged().unwrap().iter().map(zaqar_sled::LostMessages::messages).sum::<u64>(), LEFT);
        assert_eq!(listed(&jobs).unwrap().len() as u64, OTHERS);
        assert!(engine.verify().unwrap().is_sound(), "{:?}", engine.verify().unwrap().findings());
    }
}

#[test]
fn a_device_that_can_read_again_gives_the_messages_of_an_ended_claim_back() {
    let World { disk, clock, engine, jobs, claim } = world();
    let kept: Vec<_> =
        places(&disk, FREE).into_iter().map(|(path, at)| (path.clone(), at, disk.read(&path).unwrap())).collect();
    for (path, at, _) in &kept {
        disk.make_unreadable(path, *at..at + 100).unwrap();
    }
    for _ in 0..3 {
        assert!(listed(&jobs).is_err());
    }
    assert_eq!(engine.status().damaged_pages(), 1);
    claim.release().unwrap();
    for (path, at, bytes) in kept {
        // What is written can be read again.
        let at = usize::try_from(at).unwrap();
        let file = zaqar_sled::disk::Disk::open(&disk, &path).unwrap();
        file.write_all_at(&bytes[at..at + 100], at as u64).unwrap();
    }
    assert_eq!(listed(&jobs).unwrap().len() as u64, LEFT + OTHERS);
    assert_eq!(counts(&jobs), (LEFT + OTHERS, 0));
    engine.snapshot().unwrap();
    let (_engine, jobs) = opened_again(disk, &clock, engine, false);
    let again = jobs.claim(ClaimOptions::new().limit(100).ttl(seconds(60)).grace(seconds(60))).unwrap().unwrap();
    assert_eq!(again.messages().len() as u64, LEFT + OTHERS);
}

#[test]
fn a_renewed_claim_keeps_a_damaged_page_with_gaps_for_as_long_as_it_lasts() {
    let World { disk, clock, engine, jobs, claim } = world();
    rot(&disk, FREE);
    claim.renew(seconds(10_000), seconds(60)).unwrap();
    clock.advance(seconds(9_000));
    engine.step().unwrap();
    // All other messages have expired.
    assert_eq!(counts(&jobs), (LEFT - HELD, HELD));
    let (engine, jobs) = opened_again(disk, &clock, engine, false);
    assert_eq!(counts(&jobs), (LEFT - HELD, HELD));
    clock.advance(seconds(1_100));
    engine.step().unwrap();
    assert_eq!(jobs.stats().unwrap().total(), 0);
}
