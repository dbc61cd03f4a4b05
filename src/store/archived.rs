//! The queues that are only in the archive: finding them, and taking them into memory.
//!
//! 1. A queue exists if its slot is in memory, or if the archive has a record of it that nothing hides. A slot of that
//!    name hides the record, and so does its key in `void`, which names deleted queues.
//! 2. The archive is read without a lock of the directory. What was read counts only if the directory still has the same
//!    archive afterwards.
//! 3. While a new archive is written, the directory knows how far it has got. So it is known of every queue that comes
//!    into memory or is deleted meanwhile whether the new archive has a record of it.
//!
//! Cost: for a queue in memory nothing; otherwise one read of a block. Memory: the index of the archive, and the keys of
//! the archived queues that were deleted since it was written.

use std::ops::Bound;
use std::sync::Arc;

use super::slot::{Archives, QueueSlot};
use super::{Directory, Store};
use crate::lock::{RwLockWriteGuard, Tier};
use crate::model::error::{Error, Result};
use crate::model::{Project, QueueName};
use crate::state::{Description, LoadedQueue};
use crate::storage::archive::{Archive, Archived};
use crate::storage::keys;

/// A name, looked up to create a queue of that name.
pub(crate) enum Place<'a> {
    Taken(Arc<QueueSlot>),
    /// There is no queue of that name while the directory is locked.
    Free(RwLockWriteGuard<'a, Directory>),
}

/// A queue in a listing.
#[derive(Debug, Clone)]
pub(crate) enum Listed {
    Present(Arc<QueueSlot>),
    Archived(Archived),
}

impl Listed {
    pub(crate) fn key(&self) -> &[u8] {
        match self {
            Self::Present(slot) => &slot.key,
            Self::Archived((key, _)) => key,
        }
    }
}

impl Listed {
    /// The queue's last description, whether or not it has been deleted.
    ///
    /// # Errors
    /// `Corrupt`.
    pub(crate) fn last_description(&self) -> Result<Arc<Description>> {
        match self {
            Self::Present(slot) => Ok(slot.last_description()),
            Self::Archived((key, value)) => {
                let described = LoadedQueue::describe_archived(key, value);
                described.map_err(|reason| Error::Corrupt { file: "the archive".into(), offset: 0, reason })
            }
        }
    }
}

impl Directory {
    /// The number of queues, in memory or not.
    pub(crate) fn len(&self) -> u64 {
        (self.names.len() as u64).saturating_add(self.archiving.len())
    }

    /// Whether the archive's record with that key is that of a queue.
    pub(crate) fn counts(&self, key: &[u8]) -> bool {
        !self.names.contains(key) && !self.archiving.is_void(key)
    }

    /// The memory of the directory, about.
    pub(crate) fn bytes(&self) -> u64 {
        self.names.bytes().saturating_add(self.archiving.void_bytes())
    }

    /// Removes a deleted queue.
    pub(crate) fn remove(&mut self, slot: &QueueSlot) {
        self.names.remove(&slot.key);
        self.note_queue(slot, false);
        let (archives, archiving) = (slot.archives(), &mut self.archiving);
        let current = archiving.archive.as_ref().map(|archive| archive.number());
        let copying = archiving.copying.as_ref().map(|copying| copying.number);
        for number in current.into_iter().chain(copying).filter(|number| archives.has(*number)) {
            let void = archiving.void.entry(slot.key.clone()).or_insert(Archives::NONE);
            *void = void.with(number, current);
        }
    }

    /// Counts a queue that was made or deleted for its project. The queues of a pool are counted in the control store.
    pub(crate) fn note_queue(&self, slot: &QueueSlot, made: bool) {
        if self.tier == Tier::Control && slot.is_named() {
            self.accounts.note_queue(&slot.key, made);
        }
    }

    /// Takes a queue of the archive into memory.
    fn recall(&mut self, slot: Arc<QueueSlot>) {
        let archiving = &mut self.archiving;
        let current = archiving.archive.as_ref().map(|archive| archive.number());
        if let Some(current) = current {
            slot.note_archive(current, None);
            archiving.hidden = archiving.hidden.saturating_add(1);
        }
        if let Some(copying) =
            archiving.copying.as_mut().filter(|copying| copying.is_whole || *slot.key <= *copying.reached)
        {
            slot.note_archive(copying.number, current);
            copying.recalled = copying.recalled.saturating_add(1);
        }
        self.names.insert(slot);
    }

