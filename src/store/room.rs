//! Room in memory and in the journal: who has to make it, and who has to wait for it.
//!
//! 1. Every queue with pages in memory stands in `hot`.
//! 2. Posts wait while the budget is exceeded or the journal is too long; nothing else does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{Cell, Store};
use crate::checkpoint::Pressure;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::lock::{Condvar, Mutex, Rank};
use crate::state::{Purpose, Queue};

#[derive(Debug)]
pub(crate) struct Room {
    hot: Mutex<Hot>,
    /// One eviction at a time.
    evicting: Mutex<()>,
    state: Mutex<State>,
    made: Condvar,
    /// How many wait; so that a call with nobody waiting costs one load.
    waiting: AtomicUsize,
    /// Least length of the journal from which posts wait, in bytes.
    journal_max: u64,
    patience: Duration,
    /// Whether a thread makes room; otherwise whoever needs it does.
    background: bool,
}

/// Queues in the order in which they came to be listed; each knows its ticket.
#[derive(Debug, Default)]
struct Hot {
    queues: BTreeMap<u64, Arc<Cell>>,
    last: u64,
}

#[derive(Debug, Default)]
struct State {
    /// Why the last attempt to make room failed, and whether for lack of space on the disk.
    fault: Option<(String, bool)>,
    /// Set when the store is being closed: nobody waits any more.
    closed: bool,
}

impl Room {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            hot: Mutex::new(Rank::Hot, Hot::default()),
            evicting: Mutex::new(Rank::Evicting, ()),
            state: Mutex::new(Rank::Room, State::default()),
            made: Condvar::default(),
            waiting: AtomicUsize::new(0),
            journal_max: config.journal_max.max(config.segment_bytes.saturating_mul(LEAST_JOURNAL)),
            patience: config.busy_timeout,
            background: config.background,
        }
    }

    /// Sees to it that a queue with pages in memory is found when room is wanted. The queue is locked.
    pub(crate) fn note_hot(&self, cell: &Arc<Cell>, queue: &Queue) {
        if queue.has_hot_pages() && cell.hot.load(Ordering::Acquire) == 0 {
            let mut hot = self.hot.lock();
            hot.last = hot.last.saturating_add(1);
            cell.hot.store(hot.last, Ordering::Release);
            let ticket = hot.last;
            hot.queues.insert(ticket, cell.clone());
        }
    }

    /// Lists a queue no longer, which has been deleted.
    pub(super) fn forget(&self, cell: &Cell) {
        let mut hot = self.hot.lock();
        hot.queues.remove(&cell.hot.swap(0, Ordering::AcqRel));
    }

    /// The least length of the journal from which posts wait, in bytes.
    pub(crate) fn journal_max(&self) -> u64 {
        self.journal_max
    }

    /// Lets those who wait look again.
    pub(crate) fn tell(&self, outcome: &Result<()>) {
        self.state.lock().fault = outcome.as_ref().err().map(|error| (error.to_string(), error.is_full()));
        self.made.notify_all();
    }

    /// Ends every wait, now and later, with `Closed`.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.made.notify_all();
    }

    /// Has everyone who waits look again.
    fn wake_all(&self) {
        let _state = self.state.lock();
        self.made.notify_all();
    }
}

impl Store {
    /// Waits until there is room for a post.
    ///
    /// # Errors
    /// `Unavailable` when there is still none after the store's `busy_timeout`, `StorageFull` when there is none since the
    /// disk is full.
    pub(crate) fn await_room(&self) -> Result<()> {
        if self.has_room() {
            return Ok(());
        }
        if !self.room.background {
            self.make_room_now();
        }
        self.room.waiting.fetch_add(1, Ordering::SeqCst);
        let outcome = self.wait_for_room();
        self.room.waiting.fetch_sub(1, Ordering::SeqCst);
        outcome
    }

