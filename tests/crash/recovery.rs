//! Opening: each row of recovery's table, and every way the files can be damaged.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use zaqar_sled::disk::{Disk, Keep, SimulatedDisk};
use zaqar_sled::{
    ClaimOptions, Config, DataDriver, Durability, Engine, Error, Message, MessageId, Metadata, NewMessage, Project,
    QueueName, RecoverySource,
};

use super::support::{
    AMPLE, CLIENT, Life, Lived, ROOT, Random, assert_sound, clock, config, disk_of, dump, everything, files, journal,
    message, messages_of, queues_of,
};

const LIVES: [Life; 3] = [Life::Journal, Life::Snapshot, Life::Cold];

fn open(disk: &SimulatedDisk, lived: &Lived) -> zaqar_sled::Result<Engine> {
    lived.config(disk, 2).open(ROOT)
}

fn salvage(disk: &SimulatedDisk, lived: &Lived) -> zaqar_sled::Result<Engine> {
    lived.config(disk, 3).salvage(true).open(ROOT)
}

fn snapshots(disk: &SimulatedDisk) -> Vec<PathBuf> {
    disk.list_all().into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "base")).collect()
}

fn segments(disk: &SimulatedDisk) -> Vec<PathBuf> {
    let is_segment = |path: &PathBuf| path.starts_with(journal()) && path.extension().is_some_and(|k| k == "journal");
    disk.list_all().into_iter().filter(is_segment).collect()
}

/// The segments that hold frames, by their headers.
fn used_segments(disk: &SimulatedDisk) -> Vec<PathBuf> {
    let number = |path: &Path| u64::from_str_radix(path.file_stem().unwrap().to_str().unwrap(), 16).unwrap();
    let used = |path: &PathBuf| {
        let bytes = disk.read(path).unwrap();
        bytes.starts_with(b"zaqarlog") && bytes[28..36] == number(path).to_le_bytes()
    };
    segments(disk).into_iter().filter(used).collect()
}

/// Where the frames of a segment begin, and after the last where they end.
fn frames(bytes: &[u8]) -> Vec<usize> {
    let mut starts = vec![64];
    while let Some(length) = bytes.get(*starts.last().unwrap()..).and_then(|rest| rest.first_chunk::<4>()) {
        let length = u32::from_le_bytes(*length) as usize;
        let end = starts.last().unwrap() + 32 + length;
        if length == 0 || end > bytes.len() {
            break;
        }
        starts.push(end);
    }
    starts
}

/// Asserts that an opened store works: it verifies, assigns new ids, closes, and opens again.
fn assert_usable(engine: Engine, disk: &SimulatedDisk, lived: &Lived, context: &str) {
    assert_sound(&engine, context);
    let shown: BTreeSet<MessageId> = lived.states.iter().flat_map(|state| ids_in(state)).collect();
    for (project, queue) in queues_of(&engine).unwrap() {
        let newest = messages_of(&engine, &project, &queue).unwrap().last().map(Message::id);
        let id = engine.messages().post(&project, &queue, CLIENT, &[message("new", 100)]).unwrap()[0];
        assert!(newest.is_none_or(|newest| newest < id), "{context}");
        assert!(!shown.contains(&id), "{context}: {id} was given out before");
    }
    let before = dump(&engine, &lived.claims).unwrap();
    engine.close().unwrap();
    drop(engine);
    let engine = open(disk, lived).unwrap();
    assert_eq!(engine.recovery().source(), RecoverySource::Trees, "{context}: {}", engine.recovery());
    assert!(engine.recovery().notes().is_empty(), "{context}: {}", engine.recovery());
    assert_eq!(dump(&engine, &lived.claims).unwrap(), before, "{context}");
    assert_sound(&engine, context);
}

fn ids_in(state: &str) -> impl Iterator<Item = MessageId> + '_ {
    state.lines().filter_map(|line| line.trim().split(' ').next()?.parse().ok())
}

#[test]
fn after_a_clean_close_the_trees_are_loaded() {
    for life in LIVES {
        let (disk, lived) = Lived::closed(life);
        let disk = disk.power_loss(Keep::Nothing);
        let engine = open(&disk, &lived).unwrap();
        assert_eq!(engine.recovery().source(), RecoverySource::Trees, "{}", engine.recovery());
        assert!(engine.recovery().notes().is_empty(), "{}", engine.recovery());
        assert_eq!(dump(&engine, &[]).unwrap(), lived.last());
        assert_usable(engine, &disk, &lived, "clean");
    }
}

