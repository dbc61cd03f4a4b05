//! How long a message lives.
//!
//! 1. [`Ttl::Forever`] is [`FOREVER`] wherever a ttl or the instant of an expiry is a number. Every other ttl ends by
//!    the last instant, so no other is as large.

use std::fmt;
use std::time::Duration;

use super::time::{millis, whole_seconds_up};

/// How long a message lives.
///
/// ```
/// use std::time::Duration;
/// use zaqar_sled::{NewMessage, Ttl};
///
/// let kept = NewMessage::new("42").ttl(Ttl::Forever);
/// let hour = NewMessage::new("42").ttl(Duration::from_secs(3600));
/// assert_eq!(kept.ttl, Some(Ttl::Forever));
/// assert_eq!(hour.ttl, Some(Ttl::For(Duration::from_secs(3600))));
/// assert!(Ttl::For(Duration::MAX) < Ttl::Forever);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Ttl {
    /// For this time. A post that would end after the year 9999 is refused.
    For(Duration),
    /// Until the message is deleted.
    Forever,
}

impl Ttl {
    /// The time, or `None` for [`Forever`](Self::Forever).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use zaqar_sled::Ttl;
    /// assert_eq!(Ttl::For(Duration::from_secs(60)).duration(), Some(Duration::from_secs(60)));
    /// assert_eq!(Ttl::Forever.duration(), None);
    /// ```
    pub const fn duration(self) -> Option<Duration> {
        match self {
            Self::For(duration) => Some(duration),
            Self::Forever => None,
        }
    }

    /// In milliseconds, rounded up. A limited ttl has passed the check of its end.
    pub(crate) fn as_millis(self) -> u64 {
        self.duration().map_or(FOREVER, millis)
    }

    /// As shown: in whole seconds, rounded up.
    pub(crate) const fn shown(millis: u64) -> Self {
        if millis == FOREVER { Self::Forever } else { Self::For(whole_seconds_up(millis)) }
    }
}

impl From<Duration> for Ttl {
    fn from(duration: Duration) -> Self {
        Self::For(duration)
    }
}

/// Equal to a limited ttl of that time.
impl PartialEq<Duration> for Ttl {
    fn eq(&self, other: &Duration) -> bool {
        self.duration() == Some(*other)
    }
}

/// The time, as `Duration` shows it for debugging, or `forever`.
impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(duration) => write!(f, "{duration:?}"),
            Self::Forever => f.write_str("forever"),
        }
    }
}

/// A ttl without an end, and the instant at which an item expires that has one. No clock shows this instant.
pub(crate) const FOREVER: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    #[test]
    fn forever_is_larger_than_every_ttl_and_instant() {
        let last = Ttl::For(Duration::from_millis(Timestamp::MAX.as_millis()));
        assert!(last < Ttl::Forever && last.as_millis() < FOREVER && Timestamp::MAX.as_millis() < FOREVER);
        assert_eq!((Ttl::Forever.as_millis(), Ttl::shown(FOREVER)), (FOREVER, Ttl::Forever));
    }

    #[test]
    fn a_limited_ttl_is_shown_in_seconds_rounded_up() {
        assert_eq!(Ttl::shown(2_001), Duration::from_secs(3));
        assert_eq!(Ttl::For(Duration::from_nanos(1)).as_millis(), 1);
        assert_ne!(Ttl::Forever, Duration::MAX);
        assert_eq!([Ttl::Forever, Ttl::For(Duration::from_secs(2))].map(|ttl| ttl.to_string()), ["forever", "2s"]);
    }
}
