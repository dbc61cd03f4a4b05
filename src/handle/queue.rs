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

/// A handle on a queue: a project and a name. Errors, costs and durability are those of the contract's method of the same
/// name ([`Queues`](crate::Queues), [`Messages`](crate::Messages), [`Claims`](crate::Claims)).
///
/// ```
/// use std::time::Duration;
/// use zaqar_sled::{ClaimOptions, ClientId, Config, Metadata, NewMessage, Project, SimulatedDisk};
///
/// let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
/// let orders = engine.queue(Project::named("shop")?, "orders")?;
/// orders.create(Metadata::new())?;
/// orders.post(ClientId::random(), &[NewMessage::new(b"42").ttl(Duration::from_secs(3600))])?;
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
    /// A handle on the queue of that name, which need not be there. It means the name: when the queue is deleted and made
    /// again, the handle is on the new one.
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid), [`is_too_large`](crate::Error::is_too_large) for a name that is none.
    ///
    /// ```
    /// # let engine = zaqar_sled::Config::new().disk(std::sync::Arc::new(zaqar_sled::SimulatedDisk::new())).open("store")?;
    /// let orders = engine.queue(zaqar_sled::Project::named("shop")?, "orders")?;
    /// assert!(!orders.exists()?);
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
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid), [`is_too_large`](crate::Error::is_too_large) for a name that is none.
    ///
    /// ```
    /// # use zaqar_sled::{Config, Project, SimulatedDisk};
    /// # let driver = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open_pooled("control")?;
    /// assert!(!driver.queue(Project::none(), "orders")?.exists()?);
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
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// The queue's name.
    pub fn name(&self) -> &QueueName {
        &self.name
    }

    /// Makes the queue; `false` if it was there, which leaves its metadata alone.
    pub fn create(&self, metadata: Metadata) -> Result<bool> {
        self.driver().queues().create(&self.project, &self.name, &metadata)
    }

    /// Whether the queue is there.
    pub fn exists(&self) -> Result<bool> {
        self.driver().queues().exists(&self.project, &self.name)
    }

    /// Removes the queue, its messages and its claims.
    pub fn delete(&self) -> Result<()> {
        self.driver().queues().delete(&self.project, &self.name)
    }

    /// The queue's metadata; `is_not_found` without the queue.
    pub fn metadata(&self) -> Result<Metadata> {
        self.driver().queues().get_metadata(&self.project, &self.name)
    }

    /// Replaces the queue's metadata.
    pub fn set_metadata(&self, metadata: &Metadata) -> Result<()> {
        self.driver().queues().set_metadata(&self.project, &self.name, metadata)
    }

    /// Counts, and the oldest and newest message.
    pub fn stats(&self) -> Result<QueueStats> {
        self.driver().queues().stats(&self.project, &self.name)
    }

    /// Removes messages, claims and subscriptions at once; returns how many messages and subscriptions went.
    pub fn purge(&self) -> Result<u64> {
        self.driver().queues().purge(&self.project, &self.name, Purge::All)
    }

    /// Has `subscriber` told of the queue's messages for `ttl`, by whoever does the telling; `None` if it is subscribed
    /// already. The queue need not exist. Listing, updating and confirming are at
    /// [`Subscriptions`](crate::Subscriptions).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use zaqar_sled::{Config, Metadata, Project, SimulatedDisk, Subscriber};
    /// # let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
    /// let orders = engine.queue(Project::none(), "orders")?;
    /// let hook = Subscriber::new("https://example.com/hook")?;
    /// let id = orders.subscribe(&hook, Duration::from_secs(3600), &Metadata::new())?.expect("it is the first");
    /// assert!(orders.subscribe(&hook, Duration::from_secs(3600), &Metadata::new())?.is_none());
    /// assert_eq!(orders.subscriptions()?.len(), 1);
    /// orders.unsubscribe(&id)?;
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

    /// The queue's subscriptions, in the order in which they were made.
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

    /// Ends a subscription; nothing there is fine.
    pub fn unsubscribe(&self, id: &SubscriptionId) -> Result<()> {
        self.driver().subscriptions().delete(&self.project, &self.name, id)
    }

    /// Posts messages. One without a ttl gets the queue's `_default_message_ttl`, else an hour; one without a delay the
    /// queue's `_default_message_delay`, else none.
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

    /// One page of messages.
    pub fn list(&self, options: &MessageListOptions) -> Result<Page<Message, MessageMarker>> {
        self.driver().messages().list(&self.project, &self.name, options)
    }

    /// All messages that `options` let through, page by page, from their marker on; their limit is not used.
    ///
    /// ```
    /// # use zaqar_sled::{ClientId, Config, MessageListOptions, Metadata, NewMessage, Project, SimulatedDisk};
    /// # let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
    /// # let jobs = engine.queue(Project::none(), "jobs")?;
    /// # jobs.create(Metadata::new())?;
    /// jobs.post(ClientId::random(), &vec![NewMessage::new("work"); 250])?;
    /// assert_eq!(jobs.iter(MessageListOptions::new()).filter(Result::is_ok).count(), 250);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn iter(&self, options: MessageListOptions) -> impl Iterator<Item = Result<Message>> + '_ {
        let allowed = self.control_store().limits.check_page_limit(ITER_PAGE).is_ok();
        let options = options.limit(if allowed { ITER_PAGE } else { SMALL_ITER_PAGE });
        Pages { queue: self, options, page: Vec::new().into_iter(), done: false }
    }

    /// The oldest or newest message.
    pub fn first(&self, sort: Sort) -> Result<Message> {
        self.driver().messages().first(&self.project, &self.name, sort)
    }

    /// One message.
    pub fn get(&self, id: &MessageId) -> Result<Message> {
        self.driver().messages().get(&self.project, &self.name, id)
    }

    /// The messages that are there, in the order asked for.
    pub fn bulk_get(&self, ids: &[MessageId]) -> Result<Vec<Message>> {
        self.driver().messages().bulk_get(&self.project, &self.name, ids)
    }

    /// Deletes an unclaimed message; nothing there is fine.
    pub fn delete_message(&self, id: &MessageId) -> Result<()> {
        self.driver().messages().delete(&self.project, &self.name, id, None)
    }

    /// Deletes messages, claimed ones too.
    pub fn bulk_delete(&self, ids: &[MessageId]) -> Result<()> {
        self.driver().messages().bulk_delete(&self.project, &self.name, ids, &[])
    }

    /// Removes and returns up to `limit` messages that a claim could have taken.
    pub fn pop(&self, limit: usize) -> Result<Vec<Message>> {
        self.driver().messages().pop(&self.project, &self.name, limit)
    }

    /// Claims messages; `None` when there are none to claim.
    pub fn claim(&self, options: ClaimOptions) -> Result<Option<Claim>> {
        let claim = self.driver().claims().create(&self.project, &self.name, &options)?;
        Ok(claim.map(|record| self.handle_on(record)))
    }

    /// Claims messages, waiting up to `timeout` (by the engine's clock) for some to be there. A queue that is not there yet
    /// counts as empty.
    ///
    /// The wait ends by a post, a release, the end of a claim or delay, or `close`, which gives `is_closed`. It does not
    /// poll. Waiters of one queue are woken in the order in which they came.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use zaqar_sled::{ClaimOptions, ClientId, Config, Metadata, NewMessage, Project, SimulatedDisk};
    /// # let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
    /// let jobs = engine.queue(Project::none(), "jobs")?;
    /// jobs.create(Metadata::new())?;
    /// let worker = std::thread::spawn({
    ///     let jobs = jobs.clone();
    ///     move || jobs.claim_wait(ClaimOptions::new(), Duration::from_secs(60))
    /// });
    /// jobs.post(ClientId::random(), &[NewMessage::new("work")])?;
    /// assert!(worker.join().unwrap()?.is_some());
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
