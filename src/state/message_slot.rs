//! A message in a page's content, without its body.
//!
//! 1. `hold` is valid only while the page marks the message as claimed or delayed: then it is the number of the claim,
//!    or the end of the delay.
//! 2. A message that was never claimed has neither claim times nor a failure.
//!
//! Memory: 56 B. On disk, only a message that was claimed has the times of its claims.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeTuple, Serializer};

use super::u48::U48;

/// Times are engine milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct MessageSlot {
    times: Times,
    pub(crate) hold: u64,
    /// Distance from the page's first sequence.
    pub(super) distance: u32,
    pub(super) start: u32,
    pub(super) len: u32,
    pub(crate) claim_count: u32,
    /// Index of the poster among the page's clients.
    pub(super) client: u8,
    flags: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Times {
    created: U48,
    expires: U48,
    ttl: U48,
    first_claimed: U48,
    last_claimed: U48,
}

impl MessageSlot {
    /// A message with these times and no others.
    pub(super) fn new(created: u64, expires: u64, ttl: u64) -> Self {
        let times = Times { created: created.into(), expires: expires.into(), ttl: ttl.into(), ..Times::default() };
        Self { times, ..Self::default() }
    }

    pub(crate) fn created(&self) -> u64 {
        self.times.created.get()
    }

    pub(crate) fn expires(&self) -> u64 {
        self.times.expires.get()
    }

    pub(crate) fn ttl(&self) -> u64 {
        self.times.ttl.get()
    }

    /// When the message was claimed first and last; 0 for a message that was never claimed.
    pub(crate) fn claimed(&self) -> (u64, u64) {
        (self.times.first_claimed.get(), self.times.last_claimed.get())
    }

    pub(crate) fn set_life(&mut self, ttl: u64, expires: u64) {
        (self.times.ttl, self.times.expires) = (ttl.into(), expires.into());
    }

    pub(super) fn set_expires(&mut self, expires: u64) {
        self.times.expires = expires.into();
    }

    pub(super) fn set_claimed(&mut self, (first, last): (u64, u64)) {
        (self.times.first_claimed, self.times.last_claimed) = (first.into(), last.into());
    }

    /// Counts a claim with this number at this time.
    pub(super) fn claim(&mut self, number: u64, time: u64) {
        if self.claim_count == 0 {
            self.times.first_claimed = time.into();
        }
        self.times.last_claimed = time.into();
        self.claim_count = self.claim_count.saturating_add(1);
        self.hold = number;
        self.set(RETRIED, false);
    }

    /// Delays a message that was claimed, until `ready_at`; 0 for no delay.
    pub(super) fn delay_again(&mut self, ready_at: u64) {
        self.hold = ready_at;
        self.set(RETRIED, ready_at > 0);
    }

    /// Bytes that are stored of it: its body, its envelope and its checksum.
    pub(crate) fn size(&self) -> u64 {
        u64::from(self.len)
    }

    pub(crate) fn weight(&self) -> u64 {
        u64::from(self.len).saturating_add(MESSAGE_WEIGHT)
    }

    pub(crate) fn distance(&self) -> u64 {
        u64::from(self.distance)
    }

    /// Whether a message without a known claim is delayed, whatever the time: `hold` is the end of its delay if it was
    /// never claimed, or was given back with a delay.
    pub(crate) fn waits(&self) -> bool {
        (self.claim_count == 0 || self.has(RETRIED)) && self.hold > self.created()
    }

    /// Since when a message that is neither claimed nor delayed is free; `None` if it was under a claim before, because
    /// the end of that claim is not recorded.
    pub(super) fn free_since(&self) -> Option<u64> {
        if self.waits() { Some(self.hold) } else { (self.claim_count == 0).then(|| self.created()) }
    }

    pub(super) fn has_checksum(&self) -> bool {
        self.has(CHECKSUMMED)
    }

    pub(super) fn set_checksum(&mut self) {
        self.set(CHECKSUMMED, true);
    }

    pub(super) fn has_envelope(&self) -> bool {
        self.has(ENVELOPED)
    }

    pub(super) fn set_envelope(&mut self) {
        self.set(ENVELOPED, true);
    }

    /// Whether the message's last failure is a lease that ran out.
    pub(super) fn has_lapsed(&self) -> bool {
        self.has(LAPSED)
    }

