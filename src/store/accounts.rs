//! The accounts of the projects with a quota: what their queues hold, counted while the store is open.
//!
//! 1. A queue is *counted* once it was locked by a call that knows that its content is there: at the opening, when the
//!    quota is set, or by the first call on it. In a pooled driver it leaves the account when its content is elsewhere.
//! 2. An account holds the sum of what its counted queues held when each was last *settled*: at every unlock, and while a
//!    post is decided. It has the next deadline of each of them too. So it is known whether a refusal would be due to
//!    messages that have expired.
//! 3. A post to a project whose messages are limited is decided and recorded, and its queue settled, while the account's
//!    quota is locked. What makes an account
//!    lighter, and what is never refused, takes only the lock of its figures.
//! 4. The number of queues changes with the directory locked, and a creation is decided there.
//!
//! Cost: for a queue of a project without a quota some atomic loads a lock. Memory: 150 B for each counted queue that has a deadline.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Weak};

use super::counted::MOST_ACCOUNTS;
use super::slot::QueueSlot;
use crate::lock::{Mutex, MutexGuard, Rank, RwLock};
use crate::model::error::{Error, Result};
use crate::model::{Project, ProjectQuota, ProjectUsage};
use crate::state::{Load, Totals};
use crate::storage::keys;
use crate::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// The accounts of a store, or of all stores of a pooled driver.
#[derive(Debug)]
pub(crate) struct Accounts {
    /// The number of the account that was opened last; 0 before the first.
    last: AtomicU32,
    /// By the prefix of the keys of the project's queues.
    by_project: RwLock<HashMap<Vec<u8>, Arc<Account>>>,
    /// Held while a quota is set.
    pub(crate) changing: Mutex<()>,
}

/// What a project with a quota holds.
#[derive(Debug)]
pub(crate) struct Account {
    project: Project,
    number: u32,
    /// Whether the quota may limit messages or bytes. A post that finds it does not is decided without a lock.
    limits_messages: AtomicBool,
    /// Locked while a post is decided and recorded.
    quota: Mutex<ProjectQuota>,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    load: Load,
    /// The queues and the topics, from the first time that they are asked for on.
    queues: [Option<u64>; 2],
    /// When something in a queue falls due, and the address of the queue's slot: while a queue is moved, it has two.
    deadlines: BTreeSet<(u64, usize)>,
    /// The counted queues that have a deadline. The weak reference keeps the address from being used again.
    due: HashMap<usize, Due>,
}

/// The deadline of a queue, and where the queue is.
#[derive(Debug, Clone)]
struct Due {
    when: u64,
    slot: Weak<QueueSlot>,
    store: [u8; 16],
}

/// A counted queue that has something due, and the id of its store.
pub(crate) type DueQueue = (Arc<QueueSlot>, [u8; 16]);

/// What becomes of a post to a project with a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Fits,
    /// It does not fit, but messages that have expired may not be collected yet.
    Collect(Excess),
    Full(Excess),
}

/// A limit that would be exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Excess {
    what: &'static str,
    limit: u64,
}

impl Default for Accounts {
    fn default() -> Self {
        Self {
            last: AtomicU32::new(0),
            by_project: RwLock::new(Rank::Accounts, HashMap::new()),
            changing: Mutex::new(Rank::Quotas, ()),
        }
    }
}

impl Accounts {
    /// Whether no project has had a quota since the store was opened.
    pub(crate) fn are_unused(&self) -> bool {
        self.last.load(Ordering::Acquire) == 0
    }

    pub(crate) fn get(&self, project: &Project) -> Option<Arc<Account>> {
        if self.are_unused() { None } else { self.by_project.read().get(&keys::project(project)).cloned() }
    }

    /// The account of the project that the queue or topic of that key belongs to.
    fn of_key(&self, key: &[u8]) -> Option<Arc<Account>> {
        if self.are_unused() {
            return None;
        }
        self.by_project.read().get(&keys::project_of(key)?).cloned()
    }

    /// The account that the queue is counted in. The queue is locked.
    pub(super) fn account_of(&self, slot: &QueueSlot) -> Option<Arc<Account>> {
        if slot.counted.is_any() {
            self.of_key(&slot.key).filter(|account| slot.counted.is_in(account.number))
        } else {
            None
        }
    }

