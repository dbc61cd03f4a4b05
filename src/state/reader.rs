//! Reading a queue: finding messages and making the records callers get. The queue has been advanced to `now`.

use std::ops::{Bound, Range};
use std::sync::Arc;

use bytes::Bytes;

use crate::model::error::{Error, Result};
use crate::model::settings::ParsedSettings;
use crate::model::{
    Body, Checksum, ClaimId, ClaimRate, ClaimRecord, Envelope, Message, MessageId, MessageStat, QueueStats, Timestamp,
};

use super::bucket::Quota;
use super::envelope;
use super::message_slot::MessageSlot;
use super::page::{Hold, Page, bits};
use super::page_content::PAGE_BYTES;
use super::queue::Queue;
use super::sequences::Sequences;

impl Queue {
    /// The live message at `sequence`.
    pub(crate) fn locate(&self, sequence: u64) -> Result<Option<(&Page, usize)>> {
        let Some((_, page)) = self.pages().range(..=sequence).next_back() else { return Ok(None) };
        let Some(index) = page.find(sequence) else { return Ok(None) };
        self.load(page)?;
        Ok(Some((page, index)))
    }

    /// As [`Self::locate`], for a message that is probably in the page `near`.
    pub(crate) fn locate_near<'a>(
        &'a self,
        near: Option<&'a Page>,
        sequence: u64,
    ) -> Result<Option<(&'a Page, usize)>> {
        match near.filter(|page| page.content().is_some()).and_then(|page| Some((page, page.find(sequence)?))) {
            Some(place) => Ok(Some(place)),
            None => self.locate(sequence),
        }
    }

    /// Visits the live messages at `sequences`, oldest first.
    pub(crate) fn visit<'a>(&'a self, sequences: &Sequences, mut visit: impl FnMut(&'a Page, usize)) -> Result<()> {
        let mut rest = sequences.portions();
        while let Some((page, found)) = self.next_found(&mut rest) {
            self.load(page)?;
            bits(found).for_each(|index| visit(page, index));
        }
        Ok(())
    }

    /// The messages that a claim may take, oldest first, without those of damaged pages.
    pub(crate) fn claimable(&self) -> impl Iterator<Item = Result<(&Page, usize)>> {
        let pages = self.ready().iter().filter_map(|first| self.pages().get(first));
        // A page that is found damaged is an error only for the call that finds it.
        let places = self.behind(pages, None, Page::ready);
        places.filter(|place| !place.as_ref().is_err_and(Error::is_corrupt))
    }

    /// The messages behind `after` that a claim may take, oldest first. Only pages that are newly found damaged are
    /// errors.
    pub(crate) fn claimable_after(&self, after: Option<u64>) -> impl Iterator<Item = Result<(&Page, usize)>> {
        let start = after.map_or(0, |after| self.page_of(after).unwrap_or(after));
        let pages = self.ready().range(start..).filter_map(|first| self.pages().get(first));
        self.behind(pages, after, Page::ready)
    }

    /// The messages behind `after` that `choose` picks from each page, oldest first.
    pub(crate) fn alive_after(
        &self,
        after: Option<u64>,
        choose: impl Fn(&Page) -> u128,
    ) -> impl Iterator<Item = Result<(&Page, usize)>> {
        let start = after.and_then(|after| self.page_of(after)).map_or(Bound::Unbounded, Bound::Included);
        self.behind(self.pages().range((start, Bound::Unbounded)).map(|(_, page)| page), after, choose)
    }

    /// A page that cannot be read is an error in place of its messages.
    fn behind<'a>(
        &'a self,
        pages: impl Iterator<Item = &'a Box<Page>>,
        after: Option<u64>,
        choose: impl Fn(&Page) -> u128,
    ) -> impl Iterator<Item = Result<(&'a Page, usize)>> {
        pages.flat_map(move |page| {
            // Before the page may be found to be damaged.
            let chosen = choose(page);
            let fault = if chosen == 0 { None } else { self.load(page).err() };
            let behind = if chosen == 0 || fault.is_some() { 0 } else { page.behind(after) };
            let places = bits(chosen & behind).map(move |index| (&**page, index));
            fault.map(Err).into_iter().chain(places.map(Ok))
        })
    }

    /// The oldest live message.
    pub(crate) fn oldest(&self) -> Result<Option<(&Page, usize)>> {
        let Some((_, page)) = self.pages().first_key_value() else { return Ok(None) };
        self.load(page)?;
        Ok(oldest_in(page))
    }

    /// The oldest and the newest live message that can be read.
    pub(crate) fn ends(&self) -> Result<[Option<(&Page, usize)>; 2]> {
        let oldest = self.first_readable(self.pages().values())?;
        let newest = self.first_readable(self.pages().values().rev())?;
        Ok([oldest.and_then(oldest_in), newest.and_then(newest_in)])
    }

    /// The numbers of the live messages, with the oldest and the newest that can be read, and the claim rate by the
    /// queue's settings.
    pub(crate) fn stats(&self, settings: &ParsedSettings, now: u64) -> Result<QueueStats> {
        let totals = self.totals();
        let [oldest, newest] = self.ends()?;
        let stat = |place: Option<(&Page, usize)>| {
            let (page, index) = place?;
            let (id, created, read_at) = Reading::identify(self, page, index, now)?;
            Some(MessageStat { id, created, read_at })
        };
        Ok(QueueStats {
            claimed: totals.claimed,
            free: totals.total.saturating_sub(totals.claimed),
            delayed: totals.delayed,
            expired: totals.expired,
            oldest: stat(oldest),
            newest: stat(newest),
            claim_rate: self.claim_rate(settings, now),
        })
    }

    /// The claim rate by the queue's settings, and what may be handed out.
    pub(crate) fn claim_rate(&self, settings: &ParsedSettings, now: u64) -> Option<ClaimRate> {
        Quota::of(settings, self.bucket(), now).map(Quota::shown)
    }

    /// The live claim of that id, with its live messages.
    pub(crate) fn claim_record(&self, id: &ClaimId, now: u64) -> Result<Option<ClaimRecord>> {
        let Some(number) = self.claims().number(id.as_bytes()) else { return Ok(None) };
        let Some(claim) = self.claims().get(number) else { return Ok(None) };
        let mut reading = Reading::new(now);
        self.visit(&claim.sequences, |page, index| {
            if page.held_by(index, number) {
                reading.push_with(self, page, index, Some(*id));
            }
        })?;
        Ok(Some(ClaimRecord { id: *id, ttl: claim.ttl, age: claim.age(now), messages: reading.finish() }))
    }

    fn first_readable<'a>(&self, pages: impl Iterator<Item = &'a Box<Page>>) -> Result<Option<&'a Page>> {
        for page in pages {
            match self.load(page) {
                Err(_) if page.is_damaged() => {}
                loaded => return loaded.map(|()| Some(&**page)),
            }
        }
        Ok(None)
    }

    /// The newest live message.
    pub(crate) fn newest(&self) -> Result<Option<(&Page, usize)>> {
        let Some((_, page)) = self.pages().last_key_value() else { return Ok(None) };
        self.load(page)?;
        Ok(newest_in(page))
    }
}

