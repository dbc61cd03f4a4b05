//! Damaged page files: exactly the calls that need a damaged page fail, no wrong data is ever read, and salvage drops
//! only lost messages.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zaqar_sled::disk::{Disk, SimulatedDisk};
use zaqar_sled::{ClaimOptions, Config, ManualClock, Message, MessageId, RecoverySource};

use super::shelf::Shelf;
use super::support::{CLIENT, ROOT, World, assert_sound, config, everything, page_files_of, refused};

/// Two cold queues.
fn frozen() -> (World, Shelf, Shelf) {
    let world = World::new(0);
    let (mut jobs, mut others) = (Shelf::new(&world.engine, "jobs"), Shelf::new(&world.engine, "others"));
    for _ in 0..12 {
        jobs.fill(10, 900);
        jobs.post(&[20_000]);
        others.fill(10, 300);
    }
    world.freeze();
    world.engine.snapshot().unwrap();
    (world, jobs, others)
}

/// The messages that cannot be read. Messages that can be read must be right.
fn lost(shelf: &Shelf) -> BTreeSet<MessageId> {
    let is_lost = |id: &MessageId| match shelf.queue.get(id) {
        Ok(message) => {
            shelf.assert_genuine(&message);
            false
        }
        Err(error) => {
            assert!(error.is_corrupt(), "{id}: {error}");
            true
        }
    };
    shelf.ids().into_iter().filter(is_lost).collect()
}

/// Asserts that these are neighbours, and no more than a page of them.
fn assert_one_page(lost: &BTreeSet<MessageId>, shelf: &Shelf) {
    let ids = shelf.ids();
    let places: Vec<usize> = lost.iter().map(|id| ids.binary_search(id).unwrap()).collect();
    assert!(places.len() <= 128, "{} messages", places.len());
    assert!(places.windows(2).all(|pair| pair[1] == pair[0] + 1), "{places:?}");
}

/// Bits to flip: one every `stride` bytes of every page file.
fn places(disk: &SimulatedDisk, stride: usize) -> Vec<(PathBuf, u64)> {
    let of = |path: PathBuf| {
        let bytes = disk.read(&path).unwrap().len();
        (0..bytes).step_by(stride).map(move |at| (path.clone(), at as u64))
    };
    page_files_of(disk).into_iter().flat_map(of).collect()
}

#[test]
fn a_flipped_bit_fails_exactly_the_calls_that_need_its_page() {
    let (world, jobs, others) = frozen();
    let mut met = 0;
    for (path, at) in places(&world.disk, 1_733) {
        world.disk.corrupt(&path, at, 1 << (at % 8)).unwrap();
        world.chill();
        let (of_jobs, of_others) = (lost(&jobs), lost(&others));
        assert!(of_jobs.is_empty() || of_others.is_empty(), "{} {at}", path.display());
        assert_one_page(&of_jobs, &jobs);
        assert_one_page(&of_others, &others);
        let hurt = if of_jobs.is_empty() { &others } else { &jobs };
        let any = of_jobs.len() + of_others.len() > 0;
        met += usize::from(any);
        assert_eq!(
            hurt.queue.list(&everything()).is_err_and(|error| error.is_corrupt()),
            any,
            "{} {at}",
            path.display()
        );
        assert!(jobs.queue.exists().unwrap() && jobs.queue.metadata().is_ok());
        assert_eq!(world.engine.status().poisoned(), None);
        world.disk.corrupt(&path, at, 1 << (at % 8)).unwrap();
        jobs.assert_whole();
        others.assert_whole();
    }
    assert!(met > 50, "{met} pages were hurt");
    world.assert_sound("mended");
}

#[test]
fn a_file_cut_short_takes_only_what_was_behind_the_cut() {
    let (world, jobs, others) = frozen();
    for path in world.page_files() {
        let bytes = world.disk.read(&path).unwrap();
        for len in [0, 100, bytes.len() / 2, bytes.len() - 1] {
            world.disk.truncate(&path, len as u64).unwrap();
            world.chill();
            let gone = lost(&jobs).len() + lost(&others).len();
            assert!(gone > 0 || len > bytes.len() / 2, "{} cut to {len}", path.display());
            world.disk.write(&path, bytes.clone()).unwrap();
            jobs.assert_whole();
            others.assert_whole();
        }
    }
}