#[test]
fn without_a_clean_close_the_state_is_rebuilt_from_snapshot_and_journal() {
    for life in LIVES {
        for checkpointed in [false, true] {
            let lived = Lived::new(life);
            if checkpointed {
                lived.engine.checkpoint().unwrap();
            }
            let disk = lived.disk.power_loss(Keep::Nothing);
            let engine = open(&disk, &lived).unwrap();
            assert_eq!(engine.recovery().source(), RecoverySource::Journal);
            assert!(engine.recovery().notes().is_empty(), "{}", engine.recovery());
            assert_eq!(dump(&engine, &[]).unwrap(), lived.last());
            assert_usable(engine, &disk, &lived, "not clean");
        }
    }
}

#[test]
fn clean_trees_that_are_missing_are_rebuilt_from_snapshot_and_journal_with_a_note() {
    for life in LIVES {
        let (disk, lived) = Lived::closed(life);
        let disk = disk_of(&files(&disk));
        let engine = open(&disk, &lived).unwrap();
        assert_eq!(engine.recovery().source(), RecoverySource::Journal);
        assert!(engine.recovery().to_string().contains("trees"), "{}", engine.recovery());
        assert_eq!(dump(&engine, &[]).unwrap(), lived.last());
        assert_usable(engine, &disk, &lived, "trees missing");
    }
}

/// Ways to break one file of a store.
#[derive(Debug, Clone, Copy)]
enum Harm {
    Flip(u64, u8),
    Cut(u64),
    Remove,
}

fn harm(disk: &SimulatedDisk, path: &Path, harm: Harm) {
    match harm {
        Harm::Flip(at, bits) => disk.corrupt(path, at, bits).unwrap(),
        Harm::Cut(at) => disk.truncate(path, at).unwrap(),
        Harm::Remove => {
            disk.remove_file(path).unwrap();
            disk.sync_dir(path.parent().unwrap()).unwrap();
        }
    }
}

fn harms(bytes: u64, step: usize) -> Vec<Harm> {
    let flips = (0..bytes).step_by(step).map(|at| Harm::Flip(at, 1 << (at % 8)));
    let cuts = (0..bytes).step_by(step * 5).map(Harm::Cut);
    flips.chain(cuts).chain([Harm::Remove]).collect()
}

#[test]
fn with_clean_trees_a_damaged_snapshot_or_journal_loses_nothing() {
    for life in LIVES {
        let (disk, _) = Lived::closed(life);
        let broken: Vec<PathBuf> = snapshots(&disk).into_iter().chain(segments(&disk)).collect();
        for path in broken {
            let bytes = disk.read(&path).unwrap().len() as u64;
            for how in harms(bytes, 331) {
                let (disk, lived) = Lived::closed(life);
                harm(&disk, &path, how);
                let hurt = disk.read(&path).ok();
                let context = format!("{life:?} {} {how:?}", path.display());
                let engine = open(&disk, &lived).unwrap_or_else(|error| panic!("{context}: {error}"));
                assert_eq!(engine.recovery().source(), RecoverySource::Trees, "{context}");
                assert_eq!(dump(&engine, &[]).unwrap(), lived.last(), "{context}");
                let moved = !engine.recovery().moved_aside().is_empty();
                if moved {
                    assert!(!engine.recovery().notes().is_empty(), "{context}");
                }
                let kept = files(&disk).iter().any(|(_, bytes)| Some(bytes) == hurt.as_ref());
                assert!(hurt.is_none() || kept || hurt.is_some_and(|hurt| hurt.is_empty()), "{context}: deleted");
                assert_usable(engine, &disk, &lived, &context);
            }
        }
    }
}

#[test]
fn with_clean_trees_a_missing_journal_loses_nothing() {
    let (disk, lived) = Lived::closed(Life::Snapshot);
    disk.remove_dir_all(journal()).unwrap();
    let engine = open(&disk, &lived).unwrap();
    assert_eq!(dump(&engine, &[]).unwrap(), lived.last());
    assert_usable(engine, &disk, &lived, "no journal");
}

/// The outcome of opening a broken store that was not closed.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Outcome {
    Whole,
    /// All but the last change, whose damage cannot be distinguished from a torn write.
    LastLost,
    Corrupt,
}

