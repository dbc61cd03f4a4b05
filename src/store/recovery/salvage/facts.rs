//! Facts in the journal beside the changes themselves: the names of queues, and the removed messages.
//!
//! A removed message never comes back, so every frame with a removal is used, whatever is missing around it. Only a move
//! brings a queue back, with its number and its sequences, to a store that had it before.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::ranges::Ranges;
use crate::state::op::{Bookmarked, JournalEntry, NewClaim, NewQueue, Op};
use crate::state::page_content::MessageSlot;
use crate::state::sequences::Sequences;
use crate::storage::codec;

#[derive(Debug, Default)]
pub(super) struct Facts {
    /// Every creation of a queue that is left.
    pub(super) created: BTreeMap<u64, NewQueue<'static>>,
    /// Queues that were deleted.
    pub(super) deleted: BTreeSet<u64>,
    /// Messages that were deleted, popped, moved or purged, by queue.
    pub(super) removed: BTreeMap<u64, Ranges>,
    /// The lowest sequence that was assigned after the snapshot, by queue.
    pub(super) first_post: BTreeMap<u64, u64>,
    /// The sequence above the highest known one, by queue.
    pub(super) named: BTreeMap<u64, u64>,
}

impl Facts {
    /// Adds the facts of a frame, in order; `above` says whether the frame is newer than the snapshot.
    pub(super) fn note(&mut self, body: &[u8], above: bool) {
        let Ok(entry) = codec::decode::<JournalEntry<'_>>(body) else { return };
        self.note_op(&entry.op, above);
    }

    /// Adds the deletions of single messages in a frame, whatever its place among the others: they are for good.
    pub(super) fn note_deletions(&mut self, body: &[u8]) {
        let Ok(entry) = codec::decode::<JournalEntry<'_>>(body) else { return };
        match &entry.op {
            op @ (Op::Delete { .. } | Op::Pop { .. }) => self.note_op(op, false),
            Op::Claim(claim) => self.removed.entry(claim.queue).or_default().insert_all(&claim.moved),
            Op::Batch(steps) | Op::Bookmark(Bookmarked { steps, .. }) => {
                for step in steps {
                    if let op @ Op::Delete { .. } = step.alone() {
                        self.note_op(&op, false);
                    }
                }
            }
            _ => {}
        }
    }

    /// Adds the removals of `other`.
    pub(super) fn add_removed(&mut self, other: &Self) {
        for (queue, ranges) in &other.removed {
            self.removed.entry(*queue).or_default().unite(ranges, &(0..u64::MAX));
        }
    }

    fn note_op(&mut self, op: &Op<'_>, above: bool) {
        match op {
            Op::CreateQueue(new) | Op::Register { new, .. } => self.create(new),
            Op::DeleteQueue { queue } | Op::Unregister { queue, .. } => {
                self.deleted.insert(*queue);
            }
            Op::Purge { queue, next, .. } | Op::Clear { queue: Some((queue, next)), .. } => self.drop(*queue, 0..*next),
            Op::Post { queue, first, messages, .. } => self.post(*queue, *first, messages.len(), above),
            Op::Claim(claim) => self.claim(claim, above),
            Op::Delete { queue, messages } | Op::Pop { queue, messages, .. } => {
                self.removed.entry(*queue).or_default().insert_all(messages);
                self.name_all(*queue, messages);
            }
            Op::DropDamaged { queue, ranges } => {
                ranges.iter().for_each(|(from, to)| self.drop(*queue, *from..*to));
            }
            Op::Receive(received) => self.post(received.queue, received.first, received.messages.len(), above),
            Op::Import(import) => {
                if let Some(removed) = self.removed.get_mut(&import.queue) {
                    for page in &import.pages {
                        let sequence = |slot: &MessageSlot| page.first.saturating_add(slot.distance());
                        page.record.slots.iter().for_each(|(slot, _)| removed.remove(sequence(slot)));
                    }
                }
                let first = import.pages.iter().map(|page| page.first).min();
                first.into_iter().for_each(|first| self.post(import.queue, first, 0, above));
            }
            Op::Batch(steps) | Op::Bookmark(Bookmarked { steps, .. }) => {
                steps.iter().for_each(|step| self.note_op(&step.alone(), above));
            }
            Op::Clear { queue: None, .. }
            | Op::Time
            | Op::SetMetadata { .. }
            | Op::RenewClaim { .. }
            | Op::ReleaseClaim { .. }
            | Op::Retry(_)
            | Op::SplitClaim(_)
            | Op::EndClaims { .. }
            | Op::Registry(_)
            | Op::Recall { .. }
            | Op::Remap { .. } => {}
        }
    }

