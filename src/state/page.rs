//! A page: up to 128 consecutive messages of a queue, as in the directory.
//!
//! The state of the messages that can change after the post is here, in three bit sets. The messages themselves are in
//! the page's [`Content`], which is in memory or in an image in the page files.
//!
//! 1. `claimed` and `delayed` are subsets of `live`: two bits for each message. A message in both has *lapsed*: it is
//!    free, and the lease of its last claim ran out. So the end of a claim changes no slot.
//! 2. `due` is no later than the earliest expiry of a live message and the earliest end of a delay; `FOREVER` if nothing
//!    falls due.
//! 3. `latest` is no earlier than the last expiry of a live message.
//! 4. `weight` is the sum over the live messages.
//! 5. The content is in memory, or there is an image; if both exist, they are the same (see `residency`).
//! 6. In a *dense* page a message's index is its distance from the first. A page that is neither dense nor in memory
//!    has a `spread`.
//! 7. An entry names every message of its page; if the page is not dense, by the distances from the first sequence. So
//!    where a message is in its page, and the reverse, is known of every page, in memory or not.
//! 8. A page whose image cannot be read is *damaged*: none of its messages can be claimed, nothing is appended to it,
//!    it is removed as a whole when the last of them would have expired, and only its entry changes. A claim that holds
//!    messages of it ends as any other. The mark ends with the run: the entry on disk is the same, and an image that
//!    can be read again is valid.
//!
//! Memory: 128 B for a page and its entries in the queue's indexes (see `docs::bounds` for the sum); 40 B and a byte
//! for each message more for a written page that is not dense.

mod bits;
mod converting;
mod entry;
mod held;
mod lease;
mod residency;
mod spread;

use std::cell::{Cell, OnceCell};
use std::sync::Arc;

use super::dirty::DirtySet;
use super::envelope;
use super::page_content::{Content, IncomingMessage, MessageSlot, PAGE_BYTES, PAGE_MESSAGES, narrow};
use super::sequences::Sequences;
use crate::model::error::Result;
use crate::model::{Message, Timestamp};
use crate::storage::budget::Budget;

use bits::hold;
pub(crate) use bits::{Hold, bit, bits, set_of};
use entry::read;
pub(crate) use entry::{FrozenPage, PageEntry, PageRecord, content_of};
use held::{Held, Reads};
pub(crate) use lease::Lease;
use spread::Spread;

#[derive(Debug)]
pub(crate) struct Page {
    first: u64,
    live: u128,
    claimed: u128,
    delayed: u128,
    due: u64,
    latest: u64,
    /// The weight of the live messages: their bodies and 64 B each.
    weight: u64,
    /// Where its content is.
    held: Held,
    /// The positions of the messages of a page that is not dense, once they were needed.
    spread: OnceCell<Box<Spread>>,
    body_bytes: u32,
    slots: u8,
    reads: Cell<Reads>,
    /// Whether the queue's indexes have it as damaged.
    noted: bool,
    /// Set while the queue's dirty set lists the page, so that another change needs no look-up there. Every claim and
    /// delete changes a page, and a look-up took 70 ns with 100 listed pages and 170 ns with 10 000. The flag has no
    /// meaning while the trees have no record of the queue.
    pub(super) dirty: bool,
}

/// The messages of a page whose expiry or whose end of a delay has come, as bit sets.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DueMessages {
    pub(crate) expired: u128,
    pub(crate) expired_claimed: u128,
    pub(crate) delays_ended: u128,
}

impl Page {
    pub(crate) fn new(first: u64, content: Content) -> Self {
        Self {
            first,
            live: 0,
            claimed: 0,
            delayed: 0,
            due: u64::MAX,
            latest: 0,
            weight: 0,
            held: Held::Memory(Arc::new(content)),
            spread: OnceCell::new(),
            body_bytes: 0,
            slots: 0,
            reads: Cell::new(Reads::Fine),
            noted: false,
            dirty: false,
        }
    }

    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// The instant at which something in the page falls due; in a damaged page, the whole page.
    pub(crate) fn due(&self) -> u64 {
        if self.noted { self.latest } else { self.due }
    }

    pub(crate) fn latest(&self) -> u64 {
        self.latest
    }

    pub(crate) fn live(&self) -> u128 {
        self.live
    }

    pub(crate) fn claimed(&self) -> u128 {
        self.claimed & !self.delayed
    }

    pub(crate) fn delayed(&self) -> u128 {
        self.delayed & !self.claimed
    }

