//! Single faults that full disks have caused, or the measures against them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use zaqar_sled::disk::{Disk, Keep, SimulatedDisk};
use zaqar_sled::{ClaimOptions, Config, Durability, Engine, MessageListOptions, Metadata, NewMessage, Project, Queue};

use crate::metered::{Meter, MeteredDisk};
use crate::values::{CLIENT, clock};

const KIB: u64 = 1 << 10;
const HOUR: Duration = Duration::from_secs(3600);
const ROOT: &str = "/store";

fn config(disk: impl Disk) -> Config {
    let clock = clock();
    let config = Config::new().disk(Arc::new(disk)).clock(clock).seed(1).background(false);
    config.segment_size(64 * KIB).durability(Durability::Buffered)
}

fn queue(engine: &Engine, name: &str) -> Queue {
    let queue = engine.queue(Project::none(), name).unwrap();
    queue.create(Metadata::new()).unwrap();
    queue
}

fn message(bytes: usize) -> NewMessage {
    NewMessage::new(vec![7; bytes]).ttl(HOUR).delay(Duration::ZERO)
}

fn used(disk: &SimulatedDisk) -> u64 {
    disk.size(Path::new("/")).unwrap()
}

fn total(queue: &Queue) -> u64 {
    queue.stats().unwrap().total()
}

/// Posts until that is refused.
fn fill(queue: &Queue, bytes: usize) {
    let refused = (0..100_000).find_map(|_| queue.post(CLIENT, &[message(bytes)]).err()).unwrap();
    assert!(refused.is_full(), "{refused}");
}

#[test]
fn a_post_too_large_for_the_disk_takes_no_space_from_deletes() {
    let disk = SimulatedDisk::new();
    let engine = config(disk.clone()).open(ROOT).unwrap();
    let jobs = queue(&engine, "jobs");
    disk.set_capacity(Some(used(&disk) + 600 * KIB));
    fill(&jobs, 100);
    for _ in 0..20 {
        assert!(jobs.post(CLIENT, &[message(2_000_000)]).unwrap_err().is_full());
    }
    let all = jobs.iter(MessageListOptions::new().limit(0).echo(true)).map(|message| message.unwrap().id());
    let all: Vec<_> = all.collect();
    assert!(all.len() > 1_900, "{}", all.len());
    for (deleted, id) in all.iter().enumerate() {
        jobs.delete_message(id).unwrap_or_else(|error| panic!("after {deleted} of {}: {error}", all.len()));
    }
}

#[test]
fn claims_are_refused_before_they_take_space_from_deletes() {
    let disk = SimulatedDisk::new();
    let engine = config(disk.clone()).open(ROOT).unwrap();
    let jobs = queue(&engine, "jobs");
    disk.set_capacity(Some(used(&disk) + 600 * KIB));
    fill(&jobs, 100);
    let before = total(&jobs);
    let claim = jobs.claim(ClaimOptions::new().ttl(HOUR).limit(5)).unwrap().unwrap();
    let refused = (0..1_000_000).find_map(|_| claim.renew(HOUR, Duration::ZERO).err()).expect("the disk is full");
    assert!(refused.is_full(), "{refused}");
    let refused = jobs.claim(ClaimOptions::new().ttl(HOUR).limit(5)).unwrap_err();
    assert!(refused.is_full(), "{refused}");
    for message in claim.messages() {
        claim.delete(message).unwrap();
    }
    let mut popped = 5;
    while !jobs.pop(1).unwrap().is_empty() {
        popped += 1;
    }
    assert_eq!(popped, before);
}