    /// Removes queues behind `after` from memory that are in the archive as they are, and that nobody uses; `free` takes
    /// them out of the other lists first. Returns the last queue that was looked at; `None` at the end.
    pub(crate) fn evict(&mut self, after: &[u8], free: impl Fn(&QueueSlot)) -> Option<Box<[u8]>> {
        let number = self.archiving.archive.as_ref()?.number();
        let looked: Vec<&Arc<QueueSlot>> = self.names.from(Bound::Excluded(after)).take(EVICTED_AT_ONCE).collect();
        let last = looked.last()?.key.clone();
        let is_unused = |slot: &Arc<QueueSlot>| {
            // A call that has found the slot before may still use it. While the queue is locked here, it cannot change;
            // and while the directory is locked, no other call finds the slot.
            let Some(_locked) = slot.try_lock_as_in(number) else { return false };
            free(slot);
            Arc::strong_count(slot) == 1
        };
        let unused = looked.into_iter().filter(|slot| is_unused(slot));
        let keys: Vec<Box<[u8]>> = unused.map(|slot| slot.key.clone()).collect();
        keys.iter().for_each(|key| self.names.remove(key));
        self.archiving.hidden = self.archiving.hidden.saturating_sub(keys.len() as u64);
        Some(last)
    }
}

impl Store {
    /// The queue of that name; one that is only in the archive is taken into memory.
    ///
    /// # Errors
    /// Those of reading the archive.
    pub(crate) fn find(&self, project: &Project, name: &QueueName) -> Result<Option<Arc<QueueSlot>>> {
        keys::with_queue(project, name, |key| self.find_key(key))
    }

    /// As [`Self::find`], by the queue's key.
    pub(crate) fn find_key(&self, key: &[u8]) -> Result<Option<Arc<QueueSlot>>> {
        loop {
            let archive = {
                let directory = self.directory.read();
                if let Some(slot) = directory.names.get(key) {
                    return Ok(Some(slot.clone()));
                }
                directory.archiving.archive.clone().filter(|_| directory.counts(key))
            };
            let Some(archive) = archive else { return Ok(None) };
            match archive.get(key)? {
                None => return Ok(None),
                Some(value) => self.recall(&archive, key, &value)?,
            }
        }
    }

    /// Looks up a name to create a queue of that name.
    ///
    /// # Errors
    /// Those of reading the archive.
    pub(crate) fn lock_place(&self, key: &[u8]) -> Result<Place<'_>> {
        let mut absent: Option<Arc<Archive>> = None;
        loop {
            let archive = {
                let directory = self.directory.write();
                if let Some(slot) = directory.names.get(key) {
                    return Ok(Place::Taken(slot.clone()));
                }
                let archive = directory.archiving.archive.clone().filter(|_| directory.counts(key));
                if archive.is_none() || absent.is_some() && directory.archiving.is_current(absent.as_ref()) {
                    return Ok(Place::Free(directory));
                }
                archive
            };
            let Some(archive) = archive else { continue };
            match archive.get(key)? {
                Some(value) => self.recall(&archive, key, &value)?,
                None => absent = Some(archive),
            }
        }
    }

    /// Takes a queue into memory, unless the directory has changed meanwhile.
    fn recall(&self, archive: &Arc<Archive>, key: &[u8], value: &[u8]) -> Result<()> {
        let queue = LoadedQueue::from_archive(key, value, &self.budget);
        let queue = queue.map_err(|reason| archive.corrupt(0, reason))?;
        let mut directory = self.directory.write();
        if directory.archiving.is_current(Some(archive)) && directory.counts(key) {
            let slot = QueueSlot::of(queue, directory.tier);
            directory.recall(slot);
            let bytes = directory.bytes();
            drop(directory);
            if self.is_worth_archiving(bytes) {
                // A call that changes nothing wakes nobody else.
                self.signals.housekeeping();
            }
        }
        Ok(())
    }

    /// Up to `most` queues behind `start` that `choose` accepts by their keys, in order and at one instant, as long as
    /// their keys begin with `prefix`.
    pub(crate) fn list(
        &self,
        prefix: &[u8],
        start: &[u8],
        most: usize,
        choose: impl Fn(&[u8]) -> bool,
    ) -> Result<Vec<Listed>> {
        let mut portion = most.clamp(LEAST_PORTION, MOST_PORTION);
        loop {
            let archive = self.directory.read().archiving.archive.clone();
            let (mut stored, mut after, mut is_more) = (Vec::new(), start.to_vec(), archive.is_some());
            while let Some(archive) = archive.as_ref().filter(|_| is_more && stored.len() < portion) {
                let behind = archive.behind(&after, 1)?;
                is_more = behind.last().is_some_and(|(last, _)| last.starts_with(prefix));
                behind.last().inspect(|(last, _)| after.clone_from(last));
                stored.extend(behind.into_iter().filter(|(key, _)| key.starts_with(prefix) && choose(key)));
            }
            // What was not read comes behind this key.
            let end = is_more.then_some(after);
            let directory = self.directory.read();
            if !directory.archiving.is_current(archive.as_ref()) {
                continue;
            }
            let present = directory.names.from(Bound::Excluded(start));
            let present = present.take_while(|slot| slot.key.starts_with(prefix)).filter(|slot| choose(&slot.key));
            let stored = stored.into_iter().filter(|(key, _)| directory.counts(key));
            let is_known = |one: &Listed| end.as_deref().is_none_or(|end| one.key() <= end);
            let found: Vec<Listed> = merge(present.cloned(), stored).take_while(is_known).take(most).collect();
            drop(directory);
            if end.is_none() || found.len() >= most {
                return Ok(found);
            }
            // Too many of the records were hidden.
            portion = portion.saturating_mul(4);
        }
    }

    /// The number of queues whose keys begin with `prefix`.
    pub(crate) fn count_queues_of(&self, prefix: &[u8]) -> Result<u64> {
        let mut count = 0;
        self.count_queues_with(prefix, |counted| count = counted)?;
        Ok(count)
    }

    /// Hands over the number of queues whose keys begin with `prefix` while the directory is locked.
    pub(super) fn count_queues_with(&self, prefix: &[u8], note: impl FnOnce(u64)) -> Result<()> {
        loop {
            let archive = self.directory.read().archiving.archive.clone();
            let stored = archive.as_ref().map_or(Ok(0), |archive| archive.count(prefix))?;
            let directory = self.directory.read();
            if !directory.archiving.is_current(archive.as_ref()) {
                continue;
            }
            let number = archive.map_or(0, |archive| archive.number());
            let (mut present, mut hidden) = (0_u64, 0_u64);
            for slot in directory.names.from(Bound::Included(prefix)).take_while(|slot| slot.key.starts_with(prefix)) {
                present = present.saturating_add(u64::from(slot.is_named()));
                hidden = hidden.saturating_add(u64::from(slot.archives().has(number)));
            }
            let void = directory.archiving.void_in(number).filter(|key| key.starts_with(prefix)).count() as u64;
            note(present.saturating_add(stored).saturating_sub(hidden).saturating_sub(void));
            return Ok(());
        }
    }
}