    pub(crate) fn weight(&self) -> u64 {
        self.weight
    }

    /// The messages a claim may take.
    pub(crate) fn ready(&self) -> u128 {
        if self.is_damaged() { 0 } else { self.free() }
    }

    /// Whether the queue's index names the page among those with claimable messages.
    pub(super) fn is_indexed_ready(&self) -> bool {
        !self.noted && self.free() != 0
    }

    fn free(&self) -> u128 {
        self.live & !(self.claimed ^ self.delayed)
    }

    /// Whether a message whose body and envelope have `bytes` still fits at `sequence`.
    pub(crate) fn fits(&self, sequence: u64, bytes: usize) -> bool {
        let near = sequence.checked_sub(self.first).is_some_and(|distance| u32::try_from(distance).is_ok());
        let small = self.slots == 0 || (self.body_bytes as usize).saturating_add(bytes) <= PAGE_BYTES;
        near && small && usize::from(self.slots) < PAGE_MESSAGES && !self.is_damaged()
    }

    /// The content, from wherever it is; the page stays as it is.
    pub(crate) fn read(&self, budget: &Arc<Budget>, queue: u64) -> Result<Arc<Content>> {
        match self.content() {
            Some(content) => Ok(content.clone()),
            None => read(self.image(), budget, queue, self.first, &self.entry()),
        }
    }

    /// The positions of the messages.
    fn spread(&self) -> Spread {
        match self.content().filter(|content| !content.is_dense()) {
            Some(content) => (**self.spread.get_or_init(|| Box::new(Spread::of(content.slots())))).clone(),
            None => self.spread.get().map(|spread| (**spread).clone()).unwrap_or_default(),
        }
    }

    /// Appends a message; [`Self::fits`] has said that it fits.
    pub(crate) fn push(&mut self, sequence: u64, message: &IncomingMessage<'_>) {
        let (index, distance) = (usize::from(self.slots), narrow(sequence.saturating_sub(self.first)));
        let Some(content) = self.change() else { return };
        content.push(distance, message);
        let (weight, bodies) = (content.slot(index).map_or(0, MessageSlot::weight), content.bodies().len());
        self.count(index, message, weight, bodies);
    }

    /// Puts a message in at its place, which the page has lost and its entry names; whether it was not there.
    pub(crate) fn put_back(&mut self, sequence: u64, message: &IncomingMessage<'_>) -> bool {
        let Ok(distance) = u32::try_from(sequence.saturating_sub(self.first)) else { return false };
        let has_slot = usize::from(self.slots) < PAGE_MESSAGES;
        let Some(content) = self.change().filter(|_| has_slot) else { return false };
        let Some(index) = content.insert(distance, message) else { return false };
        content.settle_charge();
        let (weight, bodies) = (content.slot(index).map_or(0, MessageSlot::weight), content.bodies().len());
        let below = bit(index).wrapping_sub(1);
        let apart = |set: u128| (set & below) | ((set & !below) << 1);
        (self.live, self.claimed, self.delayed) = (apart(self.live), apart(self.claimed), apart(self.delayed));
        self.count(index, message, weight, bodies);
        true
    }

    /// Counts the message that was added at `index`; all bodies of the page now have `bodies` bytes.
    fn count(&mut self, index: usize, message: &IncomingMessage<'_>, weight: u64, bodies: usize) {
        self.body_bytes = narrow(bodies as u64);
        self.slots = self.slots.saturating_add(1);
        self.weight = self.weight.saturating_add(weight);
        self.live |= bit(index);
        if message.is_delayed() {
            self.delayed |= bit(index);
            self.due = self.due.min(message.ready_at);
        }
        self.due = self.due.min(message.expires);
        self.latest = self.latest.max(message.expires);
    }

    /// The index of the message at `sequence`, alive or not.
    pub(crate) fn position(&self, sequence: u64) -> Option<usize> {
        let distance = sequence.checked_sub(self.first)?;
        match (self.content(), self.spread.get()) {
            (Some(content), _) => content.position(u32::try_from(distance).ok()?),
            (None, Some(spread)) => spread.iter().position(|one| one == distance),
            (None, None) => usize::try_from(distance).ok().filter(|index| *index < usize::from(self.slots)),
        }
    }

    /// The last sequence in the page, alive or not; `None` for a page without messages.
    pub(crate) fn last(&self) -> Option<u64> {
        Some(self.sequence(usize::from(self.slots).checked_sub(1)?))
    }

