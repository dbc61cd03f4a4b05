//! Retries: how a message is given back, and the policy by which a queue delays it.

use std::time::Duration;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::time::millis;
use super::{Message, MessageId};
use crate::model::error::{Error, Result};

/// A claimed message that is given back to its queue, to be claimed again later.
///
/// ```
/// use std::time::Duration;
/// use zaqar_sled::{MessageId, Retry};
///
/// # let id = MessageId::lossy("00000000000000010000000000000001");
/// let retry = Retry::new(id).delay(Duration::from_secs(30)).reason("the server is away");
/// assert_eq!(retry.message, id);
/// assert_eq!(retry.delay, Some(Duration::from_secs(30)));
/// assert_eq!(retry.reason.as_deref(), Some("the server is away"));
/// ```
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Retry {
    /// The message.
    pub message: MessageId,
    /// How long no claim takes the message; its ttl runs meanwhile. `None`: as the queue's
    /// [`RetryPolicy`] says, or no delay if the queue has none.
    pub delay: Option<Duration>,
    /// Why the message could not be processed: a text of at most 1 KiB, which
    /// [`Message::last_failure`] shows. `None` leaves the reason of the failure before.
    pub reason: Option<String>,
}

impl Retry {
    /// Gives this message back with the queue's own delay and without a reason.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let retry = Retry::new(MessageId::lossy("00000000000000010000000000000001"));
    /// assert_eq!((retry.delay, retry.reason), (None, None));
    /// ```
    pub fn new(message: MessageId) -> Self {
        Self { message, delay: None, reason: None }
    }

    /// Sets how long no claim takes the message; `None` leaves it to the queue.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let jobs = engine.queue(Project::none(), "jobs")?;
    /// # jobs.create(Metadata::new())?;
    /// jobs.post(ClientId::random(), &[NewMessage::new("work")])?;
    /// let claim = jobs.claim(ClaimOptions::new())?.expect("a message waits");
    /// let retry = Retry::new(claim.messages()[0].id());
    /// claim.retry_all(&[retry.delay(std::time::Duration::from_secs(60))])?;
    /// assert!(jobs.claim(ClaimOptions::new())?.is_none()); // for a minute
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn delay(mut self, delay: impl Into<Option<Duration>>) -> Self {
        self.delay = delay.into();
        self
    }

    /// Sets why the message could not be processed.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let jobs = engine.queue(Project::none(), "jobs")?;
    /// # jobs.create(Metadata::new())?;
    /// jobs.post(ClientId::random(), &[NewMessage::new("work")])?;
    /// let claim = jobs.claim(ClaimOptions::new())?.expect("a message waits");
    /// let retry = Retry::new(claim.messages()[0].id()).reason("no route");
    /// claim.retry_all(&[retry])?;
    /// let again = jobs.claim(ClaimOptions::new())?.expect("it waits again");
    /// assert_eq!(again.messages()[0].last_failure(), Some("no route"));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }
}

impl From<&Message> for Retry {
    fn from(message: &Message) -> Self {
        Self::new(message.id())
    }
}

/// How long a queue delays a message that is given back without a delay: longer after each claim.
///
/// After its `n`th claim a message waits `base × factor^(n - 1)`, at most `cap`. A share of that, the
/// jitter, is left out at random, so that messages which failed together do not all come back
/// together. The policy is a setting of the queue: [`QueueSettings::retry`](crate::QueueSettings::retry).
///
/// ```
/// use std::time::Duration;
/// use zaqar_sled::{Metadata, QueueSettings, RetryPolicy};
///
/// let second = Duration::from_secs(1);
/// let policy = RetryPolicy::new(second).factor(3).cap(60 * second).jitter(20).attempts(5);
/// let settings = QueueSettings::new().retry(policy).dead_letters("dead", 10);
/// let key = Metadata::from(settings).get_json("_retry").expect("it is set");
/// assert!(key.starts_with(r#"{"base_ms":1000,"factor":3,"cap_ms":60000,"#));
/// assert!(key.ends_with(r#""jitter_percent":20,"attempts":5}"#));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetryPolicy {
    /// In milliseconds.
    pub(super) base: u64,
    pub(super) factor: u32,
    /// In milliseconds.
    pub(super) cap: u64,
    pub(super) jitter: u32,
    pub(super) attempts: Option<u32>,
}

impl RetryPolicy {
    /// Delays a message by `base` after its first claim, and twice as long after each further one, up
    /// to 15 minutes. There is no jitter, and the number of attempts is not limited.
    pub fn new(base: Duration) -> Self {
        Self { base: millis(base), factor: 2, cap: 900_000, jitter: 0, attempts: None }
    }

