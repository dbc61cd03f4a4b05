//! Sums over a queue's messages.

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) total: u64,
    pub(crate) claimed: u64,
    pub(crate) delayed: u64,
    pub(crate) weight: u64,
}

impl Totals {
    /// The sum when one part of it has changed.
    pub(super) fn moved(self, before: Self, after: Self) -> Self {
        let step = |sum: u64, before: u64, after: u64| sum.saturating_sub(before).saturating_add(after);
        Self {
            total: step(self.total, before.total, after.total),
            claimed: step(self.claimed, before.claimed, after.claimed),
            delayed: step(self.delayed, before.delayed, after.delayed),
            weight: step(self.weight, before.weight, after.weight),
        }
    }
}
