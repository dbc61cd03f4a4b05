//! The audit of a queue: every figure and index, derived again from its pages and claims.
//!
//! A finding names the module that lists the invariant, and the number there: `queue 3`, `page 1`, `claims 2`.
//! Pages that are not in memory are read one after the other and evicted again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::page::{Page, bits};
use super::page_content::Content;
use super::queue::{Due, Queue, Totals};
use crate::model::error::Result;
use crate::model::ttl::FOREVER;

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) invariant: Invariant,
    pub(crate) what: String,
}

/// The number of an invariant in the list of its module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Invariant {
    Queue(u8),
    Page(u8),
    Claims(u8),
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queue(number) => write!(f, "queue {number}"),
            Self::Page(number) => write!(f, "page {number}"),
            Self::Claims(number) => write!(f, "claims {number}"),
        }
    }
}

impl Queue {
    /// Every invariant that does not hold; empty for a sound queue.
    ///
    /// # Errors
    /// Those of reading a page that may well be read later.
    pub(crate) fn audit(&self) -> Result<Vec<Violation>> {
        let mut found = Vec::new();
        let mut check = |invariant: Invariant, holds: bool, what: &str| {
            if !holds {
                found.push(Violation { invariant, what: what.to_owned() });
            }
        };
        check(Invariant::Queue(1), self.pages_in_order(), "pages are empty or under a wrong key");
        let ready: BTreeSet<u64> =
            self.pages().iter().filter(|(_, page)| page.ready() != 0).map(|(first, _)| *first).collect();
        check(Invariant::Queue(2), *self.ready() == ready, "the index of claimable pages differs from the pages");
        let pages = self.pages().values().filter(|page| page.due() != FOREVER);
        let pages = pages.map(|page| (page.due(), Due::Page(page.first())));
        let claims = self.claims().iter().map(|(number, claim)| (claim.expires, Due::Claim(number)));
        let due: BTreeSet<_> = pages.chain(claims).collect();
        check(Invariant::Queue(3), *self.deadlines() == due, "the deadlines differ from the pages' and claims'");
        check(Invariant::Queue(4), self.totals() == self.recount(), "the totals differ from a recount");
        let hot: BTreeSet<u64> =
            self.pages().iter().filter(|(_, page)| page.content().is_some()).map(|(first, _)| *first).collect();
        check(Invariant::Queue(9), self.is_dirty_set_sound(), "the dirty set differs from the pages and claims");
        check(Invariant::Queue(7), self.hot() == hot, "the index of pages in memory differs from the pages");
        let mut beyond = 0;
        let mut counts: BTreeMap<u64, u32> = BTreeMap::new();
        for page in self.pages().values() {
            let content = match self.read(page) {
                Ok(content) => content,
                Err(error) if error.is_busy() => return Err(error),
                Err(error) => {
                    check(Invariant::Page(5), false, &error.to_string());
                    // The error itself is in the finding.
                    let _ = self.load(page);
                    continue;
                }
            };
            let sequences = || live(page, &content).map(|(_, sequence)| sequence);
            let in_order = sequences().all(|one| one >= beyond && one < self.next());
            check(Invariant::Queue(1), in_order, "messages overlap, or have sequences that were not assigned");
            beyond = sequences().last().unwrap_or(beyond).saturating_add(1);
            for (number, holds, what) in page_invariants(page, &content) {
                check(Invariant::Page(number), holds, what);
            }
            for (index, sequence) in live(page, &content).filter(|(index, _)| page.claimed() & (1 << index) != 0) {
                let hold = content.slot(index).map_or(0, |slot| slot.hold);
                let listed = self.claims().get(hold).is_some_and(|claim| claim.sequences.contains(sequence));
                check(Invariant::Claims(2), listed, "a message under a claim that does not list it");
                *counts.entry(hold).or_default() += 1;
            }
        }
        let counted = |number: u64| counts.get(&number).copied().unwrap_or(0);
        let damage = self.had_damage();
        let counts_right = |left: u32, counted: u32| left == counted || (damage && left > counted);
        let right = self.claims().iter().all(|(number, claim)| counts_right(claim.left, counted(number)));
        check(Invariant::Claims(2), right, "a claim's messages differ from its count");
        Ok(found)
    }

    fn pages_in_order(&self) -> bool {
        self.pages().iter().all(|(first, page)| *first == page.first() && page.live() != 0)
    }

    fn recount(&self) -> Totals {
        let mut totals = Totals { expired: self.totals().expired, ..Totals::default() };
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

/// The invariants of a page that its content can show: the number of each, whether it holds, and the finding.
fn page_invariants(page: &Page, content: &Content) -> [(u8, bool, &'static str); 6] {
    let slots = |set: u128| bits(set).filter_map(|index| content.slot(index));
    let subsets = page.claimed() & !page.live() == 0 && page.delayed() & !page.live() == 0;
    let due = slots(page.live()).all(|slot| page.due() <= slot.expires())
        && slots(page.delayed()).all(|slot| page.due() <= slot.hold);
    let latest = slots(page.live()).all(|slot| slot.expires() <= page.latest());
    let weight = page.weight() == slots(page.live()).map(super::page_content::MessageSlot::weight).sum::<u64>();
    let dense = !page.is_dense() || content.slots().iter().zip(0..).all(|(slot, index)| slot.distance() == index);
    let complete = slots(page.live()).count() == page.live().count_ones() as usize;
    [
        (1, subsets, "claimed or delayed messages that are not live"),
        (2, due, "a message expires, or its delay ends, before the page is due"),
        (3, latest, "a message expires after the page's last expiry"),
        (4, weight, "the weight differs from that of the messages"),
        (6, dense, "a message of a dense page is at another distance than its index"),
        (7, complete, "the content lacks live messages"),
    ]
}
