//! The message controller (contract 6): posts, reads and removes messages.

use super::Sealed;
use crate::model::error::Result;
use crate::model::{
    ClaimId, ClientId, Message, MessageId, MessageListOptions, MessageMarker, NewMessage, Page, Project, QueueName,
    Sort,
};

/// The message controller: posts, reads and removes messages (contract 6).
///
/// The [rules of every method](crate::DataDriver#rules-of-every-method) of a driver hold here too.
///
/// ```
/// # use std::time::Duration;
/// # use zaqar_sled::{ClientId, Config, DataDriver, Metadata, NewMessage, Project};
/// # use zaqar_sled::{QueueName, SimulatedDisk};
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
/// engine.queues().create(&shop, &orders, &Metadata::new())?;
/// let message = NewMessage::new(b"42").ttl(Duration::from_secs(3600));
/// engine.messages().post(&shop, &orders, ClientId::random(), &[message])?;
/// let taken = engine.messages().pop(&shop, &orders, 1)?;
/// assert_eq!(taken[0].body().as_bytes(), b"42");
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[doc(alias = "MessageController")]
pub trait Messages: Sealed + Send + Sync {
    /// Adds the messages to the end of the queue, all or none, next to one another. The ids come
    /// back in the order of the messages, which is queue order. An empty list posts nothing and
    /// returns no ids (contract 6.1).
    ///
    /// Every message needs a ttl here; the handle [`Queue::post`](crate::Queue::post) fills in a
    /// default. A ttl of zero is accepted: the message is expired at once. A message with
    /// [`Ttl::Forever`](crate::Ttl::Forever) lives until it is deleted (ours).
    ///
    /// Cost: O(messages + bytes): one lock and one write to the journal.
    ///
    /// Durability: a change. At [`Sync`](crate::Durability::Sync) the call also waits for one
    /// `fdatasync`, which it shares with other calls.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) if the queue is missing (ours, as in MongoDB's
    /// driver: the others store messages that no call can list);
    /// [`is_invalid`](crate::Error::is_invalid) for a missing ttl, a time after the year 9999, or
    /// headers that break the rules of [`Headers`](crate::Headers);
    /// [`is_too_large`](crate::Error::is_too_large) for a body, headers or the whole post, also over the
    /// queue's `_max_messages_post_size`; [`is_busy`](crate::Error::is_busy) if memory or the
    /// journal stays full for the [`busy_timeout`](crate::Config::busy_timeout);
    /// [`is_full`](crate::Error::is_full); [`is_paused`](crate::Error::is_paused); the errors of [every
    /// change](crate::DataDriver#errors-of-every-call).
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
    /// let messages = [NewMessage::new("a").ttl(hour), NewMessage::new("b").ttl(hour)];
    /// let me = ClientId::random();
    /// let ids = engine.messages().post(&shop, &orders, me, &messages)?;
    /// assert!(ids.len() == 2 && ids[0] < ids[1]);
    /// let no_ttl = [NewMessage::new("c")];
    /// assert!(engine.messages().post(&shop, &orders, me, &no_ttl).unwrap_err().is_invalid());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn post(
        &self,
        project: &Project,
        queue: &QueueName,
        client: ClientId,
        messages: &[NewMessage],
    ) -> Result<Vec<MessageId>>;

    /// One page of live messages in the order of their posts (contract 6.2).
    ///
    /// Messages that the options leave out are skipped before the limit is applied. A page is short
    /// only at the end of the queue, or where the next message would exceed the options'
    /// `max_bytes`; an empty page is the end. The marker of a removed message continues from
    /// its place (as in MongoDB's driver; Redis's starts again at the head). A malformed marker
    /// gives an empty page.
    ///
    /// Cost: O(log messages + page), plus the client's own messages that are skipped. Reads
    /// messages that are not in memory from disk.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) if the queue is missing (ours: a mistyped name
    /// should show; a pooled driver gives an empty page); [`is_invalid`](crate::Error::is_invalid)
    /// for a limit outside the store's [`Limits`](crate::Limits); the errors of [every
    /// read](crate::DataDriver#errors-of-every-call).
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
    /// # let messages = [NewMessage::new("a").ttl(hour), NewMessage::new("b").ttl(hour)];
    /// # let ids = engine.messages().post(&shop, &orders, ClientId::random(), &messages)?;
    /// let options = MessageListOptions::new().limit(1);
    /// let first = engine.messages().list(&shop, &orders, &options)?;
    /// assert_eq!(first.items[0].id(), ids[0]);
    /// let second = engine.messages().list(&shop, &orders, &options.marker(first.next))?;
    /// assert_eq!(second.items[0].id(), ids[1]);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn list(
        &self,
        project: &Project,
        queue: &QueueName,
        options: &MessageListOptions,
    ) -> Result<Page<Message, MessageMarker>>;

    /// The oldest or the newest live message, even if it is claimed or delayed (contract 6.3).
    ///
    /// Cost: O(log messages). Reads the message from disk if it is not in memory.
    ///
    /// # Errors
    /// [`QueueIsEmpty`](crate::Error::QueueIsEmpty) if there is no message or no queue, as in
    /// Zaqar's drivers (a pooled driver gives
    /// [`QueueDoesNotExist`](crate::Error::QueueDoesNotExist) for a missing queue); the errors of
    /// [every read](crate::DataDriver#errors-of-every-call).
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
    /// let error = engine.messages().first(&shop, &orders, Sort::Oldest).unwrap_err();
    /// assert!(matches!(error, Error::QueueIsEmpty { .. }));
    /// # let messages = [NewMessage::new("a").ttl(hour), NewMessage::new("b").ttl(hour)];
    /// # let ids = engine.messages().post(&shop, &orders, ClientId::random(), &messages)?;
    /// assert_eq!(engine.messages().first(&shop, &orders, Sort::Newest)?.id(), ids[1]);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn first(&self, project: &Project, queue: &QueueName, sort: Sort) -> Result<Message>;

    /// One message, even if it is claimed or delayed (contract 6.4).
    ///
    /// Cost: O(log messages). Reads the message from disk if it is not in memory.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) if the queue is missing, or if the message is
    /// missing, expired or in another queue (ours: Redis's driver returns messages of any queue);
    /// the errors of [every read](crate::DataDriver#errors-of-every-call).
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
    /// # let messages = [NewMessage::new("a").ttl(hour), NewMessage::new("b").ttl(hour)];
    /// # let ids = engine.messages().post(&shop, &orders, ClientId::random(), &messages)?;
    /// assert_eq!(engine.messages().get(&shop, &orders, &ids[0])?.body().as_bytes(), b"a");
    /// let missing = engine.messages().get(&shop, &orders, &MessageId::lossy("no id"));
    /// assert!(missing.unwrap_err().is_not_found());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn get(&self, project: &Project, queue: &QueueName, id: &MessageId) -> Result<Message>;

    /// The given messages that exist, in the order of the ids; a repeated id gives its message
    /// again, as in Redis's driver (contract 6.5). Missing ids are skipped. A missing queue gives
    /// an empty list.
    ///
    /// Cost: O(ids × log messages). Reads messages that are not in memory from disk.
    ///
    /// # Errors
    /// [`is_too_large`](crate::Error::is_too_large) if the bodies together are over 128 MiB,
    /// because no existing message is left out; [`is_invalid`](crate::Error::is_invalid) for a
    /// number of ids outside the store's [`Limits`](crate::Limits); the errors of [every
    /// read](crate::DataDriver#errors-of-every-call).
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
    /// # let messages = [NewMessage::new("a").ttl(hour), NewMessage::new("b").ttl(hour)];
    /// # let ids = engine.messages().post(&shop, &orders, ClientId::random(), &messages)?;
    /// let asked = [ids[1], MessageId::lossy("no id"), ids[0]];
    /// let found = engine.messages().bulk_get(&shop, &orders, &asked)?;
    /// assert_eq!((found[0].id(), found[1].id(), found.len()), (ids[1], ids[0], 2));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn bulk_get(&self, project: &Project, queue: &QueueName, ids: &[MessageId]) -> Result<Vec<Message>>;

    /// Removes a message. A missing message or queue is no error, whatever the claim (contract
    /// 6.6).
    ///
    /// A worker passes its claim. The call then fails if the claim has ended, which tells the
    /// worker that another worker may already have the message. The rules are those of Redis's
    /// driver and of Zaqar's documentation.
    ///
    /// Cost: O(log messages).
    ///
    /// Durability: a change, durable even if there was no message.
    ///
    /// # Errors
    /// in this order. Without a claim: [`MessageIsClaimed`](crate::Error::MessageIsClaimed)
    /// ([`is_not_permitted`](crate::Error::is_not_permitted)) if the message is under a live claim.
    /// With a claim: [`ClaimDoesNotExist`](crate::Error::ClaimDoesNotExist)
    /// ([`is_not_found`](crate::Error::is_not_found)) if the id is the nil id;
    /// [`MessageNotClaimed`](crate::Error::MessageNotClaimed)
    /// ([`is_not_permitted`](crate::Error::is_not_permitted)) if the message is under no live
    /// claim; if it is under another live claim,
    /// [`ClaimDoesNotExist`](crate::Error::ClaimDoesNotExist) if the given claim has ended, else
    /// [`MessageNotClaimedBy`](crate::Error::MessageNotClaimedBy)
    /// ([`is_not_permitted`](crate::Error::is_not_permitted)). And the errors of [every
    /// change](crate::DataDriver#errors-of-every-call).
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
    /// # let messages = [NewMessage::new("a").ttl(hour), NewMessage::new("b").ttl(hour)];
    /// # let ids = engine.messages().post(&shop, &orders, ClientId::random(), &messages)?;
    /// let claim = engine.claims().create(&shop, &orders, &ClaimOptions::new().limit(1))?;
    /// let claim = claim.expect("two messages wait").id();
    /// let refused = engine.messages().delete(&shop, &orders, &ids[0], None);
    /// assert!(refused.unwrap_err().is_not_permitted());
    /// engine.messages().delete(&shop, &orders, &ids[0], Some(&claim))?;
    /// engine.messages().delete(&shop, &orders, &ids[0], Some(&claim))?; // gone: no error
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn delete(&self, project: &Project, queue: &QueueName, id: &MessageId, claim: Option<&ClaimId>) -> Result<()>;

    /// Removes the given messages that exist, all or none. Without claims, claimed messages are
    /// removed too. A missing message or queue is no error (contract 6.7).
    ///
    /// With claims, each message that exists must be under one of these claims. The first message
    /// that is not, in the order of the ids, decides the error. The check is that of Redis's
    /// driver, made all or nothing.
    ///
    /// Cost: O(ids × log messages).
    ///
    /// Durability: a change, durable even if there was no message.
    ///
    /// # Errors
    /// with claims: [`MessageNotClaimed`](crate::Error::MessageNotClaimed)
    /// ([`is_not_permitted`](crate::Error::is_not_permitted)) if a message is under no live claim;
    /// [`ClaimDoesNotMatch`](crate::Error::ClaimDoesNotMatch)
    /// ([`is_conflict`](crate::Error::is_conflict)) if it is under another claim.
    /// [`is_invalid`](crate::Error::is_invalid) for a number of ids outside the store's
    /// [`Limits`](crate::Limits); the errors of [every
    /// change](crate::DataDriver#errors-of-every-call).
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
    /// # let messages = [NewMessage::new("a").ttl(hour), NewMessage::new("b").ttl(hour)];
    /// # let ids = engine.messages().post(&shop, &orders, ClientId::random(), &messages)?;
    /// let claim = engine.claims().create(&shop, &orders, &ClaimOptions::new().limit(1))?;
    /// let claim = claim.expect("two messages wait").id();
    /// let mixed = engine.messages().bulk_delete(&shop, &orders, &ids, &[claim]);
    /// assert!(mixed.unwrap_err().is_not_permitted()); // the second is not claimed
    /// engine.messages().bulk_delete(&shop, &orders, &ids, &[])?;
    /// assert_eq!(engine.queues().stats(&shop, &orders)?.total(), 0);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn bulk_delete(&self, project: &Project, queue: &QueueName, ids: &[MessageId], claims: &[ClaimId]) -> Result<()>;

    /// Removes and returns the oldest messages that a claim would take, in one step: at most
    /// `limit`, and at most 1 MiB of bodies and headers beyond the first message. Nothing to take, or no queue,
    /// gives an empty list (contract 6.8). A queue with a
    /// [claim rate](crate::QueueSettings::max_claims_per_second) gives fewer, or none (ours).
    ///
    /// The records show no claim. No claim is counted, no ttl is extended and no message is moved
    /// to a dead-letter queue (ours: Zaqar's other drivers claim and delete, or ignore the order).
    ///
    /// Cost: O(limit + log messages). Reads messages that are not in memory from disk.
    ///
    /// Durability: a change. The call does not wait for a sync if there was nothing to take.
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) for a limit of 0; the errors of [every
    /// change](crate::DataDriver#errors-of-every-call).
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
    /// # let messages = [NewMessage::new("a").ttl(hour), NewMessage::new("b").ttl(hour)];
    /// # let ids = engine.messages().post(&shop, &orders, ClientId::random(), &messages)?;
    /// let taken = engine.messages().pop(&shop, &orders, 10)?;
    /// assert_eq!(taken.iter().map(Message::id).collect::<Vec<_>>(), ids);
    /// assert!(engine.messages().pop(&shop, &orders, 10)?.is_empty());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn pop(&self, project: &Project, queue: &QueueName, limit: usize) -> Result<Vec<Message>>;
}