    /// Whether there are no gaps between the messages.
    pub(crate) fn is_dense(&self) -> bool {
        match self.content() {
            Some(content) => content.is_dense(),
            None => self.spread.get().is_none(),
        }
    }

    /// The index of the live message at `sequence`.
    pub(crate) fn find(&self, sequence: u64) -> Option<usize> {
        self.position(sequence).filter(|index| self.live & bit(*index) != 0)
    }

    /// The live messages at the `count` sequences from `start` on, which is not before the page.
    pub(crate) fn find_all(&self, start: u64, count: u32) -> u128 {
        let from = start.saturating_sub(self.first);
        let below = |distance: u64| bit(self.count_below(distance)).wrapping_sub(1);
        self.live & below(from.saturating_add(count.into())) & !below(from)
    }

    /// The messages behind the sequence `after`, alive or not.
    pub(crate) fn behind(&self, after: Option<u64>) -> u128 {
        let distance = after.and_then(|after| after.checked_sub(self.first)).map(|distance| distance.saturating_add(1));
        distance.map_or(u128::MAX, |distance| !bit(self.count_below(distance)).wrapping_sub(1))
    }

    /// The number of messages nearer to the first sequence than `distance`, alive or not; in a dense page at least that
    /// many.
    fn count_below(&self, distance: u64) -> usize {
        match (self.content(), self.spread.get()) {
            (Some(content), _) if !content.is_dense() => {
                content.slots().partition_point(|slot| slot.distance() < distance)
            }
            (None, Some(spread)) => spread.iter().take_while(|one| *one < distance).count(),
            _ => usize::try_from(distance).unwrap_or(usize::MAX),
        }
    }

    pub(crate) fn slot(&self, index: usize) -> Option<&MessageSlot> {
        self.content()?.slot(index)
    }

    pub(crate) fn sequence(&self, index: usize) -> u64 {
        let distance = match (self.slot(index), self.spread.get()) {
            (Some(slot), _) => slot.distance(),
            (None, Some(spread)) => spread.iter().nth(index).unwrap_or_default(),
            (None, None) => index as u64,
        };
        self.first.saturating_add(distance)
    }

    pub(crate) fn client(&self, slot: &MessageSlot) -> [u8; 16] {
        self.content().map(|content| content.client(slot)).unwrap_or_default()
    }

    pub(crate) fn checksum(&self, slot: &MessageSlot) -> Option<[u8; 16]> {
        self.content()?.checksum(slot)
    }

    /// The message's envelope as bytes; empty if it has none.
    pub(crate) fn envelope(&self, slot: &MessageSlot) -> &[u8] {
        self.content().map(|content| content.envelope(slot)).unwrap_or_default()
    }

    /// Bytes of the message's body and headers.
    pub(crate) fn size(&self, slot: &MessageSlot) -> usize {
        let body = self.body(slot).len();
        if !slot.has_envelope() {
            return body;
        }
        let headers = envelope::decode(self.envelope(slot)).map_or(0, |envelope| envelope.headers.bytes());
        body.saturating_add(usize::try_from(headers).unwrap_or(usize::MAX))
    }

    pub(crate) fn body(&self, slot: &MessageSlot) -> &[u8] {
        self.content().map(|content| content.body(slot)).unwrap_or_default()
    }

    /// Puts free messages under the claim `number`. By the extension rule (contract 7.1), a message that would expire
    /// before the claim lives until the claim's end plus the grace.
    pub(crate) fn claim(&mut self, taken: u128, number: u64, time: u64, lease: Lease) {
        let lapsed = taken & self.claimed & self.delayed;
        self.claimed |= taken;
        self.delayed &= !taken;
        self.hold_on(taken, lease, |slot| slot.claim(number, time));
        if lapsed != 0
            && let Some(content) = self.change()
        {
            bits(lapsed).for_each(|index| content.set_failure(index, Some(Message::LEASE_RAN_OUT)));
            content.settle_charge();
        }
    }

    /// Puts messages that another claim holds under the claim `number`.
    pub(crate) fn hand_over(&mut self, held: u128, number: u64, lease: Lease) {
        self.hold_on(held, lease, |slot| slot.hold = number);
    }

