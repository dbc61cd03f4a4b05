//! The handle that collects a batch.

use std::time::Duration;

use super::claim::Claim;
use super::driver::Driver;
use super::messages::is_complete;
use super::queue::Queue;
use crate::engine::Engine;
use crate::model::error::{Error, Result};
use crate::model::{BatchOutcome, BatchStep, ClientId, Message, MessageId, NewMessage};
use crate::pooled::PooledDriver;

/// Changes of queues and bookmarks that take effect together, or not at all: posts, deletes, renewals, releases, and
/// values of bookmarks.
///
/// The methods only collect; [`commit`](Self::commit) makes the changes. The rules are those of
/// [`Batches::commit`](crate::Batches::commit).
///
/// After an error, the batch can be committed again. A batch that deletes a message of a claim takes effect once, however
/// often it is committed. One without such a message posts its messages each time.
///
/// ```
/// use zaqar_sled::{ClaimOptions, ClientId, Config, Metadata, NewMessage, Project};
///
/// # let disk = std::sync::Arc::new(zaqar_sled::SimulatedDisk::new());
/// let engine = Config::new().disk(disk).open("store")?;
/// let jobs = engine.queue(Project::none(), "jobs")?;
/// let done = engine.queue(Project::none(), "done")?;
/// let mail = engine.queue(Project::none(), "mail")?;
/// for queue in [&jobs, &done, &mail] {
///     queue.create(Metadata::new())?;
/// }
/// let client = ClientId::random();
/// jobs.post(client, &[NewMessage::new("resize")])?;
///
/// let claim = jobs.claim(ClaimOptions::new())?.expect("a job waits");
/// let mut batch = engine.batch();
/// batch.delete_all(&claim).release(&claim);
/// batch.post(&done, client, [NewMessage::new("resized")]);
/// batch.post(&mail, client, [NewMessage::new("to: ann"), NewMessage::new("to: bob")]);
/// batch.commit()?;
/// let left = [jobs.stats()?.total(), done.stats()?.total(), mail.stats()?.total()];
/// assert_eq!(left, [0, 1, 2]);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a batch changes nothing before it is committed"]
pub struct Batch {
    driver: Driver,
    steps: Vec<BatchStep>,
    /// The posts of messages that lack a ttl or a delay, by index, with their queues: the defaults are looked up at the
    /// commit.
    incomplete: Vec<(usize, Queue)>,
    /// Whether a handle of another engine or driver was given.
    is_mixed: bool,
}

impl Engine {
    /// An empty batch.
    ///
    /// Cost: none. Works on a closed store too.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// assert!(engine.batch().is_empty());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn batch(&self) -> Batch {
        Batch::new(Driver::Engine(self.clone()))
    }
}

impl PooledDriver {
    /// An empty batch. All queues of a batch must be in one store.
    ///
    /// Cost: none.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let driver = Config::new().disk(disk).open_pooled("control")?;
    /// assert!(driver.batch().is_empty());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn batch(&self) -> Batch {
        Batch::new(Driver::Pooled(self.clone()))
    }
}

impl Batch {
    fn new(driver: Driver) -> Self {
        Self { driver, steps: Vec::new(), incomplete: Vec::new(), is_mixed: false }
    }

