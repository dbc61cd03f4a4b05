//! Sequences of messages, as runs of neighbours.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Ascending sequences as runs of neighbours: a claim over ten messages in a row is one run.
///
/// Every sequence has one behind it: none is the highest number. What is decoded is checked for that, and may be long:
/// a run of four bytes can have four thousand million sequences. So sequences from a disk are taken in runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<(u64, u32)>")]
pub(crate) struct Sequences(Vec<(u64, u32)>);

impl TryFrom<Vec<(u64, u32)>> for Sequences {
    type Error = &'static str;

    fn try_from(runs: Vec<(u64, u32)>) -> Result<Self, Self::Error> {
        let ends = |(start, count): &(u64, u32)| start.checked_add(u64::from(*count)).is_some();
        if runs.iter().all(ends) { Ok(Self(runs)) } else { Err("sequences above the highest number") }
    }
}

impl Sequences {
    /// Adds a sequence above all that are there.
    pub(crate) fn push(&mut self, sequence: u64) {
        match self.0.last_mut() {
            Some((start, count)) if start.checked_add(u64::from(*count)) == Some(sequence) && *count < u32::MAX => {
                *count += 1;
            }
            _ => self.0.push((sequence, 1)),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.iter().flat_map(|&(start, count)| (0..u64::from(count)).map(move |i| start.saturating_add(i)))
    }

    /// The runs of neighbours.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.0.iter().map(|&(start, count)| start..start.saturating_add(count.into()))
    }

    /// How many runs of neighbours they are.
    pub(crate) fn runs(&self) -> usize {
        self.0.len()
    }

    /// These sequences without others, in time O(runs of both).
    pub(crate) fn without(&self, others: &Self) -> Self {
        let mut left = Vec::with_capacity(self.runs());
        let mut others = others.ranges().peekable();
        for run in self.ranges() {
            let mut start = run.start;
            while let Some(other) = others.next_if(|other| other.end <= run.end) {
                push_run(&mut left, start..other.start.max(start));
                start = start.max(other.end);
            }
            // The next one may reach into the run behind, too.
            let end = others.peek().map_or(run.end, |other| other.start.min(run.end));
            push_run(&mut left, start..end.max(start));
        }
        Self(left)
    }

    /// All sequences of several sets that have none in common, in time O(runs × log runs).
    pub(crate) fn union<'a>(sets: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut runs: Vec<(u64, u32)> = sets.into_iter().flat_map(|set| set.0.iter().copied()).collect();
        runs.sort_unstable();
        Self(runs)
    }

    /// The sequences, to be taken in portions.
    pub(crate) fn portions(&self) -> Portions<'_> {
        Portions { runs: &self.0, taken: 0 }
    }

    pub(crate) fn contains(&self, sequence: u64) -> bool {
        let behind = self.0.partition_point(|(start, _)| *start <= sequence);
        let run = behind.checked_sub(1).and_then(|index| self.0.get(index));
        run.is_some_and(|(start, count)| sequence.saturating_sub(*start) < u64::from(*count))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|&(_, count)| count as usize).sum()
    }

    /// Frees the memory, for a claim without messages.
    pub(crate) fn clear(&mut self) {
        self.0 = Vec::new();
    }
}

/// Adds a run that is part of one of at most 2^32 - 1 sequences, unless it is empty.
fn push_run(runs: &mut Vec<(u64, u32)>, run: Range<u64>) {
    let count = u32::try_from(run.end.saturating_sub(run.start)).unwrap_or(u32::MAX);
    if count > 0 {
        runs.push((run.start, count));
    }
}

/// Ascending sequences that have not been taken yet.
#[derive(Debug)]
pub(crate) struct Portions<'a> {
    runs: &'a [(u64, u32)],
    /// How many of the first run were taken.
    taken: u32,
}

impl Portions<'_> {
    /// The first sequence.
    pub(crate) fn first(&self) -> Option<u64> {
        self.runs.first().map(|(start, _)| start.saturating_add(u64::from(self.taken)))
    }

    /// Takes the neighbours from the first sequence on that are not above `last`: the first one, and how many. If
    /// `last` is not below the first sequence, this takes something.
    pub(crate) fn next_up_to(&mut self, last: u64) -> Option<(u64, u32)> {
        let first = self.first().filter(|first| *first <= last)?;
        let left = self.runs.first()?.1.saturating_sub(self.taken);
        let count = left.min(u32::try_from(last.saturating_sub(first)).unwrap_or(u32::MAX).saturating_add(1));
        if count == left {
            (self.runs, self.taken) = (self.runs.get(1..)?, 0);
        } else {
            self.taken = self.taken.saturating_add(count);
        }
        Some((first, count))
    }
}

