//! A queue at one instant, which is written out while the queue changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::bucket::Bucket;
use super::claims::{Claim, Claims};
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
    /// The messages that have expired.
    pub(crate) expired: u64,
    pub(crate) bucket: Option<Bucket>,
    pub(crate) pages: Vec<FrozenPage>,
    /// The claims with messages.
    pub(crate) claims: Vec<(u64, Claim)>,
    /// Those without, by group.
    pub(crate) spent: Vec<(u64, Vec<(u64, Claim)>)>,
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
            expired: queue.totals().expired,
            bucket: queue.bucket(),
            pages: Vec::new(),
            claims: Vec::new(),
            spent: Vec::new(),
        }
    }

    /// All claims by number, with messages and without.
    pub(crate) fn all_claims(&self) -> BTreeMap<u64, &Claim> {
        let spent = self.spent.iter().flat_map(|(_, claims)| claims);
        self.claims.iter().chain(spent).map(|(number, claim)| (*number, claim)).collect()
    }

    /// The whole queue, at `lsn`.
    pub(crate) fn of(queue: &Queue, lsn: u64) -> Self {
        Self {
            lsn,
            pages: queue.pages().values().map(|page| page.freeze()).collect(),
            claims: queue.claims().holding().map(owned).collect(),
            spent: queue.claims().groups().map(|group| (group, members(queue.claims(), group))).collect(),
            ..Self::record_of(queue)
        }
    }
}

/// The spent claims of a group.
pub(super) fn members(claims: &Claims, group: u64) -> Vec<(u64, Claim)> {
    claims.spent_in(group).map(owned).collect()
}

fn owned((number, claim): (u64, &Claim)) -> (u64, Claim) {
    (number, claim.clone())
}
