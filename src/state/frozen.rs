//! A queue at one instant, which is written out while the queue changes.

use std::sync::Arc;

use super::claims::Claim;
use super::page::FrozenPage;
use super::queue::{Description, Queue};
use crate::model::{Project, QueueName};

/// A queue at one instant; taking it costs its entry and a reference a page.
#[derive(Debug)]
pub(crate) struct FrozenQueue {
    pub(crate) number: u64,
    pub(crate) project: Project,
    pub(crate) name: QueueName,
    pub(crate) description: Arc<Description>,
    pub(crate) next: u64,
    pub(crate) lsn: u64,
    pub(crate) pages: Vec<FrozenPage>,
    pub(crate) claims: Vec<(u64, Claim)>,
}

impl FrozenQueue {
    /// The queue's own record alone.
    pub(crate) fn record_of(queue: &Queue) -> Self {
        Self {
            number: queue.number(),
            project: queue.project().clone(),
            name: queue.name().clone(),
            description: queue.description().clone(),
            next: queue.next(),
            lsn: queue.lsn(),
            pages: Vec::new(),
            claims: Vec::new(),
        }
    }

    /// The whole queue, at `lsn`.
    pub(crate) fn of(queue: &Queue, lsn: u64) -> Self {
        Self {
            lsn,
            pages: queue.pages().values().map(|page| page.freeze()).collect(),
            claims: queue.claims().iter().map(|(number, claim)| (number, claim.clone())).collect(),
            ..Self::record_of(queue)
        }
    }
}
