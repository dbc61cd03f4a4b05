//! The handle on a queue.

use std::time::Duration;

use super::driver::Driver;
use crate::contract::DataDriver;
use crate::data::backend::Backend;
use crate::engine::Engine;
use crate::model::error::{Error, Result};
use crate::model::{
    ListOptions, Metadata, Project, Purge, QueueName, QueueStats, Subscriber, Subscription, SubscriptionId,
};
use crate::pooled::PooledDriver;
use crate::store::Store;

/// Messages a page of [`Queue::iter`].
pub(super) const ITER_PAGE: usize = 100;
/// The page size where the store's limits forbid the larger one: within Zaqar's limits.
pub(super) const SMALL_ITER_PAGE: usize = 10;

/// A handle on one queue: a project and a name. A clone is cheap.
///
/// Each method is that of the contract's traits for this project and name:
/// [`Queues`](crate::Queues), [`Messages`](crate::Messages), [`Claims`](crate::Claims) and
/// [`Subscriptions`](crate::Subscriptions) give the full rules. The durability of every change is
/// that of the engine or driver that created the handle. A read shows every acknowledged change,
/// and may show one that is not durable yet.
///
/// ```
/// use std::time::Duration;
/// use zaqar_sled::{ClaimOptions, ClientId, Config, Metadata, NewMessage, Project};
///
/// # let disk = std::sync::Arc::new(zaqar_sled::SimulatedDisk::new());
/// let engine = Config::new().disk(disk).open("store")?;
/// let orders = engine.queue(Project::named("shop")?, "orders")?;
/// orders.create(Metadata::new())?;
/// let message = NewMessage::new(b"42").ttl(Duration::from_secs(3600));
/// orders.post(ClientId::random(), &[message])?;
/// while let Some(claim) = orders.claim(ClaimOptions::new().limit(10))? {
///     for message in claim.messages() {
///         println!("{:?}", message.body());
///         claim.delete(message)?;
///     }
///     claim.release()?;
/// }
/// assert_eq!(orders.stats()?.total(), 0);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Queue {
    pub(super) driver: Driver,
    pub(super) project: Project,
    pub(super) name: QueueName,
}

impl Engine {
    /// A handle on the queue of that name. The queue need not exist: the handle keeps the name, so
    /// if the queue is deleted and made again, the handle is on the new one.
    ///
    /// Cost: one allocation for the name, no lock and no I/O. Works on a closed store too.
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) or [`is_too_large`](crate::Error::is_too_large) for
    /// a project or name outside the store's [`Limits`](crate::Limits).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// assert!(!orders.exists()?);
    /// assert!(engine.queue(Project::none(), "").unwrap_err().is_invalid());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn queue(&self, project: Project, name: impl AsRef<str>) -> Result<Queue> {
        let name = QueueName::new(name)?;
        self.store().limits.check_project(&project)?;
        self.store().limits.check_queue_name(&name)?;
        Ok(Queue { driver: Driver::Engine(self.clone()), project, name })
    }
}

impl PooledDriver {
    /// A handle on the queue of that name, as [`Engine::queue`](crate::Engine::queue) gives one.
    ///
    /// Cost: one allocation for the name, no lock and no I/O.
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) or [`is_too_large`](crate::Error::is_too_large) for
    /// a project or name outside the store's [`Limits`](crate::Limits).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let driver = Config::new().disk(disk).open_pooled("control")?;
    /// let orders = driver.queue(Project::none(), "orders")?;
    /// assert!(!orders.exists()?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn queue(&self, project: Project, name: impl AsRef<str>) -> Result<Queue> {
        let name = QueueName::new(name)?;
        let limits = &self.control_store().limits;
        limits.check_project(&project)?;
        limits.check_queue_name(&name)?;
        Ok(Queue { driver: Driver::Pooled(self.clone()), project, name })
    }
}

impl Queue {
    pub(super) fn driver(&self) -> &dyn DataDriver {
        self.driver.data()
    }

    pub(super) fn control_store(&self) -> &Store {
        self.driver.control_store()
    }

    /// The engine's time, in milliseconds.
    pub(crate) fn now(&self) -> u64 {
        self.control_store().now()
    }

    /// The queue's project.
    ///
    /// Cost: none.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// assert_eq!(orders.project().name(), Some("shop"));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// The queue's name.
    ///
    /// Cost: none.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// assert_eq!(orders.name().as_str(), "orders");
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn name(&self) -> &QueueName {
        &self.name
    }

