//! Messages by the handle on their queue.

use std::borrow::Cow;
use std::time::Duration;

use super::queue::Queue;
use crate::model::error::Result;
use crate::model::settings::ParsedSettings;
use crate::model::{
    ClientId, Explanation, Message, MessageId, MessageListOptions, MessageMarker, NewMessage, Page, Sort, Ttl,
};

impl Queue {
    /// Posts messages to the end of the queue, all or none, and returns their ids in the same order
    /// (contract 6.1).
    ///
    /// A message without a ttl gets the queue's `_default_message_ttl`. If the queue has none, the
    /// message lives until it is deleted ([`Ttl::Forever`](crate::Ttl::Forever)), or an hour under
    /// [`Limits::zaqar`](crate::Limits::zaqar). A message without a delay gets the queue's
    /// `_default_message_delay`, or no delay.
    ///
    /// Cost: O(messages + bytes): one lock and one write to the journal. If every message has a ttl
    /// and a delay, the defaults are not looked up.
    ///
    /// Durability: a change. At [`Sync`](crate::Durability::Sync) the call also waits for one
    /// `fdatasync`, which it shares with other calls.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) if the queue is missing;
    /// [`is_invalid`](crate::Error::is_invalid) for a time outside the store's
    /// [`Limits`](crate::Limits) or after the year 9999;
    /// [`is_too_large`](crate::Error::is_too_large) for a body or the whole post;
    /// [`is_busy`](crate::Error::is_busy) if memory or the journal stays full for the
    /// [`busy_timeout`](crate::Config::busy_timeout); [`is_full`](crate::Error::is_full); the
    /// errors of [every change](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # let hour = std::time::Duration::from_secs(3600);
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// let messages = [NewMessage::new("a"), NewMessage::new("b").ttl(hour)];
    /// let ids = orders.post(ClientId::random(), &messages)?;
    /// assert_eq!(orders.get(&ids[0])?.ttl(), Ttl::Forever);
    /// assert_eq!(orders.get(&ids[1])?.ttl(), hour);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn post(&self, client: ClientId, messages: &[NewMessage]) -> Result<Vec<MessageId>> {
        self.driver().messages().post(&self.project, &self.name, client, &self.filled(messages)?)
    }

    /// The messages with the queue's defaults where they have no ttl or delay.
    pub(super) fn filled<'a>(&self, messages: &'a [NewMessage]) -> Result<Cow<'a, [NewMessage]>> {
        if is_complete(messages) {
            return Ok(messages.into());
        }
        let (ttl, delay) = self.defaults()?;
        Ok(messages.iter().map(|message| fill(message, ttl, delay)).collect())
    }

    /// The settings in the queue's record, if there is one.
    fn settings<R>(&self, look: impl FnOnce(&ParsedSettings) -> R) -> Result<Option<R>> {
        // The record is here, wherever the messages are.
        let record = self.control_store().enter()?.find(&self.project, &self.name)?;
        Ok(record.and_then(|record| record.description()).map(|description| look(&description.settings)))
    }

    /// Whether the queue itself says how long a message is delayed that is given back after so many claims: it has a
    /// policy, or the next claim moves the message to the dead-letter queue.
    pub(crate) fn decides_delay(&self, claims: u32) -> Result<bool> {
        let decides = |settings: &ParsedSettings| {
            settings.retry.is_some() || settings.most_claims().is_some_and(|most| claims >= most)
        };
        Ok(self.settings(decides)?.unwrap_or(false))
    }

    fn defaults(&self) -> Result<(Ttl, Duration)> {
        let control_store = self.control_store();
        let defaults = self.settings(|settings| (settings.default_ttl, settings.default_delay))?;
        let (ttl, delay) = defaults.unwrap_or_default();
        let ttl = ttl.map_or(control_store.limits.default_ttl(), |ttl| Duration::from_millis(ttl).into());
        Ok((ttl, delay.map_or(Duration::ZERO, Duration::from_millis)))
    }

    /// One page of live messages in the order of their posts (contract 6.2). [`iter`](Self::iter)
    /// goes through all pages.
    ///
    /// Cost: O(log messages + page), plus the client's own messages that are skipped. Reads
    /// messages that are not in memory from disk.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) if the queue is missing (a pooled driver gives
    /// an empty page); [`is_invalid`](crate::Error::is_invalid) for a limit outside the store's
    /// [`Limits`](crate::Limits); the errors of [every
    /// read](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// # orders.post(ClientId::random(), &[NewMessage::new("a"), NewMessage::new("b")])?;
    /// let page = orders.list(&MessageListOptions::new().limit(1))?;
    /// assert_eq!(page.items[0].body().as_bytes(), b"a");
    /// let rest = orders.list(&MessageListOptions::new().marker(page.next))?;
    /// assert_eq!(rest.items[0].body().as_bytes(), b"b");
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn list(&self, options: &MessageListOptions) -> Result<Page<Message, MessageMarker>> {
        self.driver().messages().list(&self.project, &self.name, options)
    }

    /// All messages that `options` let through, from their marker on. The iterator reads one page
    /// at a time; the `limit` of the options is not used. After an error the iterator ends.
    ///
    /// Cost: per page as [`list`](Self::list), with 100 messages a page, or 10 if the store's
    /// [`Limits`](crate::Limits) forbid that.
    ///
    /// # Errors
    /// each item may be an error of [`list`](Self::list).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// orders.post(ClientId::random(), &vec![NewMessage::new("work"); 250])?;
    /// let all: Vec<Message> = orders.iter(MessageListOptions::new()).collect::<Result<_>>()?;
    /// assert_eq!(all.len(), 250);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn iter(&self, options: MessageListOptions) -> impl Iterator<Item = Result<Message>> + '_ {
        self.clone().into_messages(options)
    }

    /// The oldest or the newest live message, even if it is claimed or delayed (contract 6.3).
    ///
    /// Cost: O(log messages). Reads the message from disk if it is not in memory.
    ///
    /// # Errors
    /// [`QueueIsEmpty`](crate::Error::QueueIsEmpty) if there is no message or no queue (a pooled
    /// driver gives [`QueueDoesNotExist`](crate::Error::QueueDoesNotExist) for a missing queue);
    /// the errors of [every read](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// # orders.post(ClientId::random(), &[NewMessage::new("a"), NewMessage::new("b")])?;
    /// assert_eq!(orders.first(Sort::Oldest)?.body().as_bytes(), b"a");
    /// assert_eq!(orders.first(Sort::Newest)?.body().as_bytes(), b"b");
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn first(&self, sort: Sort) -> Result<Message> {
        self.driver().messages().first(&self.project, &self.name, sort)
    }

    /// One message, even if it is claimed or delayed (contract 6.4).
    ///
    /// Cost: O(log messages). Reads the message from disk if it is not in memory.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) if the queue is missing, or if the message is
    /// missing, expired or in another queue; the errors of [every
    /// read](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// let ids = orders.post(ClientId::random(), &[NewMessage::new("a")])?;
    /// assert_eq!(orders.get(&ids[0])?.body().as_bytes(), b"a");
    /// assert!(orders.get(&MessageId::lossy("no id")).unwrap_err().is_not_found());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn get(&self, id: &MessageId) -> Result<Message> {
        self.driver().messages().get(&self.project, &self.name, id)
    }

    /// Why a message can or cannot be claimed at this instant, and since when: it is free, delayed,
    /// claimed, worn out, gone, or was never there. See [`Diagnostics::explain`](crate::Diagnostics::explain).
    ///
    /// Cost: O(log messages). Reads the message from disk if it is not in memory.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) if the queue is missing; the errors of [every
    /// read](crate::DataDriver#errors-of-every-call). A missing message is no error.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// let ids = orders.post(ClientId::random(), &[NewMessage::new("a")])?;
    /// assert!(orders.explain(&ids[0])?.is_claimable());
    /// orders.delete_message(&ids[0])?;
    /// assert_eq!(orders.explain(&ids[0])?.availability(), &Availability::Gone);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn explain(&self, id: &MessageId) -> Result<Explanation> {
        self.driver.extended().diagnostics().explain(&self.project, &self.name, id)
    }

    /// The given messages that exist, in the order of the ids. Missing ids are skipped; a missing
    /// queue gives an empty list (contract 6.5).
    ///
    /// Cost: O(ids × log messages). Reads messages that are not in memory from disk.
    ///
    /// # Errors
    /// [`is_too_large`](crate::Error::is_too_large) if the bodies together are over 128 MiB;
    /// [`is_invalid`](crate::Error::is_invalid) for a number of ids outside the store's
    /// [`Limits`](crate::Limits); the errors of [every
    /// read](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// let ids = orders.post(ClientId::random(), &[NewMessage::new("a"), NewMessage::new("b")])?;
    /// let found = orders.bulk_get(&[ids[1], ids[0]])?;
    /// assert_eq!(found[0].body().as_bytes(), b"b");
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn bulk_get(&self, ids: &[MessageId]) -> Result<Vec<Message>> {
        self.driver().messages().bulk_get(&self.project, &self.name, ids)
    }

    /// Deletes a message that is not claimed. A missing message or queue is no error (contract
    /// 6.6). To delete a claimed message, use [`Claim::delete`](crate::Claim::delete).
    ///
    /// Cost: O(log messages).
    ///
    /// Durability: a change, durable even if there was no message.
    ///
    /// # Errors
    /// [`is_not_permitted`](crate::Error::is_not_permitted) if the message is under a live claim;
    /// the errors of [every change](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// let ids = orders.post(ClientId::random(), &[NewMessage::new("a")])?;
    /// orders.delete_message(&ids[0])?;
    /// orders.delete_message(&ids[0])?;
    /// assert_eq!(orders.stats()?.total(), 0);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn delete_message(&self, id: &MessageId) -> Result<()> {
        self.driver().messages().delete(&self.project, &self.name, id, None)
    }

    /// Deletes the given messages that exist, claimed ones too, in one step. Missing ids and a
    /// missing queue are no error (contract 6.7).
    ///
    /// Cost: O(ids × log messages).
    ///
    /// Durability: a change, durable even if there was no message.
    ///
    /// # Errors
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
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// let ids = orders.post(ClientId::random(), &[NewMessage::new("a"), NewMessage::new("b")])?;
    /// let _claim = orders.claim(ClaimOptions::new().limit(1))?;
    /// orders.bulk_delete(&ids)?;
    /// assert_eq!(orders.stats()?.total(), 0);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn bulk_delete(&self, ids: &[MessageId]) -> Result<()> {
        self.driver().messages().bulk_delete(&self.project, &self.name, ids, &[])
    }

    /// Removes and returns the oldest messages that a claim would take: at most `limit`, and at
    /// most 1 MiB of bodies and headers beyond the first message. Nothing to take, or no queue, gives an empty
    /// list (contract 6.8).
    ///
    /// A popped message is deleted. If the worker may die before the work is done, use
    /// [`claim`](Self::claim).
    ///
    /// Cost: O(limit + log messages). Reads messages that are not in memory from disk.
    ///
    /// Durability: a change. The call does not wait for a sync if there was nothing to take.
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) for a limit of 0 or outside the store's
    /// [`Limits`](crate::Limits); the errors of [every
    /// change](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// # orders.post(ClientId::random(), &[NewMessage::new("a"), NewMessage::new("b")])?;
    /// assert_eq!(orders.pop(1)?[0].body().as_bytes(), b"a");
    /// assert_eq!(orders.pop(10)?.len(), 1);
    /// assert!(orders.pop(10)?.is_empty());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn pop(&self, limit: usize) -> Result<Vec<Message>> {
        self.driver().messages().pop(&self.project, &self.name, limit)
    }
}

/// Whether no message needs a default of its queue.
pub(super) fn is_complete(messages: &[NewMessage]) -> bool {
    messages.iter().all(|message| message.ttl.is_some() && message.delay.is_some())
}

fn fill(message: &NewMessage, ttl: Ttl, delay: Duration) -> NewMessage {
    let mut filled = message.clone();
    filled.ttl.get_or_insert(ttl);
    filled.delay.get_or_insert(delay);
    filled
}
