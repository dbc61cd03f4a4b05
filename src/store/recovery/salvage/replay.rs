//! Replay of the journal's changes on the loaded state, when some changes are missing.
//!
//! 1. The messages of a missing post are taken from page images, at their position. Messages that are in no image count
//!    as lost, because sequences are assigned without gaps.
//! 2. A message that exists already, from an image, is not posted again.

use std::collections::BTreeSet;
use std::ops::Range;

use super::images::{FoundImage, note};
use super::merge::Merge;
use crate::model::error::{Error, Result};
use crate::model::numbering::{first_of, incarnation_of};
use crate::state::Obstacle;
use crate::state::op::{Bookmarked, JournalEntry, NewQueue, Op, Step};
use crate::storage::codec;
use crate::storage::journal::scan::Damage;

/// Omits messages from `first` on that are below `next`.
fn omit<T>(next: u64, first: &mut u64, messages: &mut Vec<T>) {
    let there = usize::try_from(next.saturating_sub(*first)).unwrap_or(usize::MAX).min(messages.len());
    messages.drain(..there);
    *first = first.saturating_add(there as u64);
}

impl Merge<'_> {
    /// Applies a change of the journal as far as possible.
    pub(super) fn replay(&mut self, lsn: u64, body: &[u8]) -> Result<()> {
        let Ok(mut entry) = codec::decode::<JournalEntry<'_>>(body) else {
            self.lost_changes = self.lost_changes.saturating_add(1);
            return Ok(());
        };
        self.bridge(lsn, &mut entry.op)?;
        match self.contents.replay_entry(lsn, &entry) {
            Ok(()) => {
                self.replayed = self.replayed.saturating_add(1);
                Ok(())
            }
            Err(Obstacle::Wrong(reason)) => {
                self.reject(lsn, &reason);
                Ok(())
            }
            Err(Obstacle::Failed(error)) if error.is_damage() => {
                self.reject(lsn, &error.to_string());
                Ok(())
            }
            Err(Obstacle::Failed(error)) => Err(error),
        }
    }

    fn reject(&mut self, lsn: u64, reason: &str) {
        self.lost_changes = self.lost_changes.saturating_add(1);
        let (file, reason) = (self.journal.clone(), format!("change {lsn} cannot be applied: {reason}"));
        note(&mut self.damages, Damage { file, offset: 0, reason });
    }

    /// Brings the queues to where the change finds them as it did live.
    fn bridge(&mut self, lsn: u64, op: &mut Op<'_>) -> Result<()> {
        match op {
            Op::CreateQueue(new) | Op::Register { new, .. } => self.make_way(new),
            Op::Post { queue, first, messages, .. } => self.meet(lsn, *queue, first, messages)?,
            Op::Batch(steps) | Op::Bookmark(Bookmarked { steps, .. }) => self.meet_all(lsn, steps)?,
            Op::Receive(received) => self.meet(lsn, received.queue, &mut received.first, &mut received.messages)?,
            Op::Import(import) => drop(self.ensure(import.queue)),
            Op::SetMetadata { queue, .. } | Op::Remap { queue, .. } => drop(self.ensure(*queue)),
            Op::Recall { queue, address } => self.recall(*queue, address.key()),
            Op::Claim(claim) => {
                if let Some(dead) = &mut claim.dead {
                    match &dead.create {
                        Some(new) => self.make_way(new),
                        None => drop(self.ensure(dead.target)),
                    }
                    self.meet(lsn, dead.target, &mut dead.first, &mut dead.messages)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A queue is created under a name: one that still has it was deleted by a change that is missing.
    fn make_way(&mut self, new: &NewQueue<'_>) {
        self.take_name(new.key(), new.number);
    }

    /// Fills the gap before messages from `first` on, and omits messages that exist already.
    fn meet<T>(&mut self, lsn: u64, number: u64, first: &mut u64, messages: &mut Vec<T>) -> Result<()> {
        if !self.ensure(number) {
            return Ok(());
        }
        match self.next_before(lsn, number) {
            Some(next) if next < *first => self.fill(number, next..*first)?,
            next => omit(next.unwrap_or(0), first, messages),
        }
        Ok(())
    }

    /// As [`Self::meet`], for each post of a batch. Those of one queue follow one another without a gap.
    fn meet_all(&mut self, lsn: u64, steps: &mut [Step<'_>]) -> Result<()> {
        let mut met = BTreeSet::new();
        for step in steps {
            match step {
                Step::Post { queue, first, messages, .. } if met.insert(*queue) => {
                    self.meet(lsn, *queue, first, messages)?;
                }
                Step::Post { queue, first, messages, .. } => {
                    omit(self.next_before(lsn, *queue).unwrap_or(0), first, messages);
                }
                Step::Renew { .. } | Step::Release { .. } | Step::Delete { .. } => {}
            }
        }
        Ok(())
    }

    /// The next sequence of a queue that does not have the change `lsn` yet.
    fn next_before(&self, lsn: u64, number: u64) -> Option<u64> {
        let (stands, next) = self.contents.queues.get(&number).map(|queue| queue.state.position())?;
        (stands < lsn).then_some(next)
    }

    /// Takes the messages of `range` from page images; counts those that are neither found nor known to be removed.
    fn fill(&mut self, number: u64, range: Range<u64>) -> Result<()> {
        let images = self.images.around(number, &range);
        let mut known = self.take_in(number, &images, range.clone())?.decided;
        // Sequences of an incarnation begin at its first, wherever those of the last one ended.
        let given = range.start.max(first_of(incarnation_of(range.end)))..range.end;
        self.facts.removed.get(&number).into_iter().for_each(|removed| known.unite(removed, &given));
        let all = given.end.saturating_sub(given.start);
        self.lose(number, all.saturating_sub(known.count_within(&given)));
        Ok(())
    }

    /// Adds the messages that missing changes posted last.
    pub(super) fn fill_ends(&mut self) -> Result<()> {
        let numbers: Vec<u64> = self.contents.queues.keys().copied().chain(self.images.queues()).collect();
        for number in numbers {
            let there = self.contents.queues.contains_key(&number);
            // A queue without a record was deleted, unless its creation is missing.
            let may_be_missed = self.lost_changes > 0 || self.is_partial;
            if !there && (!may_be_missed || number < self.known_queues || !self.ensure(number)) {
                continue;
            }
            let Some(next) = self.contents.queues.get(&number).map(|queue| queue.state.position().1) else { continue };
            let images: Vec<FoundImage> =
                self.images.of(number).iter().filter(|one| one.last >= next).copied().collect();
            self.take_in(number, &images, next..u64::MAX)?;
            let next = self.contents.queues.get(&number).map_or(0, |queue| queue.state.position().1);
            let named = self.facts.named.get(&number).copied().unwrap_or(0);
            if next < named {
                self.fill(number, next..named)?;
            }
        }
        Ok(())
    }

    /// Ends the replay.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        self.fill_ends()?;
        self.contents.forget_unknown();
        if let Err(reason) = self.contents.finish() {
            self.reject(0, &reason);
        }
        Ok(())
    }
}
