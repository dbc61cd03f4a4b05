//! Queues: the options of a listing, its entries, and the statistics of one queue.

use std::time::Duration;

use super::time::age;
use super::{ClaimRate, MessageId, Metadata, QueueMarker, QueueName, Timestamp};

/// Which queues to list, and whether with their metadata.
///
/// ```
/// use zaqar_sled::QueueListOptions;
///
/// let options = QueueListOptions::new().limit(0).detailed(true).name_contains("order");
/// assert_eq!((options.limit, options.detailed), (0, true));
/// assert_eq!(options.name_contains.as_deref(), Some("order"));
/// ```
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueueListOptions {
    /// The name after which the page starts; `None` is the start.
    pub marker: Option<QueueMarker>,
    /// The largest number of queues; 0 means no limit. 10 unless set.
    pub limit: usize,
    /// Whether the entries come with the queues' metadata.
    pub detailed: bool,
    /// Only queues whose name contains this text.
    pub name_contains: Option<String>,
    /// Only queues whose metadata has every key of the filter with an equal value.
    pub metadata_filter: Option<Metadata>,
}

impl QueueListOptions {
    /// The first 10 queues, names only.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let options = QueueListOptions::new();
    /// assert_eq!((options.limit, options.detailed, options.marker), (10, false, None));
    /// ```
    pub fn new() -> Self {
        Self { marker: None, limit: 10, detailed: false, name_contains: None, metadata_filter: None }
    }

    /// Starts the page after this name; `None` starts at the first queue.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let all = Project::none();
    /// # for name in ["bills", "orders"] {
    /// #     let metadata = Metadata::new().with("owner", name)?;
    /// #     engine.queue(all.clone(), name)?.create(metadata)?;
    /// # }
    /// let first = engine.queues().list(&all, &QueueListOptions::new().limit(1))?;
    /// let rest = QueueListOptions::new().marker(first.next);
    /// assert_eq!(engine.queues().list(&all, &rest)?.items[0].name().as_str(), "orders");
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn marker(mut self, marker: impl Into<Option<QueueMarker>>) -> Self {
        self.marker = marker.into();
        self
    }

    /// Sets the largest number of queues; 0 means no limit.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let all = Project::none();
    /// # for name in ["bills", "orders"] {
    /// #     let metadata = Metadata::new().with("owner", name)?;
    /// #     engine.queue(all.clone(), name)?.create(metadata)?;
    /// # }
    /// let options = QueueListOptions::new().limit(1);
    /// assert_eq!(engine.queues().list(&all, &options)?.items.len(), 1); // of two queues
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Sets whether the entries come with the queues' metadata.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let all = Project::none();
    /// # for name in ["bills", "orders"] {
    /// #     let metadata = Metadata::new().with("owner", name)?;
    /// #     engine.queue(all.clone(), name)?.create(metadata)?;
    /// # }
    /// let page = engine.queues().list(&all, &QueueListOptions::new().detailed(true))?;
    /// assert!(page.items.iter().all(|queue| queue.metadata().is_some()));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn detailed(mut self, detailed: bool) -> Self {
        self.detailed = detailed;
        self
    }

    /// Lists only queues whose name contains this text, taken literally.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let all = Project::none();
    /// # for name in ["bills", "orders"] {
    /// #     let metadata = Metadata::new().with("owner", name)?;
    /// #     engine.queue(all.clone(), name)?.create(metadata)?;
    /// # }
    /// let options = QueueListOptions::new().name_contains("order");
    /// assert_eq!(engine.queues().list(&all, &options)?.items.len(), 1); // of two queues
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn name_contains(mut self, text: impl Into<String>) -> Self {
        self.name_contains = Some(text.into());
        self
    }

    /// Lists only queues whose metadata has every key of the filter with an equal value.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let all = Project::none();
    /// # for name in ["bills", "orders"] {
    /// #     let metadata = Metadata::new().with("owner", name)?;
    /// #     engine.queue(all.clone(), name)?.create(metadata)?;
    /// # }
    /// let of_bills = Metadata::new().with("owner", "bills")?;
    /// let options = QueueListOptions::new().metadata_filter(of_bills);
    /// assert_eq!(engine.queues().list(&all, &options)?.items.len(), 1); // of two queues
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn metadata_filter(mut self, filter: impl Into<Option<Metadata>>) -> Self {
        self.metadata_filter = filter.into();
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
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// let metadata = Metadata::new().with("owner", "ann")?;
/// engine.queue(Project::none(), "orders")?.create(metadata)?;
/// let options = QueueListOptions::new().detailed(true);
/// for entry in engine.queues().list(&Project::none(), &options)? {
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
    /// The queue's name.
    pub fn name(&self) -> &QueueName {
        &self.name
    }

    /// The queue's metadata, if the listing was `detailed`.
    pub fn metadata(&self) -> Option<&Metadata> {
        self.metadata.as_ref()
    }
}

