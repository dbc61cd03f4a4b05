//! The status of an open store: sizes, lag and health, for an operator.

use std::time::Duration;

use crate::store::Store;

/// The sizes, the lag and the health of a store at one instant.
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// let jobs = engine.queue(Project::none(), "jobs")?;
/// jobs.create(Metadata::new())?;
/// jobs.post(ClientId::random(), &[NewMessage::new("work")])?;
/// let status = engine.status();
/// assert_eq!((status.queues(), status.messages(), status.live_bytes()), (1, 1, 4 + 64));
/// assert_eq!(status.archived_queues(), 0);
/// assert_eq!((status.pages(), status.cold_pages()), (1, 0)); // in memory
/// assert!(status.memory_bytes() > 0);
/// assert_eq!((status.claims(), status.spent_claims()), (0, 0));
/// assert_eq!(status.expired_messages(), 0);
/// assert_eq!((status.subscriptions(), status.deleted_queues()), (0, 0));
/// assert_eq!((status.waiting(), status.in_transit()), (0, 0));
///
/// // The files.
/// assert!(status.journal_segments() > 0);
/// assert!(status.journal_bytes() + status.page_file_bytes() > 0);
/// assert_eq!(status.unsynced(), 0); // the default is Durability::Sync
/// assert!(status.checkpoint_lsn().max(status.snapshot_lsn()) <= status.appended_lsn());
///
/// // The health.
/// assert_eq!((status.damaged_pages(), status.damaged_messages()), (0, 0));
/// assert_eq!((status.poisoned(), status.trees_fault()), (None, None));
/// assert_eq!(status.archive_fault(), None);
/// assert_eq!((status.clock_gap().as_secs(), status.clock_readings_ignored()), (0, 0));
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    queues: u64,
    archived_queues: u64,
    messages: u64,
    live_bytes: u64,
    memory_bytes: u64,
    pages: u64,
    cold_pages: u64,
    claims: u64,
    spent_claims: u64,
    expired_messages: u64,
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
    archive_fault: Option<String>,
}

impl Status {
    pub(crate) fn of(store: &Store) -> Self {
        // Housekeeping may hold its lock for seconds. Then these figures are 0.
        let housekeeping = store.housekeeping.try_lock();
        let kept = store.journal.kept();
        let sizes = store.sizes();
        let (damaged_pages, damaged_messages) = store.count_damaged();
        let archived_queues = store.directory.read().archiving.len();
        Self {
            queues: store.count_queues(),
            archived_queues,
            messages: store.messages(),
            live_bytes: store.weight(),
            memory_bytes: store.budget.used(),
            pages: sizes.pages,
            cold_pages: sizes.cold_pages,
            claims: sizes.claims,
            spent_claims: sizes.spent_claims,
            expired_messages: sizes.expired,
            deleted_queues: store.dirty.count_deleted(),
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
            archive_fault: housekeeping.as_ref().and_then(|housekeeping| housekeeping.archive_fault.clone()),
            trees_fault: housekeeping.and_then(|housekeeping| housekeeping.trees_fault.clone()),
        }
    }

    /// The number of queues in all projects.
    pub fn queues(&self) -> u64 {
        self.queues
    }

    /// The number of these queues that are only in the archive; see
    /// [`Config::queue_memory`](crate::Config::queue_memory).
    pub fn archived_queues(&self) -> u64 {
        self.archived_queues
    }

    /// The number of messages in all queues, including expired ones that are not collected yet.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// The weight of these messages: the bytes of their bodies and 64 bytes each.
    pub fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    /// Bytes of messages in memory: the bodies, 56 bytes each, and the overhead of their pages.
    /// [`Config::memory`](crate::Config::memory) bounds it.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }

    /// The number of pages of messages, in memory or not. A page has up to 128 messages or 16 KiB
    /// of bodies.
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// The number of these pages whose messages are only on disk.
    pub fn cold_pages(&self) -> u64 {
        self.cold_pages
    }

    /// The number of claims in all queues, including ended ones that are not collected yet and
    /// those without messages.
    pub fn claims(&self) -> u64 {
        self.claims
    }