#[test]
fn a_call_that_meets_damage_changes_nothing() {
    let (world, jobs, _others) = frozen();
    let first = jobs.ids()[0];
    let (path, at) = places(&world.disk, 97)
        .into_iter()
        .find(|(path, at)| {
            world.disk.corrupt(path, *at, 4).unwrap();
            world.chill();
            let found = lost(&jobs).contains(&first);
            world.disk.corrupt(path, *at, 4).unwrap();
            world.chill();
            found
        })
        .expect("the first page is somewhere");
    world.disk.corrupt(&path, at, 4).unwrap();
    world.chill();
    let before = jobs.queue.stats();
    // A claim passes over the page.
    let claim = jobs.queue.claim(ClaimOptions::new().limit(30)).unwrap().unwrap();
    assert!(claim.messages().iter().all(|message| message.id() != first));
    claim.release().unwrap();
    assert!(refused(jobs.queue.delete_message(&first)).is_corrupt());
    assert!(refused(jobs.queue.bulk_get(&jobs.ids())).is_corrupt());
    world.disk.corrupt(&path, at, 4).unwrap();
    jobs.assert_whole();
    let after = jobs.queue.stats().unwrap();
    assert_eq!((after.claimed(), after.total()), (0, jobs.len()));
    assert_eq!(before.unwrap().total(), after.total());
    world.assert_sound("mended");
}

#[test]
fn a_damaged_page_does_not_prevent_a_snapshot_of_the_others() {
    let world = World::new(0);
    world.engine.close().unwrap();
    // Files of several pages, of two queues in turn.
    let engine = world.config().segment_size(64 << 10).open(ROOT).unwrap();
    let (mut jobs, mut others) = (Shelf::new(&engine, "jobs"), Shelf::new(&engine, "others"));
    for _ in 0..12 {
        others.fill(30, 900);
        jobs.fill(10, 900);
    }
    engine.step().unwrap();
    for (path, at) in places(&world.disk, 500) {
        world.disk.corrupt(&path, at, 1).unwrap();
    }
    // The remaining images in the files are due for a rewrite, and cannot be read.
    others.queue.purge().unwrap();
    others.forget_all();
    for round in 0..10 {
        let ids = others.fill(60, 900);
        let written = engine.snapshot();
        assert!(written.is_ok(), "round {round}: {written:?}");
        others.queue.bulk_delete(&ids).unwrap();
        others.forget(&ids);
    }
    engine.snapshot().unwrap();
    let status = engine.status();
    assert!(status.journal_bytes() <= 3 * (64 << 10), "{status:?}");
    others.fill(20, 900);
    others.assert_whole();
    assert_eq!(lost(&jobs).len() as u64, jobs.len());
}

#[test]
fn damage_does_not_stop_posts_purges_and_the_end_of_the_queue() {
    for purge in [false, true] {
        let (world, mut jobs, others) = frozen();
        for (path, at) in places(&world.disk, 500) {
            world.disk.corrupt(&path, at, 1).unwrap();
        }
        world.chill();
        assert_eq!(lost(&jobs).len() as u64, jobs.len());
        jobs.queue.post(CLIENT, &[zaqar_sled::NewMessage::new("goes on")]).unwrap();
        if purge {
            jobs.queue.purge().unwrap();
        } else {
            jobs.queue.delete().unwrap();
            jobs = Shelf::new(&world.engine, "jobs");
        }
        jobs.forget_all();
        jobs.fill(100, 900);
        jobs.assert_whole();
        assert_eq!(lost(&others).len() as u64, others.len());
        others.queue.delete().unwrap();
        world.freeze();
        jobs.assert_whole();
        world.engine.snapshot().unwrap();
        let world = world.killed();
        jobs.on(&world.engine).assert_whole();
    }
}

/// A kind of harm to a page file while the store is closed.
#[derive(Debug, Clone, Copy)]
enum Harm {
    Flip(u64),
    Cut(u64),
    Remove,
}

fn harm(disk: &SimulatedDisk, path: &Path, harm: Harm) {
    match harm {
        Harm::Flip(at) => disk.corrupt(path, at, 2).unwrap(),
        Harm::Cut(len) => disk.truncate(path, len).unwrap(),
        Harm::Remove => {
            disk.remove_file(path).unwrap();
            disk.sync_dir(path.parent().unwrap()).unwrap();
        }
    }
}

/// A store that was closed or killed.
struct Ended {
    disk: SimulatedDisk,
    clock: Arc<ManualClock>,
    shelves: [Shelf; 2],
}