/// The numbers of a queue's messages at the instant of the call (contract 5). Expired messages do not count.
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// # let orders = engine.queue(Project::none(), "orders")?;
/// # orders.create(Metadata::new())?;
/// orders.post(ClientId::random(), &[NewMessage::new(b"42")])?;
/// let stats = orders.stats()?;
/// assert_eq!((stats.free(), stats.claimed(), stats.total()), (1, 0, 1));
/// assert_eq!(stats.oldest(), stats.newest());
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct QueueStats {
    pub(crate) claimed: u64,
    pub(crate) free: u64,
    pub(crate) delayed: u64,
    pub(crate) expired: u64,
    pub(crate) oldest: Option<MessageStat>,
    pub(crate) newest: Option<MessageStat>,
    pub(crate) claim_rate: Option<ClaimRate>,
}

impl QueueStats {
    /// The number of messages under a live claim.
    pub fn claimed(&self) -> u64 {
        self.claimed
    }

    /// The number of messages under no live claim, delayed ones included.
    pub fn free(&self) -> u64 {
        self.free
    }

    /// The number of free messages that no claim takes yet, because their delay is not over.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # use std::{sync::Arc, time::Duration};
    /// # let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
    /// # let disk = Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).clock(clock.clone()).open("store")?;
    /// # let orders = engine.queue(Project::none(), "orders")?;
    /// # orders.create(Metadata::new())?;
    /// let later = NewMessage::new("42").delay(Duration::from_secs(5));
    /// orders.post(ClientId::random(), &[later, NewMessage::new("at once")])?;
    /// assert_eq!((orders.stats()?.free(), orders.stats()?.delayed()), (2, 1));
    /// clock.advance(Duration::from_secs(5));
    /// assert_eq!((orders.stats()?.free(), orders.stats()?.delayed()), (2, 0));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn delayed(&self) -> u64 {
        self.delayed
    }

    /// The number of live messages: claimed and free.
    pub fn total(&self) -> u64 {
        self.claimed.saturating_add(self.free)
    }

    /// The number of messages that have expired since the queue was created, or since its messages were last purged.
    /// No listing shows them. A move to another pool keeps the count.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # use std::{sync::Arc, time::Duration};
    /// # let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
    /// # let disk = Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).clock(clock.clone()).open("store")?;
    /// # let orders = engine.queue(Project::none(), "orders")?;
    /// # orders.create(Metadata::new())?;
    /// let minute = NewMessage::new("42").ttl(Duration::from_secs(60));
    /// orders.post(ClientId::random(), &[minute, NewMessage::new("kept until it is deleted")])?;
    /// clock.advance(Duration::from_secs(60));
    /// let stats = orders.stats()?;
    /// assert_eq!((stats.total(), stats.expired()), (1, 1));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn expired(&self) -> u64 {
        self.expired
    }

    /// The oldest message; `None` if there is none.
    pub fn oldest(&self) -> Option<&MessageStat> {
        self.oldest.as_ref()
    }

    /// The newest message; `None` if there is none.
    pub fn newest(&self) -> Option<&MessageStat> {
        self.newest.as_ref()
    }

    /// How many messages claims and pops may take, and from when on; `None` if the queue has no
    /// [claim rate](crate::QueueSettings::max_claims_per_second).
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # use std::sync::Arc;
    /// # let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
    /// # let disk = Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).clock(clock).open("store")?;
    /// # let orders = engine.queue(Project::none(), "orders")?;
    /// orders.create(QueueSettings::new().max_claims_per_second(1))?;
    /// orders.post(ClientId::random(), &[NewMessage::new("42"), NewMessage::new("43")])?;
    /// orders.pop(1)?;
    /// let rate = orders.stats()?.claim_rate().expect("the queue has one");
    /// assert_eq!(rate.available(), 0);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn claim_rate(&self) -> Option<ClaimRate> {
        self.claim_rate
    }
}

/// The oldest or the newest message in [`QueueStats`].
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// # let orders = engine.queue(Project::none(), "orders")?;
/// # orders.create(Metadata::new())?;
/// let ids = orders.post(ClientId::random(), &[NewMessage::new(b"42")])?;
/// let stats = orders.stats()?;
/// let oldest = stats.oldest().expect("there is one message");
/// assert_eq!((oldest.id(), oldest.age().as_secs()), (ids[0], 0));
/// assert!(oldest.created() > Timestamp::from_millis(0));
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MessageStat {
    pub(crate) id: MessageId,
    pub(crate) created: Timestamp,
    pub(crate) read_at: Timestamp,
}

impl MessageStat {
    /// The message's id.
    pub fn id(&self) -> MessageId {
        self.id
    }

    /// The time since the post, in whole seconds, rounded down.
    pub fn age(&self) -> Duration {
        age(self.created, self.read_at)
    }

    /// The instant of the post, to the millisecond.
    pub fn created(&self) -> Timestamp {
        self.created
    }
}

/// What to remove from a queue. The queue itself and its metadata stay.
///
/// ```
/// assert_eq!(zaqar_sled::Purge::default(), zaqar_sled::Purge::All);
/// ```
#[non_exhaustive]
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
