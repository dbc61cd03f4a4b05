//! Markers: the position at which the next page of a listing begins.
//!
//! A marker is an exclusive position, not a reference. It stays valid when its item is deleted, when
//! the store is opened again, and when the queue is created again.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use super::id::{NOT_HEX, parse_hex, write_hex};
use super::{BookmarkName, FlavorName, MessageId, PoolName, QueueName, SubscriptionId};
use crate::model::error::{Error, Result};
use crate::model::numbering::{incarnation_of, last_of};

/// A position in a queue's messages, just after the message that the marker was taken from.
///
/// ```
/// use zaqar_sled::{MessageId, MessageMarker};
///
/// let id: MessageId = "00000000000000070000000000000001".parse()?;
/// let marker = MessageMarker::from(id);
/// assert_eq!(marker.to_string().parse::<MessageMarker>()?, marker);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageMarker {
    pub(crate) queue: u64,
    pub(crate) sequence: u64,
}

impl MessageMarker {
    /// The marker with this text. Text that is not a marker gives one after which every page is
    /// empty (contract 6.2).
    ///
    /// ```
    /// use zaqar_sled::MessageMarker;
    ///
    /// assert_eq!(MessageMarker::lossy("no marker").to_string(), "f".repeat(32));
    /// ```
    pub fn lossy(text: &str) -> Self {
        text.parse().unwrap_or(Self { queue: u64::MAX, sequence: u64::MAX })
    }

    /// The sequence after which the listing continues in the queue with number `queue`; none if it starts at the first
    /// message.
    ///
    /// A queue that is created again has a higher number, and all its messages come after the markers of the former
    /// queue. A marker with a number above the queue's own comes from another queue, or from a queue that a power cut
    /// removed. In both cases it comes after all numbers that were assigned in its incarnation, and before all numbers
    /// of later ones.
    pub(crate) fn position_in(self, queue: u64) -> Option<u64> {
        match self.queue.cmp(&queue) {
            Ordering::Less => None,
            Ordering::Equal => Some(self.sequence),
            Ordering::Greater => Some(last_of(incarnation_of(self.queue).max(incarnation_of(self.sequence)))),
        }
    }
}

impl From<MessageId> for MessageMarker {
    fn from(id: MessageId) -> Self {
        Self { queue: id.queue, sequence: id.sequence }
    }
}

impl fmt::Display for MessageMarker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, self.queue, self.sequence)
    }
}

impl fmt::Debug for MessageMarker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageMarker({self})")
    }
}

impl FromStr for MessageMarker {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse_hex(text)
            .map(|(queue, sequence)| Self { queue, sequence })
            .ok_or_else(|| Error::invalid("marker", NOT_HEX))
    }
}

/// A position in a queue's subscriptions, just after the one that the marker was taken from.
///
/// ```
/// use zaqar_sled::{SubscriptionId, SubscriptionMarker};
///
/// let id: SubscriptionId = "00000000-0000-8000-9000-000000000000".parse()?;
/// let marker = SubscriptionMarker::from(id);
/// assert_eq!(marker.to_string().parse::<SubscriptionMarker>()?, marker);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SubscriptionMarker(pub(crate) SubscriptionId);

impl SubscriptionMarker {
    /// The marker with this text. Text that is not a marker gives one after which every page is
    /// empty.
    ///
    /// ```
    /// use zaqar_sled::{SubscriptionId, SubscriptionMarker};
    ///
    /// let end = SubscriptionMarker::lossy("no marker");
    /// assert!(end > SubscriptionMarker::from(SubscriptionId::from_bytes([0xfe; 16])));
    /// ```
    pub fn lossy(text: &str) -> Self {
        text.parse().unwrap_or(Self(SubscriptionId::MAX))
    }
}

impl From<SubscriptionId> for SubscriptionMarker {
    fn from(id: SubscriptionId) -> Self {
        Self(id)
    }
}

impl fmt::Display for SubscriptionMarker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for SubscriptionMarker {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        text.parse().map(Self)
    }
}

