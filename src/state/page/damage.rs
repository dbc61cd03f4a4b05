//! What is known of a page's image: whether it can be read, and whether it is on the disk.

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

    /// Has the queue's indexes go by what is known now.
    pub(in crate::state) fn note(&mut self) {
        self.noted = self.damaged.get();
    }

    /// Takes note of how an attempt to read it ended; whether that is news.
    pub(in crate::state) fn note_read(&self, error: Option<&Error>) -> bool {
        let Some(error) = error else {
            self.failures.set(0);
            return self.damaged.replace(false);
        };
        let device = !error.is_corrupt() && error.is_damage();
        self.failures.set(if device { self.failures.get().saturating_add(1) } else { 0 });
        // A device may fail once; one that goes on failing does not have the page.
        (error.is_corrupt() || self.failures.get() >= FAILURES) && !self.damaged.replace(true)
    }

    /// Takes note that the image at `place` is on the disk.
    pub(crate) fn prove(&mut self, place: Place) {
        if let Some(image) = self.image.as_mut().filter(|image| image.place() == place) {
            image.prove();
        }
    }

    /// Forgets the image at `place`, which was not what was written, if the content is in memory.
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
