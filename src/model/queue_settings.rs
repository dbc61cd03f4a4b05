//! The settings of a queue or a topic as a builder of its reserved keys.

use std::time::Duration;

use serde::Serialize;

use super::settings::{
    DEAD_LETTER_QUEUE, DEAD_LETTER_TTL, DEFAULT_DELAY, DEFAULT_TTL, FLAVOR, MAX_BURST, MAX_BYTES, MAX_CLAIM_COUNT,
    MAX_CLAIMS, MAX_MESSAGES, MAX_POST_SIZE, PAUSED, RETRY, SUBSCRIBED,
};
use super::time::millis;
use super::{Metadata, Pause, RetryPolicy, Ttl};

/// The settings of a queue or a topic, which are reserved keys of its metadata.
///
/// | Key | Value | Unset |
/// |---|---|---|
/// | `_default_message_ttl` | seconds: the ttl that a handle gives a message without one | forever (3600 under [`Limits::zaqar`](crate::Limits::zaqar)) |
/// | `_default_message_delay` | seconds: the delay that a handle gives a message without one | 0 |
/// | `_max_messages_post_size` | bytes of bodies and headers in a post | as [`Limits`](crate::Limits) |
/// | `_max_queue_messages` | the most messages that the queue holds: a post of more is refused | no limit |
/// | `_max_queue_bytes` | the most bytes that they take, each 64 more than its body and headers | no limit |
/// | `_max_claims_per_second` | from 1 to 1 000 000: the messages per second that claims and pops take | no limit |
/// | `_max_claims_burst` | from 1 to 1 000 000: the messages that they take at once after a rest | those of one second |
/// | `_max_claim_count` | a number: a message that was claimed so often moves to the dead-letter queue | no limit |
/// | `_dead_letter_queue` | the name of a queue of the same project | messages stay |
/// | `_dead_letter_queue_messages_ttl` | seconds that a dead letter lives from its move on | as before the move |
/// | `_retry` | an object, see [`RetryPolicy`]: `base_ms`, `factor`, `cap_ms`, `jitter_percent`, `attempts` | retries are not delayed |
/// | `_paused` | `"claims"`, `"posts"` or `"all"`, see [`Pause`] | not paused |
/// | `_subscribed_queues` | of a topic: names of queues of the same project that get what is posted to it, see [`Topics`](crate::Topics) | none |
/// | `_flavor` | the name of a flavor: for pooled drivers | any pool |
/// | `_enable_encrypt_messages` | true or false: for Zaqar's front end | |
/// | `_retry_policy` | an object, of notifications: for Zaqar's front end | |
///
/// All numbers are whole. `null` is as unset. Other keys with a `_` are ignored. The values are checked
/// when the queue gets its metadata.
///
/// ```
/// # use std::time::Duration;
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// let settings = QueueSettings::new()
///     .dead_letters("dead", 5)
///     .default_ttl(Duration::from_secs(86_400))
///     .retry(RetryPolicy::new(Duration::from_secs(10)));
/// let jobs = engine.queue(Project::none(), "jobs")?;
/// jobs.create(settings)?;
/// assert_eq!(jobs.metadata()?.get("_max_claim_count")?, Some(5));
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Debug, Default)]
pub struct QueueSettings(Metadata);

