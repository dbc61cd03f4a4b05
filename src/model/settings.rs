//! A queue's settings, from the reserved keys of its metadata.
//!
//! The keys are parsed once, when metadata is set. So bad values are refused there, and the data path
//! works with numbers. `null` means absent; unknown keys that begin with `_` are ignored.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::json::Json;
use super::{Metadata, Pause, QueueName, Rate, RetryPolicy, Timestamp};
use crate::model::error::{Error, Result};

/// The settings the storage acts on. Times are in milliseconds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct ParsedSettings {
    pub(crate) default_ttl: Option<u64>,
    pub(crate) default_delay: Option<u64>,
    /// In bytes of body per post.
    pub(crate) max_post_size: Option<u64>,
    pub(crate) max_claim_count: Option<u32>,
    pub(crate) dead_letter_queue: Option<QueueName>,
    /// 0 is unset, so never `Some(0)`.
    pub(crate) dead_letter_ttl: Option<u64>,
    pub(crate) pause: Option<Pause>,
    /// Boxed, because few queues have one.
    pub(crate) retry: Option<Box<RetryPolicy>>,
    /// Boxed, because few queues have one.
    pub(crate) bound: Option<Box<Bound>>,
    /// The queues that get what is posted to the topic, each once.
    pub(crate) subscribed: Option<Arc<[QueueName]>>,
    pub(crate) rate: Option<Rate>,
}

/// How much a queue may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Bound {
    pub(crate) messages: Option<u64>,
    /// As messages weigh: 64 bytes each beside their own.
    pub(crate) bytes: Option<u64>,
}

impl ParsedSettings {
    /// Reads the reserved keys; `is_invalid` naming the first key of the wrong type or range.
    pub(crate) fn parse(metadata: &Metadata) -> Result<Self> {
        let keys = Keys(metadata);
        keys.check(FLAVOR, "must be text", Json::is_text)?;
        keys.check(ENCRYPT, "must be true or false", Json::is_bool)?;
        keys.check(RETRY_POLICY, "must be an object", Json::is_object)?;
        Ok(Self {
            default_ttl: keys.millis(DEFAULT_TTL)?,
            default_delay: keys.millis(DEFAULT_DELAY)?,
            max_post_size: keys.integer(MAX_POST_SIZE, 1, u64::MAX)?,
            max_claim_count: keys.integer(MAX_CLAIM_COUNT, 0, u32::MAX.into())?.and_then(|count| count.try_into().ok()),
            dead_letter_queue: keys.queue_name(DEAD_LETTER_QUEUE)?,
            dead_letter_ttl: keys.millis(DEAD_LETTER_TTL)?.filter(|ttl| *ttl > 0),
            pause: keys.pause()?,
            retry: keys.retry()?.map(Box::new),
            bound: keys.bound()?.map(Box::new),
            subscribed: keys.subscribed()?,
            rate: keys.rate()?,
        })
    }

    /// After how many claims a message is moved to the dead-letter queue; `None` if it never is.
    pub(crate) fn most_claims(&self) -> Option<u32> {
        self.dead_letter_queue.as_ref()?;
        let attempts = self.retry.as_ref().and_then(|retry| retry.attempts);
        self.max_claim_count.into_iter().chain(attempts).min()
    }

    /// Refuses a dead-letter queue from which messages would return to `queue`. `next` gives the dead-letter queue of a
    /// queue. Cost: one look-up for each queue on the way, at most [`MOST_CHAINED`].
    pub(crate) fn check_chain(
        &self,
        queue: &QueueName,
        next: impl Fn(&QueueName) -> Result<Option<QueueName>>,
    ) -> Result<()> {
        let refused = |reason: String| Err(Error::invalid(DEAD_LETTER_QUEUE, reason));
        let mut at = self.dead_letter_queue.clone();
        for passed in 0..MOST_CHAINED {
            match at {
                None => return Ok(()),
                Some(name) if name == *queue && passed == 0 => {
                    return refused("a queue cannot be its own dead-letter queue".into());
                }
                Some(name) if name == *queue => {
                    return refused(format!("dead letters would come back to queue {queue:?}"));
                }
                Some(name) => at = next(&name)?,
            }
        }
        if at.is_none() { Ok(()) } else { refused(format!("more than {MOST_CHAINED} queues pass dead letters on")) }
    }
}

/// The most queues in a chain of dead-letter queues.
const MOST_CHAINED: usize = 32;

struct Keys<'a>(&'a Metadata);