    /// Whether the queue's account was looked up since the last one was opened.
    pub(super) fn has_looked_up(&self, slot: &QueueSlot) -> bool {
        slot.counted.is_current(self.last.load(Ordering::Acquire))
    }

    /// The projects that have an account.
    pub(crate) fn projects(&self) -> Vec<Project> {
        if self.are_unused() {
            return Vec::new();
        }
        self.by_project.read().values().map(|account| account.project.clone()).collect()
    }

    /// Opens an account for a project that has none. Until its queues are counted, it should have no limit.
    ///
    /// # Errors
    /// `Exhausted`.
    pub(crate) fn open(&self, project: &Project, quota: ProjectQuota) -> Result<Arc<Account>> {
        let number = self.last.load(Ordering::Acquire).saturating_add(1);
        if number > MOST_ACCOUNTS {
            return Err(Error::Exhausted { what: "the numbers of accounts of this run" });
        }
        let account = Arc::new(Account {
            project: project.clone(),
            number,
            limits_messages: AtomicBool::new(limits_messages(&quota)),
            quota: Mutex::new(Rank::Account(number), quota),
            held: Mutex::new(Rank::AccountFigures, Held::default()),
        });
        self.by_project.write().insert(keys::project(project), account.clone());
        // After the account is there: a queue that is looked up under this number has found it.
        self.last.store(number, Ordering::Release);
        Ok(account)
    }

    /// Ends the account of a project.
    pub(crate) fn close(&self, project: &Project) {
        self.by_project.write().remove(&keys::project(project));
    }

    /// Counts a queue in its project's account, unless it is counted or the project has none. The queue is locked, or no
    /// other thread can find it.
    pub(super) fn join(&self, slot: &Arc<QueueSlot>, store: [u8; 16], totals: Totals, due: Option<u64>) {
        let last = self.last.load(Ordering::Acquire);
        if slot.counted.is_current(last) || !slot.is_named() {
            return;
        }
        let account = self.of_key(&slot.key);
        if let Some(account) = account.as_ref().filter(|account| !slot.counted.is_in(account.number)) {
            account.settle(slot, store, Totals::default(), totals, due);
        }
        let number = account.as_ref().map_or(last, |account| account.number.max(last));
        slot.counted.set(number, account.is_some());
    }

    /// Ends the counting of a locked queue, which has these totals.
    pub(super) fn leave(&self, slot: &Arc<QueueSlot>, store: [u8; 16], totals: Totals) {
        if let Some(account) = self.account_of(slot) {
            account.settle(slot, store, totals, Totals::default(), None);
        }
        slot.counted.set(0, false);
    }

    /// Records that a queue or a topic was made or deleted. The directory is locked.
    pub(crate) fn note_queue(&self, key: &[u8], made: bool) {
        let Some(account) = self.of_key(key) else { return };
        if let Some(Some(count)) = account.held.lock().queues.get_mut(kind_of(key)) {
            *count = if made { count.saturating_add(1) } else { count.saturating_sub(1) };
        }
    }

    /// Checks that the project may have another queue or topic. The directory is locked. An account whose queues are not
    /// counted was opened during the call, which then comes before.
    ///
    /// # Errors
    /// `ProjectIsFull`.
    pub(crate) fn check_new_queue(&self, key: &[u8]) -> Result<()> {
        let Some(account) = self.of_key(key) else { return Ok(()) };
        let Some(limit) = account.quota.lock().max_queues else { return Ok(()) };
        let [Some(queues), Some(topics)] = account.held.lock().queues else { return Ok(()) };
        if queues.saturating_add(topics) < limit { Ok(()) } else { Err(account.full(Excess { what: "queues", limit })) }
    }
}

