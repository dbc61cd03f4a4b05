//! Batches: changes of several queues and bookmarks that take effect together.

use std::time::Duration;

use super::{Body, BookmarkCondition, BookmarkName, ClaimId, ClientId, MessageId, NewMessage, Project, QueueName};

/// One change of a batch, as [`Batches::commit`](crate::Batches::commit) takes it. A [`Batch`](crate::Batch)
/// collects the same changes by handles.
///
/// ```
/// use zaqar_sled::{BatchStep, ClaimId, Project, QueueName};
///
/// let (project, queue) = (Project::none(), QueueName::new("orders")?);
/// let claim = ClaimId::lossy("5f8a2c4e-8e55-4a0e-9d3e-6f3c1a2b4d5e");
/// let step = BatchStep::Release { project, queue, claim };
/// assert_eq!(step.queue().map(QueueName::as_str), Some("orders"));
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BatchStep {
    /// Posts messages, as [`Messages::post`](crate::Messages::post) does.
    Post {
        /// The queue's project.
        project: Project,
        /// The queue, which must exist.
        queue: QueueName,
        /// The poster.
        client: ClientId,
        /// The messages, each with a ttl.
        messages: Vec<NewMessage>,
    },
    /// Deletes messages, each as [`Messages::delete`](crate::Messages::delete) does; under a claim, all must exist.
    Delete {
        /// The queue's project.
        project: Project,
        /// The queue.
        queue: QueueName,
        /// The messages.
        messages: Vec<MessageId>,
        /// The claim that holds the messages. `None` for messages that are under no claim: then one that does not exist is
        /// no error.
        claim: Option<ClaimId>,
    },
    /// Renews a claim, as [`Claims::update`](crate::Claims::update) does.
    Renew {
        /// The queue's project.
        project: Project,
        /// The queue.
        queue: QueueName,
        /// The claim, which must not have ended.
        claim: ClaimId,
        /// How long the claim lasts from now.
        ttl: Duration,
        /// How much longer than the claim its messages live at least.
        grace: Duration,
    },
    /// Releases a claim, as [`Claims::delete`](crate::Claims::delete) does.
    Release {
        /// The queue's project.
        project: Project,
        /// The queue.
        queue: QueueName,
        /// The claim. One that has ended is no error.
        claim: ClaimId,
    },
    /// Sets a bookmark, as [`Bookmarks::set`](crate::Bookmarks::set) does.
    SetBookmark {
        /// The bookmark's project.
        project: Project,
        /// The bookmark.
        bookmark: BookmarkName,
        /// What the bookmark has to be before.
        condition: BookmarkCondition,
        /// The new value.
        value: Body,
    },
    /// Deletes a bookmark, as [`Bookmarks::delete`](crate::Bookmarks::delete) does.
    DeleteBookmark {
        /// The bookmark's project.
        project: Project,
        /// The bookmark.
        bookmark: BookmarkName,
        /// What the bookmark has to be before.
        condition: BookmarkCondition,
    },
}

impl BatchStep {
    /// The most steps in one batch.
    ///
    /// ```
    /// assert_eq!(zaqar_sled::BatchStep::MOST, 10_000);
    /// ```
    pub const MOST: usize = 10_000;

    /// The most bytes of bodies, headers and values of bookmarks in one batch: 128 MiB.
    ///
    /// ```
    /// assert_eq!(zaqar_sled::BatchStep::MOST_BYTES, 128 << 20);
    /// ```
    pub const MOST_BYTES: u64 = 128 << 20;

