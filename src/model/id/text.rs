//! Ids from their texts.

use std::str::FromStr;

use uuid::Uuid;

use super::{ClaimId, ClientId, MessageId, SubscriptionId};
use crate::model::error::{Error, Result};

impl FromStr for MessageId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse_hex(text)
            .map(|(queue, sequence)| Self::new(queue, sequence))
            .ok_or_else(|| Error::invalid("message id", NOT_HEX))
    }
}

impl FromStr for ClaimId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse_uuid("claim id", text).map(Self)
    }
}

impl FromStr for SubscriptionId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse_uuid("subscription id", text).map(Self)
    }
}

impl FromStr for ClientId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse_uuid("client id", text).map(Self)
    }
}

/// Strict: one text for each pair, so that comparing texts is comparing ids.
pub(in crate::model) fn parse_hex(text: &str) -> Option<(u64, u64)> {
    let is_lower_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != 32 || !text.bytes().all(is_lower_hex) {
        return None;
    }
    let (queue, sequence) = text.split_at_checked(16)?;
    Some((u64::from_str_radix(queue, 16).ok()?, u64::from_str_radix(sequence, 16).ok()?))
}

fn parse_uuid(name: &str, text: &str) -> Result<Uuid> {
    Uuid::try_parse(text).map_err(|error| Error::invalid(name, error.to_string()))
}

pub(in crate::model) const NOT_HEX: &str = "must be 32 lower-case hexadecimal digits";