/// Queues in memory and in the archive, in the order of their keys.
pub(crate) fn merge(
    present: impl Iterator<Item = Arc<QueueSlot>>,
    stored: impl Iterator<Item = Archived>,
) -> impl Iterator<Item = Listed> {
    let (mut present, mut stored) = (present.peekable(), stored.peekable());
    std::iter::from_fn(move || match (present.peek(), stored.peek()) {
        (Some(slot), Some((key, _))) if *slot.key > **key => stored.next().map(Listed::Archived),
        (None, Some(_)) => stored.next().map(Listed::Archived),
        _ => present.next().map(Listed::Present),
    })
}

/// The most queues that are removed from memory while the directory is locked.
const EVICTED_AT_ONCE: usize = 512;
/// The records of the archive that a listing reads at first.
const LEAST_PORTION: usize = 64;
const MOST_PORTION: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::disk::SimulatedDisk;
    use crate::{ClientId, Config, Engine, Metadata, NewMessage, Project, QueueName};

    /// An engine with the queue `jobs`, which the archive has as it is.
    fn archived() -> Engine {
        let config = Config::new().disk(Arc::new(SimulatedDisk::new())).background(false).queue_memory(0);
        let engine = config.open("/store").unwrap();
        engine.queue(Project::none(), "jobs").unwrap().create(Metadata::new()).unwrap();
        engine.snapshot().unwrap();
        assert_eq!(engine.status().archived_queues(), 1);
        engine
    }

    fn evict(engine: &Engine) {
        let store = engine.store();
        drop(store.directory.write().evict(&[], |slot| {
            store.alarms.disarm(slot);
            store.hot_queues.forget(slot);
        }));
    }

    #[test]
    fn a_queue_that_a_call_has_found_stays_in_memory() {
        let engine = archived();
        let store = engine.store();
        let (project, name) = (Project::none(), QueueName::new("jobs").unwrap());
        let slot = store.find(&project, &name).unwrap().unwrap();
        assert_eq!(engine.status().archived_queues(), 0);
        // A call is between finding the queue and locking it.
        evict(&engine);
        assert!(Arc::ptr_eq(&slot, &store.find(&project, &name).unwrap().unwrap()));
        // It has locked the queue.
        let locked = store.lock(&slot).unwrap();
        evict(&engine);
        drop(locked);
        assert!(Arc::ptr_eq(&slot, &store.find(&project, &name).unwrap().unwrap()));
        // The same call posts a message, and has not ended yet.
        let queue = engine.queue(Project::none(), "jobs").unwrap();
        queue
            .post(ClientId::from_bytes([1; 16]), &[NewMessage::new("x").ttl(std::time::Duration::from_mins(1))])
            .unwrap();
        let armed = slot.armed.load(std::sync::atomic::Ordering::Relaxed);
        drop(slot);
        evict(&engine);
        let slot = store.find(&project, &name).unwrap().unwrap();
        assert!(armed < u64::MAX && slot.armed.load(std::sync::atomic::Ordering::Relaxed) == armed);
        assert_eq!((queue.stats().unwrap().total(), engine.status().messages()), (1, 1));
        // Unused and as in the archive, it leaves.
        queue.pop(1).unwrap();
        drop(slot);
        engine.snapshot().unwrap();
        queue.create(Metadata::new()).unwrap();
        engine.queue(Project::none(), "another").unwrap().create(Metadata::new()).unwrap();
        engine.snapshot().unwrap();
        assert_eq!(engine.status().archived_queues(), 2);
    }
}
