//! Projects, and the names of queues, pools, groups of pools and flavors.
//!
//! All are cheap to clone (one shared allocation) and order by their bytes, which is the order of
//! listings. What characters a name may have is a matter of [`Limits`](crate::Limits).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::error::{Error, Result};

/// Whose queues are meant. Queues of different projects never meet.
///
/// No project is a namespace of its own: neither a wildcard nor the project named `""`.
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
    /// The namespace of queues without a project.
    pub fn none() -> Self {
        Self(None)
    }

    /// The project of that name, at most 512 bytes; the empty name is one too.
    ///
    /// # Errors
    /// `is_too_large` over 512 bytes.
    pub fn named(name: impl AsRef<str>) -> Result<Self> {
        let name = name.as_ref();
        check_len("project bytes", name)?;
        Ok(Self(Some(name.into())))
    }

    /// The project's name; `None` for [`none`](Self::none).
    pub fn name(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

/// A type for names of one kind: 1 to 512 bytes of any text.
macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Arc<str>);

        impl $type {
            /// Takes a name of 1 to 512 bytes.
            ///
            /// # Errors
            /// `is_invalid` when empty, `is_too_large` over 512 bytes.
            pub fn new(name: impl AsRef<str>) -> Result<Self> {
                let name = name.as_ref();
                if name.is_empty() {
                    return Err(Error::invalid($what, "must not be empty"));
                }
                check_len(concat!($what, " bytes"), name)?;
                Ok(Self(name.into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = Error;

            fn from_str(name: &str) -> Result<Self> {
                Self::new(name)
            }
        }

        impl TryFrom<&str> for $type {
            type Error = Error;

            fn try_from(name: &str) -> Result<Self> {
                Self::new(name)
            }
        }

        impl TryFrom<String> for $type {
            type Error = Error;

            fn try_from(name: String) -> Result<Self> {
                Self::new(name)
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

        /// As quoted text: that is how error messages show a name.
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
    QueueName, "queue name"
}

name! {
    /// A pool's name: 1 to 512 bytes of any text.
    ///
    /// ```
    /// assert_eq!(zaqar_sled::PoolName::new("fast")?.as_str(), "fast");
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    PoolName, "pool name"
}

name! {
    /// The name of a group of pools: 1 to 512 bytes of any text.
    ///
    /// ```
    /// assert_eq!(zaqar_sled::PoolGroup::new("ssd")?.as_str(), "ssd");
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    PoolGroup, "pool group"
}

name! {
    /// A flavor's name: 1 to 512 bytes of any text.
    ///
    /// ```
    /// assert_eq!(zaqar_sled::FlavorName::new("gold")?.as_str(), "gold");
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    FlavorName, "flavor name"
}

impl QueueName {
    /// The empty name, which no caller can ask for: the store's own queue of messages on their way to other stores.
    pub(crate) fn outbox() -> Self {
        Self("".into())
    }
}

fn check_len(what: &'static str, name: &str) -> Result<()> {
    if name.len() > MAX_NAME_LEN {
        return Err(Error::TooLarge { what, size: name.len() as u64, limit: MAX_NAME_LEN as u64 });
    }
    Ok(())
}

/// In bytes. Keys hold both names, and a tree's key is to stay well under a page.
pub(crate) const MAX_NAME_LEN: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_up_to_the_cap_and_refused_past_it() {
        assert!(QueueName::new("x".repeat(512)).is_ok());
        assert!(QueueName::new("x".repeat(513)).unwrap_err().is_too_large());
        assert!(QueueName::new("ö".repeat(257)).unwrap_err().is_too_large());
        assert!(QueueName::new("").unwrap_err().is_invalid());
        assert!(Project::named("x".repeat(512)).is_ok());
        assert!(Project::named("x".repeat(513)).unwrap_err().is_too_large());
    }

    #[test]
    fn no_project_is_not_the_empty_one() -> Result<()> {
        assert_eq!(Project::none().name(), None);
        assert_eq!(Project::named("")?.name(), Some(""));
        assert!(Project::none() < Project::named("")?);
        Ok(())
    }

    #[test]
    fn names_order_by_bytes() -> Result<()> {
        assert!(QueueName::new("Z")? < QueueName::new("a")?);
        assert!(QueueName::new("z")? < QueueName::new("ä")?);
        assert_eq!(format!("{0} {0:?}", QueueName::new("a")?), "a \"a\"");
        Ok(())
    }
}