    /// Gives claimed messages back until they are ready again, at once if `ready_at` is 0. Those of a damaged page are
    /// ready at once, and without the reason.
    pub(crate) fn retry(&mut self, held: u128, ready_at: u64, reason: Option<&str>) {
        if held == 0 {
            return;
        }
        self.claimed &= !held;
        let Some(content) = self.change() else { return };
        for index in bits(held) {
            content.slot_mut(index).into_iter().for_each(|slot| slot.delay_again(ready_at));
            if reason.is_some() {
                content.set_failure(index, reason);
            }
        }
        content.settle_charge();
        if ready_at > 0 {
            self.delayed |= held;
            self.due = self.due.min(ready_at);
        }
    }

    /// The messages among `found` that are under the claim that lists `listed`, by the page's entry alone: a claimed
    /// message that a claim lists is under that claim, because no other can have taken it.
    pub(crate) fn claimed_of(&self, found: u128, listed: &Sequences) -> u128 {
        set_of(bits(found & self.claimed()).filter(|index| listed.contains(self.sequence(*index))))
    }

    /// Why the message was last given back.
    pub(crate) fn failure(&self, index: usize) -> Option<&str> {
        match self.hold(index) {
            Hold::Lapsed => Some(Message::LEASE_RAN_OUT),
            _ => self.content().and_then(|content| content.failure(content.slot(index)?)),
        }
    }

    /// Runs the extension rule again for claimed messages.
    pub(crate) fn renew(&mut self, held: u128, lease: Lease) {
        self.hold_on(held, lease, |_| {});
    }

    fn hold_on(&mut self, held: u128, lease: Lease, change: impl Fn(&mut MessageSlot)) {
        if held == 0 {
            return;
        }
        let mut latest = self.latest;
        if let Some(content) = self.change() {
            for index in bits(held) {
                let Some(slot) = content.slot_mut(index) else { continue };
                change(slot);
                lease.extend(slot);
                latest = latest.max(slot.expires());
            }
        } else {
            // A damaged page may live on as long as this.
            let end = lease.now.saturating_add(lease.ttl).saturating_add(lease.grace);
            latest = latest.max(end.min(Timestamp::MAX.as_millis()));
        }
        self.latest = latest;
    }

    /// Puts a message under the claim `number` that held it before, and lasts until `end`; whether it could be.
    pub(crate) fn hold_again(&mut self, index: usize, number: u64, end: u64) -> bool {
        let Some(slot) = self.change().and_then(|content| content.slot_mut(index)) else { return false };
        slot.hold = number;
        slot.claim_count = slot.claim_count.max(1);
        // The claim may have extended the message's life beyond the recovered expiry.
        slot.set_expires(slot.expires().max(end));
        let expires = slot.expires();
        self.latest = self.latest.max(expires);
        self.claimed |= bit(index);
        self.delayed &= !bit(index);
        true
    }

    /// Frees claimed messages.
    pub(crate) fn release(&mut self, held: u128) {
        self.claimed &= !held | self.delayed;
    }

    /// Frees claimed messages whose lease ran out.
    pub(crate) fn lapse(&mut self, held: u128) {
        self.delayed |= held & self.claimed;
    }

    /// Removes live messages; adds the numbers of their claims to `lost`.
    pub(crate) fn remove(&mut self, removed: u128, lost: &mut Vec<u64>) {
        lost.extend(bits(removed & self.claimed()).filter_map(|index| Some(self.slot(index)?.hold)));
        self.forget(removed);
    }

    fn forget(&mut self, removed: u128) {
        let weight: u64 = if let Some(content) = self.content() {
            bits(removed).filter_map(|index| content.slot(index)).map(MessageSlot::weight).sum()
        } else {
            // The sizes in a damaged page are unknown, so all messages count the same.
            let (removed, live) = ((self.live & removed).count_ones(), self.live.count_ones());
            let share = u128::from(self.weight) * u128::from(removed) / u128::from(live.max(1));
            u64::try_from(share).unwrap_or(self.weight)
        };
        self.weight = self.weight.saturating_sub(weight);
        self.live &= !removed;
        self.claimed &= !removed;
        self.delayed &= !removed;
    }

    /// Whether the whole page has expired by `now`, by its entry alone.
    pub(crate) fn goes_whole(&self, now: u64) -> bool {
        self.latest <= now && (self.claimed() == 0 || self.is_damaged())
    }

