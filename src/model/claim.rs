//! Claims: how to make one, and what one holds.

use std::time::Duration;

use super::time::{whole_seconds_down, whole_seconds_up};
use super::{ClaimId, Message};

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
}

impl ClaimOptions {
    /// 10 messages for 300 s, with 60 s of grace.
    pub fn new() -> Self {
        Self { ttl: Duration::from_mins(5), grace: Duration::from_mins(1), limit: 10 }
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