impl Account {
    /// The quota, under its lock.
    pub(crate) fn lock_quota(&self) -> MutexGuard<'_, ProjectQuota> {
        self.quota.lock()
    }

    pub(super) fn limits_messages(&self) -> bool {
        self.limits_messages.load(Ordering::Acquire)
    }

    /// Has posts decided under the lock from now on, if the quota to come limits messages. Returns whether they were not
    /// before: those that have begun end with the locks of their queues.
    pub(crate) fn begin_to_limit(&self, quota: &ProjectQuota) -> bool {
        limits_messages(quota) && !self.limits_messages.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn project(&self) -> &Project {
        &self.project
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// The error for what exceeds a limit.
    pub(super) fn full(&self, Excess { what, limit }: Excess) -> Error {
        Error::ProjectIsFull { project: self.project.clone(), what, limit }
    }

    /// Whether messages may be added, and others freed, at the time `now`. The quota is locked.
    pub(super) fn judge(&self, quota: &ProjectQuota, added: Load, freed: Load, now: u64) -> Verdict {
        let held = self.held.lock();
        let load = held.load.without(freed).and(added);
        for (what, limit, size) in
            [("messages", quota.max_messages, load.messages), ("bytes", quota.max_bytes, load.bytes)]
        {
            if let Some(limit) = limit.filter(|limit| size > *limit) {
                let is_due = held.deadlines.first().is_some_and(|(when, _)| *when <= now);
                let excess = Excess { what, limit };
                return if is_due { Verdict::Collect(excess) } else { Verdict::Full(excess) };
            }
        }
        Verdict::Fits
    }

    /// Takes over what a queue holds now, and its next deadline, in place of what it held before.
    pub(super) fn settle(
        &self,
        slot: &Arc<QueueSlot>,
        store: [u8; 16],
        before: Totals,
        after: Totals,
        due: Option<u64>,
    ) {
        let mut held = self.held.lock();
        held.load = held.load.and(Load::from(after)).without(Load::from(before));
        held.note_due(slot, store, due);
    }

    /// The queues that have something due by `now`. One that is not in memory any more has nothing.
    pub(crate) fn due_by(&self, now: u64) -> Vec<DueQueue> {
        let mut held = self.held.lock();
        let addresses: Vec<usize> =
            held.deadlines.iter().take_while(|(when, _)| *when <= now).map(|(_, address)| *address).collect();
        let mut queues = Vec::with_capacity(addresses.len());
        for address in addresses {
            match held.due.get(&address).and_then(|due| Some((due.slot.upgrade()?, due.store))) {
                Some(queue) => queues.push(queue),
                None => held.forget_due(address),
            }
        }
        queues
    }

    /// Has nothing of the queue due.
    pub(crate) fn forget_due(&self, slot: &Arc<QueueSlot>) {
        self.held.lock().forget_due(Arc::as_ptr(slot).addr());
    }

    /// The next instant at which something in one of the queues falls due.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.held.lock().deadlines.first().map(|(when, _)| *when)
    }

    /// What the project holds; `None` while its queues are not counted, or if something is due by `now`.
    pub(crate) fn usage(&self, now: u64) -> Option<ProjectUsage> {
        let held = self.held.lock();
        let [Some(queues), Some(topics)] = held.queues else { return None };
        let is_due = held.deadlines.first().is_some_and(|(when, _)| *when <= now);
        let Load { messages, bytes } = held.load;
        (!is_due).then_some(ProjectUsage { queues: queues.saturating_add(topics), messages, bytes })
    }

    /// Whether the queues, and the topics, are counted.
    pub(super) fn has_queue_counts(&self) -> bool {
        self.held.lock().queues.iter().all(Option::is_some)
    }

    /// Sets the number of the queues, or of the topics, whose keys begin with `prefix`. The directory is locked.
    pub(super) fn set_queue_count(&self, prefix: &[u8], count: u64) {
        if let Some(place) = self.held.lock().queues.get_mut(kind_of(prefix)) {
            *place = Some(count);
        }
    }
}

impl Held {
    fn note_due(&mut self, slot: &Arc<QueueSlot>, store: [u8; 16], due: Option<u64>) {
        let address = Arc::as_ptr(slot).addr();
        if self.due.get(&address).map(|known| known.when) == due {
            return;
        }
        self.forget_due(address);
        if let Some(when) = due {
            self.deadlines.insert((when, address));
            self.due.insert(address, Due { when, slot: Arc::downgrade(slot), store });
        }
    }

    fn forget_due(&mut self, address: usize) {
        if let Some(due) = self.due.remove(&address) {
            self.deadlines.remove(&(due.when, address));
        }
    }
}

fn limits_messages(quota: &ProjectQuota) -> bool {
    quota.max_messages.is_some() || quota.max_bytes.is_some()
}

/// The index of queues or of topics.
fn kind_of(key: &[u8]) -> usize {
    usize::from(keys::is_topic(key))
}
