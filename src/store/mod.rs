//! An open store, which every call goes through.
//!
//! A call decides a change under its queue's lock, appends the change to the journal and applies it. Then the call
//! releases the lock and waits until the change is durable.
//!
//! The order of the locks is that of [`Rank`]. `housekeeping` serialises housekeeping. It is held during disk writes.
//! So no call of the contract takes it, except that a post without background threads frees the space it needs.
//!
//! A page that is not in memory is read under its queue's lock, because other calls on the queue most likely need the
//! same page.

mod accounting;
pub(crate) mod accounts;
mod admission;
pub(crate) mod alarms;
mod archived;
mod archiving;
pub(crate) mod background;
pub(crate) mod backup;
mod bookkeeping;
pub(crate) mod calls;
pub(crate) mod cancel_token;
mod close;
pub(crate) mod compact_report;
mod counted;
mod dirty_queues;
mod entering;
mod hot_queues;
pub(crate) mod housekeeping;
pub(crate) mod inspect;
mod locked;
pub(crate) mod meters;
mod metrics;
mod names;
mod posts;
pub(crate) mod random;
pub(crate) mod ready_queues;
pub(crate) mod recovery;
pub(crate) mod signals;
mod slot;
pub(crate) mod status;
mod together;
mod totals;
pub(crate) mod verify;
mod waiter;
pub(crate) mod waiters;
mod writing;

use std::ops::Bound;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use crate::clock::EngineClock;
use crate::config::Config;
use crate::disk::HeldDir;
use crate::disk::process::Process;
use crate::lock::{Mutex, Rank, RwLock, Tier};
use crate::model::numbering::first_of;
use crate::model::{Limits, Project, QueueName};
use crate::state::{Contents, Registry, Totals};
use crate::storage::budget::Budget;
use crate::storage::journal::{Journal, JournalContext};
use crate::storage::keys;
use crate::storage::page_files::PageFiles;
use crate::storage::reserve::Reserve;
use crate::store::alarms::Alarms;
use crate::store::calls::Calls;
use crate::store::housekeeping::Housekeeping;
use crate::store::meters::Meters;
use crate::store::random::Random;
use crate::store::recovery::{Recovered, RecoveryReport};
use crate::store::signals::Signals;
use crate::store::waiters::Waiters;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};

pub(crate) use accounting::Balance;
use accounts::Accounts;
use admission::Admission;
pub(crate) use archived::{Listed, Place, merge};
use archiving::{Archiving, ArchivingDue};
use dirty_queues::DirtyQueues;
use hot_queues::HotQueues;
pub(crate) use locked::{Locked, LockedRegistry};
pub(crate) use names::Names;
pub(crate) use slot::QueueSlot;
pub(crate) use together::Together;

#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) root: PathBuf,
    pub(crate) held: Arc<dyn HeldDir>,
    /// The process that opened the store.
    pub(crate) process: Process,
    pub(crate) context: JournalContext,
    pub(crate) clock: Arc<EngineClock>,
    pub(crate) random: Random,
    pub(crate) limits: Limits,
    pub(crate) checksums: bool,
    pub(crate) journal: Journal,
    pub(crate) reserve: Arc<Reserve>,
    pub(crate) page_files: Arc<PageFiles>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) admission: Admission,
    pub(crate) hot_queues: HotQueues,
    pub(crate) directory: RwLock<Directory>,
    pub(crate) registry: RwLock<Registry>,
    /// Held while a pool is compared with the others and registered.
    pub(crate) registering: Mutex<()>,
    /// Held while metadata that names a dead-letter queue is checked and set.
    pub(crate) chains: Mutex<()>,
    /// The incarnation of new sequences and subscriptions: this run's, or one that the control store has assigned.
    incarnation: AtomicU32,
    pub(crate) alarms: Alarms,
    pub(crate) waiters: Arc<Waiters>,
    /// In a pool: the waiters of the control store, where the calls wait.
    waiters_of_driver: OnceLock<Arc<Waiters>>,
    /// Of the projects with a quota.
    accounts: Arc<Accounts>,
    /// In a pool: the accounts of the control store.
    accounts_of_driver: OnceLock<Arc<Accounts>>,
    pub(crate) housekeeping: Mutex<Housekeeping>,
    pub(crate) signals: Signals,
    pub(crate) report: RecoveryReport,
    /// The changes of queues that the next checkpoint has to write.
    dirty: DirtyQueues,
    /// The memory of the directory from which idle queues are archived.
    queue_memory: u64,
    archiving_due: ArchivingDue,
    /// An LSN not below that of any deletion of a queue that a snapshot may not find any more.
    last_deletion: AtomicU64,
    /// The highest time in the journal.
    journaled_time: AtomicU64,
    /// The number of live messages in all queues.
    messages: AtomicU64,
    weight: AtomicU64,
    pub(crate) calls: Calls,
    pub(crate) meters: Meters,
    /// Counts the queues that are made, and the changes of the registry, each before its call returns. So a queue that a
    /// call has not found is still missing if the counter is as it was before the look-up.
    pub(crate) names_made: Arc<AtomicU64>,
}

