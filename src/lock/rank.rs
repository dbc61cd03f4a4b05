//! The order of the locks.

/// The lock order, outermost first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// The messages that a worker has claimed and not begun.
    Backlog,
    /// The leases that a worker renews.
    Leases,
    /// The first error of a worker's run.
    RunError,
    /// The reference model, whole.
    Model,
    /// The pooled drivers this process has open.
    Drivers,
    /// The result of closing a pooled driver; held during the close.
    DriverClosing,
    /// A pooled driver's relay; held while the driver is closed.
    Relay,
    /// Held while a project's quota is set.
    Quotas,
    /// A pooled driver's turn to deliver, remove or move.
    Turn,
    /// The moves of a pooled driver; calls that use a mapping lock it for reading.
    Moves,
    /// Held while a pool is compared with the others and registered.
    Registering,
    /// Held while one pool's store is opened.
    PoolOpening,
    /// The paths at which stores are being opened.
    Opening,
    /// The result of closing a store; held during the close.
    Closing,
    /// A store's background threads; held while they are ended.
    Threads,
    /// A store's lock file.
    LockFile,
    /// The stores this process has open.
    Open,
    /// A store's housekeeping, held over disk writes.
    Housekeeping,
    /// A store's eviction, held over disk writes.
    Evicting,
    /// Held while metadata that names a dead-letter queue is checked and set.
    Chains,
    /// A queue, after the queues with lower numbers. A thread that waits for another thread or for a sync holds no lock
    /// from this rank on.
    Queue(Tier, u64),
    /// The map of a store's queues. It comes after the queues, so that no thread waits for a queue while it holds the
    /// map.
    Directory(Tier),
    /// Subscriptions, pools, flavors, catalogue and bookmarks of a store.
    Registry(Tier),
    /// The quota of a project, while a post is decided and recorded; several by ascending number.
    Account(u32),
    /// The accounts of the projects with a quota.
    Accounts,
    /// What a project with a quota holds.
    AccountFigures,
    /// The records that deleted queues left in the trees.
    DeletedRecords,
    /// The content of deleted queues.
    Deleted,
    /// The queues that have changes for the next checkpoint.
    Changed,
    /// Queues with pages in memory.
    Hot,
    /// The errors of the last attempts to free space.
    Admission,
    /// The instants at which queues have something due.
    Alarms,
    /// The calls that wait for messages, by queue.
    Waiters,
    /// The queues that calls wait for together.
    ReadyQueues,
    /// The calls that a token cancels.
    Cancelling,
    /// One call that waits for messages.
    Waiter,
    /// The open pools.
    Pools,
    /// Pools that could not be opened.
    FailedPools,
    /// Directories that pools have left.
    FormerPools,
    /// The sides of queues that were looked up.
    SideCache,
    /// The journal's tail.
    Tail,
    /// The calls that wait for a sync.
    Group,
    /// One call that waits for a sync.
    SyncWaiter,
    /// The free disk space, while space of the reserve is spent.
    FreeSpace,
    /// The disk space that is held back.
    Reserve,
    /// A queue of a store that is inspected, not opened.
    Inspected,
    /// A sync of the page files.
    PageFileSync,
    /// The list of page files.
    PageFiles,
    /// The open page files.
    OpenFiles,
    /// A directory that is kept open.
    KeptDir,
    /// The last call to leave a store that is closed.
    Leaving,
    /// The events of waiting posts, counted wherever memory is freed.
    Events,
    /// The simulated disk.
    Disk,
    /// A directory of the simulated disk.
    DiskDirectory,
    /// A file of the simulated disk.
    DiskFile,
    /// The callbacks of a clock that is moved by hand.
    Wakers,
    /// The times of a clock that is moved by hand.
    Clock,
}

/// The kind of a store in a pooled driver. A store without a driver counts as a control store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tier {
    Control,
    Pool,
}

impl Rank {
    /// The key that ranks are compared by.
    #[cfg(debug_assertions)]
    pub(super) fn order(self) -> (u8, Self) {
        match self {
            // All three exist in both tiers: a pool's queues come after the control store's registry.
            Self::Directory(tier) | Self::Queue(tier, _) | Self::Registry(tier) => (1 + tier as u8, self),
            outer if outer < Self::Queue(Tier::Control, 0) => (0, self),
            _ => (3, self),
        }
    }
}
