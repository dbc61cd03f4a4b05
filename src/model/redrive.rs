//! Redrives: which dead letters go back, and where to.

use std::time::Duration;

use serde::Serialize;

use super::limits::check_times;
use super::time::millis;
use super::{DeadLetterOrigin, Limits, QueueName, Timestamp, Ttl};
use crate::model::error::{Error, Result};

/// Which dead letters of a queue are put back, and into which queue: by default all of them, each into
/// the queue that it comes from.
///
/// ```
/// use std::time::Duration;
/// use zaqar_sled::RedriveOptions;
///
/// let hour = Duration::from_secs(3600);
/// let options = RedriveOptions::new().older_than(hour).reason("timeout").limit(100);
/// assert_eq!((options.older_than, options.limit), (Some(hour), Some(100)));
/// assert_eq!(options.reason.as_deref(), Some("timeout"));
/// assert_eq!((options.to, options.source, options.ttl), (None, None, None));
/// assert!(!options.dry_run);
/// ```
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RedriveOptions {
    /// The queue that gets the messages, in the same project. `None`: each message goes to the queue that
    /// its [origin](crate::Message::dead_letter_origin) names.
    pub to: Option<QueueName>,
    /// Only dead letters of this queue.
    pub source: Option<QueueName>,
    /// Only dead letters that were moved at least this long ago.
    pub older_than: Option<Duration>,
    /// Only dead letters with this text in the reason that they were moved with. Upper and lower case are
    /// different.
    pub reason: Option<String>,
    /// The most messages that are moved.
    pub limit: Option<u64>,
    /// How long each message lives from now on. `None`: for the ttl that it had when it was moved here; a
    /// message that is no dead letter, for its ttl.
    pub ttl: Option<Ttl>,
    /// Only counts, and changes nothing.
    pub dry_run: bool,
}

impl RedriveOptions {
    /// All dead letters, each into the queue that it comes from.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// assert_eq!(RedriveOptions::new(), RedriveOptions::default());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the queue that gets the messages; `None` for the queue that each comes from. A message that
    /// is no dead letter goes there too, if no filter is set.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let repaired = QueueName::new("repaired")?;
    /// assert_eq!(RedriveOptions::new().to(repaired.clone()).to, Some(repaired));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn to(mut self, queue: impl Into<Option<QueueName>>) -> Self {
        self.to = queue.into();
        self
    }

    /// Leaves out what does not come from this queue; `None` for any.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let orders = QueueName::new("orders")?;
    /// assert_eq!(RedriveOptions::new().source(orders.clone()).source, Some(orders));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn source(mut self, queue: impl Into<Option<QueueName>>) -> Self {
        self.source = queue.into();
        self
    }

    /// Leaves out what was moved less than this ago; `None` for any age.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let minute = std::time::Duration::from_secs(60);
    /// assert_eq!(RedriveOptions::new().older_than(minute).older_than, Some(minute));
    /// ```
    pub fn older_than(mut self, age: impl Into<Option<Duration>>) -> Self {
        self.older_than = age.into();
        self
    }

    /// Leaves out what was not moved with a reason that contains this text.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let options = RedriveOptions::new().reason(Message::LEASE_RAN_OUT);
    /// assert_eq!(options.reason.as_deref(), Some("lease ran out"));
    /// ```
    pub fn reason(mut self, text: impl Into<String>) -> Self {
        self.reason = Some(text.into());
        self
    }

    /// Sets the most messages that are moved; `None` for all.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// assert_eq!(RedriveOptions::new().limit(1).limit, Some(1));
    /// ```
    pub fn limit(mut self, messages: impl Into<Option<u64>>) -> Self {
        self.limit = messages.into();
        self
    }

    /// Sets how long each message lives from now on; `None` for the ttl that it had when it was moved here.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// assert_eq!(RedriveOptions::new().ttl(Ttl::Forever).ttl, Some(Ttl::Forever));
    /// ```
    pub fn ttl(mut self, ttl: impl Into<Option<Ttl>>) -> Self {
        self.ttl = ttl.into();
        self
    }

    /// Sets whether the messages are only counted.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// assert!(RedriveOptions::new().dry_run(true).dry_run);
    /// ```
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// Checks the options of a redrive of `queue`.
    pub(crate) fn check(&self, queue: &QueueName, limits: &Limits, now: Timestamp) -> Result<()> {
        limits.check_queue_name(queue)?;
        self.to.as_ref().map_or(Ok(()), |to| limits.check_queue_name(to))?;
        for (name, queue) in [("queue", Some(queue)), ("to", self.to.as_ref())] {
            if queue.is_some_and(QueueName::is_topic) {
                return Err(Error::invalid(name, "is a topic, which has no dead letters"));
            }
        }
        if self.to.as_ref() == Some(queue) {
            return Err(Error::invalid("to", "a queue cannot be moved into itself"));
        }
        let Some(ttl) = self.ttl else { return Ok(()) };
        if ttl == Ttl::For(Duration::ZERO) {
            return Err(Error::invalid("ttl", "would delete the messages"));
        }
        limits.check_message_ttl(ttl)?;
        check_times(now, "ttl", &[ttl.duration().unwrap_or_default()])
    }

    /// Whether a message with that origin, or without one, is among those to move at `now`.
    pub(crate) fn admits(&self, origin: Option<&DeadLetterOrigin>, now: Timestamp) -> bool {
        let Some(origin) = origin else {
            return self.source.is_none() && self.older_than.is_none() && self.reason.is_none();
        };
        let reason = origin.reason.as_deref().unwrap_or_default();
        self.source.as_ref().is_none_or(|source| origin.queue == *source)
            && self.older_than.is_none_or(|age| now.since(origin.moved) >= Duration::from_millis(millis(age)))
            && self.reason.as_ref().is_none_or(|text| reason.contains(text.as_str()))
    }

    /// The queue that a message of `queue` with that origin goes to; `None` if there is none.
    pub(crate) fn target<'a>(
        &'a self,
        queue: &QueueName,
        origin: Option<&'a DeadLetterOrigin>,
    ) -> Option<&'a QueueName> {
        self.to.as_ref().or_else(|| origin.map(|origin| &origin.queue)).filter(|target| *target != queue)
    }
}

/// What a redrive has moved.
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// let dead = engine.queue(Project::none(), "dead")?;
/// dead.create(Metadata::new())?;
/// dead.post(ClientId::random(), &[NewMessage::new("posted here")])?;
/// let outcome = dead.redrive(&RedriveOptions::new())?;
/// assert_eq!((outcome.moved(), outcome.stranded()), (0, 1)); // it comes from no queue
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct RedriveOutcome {
    pub(crate) moved: u64,
    pub(crate) stranded: u64,
}

impl RedriveOutcome {
    /// The number of messages moved; of a dry run, that would be moved.
    pub fn moved(&self) -> u64 {
        self.moved
    }

    /// The number of messages that stay although they were chosen, because the queue that they come from
    /// does not exist any more, or is not known. [`RedriveOptions::to`] moves them. If the limit
    /// is reached, only those before the first message that stays because of it are counted.
    pub fn stranded(&self) -> u64 {
        self.stranded
    }
}
