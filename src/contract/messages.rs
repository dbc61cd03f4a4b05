//! The message controller.

use crate::model::error::Result;
use crate::model::{
    ClaimId, ClientId, Message, MessageId, MessageListOptions, MessageMarker, NewMessage, Page, Project, QueueName,
    Sort,
};

/// Posts, reads and removes messages. What holds for every method is told at
/// [`DataDriver`](crate::DataDriver).
///
/// ```
/// # use std::time::Duration;
/// # use zaqar_sled::{ClientId, Config, DataDriver, Metadata, NewMessage, Project, QueueName, SimulatedDisk};
/// # let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
/// let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
/// engine.queues().create(&shop, &orders, &Metadata::new())?;
/// let message = NewMessage::new(b"42").ttl(Duration::from_secs(3600));
/// engine.messages().post(&shop, &orders, ClientId::random(), &[message])?;
/// let taken = engine.messages().pop(&shop, &orders, 1)?;
/// assert_eq!(&**taken[0].body(), b"42");
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[doc(alias = "MessageController")]
pub trait Messages: Send + Sync {
    /// Adds the messages to the queue's end, all or none, next to one another, and gives their ids
    /// in the order given, which is queue order. No messages, no ids.
    ///
    /// Each message needs its ttl here; a ttl of zero is accepted and already expired. Errors:
    /// `is_not_found` for the queue (ours, as in MongoDB's driver: others store what nobody can
    /// list); `is_invalid` for a missing ttl or a time past the year 9999; `is_too_large` for a body
    /// or the whole, also over the queue's `_max_messages_post_size`; `is_full`. Cost:
    /// O(messages + bytes). A change.
    fn post(
        &self,
        project: &Project,
        queue: &QueueName,
        client: ClientId,
        messages: &[NewMessage],
    ) -> Result<Vec<MessageId>>;

    /// One page of live messages, in the order of their posts.
    ///
    /// What the options leave out is skipped before the limit. A page is short only at the queue's end, or
    /// where the next message would exceed the options' `max_bytes`; an empty one is the end. The marker of a message that is gone carries on from its place (MongoDB's driver; Redis's
    /// starts over). A malformed marker gives an empty page. Errors: `is_not_found` for the queue
    /// (ours: a mistyped name should show). Cost: O(log messages + page), plus the client's own that
    /// are skipped. A read.
    fn list(
        &self,
        project: &Project,
        queue: &QueueName,
        options: &MessageListOptions,
    ) -> Result<Page<Message, MessageMarker>>;

    /// The oldest or newest live message, be it claimed or delayed.
    ///
    /// Errors: [`QueueIsEmpty`](crate::Error::QueueIsEmpty) if there is none, or no queue: Zaqar's
    /// drivers. Cost: O(log messages). A read.
    fn first(&self, project: &Project, queue: &QueueName, sort: Sort) -> Result<Message>;

    /// The message, be it claimed or delayed.
    ///
    /// Errors: `is_not_found` for the queue, or for a message that is missing, expired, or of another
    /// queue (ours: Redis's driver reads any queue's). Cost: O(log messages). A read.
    fn get(&self, project: &Project, queue: &QueueName, id: &MessageId) -> Result<Message>;

    /// Those of the messages that are there, in the order asked, repeats repeated (Redis's driver).
    /// A missing queue has none. Errors: `is_too_large` where their bodies are more than 128 MiB: none is left out that is
    /// there. Cost: O(ids × log messages). A read.
    fn bulk_get(&self, project: &Project, queue: &QueueName, ids: &[MessageId]) -> Result<Vec<Message>>;

    /// Removes a message; one that is not there, or no queue, is fine, whatever the claim.
    ///
    /// Errors, in this order. Without a claim: `MessageIsClaimed` if it is under a live one. With
    /// one: `ClaimDoesNotExist` if it is the nil id; `MessageNotClaimed` if the message is under no
    /// live claim, which tells a worker its claim ran out; if it is under another,
    /// `ClaimDoesNotExist` if the one given is gone, else `MessageNotClaimedBy`. The rules are those
    /// of Redis's driver and the documented ones. Cost: O(log messages). A change, durable even if
    /// nothing was there.
    fn delete(&self, project: &Project, queue: &QueueName, id: &MessageId, claim: Option<&ClaimId>) -> Result<()>;

    /// Removes those of the messages that are there, all or none. Without claims, claimed ones too.
    ///
    /// With claims, each message found must be under a live one (`MessageNotClaimed`) of those given
    /// (`ClaimDoesNotMatch`, which `is_conflict`); the first that fails, in the order given, decides:
    /// Redis's driver's check, made all or nothing. A missing queue is fine. Cost:
    /// O(ids × log messages). A change, durable even if nothing was there.
    fn bulk_delete(&self, project: &Project, queue: &QueueName, ids: &[MessageId], claims: &[ClaimId]) -> Result<()>;

    /// Removes and gives the oldest messages a claim would take, at most `limit` and 1 MiB of bodies beyond
    /// the first, in one step. Their
    /// records show no claim; nothing is counted, extended or dead-lettered on the way (ours: other
    /// drivers claim and delete, or forget about order). None, or no queue: an empty list.
    ///
    /// Errors: `is_invalid` for a limit of 0. Cost: O(limit + log messages). A change; waits for
    /// nothing if there was nothing to take.
    fn pop(&self, project: &Project, queue: &QueueName, limit: usize) -> Result<Vec<Message>>;
}
