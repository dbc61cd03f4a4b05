//! What a queue's reserved metadata keys say.
//!
//! Parsed once, when metadata is set, so that bad values are refused there and the data path works
//! with numbers. `null` is as good as absent; unknown keys that begin with `_` are left alone.

use serde_json::Value;

use super::{Metadata, QueueName, Timestamp};
use crate::error::{Error, Result};

/// The settings the storage acts on. Times are in milliseconds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct QueueSettings {
    pub(crate) default_ttl: Option<u64>,
    pub(crate) default_delay: Option<u64>,
    /// In bytes of body per post.
    pub(crate) max_post_size: Option<u64>,
    pub(crate) max_claim_count: Option<u32>,
    pub(crate) dead_letter_queue: Option<QueueName>,
    /// 0 is unset, so never `Some(0)`.
    pub(crate) dead_letter_ttl: Option<u64>,
}

impl QueueSettings {
    /// Reads the reserved keys; `is_invalid` naming the first key of the wrong type or range.
    pub(crate) fn parse(metadata: &Metadata) -> Result<Self> {
        let keys = Keys(metadata);
        keys.check(FLAVOR, "must be text", Value::is_string)?;
        keys.check(ENCRYPT, "must be true or false", Value::is_boolean)?;
        keys.check(RETRY_POLICY, "must be an object", Value::is_object)?;
        Ok(Self {
            default_ttl: keys.millis(DEFAULT_TTL)?,
            default_delay: keys.millis(DEFAULT_DELAY)?,
            max_post_size: keys.integer(MAX_POST_SIZE, 1, u64::MAX)?,
            max_claim_count: keys
                .integer(MAX_CLAIM_COUNT, 0, u32::MAX.into())?
                .and_then(|count| count.try_into().ok()),
            dead_letter_queue: keys.queue_name(DEAD_LETTER_QUEUE)?,
            dead_letter_ttl: keys.millis(DEAD_LETTER_TTL)?.filter(|ttl| *ttl > 0),
        })
    }
}

struct Keys<'a>(&'a Metadata);

impl Keys<'_> {
    fn check(&self, key: &str, reason: &str, is_right: fn(&Value) -> bool) -> Result<()> {
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
            .ok_or_else(|| {
                Error::invalid(
                    key,
                    format!("must be a whole number from {least} to {most}"),
                )
            })
    }

    fn millis(&self, key: &str) -> Result<Option<u64>> {
        let seconds = self.integer(key, 0, Timestamp::MAX.as_secs())?;
        Ok(seconds.map(|seconds| seconds.saturating_mul(1000)))
    }

    fn queue_name(&self, key: &str) -> Result<Option<QueueName>> {
        self.check(key, "must be text", Value::is_string)?;
        self.0
            .set_value(key)
            .and_then(Value::as_str)
            .map(QueueName::new)
            .transpose()
            .map_err(|error| Error::invalid(key, error.to_string()))
    }
}

pub(super) const DEFAULT_TTL: &str = "_default_message_ttl";
pub(super) const DEFAULT_DELAY: &str = "_default_message_delay";
pub(super) const MAX_POST_SIZE: &str = "_max_messages_post_size";
pub(super) const DEAD_LETTER_TTL: &str = "_dead_letter_queue_messages_ttl";
const MAX_CLAIM_COUNT: &str = "_max_claim_count";
const DEAD_LETTER_QUEUE: &str = "_dead_letter_queue";
const FLAVOR: &str = "_flavor";
const ENCRYPT: &str = "_enable_encrypt_messages";
const RETRY_POLICY: &str = "_retry_policy";
