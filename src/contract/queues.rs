//! The queue controller.

use crate::error::Result;
use crate::model::{
    Metadata, Page, Project, Purge, QueueEntry, QueueListOptions, QueueMarker, QueueName,
    QueueStats,
};

/// Makes, describes and removes queues.
pub trait Queues: Send + Sync {
    /// Makes a queue.
    fn create(&self, project: &Project, name: &QueueName, metadata: &Metadata) -> Result<bool>;
    /// Metadata.
    fn get(&self, project: &Project, name: &QueueName) -> Result<Metadata>;
    /// Metadata.
    fn get_metadata(&self, project: &Project, name: &QueueName) -> Result<Metadata>;
    /// Replaces metadata.
    fn set_metadata(&self, project: &Project, name: &QueueName, metadata: &Metadata) -> Result<()>;
    /// Exists.
    fn exists(&self, project: &Project, name: &QueueName) -> Result<bool>;
    /// Removes.
    fn delete(&self, project: &Project, name: &QueueName) -> Result<()>;
    /// Lists.
    fn list(
        &self,
        project: &Project,
        options: &QueueListOptions,
    ) -> Result<Page<QueueEntry, QueueMarker>>;
    /// Counts messages.
    fn stats(&self, project: &Project, name: &QueueName) -> Result<QueueStats>;
    /// Counts queues.
    fn count(&self, project: &Project) -> Result<u64>;
    /// Clears.
    fn purge(&self, project: &Project, name: &QueueName, what: Purge) -> Result<u64>;
}
