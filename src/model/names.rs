//! Projects, and the names of queues, topics, pools, groups of pools, flavors and bookmarks.
//!
//! All are cheap to clone (one shared allocation) and order by their bytes, which is the order of
//! listings. [`Limits`](crate::Limits) decides which characters a name may have.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

pub(super) mod valid;

/// The project that a queue belongs to. Queues of different projects are independent, even if their
/// names are equal (contract 2).
///
/// No project is a namespace of its own: it is not a wildcard, and not the project named `""`.
///
/// ```
/// use zaqar_sled::Project;
///
/// let shop = Project::named("shop")?;
/// assert_eq!(shop.name(), Some("shop"));
/// assert_ne!(Project::none(), Project::named("")?);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Project(Option<Arc<str>>);

impl Project {
    /// The namespace of the queues without a project.
    pub fn none() -> Self {
        Self(None)
    }

    /// The project's name; `None` for [`none`](Self::none).
    pub fn name(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

/// A type for names of one kind.
macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Arc<str>);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        /// Shows the name as quoted text, as in error messages.
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

/// A queue's name: 1 to 512 bytes of any text.
///
/// The calls on messages and subscriptions take topics too, under the name that
/// [`TopicName::to_queue_name`] gives. Such a name is never that of a queue, whatever its text.
///
/// ```
/// use zaqar_sled::QueueName;
///
/// let name: QueueName = "orders.new".parse()?;
/// assert_eq!(name.as_str(), "orders.new");
/// assert!(QueueName::new("").is_err());
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueName {
    /// First: the keys of all topics come after those of all queues.
    is_topic: bool,
    text: Arc<str>,
}

impl QueueName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The topic that has this name; `None` if it is a queue's.
    ///
    /// ```
    /// use zaqar_sled::{QueueName, TopicName};
    ///
    /// let news = TopicName::new("news")?;
    /// assert_eq!(news.to_queue_name().topic(), Some(news));
    /// assert_eq!(QueueName::new("news")?.topic(), None);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn topic(&self) -> Option<TopicName> {
        self.is_topic.then(|| TopicName(self.text.clone()))
    }

    pub(crate) fn is_topic(&self) -> bool {
        self.is_topic
    }

    /// The empty name, which no caller can use: the name of the outbox, the queue of dead letters for other stores.
    pub(crate) fn outbox() -> Self {
        Self { is_topic: false, text: "".into() }
    }

    /// The text that stands for the name in the journal. Queues' names and topics' are different there.
    pub(crate) fn stored(&self) -> Cow<'_, str> {
        match self.is_topic {
            true => format!("{TOPIC}{}", self.text).into(),
            false if self.text.starts_with(RESERVED) => format!("{QUEUE}{}", self.text).into(),
            false => (&*self.text).into(),
        }
    }
}

/// The first character of a stored name that is more than the name's text, and those of both kinds.
const RESERVED: char = '\0';
const TOPIC: &str = "\0t";
const QUEUE: &str = "\0q";

impl AsRef<str> for QueueName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

/// Shows the name as it is.
impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Shows the name as quoted text, as in error messages.
impl fmt::Debug for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.text, f)
    }
}

name! {
    /// A topic's name: 1 to 512 bytes of any text. A topic and a queue of the same text are different.
    ///
    /// ```
    /// use zaqar_sled::TopicName;
    ///
    /// let name: TopicName = "prices".parse()?;
    /// assert_eq!(name.as_str(), "prices");
    /// assert!(TopicName::new("").is_err());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    TopicName
}

impl TopicName {
    /// The name by which the calls on messages and subscriptions, and [batches](crate::Batches), take the topic.
    ///
    /// ```
    /// use zaqar_sled::{QueueName, TopicName};
    ///
    /// let news = TopicName::new("news")?.to_queue_name();
    /// assert_eq!(news.as_str(), "news");
    /// assert_ne!(news, QueueName::new("news")?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn to_queue_name(&self) -> QueueName {
        QueueName { is_topic: true, text: self.0.clone() }
    }
}

name! {
    /// A pool's name: 1 to 512 bytes of any text.
    ///
    /// ```
    /// assert_eq!(zaqar_sled::PoolName::new("fast")?.as_str(), "fast");
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    PoolName
}

name! {
    /// The name of a group of pools: 1 to 512 bytes of any text.
    ///
    /// ```
    /// assert_eq!(zaqar_sled::PoolGroup::new("ssd")?.as_str(), "ssd");
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    PoolGroup
}

name! {
    /// A flavor's name: 1 to 512 bytes of any text.
    ///
    /// ```
    /// assert_eq!(zaqar_sled::FlavorName::new("gold")?.as_str(), "gold");
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    FlavorName
}

name! {
    /// A bookmark's name: 1 to 512 bytes of any text.
    ///
    /// ```
    /// assert_eq!(zaqar_sled::BookmarkName::new("offset")?.as_str(), "offset");
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    BookmarkName
}
