//! The data driver.

use super::{Claims, Messages, Queues};
use crate::error::Result;
use crate::model::{Capabilities, GcReport, Health};

/// The data plane: all controllers of one store.
pub trait DataDriver: Send + Sync {
    /// Queues.
    fn queues(&self) -> &dyn Queues;
    /// Messages.
    fn messages(&self) -> &dyn Messages;
    /// Claims.
    fn claims(&self) -> &dyn Claims;
    /// Alive.
    fn is_alive(&self) -> bool;
    /// Health.
    fn health(&self) -> Result<Health>;
    /// Garbage collection.
    fn gc(&self) -> Result<GcReport>;
    /// Closes.
    fn close(&self) -> Result<()>;
    /// Capabilities.
    fn capabilities(&self) -> Capabilities;
}