    /// Expires or frees everything due by `now`. The slots of expired messages stay readable until the next change.
    pub(crate) fn process_due(&mut self, now: u64) -> DueMessages {
        let mut found = DueMessages::default();
        let mut due = u64::MAX;
        for index in bits(self.live) {
            let Some(slot) = self.slot(index) else { continue };
            if slot.expires() <= now {
                found.expired |= bit(index);
                continue;
            }
            due = due.min(slot.expires());
            if self.delayed() & bit(index) != 0 {
                if slot.hold <= now {
                    found.delays_ended |= bit(index);
                } else {
                    due = due.min(slot.hold);
                }
            }
        }
        self.delayed &= !found.delays_ended;
        found.expired_claimed = found.expired & self.claimed();
        self.forget(found.expired);
        self.due = due;
        found
    }

    /// Lists a change of the page in the queue's dirty set.
    pub(super) fn note_change(&mut self, dirty: &mut DirtySet<u64>) {
        if !std::mem::replace(&mut self.dirty, true) {
            dirty.change(&self.first);
        }
    }

    /// Whether dropping the dead messages would halve the page.
    ///
    /// Goes by bytes: one large message among small ones, or one of a few, weighs as much as it takes on disk.
    pub(crate) fn is_sparse(&self) -> bool {
        !self.is_damaged() && self.weight.saturating_mul(2) <= self.all_bytes()
    }

    /// What the page's messages take, dead ones included.
    fn all_bytes(&self) -> u64 {
        u64::from(self.body_bytes).saturating_add(u64::from(self.slots).saturating_mul(64))
    }

    /// Whether more than a sixteenth of what the page takes is of dead messages.
    pub(crate) fn is_wasteful(&self) -> bool {
        !self.is_damaged() && self.weight.saturating_mul(16) < self.all_bytes().saturating_mul(15)
    }

    /// Drops the dead messages, if the content is in memory.
    pub(crate) fn compact(&mut self) {
        let Some(content) = self.content() else { return };
        let mut content = content.only(bits(self.live));
        let among_the_living = |set: u128| {
            let places = bits(self.live).enumerate().filter(|(_, from)| set & bit(*from) != 0);
            places.fold(0, |set, (to, _)| set | bit(to))
        };
        let (claimed, delayed) = (among_the_living(self.claimed), among_the_living(self.delayed));
        let count = content.slots().len();
        content.settle_charge();
        (self.claimed, self.delayed) = (claimed, delayed);
        self.live = if count >= PAGE_MESSAGES { u128::MAX } else { bit(count).wrapping_sub(1) };
        self.slots = u8::try_from(count).unwrap_or(u8::MAX);
        self.body_bytes = narrow(content.bodies().len() as u64);
        // Exact, also if messages were removed while the page could not be read.
        self.weight = self.all_bytes();
        self.replace(content);
    }

    /// The number of the claim that the message is under.
    pub(crate) fn holder(&self, index: usize) -> Option<u64> {
        (self.hold(index) == Hold::Claimed).then(|| self.slot(index).map(|slot| slot.hold)).flatten()
    }

    /// Whether the message is under the claim `number`.
    pub(crate) fn held_by(&self, index: usize, number: u64) -> bool {
        self.holder(index) == Some(number)
    }

    pub(crate) fn hold(&self, index: usize) -> Hold {
        hold(self.claimed, self.delayed, index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: &[u8]) -> IncomingMessage<'_> {
        let (created, expires, ttl) = (100, 200, 100);
        let (claimed, failure, client) = ((0, 0), None, [1; 16]);
        let checksum = None;
        let (ready_at, claim_count, envelope) = (0, 0, [].as_slice());
        IncomingMessage {
            created,
            expires,
            ttl,
            ready_at,
            claim_count,
            claimed,
            failure,
            client,
            checksum,
            envelope,
            body,
        }
    }

    fn new_page(first: u64) -> Page {
        Page::new(first, Content::new(&Budget::unlimited()))
    }

    fn page_of(count: u64) -> Page {
        let mut page = new_page(50);
        for i in 0..count {
            page.push(50 + i, &message(format!("body {i}").as_bytes()));
        }
        page
    }

    fn body(page: &Page, sequence: u64) -> Vec<u8> {
        let index = page.find(sequence).unwrap();
        page.body(page.slot(index).unwrap()).to_vec()
    }

