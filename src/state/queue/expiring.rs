//! The effects of time on a queue: messages expire, claims and delays end.

use super::{Due, PageContribution, Queue, bits};
use crate::model::error::Result;

/// The effects of time: expired messages, ended claims, ended delays.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Freed {
    pub(crate) messages: u64,
    pub(crate) claims: u64,
    pub(crate) delays: u64,
    /// Messages that can be claimed now, at most: those of the claims and delays that ended.
    pub(crate) claimable: u64,
}

impl Queue {
    /// Expires, ends or frees everything due by `now`. If a page cannot be read, the remaining due work is left, and
    /// the error is returned with the work done.
    pub(crate) fn advance(&mut self, now: u64) -> (Freed, Result<()>) {
        self.advance_some(now, usize::MAX)
    }

    /// As [`Self::advance`], up to `most` claims and pages.
    pub(crate) fn advance_some(&mut self, now: u64, most: usize) -> (Freed, Result<()>) {
        let mut freed = Freed::default();
        for _ in 0..most {
            self.settle_damage();
            let Some((when, due)) = self.deadlines.first().copied().filter(|(when, _)| *when <= now) else { break };
            if let Err(error) = self.load_due(due, now) {
                return (freed, Err(error));
            }
            self.settle_damage();
            if !self.deadlines.remove(&(when, due)) {
                continue; // The page was found damaged: it is removed later, as a whole.
            }
            match due {
                Due::Claim(number) => {
                    let released = self.claims.get(number).map_or(0, |claim| claim.left);
                    self.lapse_claim(number);
                    freed.claims = freed.claims.saturating_add(1);
                    freed.claimable = freed.claimable.saturating_add(u64::from(released));
                }
                Due::Page(first) => {
                    let (expired, delays) = self.expire(first, now);
                    freed.messages = freed.messages.saturating_add(expired);
                    self.count_expired(expired);
                    freed.delays = freed.delays.saturating_add(delays);
                    freed.claimable = freed.claimable.saturating_add(delays);
                }
            }
            if self.budget.is_exceeded() || self.budget.keeps_images() {
                // However much is due, the pages read for it do not accumulate.
                self.release_read_pages();
            }
        }
        (freed, Ok(()))
    }

    fn expire(&mut self, first: u64, now: u64) -> (u64, u64) {
        if self.pages.get(&first).is_some_and(|page| page.goes_whole(now)) {
            return (self.drop_page(first), 0);
        }
        let mut lost = Vec::new();
        // However much is due, the pages read for it do not accumulate: they stay as their images have them.
        let expired = self.change_with(first, self.budget.is_exceeded(), |page| {
            let due = page.process_due(now);
            lost.extend(bits(due.expired_claimed).filter_map(|index| Some(page.slot(index)?.hold)));
            (u64::from(due.expired.count_ones()), u64::from(due.delays_ended.count_ones()))
        });
        self.lose_claimed(&lost);
        expired.unwrap_or_default()
    }

    pub(super) fn count_expired(&mut self, messages: u64) {
        if messages > 0 {
            self.totals.expired = self.totals.expired.saturating_add(messages);
            self.dirty.change_record();
        }
    }

    /// Removes a page without claimed messages, or a damaged page; returns the number of its messages.
    pub(super) fn drop_page(&mut self, first: u64) -> u64 {
        self.settle_damage();
        let Some(page) = self.pages.remove(&first) else { return 0 };
        let before = PageContribution::of(&page);
        self.dirty.pages.remove(&first);
        self.hot.get_mut().remove(&first);
        self.reindex(first, before, PageContribution::NOTHING);
        before.totals.total
    }
}