impl FromIterator<u64> for Sequences {
    fn from_iter<I: IntoIterator<Item = u64>>(sequences: I) -> Self {
        let mut all = Self::default();
        sequences.into_iter().for_each(|sequence| all.push(sequence));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_keep_their_order_and_count() {
        let all: Sequences = [1, 2, 3, 7, 8, 20].into_iter().collect();
        assert_eq!(all.iter().collect::<Vec<_>>(), [1, 2, 3, 7, 8, 20]);
        assert_eq!((all.len(), all.0.len()), (6, 3));
        assert!(all.iter().all(|sequence| all.contains(sequence)));
        assert!([0, 4, 6, 9, 21].iter().all(|sequence| !all.contains(*sequence)));
    }

    #[test]
    fn sequences_without_others_are_those_that_are_in_no_run_of_the_others() {
        let samples: [&[u64]; 8] = [
            &[],
            &[5],
            &[1, 2, 3, 4, 5, 6],
            &[3, 4],
            &[1, 3, 5, 7, 9],
            &[2, 3, 4, 8, 9, 10, 20],
            &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
            &[6, 7, 19, 20, 21],
        ];
        for all in samples {
            for others in samples {
                let left: Vec<u64> = all.iter().copied().filter(|one| !others.contains(one)).collect();
                let [all, others]: [Sequences; 2] = [all, others].map(|one| one.iter().copied().collect());
                assert_eq!(all.without(&others), left.into_iter().collect(), "{all:?} without {others:?}");
            }
        }
    }

    #[test]
    fn a_union_has_the_sequences_of_every_set_in_order() {
        let [one, two, three]: [Sequences; 3] =
            [&[1_u64, 2, 9][..], &[3, 5], &[]].map(|set| set.iter().copied().collect());
        let all = Sequences::union([&one, &two, &three]);
        assert_eq!(all.iter().collect::<Vec<_>>(), [1, 2, 3, 5, 9]);
        let wide: Sequences = (0..10).collect();
        assert_eq!(wide.without(&all), [0, 4, 6, 7, 8].into_iter().collect());
    }

    #[test]
    fn sequences_beyond_the_highest_number_are_not_decoded() {
        use crate::storage::codec;

        for (run, is_valid) in [((u64::MAX - 5, 5), true), ((u64::MAX, 1), false), ((u64::MAX - 5, u32::MAX), false)] {
            let mut bytes = Vec::new();
            codec::encode_into(&Sequences(vec![(1, 1), run]), &mut bytes).unwrap();
            assert_eq!(codec::decode::<Sequences>(&bytes).is_ok(), is_valid, "{run:?}");
        }
    }

    #[test]
    fn the_last_portion_reaches_the_highest_number() {
        let all: Sequences = [u64::MAX - 1, u64::MAX].into_iter().collect();
        let mut portions = all.portions();
        assert_eq!(portions.next_up_to(u64::MAX - 1), Some((u64::MAX - 1, 1)));
        assert_eq!((portions.next_up_to(u64::MAX), portions.first()), (Some((u64::MAX, 1)), None));
    }

    #[test]
    fn sequences_are_taken_in_portions() {
        let all: Sequences = [1, 2, 3, 7, 8, 20].into_iter().collect();
        let mut portions = all.portions();
        assert_eq!((portions.next_up_to(0), portions.first()), (None, Some(1)));
        assert_eq!((portions.next_up_to(2), portions.first()), (Some((1, 2)), Some(3)));
        assert_eq!((portions.next_up_to(7), portions.first()), (Some((3, 1)), Some(7)));
        assert_eq!((portions.next_up_to(7), portions.next_up_to(7)), (Some((7, 1)), None));
        assert_eq!((portions.next_up_to(u64::MAX), portions.next_up_to(u64::MAX)), (Some((8, 1)), Some((20, 1))));
        assert_eq!((portions.next_up_to(u64::MAX), portions.first()), (None, None));
    }
}
