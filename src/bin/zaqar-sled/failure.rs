//! The reasons why a command failed, each with what to do, and the exit code of each.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use zaqar_sled::{Engine, ExportFault, MessageId, PoolName, Queue};

use crate::exit::Exit;
use crate::holder::Holder;
use crate::plain;
use crate::quantity::{counted, size};
use crate::source::Source;

#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error("{name}: {source}")]
    Read { name: String, source: io::Error },
    #[error("{name}: is a directory")]
    Directory { name: String },
    #[error("{name}: line {line} is over {limit} bytes", limit = crate::lines::LONGEST)]
    LongLine { name: String, line: u64 },
    #[error(
        "{name}: its first {offset} bytes are not those an earlier run has posted; \
         a changed file needs another --store"
    )]
    Changed { name: String, offset: u64 },
    #[error(
        "{name}: its line {line} was processed without a newline, and has grown since; \
         a file that grows must not be --complete, and this one needs another --store"
    )]
    Grown { name: String, line: u64 },
    #[error("{name}: the store's queue {queue:?} was not created for it; use another --store")]
    Foreign { name: String, queue: String },
    #[error("the queue {queue:?} is paused for {what}; `zaqar-sled resume` ends that")]
    Paused { queue: String, what: String },
    #[error(
        "the store {} is in use by {}; stop that, or use a command that only looks: ls, stat, peek, claims, explain, verify",
        .path.display(),
        .holder.as_ref().map_or_else(|| "another process".into(), Holder::to_string)
    )]
    InUse { path: PathBuf, holder: Option<Holder> },
    #[error("the store {} changes faster than it can be read; try again", .path.display())]
    Changing { path: PathBuf },
    #[error(
        "the store {} is damaged: {source}; `zaqar-sled verify` shows the damage; an opening may mend a store that was \
         closed cleanly, `zaqar-sled salvage` opens any other with all that is intact",
        .path.display()
    )]
    Damaged { path: PathBuf, source: zaqar_sled::Error },
    #[error("the store {}: {source}", .path.display())]
    Open { path: PathBuf, source: zaqar_sled::Error },
    #[error(
        "there is no store in {}; name its directory with --store (post and pools add make one with --create)",
        .path.display()
    )]
    NoStore { path: PathBuf },
    #[error(
        "{} has no store but other files, for example {name:?}; \
         name an empty or a new directory for a new store",
        .path.display()
    )]
    Strangers { path: PathBuf, name: String },
    #[error("{}: {source}", .path.display())]
    Path { path: PathBuf, source: io::Error },
    #[error("there is no queue {queue}; `zaqar-sled ls` lists the queues, `zaqar-sled post --create` makes one")]
    NoQueue { queue: String },
    #[error("there is no {what} {id} in the queue; it may have been deleted, or its time is over")]
    NotThere { what: &'static str, id: String },
    #[error(
        "message {id} is claimed; give its claim with --claim (`zaqar-sled claims` lists them), or wait for its end"
    )]
    Claimed { id: MessageId },
    #[error("there is no bookmark {bookmark}; `zaqar-sled bookmarks ls` lists them, --project names their project")]
    NoBookmark { bookmark: String },
    #[error("there is no pool {pool}; `zaqar-sled pools ls` lists them")]
    NoPool { pool: String },
    #[error("pool {pool} has {}, for example {queue}; delete them first with `zaqar-sled rm`", counted(*.queues, "queue"))]
    PoolHasQueues { pool: String, queues: u64, queue: String },
    #[error(
        "the data of {} that were deleted or moved is still in their former pools, perhaps in {pool}: make the pools' \
         stores available and try again, or leave that data where it is with --yes",
        counted(*.queues, "queue")
    )]
    PoolHasLeftovers { pool: String, queues: u64 },
    #[error(
        "there is no store in {} for the pool: if its disk is mounted and the pool is new, make one with --create",
        .path.display()
    )]
    NoPoolStore { path: PathBuf },
    #[error(
        "pool {pool} has {}, whose messages stay in {place}: if you have moved the pool's directory, add --yes",
        counted(*.queues, "queue")
    )]
    PoolWouldMove { pool: String, place: String, queues: u64 },
    #[error("pool {} cannot be looked into: {}", .0.pool, .0.reason)]
    Unseen(Unseen),
    #[error("{0}")]
    NotSeen(String),
    #[error("the store {} is a pool of another store; name that store with --store", .path.display())]
    OfPool { path: PathBuf },
    #[error(
        "salvage gives up what cannot be read, and moves damaged files aside: copy the directory {} first, \
         see the damage with `zaqar-sled verify`, then add --yes",
        .path.display()
    )]
    Unconfirmed { path: PathBuf },
    #[error("there is no backup in {}; `zaqar-sled backup` takes one", .path.display())]
    NoBackup { path: PathBuf },
    #[error("the backup {} is damaged, and nothing was restored: {source}", .path.display())]
    DamagedBackup { path: PathBuf, source: zaqar_sled::Error },
    #[error("nothing was imported: {source}")]
    InvalidExport { source: zaqar_sled::Error },
    #[error("no directory can be made in {}: {source}; name another one with --dir", .path.display())]
    NoScratch { path: PathBuf, source: io::Error },
    #[error(
        "{} has {} of free space, and the measurements need up to {}: name a directory on another disk with --dir",
        .path.display(),
        size(*.free),
        size(*.needed)
    )]
    NoSpace { path: PathBuf, free: u64, needed: u64 },
    #[error("writing to standard output: {0}")]
    Output(#[from] io::Error),
    #[error("writing to standard output: {0}; the messages are in the queue again")]
    GivenBack(io::Error),
    #[error("the store: {0}")]
    Store(#[from] zaqar_sled::Error),
    #[error("starting a thread: {0}")]
    Thread(io::Error),
    #[error("locking the store's file WORK: {0}")]
    Lock(io::Error),
    #[error("watching for signals: {0}")]
    Signals(io::Error),
}

/// Why the store of a pool cannot be looked into.
#[derive(Debug, Clone)]
pub(crate) struct Unseen {
    pub(crate) pool: String,
    pub(crate) reason: String,
    pub(crate) exit: Exit,
}

impl Unseen {
    pub(crate) fn of(pool: &PoolName, failure: &Failure) -> Self {
        Self { pool: plain::name(pool.as_str()), reason: failure.to_string(), exit: failure.exit() }
    }
}

impl Failure {
    /// Why the store at that path cannot be read or opened.
    pub(crate) fn of_store(path: &Path, source: zaqar_sled::Error) -> Self {
        let path = path.to_owned();
        match source {
            zaqar_sled::Error::Locked { .. } => Self::InUse { holder: Holder::of(&path), path },
            source if source.is_busy() => Self::Changing { path },
            source if source.is_corrupt() => Self::Damaged { path, source },
            // A store refuses another opener than the one it is a pool of.
            source if source.is_invalid() && Engine::inspect(&path).is_ok_and(|store| store.is_pool()) => {
                Self::OfPool { path }
            }
            source => Self::Open { path, source },
        }
    }

    /// The same, when the messages that could not be printed are in their queue again.
    pub(crate) fn after_giving_back(self) -> Self {
        match self {
            Self::Output(error) => Self::GivenBack(error),
            other => other,
        }
    }

    /// Whether the same may succeed a moment later.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Changing { .. } => true,
            Self::Store(error) => error.is_busy(),
            _ => false,
        }
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::NoStore { .. }
            | Self::NoBackup { .. }
            | Self::NoQueue { .. }
            | Self::NotThere { .. }
            | Self::NoBookmark { .. }
            | Self::NoPool { .. }
            | Self::NotSeen(_) => Exit::NotFound,
            Self::InUse { .. } | Self::Changing { .. } => Exit::InUse,
            Self::Unseen(unseen) => unseen.exit,
            Self::Damaged { .. } | Self::DamagedBackup { .. } => Exit::Damaged,
            Self::InvalidExport { source: zaqar_sled::Error::InvalidExport { fault, .. } } if is_damage(fault) => {
                Exit::Damaged
            }
            Self::Strangers { .. }
            | Self::Unconfirmed { .. }
            | Self::PoolHasLeftovers { .. }
            | Self::NoPoolStore { .. }
            | Self::PoolWouldMove { .. } => Exit::Unconfirmed,
            // Nobody reads on, as in `zaqar-sled peek orders | head -1`.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            Self::Store(error) | Self::Open { source: error, .. } => Exit::of(error),
            _ => Exit::Failed,
        }
    }

    pub(crate) fn foreign(source: &Source, queue: &Queue) -> Self {
        Self::Foreign { name: source.name().into(), queue: queue.name().to_string() }
    }

    /// Whether the other files can still be processed.
    pub(crate) fn is_of_one_file(&self) -> bool {
        matches!(self, Self::Read { .. } | Self::LongLine { .. } | Self::Changed { .. } | Self::Grown { .. })
    }
}

/// Whether an export is not as it was written, and not only of another kind than is expected.
fn is_damage(fault: &ExportFault) -> bool {
    matches!(fault, ExportFault::Incomplete | ExportFault::Malformed { .. } | ExportFault::OutOfPlace { .. })
}
