//! Messages: a message to post, a stored message, and the options of a listing.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::time::age;
use super::{Body, Checksum, ClaimId, ClientId, MessageId, MessageMarker, Timestamp, Ttl};
use crate::model::error::{Error, Result};

/// A message to post: a body, how long it lives, and how long it is hidden at first.
///
/// Times are kept to the millisecond, rounded up. A ttl of zero is accepted; the message is then
/// expired at once.
///
/// ```
/// use std::time::Duration;
/// use zaqar_sled::NewMessage;
///
/// let bytes = NewMessage::new(b"42").ttl(Duration::from_secs(3600));
/// let json = NewMessage::json(&["order", "7"])?.delay(Duration::from_secs(5));
/// assert_eq!(bytes.ttl, Some(Duration::from_secs(3600).into()));
/// assert_eq!(json.ttl, None); // until it is deleted, unless the queue has a default
/// assert_eq!(json.body().as_bytes(), br#"["order", "7"]"#);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewMessage {
    body: Body,
    is_json: bool,
    /// How long the message lives from the post on. `None`: the handle fills in the queue's
    /// `_default_message_ttl`, or else [`Ttl::Forever`] (an hour under
    /// [`Limits::zaqar`](crate::Limits::zaqar)); the [`Messages`](crate::Messages) contract refuses
    /// the message.
    pub ttl: Option<Ttl>,
    /// How long the message is hidden from claims and plain listings; its ttl runs during the delay.
    /// `None`: the handle fills in the queue's `_default_message_delay`; else there is no delay.
    pub delay: Option<Duration>,
}

impl NewMessage {
    /// A message with these bytes, without a ttl and a delay.
    ///
    /// Cost: none; a body from a `Vec` or a `String` is not copied.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let message = NewMessage::new("42");
    /// assert_eq!(message.body().as_bytes(), b"42");
    /// assert_eq!((message.ttl, message.delay), (None, None));
    /// ```
    pub fn new(body: impl Into<Body>) -> Self {
        Self { body: body.into(), is_json: false, ttl: None, delay: None }
    }

    /// A message whose body is the value as JSON; see [`Body::json`].
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) if the value cannot be written as JSON.
    ///
    /// # Example
    ///
    /// ```
    /// let message = zaqar_sled::NewMessage::json(&("paid", 7))?;
    /// assert_eq!(message.body().as_bytes(), br#"["paid", 7]"#);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        Ok(Self { is_json: true, ..Self::new(Body::json(value)?) })
    }

    /// Sets how long the message lives from the post on. If it is not set, the queue decides.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # use std::time::Duration;
    /// let message = NewMessage::new("42").ttl(Duration::from_secs(60));
    /// assert_eq!(message.ttl, Some(Ttl::For(Duration::from_secs(60))));
    /// ```
    pub fn ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.ttl = Some(ttl.into());
        self
    }

    /// Sets how long the message is hidden after the post; `None` leaves it to the queue.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # use std::time::Duration;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::none(), "orders")?;
    /// # orders.create(Metadata::new())?;
    /// let later = NewMessage::new("42").delay(Duration::from_secs(60));
    /// orders.post(ClientId::random(), &[later])?;
    /// assert!(orders.claim(ClaimOptions::new())?.is_none()); // it is delayed
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn delay(mut self, delay: impl Into<Option<Duration>>) -> Self {
        self.delay = delay.into();
        self
    }

    /// The bytes that will be posted.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// assert_eq!(NewMessage::new("42").body(), &Body::from("42"));
    /// ```
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The ttl, if it has an end; zero otherwise.
    pub(crate) fn limited_ttl(&self) -> Duration {
        self.ttl.and_then(Ttl::duration).unwrap_or_default()
    }

    /// The checksum of the stored bytes, which for JSON are the text that Zaqar uses. JSON null has no checksum.
    pub(crate) fn checksum(&self) -> Option<Checksum> {
        let is_null = self.is_json && self.body.as_bytes() == b"null";
        (!is_null).then(|| Checksum::of(self.body.as_bytes()))
    }
}

