//! What is measured: a kind of call, at a durability, by a number of threads.

use zaqar_sled::Durability;

/// One row of the report.
#[derive(Debug)]
pub(crate) struct Measurement {
    /// A name that stays.
    pub(crate) name: &'static str,
    pub(crate) call: Call,
    pub(crate) durability: Durability,
    /// The messages of a call.
    pub(crate) batch: usize,
    pub(crate) threads: usize,
}

/// What counts as one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Post,
    /// A claim, and the deletion of its messages.
    Take,
    /// A post and a take.
    Cycle,
}

impl Measurement {
    /// All of them, the last one with so many threads.
    pub(crate) fn all(threads: usize) -> [Self; 6] {
        let buffered = |name, call, batch| Self { name, call, durability: Durability::Buffered, batch, threads: 1 };
        let synced = |name, threads| Self { name, call: Call::Post, durability: Durability::Sync, batch: 1, threads };
        [
            buffered("post-1", Call::Post, 1),
            buffered("post-10", Call::Post, 10),
            buffered("claim-delete-10", Call::Take, 10),
            buffered("cycle-10", Call::Cycle, 10),
            synced("post-1-sync", 1),
            synced(BY_THREADS, threads),
        ]
    }

    /// The bytes that a call writes to the journal, in each write. Threads share a write, and the sync behind it.
    pub(crate) fn writes(&self, body_bytes: usize) -> Vec<usize> {
        let post = POST_BYTES + self.batch * (MESSAGE_BYTES + body_bytes);
        match self.call {
            Call::Post => vec![self.threads * post],
            Call::Take => vec![CLAIM_BYTES, DELETE_BYTES],
            Call::Cycle => vec![post, CLAIM_BYTES, DELETE_BYTES],
        }
    }

    /// Whether a call is durable before it returns.
    pub(crate) fn is_synced(&self) -> bool {
        self.durability == Durability::Sync
    }

    /// As the table shows it.
    pub(crate) fn shown(&self) -> String {
        let batch = self.batch;
        let call = match self.call {
            Call::Post => format!("post {batch}"),
            Call::Take => format!("claim {batch}, delete"),
            Call::Cycle => format!("cycle of {batch}"),
        };
        let threads = if self.name == BY_THREADS { format!(" by {}", self.threads) } else { String::new() };
        let at = if self.is_synced() { ", sync" } else { "" };
        format!("{call}{threads}{at}")
    }
}

const BY_THREADS: &str = "post-1-sync-threads";

/// A post in the journal, beside its messages.
const POST_BYTES: usize = 73;
/// A message in the journal, beside its body.
const MESSAGE_BYTES: usize = 10;
/// A claim of neighbours.
const CLAIM_BYTES: usize = 84;
/// A deletion of neighbours.
const DELETE_BYTES: usize = 58;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn rows_can_be_told_apart_also_with_one_thread() {
        for threads in [1, 64] {
            let all = Measurement::all(threads);
            assert_eq!(all.iter().map(|measurement| measurement.name).collect::<BTreeSet<_>>().len(), all.len());
            assert_eq!(all.iter().map(Measurement::shown).collect::<BTreeSet<_>>().len(), all.len());
        }
    }

    #[test]
    fn threads_share_one_write() {
        let [.., one, many] = Measurement::all(64).map(|measurement| measurement.writes(256));
        assert_eq!((one.as_slice(), many.as_slice()), ([339].as_slice(), [64 * 339].as_slice()));
    }

    #[test]
    fn a_cycle_writes_what_its_calls_write() {
        let [_, post, take, cycle, ..] = Measurement::all(1).map(|measurement| measurement.writes(256));
        assert_eq!((post.as_slice(), cycle), ([2733].as_slice(), [post.clone(), take].concat()));
    }
}
