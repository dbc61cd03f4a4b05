//! What a project may hold, and what it holds.

use serde::{Deserialize, Serialize};

/// The most that a project may hold: queues, messages, and the bytes that the messages take. What is not set has no
/// limit. [`Projects::set_quota`](crate::Projects::set_quota) sets it and says what it means.
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// let shop = Project::named("shop")?;
/// let quota = ProjectQuota::new().max_queues(1).max_messages(1_000).max_bytes(1 << 20);
/// engine.projects().set_quota(&shop, &quota)?;
/// assert!(engine.queue(shop.clone(), "orders")?.create(Metadata::new())?);
/// let refused = engine.queue(shop, "invoices")?.create(Metadata::new());
/// assert!(refused.unwrap_err().is_full());
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ProjectQuota {
    /// The most queues and topics.
    #[serde(default)]
    pub max_queues: Option<u64>,
    /// The most messages in all of them.
    #[serde(default)]
    pub max_messages: Option<u64>,
    /// The most bytes that these messages take.
    #[serde(default)]
    pub max_bytes: Option<u64>,
}

impl ProjectQuota {
    /// No limit of anything.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// assert!(ProjectQuota::new().is_unlimited());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the most queues and topics that the project may have. 0 lets nobody create one.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// assert_eq!(ProjectQuota::new().max_queues(8).max_queues, Some(8));
    /// ```
    pub fn max_queues(mut self, queues: impl Into<Option<u64>>) -> Self {
        self.max_queues = queues.into();
        self
    }

    /// Sets the most messages that the project's queues and topics may hold together, whether free, delayed or claimed.
    /// Expired messages do not count.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// assert_eq!(ProjectQuota::new().max_messages(1_000).max_messages, Some(1_000));
    /// ```
    pub fn max_messages(mut self, messages: impl Into<Option<u64>>) -> Self {
        self.max_messages = messages.into();
        self
    }

    /// Sets the most bytes that these messages may take: for each its body, its headers as they are stored, and 64
    /// bytes, and 16 more with a checksum, as in [`QueueSettings::max_bytes`](crate::QueueSettings::max_bytes).
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// assert_eq!(ProjectQuota::new().max_bytes(64 << 20).max_bytes, Some(64 << 20));
    /// ```
    pub fn max_bytes(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.max_bytes = bytes.into();
        self
    }

    /// Whether nothing is limited: the project then has no quota.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// assert!(!ProjectQuota::new().max_queues(8).is_unlimited());
    /// assert!(ProjectQuota::new().max_queues(8).max_queues(None).is_unlimited());
    /// ```
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }
}

/// What a project holds at the instant of the call. Expired messages do not count.
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// let shop = Project::named("shop")?;
/// let orders = engine.queue(shop.clone(), "orders")?;
/// orders.create(Metadata::new())?;
/// orders.post(ClientId::random(), &[NewMessage::new("coffee"), NewMessage::new("tea")])?;
/// let usage = engine.projects().usage(&shop)?;
/// assert_eq!((usage.queues(), usage.messages()), (1, 2));
/// assert_eq!(usage.bytes(), 6 + 3 + 2 * 64);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct ProjectUsage {
    pub(crate) queues: u64,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

impl ProjectUsage {
    /// The number of the project's queues and topics.
    pub fn queues(&self) -> u64 {
        self.queues
    }

    /// The number of messages in them.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// The bytes that these messages take, as [`ProjectQuota::max_bytes`] counts them.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}