    pub(super) fn set_lapsed(&mut self, lapsed: bool) {
        self.set(LAPSED, lapsed);
    }

    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    fn set(&mut self, flag: u8, value: bool) {
        self.flags = if value { self.flags | flag } else { self.flags & !flag };
    }
}

/// The body's checksum precedes the body.
const CHECKSUMMED: u8 = 1;
/// The last failure is a lease that ran out.
const LAPSED: u8 = 2;
/// `hold` is the end of a delay although the message was claimed.
const RETRIED: u8 = 4;
/// The message's envelope and its length precede the body, behind the checksum.
const ENVELOPED: u8 = 8;

/// Ten fields, and the claim times as differences if the message was claimed.
impl Serialize for MessageSlot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let was_claimed = self.claim_count > 0;
        let mut fields = serializer.serialize_tuple(if was_claimed { FIELDS + 2 } else { FIELDS })?;
        for time in [self.created(), self.expires(), self.ttl(), self.hold] {
            fields.serialize_element(&time)?;
        }
        for number in [self.distance, self.start, self.len, self.claim_count] {
            fields.serialize_element(&number)?;
        }
        fields.serialize_element(&self.client)?;
        fields.serialize_element(&self.flags)?;
        if was_claimed {
            let (first, last) = self.claimed();
            fields.serialize_element(&first.wrapping_sub(self.created()))?;
            fields.serialize_element(&last.wrapping_sub(first))?;
        }
        fields.end()
    }
}

const FIELDS: usize = 10;

impl<'de> Deserialize<'de> for MessageSlot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(FIELDS + 2, SlotVisitor)
    }
}

struct SlotVisitor;

impl<'de> Visitor<'de> for SlotVisitor {
    type Value = MessageSlot;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<MessageSlot, A::Error> {
        fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(fields: &mut A) -> Result<T, A::Error> {
            fields.next_element()?.ok_or_else(|| A::Error::custom("a message is too short"))
        }
        let mut slot = MessageSlot::new(next(&mut fields)?, next(&mut fields)?, next(&mut fields)?);
        slot.hold = next(&mut fields)?;
        (slot.distance, slot.start) = (next(&mut fields)?, next(&mut fields)?);
        (slot.len, slot.claim_count) = (next(&mut fields)?, next(&mut fields)?);
        (slot.client, slot.flags) = (next(&mut fields)?, next(&mut fields)?);
        if slot.claim_count > 0 {
            let first = slot.created().wrapping_add(next(&mut fields)?);
            slot.set_claimed((first, first.wrapping_add(next(&mut fields)?)));
        }
        Ok(slot)
    }
}

/// What a message weighs beside its body and its headers.
pub(crate) const MESSAGE_WEIGHT: u64 = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ttl::FOREVER;
    use crate::storage::codec::{self, hex};

    #[test]
    fn a_slot_takes_56_bytes() {
        assert_eq!(size_of::<MessageSlot>(), 56);
    }

    #[test]
    fn golden_bytes_and_both_kinds_come_back() {
        let posted = MessageSlot { hold: 4, distance: 5, start: 6, len: 7, ..MessageSlot::new(1, 2, 3) };
        let mut claimed = posted;
        claimed.claim(9, 11);
        claimed.claim(8, 21);
        claimed.delay_again(30);
        claimed.set_life(FOREVER, FOREVER);
        let forever = format!("fd{}", "ff".repeat(8));
        for (slot, bytes) in
            [(posted, "01020304050607000000".to_owned()), (claimed, format!("01{forever}{forever}1e0506070200040a0a"))]
        {
            let mut encoded = Vec::new();
            codec::encode_into(&[slot, slot], &mut encoded).unwrap();
            assert_eq!(hex(&encoded), bytes.repeat(2));
            assert_eq!(codec::decode::<[MessageSlot; 2]>(&encoded), Ok([slot; 2]));
            assert!(codec::decode::<[MessageSlot; 2]>(&encoded[..encoded.len() - 1]).is_err());
        }
        assert_eq!((claimed.claimed(), claimed.waits(), posted.waits()), ((11, 21), true, true));
    }

    #[test]
    fn a_message_given_back_without_a_delay_does_not_wait() {
        let mut slot = MessageSlot::new(1, 100, 99);
        slot.claim(50, 2);
        assert!(!slot.waits(), "hold is the number of a claim");
        slot.delay_again(70);
        assert!(slot.waits());
        slot.delay_again(0);
        assert!(!slot.waits());
    }
}
