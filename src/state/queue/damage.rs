//! Damaged pages, whose image cannot be read. Calls that need none of their messages continue.

use super::{Bound, Error, Page, PageContribution, Queue, Result, bits};
use crate::state::page::set_of;

impl Queue {
    /// As [`Self::load`], but accepts a damaged page, for calls that need only its entry.
    pub(super) fn load_unless_damaged(&self, page: &Page) -> Result<()> {
        match self.load(page) {
            Err(_) if page.is_damaged() => Ok(()),
            loaded => loaded,
        }
    }

    /// Records that a page could not be read. A damaged page is `Corrupt`, however the damage was found.
    pub(super) fn note_damage(&self, page: &Page, error: Error) -> Error {
        if page.damage(&error) {
            self.found.borrow_mut().push(page.first());
        }
        match page.image().filter(|_| page.is_damaged() && !error.is_corrupt()) {
            Some(image) => image.damage(&error.to_string()).into(),
            None => error,
        }
    }

    /// Updates the indexes by the damage that was found.
    pub(super) fn settle_damage(&mut self) {
        while let Some(first) = self.found.get_mut().pop() {
            let Some(page) = self.pages.get_mut(&first) else { continue };
            let before = PageContribution::of(page);
            page.note();
            let (after, is_damaged) = (PageContribution::of(page), page.is_noted());
            if is_damaged {
                self.damaged.insert(first);
                self.had_damage = true;
            } else {
                self.damaged.remove(&first);
            }
            self.reindex(first, before, after);
        }
    }

    /// Whether pages are known to be damaged.
    pub(crate) fn has_damage(&self) -> bool {
        !self.damaged.is_empty() || !self.found.borrow().is_empty()
    }

    /// Whether there were any, in this run.
    pub(crate) fn had_damage(&self) -> bool {
        self.had_damage || self.has_damage()
    }

    /// The number of pages that are known to be damaged, and of their messages.
    pub(crate) fn count_damaged(&self) -> (u64, u64) {
        let pages = self.damaged.iter().filter_map(|first| self.pages.get(first));
        pages.fold((0, 0), |(pages, messages), page| (pages + 1, messages + u64::from(page.live().count_ones())))
    }

    /// The sequences of the damaged pages: ranges without their ends.
    pub(crate) fn damaged_ranges(&mut self) -> Vec<(u64, u64)> {
        self.settle_damage();
        let range = |first: &u64| {
            let next = self.pages.range((Bound::Excluded(*first), Bound::Unbounded)).next();
            (*first, next.map_or(self.next.max(first.saturating_add(1)), |(next, _)| *next))
        };
        self.damaged.iter().map(range).collect()
    }

    /// Removes every message from `from` up to `to`. Live, these are whole pages; in a recovery that can read the pages
    /// again, the messages may be in other pages.
    pub(super) fn drop_range(&mut self, from: u64, to: u64) {
        let start = self.page_of(from).unwrap_or(from);
        let firsts: Vec<u64> = self.pages.range(start..to.max(start)).map(|(first, _)| *first).collect();
        for first in firsts {
            let Some(page) = self.pages.get(&first) else { continue };
            if self.load_unless_damaged(page).is_ok() && page.is_damaged() {
                self.drop_page(first);
                continue;
            }
            let mut lost = Vec::new();
            self.change(first, |page| {
                let removed = bits(page.live()).filter(|index| (from..to).contains(&page.sequence(*index)));
                page.remove(set_of(removed), &mut lost);
            });
            self.lose_claimed(&lost);
        }
    }
}