fn oldest_in(page: &Page) -> Option<(&Page, usize)> {
    bits(page.live()).next().map(|index| (page, index))
}

fn newest_in(page: &Page) -> Option<(&Page, usize)> {
    let index = u128::BITS.checked_sub(page.live().leading_zeros())?.checked_sub(1)?;
    Some((page, index as usize))
}

/// Collects messages for a caller; the small bodies share one allocation.
#[derive(Debug)]
pub(crate) struct Reading {
    now: Timestamp,
    messages: Vec<Message>,
    small: Vec<u8>,
    /// The messages whose bodies are in `small`, with their ranges.
    places: Vec<(usize, Range<usize>)>,
    /// Bytes of all bodies and headers.
    bytes: u64,
}

impl Reading {
    pub(crate) fn new(now: u64) -> Self {
        Self { now: Timestamp::from_millis(now), messages: Vec::new(), small: Vec::new(), places: Vec::new(), bytes: 0 }
    }

    /// How many messages were collected.
    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Bytes of their bodies and headers.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// A reading with capacity for `messages` of the size of the queue's last one.
    pub(crate) fn with_capacity(queue: &Queue, now: u64, messages: usize) -> Self {
        let now = Timestamp::from_millis(now);
        let tail = queue.pages().last_key_value().and_then(|(_, page)| newest_in(page));
        let body = tail.and_then(|(page, index)| page.slot(index).map(|slot| page.body(slot).len()));
        let bytes = body.unwrap_or(0).min(PAGE_BYTES).saturating_mul(messages).min(PAGE_BYTES);
        Self {
            now,
            messages: Vec::with_capacity(messages),
            small: Vec::with_capacity(bytes),
            places: Vec::with_capacity(messages),
            bytes: 0,
        }
    }

    /// The statistics of a message: its id, its time of creation, and its age.
    pub(crate) fn identify(
        queue: &Queue,
        page: &Page,
        index: usize,
        now: u64,
    ) -> Option<(MessageId, Timestamp, Timestamp)> {
        let created = Timestamp::from_millis(page.slot(index)?.created());
        Some((MessageId::new(queue.number(), page.sequence(index)), created, Timestamp::from_millis(now)))
    }

    /// Adds a message of `queue`.
    pub(crate) fn push(&mut self, queue: &Queue, page: &Page, index: usize) {
        let number = page.slot(index).map(|slot| slot.hold).filter(|_| page.hold(index) == Hold::Claimed);
        let claim = number.and_then(|number| queue.claims().get(number));
        self.push_with(queue, page, index, claim.map(|claim| ClaimId::from_bytes(claim.id)));
    }

    /// Adds a message of `queue` that is under `claim`, or under none.
    pub(crate) fn push_with(&mut self, queue: &Queue, page: &Page, index: usize, claim: Option<ClaimId>) {
        let Some(slot) = page.slot(index) else { return };
        let body = page.body(slot);
        let envelope = envelope_of(page, slot);
        let headers = envelope.as_ref().map_or(0, |envelope| envelope.headers.bytes());
        self.bytes = self.bytes.saturating_add(body.len() as u64).saturating_add(headers);
        let shared = if body.len() > PAGE_BYTES { share(page, index) } else { self.copy(body) };
        self.messages.push(Message {
            id: MessageId::new(queue.number(), page.sequence(index)),
            created: Timestamp::from_millis(slot.created()),
            read_at: self.now,
            ttl: slot.ttl(),
            body: shared,
            claim,
            claim_count: slot.claim_count,
            claimed: slot.claimed(),
            failure: if slot.claim_count > 0 { page.failure(index).map(Into::into) } else { None },
            checksum: page.checksum(slot).map(Checksum),
            envelope,
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

/// The envelope of a message, if it has one. The page has been checked when it was read.
fn envelope_of(page: &Page, slot: &MessageSlot) -> Option<Arc<Envelope>> {
    if slot.has_envelope() { envelope::decode(page.envelope(slot)).ok().map(Arc::new) } else { None }
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
    let Some((bodies, range)) = page.content().map(|content| content.shared_body(slot)) else {
        return Body::from_bytes(Bytes::new());
    };
    Body::from_bytes(Bytes::from_owner(Owner(bodies)).slice(range))
}
