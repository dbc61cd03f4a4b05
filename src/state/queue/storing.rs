//! A queue and what is on disk: loading what was read back, and handing over what has to be written.

use super::{Changes, Claim, Due, Page, Queue, Share, Sizes, bits};
use crate::state::op::Import;
use crate::state::page::FrozenPage;

impl Queue {
    /// Puts a page read back in; [`Self::settle`] ends the loading.
    pub(crate) fn load_page(&mut self, page: Page) {
        let (first, share) = (page.first(), Share::of(&page));
        if page.content().is_some() {
            self.hot.get_mut().insert(first);
        }
        self.pages.insert(first, Box::new(page));
        self.reindex(first, Share::NOTHING, share);
    }

    pub(crate) fn load_claim(&mut self, number: u64, claim: Claim) {
        self.deadlines.insert((claim.expires, Due::Claim(number)));
        self.claims.insert(number, claim);
    }

    /// Takes in what another store had of this queue. A page that does not fit together would not have been exported.
    pub(super) fn import(&mut self, import: &Import<'_>) {
        for (number, claim) in &import.claims {
            // Its messages are counted as their pages come.
            self.load_claim(*number, claim.imported());
            self.note_claim(*number);
        }
        for page in &import.pages {
            let Ok(mut page) = Page::from_record(page.first, &page.record, page.bodies.to_vec(), &self.budget) else {
                continue;
            };
            self.hold_again(&mut page);
            page.dirty = true;
            self.changes.pages.push(page.first());
            self.load_page(page);
        }
        self.next = self.next.max(import.next);
    }

    /// Counts a page's claimed messages to their claims. Time goes on while a queue is brought here: the messages of a claim
    /// that has ended since are free, as they are where they came from.
    fn hold_again(&mut self, page: &mut Page) {
        for index in bits(page.claimed()) {
            let claim = page.slot(index).map(|slot| slot.hold).filter(|number| self.claims.get(*number).is_some());
            match claim {
                Some(number) => self.claims.gain_one(number),
                None => page.release(index),
            }
        }
    }

    /// Ends loading: counts each claim's messages. The error says what does not fit together.
    ///
    /// A claimed message that a live claim lists is under that claim: no other can have taken it meanwhile.
    pub(crate) fn settle(&mut self) -> Result<(), String> {
        let last = self.pages.last_key_value().map(|(_, page)| page);
        if let Some(page) = last.filter(|page| page.content().is_some() || page.is_dense()) {
            let last = bits(page.live()).last().map(|index| page.sequence(index));
            if last.is_some_and(|last| last >= self.next) {
                return Err("a message above the queue's last sequence".into());
            }
        }
        let numbers: Vec<u64> = self.claims.iter().map(|(number, _)| number).collect();
        let mut found = 0_u64;
        for number in numbers {
            let left = self.count_claimed(number)?;
            self.claims.set_left(number, left);
            found = found.saturating_add(u64::from(left));
            if self.budget.is_exceeded() {
                self.release_read_pages();
            }
        }
        // Of a damaged page nobody can tell.
        if self.has_damage() || found == self.totals.claimed {
            Ok(())
        } else {
            Err("a message under a claim that does not list it".into())
        }
    }

    /// How many messages that the claim lists are claimed.
    fn count_claimed(&self, number: u64) -> Result<u32, String> {
        let Some(claim) = self.claims.get(number) else { return Ok(0) };
        let mut left = 0_u32;
        for sequence in claim.sequences.iter() {
            let Some(page) = self.page_of(sequence).and_then(|first| self.pages.get(&first)) else { continue };
            if page.claimed() != 0 && !page.is_dense() {
                self.load_unless_damaged(page).map_err(|error| error.to_string())?;
                if page.is_damaged() {
                    // Its messages cannot be told apart.
                    left = left.saturating_add(1);
                    continue;
                }
            }
            let claimed = page.find(sequence).is_some_and(|index| page.claimed() & (1 << index) != 0);
            left = left.saturating_add(u32::from(claimed));
        }
        Ok(left)
    }

    pub(crate) fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// How many records the trees lack, about.
    pub(crate) fn unwritten(&self) -> u64 {
        let Changes { record: _, pages, claims, gone_pages, gone_claims } = &self.changes;
        1 + [pages.len(), claims.len(), gone_pages.len(), gone_claims.len()].iter().sum::<usize>() as u64
    }

