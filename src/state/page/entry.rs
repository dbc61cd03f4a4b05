//! A page as it is written: its entry in the directory, its image in a page file, its record for another store.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::bits::{Hold, bit, bits, hold};
use crate::model::error::{Error, Result};
use crate::state::content::{Content, Owner, PAGE_MESSAGES, Slot};
use crate::storage::budget::Budget;
use crate::storage::page_files::{Image, PageFiles, Place};

/// A page's entry in the directory, as it is written to the trees and to a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PageEntry {
    pub(super) live: u128,
    pub(super) claimed: u128,
    pub(super) delayed: u128,
    pub(super) due: u64,
    pub(super) latest: u64,
    pub(super) weight: u64,
    pub(super) body_bytes: u32,
    pub(super) slots: u8,
    pub(super) dense: bool,
    pub(crate) place: Place,
}

impl PageEntry {
    pub(crate) fn at(self, place: Place) -> Self {
        Self { place, ..self }
    }

    /// How many messages are in the page.
    pub(crate) fn messages(&self) -> u64 {
        u64::from(self.live.count_ones())
    }

    /// The distances from the page's first sequence of the messages that are known to be gone.
    pub(crate) fn gone(&self) -> impl Iterator<Item = u64> {
        let slots = if self.dense { usize::from(self.slots).min(PAGE_MESSAGES) } else { 0 };
        let live = self.live;
        (0..slots).filter(move |index| live & bit(*index) == 0).map(|index| index as u64)
    }

    /// Whether the page has no gaps: then the index of a message is its distance from the first sequence.
    pub(crate) fn is_dense(&self) -> bool {
        self.dense
    }

    /// Whether `content` is as large as the page.
    pub(crate) fn is_of(&self, content: &Content) -> bool {
        (content.slots().len(), content.bodies().len()) == (usize::from(self.slots), self.body_bytes as usize)
    }

    /// Whether the message at an index of the page is in it.
    pub(crate) fn holds(&self, index: usize) -> bool {
        self.live & bit(index) != 0
    }
}

/// What is handed to another store of a page beside its bodies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PageRecord {
    pub(crate) bodies_bytes: u32,
    pub(crate) clients: Vec<[u8; 16]>,
    /// The live slots and what holds them.
    pub(crate) slots: Vec<(Slot, Hold)>,
}

/// A page at one instant, to be written.
#[derive(Debug, Clone)]
pub(crate) struct FrozenPage {
    pub(crate) first: u64,
    /// Its place means nothing while there is no image.
    pub(super) entry: PageEntry,
    pub(crate) image: Option<Image>,
    /// Set if it is in memory.
    pub(crate) content: Option<Arc<Content>>,
}

impl FrozenPage {
    /// The entry, with the place of `image`.
    pub(crate) fn entry(&self, image: &Image) -> PageEntry {
        self.entry.at(image.place())
    }

    /// The content, from wherever it is.
    pub(crate) fn read(&self, budget: &Arc<Budget>, queue: u64) -> Result<Arc<Content>> {
        match &self.content {
            Some(content) => Ok(content.clone()),
            None => read(self.image.as_ref(), budget, queue, self.first, &self.entry),
        }
    }

    pub(crate) fn body_bytes(&self) -> usize {
        self.entry.body_bytes as usize
    }

    /// What its image takes, about.
    pub(crate) fn bytes(&self) -> u64 {
        u64::from(self.entry.body_bytes).saturating_add(u64::from(self.entry.slots).saturating_mul(SLOT_BYTES))
    }

    /// Writes the page to the page files, unless it is there, and not in one of the segments that are to be left.
    pub(crate) fn write(
        &self,
        page_files: &PageFiles,
        leaving: &BTreeSet<u64>,
        budget: &Arc<Budget>,
        owner: Owner<'_>,
    ) -> Result<(Image, bool)> {
        if let Some(image) = self.image.as_ref().filter(|image| !leaving.contains(&image.place().segment)) {
            return Ok((image.clone(), false));
        }
        let content = match (self.read(budget, owner.number), &self.image) {
            // One that an earlier snapshot names is no worse off where it is: nothing else has it. Of another one the journal
            // has a good copy, which stays until this one can be written or is gone.
            (Err(error), Some(image)) if error.is_corrupt() && image.is_proven() => return Ok((image.clone(), false)),
            (content, _) => content?,
        };
        let image = page_files.write(|buffer| content.write_image(owner, self.first, buffer))?;
        Ok((image, true))
    }

    /// What another store takes in, of `content`, which is this page's.
    pub(crate) fn record(&self, content: &Content) -> PageRecord {
        let PageEntry { live, claimed, delayed, .. } = self.entry;
        let slot = |index: usize| Some((*content.slot(index)?, hold(claimed, delayed, index)));
        let slots = bits(live).filter_map(slot).collect();
        PageRecord { bodies_bytes: self.entry.body_bytes, clients: content.clients().to_vec(), slots }
    }
}

/// Reads the content of a page from its image, and checks that it is what the entry says.
pub(super) fn read(
    image: Option<&Image>,
    budget: &Arc<Budget>,
    queue: u64,
    first: u64,
    entry: &PageEntry,
) -> Result<Arc<Content>> {
    let lost = || Error::Unavailable { reason: "a page is neither in memory nor on disk".into() };
    let image = image.ok_or_else(lost)?;
    let content = Content::read_image(budget, queue, first, &image.read()?);
    let content = content.map_err(|reason| image.damage(&reason))?;
    let reach = content.slots().last().map_or(0, |slot| slot.distance as usize);
    let dense = reach.saturating_add(1) == content.slots().len();
    let sizes = (content.slots().len(), content.bodies().len());
    if sizes != (usize::from(entry.slots), entry.body_bytes as usize) || (entry.dense && !dense) {
        return Err(image.damage("a page of another size than its entry says").into());
    }
    Ok(Arc::new(content))
}

/// A slot in an image takes less.
const SLOT_BYTES: u64 = 72;
