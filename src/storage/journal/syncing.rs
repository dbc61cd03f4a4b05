//! When the journal is synced, and who waits for it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Journal;
use super::commit::Turn;
use crate::lock;
use crate::model::error::{Error, Result};
use crate::sync::atomic::Ordering;

impl Journal {
    /// Waits until everything up to `lsn` is synced. Whoever comes first syncs for all who have appended by then.
    pub(crate) fn wait_durable(&self, lsn: u64) -> Result<()> {
        lock::check_may_wait();
        let mut turn = self.commit.enter(lsn)?;
        while let Turn::Lead = turn {
            // A panic of the disk's must not leave the others waiting for whoever leads them.
            let outcome = catch_unwind(AssertUnwindSafe(|| self.sync()));
            let outcome = outcome.unwrap_or_else(|_| Err(self.poison("a panic while the journal was synced")));
            turn = self.commit.finish(lsn, outcome)?;
        }
        Ok(())
    }

    /// Syncs what has been appended, oldest segment first, and returns the last LSN that covers.
    fn sync(&self) -> Result<u64, Arc<str>> {
        self.unsynced.store(false, Ordering::Release);
        let (unsynced, last) = {
            let mut tail = self.tail.lock();
            if let Some(cause) = &tail.failed {
                return Err(cause.clone());
            }
            (tail.segments.take_unsynced(), self.appended())
        };
        let synced = unsynced.sync(&self.place);
        match synced {
            Ok(()) => Ok(last),
            Err(cause) => {
                let cause = Error::io("syncing the journal", cause);
                Err(self.poison(&cause.to_string()))
            }
        }
    }

    /// Notes that something was appended that its caller does not wait for; true when nothing had been noted before.
    pub(crate) fn leave_unsynced(&self) -> bool {
        let first = !self.unsynced.swap(true, Ordering::AcqRel);
        if first {
            let since = u64::try_from(self.born.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.unsynced_since.store(since, Ordering::Release);
        }
        first
    }

    /// Since when, at most, something has waited for a sync that no caller waits for.
    pub(crate) fn unsynced_since(&self) -> Option<Instant> {
        let since = Duration::from_nanos(self.unsynced_since.load(Ordering::Acquire));
        self.has_unsynced().then(|| self.born.checked_add(since).unwrap_or(self.born))
    }

    /// Syncs what no caller waits for.
    pub(crate) fn sync_unwaited(&self) -> Result<()> {
        // First: what is noted from now on may not be covered.
        self.unsynced.store(false, Ordering::Release);
        self.wait_durable(self.appended())
    }

    /// Whether something waits for a sync that no caller waits for.
    pub(crate) fn has_unsynced(&self) -> bool {
        self.unsynced.load(Ordering::Acquire)
    }

    /// Makes the header of the live segment durable, if it may not be: before a manifest names it, and those before go.
    pub(crate) fn sync_header(&self) -> Result<()> {
        let live = self.tail.lock().segments.unsynced_header(self.synced());
        let Some(live) = live else { return Ok(()) };
        let synced = self.place.disk.sync_dir(&self.place.directory).and_then(|()| live.sync());
        synced.map_err(|cause| {
            let cause = Error::io("syncing the journal", cause);
            self.poison(&cause.to_string());
            cause
        })
    }
}