/// A position among the claims of a queue, just after a claim; the claim need not be live any more.
///
/// ```
/// use zaqar_sled::ClaimMarker;
///
/// let marker: ClaimMarker = "00000000000000ff".parse()?;
/// assert_eq!(marker.to_string(), "00000000000000ff");
/// assert!("ff".parse::<ClaimMarker>().unwrap_err().is_invalid());
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClaimMarker(pub(crate) u64);

impl fmt::Display for ClaimMarker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for ClaimMarker {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let is_hex = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let number = u64::from_str_radix(text, 16).ok().filter(|_| is_hex);
        number.map(Self).ok_or_else(|| Error::invalid("marker", "must be 16 lower-case hexadecimal digits"))
    }
}

/// A marker of a listing by name.
macro_rules! name_marker {
    ($(#[$doc:meta])* $type:ident, $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $type($name);

        impl $type {
            /// The name after which the next page starts.
            pub fn name(&self) -> &$name {
                &self.0
            }
        }

        impl From<$name> for $type {
            fn from(name: $name) -> Self {
                Self(name)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $type {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                $name::new(text).map(Self)
            }
        }
    };
}

name_marker! {
    /// A position in a project's queues, just after a name; no queue need have that name.
    ///
    /// ```
    /// use zaqar_sled::{QueueMarker, QueueName};
    ///
    /// let marker: QueueMarker = "orders".parse()?;
    /// assert_eq!(marker, QueueMarker::from(QueueName::new("orders")?));
    /// assert_eq!(marker.name().as_str(), "orders");
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    QueueMarker, QueueName
}

name_marker! {
    /// A position among the pools, just after a name; no pool need have that name.
    ///
    /// ```
    /// use zaqar_sled::{PoolMarker, PoolName};
    ///
    /// let marker: PoolMarker = "fast".parse()?;
    /// assert_eq!(marker.name(), &PoolName::new("fast")?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    PoolMarker, PoolName
}

name_marker! {
    /// A position among a project's flavors, just after a name; no flavor need have that name.
    ///
    /// ```
    /// use zaqar_sled::{FlavorMarker, FlavorName};
    ///
    /// let marker: FlavorMarker = "gold".parse()?;
    /// assert_eq!(marker.name(), &FlavorName::new("gold")?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    FlavorMarker, FlavorName
}

name_marker! {
    /// A position among a project's bookmarks, just after a name; no bookmark need have that name.
    ///
    /// ```
    /// use zaqar_sled::{BookmarkMarker, BookmarkName};
    ///
    /// let marker: BookmarkMarker = "offset".parse()?;
    /// assert_eq!(marker.name(), &BookmarkName::new("offset")?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    BookmarkMarker, BookmarkName
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::numbering::first_of;

    #[test]
    fn message_markers_round_trip() -> Result<()> {
        let id = MessageId::new(3, 4);
        let marker = MessageMarker::from(id);
        assert_eq!(marker.to_string(), id.to_string());
        assert_eq!(marker.to_string().parse::<MessageMarker>()?, marker);
        assert_eq!(MessageMarker::lossy(&marker.to_string()), marker);
        Ok(())
    }

    #[test]
    fn a_malformed_message_marker_stands_after_every_queue() {
        assert_eq!(MessageMarker::lossy("xyz").queue, u64::MAX);
        assert!("xyz".parse::<MessageMarker>().unwrap_err().is_invalid());
    }

    #[test]
    fn a_marker_of_a_later_queue_stands_between_incarnations() {
        let marker = MessageMarker { queue: first_of(2) + 1, sequence: first_of(3) };
        assert_eq!(marker.position_in(first_of(2) + 2), None);
        assert_eq!(marker.position_in(first_of(2) + 1), Some(first_of(3)));
        let position = marker.position_in(first_of(2)).unwrap();
        assert!(position > first_of(3) && position < first_of(4));
        assert_eq!(MessageMarker::lossy("xyz").position_in(first_of(2)), Some(u64::MAX));
    }

    #[test]
    fn queue_markers_are_names() -> Result<()> {
        let marker: QueueMarker = "a".parse()?;
        assert_eq!(marker.name().as_str(), "a");
        assert_eq!(marker.to_string(), "a");
        assert!("".parse::<QueueMarker>().is_err());
        Ok(())
    }
}