    /// Hands a deleted queue's contents over, so that freeing them can wait.
    pub(crate) fn take_remains(&mut self) -> Self {
        // What was said of it last stays: a listing that has found it tells that.
        let (description, budget) = (self.description.clone(), self.budget.clone());
        let mut empty = Self::new(self.number, self.project.clone(), self.name.clone(), description, self.lsn, &budget);
        empty.deleted = true;
        empty.changes.record = false;
        std::mem::replace(self, empty)
    }

    /// As [`Self::settle`], for what could be read of a damaged snapshot: messages whose claim is not there are free.
    pub(crate) fn mend(&mut self) {
        let firsts: Vec<u64> = self.pages.keys().copied().collect();
        for first in firsts {
            if self.pages.get(&first).is_some_and(|page| self.load(page).is_err()) {
                self.drop_page(first);
                continue;
            }
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
            if let Some(page) = self.pages.get_mut(&first).filter(|page| page.image().is_some()) {
                page.evict();
                self.hot.get_mut().remove(&first);
            }
        }
        // Cannot fail any more: no message is above `next` or under a claim that is not there.
        let _ = self.settle();
    }

    /// The claim's record is not the one in the trees any more.
    pub(super) fn note_claim(&mut self, number: u64) {
        let Some(claim) = self.claims.get_mut(number) else { return };
        if !std::mem::replace(&mut claim.dirty, true) {
            self.changes.claims.push(number);
            self.tidy_changes();
        }
    }

    /// Keeps the lists of what the trees lack from growing by what comes and goes between two checkpoints.
    pub(super) fn tidy_changes(&mut self) {
        let Changes { pages, claims, .. } = &mut self.changes;
        let too_many = |listed: usize, there: usize| listed > there.saturating_mul(2).saturating_add(CHANGES_TO_SPARE);
        if too_many(pages.len(), self.pages.len()) {
            pages.retain(|first| self.pages.contains_key(first));
            pages.shrink_to(self.pages.len().saturating_mul(2));
        }
        if too_many(claims.len(), self.claims.len()) {
            claims.retain(|number| self.claims.get(*number).is_some());
            claims.shrink_to(self.claims.len().saturating_mul(2));
        }
    }

    /// Whether the trees hold something of it.
    pub(crate) fn is_stored(&self) -> bool {
        self.stored
    }

    /// Notes that the trees are about to hold its record.
    pub(crate) fn set_stored(&mut self) {
        self.stored = true;
    }

    /// Hands the changes since the last checkpoint over.
    pub(crate) fn take_changes(&mut self) -> Changes {
        std::mem::take(&mut self.changes)
    }

    /// Marks the page `first` as written with what it is now, and returns that; `None` when it is gone.
    pub(crate) fn store_page(&mut self, first: u64) -> Option<FrozenPage> {
        let page = self.pages.get_mut(&first)?;
        (page.dirty, page.stored) = (false, true);
        Some(page.freeze())
    }

    /// Marks the claim `number` as written, and returns it.
    pub(crate) fn store_claim(&mut self, number: u64) -> Option<Claim> {
        let claim = self.claims.get_mut(number)?;
        (claim.dirty, claim.stored) = (false, true);
        Some(claim.clone())
    }

    /// Forgets that anything is in the trees: the next checkpoint writes everything.
    pub(crate) fn forget_stored(&mut self) {
        self.stored = false;
        let mut changes = Changes { record: true, ..Changes::default() };
        for (first, page) in &mut self.pages {
            (page.dirty, page.stored) = (true, false);
            changes.pages.push(*first);
        }
        for (number, claim) in self.claims.iter_mut() {
            (claim.dirty, claim.stored) = (true, false);
            changes.claims.push(number);
        }
        self.changes = changes;
    }

    /// Notes that what was loaded is what the trees hold.
    pub(crate) fn mark_stored(&mut self) {
        self.changes = Changes::default();
        self.stored = true;
        for page in self.pages.values_mut() {
            (page.dirty, page.stored) = (false, true);
        }
        self.claims.iter_mut().for_each(|(_, claim)| (claim.dirty, claim.stored) = (false, true));
    }

    /// How much there is of what takes memory.
    pub(crate) fn sizes(&self) -> Sizes {
        let (pages, hot) = (self.pages.len() as u64, self.hot.borrow().len() as u64);
        let cold_pages = pages.saturating_sub(hot);
        Sizes { pages, cold_pages, claims: self.claims.len() as u64, spent_claims: self.claims.spent() }
    }
}

/// Entries of the lists of changes that may name what is gone, beside as many as there are.
const CHANGES_TO_SPARE: usize = 64;
