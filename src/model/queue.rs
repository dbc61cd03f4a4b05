//! Queues: how to list them, and what is told about one.

use std::time::Duration;

use super::time::age;
use super::{MessageId, Metadata, QueueMarker, QueueName, Timestamp};

/// Which queues to list, and what to tell of each.
///
/// ```
/// use zaqar_sled::QueueListOptions;
///
/// let options = QueueListOptions::new().limit(0).detailed(true).name_contains("order");
/// assert_eq!(options.limit, 0);
/// ```
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueueListOptions {
    /// Where to go on from; `None` is the first name.
    pub marker: Option<QueueMarker>,
    /// At most so many queues; 0 is no limit. 10 unless set.
    pub limit: usize,
    /// Whether entries come with their metadata.
    pub detailed: bool,
    /// Only queues whose name has this text in it.
    pub name_contains: Option<String>,
    /// Only queues whose metadata has every one of these keys, with an equal value.
    pub metadata_filter: Option<Metadata>,
}

impl QueueListOptions {
    /// The first 10 queues, names only.
    pub fn new() -> Self {
        Self { marker: None, limit: 10, detailed: false, name_contains: None, metadata_filter: None }
    }

    /// Goes on from a marker; `None` starts at the first name.
    pub fn marker(mut self, marker: impl Into<Option<QueueMarker>>) -> Self {
        self.marker = marker.into();
        self
    }

    /// At most so many queues; 0 is no limit.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Asks for metadata too.
    pub fn detailed(mut self, detailed: bool) -> Self {
        self.detailed = detailed;
        self
    }

    /// Only queues whose name has this text in it, taken literally.
    pub fn name_contains(mut self, text: impl Into<String>) -> Self {
        self.name_contains = Some(text.into());
        self
    }

    /// Only queues whose metadata has every key of the filter, with an equal value.
    pub fn metadata_filter(mut self, filter: Metadata) -> Self {
        self.metadata_filter = Some(filter);
        self
    }
}

impl Default for QueueListOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// One queue of a listing.
///
/// ```
/// # use zaqar_sled::{Config, DataDriver, Metadata, Project, QueueListOptions, SimulatedDisk};
/// # let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
/// engine.queue(Project::none(), "orders")?.create(Metadata::new().with("owner", "ann")?)?;
/// let page = engine.queues().list(&Project::none(), &QueueListOptions::new().detailed(true))?;
/// for entry in page {
///     assert_eq!(entry.name().as_str(), "orders");
///     assert!(entry.metadata().is_some_and(|metadata| metadata.contains("owner")));
/// }
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueueEntry {
    pub(crate) name: QueueName,
    pub(crate) metadata: Option<Metadata>,
}

impl QueueEntry {
    /// Its name.
    pub fn name(&self) -> &QueueName {
        &self.name
    }

    /// Its metadata, if the listing was `detailed`.
    pub fn metadata(&self) -> Option<&Metadata> {
        self.metadata.as_ref()
    }
}

/// How many messages a queue held at the instant of the call. Expired ones do not count.
///
/// ```
/// # use zaqar_sled::{ClientId, Config, Metadata, NewMessage, Project, SimulatedDisk};
/// # let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
/// # let orders = engine.queue(Project::none(), "orders")?;
/// # orders.create(Metadata::new())?;
/// orders.post(ClientId::random(), &[NewMessage::new(b"42")])?;
/// let stats = orders.stats()?;
/// assert_eq!((stats.free(), stats.claimed(), stats.total()), (1, 0, 1));
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct QueueStats {
    pub(crate) claimed: u64,
    pub(crate) free: u64,
    pub(crate) oldest: Option<MessageStat>,
    pub(crate) newest: Option<MessageStat>,
}

impl QueueStats {
    /// Messages under a live claim.
    pub fn claimed(&self) -> u64 {
        self.claimed
    }

    /// Messages under none, delayed ones included.
    pub fn free(&self) -> u64 {
        self.free
    }

    /// All live messages.
    pub fn total(&self) -> u64 {
        self.claimed.saturating_add(self.free)
    }

    /// The first message; `None` when there is none.
    pub fn oldest(&self) -> Option<&MessageStat> {
        self.oldest.as_ref()
    }

    /// The last message; `None` when there is none.
    pub fn newest(&self) -> Option<&MessageStat> {
        self.newest.as_ref()
    }
}

/// What [`QueueStats`] tell of a message.
///
/// ```
/// # use zaqar_sled::{ClientId, Config, Metadata, NewMessage, Project, SimulatedDisk};
/// # let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
/// # let orders = engine.queue(Project::none(), "orders")?;
/// # orders.create(Metadata::new())?;
/// let ids = orders.post(ClientId::random(), &[NewMessage::new(b"42")])?;
/// assert_eq!(orders.stats()?.oldest().map(|message| message.id()), ids.first().copied());
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MessageStat {
    pub(crate) id: MessageId,
    pub(crate) created: Timestamp,
    pub(crate) read_at: Timestamp,
}

impl MessageStat {
    /// Its id.
    pub fn id(&self) -> MessageId {
        self.id
    }

    /// The time since the post, in whole seconds, rounded down.
    pub fn age(&self) -> Duration {
        age(self.created, self.read_at)
    }

    /// When it was posted.
    pub fn created(&self) -> Timestamp {
        self.created
    }
}

/// What to clear out of a queue. The queue itself and its metadata stay.
///
/// ```
/// assert_eq!(zaqar_sled::Purge::default(), zaqar_sled::Purge::All);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Purge {
    /// All messages, claimed and delayed ones too, and all claims.
    Messages,
    /// All subscriptions.
    Subscriptions,
    /// Both.
    #[default]
    All,
}
