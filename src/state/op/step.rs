//! The steps of a batch: changes of one or more queues in one operation.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::{Op, Posted};
use crate::state::sequences::Sequences;

/// A change of one queue within a batch, with the fields of the operation of the same kind. No step contains a batch, so
/// a journal with other bytes than were written cannot nest them without end. How steps are stored is in
/// [`stored`](super::stored).
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step<'a> {
    Post { queue: u64, first: u64, client: [u8; 16], messages: Vec<Posted<'a>> },
    Renew { queue: u64, claim: [u8; 16], ttl: u64, grace: u64, slack: u8 },
    Release { queue: u64, claim: [u8; 16] },
    Delete { queue: u64, messages: Sequences },
}

impl Step<'_> {
    pub(crate) fn queue(&self) -> u64 {
        match self {
            Self::Post { queue, .. }
            | Self::Renew { queue, .. }
            | Self::Release { queue, .. }
            | Self::Delete { queue, .. } => *queue,
        }
    }

    /// The operation that does the same alone.
    pub(crate) fn alone(&self) -> Op<'_> {
        match self {
            Self::Post { queue, first, client, messages } => {
                let messages = messages.iter().map(Posted::by_ref).collect();
                Op::Post { queue: *queue, first: *first, client: *client, key: Cow::default(), messages }
            }
            Self::Renew { queue, claim, ttl, grace, slack } => {
                Op::RenewClaim { queue: *queue, claim: *claim, ttl: *ttl, grace: *grace, slack: *slack }
            }
            Self::Release { queue, claim } => Op::ReleaseClaim { queue: *queue, claim: *claim },
            Self::Delete { queue, messages } => Op::Delete { queue: *queue, messages: messages.clone() },
        }
    }
}

/// The numbers of the queues that the steps change.
pub(crate) fn queues_of(steps: &[Step<'_>]) -> BTreeSet<u64> {
    steps.iter().map(Step::queue).collect()
}

/// The steps that change that queue, of steps in the order of the queues' numbers.
pub(crate) fn steps_of<'s, 'a>(steps: &'s [Step<'a>], queue: u64) -> &'s [Step<'a>] {
    let start = steps.partition_point(|step| step.queue() < queue);
    let behind = steps.get(start..).unwrap_or_default();
    behind.get(..behind.partition_point(|step| step.queue() == queue)).unwrap_or_default()
}
