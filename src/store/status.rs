//! What an operator asks first.

use std::time::Duration;

use crate::model::{Project, QueueName};
use crate::store::Store;

/// Sizes, lag and health of a store at one instant.
///
/// ```
/// # use zaqar_sled::{ClientId, Config, Metadata, NewMessage, Project, SimulatedDisk};
/// # let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
/// let jobs = engine.queue(Project::none(), "jobs")?;
/// jobs.create(Metadata::new())?;
/// jobs.post(ClientId::random(), &[NewMessage::new("work")])?;
/// let status = engine.status();
/// assert_eq!((status.queues(), status.messages(), status.live_bytes()), (1, 1, 4 + 64));
/// assert_eq!(status.unsynced(), 0); // the default is Durability::Sync
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    queues: u64,
    messages: u64,
    live_bytes: u64,
    memory_bytes: u64,
    pages: u64,
    cold_pages: u64,
    claims: u64,
    spent_claims: u64,
    deleted_queues: u64,
    damaged_pages: u64,
    damaged_messages: u64,
    page_file_bytes: u64,
    journal_bytes: u64,
    journal_segments: usize,
    appended_lsn: u64,
    synced_lsn: u64,
    checkpoint_lsn: u64,
    snapshot_lsn: u64,
    waiting: usize,
    in_transit: u64,
    subscriptions: u64,
    clock_gap: Duration,
    clock_readings_ignored: u64,
    poisoned: Option<String>,
    trees_fault: Option<String>,
}

impl Status {
    pub(crate) fn of(store: &Store) -> Self {
        // Housekeeping may hold its lock for seconds: its figures are then those of before.
        let housekeeping = store.housekeeping.try_lock();
        let kept = store.journal.kept();
        let sizes = store.sizes();
        let (damaged_pages, damaged_messages) = store.count_damaged();
        Self {
            queues: store.count_queues(),
            messages: store.messages(),
            live_bytes: store.weight(),
            memory_bytes: store.budget.used(),
            pages: sizes.pages,
            cold_pages: sizes.cold_pages,
            claims: sizes.claims,
            spent_claims: sizes.spent_claims,
            deleted_queues: store.count_deleted(),
            damaged_pages,
            damaged_messages,
            page_file_bytes: store.page_files.bytes().0,
            journal_bytes: kept.iter().map(|kept| kept.bytes).sum(),
            journal_segments: kept.len(),
            appended_lsn: store.journal.appended(),
            synced_lsn: store.journal.synced(),
            checkpoint_lsn: housekeeping.as_ref().map_or(0, |housekeeping| housekeeping.checkpoint_lsn),
            snapshot_lsn: housekeeping
                .as_ref()
                .and_then(|housekeeping| housekeeping.manifest.snapshot)
                .map_or(0, |snapshot| snapshot.from),
            waiting: store.waiters.len(),
            in_transit: store.in_transit(),
            subscriptions: store.registry.read().subscriptions.len() as u64,
            clock_gap: store.clock.gap(),
            clock_readings_ignored: store.clock.ignored(),
            poisoned: store.journal.poisoned().map(|cause| cause.to_string()),
            trees_fault: housekeeping.and_then(|housekeeping| housekeeping.trees_fault.clone()),
        }
    }

    /// Queues in all projects.
    pub fn queues(&self) -> u64 {
        self.queues
    }

    /// Messages in all queues, those that have expired and were not yet collected included.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// What those messages weigh: their bodies and 64 bytes each.
    pub fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    /// Bytes of messages in memory: bodies, 56 bytes each, and what their pages take beside.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }

    /// Pages of messages, in memory or not: up to 128 messages or 16 KiB of bodies each.
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// Those whose messages are on disk alone.
    pub fn cold_pages(&self) -> u64 {
        self.cold_pages
    }

    /// Claims in all queues, those that have ended and were not yet collected included, and those of which every message is
    /// gone.
    pub fn claims(&self) -> u64 {
        self.claims
    }

    /// Those of these of which every message is gone. More than an eighth of [`Config::memory`](crate::Config::memory) can
    /// hold (at least 1 MiB, of 240 B each) are not kept: those that have been without messages for longest end.
    pub fn spent_claims(&self) -> u64 {
        self.spent_claims
    }

    /// Deleted queues of which something is still to be freed in memory, or to be removed from the trees by the next
    /// checkpoint.
    pub fn deleted_queues(&self) -> u64 {
        self.deleted_queues
    }

    /// Pages that were found, in this run, not to be what was written, or that the device cannot read.
    ///
    /// Nobody can claim or read their messages; everything else goes on. The journal may still have them, in which case
    /// opening the store again restores them; [`drop_damaged`](crate::Engine::drop_damaged) gives them up.
    /// [`verify`](crate::Engine::verify) finds those that nobody has met yet.
    pub fn damaged_pages(&self) -> u64 {
        self.damaged_pages
    }

    /// The messages in those pages; they count in [`messages`](Self::messages) until they expire or are dropped.
    pub fn damaged_messages(&self) -> u64 {
        self.damaged_messages
    }

    /// Bytes of the files that pages are written to.
    pub fn page_file_bytes(&self) -> u64 {
        self.page_file_bytes
    }

    /// Bytes of the journal's segments on disk.
    pub fn journal_bytes(&self) -> u64 {
        self.journal_bytes
    }

    /// How many segments those are.
    pub fn journal_segments(&self) -> usize {
        self.journal_segments
    }

    /// The number of the last change.
    pub fn appended_lsn(&self) -> u64 {
        self.appended_lsn
    }

    /// Changes that a power cut could still take.
    pub fn unsynced(&self) -> u64 {
        self.appended_lsn.saturating_sub(self.synced_lsn)
    }

    /// The last change that the trees have for certain; 0 before the first checkpoint and while one runs.
    pub fn checkpoint_lsn(&self) -> u64 {
        self.checkpoint_lsn
    }

    /// From where a rebuild would replay the journal; 0 without a snapshot and while one is written.
    pub fn snapshot_lsn(&self) -> u64 {
        self.snapshot_lsn
    }

    /// Calls of `claim_wait` that wait now.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Dead letters on their way to the stores of other pools; they count among the messages here.
    pub fn in_transit(&self) -> u64 {
        self.in_transit
    }

    /// Subscriptions of all queues, those that have expired and were not yet collected included.
    pub fn subscriptions(&self) -> u64 {
        self.subscriptions
    }

    /// How far the engine's time is ahead of the wall clock, which is so after the wall clock was set back.
    pub fn clock_gap(&self) -> Duration {
        self.clock_gap
    }

    /// How many readings of the wall clock were left out since opening because they were later than the year 9899.
    pub fn clock_readings_ignored(&self) -> u64 {
        self.clock_readings_ignored
    }

    /// Why writes are refused, if they are.
    pub fn poisoned(&self) -> Option<&str> {
        self.poisoned.as_deref()
    }

    /// Why the last trees were given up, until a checkpoint has filled new ones.
    pub fn trees_fault(&self) -> Option<&str> {
        self.trees_fault.as_deref()
    }
}

/// What [`Engine::drop_damaged`](crate::Engine::drop_damaged) gave up of one queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppedMessages {
    pub(crate) project: Project,
    pub(crate) queue: QueueName,
    pub(crate) messages: u64,
}

impl DroppedMessages {
    /// The queue's project.
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// The queue.
    pub fn queue(&self) -> &QueueName {
        &self.queue
    }

    /// How many messages are gone.
    pub fn messages(&self) -> u64 {
        self.messages
    }
}
