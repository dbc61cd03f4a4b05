//! Putting a queue together from what is left of it.

use super::{Error, Page, Queue, Result};
use crate::state::Hold;
use crate::state::content::{Arrival, Content, Slot};

impl Queue {
    /// Takes in a page that was put together from its image, whose last sequence is `last`.
    pub(crate) fn adopt_page(&mut self, page: Page, last: u64) {
        self.next = self.next.max(last.saturating_add(1));
        self.load_page(page);
    }

    /// Takes in a message of `content`, which is free, at the place of its sequence.
    ///
    /// # Errors
    /// Those of reading the page that it comes into.
    pub(crate) fn take_in(&mut self, sequence: u64, content: &Content, slot: &Slot) -> Result<()> {
        let arrival = Arrival {
            created: slot.created,
            expires: slot.expires,
            ttl: slot.ttl,
            ready_at: if slot.waits() { slot.hold } else { 0 },
            claim_count: slot.claim_count,
            client: content.client(slot),
            checksum: content.checksum(slot),
            body: content.body(slot),
        };
        self.put_in(sequence, arrival)
    }

    fn put_in(&mut self, sequence: u64, arrival: Arrival<'_>) -> Result<()> {
        let page = self.pages.range(..=sequence).next_back().map(|(_, page)| page);
        page.filter(|page| page.has_room(sequence, arrival.body.len())).map_or(Ok(()), |page| self.load(page))?;
        self.append(sequence, std::iter::once(arrival));
        Ok(())
    }

    /// Takes a message in that a page has lost, in order with others; false if it is there, or others stand behind it in its
    /// page.
    ///
    /// # Errors
    /// Those of reading the page that it comes into.
    pub(crate) fn take_back(&mut self, sequence: u64, arrival: Arrival<'_>) -> Result<bool> {
        let before = self.pages.range(..=sequence).next_back().map(|(_, page)| page);
        if before.is_some_and(|page| self.last_of(page).is_none_or(|last| last >= sequence)) {
            return Ok(false);
        }
        self.put_in(sequence, arrival)?;
        Ok(true)
    }

    /// Puts messages that were put in free under the live claim that lists them, if one does.
    ///
    /// # Errors
    /// Those of reading their pages.
    pub(crate) fn restore_holds(&mut self) -> Result<()> {
        let listed =
            self.claims.iter().flat_map(|(number, claim)| claim.sequences.iter().map(move |one| (one, number)));
        let listed: Vec<(u64, u64)> = listed.collect();
        for (sequence, number) in listed {
            let Some(first) = self.page_of(sequence) else { continue };
            self.pages.get(&first).map_or(Ok(()), |page| self.load(page))?;
            let held = self.change(first, |page| {
                let index = page.find(sequence).filter(|index| page.hold(*index) != Hold::Claimed);
                index.is_some_and(|index| page.hold_again(index, number))
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
