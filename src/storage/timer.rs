//! Measuring how long something takes, from many threads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::model::Timings;

/// Counts of durations by powers of two of a microsecond.
#[derive(Debug, Default)]
pub(crate) struct Timer {
    by_log2_micros: [AtomicU64; BUCKETS],
    total_micros: AtomicU64,
}

impl Timer {
    /// Measures a call.
    pub(crate) fn time<R>(&self, call: impl FnOnce() -> R) -> R {
        let started = Instant::now();
        let result = call();
        self.note(started.elapsed());
        result
    }

    fn note(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        // The smallest n with micros <= 2^n.
        let log2 = micros.max(1).checked_next_power_of_two().map_or(u64::BITS, u64::ilog2);
        let last = self.by_log2_micros.len().saturating_sub(1);
        let bucket = usize::try_from(log2).unwrap_or(last).min(last);
        if let Some(count) = self.by_log2_micros.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.total_micros.fetch_add(micros, Ordering::Relaxed);
    }

    pub(crate) fn timings(&self) -> Timings {
        let by_log2_micros = self.by_log2_micros.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        Timings { by_log2_micros, total_micros: self.total_micros.load(Ordering::Relaxed) }
    }
}

/// Up to 2^30 µs, about 18 minutes; the last has all that took longer.
const BUCKETS: usize = 31;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_the_smallest_bucket_that_holds_it() {
        let timer = Timer::default();
        let bucket = |micros: u64| {
            let before = timer.timings();
            timer.note(Duration::from_micros(micros));
            let after = timer.timings();
            before.buckets().zip(after.buckets()).position(|(before, after)| before != after)
        };
        let found = [0, 1, 2, 3, 4, 5, 1 << 20, (1 << 20) + 1, 1 << 30, u64::MAX].map(bucket);
        assert_eq!(found, [0, 0, 1, 2, 2, 3, 20, 21, 30, 30].map(Some));
    }
}
