//! The topic controller (contract 15): named lists of messages for many readers.

use super::Sealed;
use crate::model::error::Result;
use crate::model::{
    Metadata, Page, Project, QueueListOptions, QueueMarker, QueueName, TopicEntry, TopicName, TopicStats,
};

/// The topic controller: creates, describes and removes topics (contract 15), and subscribes queues to them (ours). The
/// handle [`Topic`](crate::Topic) has the same calls.
///
/// A topic is a list of messages that nobody claims. It has a name, metadata and subscriptions as a queue has, but no
/// claims: [`Claims::create`](crate::Claims::create) refuses it. [`Messages::pop`](crate::Messages::pop) takes its
/// messages away from all readers. A topic and a queue of the same text are independent. The calls on messages and subscriptions take a topic by
/// the name that [`TopicName::to_queue_name`] gives, and so does a [batch](crate::Batches). Metadata has the same
/// [reserved keys](crate::QueueSettings).
///
/// **Subscribed queues.** Each message that is posted to a topic is posted to its subscribed queues too, with the same
/// body, headers, ttl and delay, all by one operation: after a crash, either the topic and all these queues have the
/// message, or none. In each queue it is a message of its own, with an id of its own. A subscribed queue that does not
/// exist is passed over; one that refuses the message, because it is [paused](crate::Pause) or
/// [full](crate::Error::QueueIsFull) or limits posts to fewer bytes, makes the post fail, and nothing is posted. The
/// messages posted before a queue was subscribed do not come to it. Bodies are written to the journal once; in memory
/// and in the page files each queue has its own copy.
///
/// The subscribed queues are the key `_subscribed_queues` of the topic's metadata, a list of names of the same project:
/// they are kept, copied and moved with it, and [`set_metadata`](Self::set_metadata) replaces them. At most 1 000 queues
/// are subscribed to a topic. In a pooled driver a post fails with [`NotInOneStore`](crate::Error::NotInOneStore) while a
/// subscribed queue is in another store than the topic: give both a flavor whose group has one pool, or move one of them
/// ([`PooledDriver::move_queue`](crate::PooledDriver::move_queue)); and with
/// [`QueueNotMapped`](crate::Error::QueueNotMapped) while a subscribed queue that exists has no pool.
///
/// **Limits.** A post counts once for the topic and once for each subscribed name, whether or not there is the queue:
/// together 128 MiB of bodies and headers, 2^20 messages, and, in a batch, 10 000 queues. So with 1 000 subscribed queues
/// a message has at most 130 KiB.
///
/// The [rules of every method](crate::DataDriver#rules-of-every-method) of a driver hold here too.
///
/// ```
/// use zaqar_sled::*;
///
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// let engine = Config::new().disk(disk).open("store")?;
/// let (shop, orders) = (Project::named("shop")?, TopicName::new("orders")?);
/// let invoices = QueueName::new("invoices")?;
/// engine.topics().create(&shop, &orders, &Metadata::new())?;
/// engine.queues().create(&shop, &invoices, &Metadata::new())?;
/// engine.topics().subscribe(&shop, &orders, &invoices)?;
/// let order = NewMessage::new("42").ttl(Ttl::Forever);
/// engine.messages().post(&shop, &orders.to_queue_name(), ClientId::random(), &[order])?;
/// assert_eq!(engine.topics().stats(&shop, &orders)?.total(), 1);
/// assert_eq!(engine.queues().stats(&shop, &invoices)?.free(), 1);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[doc(alias = "TopicController")]
pub trait Topics: Sealed + Send + Sync {
    /// Creates a topic and returns `true`. If the topic exists, the call changes nothing and returns `false`. Zaqar's.
    ///
    /// Cost: O(1) and O(metadata).
    ///
    /// Durability: a change, in both cases.
    ///
    /// # Errors
    /// those of [`Queues::create`](crate::Queues::create).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let (shop, prices) = (Project::named("shop")?, TopicName::new("prices")?);
    /// assert!(engine.topics().create(&shop, &prices, &Metadata::new())?);
    /// assert!(!engine.topics().create(&shop, &prices, &Metadata::new())?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn create(&self, project: &Project, name: &TopicName, metadata: &Metadata) -> Result<bool>;

    /// The topic's metadata; empty for a missing topic. Zaqar's.
    ///
    /// Cost: O(metadata).
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
    /// # let (shop, prices) = (Project::named("shop")?, TopicName::new("prices")?);
    /// assert!(engine.topics().get(&shop, &prices)?.is_empty());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn get(&self, project: &Project, name: &TopicName) -> Result<Metadata>;

