//! The metrics of an engine.

use super::Engine;
use crate::model::Metrics;

impl Engine {
    /// What the store has done since it was opened, and its sizes now. Works also on a closed store.
    ///
    /// Cost: as [`status`](Self::status).
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let orders = engine.queue(Project::none(), "orders")?;
    /// orders.create(Metadata::new())?;
    /// orders.post(ClientId::random(), &[NewMessage::new("a")])?;
    /// let metrics = engine.metrics();
    /// assert_eq!((metrics.posted_messages, metrics.queues), (1, 1));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn metrics(&self) -> Metrics {
        self.store().metrics()
    }
}