impl QueueSettings {
    /// No settings.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// assert!(Metadata::from(QueueSettings::new()).is_empty());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the ttl that a handle gives a message without one, rounded up to seconds.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # use std::time::Duration;
    /// let settings = QueueSettings::new().default_ttl(Duration::from_secs(60));
    /// assert_eq!(Metadata::from(settings).get("_default_message_ttl")?, Some(60));
    /// let kept = QueueSettings::new().default_ttl(Ttl::Forever);
    /// assert!(Metadata::from(kept).is_empty());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn default_ttl(self, ttl: impl Into<Ttl>) -> Self {
        match ttl.into() {
            Ttl::For(ttl) => self.set(DEFAULT_TTL, seconds(ttl)),
            Ttl::Forever => self.unset(DEFAULT_TTL),
        }
    }

    /// Sets the delay that a handle gives a message without one, rounded up to seconds.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # use std::time::Duration;
    /// let settings = QueueSettings::new().default_delay(Duration::from_millis(1_500));
    /// assert_eq!(Metadata::from(settings).get("_default_message_delay")?, Some(2));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn default_delay(self, delay: Duration) -> Self {
        self.set(DEFAULT_DELAY, seconds(delay))
    }

    /// Sets the most bytes of bodies and headers in a post, at least 1.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let settings = QueueSettings::new().max_post_size(1 << 20);
    /// assert_eq!(Metadata::from(settings).get("_max_messages_post_size")?, Some(1 << 20));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn max_post_size(self, bytes: u64) -> Self {
        self.set(MAX_POST_SIZE, bytes)
    }

    /// Sets the most messages that the queue holds, at least 1, whether free, delayed or claimed. A post that would
    /// exceed it is refused as a whole with [`QueueIsFull`](crate::Error::QueueIsFull), or waits
    /// ([`Queue::post_wait`](crate::Queue::post_wait)). Dead letters and redrives arrive in a full queue too.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let jobs = engine.queue(Project::none(), "jobs")?;
    /// jobs.create(QueueSettings::new().max_messages(1))?;
    /// jobs.post(ClientId::random(), &[NewMessage::new("one")])?;
    /// let refused = jobs.post(ClientId::random(), &[NewMessage::new("two")]);
    /// assert!(refused.unwrap_err().is_full());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    #[doc(alias = "max_length")]
    pub fn max_messages(self, messages: u64) -> Self {
        self.set(MAX_MESSAGES, messages)
    }

    /// Sets the most bytes that the queue's messages take, at least 1: for each its body, its headers as they are stored,
    /// and 64 bytes, and 16 more with a [checksum](crate::Config::checksums). It works as [`max_messages`](Self::max_messages) does, and a queue may have both.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let metadata = Metadata::from(QueueSettings::new().max_bytes(64 << 20));
    /// assert_eq!(metadata.get("_max_queue_bytes")?, Some(64 << 20));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn max_bytes(self, bytes: u64) -> Self {
        self.set(MAX_BYTES, bytes)
    }

    /// Sets how many messages per second claims and pops may take, from 1 to 1 000 000: for workers that call a service
    /// which allows no more. A claim or a pop gets as many as the queue may give out now, also less than its limit, and
    /// nothing, as from an empty queue, if that is none. Calls that wait sleep until the instant at which the next
    /// message may be taken, and a [`QueueSet`](crate::QueueSet) goes on with its other queues.
    ///
    /// The limit is a token bucket: while the setting stays, in every time of t seconds of the engine's clock, which counts
    /// milliseconds, at most [the burst](Self::max_claims_burst) and t times the rate are taken. A message that is claimed again, after a
    /// release, a retry or the end of a lease, counts again; reads, renewals, redrives and dead letters do not count.
    /// While nothing may be taken, a claim moves no dead letter either.
    ///
    /// What was taken is kept over restarts, and in moves, backups and exports. It is not kept over a power cut that
    /// takes back the claims themselves, in a pool in memory, or in a salvage that has lost the queue's record; and a pool
    /// that the queue is only mapped to, without a move, has a bucket of its own. A change of the setting takes effect at
    /// once: the bucket then lacks what it lacked after the last message was taken, at most the new burst, and has been
    /// filled at the new rate since. So a message that is taken under a lower burst forgives what was lacking beyond it. A
    /// queue that is created again starts with a full bucket.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # use std::{sync::Arc, time::Duration};
    /// # let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
    /// # let disk = Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).clock(clock.clone()).open("store")?;
    /// let mails = engine.queue(Project::none(), "mails")?;
    /// mails.create(QueueSettings::new().max_claims_per_second(5))?;
    /// let ids = mails.post(ClientId::random(), &vec![NewMessage::new("mail"); 9])?;
    /// let ten = ClaimOptions::new().limit(10);
    /// assert_eq!(mails.claim(ten.clone())?.expect("mails wait").messages().len(), 5);
    /// assert!(mails.claim(ten.clone())?.is_none());
    /// let over = mails.explain(&ids[8])?;
    /// assert!(matches!(over.availability(), Availability::OverRate { .. }));
    /// clock.advance(Duration::from_millis(400));
    /// assert_eq!(mails.claim(ten)?.expect("two more").messages().len(), 2);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    #[doc(alias = "rate_limit")]
    pub fn max_claims_per_second(self, messages: u32) -> Self {
        self.set(MAX_CLAIMS, messages)
    }

    /// Sets how many messages claims and pops may take at once from a queue that has rested for long enough, from 1 to
    /// 1 000 000; unset, as many as in one second. It has no effect without
    /// [`max_claims_per_second`](Self::max_claims_per_second).
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let settings = QueueSettings::new().max_claims_per_second(5).max_claims_burst(1);
    /// assert_eq!(Metadata::from(settings).get("_max_claims_burst")?, Some(1));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn max_claims_burst(self, messages: u32) -> Self {
        self.set(MAX_BURST, messages)
    }

    /// Moves a message that was claimed `claims` times to the queue of that name, instead of claiming
    /// it again.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let metadata = Metadata::from(QueueSettings::new().dead_letters("dead", 5));
    /// assert_eq!(metadata.get("_dead_letter_queue")?, Some("dead".to_owned()));
    /// assert_eq!(metadata.get("_max_claim_count")?, Some(5));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn dead_letters(self, queue: impl AsRef<str>, claims: u32) -> Self {
        self.set(DEAD_LETTER_QUEUE, queue.as_ref()).set(MAX_CLAIM_COUNT, claims)
    }

    /// Sets what the queue does not do until it is [resumed](crate::Queue::resume).
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let metadata = Metadata::from(QueueSettings::new().paused(Pause::Claims));
    /// assert_eq!(metadata.get("_paused")?, Some("claims".to_owned()));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn paused(self, pause: Pause) -> Self {
        self.set(PAUSED, pause.to_string())
    }

    /// Sets how long a dead letter lives from its move on, rounded up to seconds; zero is unset.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # use std::time::Duration;
    /// let settings = QueueSettings::new().dead_letter_ttl(Duration::from_secs(60));
    /// assert_eq!(Metadata::from(settings).get("_dead_letter_queue_messages_ttl")?, Some(60));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn dead_letter_ttl(self, ttl: Duration) -> Self {
        self.set(DEAD_LETTER_TTL, seconds(ttl))
    }

    /// Sets how long a message that is given back without a delay is delayed.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # use std::time::Duration;
    /// let settings = QueueSettings::new().retry(RetryPolicy::new(Duration::from_secs(10)));
    /// assert!(Metadata::from(settings).contains("_retry"));
    /// ```
    pub fn retry(self, policy: RetryPolicy) -> Self {
        self.set(RETRY, policy)
    }

    /// Sets the queues of the same project that get each message that is posted to the topic, at most 1 000, each once:
    /// see [`Topics`](crate::Topics). For topics only: on a queue the key does nothing.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let orders = engine.topic(Project::none(), "orders")?;
    /// orders.create(QueueSettings::new().subscribed(["invoices", "parcels"]))?;
    /// assert_eq!(orders.subscribed()?.len(), 2);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn subscribed(self, queues: impl IntoIterator<Item: AsRef<str>>) -> Self {
        let names: Vec<String> = queues.into_iter().map(|name| name.as_ref().to_owned()).collect();
        self.set(SUBSCRIBED, names)
    }

    /// Asks for one of the pools of this flavor, in a pooled driver.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let metadata = Metadata::from(QueueSettings::new().flavor("gold"));
    /// assert_eq!(metadata.get("_flavor")?, Some("gold".to_owned()));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn flavor(self, flavor: impl AsRef<str>) -> Self {
        self.set(FLAVOR, flavor.as_ref())
    }

    fn set(mut self, key: &str, value: impl Serialize) -> Self {
        // Numbers, texts, lists of texts and a policy can always be written.
        drop(self.0.insert(key, value));
        self
    }

    fn unset(mut self, key: &str) -> Self {
        self.0.remove(key);
        self
    }
}

impl From<QueueSettings> for Metadata {
    fn from(settings: QueueSettings) -> Self {
        settings.0
    }
}

/// In whole seconds, rounded up.
fn seconds(time: Duration) -> u64 {
    millis(time).div_ceil(1_000)
}
