//! A page as it is written: its entry in the directory, its image in a page file, its record for another store.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::bits::{Hold, bit, bits, hold};
use super::spread::Spread;
use crate::model::error::{Error, Result};
use crate::state::page_content::{Content, MessageSlot, Owner};
use crate::state::posted::read_post;
use crate::state::reasons::Reasons;
use crate::storage::budget::Budget;
use crate::storage::journal::FrameImage;
use crate::storage::page_files::{Form, Image, ImageLocation, PageFiles};

/// A page's entry in the directory, as it is written to the trees and to a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PageEntry {
    pub(super) live: u128,
    pub(super) claimed: u128,
    pub(super) delayed: u128,
    pub(super) due: u64,
    pub(super) latest: u64,
    pub(super) weight: u64,
    pub(super) body_bytes: u32,
    pub(super) slots: u8,
    pub(super) spread: Spread,
    pub(crate) location: ImageLocation,
}

impl PageEntry {
    pub(crate) fn at(&self, location: ImageLocation) -> Self {
        Self { location, ..self.clone() }
    }

    /// The messages in the page's image: the distance of each from the page's first sequence, and whether it is alive.
    /// The error says what is inconsistent.
    pub(crate) fn states(&self) -> Result<Vec<(u32, bool)>, &'static str> {
        let distances = self.spread.distances(usize::from(self.slots))?;
        Ok(distances.into_iter().enumerate().map(|(index, distance)| (distance, self.live & bit(index) != 0)).collect())
    }
}

/// The data of a page for another store, without the bodies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PageRecord {
    pub(crate) bodies_bytes: u32,
    pub(crate) clients: Vec<[u8; 16]>,
    /// The live slots and their holds.
    pub(crate) slots: Vec<(MessageSlot, Hold)>,
    pub(crate) reasons: Reasons,
}

/// A page at one instant, to be written.
#[derive(Debug, Clone)]
pub(crate) struct FrozenPage {
    pub(crate) first: u64,
    /// The location in the entry has no meaning while there is no image.
    pub(super) entry: PageEntry,
    pub(crate) image: Option<Image>,
    /// The frame that can become the image.
    pub(super) frame: Option<Arc<FrameImage>>,
    /// Set if it is in memory.
    pub(crate) content: Option<Arc<Content>>,
}

impl FrozenPage {
    /// The entry, with the location of `image`.
    pub(crate) fn entry(&self, image: &Image) -> PageEntry {
        self.entry.at(image.location())
    }

    /// The content, from wherever it is.
    pub(crate) fn read(&self, budget: &Arc<Budget>, queue: u64) -> Result<Arc<Content>> {
        match &self.content {
            Some(content) => Ok(content.clone()),
            None => read(self.image.as_ref(), budget, queue, self.first, &self.entry),
        }
    }

    /// The same page, which keeps no content in memory that is in an image too.
    pub(crate) fn in_its_image(mut self) -> Self {
        if self.image.is_some() {
            self.content = None;
        }
        self
    }

    pub(crate) fn body_bytes(&self) -> usize {
        self.entry.body_bytes as usize
    }

    /// The approximate size of the image.
    pub(crate) fn bytes(&self) -> u64 {
        let reasons = self.content.as_ref().map_or(0, |content| content.reasons().bytes() as u64);
        let slots = u64::from(self.entry.slots).saturating_mul(SLOT_BYTES);
        u64::from(self.entry.body_bytes).saturating_add(slots).saturating_add(reasons)
    }

    /// Writes the page to the page files, unless its image is already in a file that stays, or can be the frame that
    /// posted it. Returns the image, and whether it is another than before.
    pub(crate) fn write(
        &self,
        page_files: &PageFiles,
        leaving: &BTreeSet<u64>,
        budget: &Arc<Budget>,
        owner: Owner<'_>,
    ) -> Result<(Image, bool)> {
        if let Some(image) = self.image.as_ref().filter(|image| !leaving.contains(&image.location().file)) {
            return Ok((image.clone(), false));
        }
        if let Some(image) = self.frame.as_ref().and_then(|frame| page_files.adopt(frame, leaving)) {
            return Ok((image, true));
        }
        let content = match (self.read(budget, owner.number), &self.image) {
            // An image that an earlier snapshot names may stay in its place, because no other copy exists. Of any other
            // image the journal has a copy, which stays until the image can be written or the page is removed.
            (Err(error), Some(image)) if error.is_corrupt() && image.is_proven() => return Ok((image.clone(), false)),
            (content, _) => content?,
        };
        let image = page_files.write(|buffer| content.write_image(owner, self.first, self.entry.live, buffer))?;
        Ok((image, true))
    }

    /// The live messages of this page, and why each is not there to be claimed; `content` is the page's content.
    pub(crate) fn messages<'c>(&self, content: &'c Content) -> impl Iterator<Item = (&'c MessageSlot, Hold)> + use<'c> {
        let PageEntry { live, claimed, delayed, .. } = self.entry;
        bits(live).filter_map(move |index| Some((content.slot(index)?, hold(claimed, delayed, index))))
    }

    /// The record of this page for another store; `content` is the page's content.
    pub(crate) fn record(&self, content: &Content) -> PageRecord {
        let PageEntry { live, claimed, delayed, .. } = self.entry;
        let slot = |index: usize| Some((*content.slot(index)?, hold(claimed, delayed, index)));
        let slots: Vec<_> = bits(live).filter_map(slot).collect();
        let reasons = content.reasons().of(slots.iter().map(|(slot, _)| slot.distance));
        let clients = content.clients().to_vec();
        PageRecord { bodies_bytes: self.entry.body_bytes, clients, slots, reasons }
    }
}

/// Reads the content of the page `first` of `queue` from its image.
pub(crate) fn content_of(image: &Image, budget: &Arc<Budget>, queue: u64, first: u64) -> Result<Content> {
    let bytes = image.read()?;
    let content = match image.location().form() {
        Form::Page => Content::read_image(budget, queue, first, &bytes),
        Form::Post => read_post(budget, queue, first, &bytes),
    };
    content.map_err(|reason| image.damage(&reason).into())
}

/// Reads the content of a page from its image, and checks that it agrees with the entry.
pub(super) fn read(
    image: Option<&Image>,
    budget: &Arc<Budget>,
    queue: u64,
    first: u64,
    entry: &PageEntry,
) -> Result<Arc<Content>> {
    let lost = || Error::Unavailable { reason: "a page is neither in memory nor on disk".into() };
    let image = image.ok_or_else(lost)?;
    let content = content_of(image, budget, queue, first)?;
    let sizes = (content.slots().len(), content.bodies().len());
    if sizes != (usize::from(entry.slots), entry.body_bytes as usize) || Spread::of(content.slots()) != entry.spread {
        return Err(image.damage("a page of another size than its entry says").into());
    }
    Ok(Arc::new(content))
}

/// An upper bound of the size of a slot in an image.
const SLOT_BYTES: u64 = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frozen_page_takes_as_much_memory_as_the_documentation_of_exports_says() {
        assert!(size_of::<FrozenPage>() <= 300, "{}", size_of::<FrozenPage>());
    }
}
