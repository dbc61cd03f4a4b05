//! Subscriptions: the subscribers that are to be notified of a queue's messages.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::time::{age, whole_seconds_up};
use super::{Metadata, QueueName, SubscriptionId, SubscriptionMarker, Timestamp};
use crate::model::error::{Error, Result};

/// The receiver of notifications: the text of a URI, 1 to 4096 bytes. [`Limits`](crate::Limits)
/// says which schemes are accepted. Two subscribers are equal if their texts are (contract 8).
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
    /// The subscriber with this text, which has 1 to 4096 bytes.
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) for the empty text,
    /// [`is_too_large`](crate::Error::is_too_large) for more than 4096 bytes.
    ///
    /// # Example
    ///
    /// ```
    /// let subscriber = zaqar_sled::Subscriber::new("mailto:ann@example.com")?;
    /// assert_eq!(subscriber.as_str(), "mailto:ann@example.com");
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
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
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// assert_eq!(Subscriber::new("mailto:ann@example.com")?.as_str(), "mailto:ann@example.com");
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the first colon.
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

/// A subscription, as it was when it was read (contract 8).
///
/// ```
/// # let hour = std::time::Duration::from_secs(3600);
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// let (project, orders) = (Project::none(), QueueName::new("orders")?);
/// let hook = Subscriber::new("https://example.com/hook")?;
/// let none = Metadata::new();
/// let id = engine.subscriptions().create(&project, &orders, &hook, hour, &none)?;
/// let id = id.expect("it is the first");
/// let found = engine.subscriptions().get(&project, &orders, &id)?;
/// assert_eq!((found.id(), found.source(), found.subscriber()), (id, &orders, &hook));
/// assert_eq!((found.ttl(), found.age().as_secs()), (hour, 0));
/// assert!(!found.confirmed() && found.options().is_empty());
/// assert_eq!(found.marker(), SubscriptionMarker::from(id));
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
    /// The subscription's id.
    pub fn id(&self) -> SubscriptionId {
        self.id
    }

    /// The queue whose messages the subscriber is notified of.
    pub fn source(&self) -> &QueueName {
        &self.source
    }

    /// The receiver of the notifications.
    pub fn subscriber(&self) -> &Subscriber {
        &self.subscriber
    }

    /// The ttl that the subscription was made or last updated with, in whole seconds, rounded up.
    pub fn ttl(&self) -> Duration {
        whole_seconds_up(self.ttl)
    }

    /// The time since the creation, in whole seconds, rounded down. A new ttl does not restart it.
    pub fn age(&self) -> Duration {
        age(self.created, self.read_at)
    }

    /// The options for the notifier. The engine keeps them and does not read them.
    pub fn options(&self) -> &Metadata {
        &self.options
    }

    /// Whether the subscriber has agreed to be notified.
    pub fn confirmed(&self) -> bool {
        self.confirmed
    }

    /// The position just after this subscription: a listing with it starts at the next one.
    pub fn marker(&self) -> SubscriptionMarker {
        self.id.into()
    }
}

/// Changes of a subscription; fields that are not set stay as they are.
///
/// ```
/// use std::time::Duration;
/// use zaqar_sled::SubscriptionUpdate;
///
/// let update = SubscriptionUpdate::new().ttl(Duration::from_secs(60));
/// assert_eq!((update.ttl, update.subscriber), (Some(Duration::from_secs(60)), None));
/// ```
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SubscriptionUpdate {
    /// A new subscriber.
    pub subscriber: Option<Subscriber>,
    /// A new ttl, counted from the update.
    pub ttl: Option<Duration>,
    /// New options, which replace all former ones.
    pub options: Option<Metadata>,
}

impl SubscriptionUpdate {
    /// An update without changes, which the call refuses until a field is set.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let update = SubscriptionUpdate::new();
    /// assert_eq!((update.subscriber, update.ttl, update.options), (None, None, None));
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a new subscriber.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let hook = Subscriber::new("https://example.com/hook")?;
    /// let update = SubscriptionUpdate::new().subscriber(hook.clone());
    /// assert_eq!(update.subscriber, Some(hook));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn subscriber(mut self, subscriber: Subscriber) -> Self {
        self.subscriber = Some(subscriber);
        self
    }

    /// Sets a new ttl, counted from the update.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let hour = std::time::Duration::from_secs(3600);
    /// assert_eq!(SubscriptionUpdate::new().ttl(hour).ttl, Some(hour));
    /// ```
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Replaces all options.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let update = SubscriptionUpdate::new().options(Metadata::new());
    /// assert_eq!(update.options, Some(Metadata::new())); // removes all options
    /// ```
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