    /// The topic's metadata. Zaqar's.
    ///
    /// Cost: O(metadata).
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) ([`TopicDoesNotExist`](crate::Error::TopicDoesNotExist)); the errors
    /// of [every read](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let (shop, prices) = (Project::named("shop")?, TopicName::new("prices")?);
    /// assert!(engine.topics().get_metadata(&shop, &prices).unwrap_err().is_not_found());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn get_metadata(&self, project: &Project, name: &TopicName) -> Result<Metadata>;

    /// Replaces the topic's metadata, the subscribed queues too. Zaqar's.
    ///
    /// Cost: O(metadata).
    ///
    /// Durability: a change.
    ///
    /// # Errors
    /// those of [`Queues::set_metadata`](crate::Queues::set_metadata).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let (shop, prices) = (Project::named("shop")?, TopicName::new("prices")?);
    /// # engine.topics().create(&shop, &prices, &Metadata::new())?;
    /// engine.topics().set_metadata(&shop, &prices, &Metadata::new().with("owner", "eve")?)?;
    /// assert_eq!(engine.topics().get(&shop, &prices)?.get("owner")?, Some("eve".to_owned()));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn set_metadata(&self, project: &Project, name: &TopicName, metadata: &Metadata) -> Result<()>;

    /// Whether the topic exists. Zaqar's.
    ///
    /// Cost: O(log topics).
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
    /// # let (shop, prices) = (Project::named("shop")?, TopicName::new("prices")?);
    /// assert!(!engine.topics().exists(&shop, &prices)?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn exists(&self, project: &Project, name: &TopicName) -> Result<bool>;

    /// Removes the topic with its messages and metadata, and so its subscribed queues; their messages stay. Its
    /// [`Subscriptions`](crate::Subscriptions) stay, as a queue's do. A missing topic is no error. Zaqar's.
    ///
    /// Cost: O(1); the space is freed in the background.
    ///
    /// Durability: a change, in both cases.
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
    /// # let (shop, prices) = (Project::named("shop")?, TopicName::new("prices")?);
    /// # engine.topics().create(&shop, &prices, &Metadata::new())?;
    /// engine.topics().delete(&shop, &prices)?;
    /// assert!(!engine.topics().exists(&shop, &prices)?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn delete(&self, project: &Project, name: &TopicName) -> Result<()>;

    /// One page of the project's topics in the order of their names. The options and the marker are those of a listing of
    /// queues: a marker stands for the topic of its text. Zaqar's.
    ///
    /// Cost: O(log topics + page), and O(topics) with a filter.
    ///
    /// # Errors
    /// those of [`Queues::list`](crate::Queues::list).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let shop = Project::named("shop")?;
    /// for name in ["a", "b"] {
    ///     engine.topics().create(&shop, &TopicName::new(name)?, &Metadata::new())?;
    /// }
    /// let page = engine.topics().list(&shop, &QueueListOptions::new().limit(1))?;
    /// assert_eq!(page.items[0].name().as_str(), "a");
    /// let rest = engine.topics().list(&shop, &QueueListOptions::new().marker(page.next))?;
    /// assert_eq!(rest.items[0].name().as_str(), "b");
    /// assert!(engine.queues().list(&shop, &QueueListOptions::new())?.items.is_empty());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn list(&self, project: &Project, options: &QueueListOptions) -> Result<Page<TopicEntry, QueueMarker>>;

    /// The number of the topic's messages, the oldest and the newest. Zaqar's.
    ///
    /// Cost: that of [`Queues::stats`](crate::Queues::stats).
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) ([`TopicDoesNotExist`](crate::Error::TopicDoesNotExist)); the errors
    /// of [every read](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let (shop, prices) = (Project::named("shop")?, TopicName::new("prices")?);
    /// # engine.topics().create(&shop, &prices, &Metadata::new())?;
    /// let stats = engine.topics().stats(&shop, &prices)?;
    /// assert_eq!((stats.total(), stats.oldest()), (0, None));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn stats(&self, project: &Project, name: &TopicName) -> Result<TopicStats>;

    /// Subscribes a queue of the same project to the topic, from the next post on. The queue need not exist. Returns
    /// whether it was not subscribed before. Ours.
    ///
    /// Cost: O(metadata): one lock and one write to the journal.
    ///
    /// Durability: a change.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) ([`TopicDoesNotExist`](crate::Error::TopicDoesNotExist));
    /// [`is_invalid`](crate::Error::is_invalid) for more than 1 000 queues, for a topic in the place of the queue, and for
    /// a name outside the store's [`Limits`](crate::Limits); [`is_too_large`](crate::Error::is_too_large) if the metadata
    /// have no space for the name; the errors of [every change](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let (shop, prices) = (Project::named("shop")?, TopicName::new("prices")?);
    /// # engine.topics().create(&shop, &prices, &Metadata::new())?;
    /// let board = QueueName::new("board")?;
    /// assert!(engine.topics().subscribe(&shop, &prices, &board)?);
    /// assert!(!engine.topics().subscribe(&shop, &prices, &board)?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn subscribe(&self, project: &Project, topic: &TopicName, queue: &QueueName) -> Result<bool>;

    /// Ends a queue's subscription to the topic. The messages that the queue has stay. Returns whether it was subscribed.
    /// Ours.
    ///
    /// Cost: O(metadata): one lock and one write to the journal.
    ///
    /// Durability: a change.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) ([`TopicDoesNotExist`](crate::Error::TopicDoesNotExist)); the errors
    /// of [every change](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let (shop, prices) = (Project::named("shop")?, TopicName::new("prices")?);
    /// # engine.topics().create(&shop, &prices, &Metadata::new())?;
    /// let board = QueueName::new("board")?;
    /// engine.topics().subscribe(&shop, &prices, &board)?;
    /// assert!(engine.topics().unsubscribe(&shop, &prices, &board)?);
    /// assert!(engine.topics().subscribed(&shop, &prices)?.is_empty());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn unsubscribe(&self, project: &Project, topic: &TopicName, queue: &QueueName) -> Result<bool>;

    /// The subscribed queues, in the order in which they were subscribed, whether or not they exist. Ours.
    ///
    /// Cost: O(metadata).
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) ([`TopicDoesNotExist`](crate::Error::TopicDoesNotExist)); the errors
    /// of [every read](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let (shop, prices) = (Project::named("shop")?, TopicName::new("prices")?);
    /// # engine.topics().create(&shop, &prices, &Metadata::new())?;
    /// let board = QueueName::new("board")?;
    /// engine.topics().subscribe(&shop, &prices, &board)?;
    /// assert_eq!(engine.topics().subscribed(&shop, &prices)?, [board]);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn subscribed(&self, project: &Project, topic: &TopicName) -> Result<Vec<QueueName>>;
}
