//! Queue numbers and message sequences: an incarnation and a counter. Each opening of a store that may have lost data
//! raises the incarnation. So no number is assigned twice, whatever a power cut removed.

/// The first sequence, or queue number, of an incarnation.
pub(crate) fn first_of(incarnation: u32) -> u64 {
    (u64::from(incarnation) << COUNTER_BITS).saturating_add(1)
}

/// The last sequence, or queue number, of an incarnation.
pub(crate) fn last_of(incarnation: u32) -> u64 {
    (u64::from(incarnation) << COUNTER_BITS) | ((1 << COUNTER_BITS) - 1)
}

/// The incarnation in which a sequence or queue number was assigned.
pub(crate) fn incarnation_of(number: u64) -> u32 {
    u32::try_from(number >> COUNTER_BITS).unwrap_or(u32::MAX)
}

/// Bits of a sequence or queue number below the incarnation.
const COUNTER_BITS: u32 = 40;
