//! The options of a listing of messages.

use super::{ClientId, MessageMarker};
use crate::model::error::{Error, Result};

/// Which messages to list, and how many.
///
/// ```
/// use zaqar_sled::{ClientId, MessageListOptions};
///
/// let mine = ClientId::random();
/// let options = MessageListOptions::new().limit(100).client(mine).include_claimed(true);
/// assert_eq!((options.limit, options.client), (100, Some(mine)));
/// assert!(options.include_claimed && !options.include_delayed && !options.echo);
/// ```
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MessageListOptions {
    /// The position after which the page starts; `None` is the head of the queue.
    pub marker: Option<MessageMarker>,
    /// The largest number of messages; 0 means no limit. 10 unless set.
    pub limit: usize,
    /// The largest number of bytes of bodies and headers beyond the first message. The page is then shorter,
    /// and its marker continues as always. 1 MiB unless set; no bound if `limit` is 0, which asks
    /// for all messages.
    pub max_bytes: Option<u64>,
    /// Whether the client's own messages are listed too.
    pub echo: bool,
    /// The client whose messages are left out unless `echo` is set; `None` leaves out no messages.
    pub client: Option<ClientId>,
    /// Whether messages under a live claim are listed too.
    pub include_claimed: bool,
    /// Whether messages whose delay has not passed are listed too.
    pub include_delayed: bool,
}

impl MessageListOptions {
    /// The first 10 messages that are neither claimed nor delayed, of all clients.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let options = MessageListOptions::new();
    /// assert_eq!((options.limit, options.max_bytes, options.marker), (10, None, None));
    /// ```
    pub fn new() -> Self {
        Self {
            marker: None,
            limit: 10,
            max_bytes: None,
            echo: false,
            client: None,
            include_claimed: false,
            include_delayed: false,
        }
    }

    /// Starts the page after this position; `None` starts at the head of the queue.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::none(), "orders")?;
    /// # orders.create(Metadata::new())?;
    /// let ids = orders.post(ClientId::random(), &vec![NewMessage::new("42"); 2])?;
    /// let after_first = MessageListOptions::new().marker(MessageMarker::from(ids[0]));
    /// assert_eq!(orders.list(&after_first)?.items[0].id(), ids[1]);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn marker(mut self, marker: impl Into<Option<MessageMarker>>) -> Self {
        self.marker = marker.into();
        self
    }

    /// Sets the largest number of messages; 0 means no limit.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::none(), "orders")?;
    /// # orders.create(Metadata::new())?;
    /// orders.post(ClientId::random(), &vec![NewMessage::new("42"); 20])?;
    /// assert_eq!(orders.list(&MessageListOptions::new().limit(15))?.items.len(), 15);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Sets the largest number of bytes of bodies and headers beyond the first message; `None` means no limit.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::none(), "orders")?;
    /// # orders.create(Metadata::new())?;
    /// orders.post(ClientId::random(), &vec![NewMessage::new("42"); 9])?;
    /// let page = orders.list(&MessageListOptions::new().max_bytes(4))?;
    /// assert_eq!(page.items.len(), 3); // the first, and 4 bytes beyond it
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn max_bytes(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.max_bytes = bytes.into();
        self
    }

    /// Sets whether the client's own messages are listed too.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::none(), "orders")?;
    /// # orders.create(Metadata::new())?;
    /// let me = ClientId::random();
    /// orders.post(me, &[NewMessage::new("42")])?;
    /// let others = MessageListOptions::new().client(me);
    /// assert!(orders.list(&others)?.items.is_empty());
    /// assert_eq!(orders.list(&others.echo(true))?.items.len(), 1);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn echo(mut self, echo: bool) -> Self {
        self.echo = echo;
        self
    }

    /// Sets the client that lists. Its own messages are left out unless [`echo`](Self::echo) is
    /// set. `None` lists everybody's.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::none(), "orders")?;
    /// # orders.create(Metadata::new())?;
    /// let me = ClientId::random();
    /// orders.post(me, &[NewMessage::new("42")])?;
    /// assert!(orders.list(&MessageListOptions::new().client(me))?.items.is_empty());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn client(mut self, client: impl Into<Option<ClientId>>) -> Self {
        self.client = client.into();
        self
    }

    /// Sets whether messages under a live claim are listed too.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::none(), "orders")?;
    /// # orders.create(Metadata::new())?;
    /// orders.post(ClientId::random(), &[NewMessage::new("42")])?;
    /// let _claim = orders.claim(ClaimOptions::new())?;
    /// let options = MessageListOptions::new();
    /// assert!(orders.list(&options)?.items.is_empty());
    /// assert_eq!(orders.list(&options.include_claimed(true))?.items.len(), 1);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn include_claimed(mut self, include: bool) -> Self {
        self.include_claimed = include;
        self
    }

    /// Sets whether messages whose delay has not passed are listed too.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::none(), "orders")?;
    /// # orders.create(Metadata::new())?;
    /// let later = NewMessage::new("42").delay(std::time::Duration::from_secs(60));
    /// orders.post(ClientId::random(), &[later])?;
    /// let options = MessageListOptions::new();
    /// assert!(orders.list(&options)?.items.is_empty());
    /// assert_eq!(orders.list(&options.include_delayed(true))?.items.len(), 1);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn include_delayed(mut self, include: bool) -> Self {
        self.include_delayed = include;
        self
    }
}

impl Default for MessageListOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// The end of a queue to look from.
///
/// ```
/// use zaqar_sled::Sort;
///
/// assert_eq!(Sort::try_from(-1)?, Sort::Newest);
/// assert!(Sort::try_from(0).unwrap_err().is_invalid());
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Sort {
    /// The oldest first: Zaqar's 1.
    #[default]
    Oldest,
    /// The newest first: Zaqar's -1.
    Newest,
}

impl TryFrom<i32> for Sort {
    type Error = Error;

    fn try_from(sort: i32) -> Result<Self> {
        match sort {
            1 => Ok(Self::Oldest),
            -1 => Ok(Self::Newest),
            _ => Err(Error::invalid("sort", "must be 1 or -1")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_are_1_and_minus_1() {
        assert!(matches!(Sort::try_from(1), Ok(Sort::Oldest)));
        assert!(matches!(Sort::try_from(-1), Ok(Sort::Newest)));
        for sort in [0, 2, i32::MIN] {
            assert!(Sort::try_from(sort).unwrap_err().is_invalid());
        }
    }
}