#[test]
fn the_last_messages_are_removed_though_leases_and_pages_have_used_what_they_may() {
    let mut removed = 0;
    for body in (2_000..40_000).step_by(200) {
        let disk = SimulatedDisk::new();
        let engine = config(disk.clone()).open(ROOT).unwrap();
        let jobs = queue(&engine, "jobs");
        disk.set_capacity(Some(used(&disk)));
        if jobs.post(CLIENT, &vec![message(body); 3]).is_err() {
            continue;
        }
        let Ok(Some(claim)) = jobs.claim(ClaimOptions::new().ttl(HOUR).limit(5)) else { continue };
        while claim.renew(HOUR, Duration::ZERO).is_ok() {}
        let _ = engine.snapshot();
        if body % 400 == 0 {
            let _ = engine.checkpoint();
        }
        for (deleted, message) in claim.messages().iter().enumerate() {
            claim.delete(message).unwrap_or_else(|error| panic!("{body}, {deleted} deleted: {error}"));
            removed += 1;
        }
    }
    assert!(removed > 30, "{removed}");
}

#[test]
fn a_checkpoint_on_a_full_disk_takes_no_space_from_removals_and_is_possible_again_with_space() {
    let disk = SimulatedDisk::new();
    let engine = config(disk.clone()).open(ROOT).unwrap();
    let jobs = queue(&engine, "jobs");
    disk.set_capacity(Some(used(&disk) + 600 * KIB));
    fill(&jobs, 100);
    let mut refused = 0;
    while total(&jobs) > 0 {
        // Renewals use up what they may, so that the reserve is at its least.
        let claim = jobs.claim(ClaimOptions::new().ttl(HOUR).limit(20));
        if let Ok(Some(claim)) = &claim {
            while claim.renew(HOUR, Duration::ZERO).is_ok() {}
        }
        refused += u64::from(engine.checkpoint().is_err_and(|error| error.is_full()));
        match claim {
            Ok(Some(claim)) => claim.messages().iter().for_each(|message| claim.delete(message).unwrap()),
            _ => assert!(!jobs.pop(20).unwrap().is_empty()),
        }
    }
    assert!(refused > 0, "it never was short");
    disk.set_capacity(None);
    engine.checkpoint().unwrap();
}

#[test]
fn pages_for_which_there_was_space_leave_memory_though_there_was_none_for_the_next() {
    let batch = vec![message(16_000); 10];
    let post = |space: Option<u64>| {
        let disk = SimulatedDisk::new();
        let engine = config(disk.clone()).memory(32 * KIB).open(ROOT).unwrap();
        let jobs = queue(&engine, "jobs");
        disk.set_capacity(space);
        jobs.post(CLIENT, &batch).unwrap();
        (engine.status(), used(&disk))
    };
    let (ample, used) = post(None);
    let pages = ample.page_file_bytes();
    assert!(ample.cold_pages() > 5 && pages > 100_000, "{ample:?}");
    let (scarce, _) = post(Some(used - pages + 70 * KIB));
    assert!((2..ample.cold_pages()).contains(&scarce.cold_pages()), "{scarce:?}");
    assert!(scarce.memory_bytes() < ample.live_bytes() - 40_000, "{scarce:?}");
}

#[test]
fn a_store_killed_on_a_full_disk_with_an_unsynced_tail_opens_and_keeps_it() {
    for spare in [0, 5 * KIB, 100 * KIB] {
        let disk = SimulatedDisk::new();
        let engine = config(disk.clone()).open(ROOT).unwrap();
        let jobs = queue(&engine, "jobs");
        for _ in 0..300 {
            jobs.post(CLIENT, &[message(2_000)]).unwrap();
        }
        assert!(engine.status().unsynced() > 200, "{:?}", engine.status());
        let disk = disk.kill();
        drop(engine);
        disk.set_capacity(Some(used(&disk) + spare));
        let engine = config(disk.clone()).open(ROOT).unwrap();
        assert_eq!(total(&engine.queue(Project::none(), "jobs").unwrap()), 300);
        // All data that the store relied on is on the device by now.
        let disk = disk.power_loss(Keep::Nothing);
        drop(engine);
        let engine = config(disk).open(ROOT).unwrap();
        assert_eq!(total(&engine.queue(Project::none(), "jobs").unwrap()), 300, "{spare} bytes left");
    }
}

