//! The source of random bytes: the system, or a seed if a run has to be repeatable.

use std::sync::atomic::{AtomicU64, Ordering};

use uuid::{Builder, Uuid};

/// The engine's source of ids.
#[derive(Debug)]
pub(crate) enum Random {
    /// The system's generator.
    System,
    /// A counter mixed by splitmix64: the same seed gives the same ids.
    Seeded(AtomicU64),
}

impl Random {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self::Seeded(AtomicU64::new(seed))
    }

    /// A number below `end`, with equal probabilities; `None` if `end` is 0.
    pub(crate) fn below(&self, end: u64) -> Option<u64> {
        // Numbers beyond the last whole multiple of `end` would favour the low results.
        let rounds = u64::MAX.checked_div(end)?;
        loop {
            // A UUID has its version and variant in one half; the other half is random.
            let (high, low) = self.uuid().as_u64_pair();
            let number = high.rotate_left(32) ^ low;
            if number / end < rounds {
                return Some(number % end);
            }
        }
    }

    /// A version-4 UUID.
    pub(crate) fn uuid(&self) -> Uuid {
        match self {
            Self::System => Uuid::new_v4(),
            Self::Seeded(state) => {
                let bytes = (u128::from(next(state)) << 64) | u128::from(next(state));
                Builder::from_random_bytes(bytes.to_be_bytes()).into_uuid()
            }
        }
    }
}

fn next(state: &AtomicU64) -> u64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut z = state.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_below_a_bound_are_even_and_there_is_none_below_zero() {
        let random = Random::seeded(7);
        let mut counts = [0_u32; 6];
        for _ in 0..60_000 {
            counts[usize::try_from(random.below(6).unwrap()).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (9_600..10_400).contains(count)), "{counts:?}");
        assert_eq!((random.below(1), random.below(0)), (Some(0), None));
        assert!(random.below(u64::MAX).is_some());
    }

    #[test]
    fn a_seed_repeats_and_ids_differ() {
        let (one, two) = (Random::seeded(7), Random::seeded(7));
        let first = one.uuid();
        assert_eq!(first, two.uuid());
        assert_ne!(first, one.uuid());
        assert_eq!(first.get_version_num(), 4);
    }
}