/// Opens a broken store that was not closed. Either the store is whole, or it is refused and unchanged, and salvage
/// then gives a state that it once had.
fn judge(disk: &SimulatedDisk, lived: &Lived, context: &str) -> Outcome {
    let before = files(disk);
    match open(disk, lived) {
        Ok(engine) => {
            let state = dump(&engine, &[]).unwrap();
            let last_lost = state == lived.states[lived.states.len() - 2];
            assert!(last_lost || state == lived.last(), "{context}: less or other than was there\n{state}");
            assert_usable(engine, disk, lived, context);
            if last_lost { Outcome::LastLost } else { Outcome::Whole }
        }
        Err(error) => {
            assert!(error.is_corrupt(), "{context}: {error}");
            assert_eq!(files(disk), before, "{context}: refused, but changed");
            let engine = salvage(disk, lived).unwrap_or_else(|error| panic!("{context}: {error}"));
            let state = dump(&engine, &[]).unwrap();
            let known: BTreeSet<MessageId> = lived.states.iter().flat_map(|state| ids_in(state)).collect();
            let strange = ids_in(&state).find(|id| !known.contains(id));
            assert_eq!(strange, None, "{context}: salvaged what never was");
            let kept: BTreeSet<Vec<u8>> = files(disk).into_iter().map(|(_, bytes)| bytes).collect();
            for (path, bytes) in &before {
                let counts = path.extension().is_some_and(|kind| kind == "journal" || kind == "base");
                let written = bytes.iter().any(|byte| *byte != 0);
                assert!(!counts || !written || kept.contains(bytes), "{context}: salvage deleted {}", path.display());
            }
            assert!(!engine.recovery().notes().is_empty(), "{context}");
            assert_usable(engine, disk, lived, context);
            Outcome::Corrupt
        }
    }
}

/// Breaks each file of a store in turn at many places; counts the outcomes.
fn break_everything(life: Life, step: usize, which: impl Fn(&SimulatedDisk) -> Vec<PathBuf>) -> [usize; 3] {
    let (disk, lived) = Lived::killed(life);
    let original = files(&disk);
    let mut counts = [0; 3];
    let newest = used_segments(&disk).pop();
    for path in which(&disk) {
        let bytes = disk.read(&path).unwrap();
        let used = if path.starts_with(journal()) { *frames(&bytes).last().unwrap() } else { bytes.len() };
        for how in harms(used as u64, step) {
            // A newest segment that is cut or missing looks as after a power cut before its creation, unless it was
            // prepared in the background or housekeeping has named it in the manifest.
            if Some(&path) == newest.as_ref() && matches!(how, Harm::Cut(_) | Harm::Remove) {
                continue;
            }
            let disk = disk_of(&original);
            harm(&disk, &path, how);
            let context = format!("{life:?} {} {how:?}", path.display());
            counts[judge(&disk, &lived, &context) as usize] += 1;
        }
    }
    counts
}

#[test]
fn a_damaged_segment_of_a_store_that_was_not_closed_is_refused_and_salvaged() {
    for life in LIVES {
        let [whole, last_lost, corrupt] = break_everything(life, 61, used_segments);
        println!("{life:?}: {whole} whole, {last_lost} without the last change, {corrupt} refused");
        assert!(corrupt > 50 && last_lost < corrupt / 10, "{whole} {last_lost} {corrupt}");
    }
}

#[test]
fn a_damaged_header_of_the_last_segment_is_refused() {
    for life in LIVES {
        let (disk, lived) = Lived::killed(life);
        let original = files(&disk);
        let last = used_segments(&disk).pop().unwrap();
        for at in 0..64 {
            let disk = disk_of(&original);
            disk.corrupt(&last, at, 4).unwrap();
            assert_eq!(judge(&disk, &lived, &format!("{life:?} byte {at}")), Outcome::Corrupt);
        }
    }
}

#[test]
fn a_damaged_header_of_the_only_segment_is_refused() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let engine = config(&disk, &clock, 1).open(ROOT).unwrap();
    let (none, jobs) = (Project::none(), QueueName::new("jobs").unwrap());
    engine.queues().create(&none, &jobs, &Metadata::new()).unwrap();
    for i in 0..5 {
        engine.messages().post(&none, &jobs, CLIENT, &[message(&i.to_string(), 50)]).unwrap();
    }
    let disk = disk.kill();
    let first = used_segments(&disk).remove(0);
    disk.corrupt(first, 40, 1).unwrap();
    let error = config(&disk, &clock, 2).open(ROOT).unwrap_err();
    assert!(error.is_corrupt(), "{error}");
}

#[test]
fn a_damaged_snapshot_of_a_store_that_was_not_closed_is_refused_and_salvaged() {
    for life in [Life::Snapshot, Life::Cold] {
        let [whole, last_lost, corrupt] = break_everything(life, 17, snapshots);
        assert!(whole == 0 && last_lost == 0 && corrupt > 50, "{life:?}: {whole} {last_lost} {corrupt}");
    }
}