    #[test]
    fn compacting_keeps_what_is_alive_and_only_that() {
        let mut page = page_of(40);
        page.claim(bit(5), 77, 100, Lease { now: 100, slack: 0, ttl: 50, grace: 10 });
        page.remove(set_of((0..40).filter(|i| i % 8 != 5)), &mut Vec::new());
        assert!(page.is_sparse());
        let (weight, bodies) = (page.weight(), [5, 13, 21, 29, 37].map(|i| body(&page, 50 + i)));
        page.compact();
        assert_eq!(bits(page.live()).count(), 5);
        assert_eq!([5, 13, 21, 29, 37].map(|i| body(&page, 50 + i)), bodies);
        assert_eq!(
            bits(page.live()).map(|index| page.hold(index)).collect::<Vec<_>>()[..2],
            [Hold::Claimed, Hold::Free]
        );
        assert_eq!((page.find(50), page.weight(), page.is_dense()), (None, weight, false));
    }

    #[test]
    fn the_live_messages_of_a_range_are_found_in_dense_pages_and_others() {
        let mut page = page_of(100);
        for gap in [0, 7] {
            (0..28 - gap).for_each(|i| page.push(150 + gap + i, &message(b"more")));
            page.remove(set_of([3, 50, 99].into_iter()), &mut Vec::new());
            assert_eq!((page.is_dense(), page.behind(None)), (gap == 0, u128::MAX));
            for (start, count) in [(50, 1), (50, 128), (53, 1), (60, 50), (149, 30), (177, 300), (400, 9), (50, 0)] {
                let each = (start..start + u64::from(count)).filter_map(|sequence| page.find(sequence));
                assert_eq!(page.find_all(start, count), set_of(each), "{count} from {start}");
                let later = bits(page.live()).filter(|index| page.sequence(*index) > start);
                assert_eq!(page.live() & page.behind(Some(start)), set_of(later), "behind {start}");
            }
            page = page_of(100);
        }
    }

    #[test]
    fn messages_that_are_removed_name_their_claims() {
        let mut page = page_of(10);
        page.claim(set_of([1, 2, 5].into_iter()), 77, 100, Lease { now: 100, slack: 0, ttl: 50, grace: 10 });
        page.claim(bit(3), 78, 100, Lease { now: 100, slack: 0, ttl: 50, grace: 10 });
        let (weight, mut lost) = (page.weight(), Vec::new());
        page.remove(set_of([0, 2, 3, 4].into_iter()), &mut lost);
        assert_eq!((lost, bits(page.live()).count(), bits(page.claimed()).count()), (vec![77, 78], 6, 2));
        assert!(page.weight() < weight);
    }

    #[test]
    fn a_record_brings_the_live_messages_back() {
        let mut page = page_of(10);
        page.push(70, &IncomingMessage { ready_at: 150, checksum: Some([9; 16]), ..message(b"late") });
        page.claim(bit(2), 77, 100, Lease { now: 100, slack: 0, ttl: 50, grace: 10 });
        page.remove(bit(0), &mut Vec::new());
        let content = page.content().unwrap().clone();
        let (record, budget) = (page.freeze().record(&content), Budget::unlimited());
        let back = Page::from_record(50, &record, content.bodies().to_vec(), &budget).unwrap();
        assert_eq!(back.freeze().record(back.content().unwrap()), record);
        assert_eq!((back.due(), back.latest()), (150, 200));
        let late = back.slot(back.find(70).unwrap()).unwrap();
        assert_eq!((back.body(late), back.checksum(late)), (b"late".as_slice(), Some([9; 16])));
    }

    #[test]
    fn a_record_that_does_not_fit_its_bodies_is_refused() {
        let page = page_of(3);
        let (content, budget) = (page.content().unwrap(), Budget::unlimited());
        let (record, bodies) = (page.freeze().record(content), content.bodies().to_vec());
        assert!(Page::from_record(50, &record, Vec::new(), &budget).is_err());
        let mut twice = record.clone();
        twice.slots.push(twice.slots[0]);
        assert!(Page::from_record(50, &twice, bodies.clone(), &budget).is_err());
        let mut beyond = record;
        beyond.slots[0].0.start = 1_000;
        assert!(Page::from_record(50, &beyond, bodies, &budget).is_err());
    }

    #[test]
    fn what_is_due_expires_and_delays_end() {
        let mut page = new_page(1);
        page.push(1, &message(b"a"));
        page.push(2, &IncomingMessage { expires: 300, ready_at: 200, ..message(b"b") });
        assert_eq!((page.due(), page.latest(), page.ready()), (200, 300, 0b01));
        let found = page.process_due(200);
        assert_eq!(found, DueMessages { expired: 0b01, expired_claimed: 0, delays_ended: 0b10 });
        assert_eq!((page.due(), page.ready()), (300, 0b10));
    }
}
