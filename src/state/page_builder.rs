//! Pages of messages that come one by one from outside, for an import.
//!
//! 1. The messages come in the order of their sequences. A page takes them as a post would: while they
//!    [fit](PageBuilder::fits).

use std::sync::Arc;

use super::op::ImportedPage;
use super::page::{Hold, PageRecord};
use super::page_content::{Content, IncomingMessage, PAGE_BYTES, PAGE_MESSAGES, narrow};
use crate::storage::budget::Budget;

/// A page that is being filled.
#[derive(Debug)]
pub(crate) struct PageBuilder {
    first: u64,
    content: Content,
    /// Why each message is not there to be claimed, and the number of its claim.
    holds: Vec<(Hold, u64)>,
}

impl PageBuilder {
    /// An empty page whose first message will be at the sequence `first`.
    pub(crate) fn new(first: u64, budget: &Arc<Budget>) -> Self {
        Self { first, content: Content::new(budget), holds: Vec::new() }
    }

    /// Whether a message whose body and envelope have `bytes` still fits at `sequence`.
    pub(crate) fn fits(&self, sequence: u64, bytes: usize) -> bool {
        let near = sequence.checked_sub(self.first).is_some_and(|distance| u32::try_from(distance).is_ok());
        let small = self.holds.is_empty() || self.bytes().saturating_add(bytes) <= PAGE_BYTES;
        near && small && self.holds.len() < PAGE_MESSAGES
    }

    /// Bytes of what is stored of its messages.
    pub(crate) fn bytes(&self) -> usize {
        self.content.bodies().len()
    }

    /// Adds a message, under the claim of that number if there is one; [`Self::fits`] has said that it fits.
    pub(crate) fn push(&mut self, sequence: u64, message: &IncomingMessage<'_>, claim: Option<u64>) {
        self.content.push(narrow(sequence.saturating_sub(self.first)), message);
        self.holds.push(match claim {
            Some(number) => (Hold::Claimed, number),
            None if message.is_delayed() => (Hold::Delayed, message.ready_at),
            None => (Hold::Free, 0),
        });
    }

    /// The page, as it is imported.
    pub(crate) fn finish(self) -> ImportedPage<'static> {
        let slots = self.content.slots().iter().zip(self.holds).map(|(slot, (hold, number))| {
            let mut slot = *slot;
            slot.hold = number;
            (slot, hold)
        });
        let record = PageRecord {
            bodies_bytes: narrow(self.content.bodies().len() as u64),
            clients: self.content.clients().to_vec(),
            slots: slots.collect(),
            reasons: self.content.reasons().clone(),
        };
        ImportedPage { first: self.first, record, bodies: self.content.bodies().to_vec().into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Page;

    #[test]
    fn a_page_takes_what_a_post_would_put_into_it() {
        let budget = Budget::unlimited();
        let body = vec![7; PAGE_BYTES / 2];
        let mut builder = PageBuilder::new(5, &budget);
        assert!(builder.fits(5, PAGE_BYTES * 9), "a large message has a page of its own");
        builder.push(5, &IncomingMessage::sample(&body), None);
        assert!(builder.fits(6, PAGE_BYTES / 2) && !builder.fits(6, PAGE_BYTES / 2 + 1));
        assert!(!builder.fits(5 + (1 << 32), 1) && !builder.fits(4, 1));
        let mut full = PageBuilder::new(0, &budget);
        (0..PAGE_MESSAGES as u64).for_each(|sequence| full.push(sequence, &IncomingMessage::sample(b""), None));
        assert!(!full.fits(PAGE_MESSAGES as u64, 0));
    }

    #[test]
    fn holds_come_back_as_they_were_given() {
        let budget = Budget::unlimited();
        let mut builder = PageBuilder::new(5, &budget);
        let free = IncomingMessage::sample(b"free");
        builder.push(5, &free, None);
        builder.push(7, &free, Some(99));
        builder.push(9, &IncomingMessage { ready_at: 50, ..free }, None);
        let page = builder.finish();
        let page = Page::from_record(page.first, &page.record, page.bodies.to_vec(), &budget).unwrap();
        assert_eq!((page.live(), page.claimed(), page.delayed()), (0b111, 0b010, 0b100));
        assert_eq!([0, 1, 2].map(|index| page.slot(index).unwrap().hold), [0, 99, 50]);
        assert_eq!([0, 1, 2].map(|index| page.sequence(index)), [5, 7, 9]);
    }
}