    fn create(&mut self, new: &NewQueue<'_>) {
        self.deleted.remove(&new.number);
        self.created.insert(new.number, new.clone().into_owned());
    }

    fn claim(&mut self, claim: &NewClaim<'_>, above: bool) {
        self.removed.entry(claim.queue).or_default().insert_all(&claim.moved);
        self.name_all(claim.queue, &claim.taken);
        if let Some(dead) = &claim.dead {
            dead.create.iter().for_each(|new| self.create(new));
            self.post(dead.target, dead.first, dead.messages.len(), above);
        }
    }

    fn drop(&mut self, queue: u64, sequences: Range<u64>) {
        self.removed.entry(queue).or_default().insert(sequences);
    }

    fn post(&mut self, queue: u64, first: u64, count: usize, above: bool) {
        let end = first.saturating_add(count as u64);
        if above {
            let lowest = self.first_post.entry(queue).or_insert(first);
            *lowest = (*lowest).min(first);
        }
        self.name(queue, end.checked_sub(1));
    }

    fn name_all(&mut self, queue: u64, sequences: &Sequences) {
        self.name(queue, sequences.ranges().last().and_then(|run| run.end.checked_sub(1)));
    }

    fn name(&mut self, queue: u64, last: Option<u64>) {
        let Some(last) = last else { return };
        let named = self.named.entry(queue).or_default();
        *named = (*named).max(last.saturating_add(1));
    }

    pub(super) fn is_removed(&self, queue: u64, sequence: u64) -> bool {
        self.removed.get(&queue).is_some_and(|removed| removed.contains(sequence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Project, QueueName};
    use crate::state::Queue;
    use crate::state::op::{Address, Import, ImportedPage, Posted};
    use crate::storage::budget::Budget;

    fn note(facts: &mut Facts, op: Op<'_>) {
        let mut body = Vec::new();
        codec::encode_into(&JournalEntry { time: 10, op }, &mut body).unwrap();
        facts.note(&body, true);
    }

    #[test]
    fn a_move_back_brings_the_queue_and_its_messages_back() {
        let (mut facts, new) =
            (Facts::default(), || NewQueue { number: 5, project: None, name: "q".into(), metadata: "{}".into() });
        note(&mut facts, Op::CreateQueue(new()));
        note(&mut facts, Op::Delete { queue: 5, messages: [1, 2].into_iter().collect() });
        note(&mut facts, Op::Purge { queue: 5, next: 10, fill: false });
        note(&mut facts, Op::DeleteQueue { queue: 5 });
        assert!(facts.deleted.contains(&5) && (0..10).all(|sequence| facts.is_removed(5, sequence)));
        // Messages 3 and 4 are live in the other store.
        let mut queue = Queue::from_new(&new(), 1, &Budget::unlimited()).unwrap();
        let posted = || Posted {
            ttl: 60,
            delay: 0,
            checksum: None,
            envelope: b"".as_slice().into(),
            body: b"body".as_slice().into(),
        };
        let messages = vec![posted(), posted()];
        queue.apply(2, 10, &Op::Post { queue: 5, first: 3, client: [1; 16], key: [].as_slice().into(), messages });
        let page = queue.pages().values().next().unwrap().freeze();
        let content = page.content.clone().unwrap();
        let bodies = content.bodies().to_vec().into();
        let pages = vec![ImportedPage { first: page.first, record: page.record(&content), bodies }];
        note(&mut facts, Op::CreateQueue(new()));
        let (project, name) = (Project::none(), QueueName::new("q").unwrap());
        let (address, subscriptions) = (Address::of(&project, &name), vec![]);
        note(
            &mut facts,
            Op::Import(Import {
                queue: 5,
                next: 5,
                expired: 0,
                bucket: None,
                claims: vec![],
                pages,
                address,
                subscriptions,
            }),
        );
        assert!(!facts.deleted.contains(&5));
        let removed: Vec<u64> = (0..10).filter(|sequence| facts.is_removed(5, *sequence)).collect();
        assert_eq!(removed, [0, 1, 2, 5, 6, 7, 8, 9]);
    }
}