#[test]
fn a_damaged_manifest_is_refused_and_salvaged() {
    for life in LIVES {
        let [whole, last_lost, corrupt] = break_everything(life, 1, |_| vec![Path::new(ROOT).join("MANIFEST")]);
        assert!(whole == 0 && last_lost == 0 && corrupt > 20, "{whole} {last_lost} {corrupt}");
    }
}

#[test]
fn a_lost_manifest_loses_nothing_when_salvaged() {
    for life in LIVES {
        for closed in [false, true] {
            let (disk, lived) = if closed { Lived::closed(life) } else { Lived::killed(life) };
            harm(&disk, &Path::new(ROOT).join("MANIFEST"), Harm::Remove);
            assert!(open(&disk, &lived).unwrap_err().is_corrupt());
            let engine = salvage(&disk, &lived).unwrap();
            assert_eq!(dump(&engine, &[]).unwrap(), lived.last(), "{life:?} {closed}");
            assert_usable(engine, &disk, &lived, "no manifest");
        }
    }
}

#[test]
fn salvage_deletes_neither_a_damaged_snapshot_nor_anything_else_when_the_manifest_is_damaged_too() {
    let (disk, lived) = Lived::killed(Life::Snapshot);
    let snapshot = snapshots(&disk).remove(0);
    disk.corrupt(&snapshot, 200, 1).unwrap();
    disk.corrupt("/store/MANIFEST", 20, 1).unwrap();
    let _ = judge(&disk, &lived, "manifest and snapshot");
}

#[test]
fn files_of_a_newer_format_are_told_from_damaged_ones_and_left_alone() {
    let newer = |bytes: &mut Vec<u8>, covered: usize, sum_at: usize, rest: usize| {
        bytes[8] = 99;
        let mut sum = crc32fast::hash(&bytes[..covered]);
        if rest > 0 {
            let mut hasher = crc32fast::Hasher::new_with_initial(sum);
            hasher.update(&bytes[rest..]);
            sum = hasher.finalize();
        }
        bytes[sum_at..sum_at + 4].copy_from_slice(&sum.to_le_bytes());
    };
    let (disk, lived) = Lived::killed(Life::Snapshot);
    let original = files(&disk);
    let manifest = PathBuf::from("/store/MANIFEST");
    let places = used_segments(&disk).into_iter().map(|path| (path, 60, 60, 0));
    for (path, covered, sum_at, rest) in places.chain([(manifest, 12, 12, 16)]) {
        let disk = disk_of(&original);
        let mut bytes = disk.read(&path).unwrap();
        newer(&mut bytes, covered, sum_at, rest);
        disk.write(&path, bytes).unwrap();
        let before = files(&disk);
        for engine in [open(&disk, &lived), salvage(&disk, &lived)] {
            let error = engine.unwrap_err();
            assert!(matches!(error, Error::UnsupportedFormat { found: 99, .. }), "{path:?} {error}");
            assert_eq!(files(&disk), before, "{path:?}");
        }
    }
}

#[test]
fn a_salvage_cut_at_any_operation_can_be_done_again() {
    for life in LIVES {
        let (disk, lived) = Lived::killed(life);
        let used = used_segments(&disk);
        let broken = if life == Life::Journal { used[..2].to_vec() } else { snapshots(&disk) };
        for path in broken {
            disk.corrupt(&path, 300, 1).unwrap();
            let original = files(&disk);
            let whole = disk_of(&original);
            let engine = salvage(&whole, &lived).unwrap();
            let expected = dump(&engine, &[]).unwrap();
            let operations = whole.operations();
            for keep in [Keep::Nothing, Keep::Random(1), Keep::Random(2)] {
                for k in 0..operations {
                    let disk = disk_of(&original);
                    let start = disk.operations();
                    disk.fail_after(k.saturating_sub(start));
                    let cut = salvage(&disk, &lived).is_err();
                    let disk = disk.power_loss(keep);
                    let context = format!("{life:?} {} {keep:?} {k} {cut}", path.display());
                    let engine = salvage(&disk, &lived).unwrap_or_else(|error| panic!("{context}: {error}"));
                    assert_eq!(dump(&engine, &[]).unwrap(), expected, "{context}");
                    assert_usable(engine, &disk, &lived, &context);
                }
            }
        }
    }
}

