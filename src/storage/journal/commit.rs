//! Group commit: one sync for all calls that have appended before it.
//!
//! The first call leads: it syncs, wakes all calls that the sync covers, and passes the lead to one of the calls that
//! arrived during the sync. Each call sleeps on a waiter of its own, never on a lock that the leader needs again. This
//! makes the groups large.

use std::sync::Arc;

use crate::lock::{Condvar, Mutex, Rank};
use crate::model::error::{Error, Result};
use crate::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug)]
pub(crate) struct Commit {
    synced: AtomicU64,
    group: Mutex<Group>,
}

#[derive(Debug, Default)]
struct Group {
    led: bool,
    waiting: Vec<Arc<SyncWaiter>>,
    failed: Option<Arc<str>>,
}

/// Where one caller sleeps.
#[derive(Debug)]
struct SyncWaiter {
    lsn: u64,
    outcome: Mutex<Option<Wake>>,
    wake: Condvar,
}

#[derive(Debug, Clone)]
enum Wake {
    Synced,
    Lead,
    Failed(Arc<str>),
}

/// The next step of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The call's LSN is synced: return.
    Answer,
    /// The call syncs for all and reports to [`Commit::finish`].
    Lead,
}

impl Commit {
    pub(crate) fn new(synced: u64) -> Self {
        Self { synced: AtomicU64::new(synced), group: Mutex::new(Rank::Group, Group::default()) }
    }

    pub(crate) fn synced(&self) -> u64 {
        self.synced.load(Ordering::Acquire)
    }

    pub(crate) fn failed(&self) -> Option<Arc<str>> {
        self.group.lock().failed.clone()
    }

    /// Sleeps until `lsn` is synced or the lead falls to this caller.
    pub(crate) fn enter(&self, lsn: u64) -> Result<Turn> {
        if self.synced() >= lsn {
            return Ok(Turn::Answer);
        }
        let waiter = {
            let mut group = self.group.lock();
            if self.synced() >= lsn {
                return Ok(Turn::Answer);
            }
            if let Some(cause) = &group.failed {
                return Err(unknown(cause));
            }
            if !group.led {
                group.led = true;
                return Ok(Turn::Lead);
            }
            let waiter = Arc::new(SyncWaiter::new(lsn));
            group.waiting.push(waiter.clone());
            waiter
        };
        waiter.sleep()
    }

    /// Ends a lead with the LSN that the sync reached, or with its failure.
    pub(crate) fn finish(&self, outcome: Result<u64, Arc<str>>) -> Result<()> {
        let (woken, next_leader) = {
            let mut group = self.group.lock();
            match &outcome {
                Ok(synced) => {
                    self.synced.fetch_max(*synced, Ordering::AcqRel);
                    let covered = |waiter: &mut Arc<SyncWaiter>| waiter.lsn <= *synced;
                    let woken: Vec<_> = group.waiting.extract_if(.., covered).collect();
                    let next_leader = if group.waiting.is_empty() { None } else { Some(group.waiting.swap_remove(0)) };
                    group.led = next_leader.is_some();
                    (woken, next_leader)
                }
                Err(cause) => {
                    group.failed.get_or_insert_with(|| cause.clone());
                    group.led = false;
                    (std::mem::take(&mut group.waiting), None)
                }
            }
        };
        // The next leader first: it syncs while the others wake up.
        next_leader.into_iter().for_each(|waiter| waiter.wake(Wake::Lead));
        let message = outcome.as_ref().map_or_else(|cause| Wake::Failed(cause.clone()), |_| Wake::Synced);
        woken.into_iter().for_each(|waiter| waiter.wake(message.clone()));
        outcome.map(drop).map_err(|cause| unknown(&cause))
    }

    /// Ends the waits for everything up to `lsn`, which is durable without the journal.
    pub(crate) fn cover(&self, lsn: u64) {
        let woken: Vec<_> = {
            let mut group = self.group.lock();
            self.synced.fetch_max(lsn, Ordering::AcqRel);
            group.waiting.extract_if(.., |waiter| waiter.lsn <= lsn).collect()
        };
        woken.into_iter().for_each(|waiter| waiter.wake(Wake::Synced));
    }

    /// Ends every wait, now and later, with an unknown outcome.
    pub(crate) fn fail(&self, cause: &Arc<str>) {
        let woken = {
            let mut group = self.group.lock();
            group.failed.get_or_insert_with(|| cause.clone());
            std::mem::take(&mut group.waiting)
        };
        woken.into_iter().for_each(|waiter| waiter.wake(Wake::Failed(cause.clone())));
    }
}

impl SyncWaiter {
    fn new(lsn: u64) -> Self {
        Self { lsn, outcome: Mutex::new(Rank::SyncWaiter, None), wake: Condvar::default() }
    }

    fn sleep(&self) -> Result<Turn> {
        let mut outcome = self.outcome.lock();
        loop {
            match outcome.take() {
                Some(Wake::Synced) => return Ok(Turn::Answer),
                Some(Wake::Lead) => return Ok(Turn::Lead),
                Some(Wake::Failed(cause)) => return Err(unknown(&cause)),
                None => self.wake.wait(&mut outcome),
            }
        }
    }

    fn wake(&self, woken: Wake) {
        *self.outcome.lock() = Some(woken);
        self.wake.notify_one();
    }
}

fn unknown(cause: &Arc<str>) -> Error {
    Error::OutcomeUnknown { cause: cause.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_leads_and_those_it_covers_are_done() {
        let commit = Arc::new(Commit::new(0));
        assert_eq!(commit.enter(1).unwrap(), Turn::Lead);
        let follower = std::thread::spawn({
            let commit = commit.clone();
            move || commit.enter(2).unwrap()
        });
        let late = std::thread::spawn({
            let commit = commit.clone();
            move || commit.enter(3).unwrap()
        });
        while commit.group.lock().waiting.len() < 2 {
            std::thread::yield_now();
        }
        commit.finish(Ok(2)).unwrap();
        assert_eq!(follower.join().unwrap(), Turn::Answer);
        assert_eq!(late.join().unwrap(), Turn::Lead);
        commit.finish(Ok(3)).unwrap();
        assert_eq!(commit.enter(3).unwrap(), Turn::Answer);
    }

    #[test]
    fn those_that_a_snapshot_covers_are_done_while_the_leader_syncs() {
        let commit = Arc::new(Commit::new(0));
        assert_eq!(commit.enter(1).unwrap(), Turn::Lead);
        let [covered, late] = [2, 4].map(|lsn| {
            let commit = commit.clone();
            std::thread::spawn(move || commit.enter(lsn).unwrap())
        });
        while commit.group.lock().waiting.len() < 2 {
            std::thread::yield_now();
        }
        commit.cover(3);
        assert_eq!(covered.join().unwrap(), Turn::Answer);
        assert_eq!(commit.enter(3).unwrap(), Turn::Answer);
        commit.finish(Ok(1)).unwrap();
        assert_eq!((commit.synced(), late.join().unwrap()), (3, Turn::Lead));
    }

    #[test]
    fn a_failed_sync_leaves_every_outcome_unknown() {
        let commit = Commit::new(0);
        assert_eq!(commit.enter(1).unwrap(), Turn::Lead);
        assert!(commit.finish(Err("no".into())).unwrap_err().is_outcome_unknown());
        assert!(commit.enter(1).unwrap_err().is_outcome_unknown());
    }
}
