//! The one error type of the crate.
//!
//! Every failure of a call is a variant of [`Error`]. Code that only decides what to do next should use a predicate
//! (`is_not_found`, `is_busy`, ...), because predicates stay correct when variants are added.

mod export_fault;
mod name;
mod predicates;
mod text;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use export_fault::ExportFault;
use rustix::io::Errno;
use text::{named, shown, tenant, within};

use super::id::{ClaimId, MessageId, SubscriptionId};
use super::names::{BookmarkName, FlavorName, PoolGroup, PoolName, Project, QueueName, TopicName};

/// The result of a fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The reason why a call failed. A failed call has changed nothing, unless
/// [`is_outcome_unknown`](Error::is_outcome_unknown) says otherwise.
///
/// Match on a variant for details. To decide what to do next, use a predicate, because predicates
/// stay correct when variants are added:
///
/// | Predicate | What to do |
/// |---|---|
/// | [`is_not_found`](Error::is_not_found) | the item does not exist (any more): give up or create it |
/// | [`is_conflict`](Error::is_conflict), [`is_not_permitted`](Error::is_not_permitted) | another caller was first: stop the work |
/// | [`is_lease_lost`](Error::is_lease_lost) | stop the work on the message: another worker may have it |
/// | [`is_invalid`](Error::is_invalid), [`is_too_large`](Error::is_too_large) | correct the arguments |
/// | [`is_busy`](Error::is_busy) | try again later |
/// | [`is_paused`](Error::is_paused) | wait until somebody resumes the queue |
/// | [`is_full`](Error::is_full) | free space, on the disk, in the queue or in the project: deletes still work |
/// | [`is_outcome_unknown`](Error::is_outcome_unknown) | check whether the change was made before you try again |
/// | [`is_closed`](Error::is_closed), [`is_poisoned`](Error::is_poisoned) | open the store again |
/// | [`is_corrupt`](Error::is_corrupt) | [`verify`](crate::Engine::verify), then [salvage](crate::Config::salvage) or a backup |
///
/// ```
/// use zaqar_sled::QueueName;
///
/// let error = QueueName::new("").unwrap_err();
/// assert!(error.is_invalid());
/// assert!(!error.is_not_found());
/// assert_eq!(error.to_string(), "invalid queue name: must not be empty");
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The queue does not exist.
    #[error("queue {queue:?} does not exist{}", within(.project))]
    QueueDoesNotExist {
        /// The project asked in.
        project: Project,
        /// The queue asked for.
        queue: QueueName,
    },
    /// The first message was asked for, and the queue has none or does not exist.
    #[error("queue {queue:?} is empty{}", within(.project))]
    QueueIsEmpty {
        /// The project asked in.
        project: Project,
        /// The queue asked for.
        queue: QueueName,
    },
    /// The topic does not exist.
    #[error("topic {topic:?} does not exist{}", within(.project))]
    TopicDoesNotExist {
        /// The project asked in.
        project: Project,
        /// The topic asked for.
        topic: TopicName,
    },
    /// The first message was asked for, and the topic has none or does not exist.
    #[error("topic {topic:?} is empty{}", within(.project))]
    TopicIsEmpty {
        /// The project asked in.
        project: Project,
        /// The topic asked for.
        topic: TopicName,
    },
    /// The message never existed, has expired, or was deleted.
    #[error("message {} does not exist in {}{}", shown(.id), named(.queue), within(.project))]
    MessageDoesNotExist {
        /// The project asked in.
        project: Project,
        /// The queue asked in.
        queue: QueueName,
        /// The message asked for.
        id: MessageId,
    },
    /// The claim never existed, has expired, or was released.
    #[error("claim {} does not exist in {}{}", shown(.id), named(.queue), within(.project))]
    ClaimDoesNotExist {
        /// The project asked in.
        project: Project,
        /// The queue asked in.
        queue: QueueName,
        /// The claim asked for.
        id: ClaimId,
    },
    /// A bulk delete named a message that is under a live claim, and the call did not give that claim.
    #[error("message {id} of {}{} is under a claim that was not given", named(.queue), within(.project))]
    ClaimDoesNotMatch {
        /// The project asked in.
        project: Project,
        /// The queue asked in.
        queue: QueueName,
        /// The first message that did not match.
        id: MessageId,
        /// The claim that it is under.
        claim: ClaimId,
    },
    /// The message is under a live claim, and no claim was given.
    #[error("message {id} is claimed")]
    MessageIsClaimed {
        /// The message.
        id: MessageId,
    },
    /// A claim was given, but the message is under no claim: the claim has expired or was released.
    #[error("message {id} is not claimed")]
    MessageNotClaimed {
        /// The message.
        id: MessageId,
    },
    /// The message is under another live claim than the one given.
    #[error("message {id} is not claimed by {claim}")]
    MessageNotClaimedBy {
        /// The message.
        id: MessageId,
        /// The claim given.
        claim: ClaimId,
    },
    /// The subscription never existed, has expired, was deleted, or belongs to another queue.
    #[error("subscription {} does not exist in {}{}", shown(.id), named(.queue), within(.project))]
    SubscriptionDoesNotExist {
        /// The project asked in.
        project: Project,
        /// The queue asked in.
        queue: QueueName,
        /// The subscription asked for.
        id: SubscriptionId,
    },
    /// Another live subscription of the queue has the same subscriber.
    #[error("{}{} has a subscription of that subscriber already", named(.queue), within(.project))]
    SubscriptionAlreadyExists {
        /// The project asked in.
        project: Project,
        /// The queue asked in.
        queue: QueueName,
    },
    /// No pool is registered under that name.
    #[error("pool {pool:?} does not exist")]
    PoolDoesNotExist {
        /// The pool asked for.
        pool: PoolName,
    },
    /// Another pool has the same store.
    #[error("pool {other:?} has the store that pool {pool:?} was to have")]
    PoolAlreadyExists {
        /// The pool that was to be registered or changed.
        pool: PoolName,
        /// The pool that has the store.
        other: PoolName,
    },
    /// The pool's capabilities differ from those of the group it was to join.
    #[error("the capabilities of pool {pool:?} differ from those of its group")]
    PoolCapabilitiesMismatch {
        /// The pool that was to be registered or changed.
        pool: PoolName,
    },
    /// The pool is the last one of a group that flavors stand for.
    #[error("pool {pool:?} is the last one for {flavor}")]
    PoolInUseByFlavor {
        /// The pool that was to be deleted.
        pool: PoolName,
        /// The flavors' names, joined by a comma and a space.
        flavor: String,
    },
    /// The group has no pools.
    #[error("pool group {group:?} does not exist")]
    PoolGroupDoesNotExist {
        /// The group asked for.
        group: PoolGroup,
    },
    /// The project has no flavor of that name.
    #[error("flavor {flavor:?} does not exist{}", within(.project))]
    FlavorDoesNotExist {
        /// The project asked in.
        project: Project,
        /// The flavor asked for.
        flavor: FlavorName,
    },
    /// The catalogue has no entry for the queue.
    #[error("{}{} is not mapped to a pool", named(.queue), within(.project))]
    QueueNotMapped {
        /// The project asked in.
        project: Project,
        /// The queue asked for.
        queue: QueueName,
    },
    /// No pool can take the queue: none is registered, or none has a weight above 0.
    #[error("no pool found for {}{}", named(.queue), within(.project))]
    NoPoolFound {
        /// The queue's project.
        project: Project,
        /// The queue that was to be made.
        queue: QueueName,
    },
    /// The store of the queue's pool cannot be reached now.
    #[error("pool {pool:?} cannot be reached: {source}")]
    PoolUnavailable {
        /// The pool.
        pool: PoolName,
        /// The error that opening the store gave.
        source: Arc<Error>,
    },
    /// A pool's directory does not have the pool's store, for example because its disk is not
    /// mounted. No store is made in its place, unless
    /// [`PooledDriver::renew_pool`](crate::PooledDriver::renew_pool) asks for it.
    #[error("{} has {} store, not the pool's", .path.display(), if *.other { "another" } else { "no" })]
    WrongStore {
        /// The pool's directory.
        path: PathBuf,
        /// Whether there is a store, which is not the pool's.
        other: bool,
    },
    /// The queue is being moved to another pool and takes no changes until it is there. Try again.
    #[error("{}{} is being moved to another pool", named(.queue), within(.project))]
    Moving {
        /// The queue's project.
        project: Project,
        /// The queue.
        queue: QueueName,
    },
    /// Two queues of a batch are in different stores, so their changes cannot take effect together.
    #[error("{}{} and {}{} are not in one store", named(.one), within(.project), named(.other), within(.other_project))]
    NotInOneStore {
        /// The project of the first queue.
        project: Project,
        /// A queue of the batch.
        one: QueueName,
        /// The project of the other queue.
        other_project: Project,
        /// A queue of the batch in another store.
        other: QueueName,
    },
    /// A queue and a bookmark of a batch are in different stores: a pooled driver has its bookmarks in the control store.
    #[error("{}{} and bookmark {bookmark:?}{} are not in one store", named(.queue), within(.project), within(.bookmark_project))]
    BookmarkNotInStore {
        /// The project of the queue.
        project: Project,
        /// A queue of the batch.
        queue: QueueName,
        /// The project of the bookmark.
        bookmark_project: Project,
        /// A bookmark of the batch.
        bookmark: BookmarkName,
    },
    /// The bookmark is not what the caller expects: somebody else has set or deleted it.
    #[error("bookmark {bookmark:?} was changed by another caller{}", within(.project))]
    BookmarkChanged {
        /// The project of the bookmark.
        project: Project,
        /// The bookmark.
        bookmark: BookmarkName,
        /// The version that it has; `None` if it is missing.
        version: Option<u64>,
    },
    /// The queue is paused for posts.
    #[error("{} is paused{}", named(.queue), within(.project))]
    QueuePaused {
        /// The project of the queue.
        project: Project,
        /// The queue.
        queue: QueueName,
    },
    /// The post would exceed what the queue may hold by its own settings. It works once messages are gone, unless it
    /// alone exceeds the limit.
    #[error("{} is full{}: it may have {limit} {what}", named(.queue), within(.project))]
    QueueIsFull {
        /// The project of the queue.
        project: Project,
        /// The queue.
        queue: QueueName,
        /// What is limited: messages, or bytes.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// The project would hold more than its [quota](crate::ProjectQuota) allows. The call works once queues or messages are
    /// gone, unless it alone exceeds the limit.
    #[error("{} is full: it may have {limit} {what}", tenant(.project))]
    ProjectIsFull {
        /// The project.
        project: Project,
        /// What is limited: queues, messages, or bytes.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// An argument is malformed or out of range.
    #[error("invalid {name}: {reason}")]
    InvalidArgument {
        /// The argument, or the metadata key, that is wrong.
        name: String,
        /// The reason why it is wrong.
        reason: String,
    },
    /// An argument is larger than a limit allows.
    #[error("{what} of {size} is over the limit of {limit}")]
    TooLarge {
        /// The quantity that was measured, with its unit.
        what: &'static str,
        /// The measured size.
        size: u64,
        /// The largest size allowed.
        limit: u64,
    },
    /// There is no space to store this. Deletes, pops, purges and expiry still work and free space;
    /// claims, renewals and releases work longer than posts, but may fail too.
    #[error("storage is full: {reason}")]
    StorageFull {
        /// The data that could not be stored.
        reason: String,
    },
    /// The store cannot answer now, but will later. Try again.
    #[error("temporarily unavailable: {reason}")]
    Unavailable {
        /// The reason why the call cannot be answered now.
        reason: String,
    },
    /// Numbers that are never used twice are used up, so trying again does not help.
    /// Copy the messages to a new store.
    ///
    /// A store has 2^24 incarnations, one for each opening that did not follow a clean close, and
    /// each incarnation has 2^40 numbers of each kind.
    #[error("{what} are used up")]
    Exhausted {
        /// The numbers that are used up.
        what: &'static str,
    },
    /// An opening read the end of the journal twice and got different bytes, as can happen after a
    /// failed sync in an earlier run. Nothing was changed: open the store again.
    #[error("{} was not the same when it was read again: open the store again", .file.display())]
    JournalChanged {
        /// The file that the end is in.
        file: PathBuf,
    },
    /// The engine has been closed.
    #[error("the engine is closed")]
    Closed,
    /// An earlier failure stopped all changes; reads continue. Open the store again to recover.
    #[error("writes have stopped after a failure: {cause}")]
    Poisoned {
        /// The first failure.
        cause: Arc<str>,
    },
    /// The change was written, or its write failed: the engine cannot know whether it reached the
    /// disk. The next opening may find it there.
    #[error("the outcome is unknown: {cause}")]
    OutcomeUnknown {
        /// The failure that hid the outcome.
        cause: Arc<str>,
    },
    /// A file does not hold the bytes that were written to it.
    #[error("{} is corrupt at byte {offset}: {reason}", .file.display())]
    Corrupt {
        /// The damaged file.
        file: PathBuf,
        /// The place in the file, in bytes from its start.
        offset: u64,
        /// The difference between the bytes and those expected.
        reason: String,
    },
    /// A file was written by an older or newer version of this crate, in a format that this one does
    /// not read.
    #[error("{} has format {found}; this version reads format {supported}", .file.display())]
    UnsupportedFormat {
        /// The file.
        file: PathBuf,
        /// The format it is in.
        found: u32,
        /// The format that this version reads.
        supported: u32,
    },
    /// This process has the store open already.
    #[error("{} is already open in this process", .path.display())]
    AlreadyOpen {
        /// The store's directory.
        path: PathBuf,
    },
    /// Another process has the store open.
    #[error("{} is locked by another process", .path.display())]
    Locked {
        /// The store's directory.
        path: PathBuf,
    },
    /// This process has the store open with other settings, so it cannot be shared.
    #[error("{} is open in this process with another {setting}", .path.display())]
    SettingsDiffer {
        /// The store's directory.
        path: PathBuf,
        /// The first setting that differs, by the name of its method on [`Config`](crate::Config).
        setting: &'static str,
    },
    /// This process is a fork of the one that opened the store. Only that process may use the
    /// store.
    #[error("the store was opened by process {opened_by}, of which this one is a fork")]
    Forked {
        /// The process that has the store open.
        opened_by: u32,
    },
    /// The path that the store was opened at no longer leads to the store: its directory, or a
    /// directory above it, was moved, removed or replaced. The store takes no more changes. It can
    /// be opened at its new path.
    #[error("{} does not lead any more to the store that was opened there", .path.display())]
    Displaced {
        /// The directory it was opened at.
        path: PathBuf,
    },
    /// The directory has a backup, which is not opened: [restore](crate::Engine::restore) it into
    /// another directory, and open that.
    #[error("{} has a backup: restore it into another directory, and open that", .path.display())]
    IsBackup {
        /// The directory of the backup.
        path: PathBuf,
    },
    /// A line of an export cannot be imported.
    #[error("line {line} of the export: {fault}")]
    InvalidExport {
        /// The number of the line, from 1 on.
        line: u64,
        /// What is wrong with the line.
        fault: ExportFault,
    },
    /// The operating system refused a file operation.
    #[error("{context}: {source}")]
    Io {
        /// The operation, and the file if there is one.
        context: String,
        /// The error of the operating system.
        source: Arc<io::Error>,
    },
    /// The ordered trees failed.
    #[error("the trees failed: {reason}")]
    Trees {
        /// The failure that they reported.
        reason: String,
    },
}

impl Error {
    pub(crate) fn invalid(name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::InvalidArgument { name: name.into(), reason: reason.into() }
    }

    /// As [`Self::io`], naming the file.
    pub(crate) fn file(action: &str, path: &Path, source: io::Error) -> Self {
        Self::io(format!("{action} {}", path.display()), source)
    }

    /// As [`Self::file`], naming the offset in the file.
    pub(crate) fn file_at(action: &str, path: &Path, offset: u64, source: io::Error) -> Self {
        Self::io(format!("{action} {} at byte {offset}", path.display()), source)
    }

    /// Whether the error means that written data is lost or cannot be read.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Self::Corrupt { .. } => true,
            Self::Io { source, .. } => is_unreadable(source),
            _ => false,
        }
    }

    /// A lack of space or of descriptors is not a failure of the disk. This function alone makes the distinction.
    pub(crate) fn io(context: impl Into<String>, source: io::Error) -> Self {
        let context = context.into();
        if let Some(Displaced { path }) = source.get_ref().and_then(|cause| cause.downcast_ref()) {
            return Self::Displaced { path: path.clone() };
        }
        let errno = rustix::io::Errno::from_io_error(&source);
        if matches!(errno, Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE)) {
            return Self::Unavailable { reason: format!("no file descriptor is left: {context}: {source}") };
        }
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::StorageFull { reason: format!("{context}: {source}") }
            }
            _ => Self::Io { context, source: Arc::new(source) },
        }
    }
}

