//! Rebuilding a queue from its intact parts.

use super::{Error, Page, Queue, Result};
use crate::state::Hold;
use crate::state::page_content::{Content, IncomingMessage};

impl Queue {
    /// Adds a page that was rebuilt from its image, whose last sequence is `last`.
    pub(crate) fn adopt_page(&mut self, page: Page, last: u64) {
        self.next = self.next.max(last.saturating_add(1));
        self.load_page(page);
    }

    /// Adds a message behind all others.
    ///
    /// # Errors
    /// Those of reading the page that it is added to.
    pub(crate) fn take_in(&mut self, sequence: u64, message: IncomingMessage<'_>) -> Result<()> {
        let page = self.pages.range(..=sequence).next_back().map(|(_, page)| page);
        page.filter(|page| page.fits(sequence, message.body.len())).map_or(Ok(()), |page| self.load(page))?;
        self.append(sequence, std::iter::once(message));
        Ok(())
    }

    /// Adds a message of the page `first`, whose image is lost, at its position in the page.
    ///
    /// # Errors
    /// Those of reading the page.
    pub(crate) fn put_back(&mut self, first: u64, sequence: u64, message: &IncomingMessage<'_>) -> Result<()> {
        if let Some(page) = self.pages.get(&first) {
            self.load(page)?;
        } else {
            self.insert_page(Page::new(first, Content::new(&self.budget)));
        }
        self.change(first, |page| page.put_back(sequence, message));
        Ok(())
    }

    /// Puts messages that were put in free under the live claim that lists them, if one does.
    ///
    /// # Errors
    /// Those of reading their pages.
    pub(crate) fn restore_holds(&mut self) -> Result<()> {
        let listed = self.claims.iter().flat_map(|(number, claim)| {
            let end = claim.expires;
            claim.sequences.iter().map(move |sequence| (sequence, number, end))
        });
        let listed: Vec<(u64, u64, u64)> = listed.collect();
        for (sequence, number, end) in listed {
            let Some(first) = self.page_of(sequence) else { continue };
            self.pages.get(&first).map_or(Ok(()), |page| self.load(page))?;
            let held = self.change(first, |page| {
                let index = page.find(sequence).filter(|index| page.hold(*index) != Hold::Claimed);
                index.is_some_and(|index| page.hold_again(index, number, end))
            });
            if let Some(claim) = self.claims.get_mut(number).filter(|_| held == Some(true)) {
                claim.left = claim.left.saturating_add(1);
            }
        }
        Ok(())
    }

    /// The last sequence of a page, alive or not; `None` if that cannot be read.
    pub(crate) fn last_of(&self, page: &Page) -> Option<u64> {
        page.last().or_else(|| {
            let content = self.read(page).ok()?;
            Some(page.first().saturating_add(content.slots().last()?.distance()))
        })
    }

    /// Why the first page cannot be read that cannot.
    pub(crate) fn first_unreadable(&self) -> Option<Error> {
        self.pages.values().find_map(|page| self.read(page).err())
    }
}