    /// Posts messages to the end of a queue. A message without a ttl or a delay gets the queue's default, as in
    /// [`Queue::post`].
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::none(), "orders")?;
    /// # orders.create(Metadata::new())?;
    /// engine.batch().post(&orders, ClientId::random(), [NewMessage::new("a")]).commit()?;
    /// assert_eq!(orders.stats()?.total(), 1);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn post(
        &mut self,
        queue: &Queue,
        client: ClientId,
        messages: impl IntoIterator<Item = NewMessage>,
    ) -> &mut Self {
        self.meet(&queue.driver);
        let messages: Vec<NewMessage> = messages.into_iter().collect();
        if !is_complete(&messages) {
            self.incomplete.push((self.steps.len(), queue.clone()));
        }
        let (project, queue) = (queue.project.clone(), queue.name.clone());
        self.add(BatchStep::Post { project, queue, client, messages })
    }

    /// Deletes a message of a claim, which must still exist and be under the claim.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::none(), "orders")?;
    /// # orders.create(Metadata::new())?;
    /// # orders.post(ClientId::random(), &[NewMessage::new("a")])?;
    /// let claim = orders.claim(ClaimOptions::new())?.expect("a message waits");
    /// assert_eq!(engine.batch().delete(&claim, &claim.messages()[0]).commit()?.deleted(), 1);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn delete(&mut self, claim: &Claim, message: &Message) -> &mut Self {
        self.delete_of(claim, vec![message.id()])
    }

    /// Deletes every message of a claim as it was made. All must still exist and be under the claim: delete the rest by
    /// [`delete`](Self::delete) if some were deleted, given back or split off.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::none(), "orders")?;
    /// # orders.create(Metadata::new())?;
    /// # orders.post(ClientId::random(), &[NewMessage::new("a"), NewMessage::new("b")])?;
    /// let claim = orders.claim(ClaimOptions::new())?.expect("two messages wait");
    /// assert_eq!(engine.batch().delete_all(&claim).commit()?.deleted(), 2);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn delete_all(&mut self, claim: &Claim) -> &mut Self {
        self.delete_of(claim, claim.messages().iter().map(Message::id).collect())
    }

    fn delete_of(&mut self, claim: &Claim, messages: Vec<MessageId>) -> &mut Self {
        self.meet(&claim.driver);
        let (project, queue) = (claim.project.clone(), claim.name.clone());
        self.add(BatchStep::Delete { project, queue, messages, claim: Some(claim.id()) })
    }

    /// Deletes messages that are under no claim, as [`Queue::delete_message`] does.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::none(), "orders")?;
    /// # orders.create(Metadata::new())?;
    /// let ids = orders.post(ClientId::random(), &[NewMessage::new("a")])?;
    /// assert_eq!(engine.batch().delete_messages(&orders, ids).commit()?.deleted(), 1);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn delete_messages(&mut self, queue: &Queue, messages: impl IntoIterator<Item = MessageId>) -> &mut Self {
        self.meet(&queue.driver);
        let (project, name) = (queue.project.clone(), queue.name.clone());
        self.add(BatchStep::Delete { project, queue: name, messages: messages.into_iter().collect(), claim: None })
    }

    /// Renews a claim, as [`Claim::renew`] does. The handle on the claim does not learn the new ttl.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::none(), "orders")?;
    /// # orders.create(Metadata::new())?;
    /// # orders.post(ClientId::random(), &[NewMessage::new("a"), NewMessage::new("b")])?;
    /// let claim = orders.claim(ClaimOptions::new())?.expect("two messages wait");
    /// let mut batch = engine.batch();
    /// batch.delete(&claim, &claim.messages()[0]); // this message is done
    /// batch.renew(&claim, Duration::from_secs(900), Duration::ZERO); // the other takes longer
    /// batch.commit()?;
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn renew(&mut self, claim: &Claim, ttl: Duration, grace: Duration) -> &mut Self {
        self.meet(&claim.driver);
        let (project, queue) = (claim.project.clone(), claim.name.clone());
        self.add(BatchStep::Renew { project, queue, claim: claim.id(), ttl, grace })
    }

    /// Releases a claim, as [`Claim::release`] does.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::none(), "orders")?;
    /// # orders.create(Metadata::new())?;
    /// # orders.post(ClientId::random(), &[NewMessage::new("a")])?;
    /// let claim = orders.claim(ClaimOptions::new())?.expect("a message waits");
    /// engine.batch().release(&claim).commit()?;
    /// assert_eq!(orders.stats()?.free(), 1);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn release(&mut self, claim: &Claim) -> &mut Self {
        self.meet(&claim.driver);
        let (project, queue) = (claim.project.clone(), claim.name.clone());
        self.add(BatchStep::Release { project, queue, claim: claim.id() })
    }

    /// Whether no change has been collected.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::none(), "orders")?;
    /// assert!(!engine.batch().delete_messages(&orders, []).is_empty());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Makes the collected changes, all or none, and tells what was posted and deleted. The changes are checked as if they
    /// were made one by one, in their order and at one instant.
    ///
    /// Cost: the sum of the changes' costs, one lock for each queue and one write to the journal.
    ///
    /// Durability: a change, whole, of the engine or driver that made the batch.
    ///
    /// # Errors
    /// as [`Batches::commit`](crate::Batches::commit), and [`is_invalid`](crate::Error::is_invalid) if a handle of another
    /// engine or driver was given.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::none(), "orders")?;
    /// # orders.create(Metadata::new())?;
    /// let missing = engine.queue(Project::none(), "invoices")?;
    /// let (client, mut batch) = (ClientId::random(), engine.batch());
    /// batch.post(&orders, client, [NewMessage::new("a")]);
    /// batch.post(&missing, client, [NewMessage::new("b")]);
    /// assert!(batch.commit().unwrap_err().is_not_found());
    /// assert_eq!(orders.stats()?.total(), 0); // all or nothing
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn commit(&self) -> Result<BatchOutcome> {
        if self.is_mixed {
            return Err(Error::invalid("batch", "has a handle of another engine or driver"));
        }
        let complete = self.incomplete.iter().map(|(index, queue)| Ok((*index, self.completed(*index, queue)?)));
        let complete = complete.collect::<Result<Vec<(usize, Option<BatchStep>)>>>()?;
        let mut steps: Vec<&BatchStep> = self.steps.iter().collect();
        for (index, step) in &complete {
            if let (Some(place), Some(step)) = (steps.get_mut(*index), step) {
                *place = step;
            }
        }
        self.driver.commit(&steps)
    }

    /// A post with the queue's defaults where its messages have no ttl or delay.
    fn completed(&self, index: usize, queue: &Queue) -> Result<Option<BatchStep>> {
        let Some(BatchStep::Post { project, queue: name, client, messages }) = self.steps.get(index) else {
            return Ok(None);
        };
        let messages = queue.filled(messages)?.into_owned();
        Ok(Some(BatchStep::Post { project: project.clone(), queue: name.clone(), client: *client, messages }))
    }

    pub(super) fn add(&mut self, step: BatchStep) -> &mut Self {
        self.steps.push(step);
        self
    }

    /// Notes whether a handle belongs to the batch's driver.
    pub(super) fn meet(&mut self, driver: &Driver) {
        self.is_mixed = self.is_mixed || !self.driver.is_same(driver);
    }
}
