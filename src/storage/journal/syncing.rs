//! Syncing the journal, and waiting for a sync.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Journal;
use super::commit::Turn;
use crate::lock;
use crate::model::error::{Error, Result};
use crate::sync::atomic::Ordering;

impl Journal {
    /// Waits until everything up to `lsn` is synced. The first caller syncs for all calls that have already appended.
    pub(crate) fn wait_durable(&self, lsn: u64) -> Result<()> {
        lock::check_may_wait();
        let mut turn = self.commit.enter(lsn)?;
        while let Turn::Lead = turn {
            // A panic in the disk must not leave the other calls waiting for their leader.
            let outcome = catch_unwind(AssertUnwindSafe(|| self.sync()));
            let outcome = outcome.unwrap_or_else(|_| Err(self.poison("a panic while the journal was synced")));
            turn = self.commit.finish(lsn, outcome)?;
        }
        Ok(())
    }

    /// Syncs everything appended, oldest segment first, and returns the last LSN that the sync covers.
    fn sync(&self) -> Result<u64, Arc<str>> {
        self.unsynced.store(false, Ordering::Release);
        let (unsynced, last) = {
            let mut tail = self.tail.lock();
            if let Some(cause) = &tail.failed {
                return Err(cause.clone());
            }
            (tail.segments.take_unsynced(), self.appended())
        };
        let synced = unsynced.sync(&self.context);
        self.syncs.fetch_add(1, Ordering::Relaxed);
        match synced {
            Ok(()) => Ok(last),
            Err(cause) => {
                let cause = Error::io("syncing the journal", cause);
                Err(self.poison(&cause.to_string()))
            }
        }
    }

    /// Records an append whose call does not wait for a sync; true if there was none before.
    pub(crate) fn leave_unsynced(&self) -> bool {
        let first = !self.unsynced.swap(true, Ordering::AcqRel);
        if first {
            let since = u64::try_from(self.born.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.unsynced_since.store(since, Ordering::Release);
        }
        first
    }

    /// The earliest possible time of the oldest append that no call waits for.
    pub(crate) fn unsynced_since(&self) -> Option<Instant> {
        let since = Duration::from_nanos(self.unsynced_since.load(Ordering::Acquire));
        self.has_unsynced().then(|| self.born.checked_add(since).unwrap_or(self.born))
    }

    /// Syncs appends that no call waits for.
    pub(crate) fn sync_unwaited(&self) -> Result<()> {
        // Cleared first: the sync may not cover appends from now on.
        self.unsynced.store(false, Ordering::Release);
        self.wait_durable(self.appended())
    }

    /// Whether there are unsynced appends that no call waits for.
    pub(crate) fn has_unsynced(&self) -> bool {
        self.unsynced.load(Ordering::Acquire)
    }

    /// Makes the header of the live segment durable, if it may not be: before a manifest names it, and those before go.
    pub(crate) fn sync_header(&self) -> Result<()> {
        let live = self.tail.lock().segments.unsynced_header(self.synced());
        let Some(live) = live else { return Ok(()) };
        let synced = self.context.disk.sync_dir(&self.context.directory).and_then(|()| live.sync());
        synced.map_err(|cause| {
            let cause = Error::io("syncing the journal", cause);
            self.poison(&cause.to_string());
            cause
        })
    }
}
