//! Pages that are not in memory: bringing them there before something needs them.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use super::{Content, Due, Page, Queue, Result};
use crate::state::op::Op;
use crate::state::sequences::Sequences;

/// How many pages ahead of the one that is read the disk is told of.
const AHEAD: usize = 8;

impl Queue {
    /// Sees to it that a page's content is in memory.
    ///
    /// # Errors
    /// `Corrupt` if what is on disk is not what was written, `Io` if it cannot be read.
    pub(crate) fn load(&self, page: &Page) -> Result<()> {
        if page.content().is_some() {
            return Ok(());
        }
        let content = match self.read(page) {
            Ok(content) => content,
            Err(error) => return self.note_read(page, Some(error)),
        };
        self.note_read(page, None)?;
        page.keep(content);
        self.hot.borrow_mut().insert(page.first());
        self.read.borrow_mut().push(page.first());
        // Whoever goes on from page to page comes there soon.
        let ahead = self.pages.range((Bound::Excluded(page.first()), Bound::Unbounded)).nth(AHEAD);
        if let Some(image) = ahead.filter(|(_, page)| page.content().is_none()).and_then(|(_, page)| page.image()) {
            image.will_need();
        }
        Ok(())
    }

    /// A page's content, from wherever it is; the page stays as it is.
    pub(crate) fn read(&self, page: &Page) -> Result<Arc<Content>> {
        page.read(&self.budget, self.number)
    }

    /// The pages whose content is in memory.
    pub(crate) fn hot(&self) -> BTreeSet<u64> {
        self.hot.borrow().clone()
    }

    /// Brings everything into memory that applying `op` changes; what is damaged changes by its entry.
    pub(crate) fn prepare(&self, op: &Op<'_>) -> Result<()> {
        match op {
            Op::Post { messages, .. } => messages.first().map_or(Ok(()), |first| self.load_tail(first.body.len())),
            Op::Receive(received) => received.letters.first().map_or(Ok(()), |first| self.load_tail(first.body.len())),
            Op::Claim(claim) => {
                if claim.queue == self.number() {
                    self.load_pages(&claim.taken)?;
                    self.load_pages(&claim.moved)?;
                }
                let dead = claim.dead.as_ref().filter(|dead| dead.target == self.number());
                let first = dead.and_then(|dead| dead.messages.first());
                first.map_or(Ok(()), |first| self.load_tail(first.body.len()))
            }
            Op::RenewClaim { claim, .. } | Op::ReleaseClaim { claim, .. } => {
                let number = self.claims().number(claim);
                number.map_or(Ok(()), |number| self.load_claimed(number))
            }
            Op::Delete { messages, .. } => self.load_pages(messages),
            Op::DropDamaged { ranges, .. } => ranges.iter().try_for_each(|(from, to)| self.load_range(*from, *to)),
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
            | Op::Import(_)
            | Op::Remap { .. } => Ok(()),
        }
    }

    /// The last page, if a message with a body of that size is going to be appended to it.
    fn load_tail(&self, body_bytes: usize) -> Result<()> {
        let tail = self.pages.last_key_value().filter(|(_, tail)| tail.has_room(self.next, body_bytes));
        tail.map_or(Ok(()), |(_, tail)| self.load_unless_damaged(tail))
    }

    /// The pages of `sequences`.
    fn load_pages(&self, sequences: &Sequences) -> Result<()> {
        let mut end = 0;
        for sequence in sequences.iter() {
            if sequence < end {
                continue;
            }
            let Some(first) = self.page_of(sequence) else { continue };
            let next = self.pages.range((Bound::Excluded(first), Bound::Unbounded)).next();
            end = next.map_or(u64::MAX, |(next, _)| *next);
            self.pages.get(&first).map_or(Ok(()), |page| self.load_unless_damaged(page))?;
        }
        Ok(())
    }

    /// The pages from `from` up to `to`.
    fn load_range(&self, from: u64, to: u64) -> Result<()> {
        let start = self.page_of(from).unwrap_or(from);
        self.pages.range(start..to).try_for_each(|(_, page)| self.load_unless_damaged(page))
    }

    fn load_claimed(&self, number: u64) -> Result<()> {
        self.claims().get(number).map_or(Ok(()), |claim| self.load_pages(&claim.sequences))
    }

    /// What has to be in memory for something due by `now` to fall due.
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
