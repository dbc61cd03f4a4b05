//! Random numbers that are the same for the same seed on every machine.

/// A splitmix64 generator.
#[derive(Default)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// True in half of the cases.
    pub(super) fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }

    /// A number below `end`, or 0 if that is 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        let end = end.max(1) as u64;
        usize::try_from(self.next() % end).unwrap_or(0)
    }

    /// The odds for one group of unsynced changes. Without them, all or none of many changes would never be kept.
    pub(super) fn odds(&mut self) -> Odds {
        Odds(self.next() % 5)
    }
}

/// The share of a group's changes that is kept: none, one, two or three quarters, or all.
#[derive(Clone, Copy)]
pub(super) struct Odds(u64);

impl Odds {
    /// Whether the next change is kept.
    pub(super) fn keep(self, random: &mut Random) -> bool {
        random.next() % 4 < self.0
    }

    /// Whether a change that is kept is kept in part only.
    pub(super) fn tear(self, random: &mut Random) -> bool {
        self.0 < 4 && random.coin()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_that_of_splitmix64() {
        let mut random = Random::new(0);
        let drawn = [random.next(), random.next(), random.next()];
        assert_eq!(drawn, [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f]);
    }
}
