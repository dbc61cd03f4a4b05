//! Latencies in a fixed number of buckets.
//!
//! 1. A percentile is exact to a 32nd, from above, and is never above the longest latency.
//! 2. Any latency has its bucket; a histogram takes 15 KiB.

use std::time::Duration;

/// How often each latency occurred.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    longest_nanos: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0, longest_nanos: 0 }
    }
}

impl Histogram {
    pub(crate) fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get_mut(bucket_of(nanos)) {
            *bucket += 1;
        }
        self.count += 1;
        self.longest_nanos = self.longest_nanos.max(nanos);
    }

    /// Adds what the other has.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(bucket, count)| *bucket += count);
        self.count += other.count;
        self.longest_nanos = self.longest_nanos.max(other.longest_nanos);
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The latency that so many of a hundred calls do not exceed; zero if there are none.
    pub(crate) fn percentile(&self, percent: u64) -> Duration {
        let rank = (u128::from(self.count) * u128::from(percent)).div_ceil(100).max(1);
        let mut seen = 0;
        let reached = self.buckets.iter().position(|count| {
            seen += u128::from(*count);
            seen >= rank
        });
        Duration::from_nanos(reached.map_or(0, upper_bound).min(self.longest_nanos))
    }

    /// The longest latency; zero if there is none.
    pub(crate) fn longest(&self) -> Duration {
        Duration::from_nanos(self.longest_nanos)
    }
}

/// Up to 63 ns each has its bucket; from there on, each doubling has 32 of the same width.
fn bucket_of(nanos: u64) -> usize {
    let shift = (u64::BITS - nanos.leading_zeros()).saturating_sub(STEP_BITS + 1);
    usize::try_from((u64::from(shift) << STEP_BITS) + (nanos >> shift)).unwrap_or(BUCKETS)
}

/// The longest latency of a bucket, in nanoseconds.
fn upper_bound(bucket: usize) -> u64 {
    let shift = (bucket >> STEP_BITS).saturating_sub(1);
    let step = (bucket - (shift << STEP_BITS)) as u64;
    (step << shift) | ((1 << shift) - 1)
}

/// Each doubling has `1 << STEP_BITS` buckets.
const STEP_BITS: u32 = 5;
const BUCKETS: usize = ((u64::BITS - STEP_BITS + 1) as usize) << STEP_BITS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_latency_is_in_the_bucket_whose_bounds_it_is_between() {
        let edges =
            (0..u64::BITS).map(|bit| 1_u64 << bit).flat_map(|edge| [edge - 1, edge, edge + 1, edge | edge >> 1]);
        for nanos in edges.chain([u64::MAX, 999_999, 123_456_789]) {
            let bucket = bucket_of(nanos);
            assert!(bucket < BUCKETS, "{nanos}");
            let upper = upper_bound(bucket);
            assert!(upper >= nanos && upper - nanos <= nanos / 32, "{nanos} has the bound {upper}");
            assert!(bucket == 0 || upper_bound(bucket - 1) < nanos, "{nanos}");
        }
        assert_eq!((bucket_of(u64::MAX), upper_bound(BUCKETS - 1)), (BUCKETS - 1, u64::MAX));
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_latencies() {
        let mut histogram = Histogram::default();
        (1..=1000).rev().for_each(|micros| histogram.record(Duration::from_micros(micros)));
        for (percent, micros) in [(0, 1), (50, 500), (99, 990), (100, 1000)] {
            let (exact, found) = (Duration::from_micros(micros), histogram.percentile(percent));
            assert!(found >= exact && found <= exact * 33 / 32, "{percent} %: {found:?}");
        }
        assert_eq!((histogram.count(), histogram.longest()), (1000, Duration::from_millis(1)));
    }

    #[test]
    fn a_percentile_is_never_above_the_longest_latency() {
        let mut histogram = Histogram::default();
        histogram.record(Duration::from_nanos(1_000_001));
        assert_eq!(histogram.percentile(50), Duration::from_nanos(1_000_001));
        histogram.record(Duration::MAX);
        assert_eq!(histogram.percentile(100), Duration::from_nanos(u64::MAX));
    }

    #[test]
    fn without_latencies_every_figure_is_zero() {
        let empty = Histogram::default();
        assert_eq!([empty.percentile(50), empty.percentile(100), empty.longest()], [Duration::ZERO; 3]);
    }

    #[test]
    fn merged_histograms_are_as_if_one_had_recorded_all() {
        let [mut one, mut other, mut both] = [(); 3].map(|()| Histogram::default());
        for micros in 0..500 {
            let latency = Duration::from_micros(micros * micros);
            if micros % 3 == 0 { &mut one } else { &mut other }.record(latency);
            both.record(latency);
        }
        one.merge(&other);
        assert_eq!((one.buckets, one.count, one.longest_nanos), (both.buckets, both.count, both.longest_nanos));
    }
}
