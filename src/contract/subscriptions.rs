//! The subscription controller.

use std::time::Duration;

use crate::model::error::Result;
use crate::model::{
    ListOptions, Metadata, Page, Project, QueueName, Subscriber, Subscription, SubscriptionId, SubscriptionMarker,
    SubscriptionUpdate,
};

/// Keeps who wants to be told of a queue's messages; telling them is the caller's. A subscriber is there once in a queue.
/// The queue need not exist, and deleting it keeps them. What holds for every method is told at
/// [`DataDriver`](crate::DataDriver).
///
/// ```
/// # use std::time::Duration;
/// # use zaqar_sled::{Config, DataDriver, ListOptions, Metadata, Project, QueueName, SimulatedDisk, Subscriber};
/// # let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
/// let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
/// let hook = Subscriber::new("https://example.com/hook")?;
/// let options = Metadata::new().with("retries", 3)?;
/// let id = engine.subscriptions().create(&shop, &orders, &hook, Duration::from_secs(3600), &options)?;
/// let id = id.expect("it is the first of this subscriber");
/// engine.subscriptions().confirm(&shop, &orders, &id, true)?;
/// for subscription in engine.subscriptions().list(&shop, &orders, &ListOptions::new())? {
///     println!("telling {}", subscription.subscriber());
/// }
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[doc(alias = "SubscriptionController")]
pub trait Subscriptions: Send + Sync {
    /// Makes an unconfirmed subscription, of a queue that need not be there or have a pool; `None` if the subscriber has a live one, which is left as it is. An expired one
    /// does not stand in the way (ours: Redis's driver crashes there).
    ///
    /// Errors: `is_invalid` for a ttl past the year 9999. Cost: O(log subscriptions). A change.
    fn create(
        &self,
        project: &Project,
        queue: &QueueName,
        subscriber: &Subscriber,
        ttl: Duration,
        options: &Metadata,
    ) -> Result<Option<SubscriptionId>>;

    /// One subscription of this queue.
    ///
    /// Errors: `is_not_found` if it is missing, expired or another queue's. Cost: O(log subscriptions). A read. Zaqar's
    /// since 4.0.0; before, the queue was not looked at.
    fn get(&self, project: &Project, queue: &QueueName, id: &SubscriptionId) -> Result<Subscription>;

    /// Whether [`get`](Self::get) would find it (ours: MongoDB's driver looks at no queue, Redis's not at the expiry).
    /// Cost: O(log subscriptions). A read.
    fn exists(&self, project: &Project, queue: &QueueName, id: &SubscriptionId) -> Result<bool>;

    /// One page, in the order of creation; none for a missing queue. The marker stays good when what it was taken from is
    /// deleted. Cost: O(log subscriptions + page). A read. MongoDB's driver; Redis's orders by random id.
    fn list(
        &self,
        project: &Project,
        queue: &QueueName,
        options: &ListOptions<SubscriptionMarker>,
    ) -> Result<Page<Subscription, SubscriptionMarker>>;

    /// Changes what the update sets. A new ttl counts from now and does not restart the age; options are replaced whole;
    /// whether it is confirmed stays.
    ///
    /// Errors, in this order: `is_invalid` for an update that sets nothing; `is_not_found`; `is_conflict`
    /// ([`SubscriptionAlreadyExists`](crate::Error::SubscriptionAlreadyExists)) if another live subscription has the new
    /// subscriber. Cost: O(log subscriptions). A change. Zaqar's.
    fn update(
        &self,
        project: &Project,
        queue: &QueueName,
        id: &SubscriptionId,
        update: &SubscriptionUpdate,
    ) -> Result<()>;

    /// Removes it. One that is missing or another queue's is fine, and stays there. Cost: O(log subscriptions). A change,
    /// durable even if nothing was there. Zaqar's.
    fn delete(&self, project: &Project, queue: &QueueName, id: &SubscriptionId) -> Result<()>;

    /// Notes whether the subscriber has agreed.
    ///
    /// Errors: `is_not_found`. Cost: O(log subscriptions). A change. Zaqar's since 4.0.0.
    fn confirm(&self, project: &Project, queue: &QueueName, id: &SubscriptionId, confirmed: bool) -> Result<()>;

    /// The subscriber's live subscription, if there is one. Cost: O(log subscriptions). A read. Redis's driver since
    /// 4.0.0; MongoDB's crashes where there is none.
    fn get_with_subscriber(
        &self,
        project: &Project,
        queue: &QueueName,
        subscriber: &Subscriber,
    ) -> Result<Option<Subscription>>;
}