/// The file layer's error for a store whose directory has moved; [`Error::io`] turns it into [`Error::Displaced`].
#[derive(Debug, thiserror::Error)]
#[error("{} was moved, removed or replaced", .path.display())]
pub(crate) struct Displaced {
    pub(crate) path: PathBuf,
}

/// Whether an error means that the device does not return written data, and not that access is refused.
pub(crate) fn is_unreadable(cause: &io::Error) -> bool {
    const LOST: [Errno; 6] = [Errno::IO, Errno::BADMSG, Errno::UCLEAN, Errno::NODATA, Errno::ILSEQ, Errno::REMOTEIO];
    cause.raw_os_error().is_some_and(|code| LOST.iter().any(|lost| lost.raw_os_error() == code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_cheap_to_return() {
        assert!(size_of::<Error>() <= 128);
    }

    #[test]
    fn a_full_disk_is_told_apart_from_a_failed_one() {
        let full = Error::io("write", io::Error::from(io::ErrorKind::StorageFull));
        let quota = Error::io("write", io::Error::from(io::ErrorKind::QuotaExceeded));
        let other = Error::io("write", io::Error::other("broken"));
        assert!(full.is_full() && quota.is_full());
        assert!(!other.is_full());
        assert_eq!(other.to_string(), "write: broken");
        assert!(std::error::Error::source(&other).is_some());
    }

    #[test]
    fn a_malformed_id_is_not_shown_as_another() -> Result<()> {
        let (project, queue) = (Project::none(), QueueName::new("orders")?);
        let message = |text| {
            let (project, queue) = (project.clone(), queue.clone());
            Error::MessageDoesNotExist { project, queue, id: MessageId::lossy(text) }.to_string()
        };
        let id = "00000000000000070000000000000001";
        assert_eq!(message(id), format!("message {id} does not exist in queue \"orders\""));
        assert_eq!(message("?"), "message with a malformed id does not exist in queue \"orders\"");
        let error = Error::ClaimDoesNotExist { project, queue, id: ClaimId::lossy("?") };
        assert_eq!(error.to_string(), "claim with a malformed id does not exist in queue \"orders\"");
        Ok(())
    }

    #[test]
    fn texts_tell_a_topic_from_a_queue_of_its_name() -> Result<()> {
        let (queue, topic) = (QueueName::new("a")?, TopicName::new("a")?.to_queue_name());
        let (project, other_project) = (Project::none(), Project::none());
        let error = Error::NotInOneStore { project, one: queue, other_project, other: topic.clone() };
        assert_eq!(error.to_string(), r#"queue "a" and topic "a" are not in one store"#);
        let paused = Error::QueuePaused { project: Project::none(), queue: topic };
        assert_eq!(paused.to_string(), r#"topic "a" is paused"#);
        Ok(())
    }

    #[test]
    fn texts_name_the_project_only_when_there_is_one() -> Result<()> {
        let queue = QueueName::new("orders")?;
        let error = |project| Error::QueueDoesNotExist { project, queue: queue.clone() };
        assert_eq!(error(Project::none()).to_string(), "queue \"orders\" does not exist");
        assert_eq!(error(Project::named("shop")?).to_string(), "queue \"orders\" does not exist in project \"shop\"");
        Ok(())
    }
}
