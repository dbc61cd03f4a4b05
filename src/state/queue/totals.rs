//! Sums over a queue.

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) total: u64,
    pub(crate) claimed: u64,
    pub(crate) delayed: u64,
    pub(crate) weight: u64,
    pub(crate) pages: u64,
    /// Live claims.
    pub(crate) claims: u64,
    /// The messages that have expired since the queue was created or last purged.
    pub(crate) expired: u64,
}

/// The numbers of the items that take memory.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) pages: u64,
    /// Those that are not in memory.
    pub(crate) cold_pages: u64,
    pub(crate) claims: u64,
    /// The claims without messages.
    pub(crate) spent_claims: u64,
    /// The messages that have expired.
    pub(crate) expired: u64,
}

impl Sizes {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            pages: self.pages.saturating_add(other.pages),
            cold_pages: self.cold_pages.saturating_add(other.cold_pages),
            claims: self.claims.saturating_add(other.claims),
            spent_claims: self.spent_claims.saturating_add(other.spent_claims),
            expired: self.expired.saturating_add(other.expired),
        }
    }
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
            pages: step(self.pages, before.pages, after.pages),
            claims: step(self.claims, before.claims, after.claims),
            expired: self.expired,
        }
    }
}