#[test]
fn a_torn_end_is_dropped_and_reported_whatever_stands_behind_it() {
    // Buffered changes that no sync has covered: any of them may be torn.
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let engine = config(&disk, &clock, 1).segment_size(1 << 20).open(ROOT).unwrap();
    let (none, jobs) = (Project::none(), QueueName::new("jobs").unwrap());
    engine.queues().create(&none, &jobs, &Metadata::new()).unwrap();
    let quick = engine.with_durability(Durability::Buffered);
    for i in 0..20 {
        let batch = [message(&format!("{i}-0"), 50), message(&format!("{i}-1"), 50)];
        quick.messages().post(&none, &jobs, CLIENT, &batch).unwrap();
    }
    let disk = disk.kill();
    let original = files(&disk);
    let path = used_segments(&disk).remove(0);
    let starts = frames(&disk.read(&path).unwrap());
    assert_eq!(starts.len(), 22, "a queue, twenty posts and the end");
    for (i, start) in starts[1..21].iter().enumerate() {
        // A file that is shorter than it was before its first frame is not torn but damaged.
        let short = disk_of(&original);
        short.truncate(&path, *start as u64 + 40).unwrap();
        assert!(config(&short, &clock, 2).open(ROOT).unwrap_err().is_corrupt());
        for torn in [1, 40] {
            let disk = disk_of(&original);
            disk.corrupt(&path, *start as u64 + torn, 1).unwrap();
            let engine = config(&disk, &clock, 2).open(ROOT).unwrap();
            let left = messages_of(&engine, &none, &jobs).unwrap();
            assert_eq!(left.len(), 2 * i, "whole batches");
            assert_eq!(engine.recovery().dropped(), 19 - i as u64);
            let id = engine.messages().post(&none, &jobs, CLIENT, &[message("new", 9)]).unwrap()[0];
            assert!(left.iter().all(|message| message.id() < id));
            // A dropped change does not come back once the journal has grown past its place.
            for n in 0..30 {
                engine.messages().post(&none, &jobs, CLIENT, &[message(&format!("later {n}"), 50)]).unwrap();
            }
            let engine = config(&disk.kill(), &clock, 3).open(ROOT).unwrap();
            let now = messages_of(&engine, &none, &jobs).unwrap();
            assert_eq!(now.len(), 2 * i + 31);
            assert_eq!(engine.recovery().dropped(), 0, "{}", engine.recovery());
        }
    }
}

#[test]
fn stale_frames_of_a_recycled_segment_do_not_come_back() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let engine = config(&disk, &clock, 1).open(ROOT).unwrap();
    let (none, jobs) = (Project::none(), QueueName::new("jobs").unwrap());
    engine.queues().create(&none, &jobs, &Metadata::new()).unwrap();
    let mut recycled = 0;
    for round in 0..30 {
        for i in 0..7 {
            let name = format!("{round}-{i}");
            let ids = engine.messages().post(&none, &jobs, CLIENT, &[message(&name, 900)]).unwrap();
            engine.messages().delete(&none, &jobs, &ids[0], None).unwrap();
        }
        engine.snapshot().unwrap();
        let stale = |path: &PathBuf| disk.read(path).unwrap().starts_with(b"zaqarlog");
        recycled += segments(&disk).iter().filter(|path| stale(path)).count() - used_segments(&disk).len();
        // A kill here finds the spare full of frames of its former life.
        let image = disk_of(&files(&disk));
        let again = config(&image, &clock, 2).open(ROOT).unwrap();
        assert!(messages_of(&again, &none, &jobs).unwrap().is_empty(), "round {round}");
        assert_eq!(again.recovery().dropped(), 0, "round {round}");
    }
    assert!(recycled > 5, "only {recycled} were recycled");
}

#[test]
fn a_message_larger_than_a_segment_and_all_after_it_survive_a_kill() {
    for (durability, prepared) in [Durability::Sync, Durability::Buffered].into_iter().zip([false, true]) {
        let (disk, clock) = (SimulatedDisk::new(), clock());
        let engine = config(&disk, &clock, 1).durability(durability).open(ROOT).unwrap();
        let (none, jobs) = (Project::none(), QueueName::new("jobs").unwrap());
        engine.queues().create(&none, &jobs, &Metadata::new()).unwrap();
        let mut random = Random::new(5);
        for i in 0..60_u64 {
            let bytes = [10, 3_000, 4_064, 20_000][random.below(4) as usize];
            engine.messages().post(&none, &jobs, CLIENT, &[message(&i.to_string(), bytes)]).unwrap();
            if prepared {
                engine.step().unwrap();
            }
        }
        let before = dump(&engine, &[]).unwrap();
        let image = disk_of(&files(&disk));
        let again = config(&image, &clock, 2).open(ROOT).unwrap();
        assert_eq!(dump(&again, &[]).unwrap(), before);
    }
}