impl Keys<'_> {
    fn check(&self, key: &str, reason: &str, is_right: fn(&Json) -> bool) -> Result<()> {
        match self.0.set_value(key) {
            Some(value) if !is_right(value) => Err(Error::invalid(key, reason)),
            _ => Ok(()),
        }
    }

    fn integer(&self, key: &str, least: u64, most: u64) -> Result<Option<u64>> {
        let Some(value) = self.0.set_value(key) else {
            return Ok(None);
        };
        value
            .as_u64()
            .filter(|number| (least..=most).contains(number))
            .map(Some)
            .ok_or_else(|| Error::invalid(key, format!("must be a whole number from {least} to {most}")))
    }

    fn millis(&self, key: &str) -> Result<Option<u64>> {
        let seconds = self.integer(key, 0, Timestamp::MAX.as_secs())?;
        Ok(seconds.map(|seconds| seconds.saturating_mul(1000)))
    }

    /// The retry policy; the error names the key of the wrong member.
    fn retry(&self) -> Result<Option<RetryPolicy>> {
        let Some(value) = self.0.set_value(RETRY) else { return Ok(None) };
        let Json::Object(members) = value else { return Err(Error::invalid(RETRY, "must be an object")) };
        let mut policy = RetryPolicy::new(Duration::ZERO);
        let mut has_base = false;
        for (name, value) in members {
            let number = |most: u64| {
                let wrong =
                    || Error::invalid(RETRY, format!("{} must be a whole number from 0 to {most}", name.shown()));
                value.as_u64().filter(|number| *number <= most).ok_or_else(wrong)
            };
            let small = |most: u32| number(most.into()).map(|number| u32::try_from(number).unwrap_or(most));
            let last = Timestamp::MAX.as_millis();
            match name.shown() {
                "base_ms" => (policy.base, has_base) = (number(last)?, true),
                "factor" => policy.factor = small(MAX_FACTOR)?,
                "cap_ms" => policy.cap = number(last)?,
                "jitter_percent" => policy.jitter = small(100)?,
                "attempts" if value.is_null() => policy.attempts = None,
                "attempts" => policy.attempts = Some(small(u32::MAX)?),
                _ => return Err(Error::invalid(RETRY, format!("has an unknown member {}", name.shown()))),
            }
        }
        if !has_base || policy.factor == 0 {
            return Err(Error::invalid(RETRY, "needs base_ms, and a factor of at least 1"));
        }
        Ok(Some(policy))
    }

    fn bound(&self) -> Result<Option<Bound>> {
        let messages = self.integer(MAX_MESSAGES, 1, u64::MAX)?;
        let bytes = self.integer(MAX_BYTES, 1, u64::MAX)?;
        Ok((messages.is_some() || bytes.is_some()).then_some(Bound { messages, bytes }))
    }

    /// A burst without a rate is checked, and limits nothing.
    fn rate(&self) -> Result<Option<Rate>> {
        let read = |key| {
            let number = self.integer(key, 1, Rate::MOST.into())?;
            Ok::<_, Error>(number.and_then(|number| NonZeroU32::new(number.try_into().ok()?)))
        };
        let (per_second, burst) = (read(MAX_CLAIMS)?, read(MAX_BURST)?);
        Ok(per_second.map(|per_second| Rate { per_second, burst: burst.unwrap_or(per_second) }))
    }

    fn pause(&self) -> Result<Option<Pause>> {
        let Some(value) = self.0.set_value(PAUSED) else { return Ok(None) };
        let text = value.as_str().unwrap_or_default();
        text.parse().map(Some).map_err(|_| Error::invalid(PAUSED, r#"must be "claims", "posts" or "all""#))
    }

    fn subscribed(&self) -> Result<Option<Arc<[QueueName]>>> {
        let Some(value) = self.0.set_value(SUBSCRIBED) else { return Ok(None) };
        let wrong = |reason: &str| Error::invalid(SUBSCRIBED, reason);
        let Json::List(values) = value else { return Err(wrong("must be a list of names of queues")) };
        if values.len() > MOST_SUBSCRIBED {
            return Err(wrong(&format!("has more than {MOST_SUBSCRIBED} queues")));
        }
        let (mut names, mut met) = (Vec::with_capacity(values.len()), BTreeSet::new());
        for value in values {
            let text = value.as_str().ok_or_else(|| wrong("must be a list of names of queues"))?;
            let name = QueueName::new(text).map_err(|error| wrong(&error.to_string()))?;
            if !met.insert(name.clone()) {
                return Err(wrong(&format!("has queue {name:?} twice")));
            }
            names.push(name);
        }
        Ok((!names.is_empty()).then(|| names.into()))
    }

    fn queue_name(&self, key: &str) -> Result<Option<QueueName>> {
        self.check(key, "must be text", Json::is_text)?;
        let Some(value) = self.0.set_value(key) else { return Ok(None) };
        let name = value.as_str().ok_or_else(|| Error::invalid(key, "has half a surrogate pair"))?;
        QueueName::new(name).map(Some).map_err(|error| Error::invalid(key, error.to_string()))
    }
}

pub(super) const DEFAULT_TTL: &str = "_default_message_ttl";
pub(super) const DEFAULT_DELAY: &str = "_default_message_delay";
pub(super) const MAX_POST_SIZE: &str = "_max_messages_post_size";
pub(super) const DEAD_LETTER_TTL: &str = "_dead_letter_queue_messages_ttl";
pub(super) const MAX_CLAIM_COUNT: &str = "_max_claim_count";
pub(crate) const DEAD_LETTER_QUEUE: &str = "_dead_letter_queue";
pub(super) const FLAVOR: &str = "_flavor";
const ENCRYPT: &str = "_enable_encrypt_messages";
const RETRY_POLICY: &str = "_retry_policy";
/// Ours. `_retry_policy` is Zaqar's, and concerns notifications.
pub(super) const RETRY: &str = "_retry";
/// Ours.
pub(super) const MAX_MESSAGES: &str = "_max_queue_messages";
/// Ours.
pub(super) const MAX_BYTES: &str = "_max_queue_bytes";
/// Ours.
pub(super) const MAX_CLAIMS: &str = "_max_claims_per_second";
/// Ours.
pub(super) const MAX_BURST: &str = "_max_claims_burst";
/// Ours.
pub(crate) const PAUSED: &str = "_paused";
/// Ours. It acts on topics only.
pub(crate) const SUBSCRIBED: &str = "_subscribed_queues";
const MAX_FACTOR: u32 = 100;
/// The most queues that are subscribed to a topic: a post locks all of them.
pub(crate) const MOST_SUBSCRIBED: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::QueueSettings;

    fn parse(json: &str) -> Result<ParsedSettings> {
        ParsedSettings::parse(&Metadata::from_json(json)?)
    }

    #[test]
    fn every_setting_is_read() -> Result<()> {
        let settings = parse(
            r#"{"_default_message_ttl": 600, "_default_message_delay": 5,
                "_max_messages_post_size": 1024, "_max_claim_count": 2, "_dead_letter_queue": "dead",
                "_dead_letter_queue_messages_ttl": 7, "_flavor": "gold", "owner": "ann",
                "_enable_encrypt_messages": true, "_retry_policy": {"retries": 3}, "_paused": "posts",
                "_retry": {"base_ms": 5, "factor": 3, "attempts": 4}, "_max_queue_messages": 8,
                "_max_queue_bytes": 4096, "_subscribed_queues": ["b", "a"], "_max_claims_per_second": 9,
                "_max_claims_burst": 7, "_else": [1]}"#,
        )?;
        let expected = ParsedSettings {
            default_ttl: Some(600_000),
            default_delay: Some(5000),
            max_post_size: Some(1024),
            max_claim_count: Some(2),
            dead_letter_queue: Some(QueueName::new("dead")?),
            dead_letter_ttl: Some(7000),
            pause: Some(Pause::Posts),
            retry: Some(Box::new(RetryPolicy::new(Duration::from_millis(5)).factor(3).attempts(4))),
            bound: Some(Box::new(Bound { messages: Some(8), bytes: Some(4096) })),
            subscribed: Some([QueueName::new("b")?, QueueName::new("a")?].into()),
            rate: NonZeroU32::new(9).zip(NonZeroU32::new(7)).map(|(per_second, burst)| Rate { per_second, burst }),
        };
        assert_eq!(settings, expected);
        Ok(())
    }

    #[test]
    fn null_and_absent_keys_are_unset() -> Result<()> {
        assert_eq!(parse("{}")?, ParsedSettings::default());
        for key in EVERY_KEY {
            assert_eq!(parse(&format!(r#"{{"{key}": null}}"#))?, ParsedSettings::default());
        }
        Ok(())
    }

    #[test]
    fn a_value_of_the_wrong_type_names_its_key() {
        for key in EVERY_KEY {
            // No reserved key accepts any of these values.
            for value in ["1.5", "-1", "[[]]", "1e3"] {
                assert_refused(key, value);
            }
        }
        for key in NUMBERS {
            for value in ["true", "{}", r#""60""#, "60.0"] {
                assert_refused(key, value);
            }
        }
        for value in ["1", r#""true""#, "{}"] {
            assert_refused(ENCRYPT, value);
        }
        for value in ["1", r#""x""#, "true"] {
            assert_refused(RETRY_POLICY, value);
            assert_refused(RETRY, value);
        }
        for key in [FLAVOR, DEAD_LETTER_QUEUE, PAUSED] {
            for value in ["1", "{}", "true"] {
                assert_refused(key, value);
            }
        }
        assert_refused(PAUSED, r#""both""#);
    }

    #[test]
    fn numbers_are_taken_at_their_bounds_and_refused_past_them() -> Result<()> {
        let last = Timestamp::MAX.as_secs();
        for key in [DEFAULT_TTL, DEFAULT_DELAY, DEAD_LETTER_TTL] {
            assert!(parse(&format!(r#"{{"{key}": 0}}"#)).is_ok());
            assert!(parse(&format!(r#"{{"{key}": {last}}}"#)).is_ok());
            assert_refused(key, &(last + 1).to_string());
        }
        assert_eq!(parse(r#"{"_max_claim_count": 0}"#)?.max_claim_count, Some(0));
        assert!(parse(r#"{"_max_claim_count": 4294967295}"#).is_ok());
        assert_refused(MAX_CLAIM_COUNT, "4294967296");
        assert!(parse(r#"{"_max_messages_post_size": 1}"#).is_ok());
        assert!(parse(r#"{"_max_messages_post_size": 18446744073709551615}"#).is_ok());
        assert_refused(MAX_POST_SIZE, "0");
        Ok(())
    }

    #[test]
    fn a_dead_letter_ttl_of_zero_is_unset_but_a_default_ttl_of_zero_is_not() -> Result<()> {
        let settings = parse(r#"{"_dead_letter_queue_messages_ttl": 0, "_default_message_ttl": 0}"#)?;
        assert_eq!(settings.dead_letter_ttl, None);
        assert_eq!(settings.default_ttl, Some(0));
        Ok(())
    }

    #[test]
    fn a_retry_policy_comes_back_and_wrong_ones_are_refused() -> Result<()> {
        let second = Duration::from_secs(1);
        let full = RetryPolicy::new(second).factor(100).cap(90 * second).jitter(100).attempts(u32::MAX);
        for policy in [RetryPolicy::new(second), full] {
            let metadata = Metadata::from(QueueSettings::new().retry(policy));
            assert_eq!(
                ParsedSettings::parse(&Metadata::from_json(&metadata.to_json())?)?.retry.as_deref(),
                Some(&policy)
            );
        }
        for value in [
            "{}",
            r#"{"factor": 2}"#,
            r#"{"base_ms": -1}"#,
            r#"{"base_ms": 1.5}"#,
            r#"{"base_ms": 253402300800000}"#,
            r#"{"base_ms": 1, "factor": 0}"#,
            r#"{"base_ms": 1, "factor": 101}"#,
            r#"{"base_ms": 1, "jitter_percent": 101}"#,
            r#"{"base_ms": 1, "attempts": 4294967296}"#,
            r#"{"base_ms": 1, "base": 2}"#,
        ] {
            assert_refused(RETRY, value);
        }
        Ok(())
    }

    #[test]
    fn the_lower_number_of_claims_counts_if_there_is_a_dead_letter_queue() -> Result<()> {
        let most =
            |rest: &str| Ok::<_, Error>(parse(&format!(r#"{{"_dead_letter_queue": "d"{rest}}}"#))?.most_claims());
        assert_eq!(most("")?, None);
        assert_eq!(most(r#", "_max_claim_count": 3"#)?, Some(3));
        assert_eq!(most(r#", "_retry": {"base_ms": 1, "attempts": 2}"#)?, Some(2));
        assert_eq!(most(r#", "_max_claim_count": 1, "_retry": {"base_ms": 1, "attempts": 2}"#)?, Some(1));
        assert_eq!(parse(r#"{"_max_claim_count": 3}"#)?.most_claims(), None);
        Ok(())
    }

    #[test]
    fn a_dead_letter_queue_must_be_a_name() {
        assert_refused(DEAD_LETTER_QUEUE, r#""""#);
        assert_refused(DEAD_LETTER_QUEUE, &format!("\"{}\"", "x".repeat(513)));
    }

    fn assert_refused(key: &str, value: &str) {
        match parse(&format!(r#"{{"{key}": {value}}}"#)) {
            Err(Error::InvalidArgument { name, .. }) => assert_eq!(name, key),
            other => panic!("{key} = {value}: {other:?}"),
        }
    }

    const NUMBERS: [&str; 9] = [
        DEFAULT_TTL,
        DEFAULT_DELAY,
        MAX_POST_SIZE,
        MAX_CLAIM_COUNT,
        DEAD_LETTER_TTL,
        MAX_MESSAGES,
        MAX_BYTES,
        MAX_CLAIMS,
        MAX_BURST,
    ];

    const EVERY_KEY: [&str; 16] = [
        MAX_CLAIMS,
        MAX_BURST,
        MAX_MESSAGES,
        MAX_BYTES,
        DEFAULT_TTL,
        DEFAULT_DELAY,
        MAX_POST_SIZE,
        MAX_CLAIM_COUNT,
        DEAD_LETTER_TTL,
        DEAD_LETTER_QUEUE,
        FLAVOR,
        ENCRYPT,
        RETRY_POLICY,
        RETRY,
        PAUSED,
        SUBSCRIBED,
    ];
}
