//! Projects, and the names of queues, pools, groups of pools, flavors and bookmarks.
//!
//! All are cheap to clone (one shared allocation) and order by their bytes, which is the order of
//! listings. [`Limits`](crate::Limits) decides which characters a name may have.

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

name! {
    /// A queue's name: 1 to 512 bytes of any text.
    ///
    /// ```
    /// use zaqar_sled::QueueName;
    ///
    /// let name: QueueName = "orders.new".parse()?;
    /// assert_eq!(name.as_str(), "orders.new");
    /// assert!(QueueName::new("").is_err());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    QueueName
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

impl QueueName {
    /// The empty name, which no caller can use: the name of the outbox, the queue of dead letters for other stores.
    pub(crate) fn outbox() -> Self {
        Self("".into())
    }
}