#[test]
fn creation_cut_at_any_operation_leaves_a_directory_that_opens_as_a_new_store() {
    let disk = SimulatedDisk::new();
    let clock = clock();
    drop(config(&disk, &clock, 1).open(ROOT).unwrap());
    let operations = disk.operations();
    for keep in [None, Some(Keep::Nothing), Some(Keep::Random(1)), Some(Keep::Random(2)), Some(Keep::Random(3))] {
        for k in 0..operations {
            let disk = SimulatedDisk::new();
            disk.fail_after(k);
            let opened = config(&disk, &clock, 1).open(ROOT).and_then(|engine| engine.close());
            let disk = keep.map_or_else(|| disk.kill(), |keep| disk.power_loss(keep));
            let engine = config(&disk, &clock, 2).open(ROOT).unwrap_or_else(|e| panic!("{keep:?} {k} {opened:?}: {e}"));
            assert!(engine.recovery().notes().is_empty(), "{keep:?} {k}: {}", engine.recovery());
            let jobs = engine.queue(Project::none(), "jobs").unwrap();
            jobs.create(Metadata::new()).unwrap();
            jobs.post(CLIENT, &[NewMessage::new("work")]).unwrap();
            let engine = config(&disk.power_loss(Keep::Nothing), &clock, 3).open(ROOT).unwrap();
            assert_eq!(engine.queue(Project::none(), "jobs").unwrap().stats().unwrap().total(), 1);
        }
    }
}

#[test]
fn an_open_cut_at_any_operation_any_number_of_times_loses_nothing() {
    for life in LIVES {
        for closed in [false, true] {
            let (disk, lived) = if closed { Lived::closed(life) } else { Lived::killed(life) };
            let mut random = Random::new(9);
            let mut disk = disk;
            for round in 0..150 {
                let keep = [Keep::Nothing, Keep::Random(round)][(round % 2) as usize];
                disk.fail_after(random.below(40));
                let engine = open(&disk, &lived);
                let done = engine.is_ok();
                let closing = random.one_in(2);
                if let Ok(engine) = engine {
                    if closing {
                        let _ = engine.close();
                    }
                    disk = disk.power_loss(keep);
                    drop(engine);
                } else {
                    disk = disk.power_loss(keep);
                }
                // A copy is checked, so that the store itself is only cut.
                let image = disk_of(&files(&disk));
                let engine = open(&image, &lived).unwrap_or_else(|e| panic!("{life:?} {closed} {round} {done}: {e}"));
                assert_eq!(
                    dump(&engine, &lived.claims).unwrap(),
                    lived.with_claims,
                    "{life:?} {closed} {round} {done}"
                );
            }
            let engine = open(&disk, &lived).unwrap();
            assert_usable(engine, &disk, &lived, "after many cuts");
        }
    }
}

#[test]
fn every_reopening_gives_out_larger_ids() {
    let (mut disk, clock) = (SimulatedDisk::new(), clock());
    let (none, jobs) = (Project::none(), QueueName::new("jobs").unwrap());
    let mut last: Option<MessageId> = None;
    for round in 0..40 {
        let engine = config(&disk, &clock, round).open(ROOT).unwrap();
        if round % 7 == 3 {
            engine.queues().delete(&none, &jobs).unwrap();
        }
        engine.queues().create(&none, &jobs, &Metadata::new()).unwrap();
        let durability = if round % 2 == 0 { Durability::Sync } else { Durability::Buffered };
        let engine = engine.with_durability(durability);
        let ids = engine.messages().post(&none, &jobs, CLIENT, &[message("a", 9), message("b", 9)]).unwrap();
        assert!(last.is_none_or(|last| last < ids[0]) && ids[0] < ids[1], "round {round}");
        engine.messages().bulk_delete(&none, &jobs, &ids, &[]).unwrap();
        last = Some(ids[1]);
        match round % 4 {
            0 => engine.snapshot().unwrap(),
            1 => engine.close().unwrap(),
            _ => {}
        }
        disk = disk.power_loss(if round % 3 == 0 { Keep::Nothing } else { Keep::Random(round) });
    }
}

/// Creates a cleanly closed store with sled's trees on the operating system's disk; returns its dump.
fn real_store(root: &Path, memory: u64) -> String {
    let engine = Config::new().background(false).segment_size(64 << 10).memory(memory).open(root).unwrap();
    let jobs = engine.queue(Project::none(), "jobs").unwrap();
    jobs.create(Metadata::new().with("kept", true).unwrap()).unwrap();
    for i in 0..200 {
        jobs.post(CLIENT, &[message(&i.to_string(), 700)]).unwrap();
    }
    jobs.claim(ClaimOptions::new().limit(5)).unwrap();
    engine.snapshot().unwrap();
    for i in 200..260 {
        jobs.post(CLIENT, &[message(&i.to_string(), 700)]).unwrap();
    }
    jobs.pop(7).unwrap();
    let before = bodies(&engine);
    engine.close().unwrap();
    before
}

