//! Flow control: stopping a queue for a while. Zaqar has no such calls.

use super::Sealed;
use crate::model::error::Result;
use crate::model::{Pause, Project, QueueName};

/// Flow control: stopping a queue for a while (ours). The handle [`Queue`](crate::Queue) has the same
/// calls.
///
/// ```
/// use zaqar_sled::*;
///
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// let engine = Config::new().disk(disk).open("store")?;
/// let orders = engine.queue(Project::none(), "orders")?;
/// orders.create(Metadata::new())?;
/// orders.post(ClientId::random(), &[NewMessage::new("42")])?;
/// orders.pause(Pause::Claims)?; // the database is being moved
/// assert!(orders.claim(ClaimOptions::new())?.is_none());
/// orders.resume()?;
/// assert!(orders.claim(ClaimOptions::new())?.is_some());
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
pub trait FlowControl: Sealed + Send + Sync {
    /// Pauses a queue, or resumes it with `None`. A pause is the key `_paused` of the queue's metadata, so
    /// it lasts over restarts and moves; of the metadata, this call changes nothing else. Metadata that are set
    /// without the key end it.
    ///
    /// While claims are paused, a claim and a pop get nothing, as from an empty queue, and calls that wait
    /// for messages go on waiting. The end of the pause wakes them. Claims that exist can be renewed,
    /// finished and released; ttls, delays and leases run on, and a redrive still takes messages out. While posts are paused, a post fails, and so
    /// does a batch with one. Calls that began before the pause may still take effect; none does that
    /// begins after it has returned.
    ///
    /// Cost: O(metadata): one lock and one write to the journal.
    ///
    /// Durability: a change.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) if the queue does not exist;
    /// [`is_too_large`](crate::Error::is_too_large) if the metadata have no space for the key; not for `None`,
    /// which also succeeds on a full disk for as long as claims do;
    /// [`is_busy`](crate::Error::is_busy) while the queue is moved to another pool;
    /// [`is_full`](crate::Error::is_full); the errors of [every
    /// change](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
    /// # engine.queues().create(&shop, &orders, &Metadata::new())?;
    /// let driver: &dyn ExtendedDriver = &engine;
    /// driver.flow_control().set_pause(&shop, &orders, Some(Pause::Posts))?;
    /// let message = NewMessage::new("42").ttl(Ttl::Forever);
    /// let refused = driver.messages().post(&shop, &orders, ClientId::random(), &[message]);
    /// assert!(refused.unwrap_err().is_paused());
    /// driver.flow_control().set_pause(&shop, &orders, None)?;
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn set_pause(&self, project: &Project, queue: &QueueName, pause: Option<Pause>) -> Result<()>;
}
