//! Calls, and how long they took.

use std::time::Duration;

use super::histogram::Histogram;

/// The calls of slices.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) latencies: Histogram,
    /// The time of the slices.
    took: Duration,
}

impl Tally {
    pub(crate) fn new(latencies: Histogram, took: Duration) -> Self {
        Self { latencies, took }
    }

    /// Adds a slice that came after these.
    pub(crate) fn follow(&mut self, other: &Self) {
        self.latencies.merge(&other.latencies);
        self.took += other.took;
    }

    /// Adds what another thread did in the same time.
    pub(crate) fn join(&mut self, other: &Self) {
        self.latencies.merge(&other.latencies);
        self.took = self.took.max(other.took);
    }

    pub(crate) fn calls(&self) -> u64 {
        self.latencies.count()
    }

    /// Calls a second, each counting for so many; zero if nothing was measured.
    pub(crate) fn rate(&self, each: u64) -> u64 {
        let counted = u128::from(self.calls()) * u128::from(each) * 1_000_000_000;
        let rate = (counted + self.took.as_nanos() / 2).checked_div(self.took.as_nanos());
        u64::try_from(rate.unwrap_or(0)).unwrap_or(u64::MAX)
    }

    /// These calls a second by those of the other, each of which counts for so many; nothing if either has none.
    #[allow(clippy::cast_precision_loss, reason = "a ratio of counts needs no more")]
    pub(crate) fn ratio(&self, other: &Self, each: u64) -> Option<f64> {
        let rate = |tally: &Self| tally.calls() as f64 / tally.took.as_secs_f64();
        Some(rate(self) / (rate(other) * each as f64)).filter(|ratio| ratio.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(calls: u64, took: Duration) -> Tally {
        let mut latencies = Histogram::default();
        (0..calls).for_each(|_| latencies.record(Duration::from_millis(1)));
        Tally::new(latencies, took)
    }

    #[test]
    fn rates_are_of_all_slices_and_of_all_threads() {
        let second = Duration::from_secs(1);
        let mut all = tally(100, second);
        all.follow(&tally(50, second));
        assert_eq!((all.calls(), all.rate(1), all.rate(10)), (150, 75, 750));
        all.join(&tally(150, second));
        assert_eq!((all.calls(), all.rate(1)), (300, 150));
        let other = tally(75, second);
        assert_eq!((all.ratio(&other, 1), all.ratio(&other, 4)), (Some(2.0), Some(0.5)));
    }

    #[test]
    fn no_calls_and_no_time_have_no_rate() {
        let (none, no_time) = (Tally::default(), tally(3, Duration::ZERO));
        assert_eq!((none.rate(10), no_time.rate(10)), (0, 0));
        let some = tally(3, Duration::from_secs(1));
        assert_eq!(
            [none.ratio(&some, 1), some.ratio(&none, 1), no_time.ratio(&some, 1), none.ratio(&none, 1)],
            [None; 4]
        );
    }
}
