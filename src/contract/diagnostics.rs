//! Diagnostics: answers for the people who operate queues. Zaqar has no such calls.

use super::Sealed;
use crate::model::error::Result;
use crate::model::{Explanation, MessageId, Project, QueueName};

/// Answers for the people who operate queues (ours). They are reads: they change nothing.
///
/// ```
/// use zaqar_sled::{Availability, ClaimOptions, ClientId, Config, Metadata};
/// use zaqar_sled::{NewMessage, Project};
///
/// # let disk = std::sync::Arc::new(zaqar_sled::SimulatedDisk::new());
/// let engine = Config::new().disk(disk).open("store")?;
/// let jobs = engine.queue(Project::none(), "jobs")?;
/// jobs.create(Metadata::new())?;
/// let id = jobs.post(ClientId::random(), &[NewMessage::new("work")])?[0];
/// let claim = jobs.claim(ClaimOptions::new())?.expect("a message waits");
/// match jobs.explain(&id)?.availability() {
///     Availability::Claimed { claim: holder, .. } => assert_eq!(*holder, claim.id()),
///     other => println!("not claimed: {other:?}"),
/// }
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
pub trait Diagnostics: Sealed + Send + Sync {
    /// Why a message can or cannot be claimed at this instant, and since when.
    ///
    /// The store keeps no record of messages that are gone, so a message that was deleted, one that has
    /// expired and one that was moved to the dead-letter queue are explained alike.
    ///
    /// Cost: O(log messages). Reads the message from disk if it is not in memory.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) if the queue is missing; the errors of [every
    /// read](crate::DataDriver#errors-of-every-call). Neither a missing message nor a damaged page is an
    /// error: they are answers.
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
    /// let late = NewMessage::new("a").ttl(hour).delay(hour / 2);
    /// let ids = engine.messages().post(&shop, &orders, ClientId::random(), &[late])?;
    /// let explained = engine.diagnostics().explain(&shop, &orders, &ids[0])?;
    /// let posted = engine.messages().get(&shop, &orders, &ids[0])?.created();
    /// assert_eq!(explained.since(), Some(posted));
    /// assert!(matches!(explained.availability(), Availability::Delayed { until, .. }
    ///     if *until == posted.saturating_add(hour / 2)));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn explain(&self, project: &Project, queue: &QueueName, id: &MessageId) -> Result<Explanation>;
}
