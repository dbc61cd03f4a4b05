//! The handle on a queue.

use std::time::Duration;

use super::claim::Claim;
use super::driver::Driver;
use crate::contract::DataDriver;
use crate::data::backend::Backend;
use crate::engine::Engine;
use crate::model::error::{Error, Result};
use crate::model::{
    ClaimOptions, ClaimRecord, ClientId, ListOptions, Message, MessageId, MessageListOptions, MessageMarker, Metadata,
    NewMessage, Page, Project, Purge, QueueName, QueueStats, Sort, Subscriber, Subscription, SubscriptionId,
};
use crate::pooled::PooledDriver;
use crate::storage::keys;
use crate::store::Store;

/// Zaqar's default for a message without a ttl, on a queue without one.
const DEFAULT_TTL: Duration = Duration::from_hours(1);
/// Messages a page of [`Queue::iter`].
const ITER_PAGE: usize = 100;
/// The same where limits forbid that: within Zaqar's.
const SMALL_ITER_PAGE: usize = 10;

/// A handle on one queue: a project and a name. A clone is cheap.
///
/// Each method is that of the contract's traits for this project and name:
/// [`Queues`](crate::Queues), [`Messages`](crate::Messages), [`Claims`](crate::Claims) and
/// [`Subscriptions`](crate::Subscriptions) give the full rules. The durability of every change is
/// that of the engine or driver that the handle was made with.
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
    driver: Driver,
    project: Project,
    name: QueueName,
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
    fn driver(&self) -> &dyn DataDriver {
        self.driver.data()
    }

    fn handle_on(&self, record: ClaimRecord) -> Claim {
        Claim { driver: self.driver.clone(), project: self.project.clone(), name: self.name.clone(), record }
    }

    fn control_store(&self) -> &Store {
        self.driver.control_store()
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

    /// Makes the queue and returns `true`. An existing queue, its metadata included, stays as it
    /// is, and the call returns `false` (contract 5).
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
    pub fn create(&self, metadata: Metadata) -> Result<bool> {
        self.driver().queues().create(&self.project, &self.name, &metadata)
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
    /// Cost: O(1), whatever the queue holds. The space is freed in the background.
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
    /// assert_eq!(orders.get(&ids[0])?.ttl().as_secs(), 60);
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
    /// is read page by page: subscriptions that are made or removed meanwhile may or may not be in
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

    /// Posts messages to the end of the queue, all or none, and returns their ids in the same order
    /// (contract 6.1).
    ///
    /// A message without a ttl gets the queue's `_default_message_ttl`, or one hour if the queue
    /// has none. A message without a delay gets the queue's `_default_message_delay`, or no delay.
    ///
    /// Cost: O(messages + bytes): one lock and one write to the journal. If every message has a ttl
    /// and a delay, the defaults are not looked up.
    ///
    /// Durability: a change. At [`Sync`](crate::Durability::Sync) the call also waits for one
    /// `fdatasync`, which it shares with other calls.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) if the queue is missing;
    /// [`is_invalid`](crate::Error::is_invalid) for a time outside the store's
    /// [`Limits`](crate::Limits) or after the year 9999;
    /// [`is_too_large`](crate::Error::is_too_large) for a body or the whole post;
    /// [`is_busy`](crate::Error::is_busy) if memory or the journal stays full for the
    /// [`busy_timeout`](crate::Config::busy_timeout); [`is_full`](crate::Error::is_full); the
    /// errors of [every change](crate::DataDriver#errors-of-every-call).
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
    /// let messages = [NewMessage::new("a"), NewMessage::new("b").ttl(2 * hour)];
    /// let ids = orders.post(ClientId::random(), &messages)?;
    /// assert_eq!(orders.get(&ids[0])?.ttl(), hour);
    /// assert_eq!(orders.get(&ids[1])?.ttl(), 2 * hour);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn post(&self, client: ClientId, messages: &[NewMessage]) -> Result<Vec<MessageId>> {
        if messages.iter().all(|message| message.ttl.is_some() && message.delay.is_some()) {
            return self.driver().messages().post(&self.project, &self.name, client, messages);
        }
        let (ttl, delay) = self.defaults()?;
        let filled: Vec<NewMessage> = messages.iter().map(|message| fill(message, ttl, delay)).collect();
        self.driver().messages().post(&self.project, &self.name, client, &filled)
    }

    fn defaults(&self) -> Result<(Duration, Duration)> {
        let control_store = self.control_store().enter()?;
        // The record is here, wherever the messages are.
        let record = control_store.find(&self.project, &self.name);
        let defaults = record
            .and_then(|record| record.description())
            .map(|description| (description.settings.default_ttl, description.settings.default_delay));
        let (ttl, delay) = defaults.unwrap_or_default();
        Ok((ttl.map_or(DEFAULT_TTL, Duration::from_millis), delay.map_or(Duration::ZERO, Duration::from_millis)))
    }

    /// One page of live messages in the order of their posts (contract 6.2). [`iter`](Self::iter)
    /// goes through all pages.
    ///
    /// Cost: O(log messages + page), plus the client's own messages that are skipped. Reads
    /// messages that are not in memory from disk.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) if the queue is missing (a pooled driver gives
    /// an empty page); [`is_invalid`](crate::Error::is_invalid) for a limit outside the store's
    /// [`Limits`](crate::Limits); the errors of [every
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
    /// let page = orders.list(&MessageListOptions::new().limit(1))?;
    /// assert_eq!(page.items[0].body().as_bytes(), b"a");
    /// let rest = orders.list(&MessageListOptions::new().marker(page.next))?;
    /// assert_eq!(rest.items[0].body().as_bytes(), b"b");
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn list(&self, options: &MessageListOptions) -> Result<Page<Message, MessageMarker>> {
        self.driver().messages().list(&self.project, &self.name, options)
    }

    /// All messages that `options` let through, from their marker on. The iterator reads one page
    /// at a time; the `limit` of the options is not used. After an error the iterator ends.
    ///
    /// Cost: per page as [`list`](Self::list), with 100 messages a page, or 10 if the store's
    /// [`Limits`](crate::Limits) forbid that.
    ///
    /// # Errors
    /// each item may be an error of [`list`](Self::list).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// orders.post(ClientId::random(), &vec![NewMessage::new("work"); 250])?;
    /// let all: Vec<Message> = orders.iter(MessageListOptions::new()).collect::<Result<_>>()?;
    /// assert_eq!(all.len(), 250);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn iter(&self, options: MessageListOptions) -> impl Iterator<Item = Result<Message>> + '_ {
        let allowed = self.control_store().limits.check_page_limit(ITER_PAGE).is_ok();
        let options = options.limit(if allowed { ITER_PAGE } else { SMALL_ITER_PAGE });
        Pages { queue: self, options, page: Vec::new().into_iter(), done: false }
    }

    /// The oldest or the newest live message, even if it is claimed or delayed (contract 6.3).
    ///
    /// Cost: O(log messages). Reads the message from disk if it is not in memory.
    ///
    /// # Errors
    /// [`QueueIsEmpty`](crate::Error::QueueIsEmpty) if there is no message or no queue (a pooled
    /// driver gives [`QueueDoesNotExist`](crate::Error::QueueDoesNotExist) for a missing queue);
    /// the errors of [every read](crate::DataDriver#errors-of-every-call).
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
    /// assert_eq!(orders.first(Sort::Oldest)?.body().as_bytes(), b"a");
    /// assert_eq!(orders.first(Sort::Newest)?.body().as_bytes(), b"b");
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn first(&self, sort: Sort) -> Result<Message> {
        self.driver().messages().first(&self.project, &self.name, sort)
    }

    /// One message, even if it is claimed or delayed (contract 6.4).
    ///
    /// Cost: O(log messages). Reads the message from disk if it is not in memory.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) if the queue is missing, or if the message is
    /// missing, expired or in another queue; the errors of [every
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
    /// let ids = orders.post(ClientId::random(), &[NewMessage::new("a")])?;
    /// assert_eq!(orders.get(&ids[0])?.body().as_bytes(), b"a");
    /// assert!(orders.get(&MessageId::lossy("no id")).unwrap_err().is_not_found());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn get(&self, id: &MessageId) -> Result<Message> {
        self.driver().messages().get(&self.project, &self.name, id)
    }

    /// The given messages that exist, in the order of the ids. Missing ids are skipped; a missing
    /// queue gives an empty list (contract 6.5).
    ///
    /// Cost: O(ids × log messages). Reads messages that are not in memory from disk.
    ///
    /// # Errors
    /// [`is_too_large`](crate::Error::is_too_large) if the bodies together are over 128 MiB;
    /// [`is_invalid`](crate::Error::is_invalid) for a number of ids outside the store's
    /// [`Limits`](crate::Limits); the errors of [every
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
    /// let ids = orders.post(ClientId::random(), &[NewMessage::new("a"), NewMessage::new("b")])?;
    /// let found = orders.bulk_get(&[ids[1], ids[0]])?;
    /// assert_eq!(found[0].body().as_bytes(), b"b");
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn bulk_get(&self, ids: &[MessageId]) -> Result<Vec<Message>> {
        self.driver().messages().bulk_get(&self.project, &self.name, ids)
    }

    /// Deletes a message that is not claimed. A missing message or queue is no error (contract
    /// 6.6). To delete a claimed message, use [`Claim::delete`](crate::Claim::delete).
    ///
    /// Cost: O(log messages).
    ///
    /// Durability: a change, durable even if there was no message.
    ///
    /// # Errors
    /// [`is_not_permitted`](crate::Error::is_not_permitted) if the message is under a live claim;
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
    /// let ids = orders.post(ClientId::random(), &[NewMessage::new("a")])?;
    /// orders.delete_message(&ids[0])?;
    /// orders.delete_message(&ids[0])?;
    /// assert_eq!(orders.stats()?.total(), 0);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn delete_message(&self, id: &MessageId) -> Result<()> {
        self.driver().messages().delete(&self.project, &self.name, id, None)
    }

    /// Deletes the given messages that exist, claimed ones too, in one step. Missing ids and a
    /// missing queue are no error (contract 6.7).
    ///
    /// Cost: O(ids × log messages).
    ///
    /// Durability: a change, durable even if there was no message.
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) for a number of ids outside the store's
    /// [`Limits`](crate::Limits); the errors of [every
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
    /// let ids = orders.post(ClientId::random(), &[NewMessage::new("a"), NewMessage::new("b")])?;
    /// let _claim = orders.claim(ClaimOptions::new().limit(1))?;
    /// orders.bulk_delete(&ids)?;
    /// assert_eq!(orders.stats()?.total(), 0);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn bulk_delete(&self, ids: &[MessageId]) -> Result<()> {
        self.driver().messages().bulk_delete(&self.project, &self.name, ids, &[])
    }

    /// Removes and returns the oldest messages that a claim would take: at most `limit`, and at
    /// most 1 MiB of bodies beyond the first message. Nothing to take, or no queue, gives an empty
    /// list (contract 6.8).
    ///
    /// A popped message is gone. If the worker may die before the work is done, use
    /// [`claim`](Self::claim).
    ///
    /// Cost: O(limit + log messages). Reads messages that are not in memory from disk.
    ///
    /// Durability: a change. The call does not wait for a sync if there was nothing to take.
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) for a limit of 0 or outside the store's
    /// [`Limits`](crate::Limits); the errors of [every
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
    /// assert_eq!(orders.pop(1)?[0].body().as_bytes(), b"a");
    /// assert_eq!(orders.pop(10)?.len(), 1);
    /// assert!(orders.pop(10)?.is_empty());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn pop(&self, limit: usize) -> Result<Vec<Message>> {
        self.driver().messages().pop(&self.project, &self.name, limit)
    }

    /// Claims the oldest messages that are live, not delayed and under no live claim; `None` if
    /// there are none or no queue (contract 7.1). A message that was claimed `_max_claim_count`
    /// times is moved to the queue's `_dead_letter_queue` instead.
    ///
    /// Cost: O(limit + log messages), however many claimed or delayed messages stand in front.
    /// Reads messages that are not in memory from disk.
    ///
    /// Durability: a change. The call does not wait for a sync if there was nothing to take.
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) for a limit of 0, or times outside the store's
    /// [`Limits`](crate::Limits) or after the year 9999; the errors of [every
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
    /// assert_eq!(claim.messages().len(), 2);
    /// assert!(orders.claim(ClaimOptions::new())?.is_none());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn claim(&self, options: ClaimOptions) -> Result<Option<Claim>> {
        let claim = self.driver().claims().create(&self.project, &self.name, &options)?;
        Ok(claim.map(|record| self.handle_on(record)))
    }

    /// Claims messages as [`claim`](Self::claim) does, and waits up to `timeout`, measured by the
    /// engine's clock, until there are some; then `None`. A missing queue counts as an empty one.
    ///
    /// A post, a release, or the end of a claim or a delay ends the wait. The call does not poll.
    /// The waiters of one queue are woken in the order in which they came.
    ///
    /// Cost: as [`claim`](Self::claim) for each time the call is woken; while it waits, its thread
    /// and 300 bytes.
    ///
    /// Durability: as [`claim`](Self::claim).
    ///
    /// # Errors
    /// those of [`claim`](Self::claim); [`is_closed`](crate::Error::is_closed) if the store is
    /// closed during the wait.
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
    /// let worker = std::thread::spawn({
    ///     let orders = orders.clone();
    ///     move || orders.claim_wait(ClaimOptions::new(), Duration::from_secs(60))
    /// });
    /// orders.post(ClientId::random(), &[NewMessage::new("work")])?;
    /// assert!(worker.join().expect("the worker does not panic")?.is_some());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn claim_wait(&self, options: ClaimOptions, timeout: Duration) -> Result<Option<Claim>> {
        let store = self.control_store();
        let clock = store.clock.source();
        let deadline = clock.monotonic().saturating_add(timeout);
        let waiting = store.waiters.register(keys::queue(&self.project, &self.name));
        loop {
            let claimed = self.driver.create_claim(&self.project, &self.name, &options);
            // The end of a move wakes everybody.
            let (claim, due) = if matches!(claimed, Err(Error::Moving { .. })) { (None, None) } else { claimed? };
            if let Some(record) = claim {
                waiting.found();
                return Ok(Some(self.handle_on(record)));
            }
            waiting.found_nothing(due.is_some());
            let left = deadline.saturating_sub(clock.monotonic());
            if left.is_zero() {
                return Ok(None);
            }
            let until_due = due.map(|due| Duration::from_millis(due.saturating_sub(store.now())));
            if until_due != Some(Duration::ZERO) {
                waiting.sleep(clock.real_wait(until_due.map_or(left, |due| due.min(left))));
            }
        }
    }
}

fn fill(message: &NewMessage, ttl: Duration, delay: Duration) -> NewMessage {
    let mut filled = message.clone();
    filled.ttl.get_or_insert(ttl);
    filled.delay.get_or_insert(delay);
    filled
}

struct Pages<'a> {
    queue: &'a Queue,
    options: MessageListOptions,
    page: std::vec::IntoIter<Message>,
    done: bool,
}

impl Iterator for Pages<'_> {
    type Item = Result<Message>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(message) = self.page.next() {
            return Some(Ok(message));
        }
        if self.done {
            return None;
        }
        match self.queue.list(&self.options) {
            Ok(page) => {
                self.done = page.next.is_none();
                self.options.marker = page.next;
                self.page = page.items.into_iter();
                self.page.next().map(Ok)
            }
            Err(error) => {
                self.done = true;
                Some(Err(error))
            }
        }
    }
}
