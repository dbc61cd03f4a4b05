//! Space on a real disk: the space of messages comes back, however they are removed.

use std::path::Path;
use std::sync::Arc;

use zaqar_sled::disk::{Disk, RealDisk};
use zaqar_sled::{ClaimOptions, Config, DataDriver, Durability, Engine, ManualClock, MessageId, Queue};

use super::shelf::Shelf;
use super::support::{KIB, clock, everything, queue_with, seconds};

const SEGMENT: u64 = 256 * KIB;
/// The space allowed beside the live messages: 64 MiB with the default segments of 16 MiB.
const SLACK: u64 = 4 * SEGMENT;
const COUNT: usize = 6_000;
const BYTES: usize = 1_000;

/// A store on the machine's disk with eight thousand messages of a kilobyte, next to none of them in memory.
struct Scene {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    engine: Engine,
    jobs: Shelf,
}

fn config(clock: &Arc<ManualClock>) -> Config {
    let config = Config::new().clock(clock.clone()).background(false).segment_size(SEGMENT);
    config.durability(Durability::Buffered).memory(SEGMENT)
}

impl Scene {
    fn new() -> Self {
        Self::with("{}", 36_000)
    }

    fn with(metadata: &str, ttl: u64) -> Self {
        let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
        let engine = config(&clock).open(folder.path()).unwrap();
        let mut jobs = Shelf::of(queue_with(&engine, "jobs", metadata));
        jobs.fill_as(COUNT, BYTES, |message| message.ttl(seconds(ttl)));
        engine.step().unwrap();
        let scene = Self { folder, clock, engine, jobs };
        assert!(scene.engine.status().cold_pages() > 200, "{:?}", scene.engine.status());
        assert!(used(scene.folder.path()) > (COUNT * BYTES) as u64);
        scene
    }

    /// Writes a snapshot and asserts that the used space is within the bound for the live messages.
    fn assert_returned(&self) {
        self.engine.gc().unwrap();
        self.engine.snapshot().unwrap();
        let status = self.engine.status();
        let used = used(self.folder.path());
        assert!(used <= 4 * status.live_bytes() + SLACK, "{used} bytes are used: {status:?} {:?}", self.listing());
        assert!(status.page_file_bytes() + status.journal_bytes() <= used, "{used} bytes are used: {status:?}");
    }

    fn assert_empty(&self) {
        assert_eq!(self.engine.status().live_bytes(), 0);
        self.assert_returned();
    }

    /// The files and their sizes.
    fn listing(&self) -> Vec<(String, u64)> {
        let folders = ["", "journal", "heap"].map(|folder| self.folder.path().join(folder));
        let names = |folder: &Path| RealDisk.list(folder).unwrap_or_default();
        let size = |folder: &Path, name: String| (name.clone(), used(&folder.join(name)));
        folders.iter().flat_map(|folder| names(folder).into_iter().map(|name| size(folder, name))).collect()
    }
}

fn used(path: &Path) -> u64 {
    RealDisk.size(path).unwrap()
}

#[test]
fn after_deletions_by_id_the_disk_comes_back() {
    let mut scene = Scene::new();
    // Nine of ten, so that every page still has a message.
    let gone: Vec<MessageId> =
        scene.jobs.ids().into_iter().enumerate().filter(|(n, _)| n % 10 != 0).map(|(_, id)| id).collect();
    for ids in gone.chunks(500) {
        scene.jobs.queue.bulk_delete(ids).unwrap();
    }
    scene.jobs.forget(&gone);
    scene.assert_returned();
    scene.jobs.assert_whole();
    scene.jobs.queue.bulk_delete(&scene.jobs.ids()).unwrap();
    scene.assert_empty();
}

#[test]
fn after_claims_and_finished_work_the_disk_comes_back() {
    let scene = Scene::new();
    while let Some(claim) = scene.jobs.queue.claim(ClaimOptions::new().limit(100)).unwrap() {
        claim.delete_all().unwrap();
    }
    scene.assert_empty();
}

#[test]
fn after_popping_the_disk_comes_back() {
    let scene = Scene::new();
    while !scene.jobs.queue.pop(200).unwrap().is_empty() {}
    scene.assert_empty();
}

