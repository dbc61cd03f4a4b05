//! An open store: what every call goes through.
//!
//! A change is decided under its queue's lock, appended to the journal, applied, and then, with no lock held, waited for.
//!
//! The order of the locks is that of [`Rank`]. `keeper` serialises housekeeping; it is held over disk writes, so no caller of
//! the contract ever takes it.
//!
//! A page that is not in memory is read under its queue's lock: whoever else wants that queue most likely wants the page.

mod cell;
mod locked;
mod names;
mod room;
mod totals;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread;

use crate::background::Signals;
use crate::budget::Budget;
use crate::calls::Calls;
use crate::checkpoint::{Gone, Keeper};
use crate::clock::{EngineClock, Instant};
use crate::codec;
use crate::config::{Config, Durability};
use crate::disk::HeldDir;
use crate::error::Result;
use crate::gc::Timer;
use crate::heap::{Heap, Image};
use crate::journal::{Growth, Journal, Place, frame_buffer};
use crate::lock::{Mutex, Rank, RwLock, RwLockReadGuard, Tier};
use crate::model::{Limits, Project, QueueName};
use crate::op::Op;
use crate::process::Process;
use crate::random::Random;
use crate::recovery::{Recovered, RecoveryReport};
use crate::reserve::{Need, Reserve, made_by, price};
use crate::state::{Contents, Freed, PageSnapshot, Purpose, Queue, Registry, Totals, first_of};
use crate::trees::keys;
use crate::wait::Waiters;

pub(crate) use cell::Cell;
pub(crate) use locked::{Awake, Locked, LockedRegistry};
pub(crate) use names::Names;
use room::Room;

#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) root: PathBuf,
    pub(crate) held: Arc<dyn HeldDir>,
    /// The process that opened it.
    pub(crate) process: Process,
    pub(crate) place: Place,
    pub(crate) clock: Arc<EngineClock>,
    pub(crate) random: Random,
    pub(crate) limits: Limits,
    pub(crate) checksums: bool,
    pub(crate) journal: Journal,
    pub(crate) reserve: Arc<Reserve>,
    pub(crate) heap: Arc<Heap>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) room: Room,
    pub(crate) directory: RwLock<Directory>,
    pub(crate) registry: RwLock<Registry>,
    /// Held while a pool is compared with the others and registered.
    pub(crate) registering: Mutex<()>,
    /// Held while metadata that names a dead-letter queue is checked and set.
    pub(crate) chains: Mutex<()>,
    /// The incarnation of new sequences and subscriptions: this run's, or one that the control store has given.
    epoch: AtomicU32,
    pub(crate) timer: Timer,
    pub(crate) waiters: Waiters,
    pub(crate) keeper: Mutex<Keeper>,
    pub(crate) signals: Signals,
    pub(crate) report: RecoveryReport,
    /// Queues the next checkpoint has something to write of, by number; deleted ones are not among them.
    changed: Mutex<BTreeMap<u64, Arc<Cell>>>,
    /// What deleted queues held, to be freed in the background.
    deleted: Mutex<Vec<Queue>>,
    /// What those that were freed left in the trees.
    pub(crate) gone: Mutex<Vec<Gone>>,
    /// The highest time in the journal.
    journaled_time: AtomicU64,
    /// Live messages and what they weigh, over all queues.
    messages: AtomicU64,
    weight: AtomicU64,
    pub(crate) calls: Calls,
}

