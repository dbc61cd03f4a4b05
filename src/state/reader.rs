//! Reading a queue: finding messages and making the records callers get. The queue has been advanced to `now`.

use std::ops::{Bound, Range};
use std::sync::Arc;

use bytes::Bytes;

use crate::model::{Body, Checksum, ClaimId, Message, MessageId, Timestamp};

use super::page::{PAGE_BYTES, Page, bits};
use super::queue::Queue;

impl Queue {
    /// The live message at `sequence`.
    pub(crate) fn locate(&self, sequence: u64) -> Option<(&Page, usize)> {
        let (_, page) = self.pages().range(..=sequence).next_back()?;
        Some((page, page.find(sequence)?))
    }

    /// The messages a claim may take, oldest first.
    pub(crate) fn claimable(&self) -> impl Iterator<Item = (&Page, usize)> {
        let pages = self.ready().iter().filter_map(|first| self.pages().get(first));
        pages.flat_map(|page| bits(page.ready()).map(move |index| (&**page, index)))
    }

    /// The messages a claim may take that stand behind `after`, oldest first.
    pub(crate) fn claimable_after(&self, after: Option<u64>) -> impl Iterator<Item = (&Page, usize)> {
        let start = after.map_or(0, |after| self.page_of(after).unwrap_or(after));
        let pages = self.ready().range(start..).filter_map(|first| self.pages().get(first));
        behind(pages, after, Page::ready)
    }

    /// The messages behind `after` that `choose` picks from each page, oldest first.
    pub(crate) fn alive_after(
        &self,
        after: Option<u64>,
        choose: impl Fn(&Page) -> u128,
    ) -> impl Iterator<Item = (&Page, usize)> {
        let start = after.and_then(|after| self.page_of(after)).map_or(Bound::Unbounded, Bound::Included);
        behind(self.pages().range((start, Bound::Unbounded)).map(|(_, page)| page), after, choose)
    }

    /// The oldest live message.
    pub(crate) fn oldest(&self) -> Option<(&Page, usize)> {
        let page = self.pages().first_key_value()?.1;
        Some((page, bits(page.live()).next()?))
    }

    /// The newest live message.
    pub(crate) fn newest(&self) -> Option<(&Page, usize)> {
        let page = self.pages().last_key_value()?.1;
        let index = u128::BITS.checked_sub(page.live().leading_zeros())?.checked_sub(1)?;
        Some((page, index as usize))
    }
}

fn behind<'a>(
    pages: impl Iterator<Item = &'a Arc<Page>>,
    after: Option<u64>,
    choose: impl Fn(&Page) -> u128,
) -> impl Iterator<Item = (&'a Page, usize)> {
    pages.flat_map(move |page| {
        let chosen = bits(choose(page)).map(move |index| (&**page, index));
        chosen.filter(move |(page, index)| after.is_none_or(|after| page.sequence(*index) > after))
    })
}

/// Collects messages for a caller; the small bodies share one allocation.
#[derive(Debug)]
pub(crate) struct Reading<'a> {
    queue: &'a Queue,
    now: Timestamp,
    messages: Vec<Message>,
    small: Vec<u8>,
    /// Which messages' bodies lie where in `small`.
    places: Vec<(usize, Range<usize>)>,
}

impl<'a> Reading<'a> {
    pub(crate) fn new(queue: &'a Queue, now: u64) -> Self {
        Self::with_room(queue, now, 0)
    }

    /// With room for `messages` like the last one of the queue.
    pub(crate) fn with_room(queue: &'a Queue, now: u64, messages: usize) -> Self {
        let now = Timestamp::from_millis(now);
        let body = queue.newest().and_then(|(page, index)| page.slot(index).map(|slot| page.body(slot).len()));
        let bytes = body.unwrap_or(0).min(PAGE_BYTES).saturating_mul(messages).min(PAGE_BYTES);
        Self {
            queue,
            now,
            messages: Vec::with_capacity(messages),
            small: Vec::with_capacity(bytes),
            places: Vec::with_capacity(messages),
        }
    }

    /// What statistics tell of a message: its id, when it was posted, and now.
    pub(crate) fn identify(
        queue: &Queue,
        page: &Page,
        index: usize,
        now: u64,
    ) -> Option<(MessageId, Timestamp, Timestamp)> {
        let created = Timestamp::from_millis(page.slot(index)?.created);
        Some((MessageId::new(queue.number(), page.sequence(index)), created, Timestamp::from_millis(now)))
    }

    pub(crate) fn push(&mut self, page: &Page, index: usize) {
        let Some(slot) = page.slot(index) else { return };
        let claim = if page.claimed() & (1 << index) == 0 { None } else { self.queue.claims().get(slot.hold) };
        let body = page.body(slot);
        let shared = if body.len() > PAGE_BYTES { share(page, index) } else { self.copy(body) };
        self.messages.push(Message {
            id: MessageId::new(self.queue.number(), page.sequence(index)),
            created: Timestamp::from_millis(slot.created),
            read_at: self.now,
            ttl: slot.ttl,
            body: shared,
            claim: claim.map(|claim| ClaimId::from_bytes(claim.id)),
            claim_count: slot.claim_count,
            checksum: page.checksum(slot).map(Checksum),
        });
    }

    fn copy(&mut self, body: &[u8]) -> Body {
        let start = self.small.len();
        self.small.extend_from_slice(body);
        self.places.push((self.messages.len(), start..self.small.len()));
        Body::from_bytes(Bytes::new())
    }

    pub(crate) fn finish(mut self) -> Vec<Message> {
        let small = Bytes::from(self.small);
        for (index, place) in self.places {
            if let Some(message) = self.messages.get_mut(index) {
                message.body = Body::from_bytes(small.slice(place));
            }
        }
        self.messages
    }
}

/// A body as part of the page's own allocation.
fn share(page: &Page, index: usize) -> Body {
    struct Owner(Arc<Vec<u8>>);
    impl AsRef<[u8]> for Owner {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    let Some(slot) = page.slot(index) else { return Body::from_bytes(Bytes::new()) };
    let (bodies, range) = page.shared_body(slot);
    Body::from_bytes(Bytes::from_owner(Owner(bodies)).slice(range))
}
