//! The state of a page's image: whether it can be read, and whether it is proven.

use super::Page;
use crate::model::error::Error;
use crate::storage::page_files::Place;

impl Page {
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged.get()
    }

    /// Whether the queue's indexes have it as damaged.
    pub(in crate::state) fn is_noted(&self) -> bool {
        self.noted
    }

    /// Updates the value that the queue's indexes use.
    pub(in crate::state) fn note(&mut self) {
        self.noted = self.damaged.get();
    }

    /// Records the result of an attempt to read the image; returns whether the page is newly damaged.
    pub(in crate::state) fn note_read(&self, error: Option<&Error>) -> bool {
        let Some(error) = error else {
            self.failures.set(0);
            return self.damaged.replace(false);
        };
        let device = !error.is_corrupt() && error.is_damage();
        self.failures.set(if device { self.failures.get().saturating_add(1) } else { 0 });
        // A device may fail once. If it fails repeatedly, it does not have the page.
        (error.is_corrupt() || self.failures.get() >= FAILURES) && !self.damaged.replace(true)
    }

    /// Marks the image at `place` as proven.
    pub(crate) fn prove(&mut self, place: Place) {
        if let Some(image) = self.image.as_mut().filter(|image| image.place() == place) {
            image.prove();
        }
    }

    /// Forgets the image at `place`, whose bytes were wrong, if the content is in memory.
    pub(crate) fn distrust(&mut self, place: Place) -> bool {
        let known = self.content.get().is_some() && self.image.as_ref().is_some_and(|image| image.place() == place);
        if known {
            self.image = None;
        }
        known
    }
}

/// Reads that a device fails in a row after which a page counts as damaged.
const FAILURES: u8 = 3;
