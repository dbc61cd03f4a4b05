//! The token bucket of a queue with a claim rate.
//!
//! 1. While the setting stays, at most `burst + t * per_second / 1000` messages are handed out in any `t` milliseconds
//!    of the queue's time. Tokens are counted in thousandths, of which a rate brings a whole number in a millisecond, so
//!    nothing is rounded.
//! 2. A bucket is changed only by an operation that hands out messages. What it holds at an instant follows from its
//!    last change and the setting in force: a change of the setting changes no bucket, and in a pooled driver the store
//!    with the bucket need not know the setting.
//! 3. A bucket that lacks more than the burst of the setting in force lacks that burst: it owes nothing to a former one.
//!
//! Cost: a few multiplications; nothing for a queue without a rate.

use serde::{Deserialize, Serialize};

use crate::model::settings::ParsedSettings;
use crate::model::{ClaimRate, Rate, Timestamp};

/// A bucket after messages were handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bucket {
    /// The time of the operation, in milliseconds.
    pub(crate) at: u64,
    /// The thousandths of a token that the bucket lacked then.
    pub(crate) lacks: u32,
}

/// What a queue with a claim rate may hand out at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quota {
    rate: Rate,
    now: u64,
    /// The thousandths that the bucket lacked at its last change, by the setting in force, and the time since.
    lacked: u64,
    since: u64,
}

impl Quota {
    /// `None` if the settings have no rate.
    pub(crate) fn of(settings: &ParsedSettings, bucket: Option<Bucket>, now: u64) -> Option<Self> {
        let rate = settings.rate?;
        let (lacked, since) = bucket.map_or((0, now), |bucket| (bucket.lacks.into(), bucket.at));
        Some(Self { rate, now, lacked: lacked.min(capacity(rate)), since })
    }

    /// The thousandths that the bucket lacks now.
    fn lacks(self) -> u64 {
        let time = self.now.saturating_sub(self.since);
        self.lacked.saturating_sub(time.saturating_mul(self.rate.per_second.get().into()))
    }

    /// The messages that may be handed out now.
    pub(crate) fn available(self) -> usize {
        usize::try_from(self.messages()).unwrap_or(usize::MAX)
    }

    fn messages(self) -> u32 {
        u32::try_from(capacity(self.rate).saturating_sub(self.lacks()) / TOKEN).unwrap_or(u32::MAX)
    }

    /// The first instant from now on at which a message may be handed out.
    pub(crate) fn next(self) -> u64 {
        let excess = self.lacked.saturating_sub(capacity(self.rate).saturating_sub(TOKEN));
        let next = self.since.saturating_add(excess.div_ceil(self.rate.per_second.get().into()));
        next.min(Timestamp::MAX.as_millis()).max(self.now)
    }

    /// What the bucket lacks when so many messages are handed out now.
    pub(crate) fn without(self, messages: usize) -> u32 {
        let lacks = self.lacks().saturating_add((messages as u64).saturating_mul(TOKEN));
        debug_assert!(lacks <= capacity(self.rate), "more messages are handed out than the bucket holds");
        u32::try_from(lacks).unwrap_or(u32::MAX)
    }

    /// As callers see it.
    pub(crate) fn shown(self) -> ClaimRate {
        ClaimRate {
            per_second: self.rate.per_second.get(),
            burst: self.rate.burst.get(),
            available: self.messages(),
            next: Timestamp::from_millis(self.next()),
        }
    }
}

/// The thousandths in a full bucket.
fn capacity(rate: Rate) -> u64 {
    u64::from(rate.burst.get()).saturating_mul(TOKEN)
}

/// The thousandths of a token that a message takes.
const TOKEN: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Metadata;

    fn settings(per_second: u32, burst: u32) -> ParsedSettings {
        let text = format!(r#"{{"_max_claims_per_second": {per_second}, "_max_claims_burst": {burst}}}"#);
        ParsedSettings::parse(&Metadata::from_json(&text).unwrap()).unwrap()
    }

    /// Takes as many messages as there are at each of the instants; returns how many.
    fn taken(settings: &ParsedSettings, instants: impl IntoIterator<Item = u64>) -> Vec<usize> {
        let mut bucket = None;
        let take = |now| {
            let quota = Quota::of(settings, bucket, now).unwrap();
            let messages = quota.available();
            assert_eq!(messages > 0, quota.next() == now, "at {now}");
            if messages > 0 {
                bucket = Some(Bucket { at: now, lacks: quota.without(messages) });
            }
            messages
        };
        instants.into_iter().map(take).collect()
    }

    #[test]
    fn over_a_long_time_a_rate_is_met_to_the_message() {
        for (per_second, burst) in [(7, 2), (999, 3), (1_000, 2), (1_001, 3), (1_000_000, 2_000), (1, 1)] {
            let sum: usize = taken(&settings(per_second, burst), 0..=10_000).iter().sum();
            assert_eq!(sum, (burst + 10 * per_second) as usize, "{per_second} per second");
        }
    }

    #[test]
    fn the_next_instant_is_the_first_at_which_a_message_is_there() {
        for (per_second, burst, took) in [(3, 1, 1), (7, 2, 2), (999, 5, 5), (1, 1_000_000, 1_000_000), (3, 4, 2)] {
            let settings = settings(per_second, burst);
            let lacks = Quota::of(&settings, None, 500).unwrap().without(took);
            let at = |now| Quota::of(&settings, Some(Bucket { at: 500, lacks }), now).unwrap();
            let next = at(500).next();
            assert_eq!(at(next).next(), next);
            assert!(at(next).available() > 0);
            assert!(next == 500 || at(next - 1).available() == 0, "{per_second} {burst}");
        }
    }

    #[test]
    fn a_bucket_owes_nothing_to_a_larger_burst_and_holds_no_more_than_its_own() {
        let bucket = Some(Bucket { at: 1_000, lacks: 1_000_000_000 });
        let slow = |now| Quota::of(&settings(1, 3), bucket, now).unwrap();
        assert_eq!((slow(1_000).available(), slow(1_000).next()), (0, 2_000));
        assert_eq!((slow(3_999).available(), slow(4_000).available(), slow(u64::MAX).available()), (2, 3, 3));
        // A clock that is behind the bucket, which no operation makes, brings nothing.
        assert_eq!((slow(0).available(), slow(0).next()), (0, 2_000));
        let forged = Quota::of(&settings(1, 1), Some(Bucket { at: u64::MAX, lacks: u32::MAX }), 5).unwrap();
        assert_eq!((forged.available(), forged.shown().next), (0, Timestamp::MAX));
    }
}
