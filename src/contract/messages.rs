//! The message controller.

use crate::error::Result;
use crate::model::{
    ClaimId, ClientId, Message, MessageId, MessageListOptions, MessageMarker, NewMessage, Page,
    Project, QueueName, Sort,
};

/// Posts, reads and removes messages.
pub trait Messages: Send + Sync {
    /// Posts.
    fn post(
        &self,
        project: &Project,
        queue: &QueueName,
        client: ClientId,
        messages: &[NewMessage],
    ) -> Result<Vec<MessageId>>;
    /// Lists.
    fn list(
        &self,
        project: &Project,
        queue: &QueueName,
        options: &MessageListOptions,
    ) -> Result<Page<Message, MessageMarker>>;
    /// First.
    fn first(&self, project: &Project, queue: &QueueName, sort: Sort) -> Result<Message>;
    /// Get.
    fn get(&self, project: &Project, queue: &QueueName, id: &MessageId) -> Result<Message>;
    /// Get many.
    fn bulk_get(
        &self,
        project: &Project,
        queue: &QueueName,
        ids: &[MessageId],
    ) -> Result<Vec<Message>>;
    /// Delete.
    fn delete(
        &self,
        project: &Project,
        queue: &QueueName,
        id: &MessageId,
        claim: Option<&ClaimId>,
    ) -> Result<()>;
    /// Delete many.
    fn bulk_delete(
        &self,
        project: &Project,
        queue: &QueueName,
        ids: &[MessageId],
        claims: &[ClaimId],
    ) -> Result<()>;
    /// Pop.
    fn pop(&self, project: &Project, queue: &QueueName, limit: usize) -> Result<Vec<Message>>;
}
