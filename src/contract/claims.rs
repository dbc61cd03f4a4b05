//! The claim controller.

use crate::error::Result;
use crate::model::{ClaimId, ClaimOptions, ClaimRecord, Project, QueueName};

/// Makes, renews and releases claims.
pub trait Claims: Send + Sync {
    /// Claims.
    fn create(
        &self,
        project: &Project,
        queue: &QueueName,
        options: &ClaimOptions,
    ) -> Result<Option<ClaimRecord>>;
    /// Reads.
    fn get(&self, project: &Project, queue: &QueueName, id: &ClaimId) -> Result<ClaimRecord>;
    /// Renews.
    fn update(
        &self,
        project: &Project,
        queue: &QueueName,
        id: &ClaimId,
        options: &ClaimOptions,
    ) -> Result<()>;
    /// Releases.
    fn delete(&self, project: &Project, queue: &QueueName, id: &ClaimId) -> Result<()>;
}
