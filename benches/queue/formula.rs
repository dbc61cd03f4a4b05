//! The memory and disk space of a store: the documented formula, in the one place where it is checked.
//!
//! ```text
//! memory = BASE + min(budget, messages x (body + MESSAGE)) + pages x PAGE + queues x QUEUE
//!        + claims x CLAIM + claimed messages x CLAIMED
//! disk   = TIMES_LIVE x live + min(journal bound, messages x (body + POSTED) + claims x MADE) + SPARE
//! pages  = queues x ceil(messages of a queue / min(128, 16 KiB / body))
//! live   = messages x (body + 64)
//! ```
//!
//! Both are peaks: the necessary space, not the space when idle. Memory is within a fifth of the formula. Disk space is
//! at most the formula, and less where a snapshot happens to have run.

use crate::footprint::{MIB, to_f64};

/// The content of a store, and its settings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Bytes of a body.
    pub(crate) body: u64,
    pub(crate) queues: u64,
    /// In each of the queues.
    pub(crate) messages_a_queue: u64,
    /// Messages in a claim; 0 if nothing is claimed, otherwise all messages are claimed.
    pub(crate) messages_a_claim: u64,
    /// [`Config::memory`](zaqar_sled::Config::memory).
    pub(crate) budget: u64,
    /// [`Config::journal_max`](zaqar_sled::Config::journal_max).
    pub(crate) journal_max: u64,
}

impl Shape {
    /// Bytes in memory.
    pub(crate) fn memory(&self) -> f64 {
        let hot = to_f64(self.messages()) * (to_f64(self.body) + MESSAGE);
        let claimed = if self.messages_a_claim == 0 { 0.0 } else { to_f64(self.messages()) * CLAIMED };
        let tables = to_f64(self.pages()) * PAGE + to_f64(self.queues) * QUEUE + to_f64(self.claims()) * CLAIM;
        BASE + hot.min(to_f64(self.budget)) + tables + claimed
    }

    /// Bytes on disk.
    pub(crate) fn disk(&self) -> f64 {
        let live = to_f64(self.live());
        let journal_bound = to_f64(self.journal_max).max(2.0 * live);
        let written = to_f64(self.messages()) * (to_f64(self.body) + POSTED) + to_f64(self.claims()) * MADE;
        TIMES_LIVE * live + journal_bound.min(written) + SPARE
    }

    pub(crate) fn messages(&self) -> u64 {
        self.queues * self.messages_a_queue
    }

    fn live(&self) -> u64 {
        self.messages() * (self.body + 64)
    }

    fn pages(&self) -> u64 {
        let in_a_page = 128.min((16 << 10) / self.body.max(1)).max(1);
        self.queues * self.messages_a_queue.div_ceil(in_a_page)
    }

    fn claims(&self) -> u64 {
        self.messages().checked_div(self.messages_a_claim).unwrap_or(0)
    }
}

/// Code, threads, buffers, and what the allocator keeps for itself.
const BASE: f64 = 12.0 * MIB;
/// A message in memory beside its body.
const MESSAGE: f64 = 60.0;
/// A page, in memory or not.
const PAGE: f64 = 170.0;
/// A queue with messages: its indexes, and the page that is posted to.
const QUEUE: f64 = 8192.0;
const CLAIM: f64 = 400.0;
/// A message for as long as it is claimed.
const CLAIMED: f64 = 8.0;

/// Snapshot, trees and page files.
const TIMES_LIVE: f64 = 1.6;
/// The journal's bytes of a message beside its body, when ten are posted together.
const POSTED: f64 = 18.0;
/// The journal's bytes of a claim.
const MADE: f64 = 84.0;
/// Spare segments, and files of a constant size.
const SPARE: f64 = 48.0 * MIB;
