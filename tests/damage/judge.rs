//! Opening a damaged store, without salvage and with it.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use zaqar_sled::disk::SimulatedDisk;
use zaqar_sled::{Error, Message, MessageId, Project, QueueListOptions, Result};

use super::evidence::{Evidence, number, number_of};
use super::harm::{Harm, Kind};
use super::images::{disk_of, files};
use super::store::{Ended, Opened};
use super::values::everything;

/// The messages that salvage recovered.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Figure {
    pub(crate) cases: u64,
    pub(crate) refused: u64,
    /// Messages that are whole somewhere.
    pub(crate) intact: u64,
    pub(crate) back: u64,
    /// Messages that were deleted, and are there again.
    pub(crate) returned: u64,
    /// Cases in which fewer than 99 in 100 were recovered.
    pub(crate) short: u64,
}

/// By kind of file and of damage.
pub(crate) type Figures = BTreeMap<(Kind, &'static str), Figure>;

pub(crate) fn print(what: &str, figures: &Figures) {
    for ((kind, harm), figure) in figures {
        let Figure { cases, refused, intact, back, returned, short: _ } = figure;
        println!(
            "{what}: {kind:?} {harm}: {cases} cases, {refused} refused; salvage got back {back} of {intact} intact messages, {returned} deleted ones with them"
        );
    }
}

/// Asserts that salvage recovered 99 in 100 of the intact messages, in every case.
pub(crate) fn assert_enough(figures: &Figures) {
    for (kind, figure) in figures {
        assert_eq!(figure.short, 0, "{kind:?}: {figure:?}");
    }
}

/// Reads everything in a store; returns all messages, or the first error.
fn survey(opened: &Opened) -> Result<BTreeMap<MessageId, Vec<u8>>> {
    let (none, mut all) = (Project::none(), BTreeMap::new());
    let queues = opened.driver().queues().list(&none, &QueueListOptions::new().limit(0))?.items;
    for queue in queues {
        let listed = opened.driver().messages().list(&none, queue.name(), &everything())?.items;
        let stats = opened.driver().queues().stats(&none, queue.name())?;
        assert_eq!(stats.total(), listed.len() as u64, "{}", queue.name());
        assert!(listed.is_sorted_by_key(Message::id));
        all.extend(listed.iter().map(|message| (message.id(), message.body().as_bytes().to_vec())));
    }
    Ok(all)
}

fn is_honest(error: &Error) -> bool {
    match error {
        Error::PoolUnavailable { source, .. } => is_honest(source),
        Error::Io { context, .. } => context.contains('/'),
        error => error.is_corrupt() || error.is_not_found(),
    }
}

/// Harms one file of a store and judges the openings; `None` if nothing was changed.
pub(crate) fn judge(ended: &Ended, original: &[(PathBuf, Vec<u8>)], path: &Path, harm: Harm, figures: &mut Figures) {
    let disk = disk_of(original);
    if !harm.inflict(&disk, path, &ended.older) {
        return;
    }
    let context = format!("{:?} {} {harm:?}", ended.end, path.display());
    let judged = catch_unwind(AssertUnwindSafe(|| judge_both(ended, &disk, path, harm, &context)));
    let (refused, found) = judged.unwrap_or_else(|panic| panic!("{context}: {panic:?}"));
    let figure = figures.entry((Kind::of(path), harm.name())).or_default();
    figure.cases += 1;
    figure.refused += u64::from(refused);
    figure.intact += found.intact;
    figure.back += found.back;
    figure.returned += found.returned;
    if found.back * 100 < found.intact * 99 {
        println!("{context}: {} of {} back", found.back, found.intact);
        figure.short += 1;
    }
}

fn judge_both(ended: &Ended, disk: &SimulatedDisk, path: &Path, harm: Harm, context: &str) -> (bool, Figure) {
    let before = files(disk);
    let evidence = Evidence::of(&before, &ended.stores);
    let intact = intact(ended, &evidence);
    let (copy, last) = (disk_of(&before), is_last(&before, path));
    if let Some(range) = harm.unreadable() {
        [disk, &copy].into_iter().for_each(|disk| disk.make_unreadable(path, range.clone()).unwrap());
    }
    let refused = match ended.open(&copy, false) {
        Err(error) => {
            assert!(is_honest(&error), "{context}: {error}");
            assert!(files(&copy) == before, "{context}: refused, but changed: {error}");
            true
        }
        Ok(opened) => {
            let found = survey(&opened);
            if let Err(error) = &found {
                assert!(is_honest(error), "{context}: {error}");
            }
            let found = found.unwrap_or_default();
            assert_genuine(ended, &found, context);
            // Nothing proves that frames cut from the end of the journal were synced.
            if !last && !found.is_empty() {
                let missing = intact.iter().filter(|id| !found.contains_key(*id)).count();
                assert_eq!(missing, 0, "{context}: {missing} messages are missing without an error");
                let returned = found.keys().filter(|id| ended.known.messages.is_gone(id)).count();
                assert_eq!(returned, 0, "{context}: {returned} deleted messages are back");
            }
            found.is_empty()
        }
    };
    (refused, salvaged(ended, disk, path, (&intact, &evidence), context))
}

/// Whether the file is the last journal segment in use. A spare segment may still have the content of a former segment;
/// its header has that segment's number.
fn is_last(files: &[(PathBuf, Vec<u8>)], path: &Path) -> bool {
    let in_use = |(path, bytes): &&(PathBuf, Vec<u8>)| {
        let header = bytes.get(28..36).map(|number| u64::from_le_bytes(*number.first_chunk().unwrap()));
        Kind::of(path) == Kind::Journal && header == Some(number_of(path))
    };
    let beside = files.iter().filter(in_use).filter(|file| file.0.parent() == path.parent());
    beside.max_by_key(|file| &file.0).is_none_or(|last| last.0 <= *path)
}

/// The live messages whose bodies are whole in some file.
fn intact(ended: &Ended, evidence: &Evidence) -> BTreeSet<MessageId> {
    let live = ended.known.messages.live().iter().filter(|(_, posted)| evidence.bodies.contains(&number(&posted.body)));
    live.map(|(id, _)| *id).collect()
}

fn assert_genuine(ended: &Ended, found: &BTreeMap<MessageId, Vec<u8>>, context: &str) {
    for (id, body) in found {
        ended.known.messages.assert_known(id, body, context);
    }
}

fn salvaged(
    ended: &Ended,
    disk: &SimulatedDisk,
    path: &Path,
    (intact, evidence): (&BTreeSet<MessageId>, &Evidence),
    context: &str,
) -> Figure {
    let opened = ended.open(disk, true).unwrap_or_else(|error| panic!("{context}: {error}"));
    let found = survey(&opened).unwrap_or_else(|error| panic!("{context}: {error}"));
    assert_genuine(ended, &found, context);
    assert!(opened.is_sound().unwrap(), "{context}: unsound");
    let returned: Vec<&MessageId> = found.keys().filter(|id| ended.known.messages.is_gone(id)).collect();
    let told = returned.iter().filter(|id| is_told(ended, path, evidence, id)).count();
    assert_eq!(told, 0, "{context}: {told} messages are back of which a record says that they were deleted");
    opened.driver().close().unwrap();
    drop(opened);
    // And it is a store as any other.
    let again = ended.open(disk, false).unwrap_or_else(|error| panic!("{context}, opened again: {error}"));
    let second = survey(&again).unwrap_or_else(|error| panic!("{context}, opened again: {error}"));
    assert!(second == found, "{context}: {} messages, then {}", found.len(), second.len());
    let back = intact.iter().filter(|id| found.contains_key(*id)).count() as u64;
    Figure { cases: 1, refused: 0, intact: intact.len() as u64, back, returned: returned.len() as u64, short: 0 }
}

/// Whether an intact record reports that a message was deleted.
fn is_told(ended: &Ended, path: &Path, evidence: &Evidence, id: &MessageId) -> bool {
    match Kind::of(path) {
        // The last snapshot and the journal behind it are intact.
        Kind::PageFile | Kind::Manifest | Kind::Other => true,
        Kind::Snapshot => evidence.tells_of(id),
        // It is not known when the stores of the pools wrote their snapshots.
        Kind::Journal if ended.end == super::store::End::Pooled => evidence.tells_of(id),
        Kind::Journal => evidence.tells_of(id) || ended.known.long_gone.contains(id),
    }
}
