//! The engine's own threads: each waits for a signal or an instant and then makes a step, which can also be made by
//! hand.
//!
//! | Thread | Waits for | Does |
//! |---|---|---|
//! | journal | a change that no call waits for, a needed spare segment | syncs within the interval, prepares segments |
//! | gc | the next deadline, a deleted queue | [`Store::collect`] |
//! | housekeeping | enough journal; after that, a moment without calls | checkpoint and snapshot |
//! | evictor | memory nearly full | writes pages to the page files |
//!
//! An idle engine wakes no thread before its next deadline.

mod archive;
mod checkpoint;
mod collect;
mod compact;
mod evict;
mod housekeep;
mod proof;
mod snapshot;
mod write_out;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::admission::Shortage;
use super::signals::Receivers;
use crate::model::error::{Error, Result};
use crate::store::Store;
use crate::sync::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use crate::sync::spawner::Spawner;
use crate::sync::thread::{self, JoinHandle};

/// The threads of a store. They are started before anything is written, because starting may fail, and wait for the
/// store.
#[derive(Debug)]
pub(crate) struct Threads {
    running: Vec<JoinHandle<()>>,
    /// The channels through which the threads get their store; empty once they have it.
    waiting: Vec<Sender<Arc<Store>>>,
}

impl Threads {
    pub(crate) fn none() -> Self {
        Self { running: Vec::new(), waiting: Vec::new() }
    }

    /// Starts the threads, all or none.
    pub(crate) fn make(spawner: &dyn Spawner, receivers: Receivers, sync_interval: Duration) -> Result<Self> {
        let Receivers { journal, gc, housekeeping, evictor } = receivers;
        let mut threads = Self::none();
        threads.add(spawner, "zaqar-journal", move |store| run_journal_thread(store, &journal, sync_interval))?;
        threads.add(spawner, "zaqar-gc", move |store| collect(store, &gc))?;
        threads.add(spawner, "zaqar-housekeep", move |store| housekeep(store, &housekeeping))?;
        threads.add(spawner, "zaqar-evictor", move |store| evict(store, &evictor))?;
        Ok(threads)
    }

    /// A thread that works once it has a store; a panic in it poisons that.
    fn add(
        &mut self,
        spawner: &dyn Spawner,
        name: &'static str,
        work: impl FnOnce(&Store) + Send + 'static,
    ) -> Result<()> {
        let (waiting, start) = bounded::<Arc<Store>>(1);
        let run = move || {
            let Ok(store) = start.recv() else { return };
            if catch_unwind(AssertUnwindSafe(|| work(&store))).is_err() {
                store.journal.poison(&format!("a panic in the thread {name}"));
            }
        };
        let running = spawner.spawn(name, Box::new(run)).map_err(|e| Error::io("starting a thread", e))?;
        self.running.push(running);
        self.waiting.push(waiting);
        Ok(())
    }

    /// Sets them to work.
    pub(crate) fn start(&mut self, store: &Arc<Store>) {
        for waiting in self.waiting.drain(..) {
            // The thread waits for nothing else.
            let _ = waiting.send(store.clone());
        }
    }

    /// Forgets the threads in a fork, which does not have them.
    pub(crate) fn forget(&mut self) {
        std::mem::take(&mut self.running).into_iter().for_each(std::mem::forget);
    }