/// Which queues there are.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) names: Names,
    pub(crate) next_number: u64,
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
        let Recovered { contents, manifest, place, start, filled, base_segments, report, reserve } = recovered;
        let Contents { queues, next_queue, time, registry, heap, budget, records, .. } = contents;
        reserve.add_records(records);
        let loaded = filled.is_some();
        let tier = if config.control.is_some() { Tier::Pool } else { Tier::Control };
        let names = queues.into_values().map(|queue| Cell::of(queue, tier)).collect();
        let next_number = next_queue.max(first_of(manifest.incarnation));
        let store = Self {
            root,
            held,
            process: Process::this(),
            clock: config.time.clone().unwrap_or_else(|| Arc::new(EngineClock::new(config.clock.clone(), time))),
            random,
            limits: config.limits.clone(),
            checksums: config.checksums,
            journal: Journal::new(place.clone(), start, reserve.clone()),
            reserve,
            heap,
            budget,
            room: Room::new(config),
            directory: RwLock::new(Rank::Directory(tier), Directory { names, next_number, tier }),
            registry: RwLock::new(Rank::Registry(tier), registry),
            registering: Mutex::new(Rank::Registering, ()),
            chains: Mutex::new(Rank::Chains, ()),
            epoch: AtomicU32::new(manifest.incarnation),
            timer: Timer::default(),
            waiters: Waiters::default(),
            keeper: Mutex::new(Rank::Keeper, Keeper::new(manifest, filled, base_segments)),
            signals,
            report,
            changed: Mutex::new(Rank::Changed, BTreeMap::new()),
            deleted: Mutex::new(Rank::Deleted, Vec::new()),
            gone: Mutex::new(Rank::Gone, Vec::new()),
            journaled_time: AtomicU64::new(time),
            messages: AtomicU64::new(0),
            weight: AtomicU64::new(0),
            calls: Calls::default(),
            place,
        };
        store.clock.raise(time);
        store.adopt_all(loaded);
        store
    }

    /// Sets timers and totals for what recovery brought, and notes it as changed unless it came from the trees.
    fn adopt_all(&self, loaded: bool) {
        if !loaded {
            self.registry.write().forget_stored();
        }
        for cell in &self.cells().collect::<Vec<_>>() {
            let (totals, due) = cell.outlook();
            self.count(Totals::default(), totals);
            self.timer.arm(cell, due);
            let mut queue = cell.peek();
            if !loaded {
                // Whatever came from a base is not in the new trees yet, changed since or not.
                queue.forget_stored();
            }
            let changed = queue.has_changes();
            self.room.note_hot(cell, &queue);
            drop(queue);
            if changed {
                self.note_changed(cell);
            }
        }
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.now()
    }

    /// The incarnation that new sequences and subscriptions are given out in.
    pub(crate) fn epoch(&self) -> u32 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// Gives sequences and subscriptions out in that incarnation from now on, which is above all there were.
    pub(crate) fn set_epoch(&self, epoch: u32) {
        self.epoch.fetch_max(epoch, Ordering::Relaxed);
    }

    /// The registry to read from, in which nothing that has expired by now is left.
    pub(crate) fn read_registry(&self) -> (RwLockReadGuard<'_, Registry>, u64) {
        loop {
            let (registry, now) = (self.registry.read(), self.now());
            if registry.next_due().is_none_or(|due| due > now) {
                return (registry, now);
            }
            drop(registry);
            drop(self.lock_registry());
        }
    }

    /// The registry to change, in which nothing that has expired by now is left.
    pub(crate) fn lock_registry(&self) -> LockedRegistry<'_> {
        let registry = self.registry.write();
        let (now, due) = (self.now(), registry.next_due());
        let mut locked = LockedRegistry { store: self, registry, now, due, expired: 0 };
        locked.expired = locked.registry.advance(now);
        if locked.expired > 0 {
            self.record_time(now);
        }
        locked
    }

    /// Whether closing has begun.
    pub(crate) fn is_closed(&self) -> bool {
        self.calls.are_refused()
    }

    pub(crate) fn find(&self, project: &Project, name: &QueueName) -> Option<Arc<Cell>> {
        self.directory.read().names.get(&keys::queue(project, name)).cloned()
    }

    /// Locks the queue of that name as it is now; `None` when there is none. The caller has begun a call.
    pub(crate) fn with_queue<R>(
        &self,
        project: &Project,
        name: &QueueName,
        call: impl FnOnce(&mut Locked<'_>) -> Result<R>,
    ) -> Result<Option<R>> {
        while let Some(cell) = self.find(project, name) {
            // A queue deleted between finding and locking may have been made anew: look again.
            if let Some(mut locked) = self.lock(&cell)? {
                return call(&mut locked).map(Some);
            }
        }
        Ok(None)
    }

    /// Locks a queue and advances it to now; `None` when it has been deleted.
    ///
    /// # Errors
    /// Those of reading a page in which something is due.
    pub(crate) fn lock<'a>(&'a self, cell: &'a Arc<Cell>) -> Result<Option<Locked<'a>>> {
        let Some(mut locked) = self.lock_as_is(cell) else { return Ok(None) };
        let now = locked.now;
        let (freed, outcome) = locked.queue.advance(now);
        self.record_freed(freed, now);
        locked.note_claimable(freed);
        outcome.map(|()| Some(locked))
    }

    /// The same without advancing it, for what does not depend on time.
    pub(crate) fn lock_as_is<'a>(&'a self, cell: &'a Arc<Cell>) -> Option<Locked<'a>> {
        let mut queue = cell.peek();
        if queue.is_deleted() {
            return None;
        }
        queue.touched = true;
        let (Instant { millis: now, slack }, before) = (self.clock.instant(), queue.totals());
        Some(Locked {
            store: self,
            cell,
            queue,
            now,
            slack,
            before,
            described: None,
            floor: 0,
            quiet: false,
            claimable: 0,
        })
    }

    /// Journals how far time had come when something was seen to have ended, so that it is over after a restart too,
    /// whatever the wall clock says then. A store that cannot write goes on reading.
    pub(crate) fn record_freed(&self, freed: Freed, now: u64) {
        if freed != Freed::default() {
            self.record_time(now);
        }
    }

    fn record_time(&self, now: u64) {
        if self.journaled_time.load(Ordering::Relaxed) < now {
            let recorded = self.record(Growth::Frees, now, &Op::Time, &mut []);
            if recorded.is_ok() && self.journal.leave_unsynced() {
                // Nobody waits for it, but what was seen to be gone is not to come back.
                self.signals.journal();
            }
        }
    }

    /// Appends `op` and applies it to `queues`; returns its LSN.
    pub(crate) fn record(&self, growth: Growth, now: u64, op: &Op<'_>, queues: &mut [&mut Queue]) -> Result<u64> {
        queues.iter().try_for_each(|queue| queue.prepare(op))?;
        let lsn = self.append(growth, now, op)?;
        self.apply(lsn, now, op, queues);
        Ok(lsn)
    }

    /// Applies what was appended, and everything it needs brought into memory before.
    fn apply(&self, lsn: u64, now: u64, op: &Op<'_>, queues: &mut [&mut Queue]) {
        let bomb = PoisonOnPanic(self);
        let described = matches!(op, Op::SetMetadata { .. } | Op::Remap { .. });
        let bytes = |queues: &[&mut Queue]| queues.iter().map(|queue| queue.description().bytes() as u64).sum();
        let before = if described { bytes(queues) } else { 0 };
        queues.iter_mut().for_each(|queue| queue.apply(lsn, now, op));
        if described {
            self.reserve.change_records(before, bytes(queues));
        }
        drop(bomb);
        if queues.iter().any(|queue| queue.is_broken()) {
            self.journal.poison("a change could not be applied whole");
        }
    }

    /// Appends `op` and leaves applying it to the caller, who holds the locks.
    pub(crate) fn append(&self, growth: Growth, now: u64, op: &Op<'_>) -> Result<u64> {
        if !self.process.is_this_as_far_as_known() {
            return Err(self.forked());
        }
        let mut frame = frame_buffer(BUFFER.take());
        codec::encode_into(&EntryRef { time: now, op }, &mut frame)?;
        let bytes = frame.len() as u64;
        let admitted = match growth {
            Growth::Frees => Ok(()),
            Growth::Leases => self.reserve.require(Need::Lease, price(op, bytes)),
            Growth::Grows => self.reserve.require(Need::Grow, price(op, bytes)),
        };
        let appended = admitted.and_then(|()| self.journal.append(frame, growth));
        if self.is_short() {
            // A base may make room.
            self.signals.keeper();
        }
        let (lsn, frame) = appended?;
        if frame.capacity() <= KEPT_BUFFER_BYTES {
            BUFFER.set(frame);
        }
        if growth != Growth::Frees {
            self.reserve.add_records(made_by(op));
        }
        self.journaled_time.fetch_max(now, Ordering::Relaxed);
        if self.journal.wants_spare() {
            self.signals.journal();
        }
        Ok(lsn)
    }

    /// Waits until the change `lsn` is as durable as asked.
    pub(crate) fn settle(&self, lsn: u64, durability: Durability) -> Result<()> {
        match durability {
            Durability::Sync => self.journal.settle(lsn),
            Durability::Buffered => {
                if self.journal.leave_unsynced() {
                    self.signals.journal();
                }
                Ok(())
            }
        }
    }

    /// Waits until everything a caller may have seen is as durable as asked: for calls that found nothing to do.
    pub(crate) fn settle_seen(&self, durability: Durability) -> Result<()> {
        match durability {
            Durability::Sync => self.journal.settle(self.journal.appended()),
            Durability::Buffered => Ok(()),
        }
    }

    /// Wakes up to `most` of those who wait for messages of that queue.
    pub(crate) fn wake(&self, project: &Project, name: &QueueName, most: usize) {
        if !self.waiters.is_empty() {
            self.waiters.wake(&keys::queue(project, name), most);
        }
    }

    pub(crate) fn note_changed(&self, cell: &Arc<Cell>) {
        if !cell.changed.swap(true, Ordering::AcqRel) {
            self.changed.lock().insert(cell.number, cell.clone());
        }
    }

    /// How many records of queues the trees lack, about.
    pub(crate) fn unwritten(&self) -> u64 {
        let changed: Vec<_> = self.changed.lock().values().cloned().collect();
        changed.iter().map(|cell| cell.unwritten()).sum()
    }

    /// The queues changed since the last time this was asked.
    pub(crate) fn take_changed(&self) -> Vec<Arc<Cell>> {
        let cells: Vec<_> = std::mem::take(&mut *self.changed.lock()).into_values().collect();
        cells.iter().for_each(|cell| cell.changed.store(false, Ordering::Release));
        cells
    }

    /// Leaves what a deleted queue held to the background.
    pub(crate) fn bury(&self, remains: Queue) {
        self.deleted.lock().push(remains);
        self.signals.gc();
    }

    pub(crate) fn take_deleted(&self) -> Vec<Queue> {
        std::mem::take(&mut *self.deleted.lock())
    }

    /// Advances a queue by a bounded number of steps; with whether more is due. `None` when it has been deleted, or one of
    /// its pages cannot be read: whoever wants it next is told why.
    pub(crate) fn collect_some(&self, cell: &Arc<Cell>, now: u64) -> Option<(Freed, bool)> {
        let queue = cell.peek();
        if queue.is_deleted() {
            return None;
        }
        // Whatever happens, the queue is armed anew when it is unlocked.
        self.timer.disarm(cell);
        let before = queue.totals();
        let mut locked = Locked {
            store: self,
            cell,
            queue,
            now,
            slack: 0,
            before,
            described: None,
            floor: 0,
            quiet: false,
            claimable: 0,
        };
        let (freed, outcome) = locked.queue.advance_some(now, COLLECTED_AT_ONCE);
        locked.note_claimable(freed);
        let more = locked.queue.next_due().is_some_and(|due| due <= now);
        if outcome.is_err() {
            // But not to be tried at once again.
            locked.quiet = true;
            self.record_freed(freed, now);
            return None;
        }
        Some((freed, more))
    }

    /// Takes note of where pages were written.
    pub(crate) fn set_images(&self, cell: &Arc<Cell>, written: &mut Vec<(PageSnapshot, Image)>, purpose: Purpose) {
        if written.is_empty() {
            return;
        }
        let changed = {
            let mut queue = cell.peek();
            written.drain(..).for_each(|(page, image)| queue.set_image(&page, &image, purpose));
            queue.has_changes() && !queue.is_deleted()
        };
        if changed {
            self.note_changed(cell);
        }
    }

    /// Takes a queue that was made with messages in it into the account.
    pub(crate) fn adopt(&self, cell: &Arc<Cell>, totals: Totals) {
        self.count(Totals::default(), totals);
        // Whoever has found and locked it meanwhile does the same at the end.
        if let Some(queue) = cell.try_peek() {
            if self.timer.arm(cell, queue.next_due()) {
                self.signals.gc();
            }
            self.room.note_hot(cell, &queue);
        }
        self.note_changed(cell);
    }

    /// Every queue, by project and name. The directory is locked for some of them at a time: what is made meanwhile may or
    /// may not be among them.
    pub(crate) fn cells(&self) -> impl Iterator<Item = Arc<Cell>> + '_ {
        let mut after: Option<Arc<Cell>> = None;
        let portions = std::iter::from_fn(move || {
            let directory = self.directory.read();
            let from = after.as_ref().map_or(Bound::Unbounded, |last| Bound::Excluded(&*last.key));
            let portion: Vec<_> = directory.names.from(from).take(CELLS_AT_ONCE).cloned().collect();
            drop(directory);
            after = Some(portion.last()?.clone());
            Some(portion)
        });
        portions.flatten()
    }
}

/// An [`Entry`] that borrows its operation.
#[derive(serde::Serialize)]
struct EntryRef<'a, 'b> {
    time: u64,
    op: &'a Op<'b>,
}

/// A panic between append and the end of apply leaves journal and memory apart: nothing may be written any more.
struct PoisonOnPanic<'a>(&'a Store);

impl Drop for PoisonOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.journal.poison("a panic while a change was applied");
        }
    }
}

thread_local! {
    /// The last frame's memory, for the next one.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Queues listed while the directory is locked.
const CELLS_AT_ONCE: usize = 1024;
const KEPT_BUFFER_BYTES: usize = 1 << 20;
/// Pages and claims collected while a queue is locked: some tens of microseconds.
const COLLECTED_AT_ONCE: usize = 64;
