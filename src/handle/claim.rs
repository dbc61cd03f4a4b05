//! The handle on a claim.

use std::time::Duration;

use super::driver::Driver;
use super::queue::Queue;
use crate::model::error::Result;
use crate::model::time::{millis, whole_seconds_up};
use crate::model::{BatchStep, ClaimId, ClaimOptions, ClaimRecord, Message, MessageId, Project, QueueName, Retry};
use crate::sync::atomic::{AtomicU64, Ordering};

/// A claim on messages: a lease that ends by itself.
///
/// Dropping the handle does not release the claim. If a worker dies, no other worker gets its
/// messages until the lease ends.
///
/// ```
/// # use std::time::Duration;
/// # use zaqar_sled::{ClaimOptions, ClientId, Config, Metadata, NewMessage, Project, Retry};
/// # let disk = std::sync::Arc::new(zaqar_sled::SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// # let jobs = engine.queue(Project::none(), "jobs")?;
/// # jobs.create(Metadata::new())?;
/// # jobs.post(ClientId::random(), &[NewMessage::new("a"), NewMessage::new("b")])?;
/// let minute = Duration::from_secs(60);
/// let claim = jobs.claim(ClaimOptions::new().ttl(minute))?.expect("two messages wait");
/// claim.delete(&claim.messages()[0])?; // this message is done
/// claim.renew(5 * minute, minute)?; // the other takes longer
/// claim.retry(Retry::from(&claim.messages()[1]).delay(minute))?; // and fails
/// claim.release()?;
/// assert_eq!(jobs.stats()?.free(), 1); // another worker gets it in a minute
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Claim {
    pub(super) driver: Driver,
    pub(super) project: Project,
    pub(super) name: QueueName,
    record: ClaimRecord,
    ttl: LastTtl,
}

impl Claim {
    pub(super) fn new(driver: Driver, project: Project, name: QueueName, record: ClaimRecord) -> Self {
        let ttl = LastTtl::new(record.ttl);
        Self { driver, project, name, record, ttl }
    }

