//! Instants, and the rounding between internal milliseconds and the whole seconds of the API.
//!
//! 1. No instant is after 9999-12-31T23:59:59.999Z, so that every one can be written as a date.
//! 2. Lifetimes are half-open: live while `now < expires`.
//! 3. Ages round down and lifetimes round up, so no live item shows a lifetime of zero.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

/// An instant: milliseconds since 1970-01-01 UTC. It is shown as ISO 8601 text to the second.
///
/// ```
/// use std::time::Duration;
/// use zaqar_sled::Timestamp;
///
/// let posted = Timestamp::from_millis(1_700_000_000_123);
/// assert_eq!(posted.to_string(), "2023-11-14T22:13:20Z");
/// let later = posted.saturating_add(Duration::from_secs(60));
/// assert_eq!(later.since(posted), Duration::from_secs(60));
/// assert_eq!((posted.as_millis(), posted.as_secs()), (1_700_000_000_123, 1_700_000_000));
/// assert_eq!(Timestamp::MAX.checked_add(Duration::from_millis(1)), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The last instant: 9999-12-31T23:59:59.999Z.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// The instant this many milliseconds after 1970 began; at most [`MAX`](Self::MAX).
    pub const fn from_millis(millis: u64) -> Self {
        if millis > Self::MAX.0 { Self::MAX } else { Self(millis) }
    }

    /// Milliseconds since 1970 began.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since 1970 began, rounded down.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// The instant `duration` later, rounded up to a millisecond; at most [`MAX`](Self::MAX).
    pub fn saturating_add(self, duration: Duration) -> Self {
        self.saturating_add_millis(millis(duration))
    }

    /// The instant `duration` later, as [`saturating_add`](Self::saturating_add), but `None` after
    /// [`MAX`](Self::MAX).
    pub fn checked_add(self, duration: Duration) -> Option<Self> {
        let sum = self.0.checked_add(millis(duration))?;
        (sum <= Self::MAX.0).then_some(Self(sum))
    }

    /// The time from `earlier` to this instant; zero if `earlier` is the later one.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    pub(crate) const fn saturating_add_millis(self, millis: u64) -> Self {
        Self::from_millis(self.0.saturating_add(millis))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instant = UNIX_EPOCH.checked_add(Duration::from_millis(self.0)).ok_or(fmt::Error)?;
        fmt::Display::fmt(&humantime::format_rfc3339_seconds(instant), f)
    }
}

/// Shows the milliseconds, which a failing test needs.
impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({} ms)", self.0)
    }
}

/// In milliseconds, rounded up, so that no lifetime is shorter than requested.
pub(crate) fn millis(duration: Duration) -> u64 {
    let part = u64::from(duration.subsec_nanos().div_ceil(NANOS_A_MILLI));
    duration.as_secs().saturating_mul(1_000).saturating_add(part)
}

/// In milliseconds, rounded down.
pub(crate) fn whole_millis(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000).saturating_add(u64::from(duration.subsec_millis()))
}

const NANOS_A_MILLI: u32 = 1_000_000;

/// The age, as shown, of an item that was created at `created`.
pub(super) const fn age(created: Timestamp, now: Timestamp) -> Duration {
    whole_seconds_down(now.0.saturating_sub(created.0))
}

/// Rounds an age for the API.
pub(crate) const fn whole_seconds_down(millis: u64) -> Duration {
    Duration::from_secs(millis / 1000)
}

/// Rounds a lifetime for the API.
pub(crate) const fn whole_seconds_up(millis: u64) -> Duration {
    Duration::from_secs(millis.div_ceil(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_shown_to_the_second() {
        let shown = |millis| Timestamp::from_millis(millis).to_string();
        assert_eq!(shown(0), "1970-01-01T00:00:00Z");
        assert_eq!(shown(999), "1970-01-01T00:00:00Z");
        assert_eq!(shown(951_782_400_000), "2000-02-29T00:00:00Z");
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn no_instant_lies_past_the_last() {
        assert_eq!(Timestamp::from_millis(u64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MAX.saturating_add(Duration::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MAX.checked_add(Duration::from_nanos(1)), None);
        assert_eq!(Timestamp::MAX.checked_add(Duration::ZERO), Some(Timestamp::MAX));
        assert_eq!(Timestamp::default().checked_add(Duration::MAX), None);
    }

    #[test]
    fn differences_never_go_below_zero() {
        let (early, late) = (Timestamp::from_millis(1), Timestamp::from_millis(1501));
        assert_eq!(late.since(early), Duration::from_millis(1500));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(late.as_secs(), 1);
    }

    #[test]
    fn durations_round_up_to_milliseconds_and_as_shown_to_seconds() {
        assert_eq!(millis(Duration::ZERO), 0);
        assert_eq!(millis(Duration::from_nanos(1)), 1);
        assert_eq!(millis(Duration::from_micros(1001)), 2);
        assert_eq!(millis(Duration::from_millis(7)), 7);
        assert_eq!(millis(Duration::MAX), u64::MAX);
        assert_eq!(whole_seconds_down(1999), Duration::from_secs(1));
        assert_eq!(whole_seconds_up(1001), Duration::from_secs(2));
        assert_eq!(whole_seconds_up(1000), Duration::from_secs(1));
        assert_eq!(whole_seconds_up(0), Duration::ZERO);
    }
}