#[test]
fn zeros_are_written_ahead_only_in_segments_that_are_synced_often() {
    for (durability, posts, bytes, percents) in
        [(Durability::Buffered, 400_u64, 2_000_u64, 90..130), (Durability::Sync, 4_000, 50, 140..260)]
    {
        let disk = MeteredDisk::around(Arc::new(SimulatedDisk::new()), Meter::default());
        let engine = config(disk.clone()).durability(durability).open(ROOT).unwrap();
        let jobs = queue(&engine, "jobs");
        engine.step().unwrap();
        let written = disk.hook.written();
        for post in 0..posts {
            jobs.post(CLIENT, &[message(usize::try_from(bytes).unwrap())]).unwrap();
            if post % 16 == 0 {
                engine.step().unwrap();
            }
        }
        let written = disk.hook.written() - written;
        // A frame takes about 100 bytes beside the body.
        let percent = written * 100 / (posts * (bytes + 100));
        assert!(percents.contains(&percent), "{durability:?}: {written} bytes, {percent} %");
    }
}

#[test]
fn a_store_with_a_long_last_segment_opens_on_a_full_disk() {
    // The last segment is copied while the reserve has the space for it.
    for reserve in [None, Some(60 * KIB)] {
        let disk = SimulatedDisk::new();
        let settings = |disk: &SimulatedDisk| config(disk.clone()).segment_size(KIB * KIB);
        let engine = settings(&disk).open(ROOT).unwrap();
        let jobs = queue(&engine, "jobs");
        for _ in 0..110 {
            jobs.post(CLIENT, &[message(2_000)]).unwrap();
        }
        let disk = disk.kill();
        drop(engine);
        if let Some(bytes) = reserve {
            disk.open(&Path::new(ROOT).join("RESERVE")).unwrap().set_len(bytes).unwrap();
        }
        disk.set_capacity(Some(used(&disk)));
        let engine = settings(&disk).open(ROOT).unwrap();
        let jobs = engine.queue(Project::none(), "jobs").unwrap();
        assert_eq!(total(&jobs), 110, "{reserve:?}");
        let disk = disk.power_loss(Keep::Nothing);
        drop(engine);
        let engine = settings(&disk).open(ROOT).unwrap();
        let jobs = engine.queue(Project::none(), "jobs").unwrap();
        assert_eq!(total(&jobs), 110, "{reserve:?}");
        jobs.delete().unwrap();
    }
}

/// The snapshots of a store, by number, with the size of each when it was seen.
#[derive(Default)]
struct Snapshots(BTreeMap<String, u64>);

impl Snapshots {
    fn look(&mut self, disk: &dyn Disk) {
        for name in disk.list(Path::new(ROOT)).unwrap().into_iter().filter(|name| name.strip_suffix(".base").is_some())
        {
            let size = disk.size(&Path::new(ROOT).join(&name)).unwrap();
            self.0.insert(name, size);
        }
    }

    /// How many were written, seen or not.
    fn written(&self) -> u64 {
        self.0.last_key_value().map_or(0, |(name, _)| u64::from_str_radix(&name[..16], 16).unwrap())
    }
}

#[test]
fn posts_wait_for_a_snapshot_only_if_one_is_due_and_it_ends_the_wait() {
    let disk = SimulatedDisk::new();
    let settings = |disk: &SimulatedDisk| config(disk.clone()).journal_max(0).busy_timeout(Duration::ZERO);
    let engine = settings(&disk).open(ROOT).unwrap();
    let jobs = queue(&engine, "jobs");
    for _ in 0..1_000 {
        jobs.post(CLIENT, &[message(2_000)]).unwrap();
        jobs.pop(1).unwrap();
    }
    let disk = disk.kill();
    drop(engine);
    let engine = settings(&disk).open(ROOT).unwrap();
    let jobs = engine.queue(Project::none(), "jobs").unwrap();
    let mut snapshots = Snapshots::default();
    let mut posted = 0;
    for call in 0..1_000 {
        // Without background threads a post evicts pages itself.
        posted += 1;
        jobs.post(CLIENT, &[message(2_000)])
            .unwrap_or_else(|error| panic!("call {call}: {error}: {:?}", engine.status()));
        jobs.pop(1).unwrap();
        engine.step().unwrap();
        snapshots.look(&disk);
    }
    // One for every four segments of the journal, and a few.
    let most = posted * 2_200 / (4 * 64 * KIB) + 5;
    assert!(snapshots.written() <= most, "{} snapshots for {posted} posts", snapshots.written());
}