#[test]
fn after_expiry_the_disk_comes_back() {
    let scene = Scene::with("{}", 60);
    scene.clock.advance(seconds(60));
    scene.engine.gc().unwrap();
    scene.assert_empty();
}

#[test]
fn after_a_purge_the_disk_comes_back() {
    let scene = Scene::new();
    scene.jobs.queue.purge().unwrap();
    scene.assert_empty();
}

#[test]
fn after_the_queue_is_deleted_the_disk_comes_back() {
    let scene = Scene::new();
    scene.jobs.queue.delete().unwrap();
    scene.assert_empty();
    assert_eq!(scene.engine.status().queues(), 0);
}

#[test]
fn after_dead_lettering_the_disk_comes_back() {
    let dead_letters =
        r#"{"_max_claim_count": 1, "_dead_letter_queue": "dead", "_dead_letter_queue_messages_ttl": 100}"#;
    let scene = Scene::with(dead_letters, 36_000);
    while scene.jobs.queue.claim(ClaimOptions::new().ttl(seconds(10)).limit(100)).unwrap().is_some() {}
    scene.clock.advance(seconds(10));
    while scene.jobs.queue.stats().unwrap().total() > 0 {
        assert!(scene.jobs.queue.claim(ClaimOptions::new().limit(100)).unwrap().is_none());
    }
    scene.assert_returned();
    let dead: Queue = scene.engine.queue(zaqar_sled::Project::none(), "dead").unwrap();
    assert_eq!(dead.stats().unwrap().total(), COUNT as u64);
    scene.clock.advance(seconds(100));
    scene.engine.gc().unwrap();
    scene.assert_empty();
}

#[test]
fn messages_that_are_deleted_at_once_need_constant_space() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let engine = config(&clock).journal_max(4 * SEGMENT).open(folder.path()).unwrap();
    let mut jobs = Shelf::of(queue_with(&engine, "jobs", "{}"));
    jobs.fill(300, BYTES);
    let most = 5 * engine.status().live_bytes() + 2 * SLACK + 4 * SEGMENT;
    for round in 0..150 {
        let ids = jobs.fill(100, BYTES);
        jobs.queue.bulk_delete(&ids).unwrap();
        jobs.forget(&ids);
        engine.step().unwrap();
        let used = used(folder.path());
        assert!(used <= most, "round {round}: {used} of {most} bytes: {:?}", engine.status());
    }
    jobs.assert_whole();
}

#[test]
fn a_store_that_stays_full_takes_no_more_than_it_may() {
    let mut scene = Scene::new();
    let mut oldest = scene.jobs.ids();
    for _ in 0..4 {
        let gone = oldest.split_off(oldest.len() / 2);
        for ids in gone.chunks(500) {
            scene.jobs.queue.bulk_delete(ids).unwrap();
        }
        scene.jobs.forget(&gone);
        scene.jobs.fill(gone.len(), BYTES);
        scene.assert_returned();
    }
    scene.jobs.assert_whole();
    let listed = scene.jobs.queue.list(&everything()).unwrap().items.len();
    assert_eq!(listed, COUNT);
}

#[test]
fn an_emptied_store_of_default_size_takes_at_most_64_mib_open_and_closed() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Config::new().background(false).durability(Durability::Buffered).memory(4 << 20).open(folder.path());
    let engine = open().unwrap();
    let jobs = queue_with(&engine, "jobs", "{}");
    let message = zaqar_sled::NewMessage::new(vec![7; 8_000]).ttl(seconds(3_600)).delay(seconds(0));
    for _ in 0..100 {
        jobs.post(super::support::CLIENT, &vec![message.clone(); 100]).unwrap();
    }
    engine.checkpoint().unwrap();
    engine.snapshot().unwrap();
    let live = engine.status().live_bytes();
    assert!(live > 80_000_000 && used(folder.path()) <= 4 * live + (64 << 20), "{}", used(folder.path()));
    engine.close().unwrap();
    drop(engine);
    let engine = open().unwrap();
    let jobs = engine.queue(zaqar_sled::Project::none(), "jobs").unwrap();
    assert_eq!(jobs.purge().unwrap(), 10_000);
    engine.snapshot().unwrap();
    assert!(used(folder.path()) <= 64 << 20, "open: {}", used(folder.path()));
    engine.close().unwrap();
    assert!(used(folder.path()) <= 64 << 20, "closed: {}", used(folder.path()));
}
