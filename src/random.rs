//! Where random bytes come from: the system, or a seed when a run has to repeat.

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
    fn a_seed_repeats_and_ids_differ() {
        let (one, two) = (Random::seeded(7), Random::seeded(7));
        let first = one.uuid();
        assert_eq!(first, two.uuid());
        assert_ne!(first, one.uuid());
        assert_eq!(first.get_version_num(), 4);
    }
}
