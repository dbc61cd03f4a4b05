//! Messages: a message to post, and a stored message.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::time::age;
use super::{Body, Checksum, ClaimId, DeadLetterOrigin, Envelope, Headers, MessageId, MessageMarker, Timestamp, Ttl};
use crate::model::error::Result;

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
    /// Names and values that travel with the message.
    pub headers: Headers,
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
        Self { body: body.into(), is_json: false, ttl: None, delay: None, headers: Headers::new() }
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

    /// Adds a header behind the others.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let message = NewMessage::new("42").header("customer", "ann").header("tried", "a");
    /// assert_eq!(message.headers.get("tried"), Some("a"));
    /// ```
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers = self.headers.with(name, value);
        self
    }

    /// Sets all headers.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let message = NewMessage::new("42").headers([("customer", "ann")].into_iter().collect());
    /// assert_eq!(message.headers.len(), 1);
    /// ```
    pub fn headers(mut self, headers: Headers) -> Self {
        self.headers = headers;
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

    /// Bytes of its body and its headers.
    pub(crate) fn size(&self) -> u64 {
        (self.body.len() as u64).saturating_add(self.headers.bytes())
    }

    /// The ttl, if it has an end; zero otherwise.
    pub(crate) fn limited_ttl(&self) -> Duration {
        self.ttl.and_then(Ttl::duration).unwrap_or_default()
    }

    /// The checksum of the stored bytes, which for JSON are the text that Zaqar uses. JSON null has no checksum.
    pub(crate) fn checksum(&self) -> Option<Checksum> {
        self.can_have_checksum().then(|| Checksum::of(self.body.as_bytes()))
    }

    pub(crate) fn can_have_checksum(&self) -> bool {
        !(self.is_json && self.body.as_bytes() == b"null")
    }

    /// Whether it expires with its post, and so takes no room.
    pub(crate) fn expires_at_once(&self) -> bool {
        self.ttl.and_then(Ttl::duration) == Some(Duration::ZERO)
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
/// assert!(message.headers().is_empty() && message.dead_letter_origin().is_none());
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
    /// `None` for an empty one.
    pub(crate) envelope: Option<Arc<Envelope>>,
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
    /// count; a [redrive](crate::DeadLetters::redrive) begins a new one.
    pub fn claim_count(&self) -> u32 {
        self.claim_count
    }

    /// When the message was claimed first; `None` if it was never claimed, or not since
    /// it was put back. A dead letter keeps the times of its claims.
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

    /// The headers that the message was posted with.
    pub fn headers(&self) -> &Headers {
        &self.envelope().headers
    }

    /// Where the message comes from, if it is a dead letter: if a claim moved it to the queue that it is
    /// in.
    pub fn dead_letter_origin(&self) -> Option<&DeadLetterOrigin> {
        self.envelope().origin.as_ref()
    }

    fn envelope(&self) -> &Envelope {
        self.envelope.as_deref().unwrap_or(const { &Envelope::EMPTY })
    }

    /// The position just after this message: a listing with it starts at the next one.
    pub fn marker(&self) -> MessageMarker {
        self.id.into()
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
            envelope: None,
        };
        assert_eq!(message.age(), Duration::from_secs(2));
        assert_eq!(message.ttl(), Duration::from_secs(3));
        assert_eq!(message.marker(), MessageId::new(1, 2).into());
    }
}
