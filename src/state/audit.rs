//! Recounting: every figure and index of a queue, derived again from its pages and claims.
//!
//! The numbers are those of the invariants in `queue`; 10 and up are those of `page`, 20 and up those of `claims`.

use std::collections::{BTreeMap, BTreeSet};

use super::page::{Page, bits};
use super::queue::{Due, Queue, Totals};

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) invariant: u8,
    pub(crate) what: String,
}

impl Queue {
    /// Every invariant that does not hold; empty for a sound queue.
    pub(crate) fn audit(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        let mut check = |invariant: u8, holds: bool, what: &str| {
            if !holds {
                found.push(Violation { invariant, what: what.to_owned() });
            }
        };
        check(1, self.pages_in_order(), "pages are empty, overlap or lie above the last sequence");
        let ready: BTreeSet<u64> =
            self.pages().iter().filter(|(_, page)| page.ready() != 0).map(|(first, _)| *first).collect();
        check(2, *self.ready() == ready, "the index of claimable pages differs from the pages");
        let pages = self.pages().values().map(|page| (page.due(), Due::Page(page.first())));
        let claims = self.claims().iter().map(|(number, claim)| (claim.expires, Due::Claim(number)));
        let due: BTreeSet<_> = pages.chain(claims).collect();
        check(3, *self.deadlines() == due, "the deadlines differ from the pages' and claims'");
        check(4, self.totals() == self.recount(), "the totals differ from a recount");
        check(10, self.pages().values().all(|page| page_is_sound(page)), "a page contradicts itself");
        check(20, self.claims_count_right(), "a claim's messages differ from its count");
        found
    }

    fn pages_in_order(&self) -> bool {
        let mut beyond = 0;
        self.pages().iter().all(|(first, page)| {
            let in_place = *first == page.first() && *first >= beyond && page.live() != 0;
            beyond = bits(page.live()).last().map_or(*first, |index| page.sequence(index)).saturating_add(1);
            in_place && beyond <= self.next()
        })
    }

    fn recount(&self) -> Totals {
        let mut totals = Totals::default();
        for page in self.pages().values() {
            totals.total += u64::from(page.live().count_ones());
            totals.claimed += u64::from(page.claimed().count_ones());
            totals.delayed += u64::from(page.delayed().count_ones());
            totals.weight += page.recount_weight();
        }
        totals
    }

    fn claims_count_right(&self) -> bool {
        let mut counts: BTreeMap<u64, u32> = BTreeMap::new();
        for page in self.pages().values() {
            for index in bits(page.claimed()) {
                let Some(slot) = page.slot(index) else { continue };
                let claim = self.claims().get(slot.hold);
                if !claim.is_some_and(|claim| claim.sequences.contains(page.sequence(index))) {
                    return false;
                }
                *counts.entry(slot.hold).or_default() += 1;
            }
        }
        self.claims().iter().all(|(number, claim)| claim.left == counts.get(&number).copied().unwrap_or(0))
    }
}

fn page_is_sound(page: &Page) -> bool {
    let parts = page.claimed() & !page.live() == 0 && page.delayed() & !page.live() == 0;
    let apart = page.claimed() & page.delayed() == 0;
    let weighed = page.weight() == page.recount_weight();
    let due = bits(page.live()).filter_map(|index| page.slot(index)).all(|slot| page.due() <= slot.expires);
    let ends = bits(page.delayed()).filter_map(|index| page.slot(index)).all(|slot| page.due() <= slot.hold);
    let ascending = bits(page.live()).map(|index| page.sequence(index)).is_sorted_by(|a, b| a < b);
    parts && apart && weighed && due && ends && ascending
}
