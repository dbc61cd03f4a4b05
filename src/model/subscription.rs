//! Subscriptions: who wants to be told of a queue's messages.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::time::{age, whole_seconds_up};
use super::{Metadata, QueueName, SubscriptionId, SubscriptionMarker, Timestamp};
use crate::model::error::{Error, Result};

/// Whom to tell: the text of a URI, 1 to 4096 bytes. Which schemes are taken is a matter of
/// [`Limits`](crate::Limits); two subscribers are the same if their texts are.
///
/// ```
/// use zaqar_sled::Subscriber;
///
/// let subscriber: Subscriber = "https://example.com/hook".parse()?;
/// assert_eq!(subscriber.as_str(), "https://example.com/hook");
/// assert!(Subscriber::new("").unwrap_err().is_invalid());
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subscriber(Arc<str>);

impl Subscriber {
    /// Takes a text of 1 to 4096 bytes.
    ///
    /// # Errors
    /// `is_invalid` when empty, `is_too_large` over 4096 bytes.
    pub fn new(uri: impl AsRef<str>) -> Result<Self> {
        let uri = uri.as_ref();
        if uri.is_empty() {
            return Err(Error::invalid("subscriber", "must not be empty"));
        }
        if uri.len() > MAX_BYTES {
            return Err(Error::TooLarge { what: "subscriber bytes", size: uri.len() as u64, limit: MAX_BYTES as u64 });
        }
        Ok(Self(uri.into()))
    }

    /// The URI as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the first colon.
    pub(crate) fn scheme(&self) -> Option<&str> {
        self.0.split_once(':').map(|(scheme, _)| scheme)
    }
}

impl FromStr for Subscriber {
    type Err = Error;

    fn from_str(uri: &str) -> Result<Self> {
        Self::new(uri)
    }
}

impl fmt::Display for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// A subscription as it was when it was read.
///
/// ```
/// # use std::time::Duration;
/// # use zaqar_sled::{Config, DataDriver, Metadata, Project, QueueName, SimulatedDisk, Subscriber};
/// # let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
/// let (project, orders) = (Project::none(), QueueName::new("orders")?);
/// let hook = Subscriber::new("https://example.com/hook")?;
/// let hour = Duration::from_secs(3600);
/// let id = engine.subscriptions().create(&project, &orders, &hook, hour, &Metadata::new())?.expect("it is new");
/// let subscription = engine.subscriptions().get(&project, &orders, &id)?;
/// assert_eq!((subscription.id(), subscription.source(), subscription.subscriber()), (id, &orders, &hook));
/// assert_eq!((subscription.ttl(), subscription.age()), (hour, Duration::ZERO));
/// assert!(!subscription.confirmed() && subscription.options().is_empty());
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subscription {
    pub(crate) id: SubscriptionId,
    pub(crate) source: QueueName,
    pub(crate) subscriber: Subscriber,
    /// In milliseconds.
    pub(crate) ttl: u64,
    pub(crate) created: Timestamp,
    pub(crate) read_at: Timestamp,
    pub(crate) options: Metadata,
    pub(crate) confirmed: bool,
}

impl Subscription {
    /// Its id.
    pub fn id(&self) -> SubscriptionId {
        self.id
    }

    /// The queue whose messages are told.
    pub fn source(&self) -> &QueueName {
        &self.source
    }

    /// Whom to tell.
    pub fn subscriber(&self) -> &Subscriber {
        &self.subscriber
    }

    /// How long it was to live when it was made or its ttl last set, in whole seconds, rounded up.
    pub fn ttl(&self) -> Duration {
        whole_seconds_up(self.ttl)
    }

    /// The time since it was made, in whole seconds, rounded down. A new ttl does not restart it.
    pub fn age(&self) -> Duration {
        age(self.created, self.read_at)
    }

    /// What the notifier is to know.
    pub fn options(&self) -> &Metadata {
        &self.options
    }

    /// Whether the subscriber has agreed.
    pub fn confirmed(&self) -> bool {
        self.confirmed
    }

    /// Where a listing goes on after this one.
    pub fn marker(&self) -> SubscriptionMarker {
        self.id.into()
    }
}

/// What to change of a subscription; what is not set stays as it is.
///
/// ```
/// use std::time::Duration;
/// use zaqar_sled::SubscriptionUpdate;
///
/// let update = SubscriptionUpdate::new().ttl(Duration::from_secs(60));
/// assert_eq!(update.subscriber, None);
/// ```
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SubscriptionUpdate {
    /// Somebody else to tell.
    pub subscriber: Option<Subscriber>,
    /// A new ttl, counted from the update.
    pub ttl: Option<Duration>,
    /// Other options, in place of all former ones.
    pub options: Option<Metadata>,
}

impl SubscriptionUpdate {
    /// Changes nothing yet; an update has to set something.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells somebody else.
    pub fn subscriber(mut self, subscriber: Subscriber) -> Self {
        self.subscriber = Some(subscriber);
        self
    }

    /// Restarts the life with that ttl.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Replaces the options whole.
    pub fn options(mut self, options: Metadata) -> Self {
        self.options = Some(options);
        self
    }

    pub(crate) fn check_not_empty(&self) -> Result<()> {
        if self.subscriber.is_none() && self.ttl.is_none() && self.options.is_none() {
            return Err(Error::invalid("update", "sets neither subscriber, ttl nor options"));
        }
        Ok(())
    }
}

const MAX_BYTES: usize = 4096;