    /// Sets the factor from one delay to the next, from 1 (all delays are equal) to 100.
    pub fn factor(mut self, factor: u32) -> Self {
        self.factor = factor;
        self
    }

    /// Sets the longest delay.
    pub fn cap(mut self, cap: Duration) -> Self {
        self.cap = millis(cap);
        self
    }

    /// Sets the share of each delay that is left to chance, in percent.
    pub fn jitter(mut self, percent: u32) -> Self {
        self.jitter = percent;
        self
    }

    /// Sets after how many claims a message is worn out: the next claim that meets it moves it to the
    /// queue's dead-letter queue, as after `_max_claim_count` claims, and it is not delayed before. The
    /// lower of the two numbers counts. Without a dead-letter queue the message is claimed on.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = Some(attempts);
        self
    }

    pub(crate) fn longest(&self) -> Duration {
        Duration::from_millis(self.cap)
    }

    /// The delay after that many claims, in milliseconds. `below` chooses a number below another one.
    pub(crate) fn delay(&self, claims: u32, below: impl FnOnce(u64) -> u64) -> u64 {
        let raise = |delay: u64, _| Some(delay.saturating_mul(self.factor.into())).filter(|next| *next < self.cap);
        let delay = (1..claims).try_fold(self.base, raise).unwrap_or(self.cap).min(self.cap);
        let chance = u64::try_from(u128::from(delay) * u128::from(self.jitter) / 100).unwrap_or(delay);
        delay.saturating_sub(if chance == 0 { 0 } else { below(chance.saturating_add(1)) })
    }
}

/// As the value of the reserved key.
impl Serialize for RetryPolicy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_struct("RetryPolicy", 5)?;
        members.serialize_field("base_ms", &self.base)?;
        members.serialize_field("factor", &self.factor)?;
        members.serialize_field("cap_ms", &self.cap)?;
        members.serialize_field("jitter_percent", &self.jitter)?;
        match &self.attempts {
            Some(attempts) => members.serialize_field("attempts", attempts)?,
            None => members.skip_field("attempts")?,
        }
        members.end()
    }
}

/// The longest reason of a retry, in bytes.
pub(crate) const REASON_BYTES: usize = 1 << 10;
/// The most bytes of reasons in one call.
const REASONS_BYTES: u64 = 64 << 20;

/// Checks the sizes of the reasons in one call.
pub(crate) fn check_reasons(retries: &[Retry]) -> Result<()> {
    let sizes = || retries.iter().filter_map(|retry| retry.reason.as_ref()).map(|reason| reason.len() as u64);
    let check = |what, size, limit| if size > limit { Err(Error::TooLarge { what, size, limit }) } else { Ok(()) };
    sizes().try_for_each(|size| check("reason bytes", size, REASON_BYTES as u64))?;
    check("bytes of all reasons", sizes().sum(), REASONS_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(policy: &RetryPolicy) -> Vec<u64> {
        [1, 2, 3, 4, 5, 50, u32::MAX].map(|claims| policy.delay(claims, |_| unreachable!("no jitter"))).to_vec()
    }

    #[test]
    fn delays_grow_by_the_factor_up_to_the_cap() {
        let policy = RetryPolicy::new(Duration::from_secs(1)).factor(3).cap(Duration::from_secs(20));
        assert_eq!(delays(&policy), [1_000, 3_000, 9_000, 20_000, 20_000, 20_000, 20_000]);
        assert_eq!(delays(&policy.cap(Duration::from_millis(400))), [400; 7]);
        assert_eq!(delays(&policy.factor(1)), [1_000; 7]);
        assert_eq!(delays(&RetryPolicy::new(Duration::ZERO)), [0; 7]);
        let long = RetryPolicy::new(Duration::from_millis(u64::MAX)).cap(Duration::MAX).factor(100);
        assert_eq!(delays(&long), [u64::MAX; 7]);
    }

    #[test]
    fn jitter_leaves_out_at_most_its_share() {
        let policy = RetryPolicy::new(Duration::from_secs(10)).jitter(20);
        let delay = |chosen: u64| {
            policy.delay(1, |end| {
                assert_eq!(end, 2_001);
                chosen
            })
        };
        assert_eq!((delay(0), delay(2_000)), (10_000, 8_000));
        assert_eq!(policy.jitter(100).delay(1, |end| end - 1), 0);
    }

    #[test]
    fn reasons_have_a_size() {
        let retry = |bytes| Retry::new(MessageId::new(1, 1)).reason("x".repeat(bytes));
        assert!(check_reasons(&[retry(1024), retry(0)]).is_ok());
        assert!(check_reasons(&[retry(1025)]).unwrap_err().is_too_large());
        assert!(check_reasons(&vec![retry(1024); 65_537]).unwrap_err().is_too_large());
    }
}
