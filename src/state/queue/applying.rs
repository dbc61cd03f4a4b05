//! The effect of each operation on a queue.

use super::{Due, Queue, Totals};
use crate::state::claims::Claim;
use crate::state::op::{DeadLetter, NewClaim, Posted};
use crate::state::page::{Lease, Page};
use crate::state::page_content::{Content, IncomingMessage};
use crate::state::sequences::Sequences;

use super::Description;

impl Queue {
    pub(super) fn describe(&mut self, metadata: &str) {
        // The operation was made from metadata that parsed; an older engine reading a newer one's keeps the text's
        // meaning.
        if let Ok(description) = Description::parse(metadata) {
            self.description = description.shared();
        }
    }

    pub(super) fn purge(&mut self) {
        self.dirty.pages.remove_all(self.pages.keys().copied());
        self.pages.clear();
        self.hot.get_mut().clear();
        self.damaged.clear();
        let numbers: Vec<u64> = self.claims.iter().map(|(number, _)| number).collect();
        numbers.into_iter().for_each(|number| self.end_claim(number));
        self.ready.clear();
        self.deadlines.clear();
        self.totals = Totals::default();
    }

    pub(super) fn post(&mut self, time: u64, first: u64, client: [u8; 16], messages: &[Posted<'_>]) {
        let incoming = messages.iter().map(|message| IncomingMessage::posted(time, client, message));
        self.append(first, incoming);
    }

    /// Adds the dead letters of another queue.
    pub(super) fn deliver(&mut self, first: u64, messages: &[DeadLetter<'_>]) {
        let incoming = messages.iter().map(IncomingMessage::moved);
        self.append(first, incoming);
    }

    /// Appends messages at ascending sequences from `first`, none of which exists. They are behind all others, except
    /// in a queue that is rebuilt.
    pub(super) fn append<'a>(&mut self, first: u64, incoming: impl Iterator<Item = IncomingMessage<'a>>) {
        let mut incoming = incoming.zip(first..).peekable();
        loop {
            let left = incoming.size_hint().0;
            let Some((next, sequence)) = incoming.peek() else { return };
            // Nearly always the last one.
            let last = self.pages.last_key_value().filter(|(first, _)| **first <= *sequence);
            let page = match last.or_else(|| self.pages.range(..=*sequence).next_back()) {
                Some((first, tail)) if tail.fits(*sequence, next.body.len()) => *first,
                tail => {
                    let like = tail.and_then(|(_, full)| full.content());
                    let room = || Content::for_messages(&self.budget, left, next.body.len());
                    let content = like.map_or_else(room, |full| Content::like(full));
                    let first = *sequence;
                    self.insert_page(Page::new(first, content));
                    first
                }
            };
            let next = self.change(page, |page| {
                let mut next = page.first();
                while let Some((message, sequence)) = incoming.next_if(|(one, at)| page.fits(*at, one.body.len())) {
                    page.push(sequence, &message);
                    next = sequence.saturating_add(1);
                }
                page.settle_charge();
                next
            });
            self.next = self.next.max(next.unwrap_or_default());
        }
    }

    pub(super) fn claim(&mut self, lsn: u64, time: u64, op: &NewClaim<'_>) {
        self.remove(&op.moved);
        if op.taken.is_empty() {
            return;
        }
        let start = time.saturating_add(op.slack.into());
        let expires = start.saturating_add(op.ttl);
        let lease = Lease { now: start, ttl: op.ttl, grace: op.grace };
        let mut left = 0_u32;
        self.change_each(&op.taken, |page, taken| {
            page.claim(taken, lsn, lease);
            left = left.saturating_add(taken.count_ones());
        });
        self.claims.insert(lsn, Claim::new(op.claim, op.ttl, expires, op.taken.clone(), left));
        self.deadlines.insert((expires, Due::Claim(lsn)));
        self.dirty.claims.add(lsn);
    }

    pub(super) fn renew(&mut self, time: u64, id: &[u8; 16], ttl: u64, grace: u64) {
        let Some(number) = self.claims.number(id) else { return };
        let Some(claim) = self.claims.get_mut(number) else { return };
        let expires = time.saturating_add(ttl);
        self.deadlines.remove(&(claim.expires, Due::Claim(number)));
        self.deadlines.insert((expires, Due::Claim(number)));
        (claim.ttl, claim.expires) = (ttl, expires);
        let sequences = claim.sequences.clone();
        let lease = Lease { now: time, ttl, grace };
        self.change_each(&sequences, |page, held| page.renew(held & page.claimed(), lease));
        self.note_changed_claim(number);
    }

    /// Ends a claim that has no messages.
    pub(super) fn end_spent(&mut self, number: u64) {
        if self.claims.get(number).is_some_and(|claim| claim.left == 0) {
            self.end_claim(number);
        }
    }

    pub(super) fn end_claim(&mut self, number: u64) {
        let Some(claim) = self.claims.remove(number) else { return };
        self.deadlines.remove(&(claim.expires, Due::Claim(number)));
        self.note_ended(number, &claim);
        // A claimed message is under this claim, because no other claim can have taken it.
        self.change_each(&claim.sequences, Page::release);
    }

    pub(super) fn remove(&mut self, sequences: &Sequences) {
        let mut lost = Vec::new();
        self.change_each(sequences, |page, removed| page.remove(removed, &mut lost));
        self.lose_claimed(&lost);
    }
}
