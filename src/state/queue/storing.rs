//! A queue and its records on disk: loading records, and collecting changes to write.

use super::{Claim, Dirty, DirtyRecords, Due, Page, Queue, Share, Sizes, bits};
use crate::state::dirty::Tombstones;
use crate::state::op::Import;
use crate::state::page::{FrozenPage, bit, set_of};

/// The changes of a queue that a checkpoint writes.
#[derive(Debug)]
pub(crate) struct Changes {
    /// Whether the queue's own record has to be written.
    pub(crate) record: bool,
    pub(crate) pages: Vec<FrozenPage>,
    pub(crate) claims: Vec<(u64, Claim)>,
    pub(crate) tombstones: Tombstones,
}

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

    /// Adds the content that another store had of this queue. The exporting store has checked its pages.
    pub(super) fn import(&mut self, import: &Import<'_>) {
        for (number, claim) in &import.claims {
            // The claim's messages are counted when their pages are added.
            self.load_claim(*number, claim.imported());
            self.dirty.claims.add(*number);
        }
        for page in &import.pages {
            let Ok(mut page) = Page::from_record(page.first, &page.record, page.bodies.to_vec(), &self.budget) else {
                continue;
            };
            self.hold_again(&mut page);
            let (first, share) = (page.first(), Share::of(&page));
            self.insert_page(page);
            self.reindex(first, Share::NOTHING, share);
        }
        self.next = self.next.max(import.next);
    }

    /// Counts a page's claimed messages to their claims. Time passes during a move, so the messages of a claim that has
    /// ended since are free, as in the source.
    fn hold_again(&mut self, page: &mut Page) {
        for index in bits(page.claimed()) {
            let claim = page.slot(index).map(|slot| slot.hold).filter(|number| self.claims.get(*number).is_some());
            match claim {
                Some(number) => self.claims.gain_one(number),
                None => page.release(bit(index)),
            }
        }
    }

    /// Ends loading: counts each claim's messages. The error says what is inconsistent.
    ///
    /// A claimed message that a live claim lists is under that claim, because no other claim can have taken it.
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
        // The messages of a damaged page cannot be counted.
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
                    // The messages of a damaged page cannot be distinguished.
                    left = left.saturating_add(1);
                    continue;
                }
            }
            let claimed = page.find(sequence).is_some_and(|index| page.claimed() & (1 << index) != 0);
            left = left.saturating_add(u32::from(claimed));
        }
        Ok(left)
    }

    /// Whether the trees lack a record of the queue, or have a removed one.
    pub(crate) fn has_changes(&self) -> bool {
        self.dirty.record.is_some() || self.dirty.has_entries()
    }

    /// The difference of the queue's own record from the trees.
    pub(crate) fn dirty_record(&self) -> Option<Dirty> {
        self.dirty.record
    }

    /// Whether the existing page `first` is equal in the trees.
    pub(crate) fn is_page_stored(&self, first: u64) -> bool {
        self.dirty.pages.is_stored(&first)
    }

    /// Whether the dirty set agrees with the flags of the pages and claims.
    pub(crate) fn is_dirty_set_sound(&self) -> bool {
        let (pages, claims) = (&self.dirty.pages, &self.dirty.claims);
        let marked = |page: &Page| pages.is_unstored() || page.dirty != pages.is_stored(&page.first());
        let is_new = self.dirty.record == Some(Dirty::New);
        self.pages.values().all(|page| marked(page))
            && pages.lists_new(|first| self.pages.contains_key(first))
            && claims.lists_new(|number| self.claims.get(*number).is_some())
            && (pages.is_unstored(), claims.is_unstored()) == (is_new, is_new)
    }

    /// How many records the trees lack, about.
    pub(crate) fn unwritten(&self) -> u64 {
        let (pages, claims) = (self.dirty.pages.len(self.pages.len()), self.dirty.claims.len(self.claims.len()));
        pages.saturating_add(claims).saturating_add(1) as u64
    }

    /// Hands a deleted queue's contents over, so that freeing them can wait.
    pub(crate) fn take_remains(&mut self) -> Self {
        // The last description stays, for a listing that has found the queue.
        let (description, budget) = (self.description.clone(), self.budget.clone());
        let mut empty = Self::new(self.number, self.project.clone(), self.name.clone(), description, self.lsn, &budget);
        empty.deleted = true;
        empty.mark_stored();
        std::mem::replace(self, empty)
    }

    /// As [`Self::settle`], for a state from a damaged snapshot: messages whose claim is missing become free.
    pub(crate) fn drop_orphan_holds(&mut self) {
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
            let orphans = set_of(bits(page.claimed()).filter(orphan));
            let last = bits(page.live()).last().map_or(first, |index| page.sequence(index));
            self.next = self.next.max(last.saturating_add(1));
            self.change(first, |page| page.release(orphans));
            if let Some(page) = self.pages.get_mut(&first).filter(|page| page.image().is_some()) {
                page.evict();
                self.hot.get_mut().remove(&first);
            }
        }
        // Cannot fail any more: no message is above `next` or under a claim that is not there.
        let _ = self.settle();
    }

    /// Takes the changes that a checkpoint has to write, and continues as if they were written.
    pub(crate) fn take_changes(&mut self) -> Changes {
        let record = self.dirty.record.take().is_some();
        let mut tombstones = Tombstones::default();
        let mut pages = Vec::new();
        for first in self.dirty.pages.take(self.pages.keys().copied()) {
            match self.pages.get_mut(&first) {
                Some(page) => {
                    page.dirty = false;
                    pages.push(page.freeze());
                }
                None => tombstones.pages.push(first),
            }
        }
        let mut claims = Vec::new();
        for number in self.dirty.claims.take(self.claims.numbers()) {
            match self.claims.get(number) {
                Some(claim) => claims.push((number, claim.clone())),
                None => tombstones.claims.push(number),
            }
        }
        Changes { record, pages, claims, tombstones }
    }

    /// The records of a deleted queue in the trees; `None` if the trees never had its record.
    pub(crate) fn into_tombstones(self) -> Option<Tombstones> {
        if self.dirty.record == Some(Dirty::New) {
            return None;
        }
        let pages = self.dirty.pages.into_tombstones(self.pages.keys().copied());
        let claims = self.dirty.claims.into_tombstones(self.claims.numbers());
        Some(Tombstones { pages, claims })
    }

    /// Records that new trees have nothing of the queue: the next checkpoint writes everything.
    pub(crate) fn forget_stored(&mut self) {
        self.dirty = DirtyRecords::of(Some(Dirty::New));
    }

    /// Records that the queue is equal in the trees.
    pub(crate) fn mark_stored(&mut self) {
        self.dirty = DirtyRecords::of(None);
        self.pages.values_mut().for_each(|page| page.dirty = false);
    }

    /// The numbers of the items that take memory.
    pub(crate) fn sizes(&self) -> Sizes {
        let (pages, hot) = (self.pages.len() as u64, self.hot.borrow().len() as u64);
        let cold_pages = pages.saturating_sub(hot);
        Sizes { pages, cold_pages, claims: self.claims.len() as u64, spent_claims: self.claims.spent() }
    }
}
