//! The work on one source: its queue of lines, its dead letters, and its progress.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use zaqar_sled::{Bookmark, ClaimId, DataDriver, Engine, MessageListOptions, Metadata, Project, Queue, QueueStats};

use crate::dead_lines::DeadLine;
use crate::failure::Failure;
use crate::position::Position;
use crate::source::Source;

#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) source: Source,
    pub(crate) lines: Queue,
    dead: Queue,
    /// Is at the position up to which the source is posted.
    pub(crate) bookmark: Bookmark,
    position: Mutex<Position>,
    before: Counts,
    is_posted: AtomicBool,
    is_done: AtomicBool,
    is_held_back: AtomicBool,
    redelivered: AtomicU64,
}

/// The lines of a source. The processed lines are those that are neither waiting nor dead, so they need no count of
/// their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) posted: u64,
    pub(crate) waiting: u64,
    pub(crate) dead: u64,
}

impl Counts {
    pub(crate) fn processed(&self) -> u64 {
        self.posted.saturating_sub(self.waiting).saturating_sub(self.dead)
    }
}

impl Job {
    /// Opens or creates the source's queue, and cleans up after a run that died.
    pub(crate) fn open(engine: &Engine, source: Source, max_claims: Option<u32>) -> Result<Self, Failure> {
        let project = Project::named(PROJECT)?;
        let name = source.short_identity();
        let lines = engine.queue(project.clone(), format!("lines:{name}"))?;
        let dead = engine.queue(project.clone(), format!("dead:{name}"))?;
        let bookmark = engine.bookmark(project, lines.name())?;
        if !lines.exists()? {
            // The queue was removed, or is new: the source is posted from its start.
            bookmark.delete()?;
        }
        prepare(&lines, &dead, &source, max_claims)?;
        let position = Position::read(&source, &lines, &bookmark)?;
        let mut job = Self {
            source,
            lines,
            dead,
            bookmark,
            position: Mutex::new(position),
            before: Counts::default(),
            is_posted: AtomicBool::new(false),
            is_done: AtomicBool::new(false),
            is_held_back: AtomicBool::new(false),
            redelivered: AtomicU64::new(0),
        };
        job.before = job.counts()?;
        Ok(job)
    }

    /// The position up to which the source is posted.
    pub(crate) fn position(&self) -> Position {
        *self.position.lock()
    }

    pub(crate) fn set_position(&self, position: Position) {
        *self.position.lock() = position;
    }

    /// Records that all lines of the source are posted.
    pub(crate) fn set_posted(&self) {
        self.is_posted.store(true, Ordering::Release);
    }

    /// Records that the source's last line waits for its newline.
    pub(crate) fn set_held_back(&self) {
        self.is_held_back.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_held_back(&self) -> bool {
        self.is_held_back.load(Ordering::Relaxed)
    }

    /// Up to `most` lines that became dead letters in this run, in that order. Cost: reads the dead letters before them.
    pub(crate) fn dead_lines(&self, most: usize) -> Result<Vec<DeadLine>, Failure> {
        let before = usize::try_from(self.before.dead).unwrap_or(usize::MAX);
        let dead = self.dead.iter(MessageListOptions::new()).skip(before).take(most);
        dead.map(|message| Ok(DeadLine::of(&message?))).collect()
    }

    pub(crate) fn add_redelivered(&self, lines: u64) {
        self.redelivered.fetch_add(lines, Ordering::Relaxed);
    }

    pub(crate) fn redelivered(&self) -> u64 {
        self.redelivered.load(Ordering::Relaxed)
    }

    /// Whether no line is left, as of the last [`check_done`](Self::check_done).
    pub(crate) fn is_done(&self) -> bool {
        self.is_done.load(Ordering::Relaxed)
    }

    /// Checks whether any line is left to process.
    pub(crate) fn check_done(&self) -> Result<(), Failure> {
        if self.is_posted.load(Ordering::Acquire) && self.counts()?.waiting == 0 {
            self.is_done.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The current counts. While lines are posted, some may be counted as waiting and not as posted.
    pub(crate) fn counts(&self) -> Result<Counts, Failure> {
        let posted = self.position().lines;
        let waiting = self.lines.stats()?.total();
        let dead = match self.dead.stats() {
            Err(error) if error.is_not_found() => 0,
            stats => stats?.total(),
        };
        Ok(Counts { posted, waiting, dead })
    }

    /// The counts at the start of this run.
    pub(crate) fn before(&self) -> Counts {
        self.before
    }

    pub(crate) fn stats(&self) -> Result<QueueStats, Failure> {
        Ok(self.lines.stats()?)
    }

    /// Ends the claims of a run that died. Only this process uses the store, so no worker holds them. Cost: reads each
    /// message up to the last claimed one.
    pub(crate) fn release_all(&self, engine: &Engine) -> Result<(), Failure> {
        let mut claimed = self.stats()?.claimed();
        let mut claims: BTreeSet<ClaimId> = BTreeSet::new();
        let mut messages = self.lines.iter(MessageListOptions::new().include_claimed(true));
        while claimed > 0
            && let Some(message) = messages.next().transpose()?
        {
            claimed -= u64::from(message.claim_id().is_some());
            claims.extend(message.claim_id());
        }
        for claim in claims {
            engine.claims().delete(self.lines.project(), self.lines.name(), &claim)?;
        }
        Ok(())
    }
}

/// Creates the queue if it is missing, and sets the metadata that this run needs.
fn prepare(lines: &Queue, dead: &Queue, source: &Source, max_claims: Option<u32>) -> Result<(), Failure> {
    let path = source.identity();
    let mut metadata = Metadata::new().with(PATH, &path)?;
    if let Some(most) = max_claims {
        metadata = metadata.with("_max_claim_count", most)?.with("_dead_letter_queue", dead.name().as_str())?;
    }
    if lines.create(metadata.clone())? {
        return Ok(());
    }
    let found = lines.metadata()?;
    if let Some(what) = found.get::<String>("_paused")? {
        return Err(Failure::Paused { queue: lines.name().to_string(), what });
    }
    if found.get::<String>(PATH).ok().flatten().as_ref() != Some(&path) {
        return Err(Failure::foreign(source, lines));
    }
    if found != metadata {
        lines.set_metadata(&metadata)?;
    }
    Ok(())
}

const PROJECT: &str = "work";

/// The key of a queue's metadata with the queue's source.
const PATH: &str = "path";
