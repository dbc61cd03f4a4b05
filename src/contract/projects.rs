//! Projects as tenants: what each may hold, and what it holds. Zaqar has no such calls.

use super::Sealed;
use crate::model::error::Result;
use crate::model::{Project, ProjectQuota, ProjectUsage};

/// The quotas of projects, and what the projects hold (ours).
///
/// A post to any queue or topic of a project with a [quota](ProjectQuota), alone or in a batch, and the creation of a
/// queue or a topic, is refused if the project would then hold more than it may. The refusal is
/// [`ProjectIsFull`](crate::Error::ProjectIsFull) ([`is_full`](crate::Error::is_full)) and changes nothing. The check and
/// the change are one decision: concurrent posts to different queues of the project never exceed the quota together.
/// Neither a message that has expired nor one that was deleted by a call that has returned takes room.
///
/// ```
/// use zaqar_sled::*;
///
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// let engine = Config::new().disk(disk).open("store")?;
/// let (shop, client) = (Project::named("shop")?, ClientId::random());
/// engine.projects().set_quota(&shop, &ProjectQuota::new().max_messages(1))?;
/// let orders = engine.queue(shop.clone(), "orders")?;
/// let parcels = engine.queue(shop.clone(), "parcels")?;
/// orders.create(Metadata::new())?;
/// parcels.create(Metadata::new())?;
///
/// orders.post(client, &[NewMessage::new("one")])?;
/// let refused = parcels.post(client, &[NewMessage::new("two")]).unwrap_err();
/// assert!(matches!(refused, Error::ProjectIsFull { what: "messages", limit: 1, .. }));
/// orders.pop(1)?;
/// parcels.post(client, &[NewMessage::new("two")])?;
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
///
/// A batch is checked as a whole: what it deletes makes room for what it posts. A post to a
/// [topic](crate::Topics) counts once for the topic and once for each queue that gets a copy, and a topic counts as a
/// queue. [`Queue::post_wait`](crate::Queue::post_wait) waits for room in the project too.
///
/// The following count, but are never refused, because the messages or the queues are in the store already, or because a
/// refusal would lose them: dead letters and the dead-letter queue that a claim creates for them, redrives, moves between
/// pools, and everything that a restore, an import or a salvage brings back. A quota below what the project holds removes
/// nothing.
///
/// A quota is kept like a queue's metadata, over restarts, and in backups and exports, also that of a project without
/// queues. The quotas of a [`PooledDriver`](crate::PooledDriver) are in its control store and hold for the project's
/// queues in all pools together. There, dead letters on their way to another pool do not count until they have arrived,
/// the messages in a pool that cannot be reached do not count until it is, and while a queue is moved to another pool
/// its messages may count twice.
///
/// Cost: for the projects without a quota, some loads of atomics in a post. For those with one, the posts of the project
/// are decided one after another, each while it is written to the journal but not while it is synced; besides, 150 bytes
/// of memory for each queue with a deadline. A post that is refused collects the expired messages of the project first.
pub trait Projects: Sealed + Send + Sync {
    /// Sets what the project may hold, in place of what it might hold before; [`ProjectQuota::new`] sets no limit.
    ///
    /// Cost: O(queues of the project in memory) for the first quota of a project since the store was opened, one lock of each;
    /// otherwise O(1).
    ///
    /// Durability: a change.
    ///
    /// # Errors
    /// [`is_full`](crate::Error::is_full) if there is no space on the disk; the errors of [every
    /// change](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let shop = Project::named("shop")?;
    /// let projects = engine.projects();
    /// projects.set_quota(&shop, &ProjectQuota::new().max_queues(0))?;
    /// let orders = engine.queue(shop.clone(), "orders")?;
    /// assert!(orders.create(Metadata::new()).unwrap_err().is_full());
    /// projects.set_quota(&shop, &ProjectQuota::new())?;
    /// assert!(orders.create(Metadata::new())?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn set_quota(&self, project: &Project, quota: &ProjectQuota) -> Result<()>;

    /// What the project may hold. A project whose quota was never set has no limits.
    ///
    /// Cost: O(log quotas).
    ///
    /// # Errors
    /// those of [every call](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// assert!(engine.projects().quota(&Project::none())?.is_unlimited());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn quota(&self, project: &Project) -> Result<ProjectQuota>;

    /// What the project holds, exact to the message if it has a quota. Without one, the queues are counted at one instant, and the
    /// messages queue by queue.
    ///
    /// Cost: with a quota O(1), and the first count of the queues as in [`Queues::count`](crate::Queues::count); without
    /// one O(queues of the project in memory), and one lock of each. The messages that have expired are collected.
    ///
    /// # Errors
    /// those of [every call](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let usage = engine.projects().usage(&Project::none())?;
    /// assert_eq!((usage.queues(), usage.messages(), usage.bytes()), (0, 0, 0));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn usage(&self, project: &Project) -> Result<ProjectUsage>;
}