fn bodies(engine: &Engine) -> String {
    let jobs = engine.queue(Project::none(), "jobs").unwrap();
    let page = jobs.list(&everything()).unwrap();
    page.items.iter().map(|message| format!("{} {:?}\n", message.id(), message.claim_id())).collect()
}

fn trees_of(root: &Path) -> PathBuf {
    let entries = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    entries.max_by_key(|path| path.file_name().unwrap().to_string_lossy().starts_with("trees-")).unwrap()
}

#[test]
fn sleds_directory_missing_cut_or_scribbled_over_is_rebuilt_from_snapshot_and_journal() {
    let breaks: [Break; 8] = [
        ("missing", |trees| std::fs::remove_dir_all(trees).unwrap()),
        ("empty", |trees| {
            std::fs::remove_dir_all(trees).unwrap();
            std::fs::create_dir(trees).unwrap();
        }),
        ("cut to nothing", |trees| cut(&trees.join("db"), 0)),
        ("cut short", |trees| cut(&trees.join("db"), 300)),
        ("random", |trees| scribble(&trees.join("db"), 1, usize::MAX)),
        ("a few bytes changed", |trees| scribble(&trees.join("db"), 7_919, 40)),
        ("no db", |trees| std::fs::remove_file(trees.join("db")).unwrap()),
        ("conf random", |trees| scribble(&trees.join("conf"), 1, usize::MAX)),
    ];
    for (how, damage) in breaks {
        assert_rebuilt((how, damage), AMPLE);
        assert_rebuilt((how, damage), 4_000);
    }
}

#[test]
fn a_file_in_the_place_of_sleds_directory_is_rebuilt_from_snapshot_and_journal() {
    assert_rebuilt(
        ("a file", |trees| {
            std::fs::remove_dir_all(trees).unwrap();
            std::fs::write(trees, b"not a directory").unwrap();
        }),
        AMPLE,
    );
}

type Break = (&'static str, fn(&Path));

fn assert_rebuilt((how, damage): Break, memory: u64) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    let before = real_store(&root, memory);
    damage(&trees_of(&root));
    for source in [RecoverySource::Journal, RecoverySource::Trees] {
        let opened = Config::new().background(false).memory(memory).open(&root);
        let engine = opened.unwrap_or_else(|e| panic!("{how}, {memory} bytes: {e}"));
        assert_eq!(bodies(&engine), before, "{how}");
        assert_eq!(engine.recovery().source(), source, "{how}: {}", engine.recovery());
        assert_eq!(engine.recovery().notes().is_empty(), source == RecoverySource::Trees, "{how}");
        assert_sound(&engine, how);
        engine.close().unwrap();
    }
}

fn cut(path: &Path, len: u64) {
    std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(len).unwrap();
}

