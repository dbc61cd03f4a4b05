//! The effect of each operation on a queue.

use super::{Due, Queue, Totals};
use crate::state::Bucket;
use crate::state::claims::Claim;
use crate::state::op::{DeadLetter, GivenBack, NewClaim, Posted, Retried, SplitClaim, Step, steps_of};
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

    /// Applies the steps of a batch that concern this queue.
    pub(super) fn take_steps(&mut self, time: u64, steps: &[Step<'_>]) {
        for step in steps_of(steps, self.number) {
            match step {
                Step::Post { first, client, messages, .. } => self.post(time, *first, *client, messages),
                Step::Renew { claim, ttl, grace, slack, .. } => {
                    self.renew(claim, Lease { now: time, slack: *slack, ttl: *ttl, grace: *grace });
                }
                Step::Release { claim, .. } => self.release(claim),
                Step::Delete { messages, .. } => self.remove(messages),
            }
        }
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
        let mut incoming = incoming.zip(first..=u64::MAX).peekable();
        loop {
            let left = incoming.size_hint().0;
            let Some((next, sequence)) = incoming.peek() else { return };
            // Nearly always the last one.
            let last = self.pages.last_key_value().filter(|(first, _)| **first <= *sequence);
            let page = match last.or_else(|| self.pages.range(..=*sequence).next_back()) {
                Some((first, tail)) if tail.fits(*sequence, next.size()) => *first,
                tail => {
                    let like = tail.and_then(|(_, full)| full.content());
                    let room = || Content::for_messages(&self.budget, left, next.size());
                    let content = like.map_or_else(room, |full| Content::like(full));
                    let first = *sequence;
                    self.insert_page(Page::new(first, content));
                    first
                }
            };
            let next = self.change(page, |page| {
                let mut next = page.first();
                while let Some((message, sequence)) = incoming.next_if(|(one, at)| page.fits(*at, one.size())) {
                    page.push(sequence, &message);
                    next = sequence.saturating_add(1);
                }
                page.settle_charge();
                next
            });
            // A page that cannot be read takes no message, and the queue is marked as broken.
            let Some(next) = next else { return };
            self.next = self.next.max(next);
        }
    }

    /// Records that messages were handed out, if the queue has a claim rate.
    pub(super) fn hand_out(&mut self, time: u64, lacks: u32) {
        if lacks > 0 {
            self.bucket = Some(Bucket { at: time, lacks });
        }
    }

    pub(super) fn claim(&mut self, lsn: u64, time: u64, op: &NewClaim<'_>) {
        self.remove(&op.moved);
        self.hand_out(time, op.lacks);
        if op.taken.is_empty() {
            return;
        }
        let lease = Lease { now: time, slack: op.slack, ttl: op.ttl, grace: op.grace };
        let expires = lease.end();
        let mut left = 0_u32;
        self.change_each(&op.taken, |page, taken| {
            page.claim(taken, lsn, time, lease);
            left = left.saturating_add(taken.count_ones());
        });
        self.claims.insert(lsn, Claim::new(op.claim, op.ttl, expires, op.taken.clone(), left));
        self.deadlines.insert((expires, Due::Claim(lsn)));
        self.dirty.claims.add(lsn);
    }

    pub(super) fn renew(&mut self, id: &[u8; 16], lease: Lease) {
        let Some(number) = self.claims.number(id) else { return };
        let Some(claim) = self.claims.get_mut(number) else { return };
        let expires = lease.end();
        self.deadlines.remove(&(claim.expires, Due::Claim(number)));
        self.deadlines.insert((expires, Due::Claim(number)));
        (claim.ttl, claim.expires) = (lease.ttl, expires);
        let sequences = claim.sequences.clone();
        self.change_each(&sequences, |page, held| page.renew(held & page.claimed(), lease));
        self.note_changed_claim(number);
    }

    pub(super) fn release(&mut self, id: &[u8; 16]) {
        if let Some(number) = self.claims.number(id) {
            self.end_claim(number);
        }
    }

    /// Ends a claim that has no messages.
    pub(super) fn end_spent(&mut self, number: u64) {
        if self.claims.get(number).is_some_and(|claim| claim.left == 0) {
            self.end_claim(number);
        }
    }

    /// Ends a claim that is released, or whose messages are removed.
    pub(super) fn end_claim(&mut self, number: u64) {
        self.end_claim_by(number, Page::release);
    }

    /// Ends a claim whose time is over.
    pub(super) fn lapse_claim(&mut self, number: u64) {
        self.end_claim_by(number, Page::lapse);
    }

    fn end_claim_by(&mut self, number: u64, free: impl FnMut(&mut Page, u128)) {
        let Some(claim) = self.claims.remove(number) else { return };
        self.deadlines.remove(&(claim.expires, Due::Claim(number)));
        self.note_ended(number, &claim);
        // A claimed message that the claim lists is under this claim, because no other claim can have taken it.
        self.change_each(&claim.sequences, free);
    }

    /// Gives messages of a claim back. The claim remains, with the rest of its messages or without any.
    pub(super) fn retry(&mut self, time: u64, op: &Retried<'_>) {
        let Some((number, listed)) = self.claim_and_list(&op.claim) else { return };
        let mut count = 0_u32;
        for GivenBack { messages, delay, reason } in &op.groups {
            let ready_at = if *delay == 0 { 0 } else { time.saturating_add(*delay) };
            self.change_each(messages, |page, found| {
                let held = page.claimed_of(found, &listed);
                page.retry(held, ready_at, reason.as_deref());
                count = count.saturating_add(held.count_ones());
            });
        }
        // At once: a claim of many messages may have many runs.
        let all = Sequences::union(op.groups.iter().map(|group| &group.messages));
        self.take_from_claim(number, &all, count);
    }

    /// The number of a claim, and the messages that it lists.
    fn claim_and_list(&self, id: &[u8; 16]) -> Option<(u64, Sequences)> {
        let number = self.claims.number(id)?;
        Some((number, self.claims.get(number)?.sequences.clone()))
    }

    pub(super) fn split_claim(&mut self, lsn: u64, time: u64, op: &SplitClaim) {
        let Some((number, listed)) = self.claim_and_list(&op.claim) else { return };
        let lease = Lease { now: time, slack: op.slack, ttl: op.ttl, grace: op.grace };
        let expires = lease.end();
        let mut count = 0_u32;
        self.change_each(&op.taken, |page, found| {
            let held = page.claimed_of(found, &listed);
            page.hand_over(held, lsn, lease);
            count = count.saturating_add(held.count_ones());
        });
        if count == 0 {
            return;
        }
        self.take_from_claim(number, &op.taken, count);
        self.claims.insert(lsn, Claim::new(op.into, op.ttl, expires, op.taken.clone(), count));
        self.deadlines.insert((expires, Due::Claim(lsn)));
        self.dirty.claims.add(lsn);
    }

    /// The claim `number` does not list these messages any more, of which it held `count`.
    fn take_from_claim(&mut self, number: u64, messages: &Sequences, count: u32) {
        let Some(claim) = self.claims.get_mut(number) else { return };
        claim.sequences = claim.sequences.without(messages);
        if self.claims.lose(number, count) {
            self.note_spent(number);
        } else {
            self.note_changed_claim(number);
        }
    }

    pub(super) fn remove(&mut self, sequences: &Sequences) {
        let mut lost = Vec::new();
        self.change_each(sequences, |page, removed| page.remove(removed, &mut lost));
        self.lose_claimed(&lost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::op::{NewQueue, Op};
    use crate::storage::budget::Budget;

    /// A queue with three messages at each of these sequences and behind it.
    fn queue_with(firsts: &[u64]) -> Queue {
        let new = NewQueue { number: 5, project: None, name: "q".into(), metadata: "{}".into() };
        let mut queue = Queue::from_new(&new, 1, &Budget::unlimited()).unwrap();
        for (lsn, first) in (2..).zip(firsts) {
            let posted = || Posted {
                ttl: 60,
                delay: 0,
                checksum: None,
                envelope: b"".as_slice().into(),
                body: b"body".as_slice().into(),
            };
            let messages = vec![posted(), posted(), posted()];
            queue.apply(
                lsn,
                100,
                &Op::Post { queue: 5, first: *first, client: [1; 16], key: [].as_slice().into(), messages },
            );
        }
        queue
    }

    /// Far enough from one another for pages of their own.
    const FIRSTS: [u64; 3] = [100, 1 << 34, 1 << 36];

    #[test]
    fn a_damaged_post_beyond_the_last_sequence_does_not_panic() {
        for first in [u64::MAX - 3, u64::MAX - 2, u64::MAX - 1, u64::MAX] {
            let mut queue = queue_with(&[100, first]);
            queue.apply(9, 200_000, &Op::Time);
            assert_eq!(queue.totals().total, 0, "{first}");
        }
    }

    fn run(start: u64, count: u32) -> Sequences {
        Sequences::try_from(vec![(start, count)]).unwrap()
    }

    /// The first sequence of every page that a change of these sequences changes, and how many messages there.
    fn changed(queue: &mut Queue, sequences: &Sequences) -> Vec<(u64, u32)> {
        let mut changed = Vec::new();
        queue.change_each(sequences, |page, found| changed.push((page.first(), found.count_ones())));
        changed
    }

    #[test]
    fn a_gap_between_pages_costs_no_change_however_long_it_is() {
        let mut queue = queue_with(&FIRSTS);
        let [one, two, three] = FIRSTS;
        // As many before the first page, behind it, behind the last one.
        for (sequences, expected) in [
            (run(1, 50), vec![]),
            (run(1, 1_000), vec![(one, 3)]),
            (run(one + 1, 1_000), vec![(one, 2)]),
            (run(one + 3, 1_000), vec![]),
            (run(three + 1, 1_000), vec![(three, 2)]),
            (run(1, u32::MAX), vec![(one, 3)]),
            (run(two - 10, u32::MAX), vec![(two, 3)]),
            (run(three + 3, u32::MAX), vec![]),
            (run(u64::MAX - 5, 5), vec![]),
            ([1, one, one + 2, one + 3, two, two + 1, two + 90, three + 2].into_iter().collect(), {
                vec![(one, 2), (two, 2), (three, 1)]
            }),
        ] {
            assert_eq!(changed(&mut queue, &sequences), expected, "{sequences:?}");
            let mut visited = Vec::new();
            queue.visit(&sequences, |page, index| visited.push(page.sequence(index))).unwrap();
            assert_eq!(visited.len(), expected.iter().map(|(_, count)| *count as usize).sum::<usize>());
            assert!(visited.iter().all(|sequence| sequences.contains(*sequence)), "{visited:?}");
        }
    }

    #[test]
    fn what_follows_a_page_that_a_removal_empties_is_in_no_other_page() {
        let mut queue = queue_with(&FIRSTS);
        let (mut lost, mut changed) = (Vec::new(), Vec::new());
        queue.change_each(&run(FIRSTS[1], 1_000), |page, removed| {
            changed.push(page.first());
            page.remove(removed, &mut lost);
        });
        assert_eq!((changed, queue.pages().len()), (vec![FIRSTS[1]], 2));
    }

    #[test]
    fn a_sequence_that_no_other_can_follow_ends_the_walk() {
        let mut queue = queue_with(&FIRSTS);
        let highest: Sequences = [FIRSTS[2], u64::MAX].into_iter().collect();
        assert_eq!(changed(&mut queue, &highest), [(FIRSTS[2], 1)]);
        let mut visited = 0;
        queue.visit(&highest, |_, _| visited += 1).unwrap();
        assert_eq!(visited, 1);
        queue.prepare(&Op::Delete { queue: 5, messages: highest }).unwrap();
    }

    #[test]
    fn a_range_of_damage_that_ends_before_it_begins_is_empty() {
        let mut queue = queue_with(&FIRSTS);
        let drop = Op::DropDamaged { queue: 5, ranges: vec![(FIRSTS[1], FIRSTS[0]), (FIRSTS[1] + 1, 0)] };
        queue.prepare(&drop).unwrap();
        queue.apply(9, 100, &drop);
        assert_eq!(queue.totals().total, 9);
    }
}