/// The directory: the queues of the store.
#[derive(Debug)]
pub(crate) struct Directory {
    /// The queues in memory.
    pub(crate) names: Names,
    pub(crate) archiving: Archiving,
    pub(crate) next_number: u64,
    /// As in the store.
    pub(crate) names_made: Arc<AtomicU64>,
    /// As in the store.
    pub(super) accounts: Arc<Accounts>,
    pub(crate) tier: Tier,
}

impl Store {
    /// The store in `root`, which `held` holds.
    pub(crate) fn new(
        config: &Config,
        root: PathBuf,
        held: Arc<dyn HeldDir>,
        recovered: Recovered,
        random: Random,
        signals: Signals,
    ) -> Self {
        let Recovered { contents, manifest, context, start, filled, snapshot_files, report, reserve } = recovered;
        let Contents { queues, next_queue, time, registry, page_files, budget, records, archive, void, .. } = contents;
        reserve.add_records(records);
        let loaded = filled.is_some();
        let tier = if config.control.is_some() { Tier::Pool } else { Tier::Control };
        let names = queues.into_values().map(|queue| QueueSlot::of(queue, tier)).collect();
        let dirty = DirtyQueues::new(archive.is_none());
        let archiving = Archiving::new(archive, void, &names);
        let next_number = next_queue.max(first_of(manifest.incarnation));
        let last_lsn = start.next_lsn.saturating_sub(1);
        let incarnation = manifest.incarnation;
        let housekeeping = Housekeeping::new(manifest, filled, last_lsn, snapshot_files);
        let names_made = Arc::<AtomicU64>::default();
        let accounts = Arc::<Accounts>::default();
        let (made, accounted) = (names_made.clone(), accounts.clone());
        let directory = Directory { names, archiving, next_number, names_made: made, accounts: accounted, tier };
        let store = Self {
            root,
            held,
            process: Process::this(),
            clock: config.time.clone().unwrap_or_else(|| Arc::new(EngineClock::new(config.clock.clone(), time))),
            random,
            limits: config.limits.clone(),
            checksums: config.checksums,
            journal: Journal::new(context.clone(), start, reserve.clone(), budget.events().clone()),
            reserve,
            page_files,
            admission: Admission::new(config, budget.events()),
            budget,
            hot_queues: HotQueues::default(),
            directory: RwLock::new(Rank::Directory(tier), directory),
            registry: RwLock::new(Rank::Registry(tier), registry),
            registering: Mutex::new(Rank::Registering, ()),
            chains: Mutex::new(Rank::Chains, ()),
            incarnation: AtomicU32::new(incarnation),
            alarms: Alarms::default(),
            waiters: Arc::default(),
            meters: Meters::default(),
            names_made,
            waiters_of_driver: OnceLock::new(),
            accounts,
            accounts_of_driver: OnceLock::new(),
            housekeeping: Mutex::new(Rank::Housekeeping, housekeeping),
            signals,
            report,
            dirty,
            queue_memory: config.queue_memory_bytes(),
            archiving_due: ArchivingDue::default(),
            last_deletion: AtomicU64::new(0),
            journaled_time: AtomicU64::new(time),
            messages: AtomicU64::new(0),
            weight: AtomicU64::new(0),
            calls: Calls::default(),
            context,
        };
        store.clock.raise(time);
        store.adopt_all(loaded);
        store
    }

