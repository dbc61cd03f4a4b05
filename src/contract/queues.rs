//! The queue controller.

use crate::model::error::Result;
use crate::model::{Metadata, Page, Project, Purge, QueueEntry, QueueListOptions, QueueMarker, QueueName, QueueStats};

/// Makes, describes and removes queues. What holds for every method is told at
/// [`DataDriver`](crate::DataDriver).
///
/// ```
/// # use zaqar_sled::{Config, DataDriver, Metadata, Project, QueueName, SimulatedDisk};
/// # let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
/// let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
/// assert!(engine.queues().create(&shop, &orders, &Metadata::new())?);
/// assert!(!engine.queues().create(&shop, &orders, &Metadata::new())?);
/// assert_eq!(engine.queues().stats(&shop, &orders)?.total(), 0);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[doc(alias = "QueueController")]
pub trait Queues: Send + Sync {
    /// Makes a queue and says `true`, or leaves one that is there alone, metadata and all, and says
    /// `false`: so do all of Zaqar's drivers, though its page says the metadata is updated.
    ///
    /// Errors: `is_invalid` naming the reserved key whose value is of the wrong type or range (ours:
    /// Zaqar checks that in its front end), or by whose dead letters a queue's messages would come back to it
    /// through at most 32 others; a queue that is there is told before metadata that are wrong. Cost: O(1), and O(log queues)
    /// for each queue that dead letters go through. A change, and durable either way: after
    /// `false` the queue that was seen does not vanish.
    fn create(&self, project: &Project, name: &QueueName, metadata: &Metadata) -> Result<bool>;

    /// The queue's metadata; empty for a queue that is not there, as in all of Zaqar's drivers.
    ///
    /// Cost: O(metadata). A read.
    fn get(&self, project: &Project, name: &QueueName) -> Result<Metadata>;

    /// The queue's metadata.
    ///
    /// Errors: `is_not_found` for the queue. Cost: O(metadata). A read. Zaqar's.
    fn get_metadata(&self, project: &Project, name: &QueueName) -> Result<Metadata>;

    /// Replaces the queue's metadata whole.
    ///
    /// Errors: `is_not_found` for the queue, told first; `is_invalid` naming a reserved key, as in
    /// [`create`](Self::create). Cost: O(metadata). A change. Zaqar's.
    fn set_metadata(&self, project: &Project, name: &QueueName, metadata: &Metadata) -> Result<()>;

    /// Whether the queue is there now: nothing is cached. Cost: O(1). A read. Zaqar's.
    fn exists(&self, project: &Project, name: &QueueName) -> Result<bool>;

    /// Removes the queue with its messages and claims, in one step. Nothing there is fine.
    ///
    /// A queue made anew under the name is empty, and ids and markers of the old one stay safe: they
    /// name nothing, or stand before its first message (ours; MongoDB's driver starts its counter
    /// over). Subscriptions stay, as in all of Zaqar's drivers. Cost: O(1), whatever it holds; the
    /// space comes back later. A change, durable even if nothing was there.
    fn delete(&self, project: &Project, name: &QueueName) -> Result<()>;

    /// One page of the project's queues, by name, in byte order.
    ///
    /// Filters are applied before the limit, so only the last page is short; `name_contains` is
    /// literal (MongoDB's driver takes a regular expression, Redis's ignores both filters). The
    /// marker is exclusive and need not name a queue. Cost: O(log queues + page), plus what the
    /// filters skip. A read.
    fn list(&self, project: &Project, options: &QueueListOptions) -> Result<Page<QueueEntry, QueueMarker>>;

    /// How many messages are claimed and free, and the oldest and newest, at this instant. Delayed
    /// messages are free; expired ones are not counted (ours: Zaqar's drivers do until swept).
    ///
    /// Errors: `is_not_found` for the queue. Cost: O(1). A read.
    fn stats(&self, project: &Project, name: &QueueName) -> Result<QueueStats>;

    /// How many queues the project has. Cost: at most O(queues of the project). A read. Zaqar's.
    #[doc(alias = "calculate_resource_count")]
    fn count(&self, project: &Project) -> Result<u64>;

    /// Clears the queue in one step and says how many messages and subscriptions went. Claimed and
    /// delayed messages go too, and all claims (ours: Zaqar pops until nothing is free, so claimed
    /// ones survive). Metadata stays; ids and markers stay safe. A missing queue has 0.
    ///
    /// Cost: O(1); the space comes back later. A change.
    fn purge(&self, project: &Project, name: &QueueName, what: Purge) -> Result<u64>;
}
