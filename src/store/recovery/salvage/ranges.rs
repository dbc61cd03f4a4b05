//! Sets of sequences. The sequences of a queue are mostly consecutive, so a set is a few ranges.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::state::sequences::Sequences;

/// Ranges that neither touch nor overlap, by their start.
#[derive(Debug, Default)]
pub(super) struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    pub(super) fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let (mut start, mut end) = (range.start, range.end);
        // Ranges that overlap or touch the new one become part of it.
        while let Some((&from, &to)) = self.0.range(..=end).next_back().filter(|(_, to)| **to >= start) {
            (start, end) = (start.min(from), end.max(to));
            self.0.remove(&from);
        }
        self.0.insert(start, end);
    }

    pub(super) fn remove(&mut self, sequence: u64) {
        let Some((&start, &end)) = self.0.range(..=sequence).next_back().filter(|(_, end)| **end > sequence) else {
            return;
        };
        self.0.remove(&start);
        self.insert(start..sequence);
        self.insert(sequence.saturating_add(1)..end);
    }

    pub(super) fn insert_all(&mut self, sequences: &Sequences) {
        sequences.ranges().for_each(|run| self.insert(run));
    }

    /// The members within `range`.
    fn within(&self, range: &Range<u64>) -> impl Iterator<Item = Range<u64>> {
        let Range { start, end } = *range;
        let before = self.0.range(..start).next_back();
        let within = self.0.range(start..end.max(start));
        before
            .into_iter()
            .chain(within)
            .map(move |(from, to)| start.max(*from)..end.min(*to))
            .filter(|one| !one.is_empty())
    }

    /// Adds the members of `other` within `range`.
    pub(super) fn unite(&mut self, other: &Self, range: &Range<u64>) {
        other.within(range).for_each(|one| self.insert(one));
    }

    pub(super) fn contains(&self, sequence: u64) -> bool {
        self.0.range(..=sequence).next_back().is_some_and(|(_, end)| *end > sequence)
    }

    /// The number of members within `range`.
    pub(super) fn count_within(&self, range: &Range<u64>) -> u64 {
        self.within(range).map(|one| one.end.saturating_sub(one.start)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_become_one_range_and_are_counted() {
        let mut ranges = Ranges::default();
        for sequence in [5, 1, 2, 9, 3, 4] {
            ranges.insert(sequence..sequence + 1);
        }
        assert_eq!(ranges.0.len(), 2);
        assert!((1..6).all(|sequence| ranges.contains(sequence)) && ranges.contains(9));
        assert!([0, 6, 8, 10].iter().all(|sequence| !ranges.contains(*sequence)));
        assert_eq!(ranges.count_within(&(0..20)), 6);
        assert_eq!(ranges.count_within(&(3..10)), 4);
        let mut other = Ranges::default();
        other.unite(&ranges, &(3..10));
        assert_eq!((other.count_within(&(0..20)), other.contains(9), other.contains(2)), (4, true, false));
        [3, 9, 7, 5].into_iter().for_each(|sequence| ranges.remove(sequence));
        assert_eq!((0..12).filter(|sequence| ranges.contains(*sequence)).collect::<Vec<_>>(), [1, 2, 4]);
        ranges.insert(0..u64::MAX);
        assert_eq!((ranges.0.len(), ranges.count_within(&(2..4))), (1, 2));
    }
}
