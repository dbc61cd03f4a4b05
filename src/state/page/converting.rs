//! Conversions of a page: to and from the page files, the directory on disk, and another store.

use std::cell::{Cell, OnceCell};
use std::sync::Arc;

use super::Page;
use super::bits::{Hold, bit};
use super::entry::{FrozenPage, PageEntry, PageRecord};
use super::held::{Held, Reads};
use super::spread::Spread;
use crate::state::page_content::{Content, MessageSlot, PAGE_MESSAGES, narrow};
use crate::storage::budget::Budget;
use crate::storage::page_files::{Image, ImageLocation};

impl Page {
    pub(crate) fn freeze(&self) -> FrozenPage {
        let (image, frame, content) = (self.image().cloned(), self.frame().cloned(), self.content().cloned());
        FrozenPage { first: self.first, entry: self.entry(), image, frame, content }
    }

    /// The entry; its location has no meaning while there is no image.
    pub(crate) fn entry(&self) -> PageEntry {
        PageEntry {
            live: self.live,
            claimed: self.claimed,
            delayed: self.delayed,
            due: self.due,
            latest: self.latest,
            weight: self.weight,
            body_bytes: self.body_bytes,
            slots: self.slots,
            spread: self.spread(),
            location: self.image().map_or(ImageLocation::NONE, Image::location),
        }
    }

    /// A page from an entry that was read back; the error says what is inconsistent.
    pub(crate) fn from_entry(first: u64, entry: &PageEntry, image: Image) -> Result<Self, &'static str> {
        let slots = usize::from(entry.slots);
        let places = if slots >= PAGE_MESSAGES { u128::MAX } else { bit(slots).wrapping_sub(1) };
        if slots > PAGE_MESSAGES || entry.live & !places != 0 || entry.live == 0 {
            return Err("a page of messages that it does not have");
        }
        if (entry.claimed | entry.delayed) & !entry.live != 0 {
            return Err("a page that contradicts itself");
        }
        entry.spread.distances(slots)?;
        Ok(Self {
            first,
            live: entry.live,
            claimed: entry.claimed,
            delayed: entry.delayed,
            due: entry.due,
            latest: entry.latest,
            weight: entry.weight,
            held: Held::image(image),
            spread: once_cell_of(entry.spread.clone()),
            body_bytes: entry.body_bytes,
            slots: entry.slots,
            reads: Cell::new(Reads::Fine),
            noted: false,
            dirty: false,
        })
    }

    /// A page of which only the image is known, with the messages that were `live` then, less those for which
    /// `is_removed` holds. They are free, or delayed as they were posted. `None` if there are none.
    pub(crate) fn from_image(
        first: u64,
        (content, live): (&Content, u128),
        image: Image,
        is_removed: impl Fn(u64) -> bool,
    ) -> Option<Self> {
        let mut page = Self::new(first, Content::like(content));
        page.body_bytes = narrow(content.bodies().len() as u64);
        page.slots = u8::try_from(content.slots().len()).ok()?;
        for (index, slot) in content.slots().iter().enumerate() {
            if live & bit(index) == 0 || is_removed(first.saturating_add(slot.distance())) {
                continue;
            }
            page.live |= bit(index);
            page.weight = page.weight.saturating_add(slot.weight());
            page.due = page.due.min(slot.expires());
            page.latest = page.latest.max(slot.expires());
            if slot.waits() {
                page.delayed |= bit(index);
                page.due = page.due.min(slot.hold);
            }
        }
        page.spread = once_cell_of(Spread::of(content.slots()));
        page.held = Held::image(image);
        (page.live != 0).then_some(page)
    }

    /// A page from another store; the error says what is inconsistent.
    pub(crate) fn from_record(
        first: u64,
        record: &PageRecord,
        bodies: Vec<u8>,
        budget: &Arc<Budget>,
    ) -> Result<Self, &'static str> {
        if record.bodies_bytes as usize != bodies.len() {
            return Err("bodies of another length");
        }
        let slots: Vec<MessageSlot> = record.slots.iter().map(|(slot, _)| *slot).collect();
        let content = Content::checked(budget, record.clients.clone(), slots, record.reasons.clone(), bodies)?;
        let mut page = Self::new(first, Content::new(budget));
        page.body_bytes = record.bodies_bytes;
        page.slots = u8::try_from(record.slots.len()).unwrap_or(u8::MAX);
        for (index, (slot, hold)) in record.slots.iter().enumerate() {
            page.live |= bit(index);
            page.weight = page.weight.saturating_add(slot.weight());
            page.due = page.due.min(slot.expires());
            page.latest = page.latest.max(slot.expires());
            match hold {
                Hold::Free => {}
                Hold::Claimed => page.claimed |= bit(index),
                Hold::Delayed => {
                    page.delayed |= bit(index);
                    page.due = page.due.min(slot.hold);
                }
                Hold::Lapsed => {
                    page.claimed |= bit(index);
                    page.delayed |= bit(index);
                }
            }
        }
        page.held = Held::Memory(Arc::new(content));
        Ok(page)
    }
}

/// A page's, which is empty where there are no gaps.
fn once_cell_of(spread: Spread) -> OnceCell<Box<Spread>> {
    if spread.is_dense() { OnceCell::new() } else { OnceCell::from(Box::new(spread)) }
}
