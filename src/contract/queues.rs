//! The queue controller (contract 5): the queues of a project and their metadata.

use super::Sealed;
use crate::model::error::Result;
use crate::model::{Metadata, Page, Project, Purge, QueueEntry, QueueListOptions, QueueMarker, QueueName, QueueStats};

/// The queue controller: creates, describes and removes queues (contract 5).
///
/// The [rules of every method](crate::DataDriver#rules-of-every-method) of a driver hold here too.
///
/// ```
/// # use zaqar_sled::{Config, DataDriver, Metadata, Project, QueueName, SimulatedDisk};
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
/// assert!(engine.queues().create(&shop, &orders, &Metadata::new())?);
/// assert!(!engine.queues().create(&shop, &orders, &Metadata::new())?);
/// assert_eq!(engine.queues().stats(&shop, &orders)?.total(), 0);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[doc(alias = "QueueController")]
pub trait Queues: Sealed + Send + Sync {
    /// Creates a queue and returns `true`. If the queue exists, the call changes nothing, not even
    /// its metadata, and returns `false`: all of Zaqar's drivers do so, although Zaqar's interface
    /// page says that the metadata is updated (contract 5).
    ///
    /// A queue that exists is reported before the metadata is checked.
    ///
    /// Cost: O(1) and O(metadata); O(log queues) for each queue that a chain of dead-letter queues
    /// passes.
    ///
    /// Durability: a change, in both cases: after `false`, the existing queue does not vanish in a
    /// power cut.
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid), naming the reserved key whose value has the wrong
    /// type or is out of range (ours; in Zaqar the front end checks that), or if messages moved as
    /// dead letters could come back to this queue through at most 32 other queues;
    /// [`is_too_large`](crate::Error::is_too_large) for metadata over the limit;
    /// [`ProjectIsFull`](crate::Error::ProjectIsFull) if the project's [quota](crate::Projects) allows no further
    /// queue (ours); in a pooled driver
    /// [`is_not_found`](crate::Error::is_not_found) for an unknown `_flavor`, and
    /// [`NoPoolFound`](crate::Error::NoPoolFound) if no pool can take the queue (contract 12); the
    /// errors of [every change](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
    /// let metadata = Metadata::new().with("_default_message_ttl", 600)?;
    /// assert!(engine.queues().create(&shop, &orders, &metadata)?);
    /// assert!(!engine.queues().create(&shop, &orders, &Metadata::new())?);
    /// assert_eq!(engine.queues().get_metadata(&shop, &orders)?, metadata);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn create(&self, project: &Project, name: &QueueName, metadata: &Metadata) -> Result<bool>;

    /// The queue's metadata. For a missing queue it is empty, as in all of Zaqar's drivers
    /// (contract 5).
    ///
    /// Cost: O(metadata), reads nothing from disk.
    ///
    /// # Errors
    /// the errors of [every read](crate::DataDriver#errors-of-every-call); a missing queue is no
    /// error. To tell a missing queue from one without metadata, use
    /// [`get_metadata`](Self::get_metadata).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
    /// assert!(engine.queues().get(&shop, &orders)?.is_empty());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn get(&self, project: &Project, name: &QueueName) -> Result<Metadata>;

    /// The queue's metadata, as the last [`create`](Self::create) or
    /// [`set_metadata`](Self::set_metadata) stored it (contract 5). Zaqar's.
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
    /// # let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
    /// assert!(engine.queues().get_metadata(&shop, &orders).unwrap_err().is_not_found());
    /// let metadata = Metadata::new().with("owner", "ann")?;
    /// engine.queues().create(&shop, &orders, &metadata)?;
    /// assert_eq!(engine.queues().get_metadata(&shop, &orders)?, metadata);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn get_metadata(&self, project: &Project, name: &QueueName) -> Result<Metadata>;

    /// Replaces all of the queue's metadata (contract 5). Zaqar's.
    ///
    /// Cost: O(metadata).
    ///
    /// Durability: a change.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) if the queue is missing, reported first;
    /// [`is_invalid`](crate::Error::is_invalid) and [`is_too_large`](crate::Error::is_too_large)
    /// for the metadata, as in [`create`](Self::create); the errors of [every
    /// change](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
    /// engine.queues().create(&shop, &orders, &Metadata::new().with("owner", "ann")?)?;
    /// engine.queues().set_metadata(&shop, &orders, &Metadata::new().with("team", 7)?)?;
    /// assert_eq!(engine.queues().get(&shop, &orders)?.to_json(), r#"{"team":7}"#);
    /// let wrong = Metadata::new().with("_max_claim_count", "many")?;
    /// let error = engine.queues().set_metadata(&shop, &orders, &wrong).unwrap_err();
    /// assert!(error.is_invalid());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn set_metadata(&self, project: &Project, name: &QueueName, metadata: &Metadata) -> Result<()>;

    /// Whether the queue exists at this instant. The answer is never taken from a cache (contract
    /// 5). Zaqar's.
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
    /// # let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
    /// assert!(!engine.queues().exists(&shop, &orders)?);
    /// engine.queues().create(&shop, &orders, &Metadata::new())?;
    /// assert!(engine.queues().exists(&shop, &orders)?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn exists(&self, project: &Project, name: &QueueName) -> Result<bool>;

    /// Removes the queue with its messages and claims in one step. A missing queue is no error.
    /// Subscriptions stay, as in all of Zaqar's drivers (contract 5).
    ///
    /// If the queue is created again, it is empty. The ids of the former queue then name nothing, and
    /// its markers stand before the first message of the new one (ours; MongoDB's driver starts its
    /// counter again).
    ///
    /// Cost: O(1), independent of the queue's content. Its space is freed in the background.
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
    /// # let hour = std::time::Duration::from_secs(3600);
    /// # let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
    /// # engine.queues().create(&shop, &orders, &Metadata::new())?;
    /// # let messages = [NewMessage::new("a").ttl(hour), NewMessage::new("b").ttl(hour)];
    /// # let ids = engine.messages().post(&shop, &orders, ClientId::random(), &messages)?;
    /// engine.queues().delete(&shop, &orders)?;
    /// engine.queues().delete(&shop, &orders)?;
    /// engine.queues().create(&shop, &orders, &Metadata::new())?;
    /// assert_eq!(engine.queues().stats(&shop, &orders)?.total(), 0);
    /// let former = engine.messages().get(&shop, &orders, &ids[0]);
    /// assert!(former.unwrap_err().is_not_found());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn delete(&self, project: &Project, name: &QueueName) -> Result<()>;

    /// One page of the project's queues, by name in byte order (contract 5).
    ///
    /// The marker is exclusive and need not be the name of a queue. Limit 0 means no limit. Filters
    /// are applied before the limit, so only the last page is short. `name_contains` is literal
    /// text: MongoDB's driver takes a regular expression, Redis's ignores both filters.
    ///
    /// Cost: O(log queues + page), plus the queues that the filters leave out. Reads nothing from
    /// disk.
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
    /// let shop = Project::named("shop")?;
    /// for name in ["refunds", "orders", "returns"] {
    ///     engine.queues().create(&shop, &QueueName::new(name)?, &Metadata::new())?;
    /// }
    /// let first = engine.queues().list(&shop, &QueueListOptions::new().limit(2))?;
    /// assert_eq!(first.items[0].name().as_str(), "orders");
    /// let rest = engine.queues().list(&shop, &QueueListOptions::new().marker(first.next))?;
    /// assert_eq!(rest.items.len(), 1);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn list(&self, project: &Project, options: &QueueListOptions) -> Result<Page<QueueEntry, QueueMarker>>;

    /// How many messages are claimed and free, and the oldest and the newest message, at this
    /// instant (contract 5). Delayed messages count as free. Expired messages do not count (ours:
    /// Zaqar's drivers count them until they are collected).
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
    /// # let hour = std::time::Duration::from_secs(3600);
    /// # let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
    /// # engine.queues().create(&shop, &orders, &Metadata::new())?;
    /// # let messages = [NewMessage::new("a").ttl(hour), NewMessage::new("b").ttl(hour)];
    /// # let ids = engine.messages().post(&shop, &orders, ClientId::random(), &messages)?;
    /// engine.claims().create(&shop, &orders, &ClaimOptions::new().limit(1))?;
    /// let stats = engine.queues().stats(&shop, &orders)?;
    /// assert_eq!((stats.claimed(), stats.free(), stats.total()), (1, 1, 2));
    /// assert_eq!(stats.oldest().map(|oldest| oldest.id()), Some(ids[0]));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn stats(&self, project: &Project, name: &QueueName) -> Result<QueueStats>;

    /// The number of queues of the project (contract 15). Zaqar's.
    ///
    /// Cost: at most O(queues of the project), reads nothing from disk.
    ///
    /// # Errors
    /// the errors of [every read](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
    /// # engine.queues().create(&shop, &orders, &Metadata::new())?;
    /// assert_eq!(engine.queues().count(&shop)?, 1);
    /// assert_eq!(engine.queues().count(&Project::none())?, 0);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    #[doc(alias = "calculate_resource_count")]
    fn count(&self, project: &Project) -> Result<u64>;

    /// Removes all messages, all subscriptions or both from the queue in one step, and returns how
    /// many messages and subscriptions that were (contract 15). Claimed and delayed messages and
    /// all claims are removed too (ours: Zaqar pops until no message is free, so that claimed
    /// messages survive). The metadata stays, and ids and markers stay valid. A missing queue has no
    /// messages to remove; its subscriptions are removed anyway.
    ///
    /// Cost: O(1) for the messages, O(subscriptions). The space is freed in the background.
    ///
    /// Durability: a change.
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
    /// # engine.queues().create(&shop, &orders, &Metadata::new())?;
    /// # let messages = [NewMessage::new("a").ttl(hour), NewMessage::new("b").ttl(hour)];
    /// # let ids = engine.messages().post(&shop, &orders, ClientId::random(), &messages)?;
    /// engine.claims().create(&shop, &orders, &ClaimOptions::new().limit(1))?;
    /// assert_eq!(engine.queues().purge(&shop, &orders, Purge::Messages)?, 2);
    /// assert!(engine.queues().exists(&shop, &orders)?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn purge(&self, project: &Project, name: &QueueName, what: Purge) -> Result<u64>;
}
