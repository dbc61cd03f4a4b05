//! A handle on one topic.

use super::driver::Driver;
use super::queue::Queue;
use crate::contract::Topics;
use crate::engine::Engine;
use crate::model::error::{Error, Result};
use crate::model::{Metadata, Project, QueueName, TopicName, TopicStats};
use crate::pooled::PooledDriver;

/// A handle on one topic: a project and a name. A clone is cheap.
///
/// A topic is a list of messages that many readers read, each with a marker of its own, and that nobody claims. Queues
/// that are [subscribed](Self::subscribe) to it get each message that is posted to it, in the same operation. The full
/// rules are those of the trait [`Topics`]. The durability of every change is that of the engine or driver that created
/// the handle.
///
/// ```
/// use zaqar_sled::*;
///
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// let engine = Config::new().disk(disk).open("store")?;
/// let orders = engine.topic(Project::none(), "orders")?;
/// let invoices = engine.queue(Project::none(), "invoices")?;
/// orders.create(Metadata::new())?;
/// invoices.create(Metadata::new())?;
/// orders.subscribe(&invoices)?;
/// orders.post(ClientId::random(), &[NewMessage::new("42")])?;
/// let claim = invoices.claim(ClaimOptions::new())?.expect("the queue has the message too");
/// assert_eq!(claim.messages()[0].body().as_bytes(), b"42");
/// for message in orders.iter(MessageListOptions::new()) {
///     println!("{:?}", message?.body());
/// }
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Topic {
    /// Under the name by which queues' calls take the topic.
    pub(super) queue: Queue,
    name: TopicName,
}

impl Engine {
    /// A handle on the topic of that name, which need not exist.
    ///
    /// Cost: one allocation for the name, no lock and no I/O. Works on a closed store too.
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) or [`is_too_large`](crate::Error::is_too_large) for
    /// a project or name outside the store's [`Limits`](crate::Limits), which are those of queues.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// assert!(!engine.topic(Project::none(), "prices")?.exists()?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn topic(&self, project: Project, name: impl AsRef<str>) -> Result<Topic> {
        Topic::new(Driver::Engine(self.clone()), project, name.as_ref())
    }
}

impl PooledDriver {
    /// A handle on the topic of that name, as [`Engine::topic`](crate::Engine::topic) gives one.
    ///
    /// Cost: one allocation for the name, no lock and no I/O.
    ///
    /// # Errors
    /// as [`Engine::topic`](crate::Engine::topic).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let driver = Config::new().disk(disk).open_pooled("control")?;
    /// assert!(!driver.topic(Project::none(), "prices")?.exists()?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn topic(&self, project: Project, name: impl AsRef<str>) -> Result<Topic> {
        Topic::new(Driver::Pooled(self.clone()), project, name.as_ref())
    }
}

impl Topic {
    fn new(driver: Driver, project: Project, name: &str) -> Result<Self> {
        let name = TopicName::new(name)?;
        let queue_name = name.to_queue_name();
        let limits = &driver.control_store().limits;
        limits.check_project(&project)?;
        limits.check_queue_name(&queue_name)?;
        Ok(Self { queue: Queue { driver, project, name: queue_name }, name })
    }

    fn topics(&self) -> &dyn Topics {
        self.queue.driver.extended().topics()
    }

