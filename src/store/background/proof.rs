//! Which page images are known to be on the disk.
//!
//! What makes the journal's copy of a page go, a snapshot or a clean close, names none but *proven* images:
//!
//! 1. those that an earlier snapshot named, one that counted: whatever becomes of them, nothing else has them any more;
//! 2. those that were read back whole in this run, after a sync of their file that succeeded.
//!
//! A file of which a sync has failed, or that gave back something else, proves nothing ever after. Its pages are written
//! elsewhere; one that cannot be read, and is in no memory either, keeps the journal until it is gone or the store is opened
//! again and rebuilds it.
//!
//! Cost: each image is read once, from the system's cache as a rule, by the first snapshot or close after it was written; and
//! once the records of the snapshot are read that a cleanly closed store was opened beside.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::housekeeping::Housekeeping;
use crate::disk::trees::Tree;
use crate::model::error::{Error, Result};
use crate::state::PageEntry;
use crate::storage::codec;
use crate::storage::keys;
use crate::storage::page_files::Image;
use crate::storage::records;
use crate::storage::snapshot;
use crate::store::{QueueSlot, Store};

/// An image, and the page it is of.
pub(crate) type Unproven = (Arc<QueueSlot>, u64, Image);

impl Store {
    /// Reads images back whose files have just been synced. All of them are looked at, so that everything that has to be
    /// written again is known at once.
    ///
    /// # Errors
    /// That of the first that is not whole.
    pub(crate) fn prove(&self, images: &[Unproven]) -> Result<()> {
        let mut outcome = Ok(());
        for of_queue in images.chunk_by(|(one, ..), (other, ..)| Arc::ptr_eq(one, other)) {
            for portion in of_queue.chunks(AT_ONCE) {
                let checked: Vec<_> = portion.iter().map(|(_, first, image)| (*first, image, image.check())).collect();
                let Some((slot, ..)) = portion.first() else { continue };
                let mut queue = slot.lock();
                for (first, image, check) in checked {
                    match &check {
                        Ok(()) => queue.prove(first, image.place()),
                        Err(_) => queue.distrust(first, image.place()),
                    }
                    outcome = outcome.and(check);
                }
                let changed = queue.has_changes() && !queue.is_deleted();
                drop(queue);
                if changed {
                    self.note_changed(slot);
                }
            }
        }
        outcome
    }

    /// Proves every image of every queue; the page files have been synced.
    pub(crate) fn prove_all(&self) -> Result<()> {
        let mut outcome = Ok(());
        for slot in self.slots() {
            let images: Vec<Unproven> =
                slot.lock().unproven().map(|(first, image)| (slot.clone(), first, image)).collect();
            // A failure does not keep the others from being looked at.
            outcome = outcome.and(self.prove(&images));
        }
        outcome
    }

    /// Takes note of the images that the manifest's snapshot names, where pages came from the trees.
    pub(super) fn prove_named(&self, housekeeping: &mut Housekeeping) -> Result<()> {
        let Some(mark) = housekeeping.manifest.snapshot.filter(|_| housekeeping.unproven) else {
            housekeeping.unproven = false;
            return Ok(());
        };
        let slots: HashMap<u64, Arc<QueueSlot>> = self.slots().map(|slot| (slot.number, slot)).collect();
        let path = snapshot::path(&self.root, mark.number);
        let mut note = |tree: Tree, key: &[u8], value: &[u8]| {
            let body = records::open(tree, key, value)?;
            if tree == Tree::Messages
                && let Some((number, first)) = keys::parse_page(key)
                && let Some(slot) = slots.get(&number)
            {
                slot.lock().prove(first, codec::decode::<PageEntry>(body)?.place);
            }
            Ok(())
        };
        match snapshot::read(&*self.place.disk, &path, self.place.store, mark.number, &mut note) {
            Err(snapshot::Fault::Failed(error)) => return Err(error),
            // What is behind the damage is read back as if no snapshot named it.
            Err(snapshot::Fault::Damaged(_)) | Ok(_) => {}
        }
        housekeeping.unproven = false;
        Ok(())
    }

    /// Sees to it that every page lies where it can be believed, for trees that are to be opened from.
    pub(crate) fn prove_images(&self, housekeeping: &mut Housekeeping) -> Result<()> {
        let proven = || self.page_files.sync().and_then(|()| self.prove_all());
        if proven().is_ok() && !self.page_files.is_doubtful() {
            return Ok(());
        }
        // Writes elsewhere what lies in files that are not trusted any more.
        self.write_snapshot(housekeeping)?;
        self.checkpoint(housekeeping)?;
        proven()?;
        if self.page_files.is_doubtful() {
            return Err(Error::Trees { reason: "pages lie where a sync has failed".into() });
        }
        Ok(())
    }
}

/// Images read back before their queue takes note of it.
const AT_ONCE: usize = 64;
