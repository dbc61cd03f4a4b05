//! The claim controller (contract 7): leases on messages.

use super::Sealed;
use crate::model::error::Result;
use crate::model::{ClaimId, ClaimOptions, ClaimRecord, Project, QueueName};

/// The claim controller: creates, renews and releases claims. While a claim lives, no other claim and
/// no pop gets its messages (contract 7).
///
/// The [rules of every method](crate::DataDriver#rules-of-every-method) of a driver hold here too.
///
/// ```
/// # use zaqar_sled::{ClientId, ClaimOptions, Config, DataDriver, Metadata, NewMessage};
/// # use zaqar_sled::{Project, QueueName, SimulatedDisk};
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// # let (project, orders) = (Project::none(), QueueName::new("orders")?);
/// # let handle = engine.queue(project.clone(), "orders")?;
/// # handle.create(Metadata::new())?;
/// # handle.post(ClientId::random(), &[NewMessage::new(b"42")])?;
/// let claim = engine.claims().create(&project, &orders, &ClaimOptions::new())?;
/// let claim = claim.expect("a message waits");
/// for message in claim.messages() {
///     engine.messages().delete(&project, &orders, &message.id(), Some(&claim.id()))?;
/// }
/// engine.claims().delete(&project, &orders, &claim.id())?;
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[doc(alias = "ClaimController")]
pub trait Claims: Sealed + Send + Sync {
    /// Claims the oldest messages that are live, not delayed and under no live claim: at most
    /// `limit`, and beyond the first message at most `max_bytes` of bodies (ours: so that a claim fits
    /// into memory). Returns `None`, and creates no claim, if there is no such message or no queue, as
    /// MongoDB's driver does (contract 7.1), or if the queue is [paused](crate::Pause). A queue with a
    /// [claim rate](crate::QueueSettings::max_claims_per_second) gives fewer, or none (ours).
    ///
    /// - **Extension.** A message that would expire before the claim gets a new ttl: the claim's
    ///   ttl plus the grace, from now. Other messages keep theirs.
    /// - **Count.** The claim count of each message that is taken goes up by one (ours: Zaqar's
    ///   drivers count only with a dead-letter queue).
    /// - **Dead letters.** If the queue has `_max_claim_count` and `_dead_letter_queue`, a message
    ///   that was claimed that often is moved to the end of that queue instead. The queue is created
    ///   if it is missing. The message gets a new id there, keeps its count, is under no claim, and
    ///   expires `_dead_letter_queue_messages_ttl` from now if that is set. Its former id names
    ///   nothing afterwards: a late delete with it does nothing and succeeds.
    /// - A message that is moved takes up a place of `limit`, and its bytes; if all are moved, the
    ///   result is `None`. One claim moves at most 64 MiB of bodies beyond the first message; the
    ///   next claim moves the rest.
    ///
    /// If the dead-letter queue is in another pool, the message arrives there a little later.
    ///
    /// Cost: O(limit + log messages), however many claimed or delayed messages come first. Reads
    /// messages that are not in memory from disk.
    ///
    /// Durability: a change. The call does not wait for a sync if there was nothing to take.
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) for a limit of 0 or a time after the year 9999; the
    /// errors of [every change](crate::DataDriver#errors-of-every-call).
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
    /// let options = ClaimOptions::new().ttl(hour).limit(1);
    /// let claim = engine.claims().create(&shop, &orders, &options)?.expect("two wait");
    /// assert_eq!(claim.messages()[0].id(), ids[0]);
    /// assert_eq!(claim.messages()[0].claim_count(), 1);
    /// let next = engine.claims().create(&shop, &orders, &options)?.expect("one waits");
    /// assert_eq!(next.messages()[0].id(), ids[1]);
    /// assert!(engine.claims().create(&shop, &orders, &options)?.is_none());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn create(&self, project: &Project, queue: &QueueName, options: &ClaimOptions) -> Result<Option<ClaimRecord>>;

    /// The claim and those of its messages that are still live, in queue order (contract 7.2).
    ///
    /// A claim without messages stays until it ends, as in Redis's driver. Release it when the work
    /// is done, because it takes memory. If such claims take more than an eighth of
    /// [`Config::memory`](crate::Config::memory), and more than 1 MiB, the oldest of them end
    /// early.
    ///
    /// Cost: O(its messages × log messages). Reads messages that are not in memory from disk.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found), always as
    /// [`ClaimDoesNotExist`](crate::Error::ClaimDoesNotExist), if the claim or the queue is
    /// missing, or the claim has expired or was released; the errors of [every
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
    /// let claim = engine.claims().create(&shop, &orders, &ClaimOptions::new())?;
    /// let id = claim.expect("two messages wait").id();
    /// engine.messages().delete(&shop, &orders, &ids[0], Some(&id))?;
    /// let now = engine.claims().get(&shop, &orders, &id)?;
    /// assert_eq!(now.messages().len(), 1);
    /// assert_eq!(now.ttl().as_secs(), 300);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn get(&self, project: &Project, queue: &QueueName, id: &ClaimId) -> Result<ClaimRecord>;

    /// Renews the claim: its ttl starts again from now, for the claim and its messages, and the
    /// extension rule of [`create`](Self::create) is applied again. The claim counts stay (ours:
    /// MongoDB's driver forgets them). The `limit` and `max_bytes` of the options are ignored. An
    /// expired claim cannot be renewed (contract 7.3).
    ///
    /// Cost: O(its messages × log messages).
    ///
    /// Durability: a change.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) as in [`get`](Self::get), reported first;
    /// [`is_invalid`](crate::Error::is_invalid) for a time after the year 9999 or outside the
    /// store's [`Limits`](crate::Limits); the errors of [every
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
    /// # engine.queues().create(&shop, &orders, &Metadata::new())?;
    /// # let messages = [NewMessage::new("a").ttl(hour), NewMessage::new("b").ttl(hour)];
    /// # let ids = engine.messages().post(&shop, &orders, ClientId::random(), &messages)?;
    /// let claim = engine.claims().create(&shop, &orders, &ClaimOptions::new())?;
    /// let id = claim.expect("two messages wait").id();
    /// engine.claims().update(&shop, &orders, &id, &ClaimOptions::new().ttl(hour))?;
    /// assert_eq!(engine.claims().get(&shop, &orders, &id)?.ttl(), hour);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    #[doc(alias = "renew")]
    fn update(&self, project: &Project, queue: &QueueName, id: &ClaimId, options: &ClaimOptions) -> Result<()>;

    /// Releases the claim: its messages can be claimed at once. Their ttls stay as the claim
    /// extended them, and their claim counts stay (ours, as above). A missing claim or queue is no
    /// error (contract 7.4).
    ///
    /// Cost: O(its messages × log messages).
    ///
    /// Durability: a change, durable even if there was no claim.
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
    /// let claim = engine.claims().create(&shop, &orders, &ClaimOptions::new())?;
    /// let id = claim.expect("two messages wait").id();
    /// engine.claims().delete(&shop, &orders, &id)?;
    /// engine.claims().delete(&shop, &orders, &id)?; // ended: no error
    /// assert_eq!(engine.queues().stats(&shop, &orders)?.free(), 2);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    #[doc(alias = "release")]
    fn delete(&self, project: &Project, queue: &QueueName, id: &ClaimId) -> Result<()>;
}