/// A stored message, as it was when it was read (contract 6).
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// let orders = engine.queue(Project::none(), "orders")?;
/// orders.create(Metadata::new())?;
/// let ids = orders.post(ClientId::random(), &[NewMessage::new(b"42")])?;
/// let message = orders.first(Sort::Oldest)?;
/// assert_eq!((message.id(), message.body().as_bytes()), (ids[0], &b"42"[..]));
/// assert_eq!(message.marker(), MessageMarker::from(message.id()));
/// assert_eq!((message.claim_id(), message.claim_count()), (None, 0));
/// assert_eq!((message.first_claimed(), message.last_claimed()), (None, None));
/// assert_eq!(message.last_failure(), None);
/// assert_eq!((message.ttl(), message.age().as_secs()), (Ttl::Forever, 0));
/// assert!(message.created() > Timestamp::from_millis(0));
/// assert!(message.checksum().is_none()); // see Config::checksums
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    pub(crate) id: MessageId,
    pub(crate) created: Timestamp,
    pub(crate) read_at: Timestamp,
    /// In milliseconds; `FOREVER` if it has no end.
    pub(crate) ttl: u64,
    pub(crate) body: Body,
    pub(crate) claim: Option<ClaimId>,
    pub(crate) claim_count: u32,
    /// When it was claimed first and last, in milliseconds; 0 if it never was.
    pub(crate) claimed: (u64, u64),
    pub(crate) failure: Option<Arc<str>>,
    pub(crate) checksum: Option<Checksum>,
}

impl Message {
    /// The [`last_failure`](Self::last_failure) of a message whose claim ended by itself.
    pub const LEASE_RAN_OUT: &str = "lease ran out";

    /// The message's id, which names it in its queue permanently.
    pub fn id(&self) -> MessageId {
        self.id
    }

    /// The time since the post, in whole seconds, rounded down. The age may pass
    /// [`ttl`](Self::ttl), because a claim that extends a message's life counts from the claim, not
    /// from the post (contract 6).
    pub fn age(&self) -> Duration {
        age(self.created, self.read_at)
    }

    /// The ttl as posted, or as a claim extended it, in whole seconds, rounded up.
    pub fn ttl(&self) -> Ttl {
        Ttl::shown(self.ttl)
    }

    /// The instant of the post, to the millisecond.
    pub fn created(&self) -> Timestamp {
        self.created
    }

    /// The message's body. A clone of it shares the bytes.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The id of the live claim that the message is under; `None` if it is under none, also after
    /// its claim has expired.
    pub fn claim_id(&self) -> Option<ClaimId> {
        self.claim
    }

    /// The number of times the message has been claimed, including the present claim. A release keeps the
    /// count.
    pub fn claim_count(&self) -> u32 {
        self.claim_count
    }

    /// When the message was claimed first; `None` if it was never claimed. A dead letter keeps the
    /// times of its claims.
    pub fn first_claimed(&self) -> Option<Timestamp> {
        (self.claim_count > 0).then(|| Timestamp::from_millis(self.claimed.0))
    }

    /// When the message was claimed last; `None` if it was never claimed. A renewal is no claim.
    pub fn last_claimed(&self) -> Option<Timestamp> {
        (self.claim_count > 0).then(|| Timestamp::from_millis(self.claimed.1))
    }

    /// Why the message was last given back: the reason of [`Claim::retry`](crate::Claim::retry), or
    /// [`LEASE_RAN_OUT`](Self::LEASE_RAN_OUT) if a lease of it has ended by itself since. A dead
    /// letter keeps it.
    pub fn last_failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// The body's checksum, if the store is opened with [`checksums`](crate::Config::checksums) and
    /// the body is not JSON null.
    pub fn checksum(&self) -> Option<Checksum> {
        self.checksum
    }

    /// The position just after this message: a listing with it starts at the next one.
    pub fn marker(&self) -> MessageMarker {
        self.id.into()
    }
}

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
    /// The largest number of bytes of bodies beyond the first message. The page is then shorter,
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

    /// Sets the largest number of bytes of bodies beyond the first message; `None` means no limit.
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

/// The most bytes of bodies that a call returns beyond its first message, unless its options set another limit.
pub(crate) const MAX_BYTES: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_null_has_no_checksum_but_the_same_bytes_have() -> Result<()> {
        assert_eq!(NewMessage::json(&())?.checksum(), None);
        assert!(NewMessage::new("null").checksum().is_some());
        assert!(NewMessage::json(&0)?.checksum().is_some());
        Ok(())
    }

    #[test]
    fn ages_are_rounded_down_and_ttls_up() {
        let message = Message {
            id: MessageId::new(1, 2),
            created: Timestamp::from_millis(1000),
            read_at: Timestamp::from_millis(3999),
            ttl: 2001,
            body: Body::default(),
            claim: None,
            claim_count: 0,
            claimed: (0, 0),
            failure: None,
            checksum: None,
        };
        assert_eq!(message.age(), Duration::from_secs(2));
        assert_eq!(message.ttl(), Duration::from_secs(3));
        assert_eq!(message.marker(), MessageId::new(1, 2).into());
    }

    #[test]
    fn sorts_are_1_and_minus_1() {
        assert!(matches!(Sort::try_from(1), Ok(Sort::Oldest)));
        assert!(matches!(Sort::try_from(-1), Ok(Sort::Newest)));
        for sort in [0, 2, i32::MIN] {
            assert!(Sort::try_from(sort).unwrap_err().is_invalid());
        }
    }
}
