//! The messages of a topic by its handle.

use super::batch::Batch;
use super::topic::Topic;
use crate::model::error::Result;
use crate::model::{ClientId, Message, MessageId, MessageListOptions, MessageMarker, NewMessage, Page};

impl Topic {
    /// Posts messages to the topic and to all queues that are subscribed to it, as one change, and returns the messages' ids
    /// in the topic. A message without a ttl or a delay gets the topic's default: without one, it lives until it is deleted.
    ///
    /// Cost: that of a batch with one post for the topic and one for each subscribed queue; the bodies are written to the journal
    /// once.
    ///
    /// Durability: a change, whole.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) if the topic does not exist;
    /// [`is_paused`](crate::Error::is_paused) and [`is_full`](crate::Error::is_full) if the topic or a subscribed queue takes
    /// no messages now, in which case no queue gets any; [`is_too_large`](crate::Error::is_too_large) if the messages are too
    /// large, counted once for each queue; [`NotInOneStore`](crate::Error::NotInOneStore) in a pooled driver; those of
    /// [`Queue::post`](crate::Queue::post).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let prices = engine.topic(Project::none(), "prices")?;
    /// # prices.create(Metadata::new())?;
    /// let board = engine.queue(Project::none(), "board")?;
    /// board.create(Metadata::new())?;
    /// prices.subscribe(&board)?;
    /// let ids = prices.post(ClientId::random(), &[NewMessage::new("7.20")])?;
    /// assert_eq!(prices.get(&ids[0])?.body().as_bytes(), b"7.20");
    /// assert_eq!(board.stats()?.free(), 1);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn post(&self, client: ClientId, messages: &[NewMessage]) -> Result<Vec<MessageId>> {
        self.queue.post(client, messages)
    }

    /// One page of the topic's messages, the oldest first: [`Messages::list`](crate::Messages::list) has the rules. A reader
    /// that continues behind the page's marker misses no message and sees none twice.
    ///
    /// Cost: O(page).
    ///
    /// # Errors
    /// those of [`Queue::list`](crate::Queue::list).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let prices = engine.topic(Project::none(), "prices")?;
    /// # prices.create(Metadata::new())?;
    /// # prices.post(ClientId::random(), &[NewMessage::new("a"), NewMessage::new("b")])?;
    /// let page = prices.list(&MessageListOptions::new().limit(1))?;
    /// let rest = prices.list(&MessageListOptions::new().marker(page.next))?;
    /// assert_eq!(rest.items[0].body().as_bytes(), b"b");
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn list(&self, options: &MessageListOptions) -> Result<Page<Message, MessageMarker>> {
        self.queue.list(options)
    }

    /// The topic's messages, read page by page, from the marker of the options on.
    ///
    /// Cost: that of the pages.
    ///
    /// # Errors
    /// each item may be an error, as [`Queue::iter`](crate::Queue::iter) says.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let prices = engine.topic(Project::none(), "prices")?;
    /// # prices.create(Metadata::new())?;
    /// # prices.post(ClientId::random(), &[NewMessage::new("a"), NewMessage::new("b")])?;
    /// let all = prices.iter(MessageListOptions::new()).collect::<Result<Vec<Message>>>()?;
    /// assert_eq!(all.len(), 2);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn iter(&self, options: MessageListOptions) -> impl Iterator<Item = Result<Message>> + '_ {
        self.queue.iter(options)
    }

    /// One message of the topic.
    ///
    /// Cost: O(log messages).
    ///
    /// # Errors
    /// those of [`Queue::get`](crate::Queue::get).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let prices = engine.topic(Project::none(), "prices")?;
    /// # prices.create(Metadata::new())?;
    /// let ids = prices.post(ClientId::random(), &[NewMessage::new("a")])?;
    /// assert_eq!(prices.get(&ids[0])?.body().as_bytes(), b"a");
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn get(&self, id: &MessageId) -> Result<Message> {
        self.queue.get(id)
    }

    /// Deletes a message of the topic. Those that subscribed queues got stay. A message that does not exist is no error.
    ///
    /// Cost: O(log messages).
    ///
    /// Durability: a change, in both cases.
    ///
    /// # Errors
    /// those of [`Queue::delete_message`](crate::Queue::delete_message).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let prices = engine.topic(Project::none(), "prices")?;
    /// # prices.create(Metadata::new())?;
    /// let ids = prices.post(ClientId::random(), &[NewMessage::new("a")])?;
    /// prices.delete_message(&ids[0])?;
    /// assert_eq!(prices.stats()?.total(), 0);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn delete_message(&self, id: &MessageId) -> Result<()> {
        self.queue.delete_message(id)
    }
}

impl Batch {
    /// Posts messages to a topic and its subscribed queues, as [`Topic::post`] does.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let (jobs, prices) =
    /// #     (engine.queue(Project::none(), "jobs")?, engine.topic(Project::none(), "prices")?);
    /// # jobs.create(Metadata::new())?;
    /// # prices.create(Metadata::new())?;
    /// # jobs.post(ClientId::random(), &[NewMessage::new("compute")])?;
    /// let claim = jobs.claim(ClaimOptions::new())?.expect("a job waits");
    /// let mut batch = engine.batch();
    /// batch.publish(&prices, ClientId::random(), [NewMessage::new("7.20")]);
    /// batch.delete_all(&claim);
    /// batch.commit()?; // the price is published and the job is done, or neither
    /// assert_eq!((prices.stats()?.total(), jobs.stats()?.total()), (1, 0));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn publish(
        &mut self,
        topic: &Topic,
        client: ClientId,
        messages: impl IntoIterator<Item = NewMessage>,
    ) -> &mut Self {
        self.post(&topic.queue, client, messages)
    }
}