    /// The number of these claims without messages. They may take an eighth of
    /// [`Config::memory`](crate::Config::memory), or 1 MiB, at 240 bytes each; beyond that, those
    /// without messages for longest end early.
    pub fn spent_claims(&self) -> u64 {
        self.spent_claims
    }

    /// The number of messages that have expired in the present queues, each since its creation or
    /// last purge: the sum of [`QueueStats::expired`](crate::QueueStats::expired), as far as expired
    /// messages have been collected. Those of archived queues count again when a call has used the queue.
    pub fn expired_messages(&self) -> u64 {
        self.expired_messages
    }

    /// The number of deleted queues that still have something to free in memory, or to remove from
    /// the trees at the next checkpoint.
    pub fn deleted_queues(&self) -> u64 {
        self.deleted_queues
    }

    /// The number of pages that were found damaged since the store was opened: the device cannot
    /// read them, or gives other bytes than were written.
    ///
    /// The messages of these pages cannot be claimed or read; all other calls continue. If the
    /// journal still has the messages, opening the store again restores them.
    /// [`drop_damaged`](crate::Engine::drop_damaged) deletes them.
    /// [`verify`](crate::Engine::verify) finds damaged pages that no call has read yet.
    pub fn damaged_pages(&self) -> u64 {
        self.damaged_pages
    }

    /// The number of messages in damaged pages. They count in [`messages`](Self::messages) until
    /// they expire or are dropped.
    pub fn damaged_messages(&self) -> u64 {
        self.damaged_messages
    }

    /// Bytes of the page files.
    pub fn page_file_bytes(&self) -> u64 {
        self.page_file_bytes
    }

    /// Bytes of the journal's segments on disk, without those that wait to be used.
    pub fn journal_bytes(&self) -> u64 {
        self.journal_bytes
    }

    /// The number of the journal's segments on disk.
    pub fn journal_segments(&self) -> usize {
        self.journal_segments
    }

    /// The number of the last change (its log sequence number).
    pub fn appended_lsn(&self) -> u64 {
        self.appended_lsn
    }

    /// The number of changes that are not synced yet: a power cut could lose them.
    pub fn unsynced(&self) -> u64 {
        self.appended_lsn.saturating_sub(self.synced_lsn)
    }

    /// The number of the last change that is in the trees for certain; 0 before the first
    /// checkpoint and while one runs. Claims without messages may be missing: a checkpoint beside
    /// calls leaves them to a later one.
    pub fn checkpoint_lsn(&self) -> u64 {
        self.checkpoint_lsn
    }

    /// The number of the change from which a rebuild would replay the journal; 0 if there is no
    /// snapshot and while one is written.
    pub fn snapshot_lsn(&self) -> u64 {
        self.snapshot_lsn
    }

    /// The number of calls that wait for messages now: those of
    /// [`Queue::claim_wait`](crate::Queue::claim_wait) and of
    /// [`QueueSet::claim_wait`](crate::QueueSet::claim_wait).
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// The number of dead letters on their way to the stores of other pools. They count in
    /// [`messages`](Self::messages).
    pub fn in_transit(&self) -> u64 {
        self.in_transit
    }

    /// The number of subscriptions in all queues, including expired ones that are not collected
    /// yet.
    pub fn subscriptions(&self) -> u64 {
        self.subscriptions
    }

    /// The lead of the engine's time over the wall clock, which arises after the wall clock was set
    /// back. In milliseconds at the finest.
    pub fn clock_gap(&self) -> Duration {
        self.clock_gap
    }

    /// The number of readings of the wall clock, since the store was opened, that were ignored
    /// because they were after the year 9899.
    pub fn clock_readings_ignored(&self) -> u64 {
        self.clock_readings_ignored
    }

    /// The failure that stopped all changes; `None` while changes are accepted.
    pub fn poisoned(&self) -> Option<&str> {
        self.poisoned.as_deref()
    }

    /// Why the last archive could not be written: the queues stay in memory until the next attempt. A damaged archive is
    /// repaired by opening the store with [`Config::salvage`](crate::Config::salvage). `None` after a success.
    pub fn archive_fault(&self) -> Option<&str> {
        self.archive_fault.as_deref()
    }

    /// The failure of the former trees; `None` once a checkpoint has filled new ones.
    pub fn trees_fault(&self) -> Option<&str> {
        self.trees_fault.as_deref()
    }
}
