//! The audit of a queue: every figure and index, derived again from its pages and claims.
//!
//! The numbers are those of the invariants in `queue`; 10 and up are those of `page`, 20 and up those of `claims`.
//! Pages that are not in memory are read one after the other and evicted again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::content::Content;
use super::page::{Page, bits};
use super::queue::{Due, Queue, Totals};
use crate::model::error::Result;

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) invariant: u8,
    pub(crate) what: String,
}

impl Queue {
    /// Every invariant that does not hold; empty for a sound queue.
    ///
    /// # Errors
    /// Those of reading a page that may well be read later.
    pub(crate) fn audit(&self) -> Result<Vec<Violation>> {
        let mut found = Vec::new();
        let mut check = |invariant: u8, holds: bool, what: &str| {
            if !holds {
                found.push(Violation { invariant, what: what.to_owned() });
            }
        };
        check(1, self.pages_in_order(), "pages are empty or in the wrong place");
        let ready: BTreeSet<u64> =
            self.pages().iter().filter(|(_, page)| page.ready() != 0).map(|(first, _)| *first).collect();
        check(2, *self.ready() == ready, "the index of claimable pages differs from the pages");
        let pages = self.pages().values().map(|page| (page.due(), Due::Page(page.first())));
        let claims = self.claims().iter().map(|(number, claim)| (claim.expires, Due::Claim(number)));
        let due: BTreeSet<_> = pages.chain(claims).collect();
        check(3, *self.deadlines() == due, "the deadlines differ from the pages' and claims'");
        check(4, self.totals() == self.recount(), "the totals differ from a recount");
        let hot: BTreeSet<u64> =
            self.pages().iter().filter(|(_, page)| page.content().is_some()).map(|(first, _)| *first).collect();
        check(9, self.is_dirty_set_sound(), "the dirty set differs from the pages and claims");
        check(7, self.hot() == hot, "the index of pages in memory differs from the pages");
        let mut beyond = 0;
        let mut counts: BTreeMap<u64, u32> = BTreeMap::new();
        for page in self.pages().values() {
            let content = match self.read(page) {
                Ok(content) => content,
                Err(error) if error.is_busy() => return Err(error),
                Err(error) => {
                    check(15, false, &error.to_string());
                    // The error itself is in the finding.
                    let _ = self.load(page);
                    continue;
                }
            };
            let sequences = || live(page, &content).map(|(_, sequence)| sequence);
            check(1, sequences().all(|one| one >= beyond && one < self.next()), "messages overlap or lie too high");
            beyond = sequences().last().unwrap_or(beyond).saturating_add(1);
            check(10, page_is_sound(page, &content), "a page contradicts itself");
            for (index, sequence) in live(page, &content).filter(|(index, _)| page.claimed() & (1 << index) != 0) {
                let hold = content.slot(index).map_or(0, |slot| slot.hold);
                let listed = self.claims().get(hold).is_some_and(|claim| claim.sequences.contains(sequence));
                check(20, listed, "a message under a claim that does not list it");
                *counts.entry(hold).or_default() += 1;
            }
        }
        let counted = |number: u64| counts.get(&number).copied().unwrap_or(0);
        let damage = self.had_damage();
        let counts_right = |left: u32, counted: u32| left == counted || (damage && left > counted);
        let right = self.claims().iter().all(|(number, claim)| counts_right(claim.left, counted(number)));
        check(20, right, "a claim's messages differ from its count");
        Ok(found)
    }

    fn pages_in_order(&self) -> bool {
        self.pages().iter().all(|(first, page)| *first == page.first() && page.live() != 0)
    }

    fn recount(&self) -> Totals {
        let mut totals = Totals::default();
        for page in self.pages().values() {
            totals.total += u64::from(page.live().count_ones());
            totals.claimed += u64::from(page.claimed().count_ones());
            totals.delayed += u64::from(page.delayed().count_ones());
            totals.weight += page.weight();
            totals.pages += 1;
        }
        totals.claims = self.claims().len() as u64;
        totals
    }
}

/// The live messages: where in the page, and their sequences.
fn live(page: &Page, content: &Arc<Content>) -> impl Iterator<Item = (usize, u64)> {
    let sequence = |index: usize| content.slot(index).map(|slot| (index, page.first() + slot.distance()));
    bits(page.live()).filter_map(sequence).collect::<Vec<_>>().into_iter()
}

fn page_is_sound(page: &Page, content: &Content) -> bool {
    let slots = |set: u128| bits(set).filter_map(|index| content.slot(index));
    let parts = page.claimed() & !page.live() == 0 && page.delayed() & !page.live() == 0;
    let apart = page.claimed() & page.delayed() == 0;
    let there = slots(page.live()).count() == page.live().count_ones() as usize;
    let weighed = page.weight() == slots(page.live()).map(super::content::Slot::weight).sum::<u64>();
    let due = slots(page.live()).all(|slot| page.due() <= slot.expires && slot.expires <= page.latest());
    let ends = slots(page.delayed()).all(|slot| page.due() <= slot.hold);
    let dense = !page.is_dense() || content.slots().iter().zip(0..).all(|(slot, index)| slot.distance() == index);
    parts && apart && there && weighed && due && ends && dense
}
