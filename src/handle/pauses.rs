//! Pausing a queue by its handle.

use super::queue::Queue;
use crate::model::Pause;
use crate::model::error::Result;

impl Queue {
    /// Pauses the queue for claims, for posts or for both, until it is [resumed](Self::resume):
    /// [`FlowControl::set_pause`](crate::FlowControl::set_pause) says what that means.
    ///
    /// Cost: O(metadata): one lock and one write to the journal.
    ///
    /// Durability: a change.
    ///
    /// # Errors
    /// those of [`FlowControl::set_pause`](crate::FlowControl::set_pause).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::none(), "orders")?;
    /// # orders.create(Metadata::new())?;
    /// orders.pause(Pause::Posts)?;
    /// let refused = orders.post(ClientId::random(), &[NewMessage::new("42")]);
    /// assert!(refused.unwrap_err().is_paused());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn pause(&self, pause: Pause) -> Result<()> {
        self.driver.extended().flow_control().set_pause(&self.project, &self.name, Some(pause))
    }

    /// Ends the pause of the queue, and wakes the calls that wait for its messages.
    ///
    /// Cost: O(metadata): one lock and one write to the journal.
    ///
    /// Durability: a change.
    ///
    /// # Errors
    /// those of [`FlowControl::set_pause`](crate::FlowControl::set_pause).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::none(), "orders")?;
    /// orders.create(QueueSettings::new().paused(Pause::All))?;
    /// orders.resume()?;
    /// assert!(orders.post(ClientId::random(), &[NewMessage::new("42")]).is_ok());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn resume(&self) -> Result<()> {
        self.driver.extended().flow_control().set_pause(&self.project, &self.name, None)
    }
}