    /// Ends the threads of a store that has been marked closed. Never called by one of them: they hold the store, not
    /// an engine.
    pub(crate) fn stop(&mut self, store: &Store) {
        for thread in self.running.drain(..) {
            while !thread.is_finished() {
                store.signals.all();
                thread::sleep(Duration::from_micros(50));
            }
            // A panic in the thread has poisoned the store, and later calls report that.
            let _ = thread.join();
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Threads without a store end when their channel closes; the others were stopped.
        if !self.waiting.is_empty() {
            self.waiting.clear();
            self.running.drain(..).for_each(|thread| drop(thread.join()));
        }
    }
}

fn run_journal_thread(store: &Store, signals: &Receiver<()>, interval: Duration) {
    let journal = &store.journal;
    let mut prepare_from = Instant::now();
    // The instant at which the oldest change that no call waits for has to be synced, whatever was synced before.
    let due = || journal.unsynced_since().and_then(|since| since.checked_add(interval));
    let sync_if_due = |within: Duration| {
        if due().is_some_and(|due| due.saturating_duration_since(Instant::now()) <= within) {
            // A failed sync has poisoned the journal, and later calls report that.
            let _ = journal.sync_unwaited();
        }
    };
    while !store.is_closed() && wait(signals, due()) && !store.is_closed() {
        sync_if_due(Duration::ZERO);
        let now = Instant::now();
        if journal.wants_spare() && prepare_from <= now {
            // A lack of space is reported to the calls that need space. Here it only ends the attempt.
            if journal.prepare_spare(&mut |took| sync_if_due(took)).is_err() {
                prepare_from = now.checked_add(interval).unwrap_or(now);
            }
            store.signals.housekeeping();
        }
    }
}

fn collect(store: &Store, signals: &Receiver<()>) {
    while !store.is_closed() {
        let due = store.next_due().map(|when| Duration::from_millis(when.saturating_sub(store.now())));
        let timeout = due.and_then(|due| store.clock.source().real_wait(due));
        if due != Some(Duration::ZERO) && !wait(signals, timeout.and_then(|p| Instant::now().checked_add(p))) {
            return;
        }
        store.collect();
    }
}

fn housekeep(store: &Store, signals: &Receiver<()>) {
    let mut quiet_at: Option<(Instant, u64)> = None;
    let mut retry = Retry::default();
    let until =
        |quiet_at: Option<(Instant, u64)>, retry: &Retry| quiet_at.map(|(at, _)| at).into_iter().chain(retry.at).min();
    while !store.is_closed() && wait(signals, until(quiet_at, &retry)) && !store.is_closed() {
        let began = Instant::now();
        let appended = store.journal.appended();
        let is_quiet = quiet_at.is_some_and(|(at, then)| at <= Instant::now() && then == appended);
        // A failed step is tried again when there is more journal. The journal keeps everything meanwhile.
        let kept = if is_quiet { store.shrink() } else { store.housekeep() };
        store.note_attempt(Shortage::Journal, &kept);
        retry.after(began, store.is_wanted(Shortage::Journal));
        let more = !is_quiet && store.could_shrink();
        quiet_at = if more { Instant::now().checked_add(QUIET).map(|at| (at, appended)) } else { None };
    }
}

fn evict(store: &Store, signals: &Receiver<()>) {
    let mut retry = Retry::default();
    while !store.is_closed() && wait(signals, retry.at) && !store.is_closed() {
        let began = Instant::now();
        let evicted = store.evict();
        store.note_attempt(Shortage::Memory, &evicted);
        // After a success a signal announces more pages to evict.
        retry.after(began, evicted.is_err() && store.is_wanted(Shortage::Memory));
    }
}

/// The time of the next attempt to free space after one that failed or freed nothing, while posts wait. No signal
/// announces it, because the cause may be outside of the store. At most half of the time is spent on such attempts.
#[derive(Debug, Default)]
struct Retry {
    at: Option<Instant>,
    pause: Duration,
}

impl Retry {
    /// Sets the time after an attempt that began at `began`; none unless posts wait.
    fn after(&mut self, began: Instant, is_wanted: bool) {
        if is_wanted {
            self.pause = self.pause.saturating_mul(2).clamp(LEAST_PAUSE, MOST_PAUSE).max(began.elapsed());
            self.at = Instant::now().checked_add(self.pause);
        } else {
            *self = Self::default();
        }
    }
}

/// Waits for a signal or until `until`; false when the channel is closed.
fn wait(signals: &Receiver<()>, until: Option<Instant>) -> bool {
    let waited = match until {
        Some(until) => signals.recv_deadline(until),
        None => signals.recv().map_err(|_| RecvTimeoutError::Disconnected),
    };
    waited != Err(RecvTimeoutError::Disconnected)
}

/// The pause after an attempt that failed: longer each time.
const LEAST_PAUSE: Duration = Duration::from_millis(10);
const MOST_PAUSE: Duration = Duration::from_millis(250);
/// After so long without a call the space that could be freed is freed, however little it is.
const QUIET: Duration = Duration::from_secs(1);