impl Ended {
    fn new(closed: bool) -> Self {
        let (world, jobs, others) = frozen();
        if closed {
            world.engine.close().unwrap();
        }
        Self { disk: world.disk.kill(), clock: world.clock, shelves: [jobs, others] }
    }

    fn config(&self, seed: u64) -> Config {
        config(&self.disk, &self.clock, 0).seed(seed)
    }

    /// Opens the harmed store. If the open succeeds, calls that need a harmed page fail; returns the messages of these
    /// pages.
    fn open(&mut self, context: &str) -> Option<BTreeSet<MessageId>> {
        let opened = self.config(2).open(ROOT);
        let gone = match &opened {
            Ok(engine) => Some(self.shelves.iter().flat_map(|shelf| lost(&shelf.clone().on(engine))).collect()),
            Err(error) => {
                assert!(error.is_corrupt(), "{context}: {error}");
                None
            }
        };
        self.disk = self.disk.kill();
        gone
    }

    /// Opens the store with salvage and asserts that its messages are right and that it works; returns the missing
    /// messages.
    fn salvage(&self, context: &str) -> BTreeSet<MessageId> {
        let engine = self.config(3).salvage(true).open(ROOT).unwrap_or_else(|error| panic!("{context}: {error}"));
        let missing: BTreeSet<MessageId> =
            self.shelves.iter().flat_map(|shelf| missing(&shelf.clone().on(&engine), context)).collect();
        assert!(missing.is_empty() || !engine.recovery().damaged().is_empty(), "{context}: {}", engine.recovery());
        let told: u64 = engine.recovery().lost().iter().map(zaqar_sled::LostMessages::messages).sum();
        assert_eq!(told, missing.len() as u64, "{context}: {}", engine.recovery());
        assert_sound(&engine, context);
        let left = engine.status().messages();
        engine.close().unwrap_or_else(|error| panic!("{context}: {error}"));
        drop(engine);
        let engine = self.config(4).open(ROOT).unwrap_or_else(|error| panic!("{context}: {error}"));
        assert!(engine.recovery().notes().is_empty(), "{context}: {}", engine.recovery());
        assert_eq!(engine.recovery().source(), RecoverySource::Trees, "{context}");
        assert_eq!(engine.status().messages(), left, "{context}");
        assert_sound(&engine, context);
        missing
    }
}

/// The messages that are not there; those that are have to be right.
fn missing(shelf: &Shelf, context: &str) -> Vec<MessageId> {
    let listed = shelf.queue.list(&everything()).unwrap_or_else(|error| panic!("{context}: {error}")).items;
    listed.iter().for_each(|message| shelf.assert_genuine(message));
    assert_eq!(shelf.queue.stats().unwrap().total(), listed.len() as u64, "{context}");
    let there: BTreeSet<MessageId> = listed.iter().map(Message::id).collect();
    shelf.ids().into_iter().filter(|id| !there.contains(id)).collect()
}

#[test]
fn a_store_with_harmed_page_files_reports_it_and_salvage_drops_only_lost_messages() {
    for closed in [false, true] {
        for n in 0.. {
            let mut ended = Ended::new(closed);
            let Some(path) = page_files_of(&ended.disk).into_iter().nth(n) else { break };
            let bytes = ended.disk.read(&path).unwrap().len() as u64;
            let how = [Harm::Flip(bytes / 3), Harm::Cut(bytes / 2), Harm::Remove, Harm::Flip(bytes - 50)][n % 4];
            let context = format!("closed {closed}, {} {how:?}", path.display());
            harm(&ended.disk, &path, how);
            let gone = ended.open(&context);
            let missing = ended.salvage(&context);
            assert!(gone.is_none_or(|gone| missing.is_subset(&gone)), "{context}: {} are missing", missing.len());
            assert!(missing.len() <= 150, "{context}: {} are missing", missing.len());
        }
    }
}

#[test]
fn missing_page_files_cost_only_their_messages() {
    for closed in [false, true] {
        let mut ended = Ended::new(closed);
        page_files_of(&ended.disk).iter().for_each(|path| harm(&ended.disk, path, Harm::Remove));
        let context = format!("closed {closed}, no page files");
        ended.open(&context);
        let missing = ended.salvage(&context);
        // The newest messages are in the journal too.
        let all = ended.shelves.iter().map(Shelf::len).sum::<u64>();
        assert!(missing.len() as u64 > all / 2 && missing.len() as u64 <= all, "{context}: {} of {all}", missing.len());
    }
}
