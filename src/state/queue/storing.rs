//! A queue and its records on disk: loading records, and collecting changes to write.

use std::collections::BTreeMap;

use super::{Claim, Dirty, DirtyRecords, Due, Page, PageContribution, Queue, Sizes, bits};
use crate::state::claims::group_of;
use crate::state::dirty::Tombstones;
use crate::state::frozen::members;
use crate::state::op::Import;
use crate::state::page::{FrozenPage, bit, set_of};

/// The changes of a queue that a checkpoint writes.
#[derive(Debug)]
pub(crate) struct Changes {
    /// Whether the queue's own record has to be written.
    pub(crate) record: bool,
    pub(crate) pages: Vec<FrozenPage>,
    pub(crate) claims: Vec<(u64, Claim)>,
    /// Claims without messages, by group.
    pub(crate) spent: Vec<(u64, Vec<(u64, Claim)>)>,
    pub(crate) tombstones: Tombstones,
}

impl Queue {
    /// Puts a page read back in; [`Self::settle`] ends the loading.
    pub(crate) fn load_page(&mut self, page: Page) {
        let (first, contribution) = (page.first(), PageContribution::of(&page));
        if page.content().is_some() {
            self.hot.get_mut().insert(first);
        }
        self.pages.insert(first, Box::new(page));
        self.reindex(first, PageContribution::NOTHING, contribution);
    }

    pub(crate) fn load_claim(&mut self, number: u64, claim: Claim) {
        self.deadlines.insert((claim.expires, Due::Claim(number)));
        self.claims.insert(number, claim);
    }

    /// As [`Self::load_claim`], for a claim from a group of claims without messages.
    pub(crate) fn load_spent(&mut self, number: u64, claim: Claim) {
        self.load_claim(number, claim.grouped());
    }

    /// Adds the content that another store had of this queue. The exporting store has checked its pages. The last import
    /// of a copy has neither claims nor pages: a claim that has no message by then is spent.
    pub(super) fn import(&mut self, import: &Import<'_>) {
        for (number, claim) in &import.claims {
            // The claim's messages are counted when their pages are added.
            self.load_claim(*number, claim.imported());
            self.dirty.claims.add(*number);
        }
        for page in &import.pages {
            let Ok(mut page) = Page::from_record(page.first, &page.record, page.bodies.to_vec(), &self.budget) else {
                // It was checked before the operation was journaled.
                self.broken = true;
                continue;
            };
            self.hold_again(&mut page);
            let (first, contribution) = (page.first(), PageContribution::of(&page));
            self.insert_page(page);
            self.reindex(first, PageContribution::NOTHING, contribution);
        }
        self.next = self.next.max(import.next);
        self.count_expired(import.expired);
        self.bucket = import.bucket.or(self.bucket);
        if import.claims.is_empty() && import.pages.is_empty() && import.subscriptions.is_empty() {
            self.end_copy();
        }
    }

    /// Marks the claims that got no messages from a copy, or from a replay, as spent.
    pub(crate) fn end_copy(&mut self) {
        let empty = self.claims.holding().filter(|(_, claim)| claim.left == 0);
        let empty: Vec<u64> = empty.map(|(number, _)| number).collect();
        for number in empty {
            if self.claims.set_left(number, 0) {
                self.note_spent(number);
            }
        }
    }

    /// Counts a page's claimed messages to their claims. Time passes during a move, so the messages of a claim that has
    /// ended since have lapsed, as in the source.
    fn hold_again(&mut self, page: &mut Page) {
        for index in bits(page.claimed()) {
            let claim = page.slot(index).map(|slot| slot.hold).filter(|number| self.claims.get(*number).is_some());
            match claim {
                Some(number) => self.claims.gain_one(number),
                None => page.lapse(bit(index)),
            }
        }
    }

    /// Ends loading: counts each claim's messages. The error says what is inconsistent.
    ///
    /// A claimed message that a live claim lists is under that claim, because no other claim can have taken it.
    pub(crate) fn settle(&mut self) -> Result<(), String> {
        let last = self.pages.last_key_value().and_then(|(_, page)| Some(page.sequence(bits(page.live()).last()?)));
        if last.is_some_and(|last| last >= self.next) {
            return Err("a message above the queue's last sequence".into());
        }
        let numbers: Vec<u64> = self.claims.iter().map(|(number, _)| number).collect();
        let mut found = 0_u64;
        for number in numbers {
            let left = self.count_claimed(number);
            self.claims.set_loaded(number, left);
            found = found.saturating_add(u64::from(left));
        }
        if found == self.totals.claimed { Ok(()) } else { Err("a message under a claim that does not list it".into()) }
    }

