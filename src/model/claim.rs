//! Claims: the options of a claim, and the record of one.

use std::time::Duration;

use super::time::{whole_seconds_down, whole_seconds_up};
use super::{ClaimId, ClaimMarker, MAX_BYTES, Message, Timestamp};

/// How long to hold messages, how far to extend their lives, and how many to take (contract 7.1).
///
/// A message that would expire before the claim gets a new ttl from now: the claim's ttl plus the
/// grace. So the message still exists for a worker that finishes in time. Other messages keep their ttl.
///
/// ```
/// use std::time::Duration;
/// use zaqar_sled::ClaimOptions;
///
/// let options = ClaimOptions::new().ttl(Duration::from_secs(30)).limit(1);
/// assert_eq!(options.grace, Duration::from_secs(60));
/// ```
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClaimOptions {
    /// How long the claim lasts. 300 s unless set.
    pub ttl: Duration,
    /// How much longer than the claim an extended message lives. 60 s unless set.
    pub grace: Duration,
    /// The largest number of messages, at least 1. 10 unless set.
    pub limit: usize,
    /// The largest number of bytes of bodies beyond the first message; messages beyond the limit
    /// stay for the next claim. 1 MiB unless set, so that a claim on large messages takes no more memory
    /// than the first message and 1 MiB.
    pub max_bytes: u64,
}

impl ClaimOptions {
    /// At most 10 messages for 300 s, with 60 s of grace, and 1 MiB beyond the first message.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # use std::time::Duration;
    /// let options = ClaimOptions::new();
    /// assert_eq!((options.limit, options.max_bytes), (10, 1 << 20));
    /// assert_eq!(options.ttl, Duration::from_secs(300));
    /// ```
    pub fn new() -> Self {
        Self { ttl: Duration::from_secs(300), grace: Duration::from_secs(60), limit: 10, max_bytes: MAX_BYTES }
    }

    /// Sets how long the claim lasts.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::none(), "orders")?;
    /// # orders.create(Metadata::new())?;
    /// orders.post(ClientId::random(), &[NewMessage::new("42")])?;
    /// let minute = std::time::Duration::from_secs(60);
    /// let claim = orders.claim(ClaimOptions::new().ttl(minute))?.expect("a message waits");
    /// assert_eq!(claim.ttl(), minute);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Sets how much longer than the claim an extended message lives.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::none(), "orders")?;
    /// # orders.create(Metadata::new())?;
    /// # use std::time::Duration;
    /// let short = NewMessage::new("42").ttl(Duration::from_secs(60));
    /// orders.post(ClientId::random(), &[short])?;
    /// let options = ClaimOptions::new().ttl(Duration::from_secs(90));
    /// let options = options.grace(Duration::from_secs(30));
    /// let claim = orders.claim(options)?.expect("a message waits");
    /// let longer = Duration::from_secs(120); // than it was posted with
    /// assert_eq!(claim.messages()[0].ttl(), longer);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Sets the largest number of messages.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::none(), "orders")?;
    /// # orders.create(Metadata::new())?;
    /// orders.post(ClientId::random(), &vec![NewMessage::new("42"); 3])?;
    /// let claim = orders.claim(ClaimOptions::new().limit(2))?.expect("messages wait");
    /// assert_eq!(claim.messages().len(), 2);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }
}

impl ClaimOptions {
    /// Sets the largest number of bytes of bodies beyond the first message.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let films = engine.queue(Project::none(), "films")?;
    /// # films.create(Metadata::new())?;
    /// let film = NewMessage::new(vec![0; 2 << 20]); // 2 MiB
    /// films.post(ClientId::random(), &[film.clone(), film.clone(), film])?;
    /// let one = films.claim(ClaimOptions::new())?.expect("three wait");
    /// assert_eq!(one.messages().len(), 1);
    /// let two = films.claim(ClaimOptions::new().max_bytes(8 << 20))?.expect("two wait");
    /// assert_eq!(two.messages().len(), 2);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }
}

impl Default for ClaimOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// A live claim of a listing: see [`Diagnostics::list_claims`](crate::Diagnostics::list_claims).
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// # let (project, name) = (Project::none(), "orders".parse()?);
/// # let orders = engine.queue(project.clone(), "orders")?;
/// # orders.create(Metadata::new())?;
/// # orders.post(ClientId::random(), &[NewMessage::new(b"42")])?;
/// let claim = orders.claim(ClaimOptions::new())?.expect("a message waits");
/// let page = engine.diagnostics().list_claims(&project, &name, &ListOptions::new())?;
/// let found = &page.items[0];
/// assert_eq!((found.id(), found.messages()), (claim.id(), 1));
/// assert_eq!((found.ttl().as_secs(), found.age().as_secs()), (300, 0));
/// assert!(found.expires() > claim.messages()[0].created());
/// assert_eq!(page.next, Some(found.marker()));
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClaimEntry {
    pub(crate) id: ClaimId,
    pub(crate) number: u64,
    /// In milliseconds.
    pub(crate) ttl: u64,
    /// In milliseconds.
    pub(crate) age: u64,
    pub(crate) expires: Timestamp,
    pub(crate) messages: u64,
}

impl ClaimEntry {
    /// The claim's id.
    pub fn id(&self) -> ClaimId {
        self.id
    }

    /// The ttl that the claim was created or last renewed with, in whole seconds, rounded up.
    pub fn ttl(&self) -> Duration {
        whole_seconds_up(self.ttl)
    }

    /// The time since the claim was created or last renewed, in whole seconds, rounded down.
    pub fn age(&self) -> Duration {
        whole_seconds_down(self.age)
    }

    /// The instant at which the claim ends, if it is not renewed.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// The number of the claim's live messages.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// The position just after this claim.
    pub fn marker(&self) -> ClaimMarker {
        ClaimMarker(self.number)
    }
}

/// A claim at the time it was created or read. Unlike the [`Claim`](crate::Claim) handle, the
/// record has no methods that change anything.
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// # let (project, name) = (Project::none(), "orders".parse()?);
/// # let orders = engine.queue(project.clone(), "orders")?;
/// # orders.create(Metadata::new())?;
/// # orders.post(ClientId::random(), &[NewMessage::new(b"42")])?;
/// let claim = engine.claims().create(&project, &name, &ClaimOptions::new())?;
/// let claim = claim.expect("a message waits");
/// assert_eq!((claim.ttl().as_secs(), claim.age().as_secs()), (300, 0));
/// assert_eq!(claim.messages()[0].claim_id(), Some(claim.id()));
/// assert_eq!(claim.into_messages().len(), 1);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClaimRecord {
    pub(crate) id: ClaimId,
    /// In milliseconds.
    pub(crate) ttl: u64,
    /// In milliseconds.
    pub(crate) age: u64,
    pub(crate) messages: Vec<Message>,
}

impl ClaimRecord {
    /// The claim's id.
    pub fn id(&self) -> ClaimId {
        self.id
    }

    /// The ttl that the claim was created or last renewed with, in whole seconds, rounded up.
    pub fn ttl(&self) -> Duration {
        whole_seconds_up(self.ttl)
    }

    /// The time since the claim was created or last renewed, in whole seconds, rounded down.
    pub fn age(&self) -> Duration {
        whole_seconds_down(self.age)
    }

    /// The live messages under the claim, oldest first.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// The live messages under the claim, taken out of the record.
    pub fn into_messages(self) -> Vec<Message> {
        self.messages
    }
}
