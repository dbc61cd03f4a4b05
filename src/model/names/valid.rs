//! Valid names: 1 to 512 bytes of any text. A project may also be absent.

use std::str::FromStr;

use super::{BookmarkName, FlavorName, PoolGroup, PoolName, Project, QueueName};
use crate::model::error::{Error, Result};

impl Project {
    /// The project of that name: at most 512 bytes of any text. The empty text is a name too, other
    /// than [`none`](Self::none).
    ///
    /// # Errors
    /// [`is_too_large`](crate::Error::is_too_large) for a name of more than 512 bytes.
    ///
    /// # Example
    ///
    /// ```
    /// let shop = zaqar_sled::Project::named("shop")?;
    /// assert_eq!(shop.name(), Some("shop"));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn named(name: impl AsRef<str>) -> Result<Self> {
        let name = name.as_ref();
        check_len("project bytes", name)?;
        Ok(Self(Some(name.into())))
    }
}

/// The ways to a name of one kind.
macro_rules! valid {
    ($type:ident, $what:literal) => {
        impl $type {
            /// The name with this text, which has 1 to 512 bytes.
            ///
            /// # Errors
            /// [`is_invalid`](crate::Error::is_invalid) for the empty text,
            /// [`is_too_large`](crate::Error::is_too_large) for more than 512 bytes.
            pub fn new(name: impl AsRef<str>) -> Result<Self> {
                let name = name.as_ref();
                if name.is_empty() {
                    return Err(Error::invalid($what, "must not be empty"));
                }
                check_len(concat!($what, " bytes"), name)?;
                Ok(Self(name.into()))
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
    };
}

valid!(QueueName, "queue name");
valid!(PoolName, "pool name");
valid!(PoolGroup, "pool group");
valid!(FlavorName, "flavor name");
valid!(BookmarkName, "bookmark name");

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