    /// How many messages that the claim lists are claimed.
    fn count_claimed(&self, number: u64) -> u32 {
        let Some(claim) = self.claims.get(number) else { return 0 };
        let (mut rest, mut left) = (claim.sequences.portions(), 0_u32);
        while let Some((page, found)) = self.next_found(&mut rest) {
            left = left.saturating_add((found & page.claimed()).count_ones());
        }
        left
    }

    /// As [`Self::settle`], for a snapshot. An earlier version did not free the messages of a claim that ended while
    /// their page, one with gaps, could not be read: such messages, under no claim, become free.
    pub(crate) fn settle_snapshot(&mut self) -> Result<(), String> {
        self.settle().or_else(|_| {
            self.free_orphans();
            self.settle()
        })
    }

    /// Frees the claimed messages of pages with gaps that no claim lists.
    fn free_orphans(&mut self) {
        let mut listed: BTreeMap<u64, u128> = BTreeMap::new();
        for (_, claim) in self.claims.iter() {
            let mut rest = claim.sequences.portions();
            while let Some((page, found)) = self.next_found(&mut rest) {
                *listed.entry(page.first()).or_default() |= found;
            }
        }
        let with_gaps = self.pages.values().filter(|page| page.claimed() != 0 && !page.is_dense());
        let with_gaps: Vec<u64> = with_gaps.map(|page| page.first()).collect();
        for first in with_gaps {
            let Some(page) = self.pages.get_mut(&first) else { continue };
            let before = PageContribution::of(page);
            page.release(!listed.get(&first).copied().unwrap_or_default());
            let after = PageContribution::of(page);
            self.reindex(first, before, after);
        }
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
        let DirtyRecords { pages, claims, spent, .. } = &self.dirty;
        let marked = |page: &Page| pages.is_unstored() || page.dirty != pages.is_stored(&page.first());
        let is_new = self.dirty.record == Some(Dirty::New);
        self.pages.values().all(|page| marked(page))
            && pages.lists_new(|first| self.pages.contains_key(first))
            && claims.lists_new(|number| self.claims.get(*number).is_some_and(|claim| !claim.is_spent()))
            && spent.lists_new(|group| self.claims.spent_in(*group).next().is_some())
            && [pages.is_unstored(), claims.is_unstored(), spent.is_unstored()] == [is_new; 3]
    }