    /// Creates the queue with metadata, or with [`QueueSettings`](crate::QueueSettings), and returns
    /// `true`. An existing queue, its metadata included, stays as it is, and the call returns `false`
    /// (contract 5).
    ///
    /// Cost: O(metadata); O(log queues) for each queue that a chain of dead-letter queues passes.
    ///
    /// Durability: a change, in both cases.
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) if a reserved key has a wrong value,
    /// [`is_too_large`](crate::Error::is_too_large) for the metadata; in a pooled driver
    /// [`is_not_found`](crate::Error::is_not_found) for an unknown `_flavor` and
    /// [`NoPoolFound`](crate::Error::NoPoolFound); the errors of [every
    /// change](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// assert!(orders.create(Metadata::new())?);
    /// assert!(!orders.create(Metadata::new())?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn create(&self, metadata: impl Into<Metadata>) -> Result<bool> {
        self.driver().queues().create(&self.project, &self.name, &metadata.into())
    }

    /// Creates the queue with these metadata and returns `true`; or replaces all metadata of the queue
    /// that exists, as [`set_metadata`](Self::set_metadata) does, and returns `false`. Either happens at
    /// one instant: other callers see the queue with its former metadata or with these.
    ///
    /// Cost: that of [`set_metadata`](Self::set_metadata), and of [`create`](Self::create) if the queue is
    /// missing.
    ///
    /// Durability: a change, in both cases.
    ///
    /// # Errors
    /// those of [`create`](Self::create). Wrong metadata are an error also if the queue exists.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// assert!(orders.create_or_update(Metadata::new())?);
    /// let minute = std::time::Duration::from_secs(60);
    /// assert!(!orders.create_or_update(QueueSettings::new().default_ttl(minute))?);
    /// assert!(orders.metadata()?.contains("_default_message_ttl"));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn create_or_update(&self, metadata: impl Into<Metadata>) -> Result<bool> {
        let metadata = metadata.into();
        loop {
            match self.set_metadata(&metadata) {
                Err(Error::QueueDoesNotExist { .. }) => {}
                updated => return updated.map(|()| false),
            }
            // Another caller may create the queue now: then this changes nothing.
            if self.driver().queues().create(&self.project, &self.name, &metadata)? {
                return Ok(true);
            }
        }
    }

    /// Whether the queue exists at this instant (contract 5).
    ///
    /// Cost: O(1), reads nothing from disk.
    ///
    /// # Errors
    /// the errors of [every read](crate::DataDriver#errors-of-every-call); a missing queue is
    /// `false`.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// assert!(orders.exists()?);
    /// orders.delete()?;
    /// assert!(!orders.exists()?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn exists(&self) -> Result<bool> {
        self.driver().queues().exists(&self.project, &self.name)
    }

    /// Removes the queue, its messages and its claims. Its subscriptions stay. A missing queue is
    /// no error (contract 5).
    ///
    /// Cost: O(1), independent of the queue's content. The space is freed in the background.
    ///
    /// Durability: a change, durable even if there was no queue.
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
    /// # orders.post(ClientId::random(), &[NewMessage::new("a"), NewMessage::new("b")])?;
    /// orders.delete()?;
    /// assert!(orders.stats().unwrap_err().is_not_found());
    /// orders.create(Metadata::new())?;
    /// assert_eq!(orders.stats()?.total(), 0);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn delete(&self) -> Result<()> {
        self.driver().queues().delete(&self.project, &self.name)
    }

    /// The queue's metadata (contract 5).
    ///
    /// Cost: O(metadata), reads nothing from disk.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) if the queue is missing; the errors of [every
    /// read](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// orders.create(Metadata::new().with("owner", "ann")?)?;
    /// assert_eq!(orders.metadata()?.get("owner")?, Some("ann".to_owned()));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn metadata(&self) -> Result<Metadata> {
        self.driver().queues().get_metadata(&self.project, &self.name)
    }

    /// Replaces all of the queue's metadata (contract 5). The keys that begin with `_` change how
    /// the queue works from this call on.
    ///
    /// Cost: O(metadata).
    ///
    /// Durability: a change.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) if the queue is missing, reported first;
    /// [`is_invalid`](crate::Error::is_invalid) if a reserved key has a wrong value,
    /// [`is_too_large`](crate::Error::is_too_large) for the metadata; the errors of [every
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
    /// orders.set_metadata(&Metadata::new().with("_default_message_ttl", 60)?)?;
    /// let ids = orders.post(ClientId::random(), &[NewMessage::new("a")])?;
    /// assert_eq!(orders.get(&ids[0])?.ttl(), std::time::Duration::from_secs(60));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn set_metadata(&self, metadata: &Metadata) -> Result<()> {
        self.driver().queues().set_metadata(&self.project, &self.name, metadata)
    }

    /// How many messages are claimed and free at this instant, and the oldest and the newest
    /// message (contract 5).
    ///
    /// Cost: O(1), one lock; at most one read from disk for the oldest and one for the newest
    /// message.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) if the queue is missing; the errors of [every
    /// read](crate::DataDriver#errors-of-every-call).
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
    /// let _claim = orders.claim(ClaimOptions::new().limit(1))?;
    /// let stats = orders.stats()?;
    /// assert_eq!((stats.claimed(), stats.free(), stats.total()), (1, 1, 2));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn stats(&self) -> Result<QueueStats> {
        self.driver().queues().stats(&self.project, &self.name)
    }

    /// Removes all messages, claims and subscriptions of the queue in one step, claimed and delayed
    /// messages too. Returns how many messages and subscriptions that were. The queue and its
    /// metadata stay (contract 15). To remove only one kind, use
    /// [`Queues::purge`](crate::Queues::purge).
    ///
    /// Cost: O(1) for the messages, O(subscriptions). The space is freed in the background.
    ///
    /// Durability: a change.
    ///
    /// # Errors
    /// the errors of [every change](crate::DataDriver#errors-of-every-call); a missing queue is no
    /// error.
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
    /// assert_eq!(orders.purge()?, 2);
    /// assert!(orders.exists()?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn purge(&self) -> Result<u64> {
        self.driver().queues().purge(&self.project, &self.name, Purge::All)
    }

    /// Registers `subscriber` to be notified of the queue's messages for `ttl`, and returns the
    /// subscription's id; `None` if the subscriber has a live subscription already. The queue need
    /// not exist (contract 8).
    ///
    /// The engine keeps the subscription; sending the notifications is the caller's work.
    /// [`Subscriptions`](crate::Subscriptions) has the methods to get, update and confirm a
    /// subscription.
    ///
    /// Cost: O(log subscriptions).
    ///
    /// Durability: a change.
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) for a ttl or scheme outside the store's
    /// [`Limits`](crate::Limits) or a ttl that ends after the year 9999;
    /// [`is_too_large`](crate::Error::is_too_large) for the options; the errors of [every
    /// change](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # let hour = std::time::Duration::from_secs(3600);
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// let hook = Subscriber::new("https://example.com/hook")?;
    /// assert!(orders.subscribe(&hook, hour, &Metadata::new())?.is_some());
    /// assert!(orders.subscribe(&hook, hour, &Metadata::new())?.is_none());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn subscribe(
        &self,
        subscriber: &Subscriber,
        ttl: Duration,
        options: &Metadata,
    ) -> Result<Option<SubscriptionId>> {
        self.driver().subscriptions().create(&self.project, &self.name, subscriber, ttl, options)
    }

    /// All live subscriptions of the queue, in the order of their creation (contract 8). The list
    /// is read page by page: subscriptions that are created or removed during the call may or may not be in
    /// it.
    ///
    /// Cost: O(subscriptions of the queue), reads nothing from disk.
    ///
    /// # Errors
    /// the errors of [every read](crate::DataDriver#errors-of-every-call); a missing queue is no
    /// error.
    ///
    /// # Example
    ///
    /// ```
    /// # let hour = std::time::Duration::from_secs(3600);
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// let hook = Subscriber::new("https://example.com/hook")?;
    /// orders.subscribe(&hook, hour, &Metadata::new())?;
    /// assert_eq!(orders.subscriptions()?[0].subscriber(), &hook);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn subscriptions(&self) -> Result<Vec<Subscription>> {
        let allowed = self.control_store().limits.check_page_limit(ITER_PAGE).is_ok();
        let mut options = ListOptions::new().limit(if allowed { ITER_PAGE } else { SMALL_ITER_PAGE });
        let mut all = Vec::new();
        loop {
            let page = self.driver().subscriptions().list(&self.project, &self.name, &options)?;
            let Some(next) = page.next else { return Ok(all) };
            all.extend(page.items);
            options = options.marker(next);
        }
    }

    /// Removes a subscription. A missing subscription is no error (contract 8).
    ///
    /// Cost: O(log subscriptions).
    ///
    /// Durability: a change, durable even if there was no subscription.
    ///
    /// # Errors
    /// the errors of [every change](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # let hour = std::time::Duration::from_secs(3600);
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// let hook = Subscriber::new("https://example.com/hook")?;
    /// let id = orders.subscribe(&hook, hour, &Metadata::new())?.expect("it is the first");
    /// orders.unsubscribe(&id)?;
    /// assert!(orders.subscriptions()?.is_empty());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn unsubscribe(&self, id: &SubscriptionId) -> Result<()> {
        self.driver().subscriptions().delete(&self.project, &self.name, id)
    }
}