    /// The topic's project.
    ///
    /// Cost: none.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let prices = engine.topic(Project::none(), "prices")?;
    /// # prices.create(Metadata::new())?;
    /// assert_eq!(prices.project(), &Project::none());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn project(&self) -> &Project {
        &self.queue.project
    }

    /// The topic's name.
    ///
    /// Cost: none.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let prices = engine.topic(Project::none(), "prices")?;
    /// # prices.create(Metadata::new())?;
    /// assert_eq!(prices.name().as_str(), "prices");
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn name(&self) -> &TopicName {
        &self.name
    }

    /// Creates the topic and returns `true`. If the topic exists, the call changes nothing and returns `false`. Settings
    /// such as a default ttl are [reserved keys](crate::QueueSettings) of the metadata, as a queue's are.
    ///
    /// Cost: O(metadata).
    ///
    /// Durability: a change, in both cases.
    ///
    /// # Errors
    /// those of [`Topics::create`].
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let prices = engine.topic(Project::none(), "prices")?;
    /// assert!(prices.create(QueueSettings::new().max_messages(1_000))?);
    /// assert!(!prices.create(Metadata::new())?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn create(&self, metadata: impl Into<Metadata>) -> Result<bool> {
        self.topics().create(&self.queue.project, &self.name, &metadata.into())
    }

    /// Whether the topic exists.
    ///
    /// Cost: O(log topics).
    ///
    /// # Errors
    /// those of [`Topics::exists`].
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let prices = engine.topic(Project::none(), "prices")?;
    /// # prices.create(Metadata::new())?;
    /// assert!(prices.exists()?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn exists(&self) -> Result<bool> {
        self.topics().exists(&self.queue.project, &self.name)
    }

    /// Removes the topic with its messages. The messages in subscribed queues stay. A missing topic is no error.
    ///
    /// Cost: O(1); the space is freed in the background.
    ///
    /// Durability: a change, in both cases.
    ///
    /// # Errors
    /// those of [`Topics::delete`].
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let prices = engine.topic(Project::none(), "prices")?;
    /// # prices.create(Metadata::new())?;
    /// prices.delete()?;
    /// assert!(!prices.exists()?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn delete(&self) -> Result<()> {
        self.topics().delete(&self.queue.project, &self.name)
    }

    /// The topic's metadata.
    ///
    /// Cost: O(metadata).
    ///
    /// # Errors
    /// those of [`Topics::get_metadata`].
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let prices = engine.topic(Project::none(), "prices")?;
    /// # prices.create(Metadata::new())?;
    /// assert!(prices.metadata()?.is_empty());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn metadata(&self) -> Result<Metadata> {
        self.topics().get_metadata(&self.queue.project, &self.name)
    }

    /// Replaces the topic's metadata, and so its settings and its subscribed queues.
    ///
    /// Cost: O(metadata).
    ///
    /// Durability: a change.
    ///
    /// # Errors
    /// those of [`Topics::set_metadata`].
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let prices = engine.topic(Project::none(), "prices")?;
    /// # prices.create(Metadata::new())?;
    /// prices.set_metadata(&Metadata::new().with("owner", "eve")?)?;
    /// assert!(prices.metadata()?.contains("owner"));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn set_metadata(&self, metadata: &Metadata) -> Result<()> {
        self.topics().set_metadata(&self.queue.project, &self.name, metadata)
    }

    /// The number of the topic's messages, the oldest and the newest.
    ///
    /// Cost: O(1), and the pages that fell due since the last call.
    ///
    /// # Errors
    /// those of [`Topics::stats`].
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let prices = engine.topic(Project::none(), "prices")?;
    /// # prices.create(Metadata::new())?;
    /// assert_eq!(prices.stats()?.total(), 0);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn stats(&self) -> Result<TopicStats> {
        self.topics().stats(&self.queue.project, &self.name)
    }

    /// Subscribes a queue of the same project: from now on it gets each message that is posted to the topic. It need not exist
    /// yet. Returns whether it was not subscribed before.
    ///
    /// Cost: O(metadata): one lock and one write to the journal.
    ///
    /// Durability: a change.
    ///
    /// # Errors
    /// those of [`Topics::subscribe`]; [`is_invalid`](crate::Error::is_invalid) for a queue of another project, engine or
    /// driver.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let prices = engine.topic(Project::none(), "prices")?;
    /// # prices.create(Metadata::new())?;
    /// let board = engine.queue(Project::none(), "board")?;
    /// assert!(prices.subscribe(&board)?);
    /// assert!(!prices.subscribe(&board)?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn subscribe(&self, queue: &Queue) -> Result<bool> {
        self.check_near(queue)?;
        self.topics().subscribe(&self.queue.project, &self.name, &queue.name)
    }

    /// Ends a queue's subscription. The messages that the queue has stay. Returns whether it was subscribed.
    ///
    /// Cost: O(metadata): one lock and one write to the journal.
    ///
    /// Durability: a change.
    ///
    /// # Errors
    /// those of [`Topics::unsubscribe`]; [`is_invalid`](crate::Error::is_invalid) for a queue of another project, engine or
    /// driver.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let prices = engine.topic(Project::none(), "prices")?;
    /// # prices.create(Metadata::new())?;
    /// let board = engine.queue(Project::none(), "board")?;
    /// prices.subscribe(&board)?;
    /// assert!(prices.unsubscribe(&board)?);
    /// assert!(!prices.unsubscribe(&board)?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn unsubscribe(&self, queue: &Queue) -> Result<bool> {
        self.check_near(queue)?;
        self.topics().unsubscribe(&self.queue.project, &self.name, &queue.name)
    }

    /// The names of the subscribed queues, in the order in which they were subscribed, whether or not they exist.
    ///
    /// Cost: O(metadata).
    ///
    /// # Errors
    /// those of [`Topics::subscribed`].
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let prices = engine.topic(Project::none(), "prices")?;
    /// # prices.create(Metadata::new())?;
    /// let board = engine.queue(Project::none(), "board")?;
    /// prices.subscribe(&board)?;
    /// assert_eq!(prices.subscribed()?, [board.name().clone()]);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn subscribed(&self) -> Result<Vec<QueueName>> {
        self.topics().subscribed(&self.queue.project, &self.name)
    }

    fn check_near(&self, queue: &Queue) -> Result<()> {
        if !self.queue.driver.is_same(&queue.driver) {
            return Err(Error::invalid("queue", "is of another engine or driver"));
        }
        if self.queue.project != queue.project {
            return Err(Error::invalid("queue", "is of another project"));
        }
        Ok(())
    }
}
