//! Valid names: 1 to 512 bytes of any text. A project may also be absent.

use std::str::FromStr;

use super::{BookmarkName, FlavorName, PoolGroup, PoolName, Project, QUEUE, QueueName, RESERVED, TOPIC, TopicName};
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
    ($type:ident, $what:literal, $make:expr) => {
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
                Ok($make(name.into()))
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

valid!(QueueName, "queue name", |text| QueueName { is_topic: false, text });
valid!(TopicName, "topic name", TopicName);
valid!(PoolName, "pool name", PoolName);
valid!(PoolGroup, "pool group", PoolGroup);
valid!(FlavorName, "flavor name", FlavorName);
valid!(BookmarkName, "bookmark name", BookmarkName);

impl QueueName {
    /// The name that this text stands for in the journal.
    pub(crate) fn from_stored(text: &str) -> Result<Self> {
        if let Some(topic) = text.strip_prefix(TOPIC) {
            return TopicName::new(topic).map(|topic| topic.to_queue_name());
        }
        match text.strip_prefix(QUEUE) {
            Some(name) if name.starts_with(RESERVED) => Self::new(name),
            None if !text.starts_with(RESERVED) => Self::new(text),
            _ => Err(Error::invalid("queue name", "is not as it is stored")),
        }
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
    fn stored_names_come_back_and_are_different() -> Result<()> {
        let texts = ["a", "\0", "\0t", "\0ta", "\0qa", "\0\0", "ta", "q"];
        let queues = texts.iter().map(QueueName::new);
        let topics = texts.iter().map(|text| Ok(TopicName::new(text)?.to_queue_name()));
        let all = queues.chain(topics).collect::<Result<Vec<_>>>()?;
        let mut stored: Vec<_> = all.iter().map(|name| name.stored().into_owned()).collect();
        for (name, stored) in all.iter().zip(&stored) {
            assert_eq!(QueueName::from_stored(stored)?, *name);
        }
        stored.sort();
        stored.dedup();
        assert_eq!(stored.len(), all.len());
        for wrong in ["", "\0", "\0t", "\0q", "\0qa", "\0x"] {
            assert!(QueueName::from_stored(wrong).is_err(), "{wrong:?}");
        }
        Ok(())
    }

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
