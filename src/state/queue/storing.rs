//! A queue and the trees: loading what was read back, and handing over what has to be written.

use std::sync::Arc;

use super::{Changes, Claim, Description, Due, Page, Queue, Share, Totals, bits};
use crate::op::Import;

impl Queue {
    /// Puts a page read back in; [`Self::settle`] ends the loading.
    pub(crate) fn load_page(&mut self, page: Page) {
        let (first, share) = (page.first(), Share::of(&page));
        let nothing = Share { due: u64::MAX, ready: false, totals: Totals::default() };
        self.pages.insert(first, Arc::new(page));
        self.reindex(first, nothing, share);
    }

    pub(crate) fn load_claim(&mut self, number: u64, claim: Claim) {
        self.deadlines.insert((claim.expires, Due::Claim(number)));
        self.claims.insert(number, claim);
    }

    /// Takes in what another store had of this queue. A page that does not fit together would not have been exported.
    pub(super) fn import(&mut self, import: &Import<'_>) {
        for (number, claim) in &import.claims {
            // Its messages are counted as their pages come.
            self.load_claim(*number, Claim { left: 0, stored: false, ..claim.clone() });
            self.changes.claims.push(*number);
        }
        for page in &import.pages {
            let Ok(mut page) = Page::from_record(page.first, page.record.clone(), page.bodies.to_vec()) else {
                continue;
            };
            for slot in bits(page.claimed()).filter_map(|index| page.slot(index)) {
                if let Some(claim) = self.claims.get_mut(slot.hold) {
                    claim.left = claim.left.saturating_add(1);
                }
            }
            page.dirty = true;
            self.changes.pages.push(page.first());
            self.load_page(page);
        }
        self.next = self.next.max(import.next);
    }

    /// Ends loading: counts each claim's messages. The error says what does not fit together.
    pub(crate) fn settle(&mut self) -> Result<(), &'static str> {
        let next = self.next;
        let above = self.pages.last_key_value().and_then(|(_, page)| Some(page.sequence(bits(page.live()).last()?)));
        if above.is_some_and(|last| last >= next) {
            return Err("a message above the queue's last sequence");
        }
        for page in self.pages.values() {
            for index in bits(page.claimed()) {
                let Some(slot) = page.slot(index) else { continue };
                let claim = self.claims.get_mut(slot.hold).ok_or("a message under a claim that is not there")?;
                if !claim.sequences.contains(page.sequence(index)) {
                    return Err("a message under a claim that does not list it");
                }
                claim.left = claim.left.saturating_add(1);
            }
        }
        Ok(())
    }

    pub(crate) fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Hands a deleted queue's contents over, so that freeing them can wait.
    pub(crate) fn take_remains(&mut self) -> Self {
        let description = Description::default();
        let mut empty = Self::new(self.number, self.project.clone(), self.name.clone(), description, self.lsn);
        empty.deleted = true;
        empty.changes.record = false;
        std::mem::replace(self, empty)
    }

    /// As [`Self::settle`], for what could be read of a damaged base.
    pub(crate) fn mend(&mut self) {
        let firsts: Vec<u64> = self.pages.keys().copied().collect();
        for first in firsts {
            let claims = &self.claims;
            let Some(page) = self.pages.get(&first) else { continue };
            let listed = |hold: u64, index: usize| {
                claims.get(hold).is_some_and(|claim| claim.sequences.contains(page.sequence(index)))
            };
            let orphan = |index: &usize| page.slot(*index).is_some_and(|slot| !listed(slot.hold, *index));
            let orphans: Vec<usize> = bits(page.claimed()).filter(orphan).collect();
            let last = bits(page.live()).last().map_or(first, |index| page.sequence(index));
            self.next = self.next.max(last.saturating_add(1));
            self.change(first, |page| orphans.into_iter().for_each(|index| page.release(index)));
        }
        // Cannot fail any more: no message is above `next` or under a claim that is not there.
        let _ = self.settle();
    }

    /// Hands the changes since the last checkpoint over.
    pub(crate) fn take_changes(&mut self) -> Changes {
        std::mem::take(&mut self.changes)
    }

    /// Marks the page `first` as written with what it holds now, and returns it and whether its bodies have to be
    /// written; `None` when it is gone.
    pub(crate) fn store_page(&mut self, first: u64) -> Option<(Arc<Page>, bool)> {
        let page = self.pages.get_mut(&first)?;
        let bodies = !page.bodies_stored;
        let stored = Arc::make_mut(page);
        (stored.dirty, stored.bodies_stored, stored.stored) = (false, true, true);
        Some((page.clone(), bodies))
    }

    /// Marks the claim `number` as written, and returns it.
    pub(crate) fn store_claim(&mut self, number: u64) -> Option<Claim> {
        let claim = self.claims.get_mut(number)?;
        claim.stored = true;
        Some(claim.clone())
    }

    /// Forgets that anything is in the trees: the next checkpoint writes everything.
    pub(crate) fn forget_stored(&mut self) {
        let mut changes = Changes { record: true, ..Changes::default() };
        for (first, page) in &mut self.pages {
            let page = Arc::make_mut(page);
            (page.dirty, page.bodies_stored, page.stored) = (true, false, false);
            changes.pages.push(*first);
        }
        for (number, claim) in self.claims.iter_mut() {
            claim.stored = false;
            changes.claims.push(number);
        }
        self.changes = changes;
    }

    /// Notes that what was loaded is what the trees hold.
    pub(crate) fn mark_stored(&mut self) {
        self.changes = Changes::default();
        for page in self.pages.values_mut() {
            let page = Arc::make_mut(page);
            (page.dirty, page.bodies_stored, page.stored) = (false, true, true);
        }
        self.claims.iter_mut().for_each(|(_, claim)| claim.stored = true);
    }
}