fn scribble(path: &Path, step: usize, most: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    let mut random = Random::new(3);
    bytes.iter_mut().step_by(step).take(most).for_each(|byte| *byte ^= random.next() as u8 | 1);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn one_flipped_bit_in_sleds_file_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let original = folder.path().join("original");
    let before = real_store(&original, AMPLE);
    let trees = trees_of(&original);
    let name = trees.file_name().unwrap().to_owned();
    let db = std::fs::read(trees.join("db")).unwrap();
    let written = db.iter().rposition(|byte| *byte != 0).unwrap();
    let mut random = Random::new(11);
    let mut rebuilt = 0;
    for round in 0..40 {
        let root = folder.path().join(format!("{round}"));
        copy_all(&original, &root);
        let mut damaged = db.clone();
        let at = random.below(written as u64) as usize;
        damaged[at] ^= 1 << random.below(8);
        std::fs::write(root.join(&name).join("db"), damaged).unwrap();
        let engine = Config::new().background(false).open(&root).unwrap_or_else(|e| panic!("byte {at}: {e}"));
        rebuilt += usize::from(engine.recovery().source() == RecoverySource::Journal);
        assert_eq!(bodies(&engine), before, "byte {at}");
        engine.close().unwrap_or_else(|e| panic!("byte {at}: {e}"));
        drop(engine);
        let engine = Config::new().background(false).open(&root).unwrap_or_else(|e| panic!("byte {at}: {e}"));
        assert_eq!(bodies(&engine), before, "byte {at}");
        std::fs::remove_dir_all(&root).unwrap();
    }
    println!("{rebuilt} of 40 were rebuilt");
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_large_torn_message_of_random_bytes_does_not_hold_up_the_next_open() {
    let mut random = Random::new(1);
    let body = (0..2 << 20).flat_map(|_| random.next().to_le_bytes()).collect();
    assert_opens_soon_after_tearing(body);
}

#[test]
fn a_torn_message_made_to_look_like_frames_does_not_hold_up_the_next_open() {
    // Headers of large frames, one in every 32 bytes, as an attacker who knows the format would post them.
    let mut header = [0_u8; 32];
    header[..4].copy_from_slice(&(1_u32 << 20).to_le_bytes());
    header[8..16].copy_from_slice(&3_u64.to_le_bytes());
    assert_opens_soon_after_tearing(header.repeat(60_000));
}

/// Asserts that a store whose last frame, a post of this body, is torn opens without the message and without delay.
fn assert_opens_soon_after_tearing(body: Vec<u8>) {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let engine = config(&disk, &clock, 1).segment_size(32 << 20).durability(Durability::Buffered).open(ROOT).unwrap();
    let jobs = engine.queue(Project::none(), "jobs").unwrap();
    jobs.create(Metadata::new()).unwrap();
    jobs.post(CLIENT, &[NewMessage::new(body)]).unwrap();
    let disk = disk.kill();
    let path = used_segments(&disk).pop().unwrap();
    let end = *frames(&disk.read(&path).unwrap()).last().unwrap() as u64;
    disk.corrupt(&path, end - 10, 1).unwrap();
    let started = Instant::now();
    let engine = config(&disk, &clock, 2).open(ROOT).unwrap();
    assert_eq!(engine.queue(Project::none(), "jobs").unwrap().stats().unwrap().total(), 0);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[test]
fn a_message_acknowledged_while_another_thread_closes_the_store_is_in_it() {
    for round in 0..400 {
        let (disk, clock) = (SimulatedDisk::new(), clock());
        let engine = config(&disk, &clock, 1).open(ROOT).unwrap();
        let workers: Vec<_> = (0..2)
            .map(|worker| {
                let jobs = engine.queue(Project::none(), format!("jobs{worker}")).unwrap();
                jobs.create(Metadata::new()).unwrap();
                engine.checkpoint().unwrap();
                std::thread::spawn(move || {
                    let mut acknowledged = 0;
                    while jobs.post(CLIENT, &[message("a", 9)]).is_ok() {
                        acknowledged += 1;
                    }
                    acknowledged
                })
            })
            .collect();
        std::thread::sleep(Duration::from_micros(50 + round % 7 * 30));
        engine.close().unwrap();
        let acknowledged: Vec<u64> = workers.into_iter().map(|worker| worker.join().unwrap()).collect();
        drop(engine);
        let again = Arc::new(disk);
        let engine = config(&again, &clock, 2).open(ROOT).unwrap();
        for (worker, acknowledged) in acknowledged.into_iter().enumerate() {
            let jobs = engine.queue(Project::none(), format!("jobs{worker}")).unwrap();
            let there = jobs.stats().unwrap().total();
            // One more message may have been written, whose post returned that the store is closed.
            assert!(there == acknowledged || there == acknowledged + 1, "round {round}: {there} of {acknowledged}");
        }
        assert_sound(&engine, "after the race");
    }
}

#[test]
fn an_unobserved_expiry_before_a_clean_close_leaves_the_trees_sound() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let minute = Duration::from_secs(60);
    let engine = config(&disk, &clock, 1).open(ROOT).unwrap();
    let jobs = engine.queue(Project::none(), "jobs").unwrap();
    jobs.create(Metadata::new()).unwrap();
    jobs.post(CLIENT, &[NewMessage::new("short").ttl(minute), NewMessage::new("long").ttl(minute * 60)]).unwrap();
    jobs.claim(ClaimOptions::new().ttl(minute / 2).grace(Duration::ZERO).limit(1)).unwrap().unwrap();
    engine.checkpoint().unwrap();
    clock.advance(minute * 2);
    engine.close().unwrap();
    drop(engine);
    for round in 0..3 {
        let engine = config(&disk, &clock, 2 + round).open(ROOT).unwrap();
        assert_eq!(engine.recovery().source(), RecoverySource::Trees, "{round}: {}", engine.recovery());
        assert_sound(&engine, "reopened");
        let jobs = engine.queue(Project::none(), "jobs").unwrap();
        if round == 1 {
            jobs.delete().unwrap();
        } else if round == 0 {
            assert_eq!(jobs.stats().unwrap().total(), 1);
        }
        engine.close().unwrap();
    }
}