#[test]
fn posts_do_not_wait_for_a_snapshot_that_would_free_less_than_is_kept() {
    let disk = SimulatedDisk::new();
    // With no busy timeout and no background threads, a post that has to wait is refused.
    let engine = config(disk.clone()).journal_max(0).busy_timeout(Duration::ZERO).open(ROOT).unwrap();
    let jobs = queue(&engine, "jobs");
    for call in 0..1_500 {
        jobs.post(CLIENT, &[message(2_000)])
            .unwrap_or_else(|error| panic!("call {call}: {error}: {:?}", engine.status()));
    }
}

#[test]
fn snapshots_of_a_large_directory_are_written_in_proportion_to_it() {
    let disk = SimulatedDisk::new();
    let engine = config(disk.clone()).segment_size(8 * KIB).open(ROOT).unwrap();
    let mut snapshots = Snapshots::default();
    for n in 0..4_000 {
        queue(&engine, &format!("a queue that is idle, number {n}"));
        if n % 20 == 0 {
            engine.step().unwrap();
            snapshots.look(&disk);
        }
    }
    let written: u64 = snapshots.0.values().sum();
    let journal = 4_000 * 100;
    assert!(written <= journal, "{written} bytes of snapshots for {journal} of journal");
}

#[test]
fn a_file_that_could_not_be_removed_is_removed_later() {
    let disk = SimulatedDisk::new();
    let stubborn = MeteredDisk::around(Arc::new(disk.clone()), Meter::default());
    let engine = config(stubborn.clone()).memory(32 * KIB).open(ROOT).unwrap();
    let jobs = queue(&engine, "jobs");
    let empty = used(&disk);
    stubborn.hook.refuse_removals(true);
    for _ in 0..6 {
        for _ in 0..100 {
            jobs.post(CLIENT, &[message(2_000)]).unwrap();
        }
        jobs.purge().unwrap();
        engine.snapshot().unwrap();
        engine.checkpoint().unwrap();
    }
    let left = used(&disk);
    stubborn.hook.refuse_removals(false);
    engine.snapshot().unwrap();
    engine.step().unwrap();
    let bound = empty + 4 * 64 * KIB;
    assert!(left > bound && used(&disk) <= bound, "{} bytes, {left} before, of {bound}", used(&disk));
}

#[test]
fn opening_with_little_memory_keeps_the_page_files_small() {
    let disk = SimulatedDisk::new();
    let engine = config(disk.clone()).journal_max(1 << 30).open(ROOT).unwrap();
    let queues: Vec<_> = (0..20).map(|n| queue(&engine, &format!("queue{n}"))).collect();
    // Every queue gets a little at a time, and is claimed from as it grows.
    for round in 0..150 {
        for queue in &queues {
            queue.post(CLIENT, &[message(500), message(500)]).unwrap();
            if round % 3 == 0 {
                drop(queue.claim(ClaimOptions::new().ttl(HOUR).limit(4)).unwrap());
            }
        }
    }
    let disk = disk.kill();
    drop(engine);
    let engine = config(disk).memory(64 * KIB).open(ROOT).unwrap();
    let (live, pages) = (engine.status().live_bytes(), engine.status().page_file_bytes());
    assert!(live > 3_000_000, "{live}");
    let bound = 2 * live + 4 * 2 * 64 * KIB;
    assert!(pages <= bound, "{pages} of {bound} bytes of page files for {live} live");
}
