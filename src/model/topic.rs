//! Topics: the entries of a listing, and the statistics of one topic.

use super::{MessageStat, Metadata, QueueStats, TopicName};

/// A topic in a listing.
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// let prices = engine.topic(Project::none(), "prices")?;
/// prices.create(Metadata::new().with("owner", "eve")?)?;
/// let options = QueueListOptions::new().detailed(true);
/// for entry in engine.topics().list(&Project::none(), &options)? {
///     assert_eq!(entry.name().as_str(), "prices");
///     assert!(entry.metadata().is_some_and(|metadata| metadata.contains("owner")));
/// }
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopicEntry {
    pub(crate) name: TopicName,
    pub(crate) metadata: Option<Metadata>,
}

impl TopicEntry {
    /// The topic's name.
    pub fn name(&self) -> &TopicName {
        &self.name
    }

    /// The topic's metadata, if the listing was `detailed`.
    pub fn metadata(&self) -> Option<&Metadata> {
        self.metadata.as_ref()
    }
}

/// The number of a topic's messages at the instant of the call, and the ends of its list. Expired messages do not count.
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// let prices = engine.topic(Project::none(), "prices")?;
/// prices.create(Metadata::new())?;
/// let messages = [NewMessage::new("7.20"), NewMessage::new("7.25")];
/// let ids = prices.post(ClientId::random(), &messages)?;
/// let stats = prices.stats()?;
/// assert_eq!(stats.total(), 2);
/// assert_eq!(stats.oldest().map(MessageStat::id), Some(ids[0]));
/// assert_eq!(stats.newest().map(MessageStat::id), Some(ids[1]));
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TopicStats {
    total: u64,
    oldest: Option<MessageStat>,
    newest: Option<MessageStat>,
}

impl TopicStats {
    /// The number of live messages, delayed ones included.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The oldest message; `None` if there is none.
    pub fn oldest(&self) -> Option<&MessageStat> {
        self.oldest.as_ref()
    }

    /// The newest message; `None` if there is none.
    pub fn newest(&self) -> Option<&MessageStat> {
        self.newest.as_ref()
    }
}

impl From<QueueStats> for TopicStats {
    fn from(stats: QueueStats) -> Self {
        Self { total: stats.total(), oldest: stats.oldest, newest: stats.newest }
    }
}
