//! Loading pages into memory before a call needs them.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use super::{Content, Due, Page, Queue, Result};
use crate::model::error::Error;
use crate::state::op::{Bookmarked, Op, Posted, Step, steps_of};
use crate::state::sequences::Sequences;

/// The number of pages ahead of a read that the disk prefetches.
const AHEAD: usize = 8;

impl Queue {
    /// Makes sure that a page's content is in memory.
    ///
    /// # Errors
    /// `Corrupt` if the image has other bytes than were written, `Io` if it cannot be read.
    pub(crate) fn load(&self, page: &Page) -> Result<()> {
        if page.content().is_some() {
            return Ok(());
        }
        let content = match self.read(page) {
            Ok(content) => content,
            Err(error) => return Err(self.note_damage(page, error)),
        };
        if page.load(content) {
            self.found.borrow_mut().push(page.first());
        }
        self.hot.borrow_mut().insert(page.first());
        self.read.borrow_mut().push(page.first());
        // A call that reads page after page needs that page soon.
        let ahead = self.pages.range((Bound::Excluded(page.first()), Bound::Unbounded)).nth(AHEAD - 1);
        if let Some(image) = ahead.filter(|(_, page)| page.content().is_none()).and_then(|(_, page)| page.image()) {
            image.will_need();
        }
        Ok(())
    }

    /// A page's content, from memory or from its image. The page's residency does not change.
    pub(crate) fn read(&self, page: &Page) -> Result<Arc<Content>> {
        page.read(&self.budget, self.number)
    }

    /// The pages whose content is in memory.
    pub(crate) fn hot(&self) -> BTreeSet<u64> {
        self.hot.borrow().clone()
    }

    /// Loads every page that applying `op` changes. Damaged pages change by their entry.
    pub(crate) fn prepare(&self, op: &Op<'_>) -> Result<()> {
        match op {
            Op::Post { messages, .. } => self.load_tail_for(messages),
            Op::Receive(received) => received.messages.first().map_or(Ok(()), |first| self.load_tail(first.size())),
            Op::Claim(claim) => {
                if claim.queue == self.number() {
                    self.load_pages(&claim.taken)?;
                    self.load_pages(&claim.moved)?;
                }
                let dead = claim.dead.as_ref().filter(|dead| dead.target == self.number());
                let first = dead.and_then(|dead| dead.messages.first());
                first.map_or(Ok(()), |first| self.load_tail(first.size()))
            }
            Op::RenewClaim { claim, .. } | Op::ReleaseClaim { claim, .. } => self.load_claimed_by(claim),
            Op::Retry(retried) => retried.groups.iter().try_for_each(|group| self.load_pages(&group.messages)),
            Op::SplitClaim(split) => self.load_pages(&split.taken),
            Op::Delete { messages, .. } | Op::Pop { messages, .. } => self.load_pages(messages),
            // A page that could not be taken in would be lost, because the source is removed.
            Op::Import(import) => import.pages.iter().try_for_each(|page| {
                let taken = Page::from_record(page.first, &page.record, page.bodies.to_vec(), &self.budget);
                taken.map(drop).map_err(|reason| Error::invalid("page", reason))
            }),
            Op::DropDamaged { ranges, .. } => ranges.iter().try_for_each(|(from, to)| self.load_range(*from, *to)),
            Op::Batch(steps) | Op::Bookmark(Bookmarked { steps, .. }) => self.prepare_steps(steps),
            Op::Time
            | Op::CreateQueue(_)
            | Op::SetMetadata { .. }
            | Op::DeleteQueue { .. }
            | Op::Purge { .. }
            | Op::EndClaims { .. }
            | Op::Registry(_)
            | Op::Clear { .. }
            | Op::Register { .. }
            | Op::Unregister { .. }
            | Op::Recall { .. }
            | Op::Remap { .. } => Ok(()),
        }
    }

    /// Loads every page that applying the queue's steps of a batch changes.
    pub(crate) fn prepare_steps(&self, steps: &[Step<'_>]) -> Result<()> {
        steps_of(steps, self.number()).iter().try_for_each(|step| self.prepare_step(step))
    }

    /// Loads every page that applying `step` changes. A page that an earlier step of the batch adds is in memory.
    fn prepare_step(&self, step: &Step<'_>) -> Result<()> {
        match step {
            Step::Post { messages, .. } => self.load_tail_for(messages),
            Step::Renew { claim, .. } | Step::Release { claim, .. } => self.load_claimed_by(claim),
            Step::Delete { messages, .. } => self.load_pages(messages),
        }
    }

    fn load_tail_for(&self, messages: &[Posted<'_>]) -> Result<()> {
        messages.first().map_or(Ok(()), |first| self.load_tail(first.size()))
    }

    /// The last page, if a message of that size is going to be appended to it.
    fn load_tail(&self, bytes: usize) -> Result<()> {
        let tail = self.pages.last_key_value().filter(|(_, tail)| tail.fits(self.next, bytes));
        tail.map_or(Ok(()), |(_, tail)| self.load_unless_damaged(tail))
    }

    /// The pages with live messages among `sequences`, which are those that a change of them changes.
    fn load_pages(&self, sequences: &Sequences) -> Result<()> {
        let mut rest = sequences.portions();
        while let Some((page, _)) = self.next_found(&mut rest) {
            self.load_unless_damaged(page)?;
        }
        Ok(())
    }

    /// The pages from `from` up to `to`.
    fn load_range(&self, from: u64, to: u64) -> Result<()> {
        let start = self.page_of(from).unwrap_or(from);
        self.pages.range(start..to.max(start)).try_for_each(|(_, page)| self.load_unless_damaged(page))
    }

    fn load_claimed_by(&self, id: &[u8; 16]) -> Result<()> {
        self.claims().number(id).map_or(Ok(()), |number| self.load_claimed(number))
    }

    fn load_claimed(&self, number: u64) -> Result<()> {
        self.claims().get(number).map_or(Ok(()), |claim| self.load_pages(&claim.sequences))
    }

    /// Loads the page that is needed for an item due by `now`.
    pub(super) fn load_due(&self, due: Due, now: u64) -> Result<()> {
        match due {
            Due::Claim(number) => self.load_claimed(number),
            Due::Page(first) => {
                let page = self.pages.get(&first).filter(|page| !page.goes_whole(now));
                page.map_or(Ok(()), |page| self.load_unless_damaged(page))
            }
        }
    }
}
