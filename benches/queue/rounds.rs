//! Timing: rounds of the measured work and of its reference, in turns.

use std::time::{Duration, Instant};

use crate::Result;
use crate::footprint::to_f64;

/// How many rounds, and how long one is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rounds {
    pub(crate) count: usize,
    pub(crate) measured: Duration,
    pub(crate) reference: Duration,
    /// The divisor of the fixed amounts of work.
    pub(crate) divisor: u64,
}

/// Measured and reference, round by round.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    pub(crate) measured: Vec<f64>,
    pub(crate) reference: Vec<f64>,
}

impl Rounds {
    pub(crate) fn full() -> Self {
        let (measured, reference) = (Duration::from_millis(600), Duration::from_millis(300));
        Self { count: 5, measured, reference, divisor: 1 }
    }

    pub(crate) fn quick() -> Self {
        let (measured, reference) = (Duration::from_millis(60), Duration::from_millis(30));
        Self { count: 5, measured, reference, divisor: 10 }
    }

    /// Whether it is to be quick rather than exact.
    pub(crate) fn hurried(self) -> bool {
        self.divisor > 1
    }

    /// Alternates rounds of `measured` and `reference`. Each gets its duration and returns its rate.
    pub(crate) fn alternate(
        self,
        mut measured: impl FnMut(Duration) -> Result<f64>,
        mut reference: impl FnMut(Duration) -> Result<f64>,
    ) -> Result<Pairs> {
        let mut pairs = Pairs::default();
        for _ in 0..self.count {
            pairs.measured.push(measured(self.measured)?);
            pairs.reference.push(reference(self.reference)?);
        }
        Ok(pairs)
    }
}

impl Pairs {
    pub(crate) fn ratio(&self) -> f64 {
        let ratios = self.measured.iter().zip(&self.reference).map(|(measured, reference)| measured / reference);
        median(&ratios.collect::<Vec<_>>())
    }
}

/// Repeats `call` for about `time`; `units` a second, each call counting for so many.
pub(crate) fn rate(time: Duration, units: u32, mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    let started = Instant::now();
    let mut calls = 0_u32;
    loop {
        // The clock is read seldom enough not to count, often enough for calls of a millisecond.
        for _ in 0..CALLS_A_LOOK {
            call()?;
        }
        calls += CALLS_A_LOOK;
        let took = started.elapsed();
        if took >= time {
            return Ok(f64::from(calls) * f64::from(units) / took.as_secs_f64());
        }
    }
}

/// Counts the work in every second of a longer run.
pub(crate) struct Seconds {
    begun: Instant,
    count: u64,
    rates: Vec<f64>,
}

impl Seconds {
    pub(crate) fn start() -> Self {
        Self { begun: Instant::now(), count: 0, rates: Vec::new() }
    }

    pub(crate) fn add(&mut self, count: usize) {
        self.count += count as u64;
        if self.begun.elapsed() >= Duration::from_secs(1) {
            self.turn();
        }
    }

    /// The rate of every second. The last, broken one counts if it is half a second long, or all there is.
    pub(crate) fn rates(mut self) -> Vec<f64> {
        if self.rates.is_empty() || self.begun.elapsed() >= Duration::from_millis(500) {
            self.turn();
        }
        self.rates
    }

    /// Ends a second; a call longer than a second extends it.
    fn turn(&mut self) {
        self.rates.push(to_f64(self.count) / self.begun.elapsed().as_secs_f64());
        (self.begun, self.count) = (Instant::now(), 0);
    }
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

const CALLS_A_LOOK: u32 = 16;
