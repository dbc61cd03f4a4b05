//! How fast a queue may give out messages, and how many it may give out now.

use std::num::NonZeroU32;

use super::Timestamp;

/// The setting: a token bucket, of which each message that is handed to a worker takes one token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    /// Messages per second.
    pub(crate) per_second: NonZeroU32,
    /// The messages that a full bucket holds.
    pub(crate) burst: NonZeroU32,
}

impl Rate {
    /// The highest rate, and the largest burst.
    pub(crate) const MOST: u32 = 1_000_000;
}

/// The claim rate of a queue and what its bucket holds, at the instant of a call: a part of
/// [`QueueStats`](crate::QueueStats).
///
/// [`QueueSettings::max_claims_per_second`](crate::QueueSettings::max_claims_per_second) says what the rate limits.
///
/// ```
/// # use zaqar_sled::*;
/// # use std::{sync::Arc, time::Duration};
/// # let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
/// # let disk = Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).clock(clock.clone()).open("store")?;
/// let jobs = engine.queue(Project::none(), "jobs")?;
/// jobs.create(QueueSettings::new().max_claims_per_second(4).max_claims_burst(2))?;
/// jobs.post(ClientId::random(), &vec![NewMessage::new("job"); 5])?;
/// assert_eq!(jobs.pop(5)?.len(), 2);
///
/// let rate = jobs.stats()?.claim_rate().expect("the queue has one");
/// assert_eq!((rate.per_second(), rate.burst(), rate.available()), (4, 2, 0));
/// assert_eq!(rate.next(), Timestamp::from_millis(1_000_250));
/// clock.advance(Duration::from_millis(250));
/// assert_eq!(jobs.pop(5)?.len(), 1);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ClaimRate {
    pub(crate) per_second: u32,
    pub(crate) burst: u32,
    pub(crate) available: u32,
    pub(crate) next: Timestamp,
}

impl ClaimRate {
    /// The messages per second that claims and pops may take on average.
    pub fn per_second(&self) -> u32 {
        self.per_second
    }

    /// The messages that claims and pops may take at once from a queue that has rested for long enough.
    pub fn burst(&self) -> u32 {
        self.burst
    }

    /// The messages that claims and pops may take at the instant of the call, if the queue has so many.
    pub fn available(&self) -> u32 {
        self.available
    }

    /// The first instant at which a claim or a pop may take a message: that of the call if
    /// [`available`](Self::available) is not 0.
    pub fn next(&self) -> Timestamp {
        self.next
    }
}
