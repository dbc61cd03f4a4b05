//! Rebuilding a queue from its intact parts.

use super::{Claim, Error, Page, Queue, Result, bits};
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
        page.filter(|page| page.fits(sequence, message.size())).map_or(Ok(()), |page| self.load(page))?;
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
        let claims: Vec<(u64, Claim)> = self.claims.holding().map(|(number, claim)| (number, claim.clone())).collect();
        for (number, Claim { expires, sequences, .. }) in claims {
            self.visit(&sequences, |_, _| {})?;
            let mut held = 0_u32;
            self.change_each(&sequences, |page, listed| {
                let again = bits(listed & !page.claimed()).filter(|index| page.hold_again(*index, number, expires));
                held = held.saturating_add(u32::try_from(again.count()).unwrap_or(u32::MAX));
            });
            if let Some(claim) = self.claims.get_mut(number) {
                claim.left = claim.left.saturating_add(held);
            }
        }
        Ok(())
    }

    /// Why the first page cannot be read that cannot.
    pub(crate) fn first_unreadable(&self) -> Option<Error> {
        self.pages.values().find_map(|page| self.read(page).err())
    }
}