    /// How many records the trees lack, about.
    pub(crate) fn unwritten(&self) -> u64 {
        let (pages, claims) = (self.dirty.pages.len(self.pages.len()), self.dirty.claims.len(self.claims.len()));
        pages.saturating_add(claims).saturating_add(self.dirty.spent.len(0)).saturating_add(1) as u64
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

    /// Takes the changes that a checkpoint has to write, and continues as if they were written. With `leave_spent` the
    /// claims without messages stay listed.
    pub(crate) fn take_changes(&mut self, leave_spent: bool) -> Changes {
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
        for number in self.dirty.claims.take(self.claims.holding().map(|(number, _)| number)) {
            match self.claims.get(number).filter(|claim| !claim.is_spent()) {
                Some(claim) => claims.push((number, claim.clone())),
                None => tombstones.claims.push(number),
            }
        }
        let is_empty = |group: &u64| self.claims.spent_in(*group).next().is_none();
        let groups = self.dirty.spent.take_some(self.claims.groups(), |group| !leave_spent || is_empty(group));
        let mut spent = Vec::new();
        for group in groups {
            let claims = members(&self.claims, group);
            if claims.is_empty() { tombstones.spent.push(group) } else { spent.push((group, claims)) }
        }
        Changes { record, pages, claims, spent, tombstones }
    }

    /// The records of a deleted queue in the trees; `None` if the trees never had its record.
    pub(crate) fn into_tombstones(self) -> Option<Tombstones> {
        if self.dirty.record == Some(Dirty::New) {
            return None;
        }
        let pages = self.dirty.pages.into_tombstones(self.pages.keys().copied());
        let claims = self.dirty.claims.into_tombstones(self.claims.holding().map(|(number, _)| number));
        let spent = self.dirty.spent.into_tombstones(self.claims.groups());
        Some(Tombstones { pages, claims, spent })
    }

    /// Records that new trees have nothing of the queue: the next checkpoint writes everything.
    pub(crate) fn forget_stored(&mut self) {
        self.dirty = DirtyRecords::of(Some(Dirty::New));
    }

    /// Records that the queue is equal in the trees.
    pub(crate) fn mark_stored(&mut self) {
        self.dirty = DirtyRecords::of(None);
        self.pages.values_mut().for_each(|page| page.dirty = false);
        for number in self.claims.regrouped() {
            let group = group_of(number);
            if self.claims.get(number).is_some_and(Claim::is_spent) {
                self.dirty.claims.remove(&number);
            } else {
                self.dirty.claims.add(number);
            }
            self.dirty.spent.change(&group);
        }
    }

    /// Lists the claim `number`, which is spent from now on.
    pub(super) fn note_spent(&mut self, number: u64) {
        let group = group_of(number);
        self.dirty.claims.remove(&number);
        if self.claims.spent_in(group).nth(1).is_some() {
            self.dirty.spent.change(&group);
        } else {
            self.dirty.spent.add(group);
        }
    }

    /// Lists a changed claim.
    pub(super) fn note_changed_claim(&mut self, number: u64) {
        if self.claims.get(number).is_some_and(Claim::is_spent) {
            self.dirty.spent.change(&group_of(number));
        } else {
            self.dirty.claims.change(&number);
        }
    }

    /// Lists a claim that has ended.
    pub(super) fn note_ended(&mut self, number: u64, claim: &Claim) {
        let group = group_of(number);
        if !claim.is_spent() {
            self.dirty.claims.remove(&number);
        } else if self.claims.spent_in(group).next().is_some() {
            self.dirty.spent.change(&group);
        } else {
            self.dirty.spent.remove(&group);
        }
    }

    /// The numbers of the items that take memory.
    pub(crate) fn sizes(&self) -> Sizes {
        let (pages, hot) = (self.pages.len() as u64, self.hot.borrow().len() as u64);
        let cold_pages = pages.saturating_sub(hot);
        let (claims, spent_claims) = (self.claims.len() as u64, self.claims.spent());
        Sizes { pages, cold_pages, claims, spent_claims, expired: self.totals.expired }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Project;
    use crate::state::audit::Invariant;
    use crate::state::op::{Address, GivenBack, ImportedPage, NewClaim, NewQueue, Op, Posted, Retried};
    use crate::state::sequences::Sequences;
    use crate::storage::budget::Budget;

    /// A queue with messages 1 to `messages`, each under a claim of its own with the number 1000 more.
    fn queue_with_claims(messages: u64) -> Queue {
        let new = NewQueue { number: 5, project: None, name: "q".into(), metadata: "{}".into() };
        let mut queue = Queue::from_new(&new, 1, &Budget::unlimited()).unwrap();
        let posted = |_| Posted {
            ttl: 60_000,
            delay: 0,
            checksum: None,
            envelope: b"".as_slice().into(),
            body: b"body".as_slice().into(),
        };
        let messages_posted = (0..messages).map(posted).collect();
        queue.apply(
            2,
            10,
            &Op::Post { queue: 5, first: 1, client: [1; 16], key: [].as_slice().into(), messages: messages_posted },
        );
        for message in 1..=messages {
            let claim = NewClaim {
                queue: 5,
                claim: u128::from(message).to_be_bytes(),
                ttl: 50_000,
                grace: 0,
                slack: 0,
                taken: [message].into_iter().collect(),
                moved: Sequences::default(),
                dead: None,
                lacks: 0,
            };
            queue.apply(1000 + message, 10, &Op::Claim(claim));
        }
        queue
    }

    fn delete(queue: &mut Queue, messages: impl IntoIterator<Item = u64>) {
        let (lsn, messages) = (queue.lsn() + 1, messages.into_iter().collect());
        queue.apply(lsn, 10, &Op::Delete { queue: 5, messages });
    }

    /// The numbers of the written claims: those apart, and those in each group.
    fn written(changes: &Changes) -> (Vec<u64>, Vec<(u64, Vec<u64>)>) {
        let numbers = |claims: &[(u64, Claim)]| claims.iter().map(|(number, _)| *number).collect::<Vec<_>>();
        let groups = changes.spent.iter().map(|(group, claims)| (*group, numbers(claims)));
        (numbers(&changes.claims), groups.collect())
    }

    #[test]
    fn messages_that_an_earlier_version_left_under_no_claim_are_freed_in_a_snapshot() {
        for gap in [0, 2] {
            let mut queue = queue_with_claims(40);
            delete(&mut queue, 1..=(10 * gap));
            let left = 40 - 10 * gap;
            let ended = queue.claims.iter().map(|(number, _)| number).last().unwrap();
            // The claim ended, and its message did not become free.
            queue.claims.remove(ended);
            queue.deadlines.remove(&(50_010, Due::Claim(ended)));
            assert_eq!(queue.totals().claimed, left);
            assert!(queue.settle().is_err());
            assert_eq!(queue.settle_snapshot().is_ok(), gap > 0, "no known version leaves such in a page without gaps");
            assert_eq!(queue.totals().claimed, left - u64::from(gap > 0));
            assert_eq!(queue.audit().unwrap().is_empty(), gap > 0);
        }
    }

    #[test]
    fn a_claim_whose_messages_come_after_the_snapshot_of_a_move_in_progress_holds_them() {
        // The copy of a queue: its claims first, then its pages, and a snapshot in between.
        let source = queue_with_claims(3);
        let page = source.pages.values().next().unwrap().freeze();
        let content = page.content.clone().unwrap();
        let bodies = content.bodies().to_vec().into();
        let page = ImportedPage { first: page.first, record: page.record(&content), bodies };
        let mut target = queue_with_claims(0);
        for (number, claim) in source.claims.iter() {
            target.load_claim(number, claim.clone());
        }
        target.next = 4;
        target.settle().unwrap();
        assert!(target.claims.iter().all(|(_, claim)| claim.left == 0 && !claim.is_spent()));
        let project = Project::none();
        for (lsn, pages) in [(1998, vec![page]), (1999, vec![])] {
            let (address, subscriptions) = (Address::of(&project, source.name()), vec![]);
            let import =
                Import { queue: 5, next: 4, expired: 0, bucket: None, claims: vec![], pages, address, subscriptions };
            target.apply(lsn, 10, &Op::Import(import));
        }
        assert!(target.claims.iter().all(|(_, claim)| claim.left == 1 && claim.sequences.len() == 1));
        // Given back, released and over: every one of them ends.
        let given = Retried {
            queue: 5,
            claim: 1_u128.to_be_bytes(),
            groups: vec![GivenBack { messages: [1].into_iter().collect(), delay: 0, reason: None }],
        };
        target.apply(2000, 10, &Op::Retry(given));
        assert_eq!(target.totals().claimed, 2);
        target.apply(2001, 50_010, &Op::Time);
        assert_eq!(target.totals().claimed, 0);
        // One that has none when everything is there is spent.
        let mut empty = queue_with_claims(0);
        empty.load_claim(1001, source.claims.get(1001).unwrap().clone());
        empty.settle().unwrap();
        empty.end_copy();
        assert!(empty.claims.get(1001).unwrap().is_spent());
    }

    #[test]
    fn claims_without_messages_are_written_in_groups() {
        let mut queue = queue_with_claims(30);
        delete(&mut queue, 1..=3);
        delete(&mut queue, 22..=25);
        assert!(queue.is_dirty_set_sound());
        let changes = queue.take_changes(false);
        let apart: Vec<u64> = (1004..=1021).chain(1026..=1030).collect();
        let groups = vec![(512, vec![1001, 1002, 1003, 1022, 1023]), (1024, vec![1024, 1025])];
        assert_eq!(written(&changes), (apart, groups));
        // One that was stored apart goes into its group, and only that is written.
        delete(&mut queue, [21]);
        let changes = queue.take_changes(false);
        assert_eq!(written(&changes), (vec![], vec![(512, vec![1001, 1002, 1003, 1021, 1022, 1023])]));
        assert_eq!((changes.tombstones.claims, changes.tombstones.spent), (vec![1021], vec![]));
        // A group goes with its last claim.
        queue.apply(2000, 10, &Op::EndClaims { queue: 5, claims: vec![1001, 1024, 1025] });
        let changes = queue.take_changes(false);
        assert_eq!(written(&changes), (vec![], vec![(512, vec![1002, 1003, 1021, 1022, 1023])]));
        assert_eq!((changes.tombstones.claims, changes.tombstones.spent), (vec![], vec![1024]));
        assert!(!queue.has_changes() && queue.is_dirty_set_sound());
        let tombstones = queue.into_tombstones().unwrap();
        assert_eq!((tombstones.spent, tombstones.claims.len()), (vec![512], 22));
    }

    #[test]
    fn a_checkpoint_beside_calls_leaves_claims_without_messages() {
        let mut queue = queue_with_claims(30);
        delete(&mut queue, 1..=25);
        assert_eq!(written(&queue.take_changes(true)), ((1026..=1030).collect(), vec![]));
        assert!(queue.has_changes());
        queue.apply(2000, 10, &Op::EndClaims { queue: 5, claims: vec![1024, 1025] });
        let later = written(&queue.take_changes(false));
        assert_eq!(later, (vec![], vec![(512, (1001..=1023).collect())]));
        // The trees still have a group without claims, and a checkpoint beside calls removes it.
        queue.apply(2001, 10, &Op::EndClaims { queue: 5, claims: (1001..=1023).collect() });
        let changes = queue.take_changes(true);
        assert_eq!((written(&changes), changes.tombstones.spent), ((vec![], vec![]), vec![512]));
        assert!(!queue.has_changes());
    }

    #[test]
    fn a_claim_that_was_stored_otherwise_than_it_is_now_is_stored_anew() {
        let mut queue = queue_with_claims(3);
        delete(&mut queue, [2]);
        let claims: Vec<(u64, Claim)> = queue.claims.iter().map(|(number, claim)| (number, claim.clone())).collect();
        let mut loaded = queue_with_claims(0);
        queue.pages.into_values().for_each(|page| loaded.load_page(*page));
        for (number, claim) in claims {
            // Each in the way of the other kind.
            if claim.is_spent() {
                loaded.load_claim(number, claim.imported());
            } else {
                loaded.load_spent(number, claim);
            }
        }
        loaded.next = 4;
        loaded.settle().unwrap();
        loaded.mark_stored();
        let changes = loaded.take_changes(false);
        assert_eq!(written(&changes), (vec![1001, 1003], vec![(512, vec![1002])]));
        assert_eq!(changes.tombstones.claims, [1002]);
    }

    fn post(first: u64) -> Op<'static> {
        let posted = Posted {
            ttl: 60,
            delay: 0,
            checksum: None,
            envelope: b"".as_slice().into(),
            body: b"ab".as_slice().into(),
        };
        Op::Post { queue: 5, first, client: [1; 16], key: [].as_slice().into(), messages: vec![posted] }
    }

    #[test]
    fn a_page_is_marked_exactly_while_the_dirty_set_lists_it() {
        let new = NewQueue { number: 5, project: None, name: "q".into(), metadata: "{}".into() };
        let mut queue = Queue::from_new(&new, 1, &Budget::unlimited()).unwrap();
        queue.apply(2, 100, &post(1));
        for (lsn, marked) in (3..).zip([false, true, false, true]) {
            if marked {
                queue.apply(lsn, 100, &post(lsn));
            } else {
                drop(queue.take_changes(false));
            }
            let page = |queue: &Queue| queue.pages.values().next().unwrap().dirty;
            assert_eq!((page(&queue), queue.audit().unwrap()), (marked, vec![]));
            let mark = |queue: &mut Queue, dirty| queue.pages.values_mut().for_each(|page| page.dirty = dirty);
            mark(&mut queue, !marked);
            let found: Vec<Invariant> = queue.audit().unwrap().iter().map(|one| one.invariant).collect();
            assert_eq!(found, [Invariant::Queue(9)]);
            mark(&mut queue, marked);
        }
    }
}