    fn wait_for_room(&self) -> Result<()> {
        let deadline = Instant::now().checked_add(self.room.patience);
        let mut state = self.room.state.lock();
        loop {
            if state.closed {
                return Err(Error::Closed);
            }
            if let Some(cause) = self.journal.poisoned() {
                // No room will ever be made.
                return Err(Error::Poisoned { cause });
            }
            if self.has_room() {
                return Ok(());
            }
            self.signals.evictor();
            self.signals.keeper();
            if let Some((_, true)) = &state.fault {
                let context = "making room in memory or in the journal".to_owned();
                return Err(Error::io(context, std::io::ErrorKind::StorageFull.into()));
            }
            let late = match deadline {
                _ if !self.room.background => true,
                Some(deadline) => self.room.made.wait_until(&mut state, deadline),
                None => {
                    self.room.made.wait(&mut state);
                    false
                }
            };
            if late && !self.has_room() {
                let why = state.fault.as_ref().map_or("they are being written out", |(fault, _)| fault);
                return Err(Error::Unavailable { reason: format!("memory or journal are full: {why}") });
            }
        }
    }

    /// The end of a call: what it freed lets posts in; and where no thread evicts, it does.
    pub(crate) fn keep_within_budget(&self) {
        self.let_in();
        if !self.room.background && self.budget.is_high() {
            self.room.tell(&self.evict());
        }
    }

    /// Wakes who waits for room, if there is some.
    pub(crate) fn let_in(&self) {
        if self.room.waiting.load(Ordering::SeqCst) > 0 && self.has_room() {
            self.room.wake_all();
        }
    }

    fn has_room(&self) -> bool {
        !self.budget.is_exceeded() && !self.journal_is_long()
    }

    /// Whether posts wait for a base.
    pub(crate) fn journal_is_long(&self) -> bool {
        // Most of the time a glance is enough.
        self.journal.full_bytes() > self.room.journal_max && self.pressure() == Pressure::High
    }

    fn make_room_now(&self) {
        let outcome = self.evict();
        let outcome = outcome.and_then(|()| if self.journal_is_long() { self.housekeep() } else { Ok(()) });
        self.room.tell(&outcome);
    }

    /// Lets pages go to the heap until memory is well below its bound.
    pub(crate) fn evict(&self) -> Result<()> {
        let _turn = self.room.evicting.lock();
        if self.budget.used() > self.budget.target() {
            self.check_place()?;
            self.clear_deleted();
        }
        let mut visits = 0_usize;
        while self.budget.used() > self.budget.target() && !self.is_closed() {
            let (cell, all) = {
                let mut hot = self.room.hot.lock();
                (hot.queues.pop_first().map(|(_, cell)| cell), hot.queues.len())
            };
            let Some(cell) = cell else { break };
            // The first time round, queues in use are spared.
            let hard = visits > all.saturating_mul(2);
            visits = visits.saturating_add(1);
            let evicted = self.evict_from(&cell, hard);
            self.room.made.notify_all();
            evicted?;
        }
        Ok(())
    }

    /// Evicts some pages of a queue, which stands in the list no more; puts it back if it has others.
    fn evict_from(&self, cell: &Arc<Cell>, hard: bool) -> Result<()> {
        let pages = {
            let mut queue = cell.peek();
            let in_use = std::mem::take(&mut queue.touched) && !hard;
            let pages = queue.evict(in_use, PAGES_AT_ONCE);
            cell.hot.store(0, Ordering::Release);
            self.room.note_hot(cell, &queue);
            pages
        };
        let mut written = Vec::with_capacity(pages.len());
        for page in pages {
            let (image, _) = page.write(&self.heap, &BTreeSet::new(), &self.budget, cell.owner())?;
            written.push((page, image));
        }
        self.set_images(cell, &mut written, Purpose::Eviction);
        Ok(())
    }
}

/// Pages evicted from a queue before the next one has its turn.
const PAGES_AT_ONCE: usize = 64;
/// The shortest bound on the journal, in segments: a base is written at half of it.
const LEAST_JOURNAL: u64 = 8;
