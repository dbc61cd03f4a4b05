//! Claims: how to make one, and what one holds.

use std::time::Duration;

use super::time::{whole_seconds_down, whole_seconds_up};
use super::{ClaimId, MAX_BYTES, Message};

/// How long to hold messages, by how much to lengthen their lives, and how many to take.
///
/// A message that would expire before the claim does gets a new ttl, counted from now: the claim's
/// plus the grace, so that a worker who is in time finds it still there. Others are left alone.
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
    /// How long the claim lives. 300 s unless set.
    pub ttl: Duration,
    /// How far past the claim's end a message that would expire before it then lives. 60 s unless
    /// set.
    pub grace: Duration,
    /// At most so many messages, at least 1. 10 unless set.
    pub limit: usize,
    /// At most so many bytes of bodies beyond the first message's; what has no room is left to the next claim. 1 MiB unless
    /// set, so that a claim on large messages takes no more memory than one of them and that.
    pub max_bytes: u64,
}

impl ClaimOptions {
    /// 10 messages for 300 s, with 60 s of grace, and 1 MiB beyond the first message.
    pub fn new() -> Self {
        Self { ttl: Duration::from_mins(5), grace: Duration::from_mins(1), limit: 10, max_bytes: MAX_BYTES }
    }

    /// Sets how long the claim lives.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Sets how far past the claim's end short-lived messages then live.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Sets how many messages to take at most.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }
}

impl ClaimOptions {
    /// Sets how many bytes of bodies to take at most beyond the first message's.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use zaqar_sled::{ClaimOptions, ClientId, Config, Metadata, NewMessage, Project, SimulatedDisk};
    /// # let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
    /// # let films = engine.queue(Project::none(), "films")?;
    /// # films.create(Metadata::new())?;
    /// films.post(ClientId::random(), &vec![NewMessage::new(vec![0; 2 << 20]); 3])?;
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

/// A claim as it was when it was made or read: a plain record, unlike the `Claim` handle.
///
/// ```
/// # use zaqar_sled::{Claims, ClaimOptions, Config, DataDriver, Metadata, NewMessage, Project, SimulatedDisk};
/// # let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
/// # let (project, name) = (Project::none(), "orders".parse()?);
/// # let orders = engine.queue(project.clone(), "orders")?;
/// # orders.create(Metadata::new())?;
/// # orders.post(zaqar_sled::ClientId::random(), &[NewMessage::new(b"42")])?;
/// if let Some(claim) = engine.claims().create(&project, &name, &ClaimOptions::new())? {
///     assert_eq!(claim.messages().len(), 1);
///     assert_eq!(claim.ttl().as_secs(), 300);
/// }
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
    /// Its id.
    pub fn id(&self) -> ClaimId {
        self.id
    }

    /// The ttl it was last given, in whole seconds, rounded up.
    pub fn ttl(&self) -> Duration {
        whole_seconds_up(self.ttl)
    }

    /// The time since it was made or last renewed, in whole seconds, rounded down.
    pub fn age(&self) -> Duration {
        whole_seconds_down(self.age)
    }

    /// The live messages under it, oldest first.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// The same, taken out of the record.
    pub fn into_messages(self) -> Vec<Message> {
        self.messages
    }
}