    /// Sets timers and totals for the recovered state, and marks the state as changed unless it came from the trees.
    fn adopt_all(&self, loaded: bool) {
        if !loaded {
            self.registry.write().forget_stored();
        }
        for slot in &self.slots().collect::<Vec<_>>() {
            let (totals, due) = slot.outlook();
            self.count(&slot.key, Totals::default(), totals);
            self.alarms.arm(slot, due);
            let mut queue = slot.lock();
            if !loaded {
                // State from a snapshot is not in the new trees yet, whether or not it has changed since.
                queue.forget_stored();
            }
            let changed = queue.has_changes();
            self.hot_queues.note_hot(slot, &queue);
            drop(queue);
            if changed {
                self.note_changed(slot);
            }
        }
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.now()
    }

    /// The id of the store, which no other store has.
    pub(crate) fn id(&self) -> [u8; 16] {
        self.context.store
    }

    /// The incarnation of new sequences and subscriptions.
    pub(crate) fn incarnation(&self) -> u32 {
        self.incarnation.load(Ordering::Relaxed)
    }

    /// Sets the incarnation of new sequences and subscriptions; it is above all earlier ones.
    pub(crate) fn raise_incarnation(&self, incarnation: u32) {
        self.incarnation.fetch_max(incarnation, Ordering::Relaxed);
    }

    /// The number of the next queue: those of all queues are lower.
    pub(crate) fn next_queue_number(&self) -> u64 {
        self.directory.read().next_number
    }

    /// Whether closing has begun.
    pub(crate) fn is_closed(&self) -> bool {
        self.calls.are_refused()
    }

    /// Has messages that time makes claimable wake the waiters of `control` instead of this store's own, and counts
    /// queues in its accounts.
    pub(crate) fn belong_to(&self, control: &Self) {
        let _ = self.waiters_of_driver.set(control.waiters.clone());
        let _ = self.accounts_of_driver.set(control.accounts.clone());
    }

    /// Wakes up to `most` calls that wait for messages of that queue.
    pub(crate) fn wake(&self, project: &Project, name: &QueueName, most: usize) {
        if !self.waiters.is_empty() {
            self.waiters.wake(&keys::queue(project, name), most);
        }
    }

    /// Wakes all calls that wait for messages of that queue, or for room in it.
    pub(crate) fn wake_all_of(&self, project: &Project, name: &QueueName) {
        self.wake(project, name, usize::MAX);
        if self.waiters.has_posters() {
            self.waiters.wake_posters(&keys::queue(project, name));
        }
    }

    /// The waiters of the driver that the store belongs to.
    pub(super) fn all_waiters(&self) -> &Waiters {
        self.waiters_of_driver.get().unwrap_or(&self.waiters)
    }

    /// Every queue in memory, by project and name. The directory is locked for some queues at a time, so queues that are created
    /// during the iteration may or may not be included.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Arc<QueueSlot>> + '_ {
        let mut after: Option<Arc<QueueSlot>> = None;
        let portions = std::iter::from_fn(move || {
            let directory = self.directory.read();
            let from = after.as_ref().map_or(Bound::Unbounded, |last| Bound::Excluded(&*last.key));
            let portion: Vec<_> = directory.names.from(from).take(SLOTS_AT_ONCE).cloned().collect();
            drop(directory);
            after = Some(portion.last()?.clone());
            Some(portion)
        });
        portions.flatten()
    }
}

/// Queues listed while the directory is locked.
const SLOTS_AT_ONCE: usize = 1024;
