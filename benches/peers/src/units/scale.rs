//! How much work a unit does.

use std::time::Duration;

pub(crate) struct Scale {
    /// The argument that selects the scale.
    pub(crate) name: &'static str,
    /// Runs of each unit on each store.
    pub(crate) rounds: u64,
    /// Runs of a unit that takes long.
    pub(crate) long_rounds: u64,
    /// The time that calls are repeated for.
    pub(crate) time: Duration,
    /// Messages that wait in the queue of `w4`, `w5` and `w6`.
    pub(crate) waiting: u64,
    /// Messages that `w3` and `w3b` may claim; a run ends when all are gone.
    pub(crate) claimable: u64,
    /// Messages that go through the threads of `w7` and `w7q` at D0.
    pub(crate) through: u64,
    /// The same at D1, and the claimable messages there.
    pub(crate) through_synced: u64,
    /// Messages of `w9` and `w11`.
    pub(crate) stored: u64,
    /// Queues of `w10`.
    pub(crate) queues: u32,
    /// Waiting messages of `grow`.
    pub(crate) depths: &'static [u64],
    /// Messages of `sust`.
    pub(crate) sustained: u64,
    /// The time over which the slowest rate of `sust` is taken.
    pub(crate) window: Duration,
}

impl Scale {
    pub(crate) const QUICK: Self = Self {
        name: "quick",
        rounds: 3,
        long_rounds: 1,
        time: Duration::from_millis(100),
        waiting: 10_000,
        claimable: 20_000,
        through: 20_000,
        through_synced: 2_000,
        stored: 100_000,
        queues: 5_000,
        depths: &[10_000, 100_000],
        sustained: 200_000,
        window: Duration::from_millis(100),
    };

    pub(crate) const FULL: Self = Self {
        name: "full",
        rounds: 5,
        long_rounds: 3,
        time: Duration::from_millis(600),
        waiting: 100_000,
        claimable: 300_000,
        through: 200_000,
        through_synced: 20_000,
        stored: 1_000_000,
        queues: 100_000,
        depths: &[10_000, 100_000, 1_000_000, 5_000_000],
        sustained: 5_000_000,
        window: Duration::from_secs(1),
    };

    /// Only that a unit runs.
    #[cfg(test)]
    pub(crate) const TINY: Self = Self {
        name: "tiny",
        rounds: 1,
        long_rounds: 1,
        time: Duration::from_millis(1),
        waiting: 200,
        claimable: 100,
        through: 200,
        through_synced: 100,
        stored: 1_000,
        queues: 20,
        depths: &[100],
        sustained: 200,
        window: Duration::from_millis(1),
    };
}
