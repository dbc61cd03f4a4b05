//! Opening a damaged store, without salvage and with it.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use zaqar_sled::disk::SimulatedDisk;
use zaqar_sled::{Error, Message, MessageId, MessageListOptions, Project, QueueListOptions, Result};

use super::harm::{Harm, Kind, bodies_in, copies, number};
use super::store::{Ended, Opened, disk_of, files};

/// What salvage got back.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Figure {
    pub(crate) cases: u64,
    pub(crate) refused: u64,
    /// Messages that are whole somewhere.
    pub(crate) intact: u64,
    pub(crate) back: u64,
    /// Messages that were deleted, and are there again.
    pub(crate) returned: u64,
}

/// By kind of file and of damage.
pub(crate) type Figures = BTreeMap<(Kind, &'static str), Figure>;

pub(crate) fn print(what: &str, figures: &Figures) {
    for ((kind, harm), figure) in figures {
        let Figure { cases, refused, intact, back, returned } = figure;
        println!(
            "{what}: {kind:?} {harm}: {cases} cases, {refused} refused; salvage got back {back} of {intact} intact messages, {returned} deleted ones with them"
        );
    }
}

/// Asserts that salvage gets back 99 in 100 of what is intact, for each kind.
pub(crate) fn assert_enough(figures: &Figures) {
    for (kind, figure) in figures {
        assert!(figure.back * 100 >= figure.intact * 99, "{kind:?}: {figure:?}");
    }
}

/// Everything in a store, or the first error; with every message by queue.
fn survey(opened: &Opened) -> Result<BTreeMap<MessageId, Vec<u8>>> {
    let (none, mut all) = (Project::none(), BTreeMap::new());
    let queues = opened.driver().queues().list(&none, &QueueListOptions::new().limit(0))?.items;
    let options = MessageListOptions::new().limit(0).echo(true).include_claimed(true).include_delayed(true);
    for queue in queues {
        let listed = opened.driver().messages().list(&none, queue.name(), &options)?.items;
        let stats = opened.driver().queues().stats(&none, queue.name())?;
        assert_eq!(stats.total(), listed.len() as u64, "{}", queue.name());
        assert!(listed.is_sorted_by_key(Message::id));
        all.extend(listed.iter().map(|message| (message.id(), message.body().to_vec())));
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

/// Harms one file of a store and judges what becomes of it; `None` if nothing is harmed.
pub(crate) fn judge(ended: &Ended, original: &[(PathBuf, Vec<u8>)], path: &Path, harm: Harm, figures: &mut Figures) {
    let disk = disk_of(original);
    if !harm.inflict(&disk, path, &ended.older) {
        return;
    }
    let context = format!("{:?} {} {harm:?}", ended.end, path.display());
    let whole = &original.iter().find(|(one, _)| one == path).unwrap().1;
    let judged = catch_unwind(AssertUnwindSafe(|| judge_both(ended, &disk, path, harm, whole, &context)));
    let (refused, found) = judged.unwrap_or_else(|panic| panic!("{context}: {panic:?}"));
    let figure = figures.entry((Kind::of(path), harm.name())).or_default();
    figure.cases += 1;
    figure.refused += u64::from(refused);
    figure.intact += found.intact;
    figure.back += found.back;
    figure.returned += found.returned;
    if found.back * 100 < found.intact * 99 {
        println!("{context}: {} of {} back", found.back, found.intact);
    }
}

fn judge_both(
    ended: &Ended,
    disk: &SimulatedDisk,
    path: &Path,
    harm: Harm,
    whole: &[u8],
    context: &str,
) -> (bool, Figure) {
    let before = files(disk);
    let mut intact = intact(ended, &before);
    if Kind::of(path) == Kind::Heap {
        // A file of pages holds former copies of them too, which say nothing of what has been deleted since: of a page that
        // is hit, they need not be taken.
        let left = copies(path, &disk.read(path).unwrap_or_default());
        let hit: BTreeSet<u64> =
            copies(path, whole).into_iter().filter(|(n, count)| left.get(n) != Some(count)).map(|(n, _)| n).collect();
        intact.retain(|id| !hit.contains(&number(&ended.ledger.live[id].1)));
    }
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
            // What an end cut from the journal takes with it was never told to be durable, as far as anybody can tell.
            if !last && !found.is_empty() {
                let missing = intact.iter().filter(|id| !found.contains_key(*id)).count();
                assert_eq!(missing, 0, "{context}: {missing} messages are missing without an error");
                let returned = found.keys().filter(|id| ended.ledger.deleted.contains(id)).count();
                assert_eq!(returned, 0, "{context}: {returned} deleted messages are back");
            }
            found.is_empty()
        }
    };
    (refused, salvaged(ended, disk, path, &intact, context))
}

/// Whether the file is the last of the journal's that is in use.
fn is_last(files: &[(PathBuf, Vec<u8>)], path: &Path) -> bool {
    let in_use =
        |file: &&(PathBuf, Vec<u8>)| Kind::of(&file.0) == Kind::Journal && file.1.iter().any(|byte| *byte != 0);
    let beside = files.iter().filter(in_use).filter(|file| file.0.parent() == path.parent());
    beside.max_by_key(|file| &file.0).is_none_or(|last| last.0 <= *path)
}

/// The messages that are alive and stand whole in some file.
fn intact(ended: &Ended, files: &[(PathBuf, Vec<u8>)]) -> BTreeSet<MessageId> {
    let whole = bodies_in(files);
    let live = ended.ledger.live.iter().filter(|(_, (_, body))| whole.contains(&number(body)));
    live.map(|(id, _)| *id).collect()
}

fn assert_genuine(ended: &Ended, found: &BTreeMap<MessageId, Vec<u8>>, context: &str) {
    for (id, body) in found {
        match ended.ledger.live.get(id) {
            Some((_, posted)) => assert_eq!(posted, body, "{context}: another body"),
            None => assert!(ended.ledger.deleted.contains(id), "{context}: {id} never was"),
        }
    }
}

fn salvaged(ended: &Ended, disk: &SimulatedDisk, path: &Path, intact: &BTreeSet<MessageId>, context: &str) -> Figure {
    let opened = ended.open(disk, true).unwrap_or_else(|error| panic!("{context}: {error}"));
    let found = survey(&opened).unwrap_or_else(|error| panic!("{context}: {error}"));
    assert_genuine(ended, &found, context);
    assert!(opened.is_sound().unwrap(), "{context}: unsound");
    let returned: BTreeSet<&MessageId> = found.keys().filter(|id| ended.ledger.deleted.contains(id)).collect();
    match Kind::of(path) {
        // What the last snapshot and the journal behind it say is all there.
        Kind::Heap | Kind::Manifest | Kind::Other => assert!(returned.is_empty(), "{context}: {returned:?} are back"),
        // When those of a pool wrote their snapshots is not known.
        Kind::Snapshot | Kind::Journal if ended.end == super::store::End::Pooled => {}
        // What was deleted since is in the journal.
        Kind::Snapshot => {
            let told = returned.iter().filter(|id| !ended.ledger.long_gone.contains(id)).count();
            assert_eq!(told, 0, "{context}: {told} messages are back whose deletion is in the journal");
        }
        Kind::Journal => {
            let told = returned.iter().filter(|id| ended.ledger.long_gone.contains(id)).count();
            assert_eq!(told, 0, "{context}: {told} messages are back whose deletion is in the snapshot");
        }
    }
    opened.driver().close().unwrap();
    drop(opened);
    // And it is a store as any other.
    let again = ended.open(disk, false).unwrap_or_else(|error| panic!("{context}, opened again: {error}"));
    let second = survey(&again).unwrap_or_else(|error| panic!("{context}, opened again: {error}"));
    assert!(second == found, "{context}: {} messages, then {}", found.len(), second.len());
    let back = intact.iter().filter(|id| found.contains_key(*id)).count() as u64;
    Figure { cases: 1, refused: 0, intact: intact.len() as u64, back, returned: returned.len() as u64 }
}
