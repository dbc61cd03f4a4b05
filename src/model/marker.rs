//! Markers: where the next page of a listing begins.
//!
//! A marker is an exclusive position, not a reference: it stays good when what it was taken from is
//! deleted, when the store is opened again, and when the queue is made anew.

use std::fmt;
use std::str::FromStr;

use super::id::{NOT_HEX, parse_hex, write_hex};
use super::{MessageId, QueueName};
use crate::error::{Error, Result};

/// A position in a queue's messages, just after the message it was taken from.
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
    /// The marker with that text, or, if it is the text of none, one after which every page is empty.
    pub fn lossy(text: &str) -> Self {
        text.parse().unwrap_or(Self { queue: u64::MAX, sequence: u64::MAX })
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

/// A position in a project's queues, just after a name; no queue need have that name.
///
/// ```
/// use zaqar_sled::{QueueMarker, QueueName};
///
/// let marker: QueueMarker = "orders".parse()?;
/// assert_eq!(marker, QueueMarker::from(QueueName::new("orders")?));
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct QueueMarker(QueueName);

impl QueueMarker {
    /// The name the next page begins after.
    pub fn name(&self) -> &QueueName {
        &self.0
    }
}

impl From<QueueName> for QueueMarker {
    fn from(name: QueueName) -> Self {
        Self(name)
    }
}

impl fmt::Display for QueueMarker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for QueueMarker {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        QueueName::new(text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn queue_markers_are_names() -> Result<()> {
        let marker: QueueMarker = "a".parse()?;
        assert_eq!(marker.name().as_str(), "a");
        assert_eq!(marker.to_string(), "a");
        assert!("".parse::<QueueMarker>().is_err());
        Ok(())
    }
}
