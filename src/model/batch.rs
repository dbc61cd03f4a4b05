//! Batches: changes of several queues that take effect together.

use std::time::Duration;

use super::{ClaimId, ClientId, MessageId, NewMessage, Project, QueueName};

/// One change of a batch, as [`Batches::commit`](crate::Batches::commit) takes it. A [`Batch`](crate::Batch)
/// collects the same changes by handles.
///
/// ```
/// use zaqar_sled::{BatchStep, ClaimId, Project, QueueName};
///
/// let (project, queue) = (Project::none(), QueueName::new("orders")?);
/// let claim = ClaimId::lossy("5f8a2c4e-8e55-4a0e-9d3e-6f3c1a2b4d5e");
/// let step = BatchStep::Release { project, queue, claim };
/// assert_eq!(step.queue().as_str(), "orders");
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
}

impl BatchStep {
    /// The most steps in one batch.
    ///
    /// ```
    /// assert_eq!(zaqar_sled::BatchStep::MOST, 10_000);
    /// ```
    pub const MOST: usize = 10_000;

    /// The most bytes of bodies and headers that one batch posts: 128 MiB.
    ///
    /// ```
    /// assert_eq!(zaqar_sled::BatchStep::MOST_BYTES, 128 << 20);
    /// ```
    pub const MOST_BYTES: u64 = 128 << 20;

    /// The project of the step's queue.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let (project, queue) = (Project::named("shop")?, QueueName::new("orders")?);
    /// let step = BatchStep::Delete { project, queue, messages: Vec::new(), claim: None };
    /// assert_eq!(step.project().name(), Some("shop"));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn project(&self) -> &Project {
        self.address().0
    }

    /// The name of the step's queue.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let (project, queue) = (Project::none(), QueueName::new("orders")?);
    /// let step = BatchStep::Delete { project, queue, messages: Vec::new(), claim: None };
    /// assert_eq!(step.queue().as_str(), "orders");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn queue(&self) -> &QueueName {
        self.address().1
    }

    fn address(&self) -> (&Project, &QueueName) {
        match self {
            Self::Post { project, queue, .. }
            | Self::Delete { project, queue, .. }
            | Self::Renew { project, queue, .. }
            | Self::Release { project, queue, .. } => (project, queue),
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
}