    /// The project of the step's queue or bookmark.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let (project, queue) = (Project::named("shop")?, QueueName::new("orders")?);
    /// let step = BatchStep::Delete { project, queue, messages: Vec::new(), claim: None };
    /// assert_eq!(step.project().name(), Some("shop"));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn project(&self) -> &Project {
        match self {
            Self::Post { project, .. }
            | Self::Delete { project, .. }
            | Self::Renew { project, .. }
            | Self::Release { project, .. }
            | Self::SetBookmark { project, .. }
            | Self::DeleteBookmark { project, .. } => project,
        }
    }

    /// The name of the step's queue; `None` if it changes a bookmark.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let (project, queue) = (Project::none(), QueueName::new("orders")?);
    /// let step = BatchStep::Delete { project, queue, messages: Vec::new(), claim: None };
    /// assert_eq!(step.queue().map(QueueName::as_str), Some("orders"));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn queue(&self) -> Option<&QueueName> {
        match self {
            Self::Post { queue, .. }
            | Self::Delete { queue, .. }
            | Self::Renew { queue, .. }
            | Self::Release { queue, .. } => Some(queue),
            Self::SetBookmark { .. } | Self::DeleteBookmark { .. } => None,
        }
    }

    /// The name of the step's bookmark; `None` if it changes a queue.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let (project, bookmark) = (Project::none(), BookmarkName::new("offset")?);
    /// let condition = BookmarkCondition::Any;
    /// let step = BatchStep::DeleteBookmark { project, bookmark, condition };
    /// assert_eq!(step.bookmark().map(BookmarkName::as_str), Some("offset"));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn bookmark(&self) -> Option<&BookmarkName> {
        match self {
            Self::SetBookmark { bookmark, .. } | Self::DeleteBookmark { bookmark, .. } => Some(bookmark),
            Self::Post { .. } | Self::Delete { .. } | Self::Renew { .. } | Self::Release { .. } => None,
        }
    }

    /// The bytes that count for [`MOST_BYTES`](Self::MOST_BYTES).
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Post { messages, .. } => {
                messages.iter().fold(0, |sum: u64, message| sum.saturating_add(message.size()))
            }
            Self::SetBookmark { value, .. } => value.len() as u64,
            Self::Delete { .. } | Self::Renew { .. } | Self::Release { .. } | Self::DeleteBookmark { .. } => 0,
        }
    }
}

/// What a batch has done.
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// # let orders = engine.queue(Project::none(), "orders")?;
/// # orders.create(Metadata::new())?;
/// let mut batch = engine.batch();
/// batch.post(&orders, ClientId::random(), [NewMessage::new("a")]);
/// let outcome = batch.commit()?;
/// assert_eq!((outcome.posted()[0].len(), outcome.deleted()), (1, 0));
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BatchOutcome {
    pub(crate) posted: Vec<Vec<MessageId>>,
    pub(crate) deleted: u64,
    pub(crate) bookmark_version: Option<u64>,
}

impl BatchOutcome {
    /// The ids of the posted messages: for each post of the batch, in the order of the posts, those of its messages.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::none(), "orders")?;
    /// # orders.create(Metadata::new())?;
    /// let (client, mut batch) = (ClientId::random(), engine.batch());
    /// batch.post(&orders, client, [NewMessage::new("a"), NewMessage::new("b")]);
    /// batch.post(&orders, client, [NewMessage::new("c")]);
    /// let outcome = batch.commit()?;
    /// let [first, second] = outcome.posted() else { panic!("two posts") };
    /// assert_eq!((first.len(), orders.get(&second[0])?.body().as_bytes()), (2, &b"c"[..]));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn posted(&self) -> &[Vec<MessageId>] {
        &self.posted
    }

    /// How many messages were deleted: those that existed.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::none(), "orders")?;
    /// # orders.create(Metadata::new())?;
    /// let ids = orders.post(ClientId::random(), &[NewMessage::new("a")])?;
    /// let outcome = engine.batch().delete_messages(&orders, [ids[0], ids[0]]).commit()?;
    /// assert_eq!(outcome.deleted(), 1);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn deleted(&self) -> u64 {
        self.deleted
    }

    /// The [version](crate::BookmarkRecord::version) of the bookmarks that the batch has set; `None` if it set none.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let offset = engine.bookmark(Project::none(), "offset")?;
    /// let outcome = engine.batch().set_bookmark(&offset, "17").commit()?;
    /// assert_eq!(outcome.bookmark_version(), offset.get()?.map(|record| record.version()));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn bookmark_version(&self) -> Option<u64> {
        self.bookmark_version
    }
}