    /// The id of the claim.
    ///
    /// Cost: none.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// # orders.post(ClientId::random(), &[NewMessage::new("a")])?;
    /// let claim = orders.claim(ClaimOptions::new())?.expect("a message waits");
    /// assert_eq!(orders.first(Sort::Oldest)?.claim_id(), Some(claim.id()));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn id(&self) -> ClaimId {
        self.record.id()
    }

    /// A handle on the queue that the messages were claimed from.
    ///
    /// Cost: none.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// # orders.post(ClientId::random(), &[NewMessage::new("a")])?;
    /// let claim = orders.claim(ClaimOptions::new())?.expect("a message waits");
    /// assert_eq!(claim.queue().name(), orders.name());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn queue(&self) -> Queue {
        Queue { driver: self.driver.clone(), project: self.project.clone(), name: self.name.clone() }
    }

    /// The claimed messages, oldest first, as they were when they were claimed. The list does not
    /// change when messages are deleted.
    ///
    /// Cost: none.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// # orders.post(ClientId::random(), &[NewMessage::new("a"), NewMessage::new("b")])?;
    /// let claim = orders.claim(ClaimOptions::new())?.expect("two messages wait");
    /// let [a, b] = claim.messages() else { panic!("two were taken") };
    /// assert_eq!((a.body().as_bytes(), b.body().as_bytes()), (&b"a"[..], &b"b"[..]));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn messages(&self) -> &[Message] {
        self.record.messages()
    }

    /// How long the claim lasts, counted from when it was made or last renewed by this handle: whole
    /// seconds, rounded up.
    ///
    /// Cost: none.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// # orders.post(ClientId::random(), &[NewMessage::new("a")])?;
    /// let claim = orders.claim(ClaimOptions::new())?.expect("a message waits");
    /// assert_eq!(claim.ttl().as_secs(), 300);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn ttl(&self) -> Duration {
        whole_seconds_up(self.ttl.0.load(Ordering::Relaxed))
    }

    /// Deletes a message of this claim. A missing message is no error (contract 6.6).
    ///
    /// Cost: O(log messages).
    ///
    /// Durability: as the handle the claim was created with; also if the message was missing.
    ///
    /// # Errors
    /// if the message exists and this claim does not hold it:
    /// [`is_not_permitted`](crate::Error::is_not_permitted) if the message is under no live claim,
    /// or was never under this one; [`is_not_found`](crate::Error::is_not_found)
    /// ([`ClaimDoesNotExist`](crate::Error::ClaimDoesNotExist)) if this claim has ended and another
    /// claim holds it. And the errors of [every change](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// # orders.post(ClientId::random(), &[NewMessage::new("a"), NewMessage::new("b")])?;
    /// let claim = orders.claim(ClaimOptions::new())?.expect("two messages wait");
    /// claim.delete(&claim.messages()[0])?;
    /// assert_eq!(orders.stats()?.total(), 1);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn delete(&self, message: &Message) -> Result<()> {
        let Self { project, name, .. } = self;
        self.driver.data().messages().delete(project, name, &message.id(), Some(&self.id()))
    }

    /// Deletes all messages of this claim that still exist, all or none (contract 6.7).
    ///
    /// Cost: O(messages of the claim × log messages).
    ///
    /// Durability: as the handle the claim was created with.
    ///
    /// # Errors
    /// [`is_not_permitted`](crate::Error::is_not_permitted) if a message exists and is under no
    /// claim, [`is_conflict`](crate::Error::is_conflict) if it is under another claim: nothing is
    /// deleted then. [`is_invalid`](crate::Error::is_invalid) if the claim has more messages than
    /// the store's [`Limits`](crate::Limits) allow in one call; the errors of [every
    /// change](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// # orders.post(ClientId::random(), &[NewMessage::new("a"), NewMessage::new("b")])?;
    /// let claim = orders.claim(ClaimOptions::new())?.expect("two messages wait");
    /// claim.delete_all()?;
    /// claim.release()?;
    /// assert_eq!(orders.stats()?.total(), 0);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn delete_all(&self) -> Result<()> {
        let Self { project, name, .. } = self;
        let ids: Vec<MessageId> = self.messages().iter().map(Message::id).collect();
        self.driver.data().messages().bulk_delete(project, name, &ids, &[self.id()])
    }

    /// Starts the lease again from now: the claim and its messages get the new `ttl`. A message
    /// that would expire before the claim then gets `ttl` plus `grace` (contract 7.3).
    ///
    /// Cost: O(messages of the claim × log messages).
    ///
    /// Durability: as the handle the claim was created with.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) if the claim has ended: an ended claim cannot
    /// be renewed. [`is_invalid`](crate::Error::is_invalid) for times outside the store's
    /// [`Limits`](crate::Limits) or after the year 9999; the errors of [every
    /// change](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// # orders.post(ClientId::random(), &[NewMessage::new("a")])?;
    /// let claim = orders.claim(ClaimOptions::new())?.expect("a message waits");
    /// claim.renew(Duration::from_secs(900), Duration::from_secs(60))?;
    /// assert_eq!(claim.ttl(), Duration::from_secs(900));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn renew(&self, ttl: Duration, grace: Duration) -> Result<()> {
        let Self { project, name, .. } = self;
        let options = ClaimOptions::new().ttl(ttl).grace(grace);
        self.driver.data().claims().update(project, name, &self.id(), &options)?;
        self.ttl.0.store(millis(ttl), Ordering::Relaxed);
        Ok(())
    }

    /// The same claim, whose changes do not wait for the disk.
    pub(crate) fn buffered(&self) -> Self {
        Self { driver: self.driver.buffered(), ..self.clone() }
    }

    /// Deletes a message, which must exist and be under this claim.
    pub(crate) fn finish(&self, message: &Message) -> Result<()> {
        let (project, queue) = (self.project.clone(), self.name.clone());
        let step = BatchStep::Delete { project, queue, messages: vec![message.id()], claim: Some(self.id()) };
        self.driver.commit(&[&step]).map(drop)
    }

    /// Gives a message of this claim back, with a delay and a reason. A missing message is no error.
    ///
    /// Cost: O(log messages + bytes of the reason).
    ///
    /// Durability: as the handle the claim was created with.
    ///
    /// # Errors
    /// as [`retry_all`](Self::retry_all).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// # orders.post(ClientId::random(), &[NewMessage::new("a"), NewMessage::new("b")])?;
    /// let claim = orders.claim(ClaimOptions::new())?.expect("two messages wait");
    /// claim.retry(Retry::from(&claim.messages()[0]).reason("no route"))?;
    /// let again = orders.claim(ClaimOptions::new())?.expect("one waits again");
    /// let message = &again.messages()[0];
    /// assert_eq!((message.claim_count(), message.last_failure()), (2, Some("no route")));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    #[doc(alias = "nack")]
    pub fn retry(&self, retry: Retry) -> Result<()> {
        self.retry_all(&[retry]).map(drop)
    }

    /// Gives messages of this claim back, all or none, each with a delay and a reason; returns how
    /// many there were. The rules are those of [`Retries::retry`](crate::Retries::retry).
    ///
    /// Cost: O(messages × log messages + bytes of the reasons).
    ///
    /// Durability: as the handle the claim was created with.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) if the claim has ended;
    /// [`is_not_permitted`](crate::Error::is_not_permitted) if a message exists and is not under this
    /// claim; [`is_too_large`](crate::Error::is_too_large) for a reason of more than 1 KiB;
    /// [`is_invalid`](crate::Error::is_invalid) for a delay outside the store's
    /// [`Limits`](crate::Limits) or after the year 9999; [`is_full`](crate::Error::is_full); the
    /// errors of [every change](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// # orders.post(ClientId::random(), &[NewMessage::new("a"), NewMessage::new("b")])?;
    /// let claim = orders.claim(ClaimOptions::new())?.expect("two messages wait");
    /// let minute = std::time::Duration::from_secs(60);
    /// let later = |message| Retry::from(message).delay(minute);
    /// let retries: Vec<Retry> = claim.messages().iter().map(later).collect();
    /// assert_eq!(claim.retry_all(&retries)?, 2);
    /// assert_eq!(orders.stats()?.free(), 2);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn retry_all(&self, retries: &[Retry]) -> Result<u64> {
        let Self { project, name, .. } = self;
        self.driver.extended().retries().retry(project, name, &self.id(), retries)
    }

    /// Puts messages of this claim under a new claim that begins now: a renewal of some messages,
    /// while the others keep this claim. `None` if none of them exists any more. The rules are those of
    /// [`Retries::split`](crate::Retries::split).
    ///
    /// Cost: O(messages × log messages).
    ///
    /// Durability: as the handle the claim was created with.
    ///
    /// # Errors
    /// as [`retry_all`](Self::retry_all), and [`is_invalid`](crate::Error::is_invalid) for times
    /// outside the store's [`Limits`](crate::Limits) or after the year 9999.
    ///
    /// # Example
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// # orders.post(ClientId::random(), &[NewMessage::new("a"), NewMessage::new("b")])?;
    /// let claim = orders.claim(ClaimOptions::new())?.expect("two messages wait");
    /// let (hour, id) = (Duration::from_secs(3600), claim.messages()[0].id());
    /// let slow = claim.split(&[id], hour, hour)?.expect("the message exists");
    /// claim.release()?; // the other message
    /// assert_eq!((slow.messages().len(), orders.stats()?.claimed()), (1, 1));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn split(&self, messages: &[MessageId], ttl: Duration, grace: Duration) -> Result<Option<Self>> {
        let Self { project, name, .. } = self;
        let options = ClaimOptions::new().ttl(ttl).grace(grace);
        let split = self.driver.extended().retries().split(project, name, &self.id(), messages, &options)?;
        Ok(split.map(|record| Self::new(self.driver.clone(), project.clone(), name.clone(), record)))
    }

    /// Ends the claim: its messages can be claimed again at once. If the claim has ended, the call
    /// does nothing (contract 7.4).
    ///
    /// Release a claim also when all its messages are deleted: until its end it takes memory.
    ///
    /// Cost: O(messages of the claim × log messages).
    ///
    /// Durability: as the handle the claim was created with.
    ///
    /// # Errors
    /// the errors of [every change](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// # orders.post(ClientId::random(), &[NewMessage::new("a")])?;
    /// let claim = orders.claim(ClaimOptions::new())?.expect("a message waits");
    /// assert!(orders.claim(ClaimOptions::new())?.is_none());
    /// claim.release()?;
    /// assert!(orders.claim(ClaimOptions::new())?.is_some());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn release(self) -> Result<()> {
        let Self { project, name, .. } = &self;
        self.driver.data().claims().delete(project, name, &self.record.id())
    }
}

/// The ttl, in milliseconds, that the claim was made or last renewed with.
#[derive(Debug)]
struct LastTtl(AtomicU64);

impl LastTtl {
    fn new(millis: u64) -> Self {
        Self(AtomicU64::new(millis))
    }
}

impl Clone for LastTtl {
    fn clone(&self) -> Self {
        Self::new(self.0.load(Ordering::Relaxed))
    }
}
