//! Syncing the journal, and waiting for a sync.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Journal;
use super::commit::Turn;
use super::segments::{Segments, Unsynced};
use crate::lock;
use crate::model::Timings;
use crate::model::error::{Error, Result};
use crate::sync::atomic::Ordering;

impl Journal {
    /// Waits until everything up to `lsn` is synced. The first caller syncs for all calls that have already appended.
    pub(crate) fn wait_durable(&self, lsn: u64) -> Result<()> {
        lock::check_may_wait();
        while self.synced() < lsn {
            self.lead(lsn, || self.sync())?;
        }
        Ok(())
    }

    /// Syncs what a replay from `from` to `to` reads, for a snapshot that begins at `from`, and returns the first segment
    /// of that, for the manifest. Earlier segments are left: when the snapshot counts, [`cover`](Self::cover) says so, and
    /// they are removed without a sync. Later ones are left too, because the snapshot has nothing of them.
    pub(crate) fn sync_for_replay(&self, from: u64, to: u64) -> Result<u64> {
        lock::check_may_wait();
        let (first, to, unsynced) = {
            let segments = &self.tail.lock().segments;
            let first = segments.first_needed(from);
            // The first segment has to exist, also if its first frame is behind `to`, or if it has none.
            (first, segments.first_of_full(first).map_or(to, |lsn| lsn.max(to)), segments.unsynced_header(first, to))
        };
        if let Some(live) = unsynced {
            let synced = self.context.kept_directory.sync(&*self.context.disk).and_then(|()| live.sync());
            synced.map_err(|cause| {
                let cause = Error::io("syncing the journal", cause);
                self.poison(&cause.to_string());
                cause
            })?;
        }
        self.lead(to, || {
            self.sync_taken(|segments| {
                let needed = segments.take_needed(first, to);
                let is_all = needed.has_live() && !segments.has_sealed();
                (needed, if is_all { self.appended() } else { self.synced() })
            })
        })?;
        Ok(first)
    }

    /// Syncs the segments with a second name among the page files. A failure poisons the journal, because its frames are
    /// in these files too.
    pub(crate) fn sync_named(&self) -> Result<()> {
        lock::check_may_wait();
        let appended = self.appended();
        if !self.tail.lock().segments.has_unsynced_named(self.synced(), appended) {
            return Ok(());
        }
        self.lead(appended, || self.sync_taken(|segments| (segments.take_named(), self.synced())))
    }

    /// Everything up to `lsn` is durable, because a snapshot that counts has it, with the segments that
    /// [`sync_for_replay`](Self::sync_for_replay) has synced.
    pub(crate) fn cover(&self, lsn: u64) {
        self.commit.cover(lsn);
    }

    /// Syncs everything appended, oldest segment first, and returns the last LSN that the sync covers.
    fn sync(&self) -> Result<u64, Arc<str>> {
        self.unsynced.store(false, Ordering::Release);
        self.sync_taken(|segments| (segments.take_unsynced(), self.appended()))
    }

    /// Syncs the oldest sealed segment, or the live one if none is sealed, and returns the last LSN up to which
    /// everything is synced.
    fn sync_next(&self) -> Result<u64, Arc<str>> {
        self.sync_taken(|segments| {
            segments.take_oldest_unsynced().unwrap_or_else(|| (segments.take_unsynced(), self.appended()))
        })
    }

    /// Syncs what `take` takes, and returns the LSN that it returns.
    fn sync_taken(&self, take: impl FnOnce(&mut Segments) -> (Unsynced, u64)) -> Result<u64, Arc<str>> {
        let (unsynced, last) = {
            let mut tail = self.tail.lock();
            if let Some(cause) = &tail.failed {
                return Err(cause.clone());
            }
            take(&mut tail.segments)
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

    /// Syncs appends that no call waits for, a segment at a time. In between, a call that waits takes the lead, or a
    /// snapshot, which makes the rest unnecessary.
    pub(crate) fn sync_unwaited(&self) -> Result<()> {
        lock::check_may_wait();
        // Cleared first: the syncs may not cover appends from now on.
        self.unsynced.store(false, Ordering::Release);
        let last = self.appended();
        while self.synced() < last {
            self.lead(last, || self.sync_next())?;
        }
        Ok(())
    }

    /// Waits until `lsn` is synced or this call leads, and then makes one `sync`.
    fn lead(&self, lsn: u64, sync: impl FnOnce() -> Result<u64, Arc<str>>) -> Result<()> {
        if let Turn::Lead = self.commit.enter(lsn)? {
            // A panic in the disk must not leave the other calls waiting for their leader.
            let outcome = self.sync_timer.time(|| catch_unwind(AssertUnwindSafe(sync)));
            let outcome = outcome.unwrap_or_else(|_| Err(self.poison("a panic while the journal was synced")));
            self.commit.finish(outcome)?;
        }
        Ok(())
    }

    /// How long the syncs have taken.
    pub(crate) fn sync_timings(&self) -> Timings {
        self.sync_timer.timings()
    }

    /// Whether there are unsynced appends that no call waits for.
    pub(crate) fn has_unsynced(&self) -> bool {
        self.unsynced.load(Ordering::Acquire)
    }
}
