//! Counting queues in the accounts of their projects, and posts that a quota may refuse.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Store;
use super::accounts::{Account, Accounts, Verdict};
use super::locked::Locked;
use super::slot::QueueSlot;
use super::together::Together;
use crate::config::Config;
use crate::model::Project;
use crate::model::error::Result;
use crate::state::op::Op;
use crate::state::{Load, Totals};
use crate::storage::journal::Growth;
use crate::storage::keys;

/// What a batch adds to a queue, and what it removes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Balance {
    /// Whether it posts anything; what expires at once is not in `added`.
    pub(crate) posts: bool,
    pub(crate) added: Load,
    pub(crate) freed: Load,
}

impl Store {
    /// The accounts of the store, or of the driver that it belongs to.
    pub(crate) fn accounts(&self) -> &Accounts {
        self.accounts_of_driver.get().unwrap_or(&self.accounts)
    }

    /// Counts a new queue that no other thread can find yet.
    pub(crate) fn join_new(&self, slot: &Arc<QueueSlot>, totals: Totals, due: Option<u64>) {
        self.accounts().join(slot, self.id(), totals, due);
    }

    /// Opens the accounts of all projects with a quota, and counts their queues. Nobody else has the store. A pooled driver
    /// counts the queues itself.
    pub(crate) fn open_accounts(&self, config: &Config) -> Result<()> {
        if config.control.is_some() {
            // The quotas are those of the control store.
            return Ok(());
        }
        let registry = self.registry.read();
        let rows = registry.quotas.iter().filter_map(|(key, row)| Some((keys::parse_quota(key)?, row.quota())));
        let rows: Vec<_> = rows.collect();
        drop(registry);
        for (project, quota) in rows {
            self.accounts.open(&project, quota)?;
            let slots = if config.pooled { Vec::new() } else { self.slots_of(&project) };
            for mut queue in slots.iter().filter_map(|slot| self.lock_as_is(slot)) {
                queue.join_account();
            }
        }
        Ok(())
    }

    /// The queues and topics of a project that are in memory. Only these have messages.
    pub(crate) fn slots_of(&self, project: &Project) -> Vec<Arc<QueueSlot>> {
        let (mut found, directory) = (Vec::new(), self.directory.read());
        for prefix in [keys::project(project), keys::topics(project)] {
            let slots = directory.names.from(std::ops::Bound::Included(&prefix));
            found
                .extend(slots.take_while(|slot| slot.key.starts_with(&prefix)).filter(|slot| slot.is_named()).cloned());
        }
        found
    }

    /// Counts the queues and topics of a project with an account, once, for the account and for a limit of their number.
    ///
    /// # Errors
    /// Those of reading the archive.
    pub(crate) fn count_queues_for(&self, project: &Project) -> Result<()> {
        let Some(account) = self.accounts.get(project).filter(|account| !account.has_queue_counts()) else {
            return Ok(());
        };
        for prefix in [keys::project(project), keys::topics(project)] {
            self.count_queues_with(&prefix, |count| account.set_queue_count(&prefix, count))?;
        }
        Ok(())
    }
}

