//! The positions of a page's messages among the sequences from the page's first on.
//!
//! The page's content has the positions too. With these, the entry alone names each message.
//!
//! Memory: none for a page without gaps, otherwise a byte for each message, and more behind a gap of more than 127.

use serde::{Deserialize, Serialize};

use crate::state::page_content::{MessageSlot, PAGE_MESSAGES};

/// The number of sequences left out before each message, in groups of 7 bits, the lowest first, the last without the
/// highest bit. Empty without gaps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spread(Box<[u8]>);

impl Spread {
    /// That of a page with these slots.
    pub(crate) fn of(slots: &[MessageSlot]) -> Self {
        if slots.iter().enumerate().all(|(index, slot)| slot.distance as usize == index) {
            return Self::default();
        }
        let (mut bytes, mut next) = (Vec::with_capacity(slots.len()), 0_u32);
        for slot in slots {
            push(&mut bytes, slot.distance.saturating_sub(next));
            next = slot.distance.saturating_add(1);
        }
        Self(bytes.into())
    }

    /// Whether there are no gaps: then the index of a message is its distance from the first sequence.
    pub(crate) fn is_dense(&self) -> bool {
        self.0.is_empty()
    }

    /// The distances of a page's `slots` messages from its first sequence; the error says what is inconsistent.
    pub(crate) fn distances(&self, slots: usize) -> Result<Vec<u32>, &'static str> {
        if self.is_dense() {
            return Ok((0..).take(slots.min(PAGE_MESSAGES)).collect());
        }
        let mut distances = Vec::with_capacity(slots.min(PAGE_MESSAGES));
        for distance in self.iter() {
            distances.push(u32::try_from(distance).map_err(|_| "messages too far from one another")?);
        }
        let is_whole = self.0.last().is_some_and(|last| last & !LOW == 0);
        let fits = is_whole && distances.len() == slots && slots <= PAGE_MESSAGES;
        if fits { Ok(distances) } else { Err("a page of messages that stand nowhere") }
    }

    /// The distances if there are gaps, ascending; none if there are no gaps.
    pub(super) fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        let (mut bytes, mut next) = (self.0.iter(), 0_u64);
        std::iter::from_fn(move || {
            let (mut left_out, mut shift) = (0_u64, 0_u32);
            loop {
                let byte = bytes.next()?;
                left_out |= u64::from(byte & LOW).checked_shl(shift).unwrap_or(0);
                shift = shift.saturating_add(GROUP);
                if byte & !LOW == 0 {
                    let distance = next.saturating_add(left_out);
                    next = distance.saturating_add(1);
                    return Some(distance);
                }
            }
        })
    }
}

fn push(bytes: &mut Vec<u8>, mut value: u32) {
    while value > u32::from(LOW) {
        bytes.push(value.to_le_bytes()[0] | !LOW);
        value >>= GROUP;
    }
    bytes.push(value.to_le_bytes()[0]);
}

const GROUP: u32 = 7;
/// The bits of a byte that belong to the number.
const LOW: u8 = 0x7f;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::page_content::{Content, IncomingMessage};
    use crate::storage::budget::Budget;

    fn spread(distances: &[u32]) -> Spread {
        let mut content = Content::new(&Budget::unlimited());
        for distance in distances {
            content.push(*distance, &IncomingMessage::sample(b""));
        }
        Spread::of(content.slots())
    }

    #[test]
    fn a_page_without_gaps_takes_nothing() {
        let dense = spread(&[0, 1, 2]);
        assert!(dense.is_dense());
        assert_eq!(dense.distances(3), Ok(vec![0, 1, 2]));
    }

    #[test]
    fn distances_come_back_whatever_the_gaps_and_in_known_bytes() {
        for distances in [vec![1], vec![0, 2, 3, 300], vec![5, 6, 1 << 20, u32::MAX]] {
            let spread = spread(&distances);
            assert!(!spread.is_dense());
            assert_eq!(spread.distances(distances.len()), Ok(distances.clone()));
            assert!(spread.iter().eq(distances.iter().copied().map(u64::from)));
            assert!(spread.distances(distances.len() + 1).is_err());
        }
        assert_eq!(*spread(&[0, 2, 3, 300]).0, [0, 1, 0, 0xa8, 2]);
    }

    #[test]
    fn what_is_no_spread_is_refused() {
        for bytes in [vec![0x80], vec![1, 0x80], vec![0xff; 12], vec![0xff, 0xff, 0xff, 0xff, 0x7f]] {
            assert!(Spread(bytes.into()).distances(1).is_err());
        }
    }
}
