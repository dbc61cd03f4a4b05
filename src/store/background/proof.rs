//! The proof that page images are on the disk.
//!
//! A snapshot or a clean close, after which the journal's copy of a page is removed, names only *proven* images:
//!
//! 1. images that an earlier snapshot named which counted: no other copy of them exists;
//! 2. images that were read back whole in this run, after a successful sync of their file;
//! 3. frames of this run's journal that became images, if a sync of the journal covered them. Nothing is removed that
//!    they were a copy of: the frame is what the journal had, in the same place.
//!
//! A file whose sync has failed, or that returned other bytes than were written, proves nothing any more. Its pages are
//! written to another file. A page that cannot be read and is not in memory keeps the journal, until the page is
//! removed or the store is opened again and rebuilds it.
//!
//! Cost: each image is read once, usually from the system's cache, by the first snapshot or close after its write.
//! After an opening from the trees, the first snapshot or close reads the records of the former snapshot instead of the
//! images that it names.

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

/// An image, with the slot and first sequence of its page.
pub(crate) type Unproven = (Arc<QueueSlot>, u64, Image);

impl Store {
    /// Syncs every image. The segments that are page files too are synced as parts of the journal: if that fails, the
    /// journal is poisoned.
    pub(crate) fn sync_images(&self) -> Result<()> {
        self.journal.sync_named()?;
        self.page_files.sync()
    }

    /// Syncs every image if the files with unsynced ones take many descriptors.
    pub(super) fn relieve_page_files(&self) -> Result<()> {
        if self.page_files.are_held() { self.sync_images() } else { Ok(()) }
    }

    /// Reads back images whose files have just been synced. All images are checked, so that all pages that have to be
    /// written again are known at once.
    ///
    /// # Errors
    /// That of the first image that is not whole.
    pub(crate) fn prove(&self, images: &[Unproven]) -> Result<()> {
        let mut outcome = Ok(());
        for of_queue in images.chunk_by(|(one, ..), (other, ..)| Arc::ptr_eq(one, other)) {
            for portion in of_queue.chunks(AT_ONCE) {
                let check = |image: &Image| if image.is_synced_frame() { Ok(()) } else { image.check() };
                let checked: Vec<_> = portion.iter().map(|(_, first, image)| (*first, image, check(image))).collect();
                let Some((slot, ..)) = portion.first() else { continue };
                let mut queue = slot.lock();
                for (first, image, check) in checked {
                    match &check {
                        Ok(()) => queue.prove(first, image.location()),
                        Err(_) => queue.distrust(first, image.location()),
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
            // After a failure the other images are still checked.
            outcome = outcome.and(self.prove(&images));
        }
        outcome
    }

    /// Marks the images that the manifest's snapshot names as proven, if pages came from the trees.
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
                slot.lock().prove(first, codec::decode::<PageEntry>(body)?.location);
            }
            Ok(())
        };
        match snapshot::read(&*self.context.disk, &path, self.id(), mark.number, &mut note) {
            Err(snapshot::Fault::Failed(error)) => return Err(error),
            // Images behind the damage are read back as if no snapshot named them.
            Err(snapshot::Fault::Damaged(_)) | Ok(_) => {}
        }
        housekeeping.unproven = false;
        Ok(())
    }

    /// Makes sure that every page has a proven image, for trees from which the store will be opened.
    pub(crate) fn prove_images(&self, housekeeping: &mut Housekeeping) -> Result<()> {
        // What the snapshot does not name is read back, and everything if the snapshot cannot be read.
        let _ = self.prove_named(housekeeping);
        let proven = || self.sync_images().and_then(|()| self.prove_all());
        if proven().is_ok() && !self.page_files.is_doubtful() {
            return Ok(());
        }
        // Rewrites the pages of files that are not trusted any more.
        self.write_snapshot(housekeeping)?;
        self.checkpoint(housekeeping)?;
        proven()?;
        if self.page_files.is_doubtful() {
            return Err(Error::Trees { reason: "pages are in a page file whose sync has failed".into() });
        }
        Ok(())
    }
}

/// The number of images that are read back before their queue is updated.
const AT_ONCE: usize = 64;