impl Locked<'_> {
    /// Counts the queue in the account of its project, if that has a quota. The caller knows that the queue's content is
    /// here.
    pub(crate) fn join_account(&mut self) {
        let accounts = self.store.accounts();
        if !accounts.has_looked_up(self.slot) {
            accounts.join(self.slot, self.store.id(), self.before, self.queue.next_due());
        }
    }

    /// Ends that: the queue's content is not here any more. So there may be room for posts that wait.
    pub(crate) fn leave_account(&mut self) {
        self.settle();
        if let Some(account) = self.account() {
            self.store.accounts().leave(self.slot, self.store.id(), self.before);
            self.store.all_waiters().wake_posters(&keys::project(account.project()));
        }
    }

    /// Adds the changes of the queue's totals to the sums of the store and of the account.
    pub(super) fn settle(&mut self) {
        let (before, after) = (self.before, self.queue.totals());
        if after != before {
            self.store.count(&self.slot.key, before, after);
            self.has_removed |= after.total < before.total || after.weight < before.weight;
            self.before = after;
        }
        if let Some(account) = self.account() {
            account.settle(self.slot, self.store.id(), before, after, self.queue.next_due());
        }
    }

    /// The account that the queue is counted in.
    pub(super) fn account(&self) -> Option<Arc<Account>> {
        self.store.accounts().account_of(self.slot)
    }

    /// Records a post of so much, if the quota of the project allows it. `None`: messages of other queues have expired, and
    /// the caller has to collect them first, unless the attempt `is_last`.
    ///
    /// # Errors
    /// `ProjectIsFull`, and those of the recording.
    pub(crate) fn record_post(&mut self, op: &Op<'_>, added: Load, is_last: bool) -> Result<Option<u64>> {
        let Some(account) = self.account().filter(|account| account.limits_messages()) else {
            return self.record(Growth::Grows, op).map(Some);
        };
        // No page is read while the quota is locked.
        self.queue.prepare(op)?;
        let quota = account.lock_quota();
        self.settle();
        match account.judge(&quota, added, Load::default(), self.now) {
            Verdict::Fits => {}
            Verdict::Collect(_) if !is_last => return Ok(None),
            Verdict::Collect(excess) | Verdict::Full(excess) => return Err(account.full(excess)),
        }
        let lsn = self.record(Growth::Grows, op)?;
        self.settle();
        Ok(Some(lsn))
    }
}

impl Together<'_> {
    /// Runs `record`, which makes these changes of the queues, by their index, if the quotas of the projects that get
    /// messages allow it. `None`: as for [`Locked::record_post`].
    ///
    /// # Errors
    /// `ProjectIsFull`, and those of `record`.
    pub(crate) fn within_quotas<R>(
        &mut self,
        changes: &[Balance],
        is_last: bool,
        record: impl FnOnce(&mut Self) -> Result<R>,
    ) -> Result<Option<R>> {
        let balances = self.balances(changes);
        if balances.is_empty() {
            return record(self).map(Some);
        }
        let now = self.now().unwrap_or_default();
        let quotas: Vec<_> = balances.values().map(|(account, _)| account.lock_quota()).collect();
        self.settle_all();
        let mut judged: Vec<_> = balances.values().zip(&quotas).collect();
        // The error is that of the first project, however old its account is.
        judged.sort_unstable_by_key(|((account, _), _)| account.project());
        for ((account, Balance { added, freed, .. }), quota) in judged {
            match account.judge(quota, *added, *freed, now) {
                Verdict::Fits => {}
                Verdict::Collect(_) if !is_last => return Ok(None),
                Verdict::Collect(excess) | Verdict::Full(excess) => return Err(account.full(excess)),
            }
        }
        let recorded = record(self)?;
        self.settle_all();
        Ok(Some(recorded))
    }

    /// The changes of the projects with a quota that get messages, in the order of their accounts, which is that of the
    /// accounts' locks.
    fn balances(&self, changes: &[Balance]) -> BTreeMap<u32, (Arc<Account>, Balance)> {
        let mut balances: BTreeMap<u32, (Arc<Account>, Balance)> = BTreeMap::new();
        if changes.iter().all(|change| !change.posts) {
            return balances;
        }
        for (index, change) in changes.iter().enumerate() {
            let account = self.queue(index).and_then(Locked::account).filter(|account| account.limits_messages());
            let Some(account) = account else { continue };
            let (_, sum) = balances.entry(account.number()).or_insert_with(|| (account, Balance::default()));
            (sum.added, sum.freed) = (sum.added.and(change.added), sum.freed.and(change.freed));
            sum.posts |= change.posts;
        }
        balances.retain(|_, (_, sum)| sum.posts);
        balances
    }
}
