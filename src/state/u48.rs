//! A number of 48 bits: an instant or a length of time in milliseconds, or a count, where each byte of memory matters.
//!
//! 1. The last instant, in the year 9999, is below 2^48 - 1. [`FOREVER`] is 2^48 - 1 here, and 2^64 - 1 everywhere
//!    else, also on disk.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::ttl::FOREVER;

#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct U48([u16; 3]);

impl U48 {
    pub(crate) const fn get(self) -> u64 {
        let Self([low, middle, high]) = self;
        let value = (low as u64) | (middle as u64) << 16 | (high as u64) << 32;
        if value == MOST { FOREVER } else { value }
    }
}

impl From<u64> for U48 {
    fn from(value: u64) -> Self {
        let value = value.min(MOST);
        let part = |shift: u32| u16::try_from((value >> shift) & 0xffff).unwrap_or_default();
        Self([part(0), part(16), part(32)])
    }
}

impl std::fmt::Debug for U48 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.get().fmt(f)
    }
}

impl Serialize for U48 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.get().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for U48 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(Self::from)
    }
}

const MOST: u64 = (1 << 48) - 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    #[test]
    fn every_instant_and_forever_come_back() {
        for value in [0, 1, 0xffff, 0x1_0000, 0x1234_5678_9abc, Timestamp::MAX.as_millis(), FOREVER] {
            assert_eq!(U48::from(value).get(), value);
        }
        assert_eq!((U48::from(MOST - 1).get(), U48::from(MOST + 1).get()), (MOST - 1, FOREVER));
        assert_eq!((size_of::<U48>(), align_of::<U48>()), (6, 2));
    }
}
