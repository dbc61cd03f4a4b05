//! The subscription controller (contract 8): the subscribers to notify of a queue's messages.

use super::Sealed;
use std::time::Duration;

use crate::model::error::Result;
use crate::model::{
    ListOptions, Metadata, Page, Project, QueueName, Subscriber, Subscription, SubscriptionId, SubscriptionMarker,
    SubscriptionUpdate,
};

/// The subscription controller: keeps the subscribers that are to be notified of a queue's messages
/// (contract 8). Sending the notifications is the caller's work.
///
/// A queue has at most one live subscription of each subscriber. The queue need not exist, and
/// deleting the queue keeps its subscriptions. The [rules of every
/// method](crate::DataDriver#rules-of-every-method) of a driver hold here too.
///
/// ```
/// # use std::time::Duration;
/// # use zaqar_sled::{Config, DataDriver, ListOptions, Metadata, Project, QueueName};
/// # use zaqar_sled::{SimulatedDisk, Subscriber};
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
/// let hook = Subscriber::new("https://example.com/hook")?;
/// let hour = Duration::from_secs(3600);
/// let options = Metadata::new().with("retries", 3)?;
/// let id = engine.subscriptions().create(&shop, &orders, &hook, hour, &options)?;
/// engine.subscriptions().confirm(&shop, &orders, &id.expect("it is the first"), true)?;
/// for subscription in engine.subscriptions().list(&shop, &orders, &ListOptions::new())? {
///     assert_eq!(subscription.subscriber(), &hook);
/// }
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[doc(alias = "SubscriptionController")]
pub trait Subscriptions: Sealed + Send + Sync {
    /// Creates a subscription, not confirmed yet, and returns its id. Returns `None` if the
    /// subscriber has a live subscription already, which the call leaves as it is. An expired
    /// subscription does not count (ours: Redis's driver crashes there). The queue need not exist
    /// or have a pool (contract 8).
    ///
    /// Cost: O(log subscriptions).
    ///
    /// Durability: a change.
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) for a ttl that ends after the year 9999, or a ttl
    /// or scheme outside the store's [`Limits`](crate::Limits);
    /// [`is_too_large`](crate::Error::is_too_large) for options over the limit; the errors of
    /// [every change](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let hour = std::time::Duration::from_secs(3600);
    /// # let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
    /// let hook = Subscriber::new("https://example.com/hook")?;
    /// let made = |options: &Metadata| {
    ///     engine.subscriptions().create(&shop, &orders, &hook, hour, options)
    /// };
    /// assert!(made(&Metadata::new())?.is_some());
    /// assert!(made(&Metadata::new().with("retries", 3)?)?.is_none());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn create(
        &self,
        project: &Project,
        queue: &QueueName,
        subscriber: &Subscriber,
        ttl: Duration,
        options: &Metadata,
    ) -> Result<Option<SubscriptionId>>;

    /// One subscription of this queue (contract 8). Zaqar's since 4.0.0; before, the queue was not
    /// checked.
    ///
    /// Cost: O(log subscriptions), reads nothing from disk.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) if the subscription is missing, expired or of
    /// another queue; the errors of [every read](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let hour = std::time::Duration::from_secs(3600);
    /// # let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
    /// let hook = Subscriber::new("https://example.com/hook")?;
    /// let id = engine.subscriptions().create(&shop, &orders, &hook, hour, &Metadata::new())?;
    /// let id = id.expect("it is the first");
    /// assert_eq!(engine.subscriptions().get(&shop, &orders, &id)?.ttl(), hour);
    /// let elsewhere = engine.subscriptions().get(&shop, &QueueName::new("refunds")?, &id);
    /// assert!(elsewhere.unwrap_err().is_not_found());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn get(&self, project: &Project, queue: &QueueName, id: &SubscriptionId) -> Result<Subscription>;

    /// Whether [`get`](Self::get) would find the subscription (ours: MongoDB's driver ignores the
    /// queue, Redis's ignores the expiry).
    ///
    /// Cost: O(log subscriptions), reads nothing from disk.
    ///
    /// # Errors
    /// the errors of [every read](crate::DataDriver#errors-of-every-call); a missing subscription
    /// is `false`.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let hour = std::time::Duration::from_secs(3600);
    /// # let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
    /// let hook = Subscriber::new("https://example.com/hook")?;
    /// let id = engine.subscriptions().create(&shop, &orders, &hook, hour, &Metadata::new())?;
    /// assert!(engine.subscriptions().exists(&shop, &orders, &id.expect("it is the first"))?);
    /// let malformed = SubscriptionId::lossy("no id");
    /// assert!(!engine.subscriptions().exists(&shop, &orders, &malformed)?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn exists(&self, project: &Project, queue: &QueueName, id: &SubscriptionId) -> Result<bool>;

    /// One page of the queue's subscriptions in the order of their creation, as in MongoDB's
    /// driver; Redis's orders them by random ids. A missing queue gives an empty page. The marker
    /// is exclusive, and stays valid when its subscription is deleted (contract 8).
    ///
    /// Cost: O(log subscriptions + page), reads nothing from disk.
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) for a limit outside the store's
    /// [`Limits`](crate::Limits); the errors of [every
    /// read](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let hour = std::time::Duration::from_secs(3600);
    /// # let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
    /// for uri in ["https://example.com/a", "https://example.com/b"] {
    ///     let hook = Subscriber::new(uri)?;
    ///     engine.subscriptions().create(&shop, &orders, &hook, hour, &Metadata::new())?;
    /// }
    /// let page = engine.subscriptions().list(&shop, &orders, &ListOptions::new().limit(1))?;
    /// assert_eq!(page.items[0].subscriber().as_str(), "https://example.com/a");
    /// let rest = ListOptions::new().marker(page.next);
    /// assert_eq!(engine.subscriptions().list(&shop, &orders, &rest)?.items.len(), 1);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn list(
        &self,
        project: &Project,
        queue: &QueueName,
        options: &ListOptions<SubscriptionMarker>,
    ) -> Result<Page<Subscription, SubscriptionMarker>>;

    /// Changes the fields that the update sets. A new ttl counts from now and does not restart the
    /// age. New options replace all former ones. Whether the subscription is confirmed does not
    /// change (contract 8). Zaqar's.
    ///
    /// Cost: O(log subscriptions).
    ///
    /// Durability: a change.
    ///
    /// # Errors
    /// in this order: [`is_invalid`](crate::Error::is_invalid) if the update sets nothing or a ttl
    /// is out of range; [`is_not_found`](crate::Error::is_not_found);
    /// [`is_conflict`](crate::Error::is_conflict)
    /// ([`SubscriptionAlreadyExists`](crate::Error::SubscriptionAlreadyExists)) if another live
    /// subscription has the new subscriber. And the errors of [every
    /// change](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let hour = std::time::Duration::from_secs(3600);
    /// # let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
    /// let hook = Subscriber::new("https://example.com/hook")?;
    /// let id = engine.subscriptions().create(&shop, &orders, &hook, hour, &Metadata::new())?;
    /// let id = id.expect("it is the first");
    /// let update = SubscriptionUpdate::new().ttl(2 * hour);
    /// engine.subscriptions().update(&shop, &orders, &id, &update)?;
    /// assert_eq!(engine.subscriptions().get(&shop, &orders, &id)?.ttl(), 2 * hour);
    /// let nothing = SubscriptionUpdate::new();
    /// let error = engine.subscriptions().update(&shop, &orders, &id, &nothing).unwrap_err();
    /// assert!(error.is_invalid());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn update(
        &self,
        project: &Project,
        queue: &QueueName,
        id: &SubscriptionId,
        update: &SubscriptionUpdate,
    ) -> Result<()>;

    /// Removes a subscription. A missing subscription is no error, and neither is one of another
    /// queue, which stays there (contract 8). Zaqar's.
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
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let hour = std::time::Duration::from_secs(3600);
    /// # let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
    /// let hook = Subscriber::new("https://example.com/hook")?;
    /// let id = engine.subscriptions().create(&shop, &orders, &hook, hour, &Metadata::new())?;
    /// let id = id.expect("it is the first");
    /// engine.subscriptions().delete(&shop, &QueueName::new("refunds")?, &id)?;
    /// assert!(engine.subscriptions().exists(&shop, &orders, &id)?);
    /// engine.subscriptions().delete(&shop, &orders, &id)?;
    /// assert!(!engine.subscriptions().exists(&shop, &orders, &id)?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn delete(&self, project: &Project, queue: &QueueName, id: &SubscriptionId) -> Result<()>;

    /// Stores whether the subscriber has agreed to be notified; `false` withdraws an agreement
    /// (contract 8). Zaqar's since 4.0.0.
    ///
    /// Cost: O(log subscriptions).
    ///
    /// Durability: a change.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) if the subscription is missing, expired or of
    /// another queue; the errors of [every change](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let hour = std::time::Duration::from_secs(3600);
    /// # let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
    /// let hook = Subscriber::new("https://example.com/hook")?;
    /// let id = engine.subscriptions().create(&shop, &orders, &hook, hour, &Metadata::new())?;
    /// let id = id.expect("it is the first");
    /// engine.subscriptions().confirm(&shop, &orders, &id, true)?;
    /// assert!(engine.subscriptions().get(&shop, &orders, &id)?.confirmed());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn confirm(&self, project: &Project, queue: &QueueName, id: &SubscriptionId, confirmed: bool) -> Result<()>;

    /// The subscriber's live subscription of this queue, or `None` (contract 8). As in Redis's
    /// driver since 4.0.0; MongoDB's crashes if there is none.
    ///
    /// Cost: O(log subscriptions), reads nothing from disk.
    ///
    /// # Errors
    /// the errors of [every read](crate::DataDriver#errors-of-every-call); a subscriber without a
    /// subscription is `None`.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let hour = std::time::Duration::from_secs(3600);
    /// # let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
    /// let hook = Subscriber::new("https://example.com/hook")?;
    /// let find = || engine.subscriptions().get_with_subscriber(&shop, &orders, &hook);
    /// assert!(find()?.is_none());
    /// let id = engine.subscriptions().create(&shop, &orders, &hook, hour, &Metadata::new())?;
    /// assert_eq!(find()?.map(|found| found.id()), id);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn get_with_subscriber(
        &self,
        project: &Project,
        queue: &QueueName,
        subscriber: &Subscriber,
    ) -> Result<Option<Subscription>>;
}
