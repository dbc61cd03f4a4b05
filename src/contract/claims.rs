//! The claim controller.

use crate::model::error::Result;
use crate::model::{ClaimId, ClaimOptions, ClaimRecord, Project, QueueName};

/// Makes, renews and releases claims. While a claim lives, no other claim or pop gets its messages.
/// What holds for every method is told at [`DataDriver`](crate::DataDriver).
///
/// ```
/// # use zaqar_sled::{ClientId, ClaimOptions, Config, DataDriver, Metadata, NewMessage, Project, QueueName, SimulatedDisk};
/// # let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
/// # let (project, orders) = (Project::none(), QueueName::new("orders")?);
/// # let handle = engine.queue(project.clone(), "orders")?;
/// # handle.create(Metadata::new())?;
/// # handle.post(ClientId::random(), &[NewMessage::new(b"42")])?;
/// if let Some(claim) = engine.claims().create(&project, &orders, &ClaimOptions::new())? {
///     for message in claim.messages() {
///         engine.messages().delete(&project, &orders, &message.id(), Some(&claim.id()))?;
///     }
///     engine.claims().delete(&project, &orders, &claim.id())?;
/// }
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[doc(alias = "ClaimController")]
pub trait Claims: Send + Sync {
    /// Takes the oldest messages that are live, not delayed and under no live claim, at most
    /// `limit` and, beyond the first, `max_bytes` of bodies (ours: a claim fits into memory). `None`, and no claim, if
    /// there are none, or no queue: MongoDB's driver.
    ///
    /// A message that would expire before the claim gets the claim's ttl plus the grace, from now;
    /// others keep theirs. Each taken message's count goes up by one (ours: others count only with a
    /// dead-letter queue). If the queue has `_max_claim_count` and `_dead_letter_queue`, a message
    /// already handed out that often goes to the end of that queue instead, which is made if need be:
    /// claim cleared, count kept, expiring `_dead_letter_queue_messages_ttl` from now if that is set.
    /// It takes up a place of `limit` and its bytes; if all go, `None`. One claim moves at most 64 MiB of them beyond the
    /// first; the rest goes with the next. There a message has an id of that queue's, behind all that are there; its old id
    /// names nothing from then on, so a worker's late delete by it does nothing and says `Ok`, as for any message that is
    /// gone, and the dead letter stays.
    ///
    /// With a dead-letter queue in another pool, letters arrive a little later.
    ///
    /// Errors: `is_invalid` for a limit of 0 or a time past the year 9999. Cost:
    /// O(limit + log messages), however many claimed or delayed ones stand in front. A change; waits
    /// for nothing if there was nothing to take.
    fn create(&self, project: &Project, queue: &QueueName, options: &ClaimOptions) -> Result<Option<ClaimRecord>>;

    /// The claim and those of its messages that are still live, in queue order. A claim whose
    /// messages are all gone stays until it ends (Redis's driver): release it, since it takes memory. Of those without
    /// messages the oldest end early where they would take more than an eighth of
    /// [`Config::memory`](crate::Config::memory), or 1 MiB.
    ///
    /// Errors: `is_not_found` for a claim that is missing, expired or released, and for the queue:
    /// all as [`ClaimDoesNotExist`](crate::Error::ClaimDoesNotExist). Cost: O(its messages × log
    /// messages). A read.
    fn get(&self, project: &Project, queue: &QueueName, id: &ClaimId) -> Result<ClaimRecord>;

    /// Restarts the claim from now with a new ttl; its messages are lengthened by the rule of
    /// [`create`](Self::create), their counts kept (ours: MongoDB's driver forgets them). The
    /// options' limits are not looked at. An expired claim cannot be revived.
    ///
    /// Errors: as [`get`](Self::get), told before `is_invalid` for the times. Cost: O(its messages ×
    /// log messages). A change.
    #[doc(alias = "renew")]
    fn update(&self, project: &Project, queue: &QueueName, id: &ClaimId, options: &ClaimOptions) -> Result<()>;

    /// Ends the claim: its messages can be claimed at once, their ttls as extended and their counts
    /// kept (ours, as above). No claim or queue is fine. Cost: O(its messages × log messages). A
    /// change, durable even if nothing was there.
    #[doc(alias = "release")]
    fn delete(&self, project: &Project, queue: &QueueName, id: &ClaimId) -> Result<()>;
}
