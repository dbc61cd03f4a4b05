//! Pages that are to leave memory.

use std::ops::Bound;

use super::Queue;
use crate::state::page::FrozenPage;
use crate::storage::journal::FrameImage;
use crate::storage::page_files::{Image, ImageLocation};

/// The purpose for which a page is written to the page files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Eviction,
    Checkpoint,
    Snapshot,
    /// Somebody reads them slowly.
    Reading,
}

/// Pages at a queue's head that are spared while it is in use: those are claimed next.
const HEAD_PAGES: usize = 4;

impl Queue {
    /// How many pages are in memory.
    pub(crate) fn hot_pages(&self) -> usize {
        self.hot.borrow().len()
    }

    pub(crate) fn has_hot_pages(&self) -> bool {
        !self.hot.borrow().is_empty()
    }

    /// Evicts pages whose image is in the page files, newest first, and returns those that have to be written before,
    /// up to `most` together. A queue in use keeps the pages that claims take from and the page that posts append to.
    pub(crate) fn evict(&mut self, in_use: bool, most: usize) -> Vec<FrozenPage> {
        let spared = if in_use { HEAD_PAGES } else { 0 };
        let tail = self.pages.last_key_value().map(|(first, _)| *first).filter(|_| in_use);
        let hot: Vec<u64> =
            self.hot.get_mut().iter().skip(spared).rev().take(most.saturating_add(1)).copied().collect();
        let mut unwritten = Vec::new();
        for first in hot.into_iter().filter(|first| Some(*first) != tail).take(most) {
            let Some(page) = self.pages.get_mut(&first) else { continue };
            if page.evict() {
                self.hot.get_mut().remove(&first);
            } else {
                unwritten.push(page.freeze());
            }
        }
        unwritten
    }

    /// Up to `most` of the pages behind the page `after` that are only in memory.
    pub(crate) fn unwritten_pages(&self, after: Option<u64>, most: usize) -> Vec<FrozenPage> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let hot = self.hot.borrow();
        let pages = hot.range((start, Bound::Unbounded)).filter_map(|first| self.pages.get(first));
        pages.filter(|page| page.image().is_none()).take(most).map(|page| page.freeze()).collect()
    }

    /// Evicts the pages that were read since the queue was locked, if memory is full. Reads do not wait for memory, so
    /// they must not fill it.
    pub(crate) fn release_read_pages(&mut self) {
        self.settle_damage();
        if self.budget.is_exceeded() || self.budget.keeps_images() {
            self.evict_read_pages();
        } else {
            self.read.get_mut().clear();
        }
    }

    /// Evicts the pages that were read since the queue was locked.
    pub(crate) fn evict_read_pages(&mut self) {
        self.settle_damage();
        for first in self.read.get_mut().drain(..) {
            if self.pages.get_mut(&first).is_some_and(|page| page.evict()) {
                self.hot.get_mut().remove(&first);
            }
        }
    }

    /// Records the image of a page, unless the page has changed since.
    pub(crate) fn set_image(&mut self, frozen: &FrozenPage, image: &Image, purpose: Purpose) {
        let first = frozen.first;
        let Some(page) = self.pages.get_mut(&first) else { return };
        if !page.written(frozen, image) {
            return;
        }
        if purpose == Purpose::Eviction && page.evict() {
            self.hot.get_mut().remove(&first);
        }
        // A checkpoint writes the entry with this image.
        if purpose != Purpose::Checkpoint {
            self.note_entry(first);
        }
    }

    /// Records that the page `first` is the message that this frame has just posted.
    pub(crate) fn set_frame(&mut self, first: u64, frame: FrameImage) {
        if let Some(page) = self.pages.get_mut(&first) {
            page.set_frame(frame);
        }
    }

    /// Marks the image of the page `first` at `location` as proven.
    pub(crate) fn prove(&mut self, first: u64, location: ImageLocation) {
        if let Some(page) = self.pages.get_mut(&first) {
            page.prove(location);
        }
    }

    /// Marks the images of all pages as proven.
    pub(crate) fn prove_all(&mut self) {
        for page in self.pages.values_mut() {
            if let Some(location) = page.image().map(Image::location) {
                page.prove(location);
            }
        }
    }

    /// Records that the image of the page `first` at `location` has wrong bytes. If the page is in memory, it is
    /// written again.
    pub(crate) fn distrust(&mut self, first: u64, location: ImageLocation) {
        if self.pages.get_mut(&first).is_some_and(|page| page.distrust(location)) {
            self.note_entry(first);
        }
    }

    /// The images that are not proven yet.
    pub(crate) fn unproven(&self) -> impl Iterator<Item = (u64, Image)> {
        let images = self.pages.iter().filter_map(|(first, page)| Some((*first, page.image()?)));
        images.filter(|(_, image)| !image.is_proven()).map(|(first, image)| (first, image.clone()))
    }

    /// The page's entry is not the one in the trees any more.
    pub(super) fn note_entry(&mut self, first: u64) {
        if let Some(page) = self.pages.get_mut(&first) {
            page.note_change(&mut self.dirty.pages);
        }
    }
}
