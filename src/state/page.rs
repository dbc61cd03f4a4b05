//! A page: up to 128 neighbouring messages of a queue.
//!
//! Bodies are written once and shared; what changes about a message is in its slot and in three bit sets.
//!
//! 1. Slots ascend by sequence; a slot's body lies at `start..start + len` of the page's bodies.
//! 2. `claimed` and `delayed` are parts of `live` and have nothing in common.
//! 3. `due` is no later than the earliest expiry of a live message and the earliest end of a delay.
//! 4. `weight` is the sum over the live messages.
//! 5. A slot's `hold` is the number of its claim while it is claimed, the end of its delay while it is delayed.
//!
//! Memory: 56 B a message and its body, and about 200 B a page.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Most messages in a page: one bit each in a `u128`.
pub(crate) const PAGE_MESSAGES: usize = 128;
/// Most body bytes in a page of more than one message.
pub(crate) const PAGE_BYTES: usize = 16 << 10;
/// Marks a body with its 16-byte checksum in front.
const CHECKSUMMED: u8 = 1;
const CHECKSUM_BYTES: usize = 16;

/// One message. Times are engine milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Slot {
    pub(crate) created: u64,
    pub(crate) expires: u64,
    pub(crate) ttl: u64,
    pub(crate) hold: u64,
    /// Distance from the page's first sequence.
    distance: u32,
    start: u32,
    len: u32,
    pub(crate) claim_count: u32,
    /// Index of the poster among the page's clients.
    client: u8,
    flags: u8,
}

/// A message on its way into a page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival<'a> {
    pub(crate) created: u64,
    pub(crate) expires: u64,
    pub(crate) ttl: u64,
    /// When its delay ends; not after `created` when it has none.
    pub(crate) ready_at: u64,
    pub(crate) claim_count: u32,
    pub(crate) client: [u8; 16],
    pub(crate) checksum: Option<[u8; 16]>,
    pub(crate) body: &'a [u8],
}

#[derive(Debug, Clone)]
pub(crate) struct Page {
    first: u64,
    slots: Vec<Slot>,
    bodies: Arc<Vec<u8>>,
    clients: Vec<[u8; 16]>,
    live: u128,
    claimed: u128,
    delayed: u128,
    due: u64,
    /// What the live messages weigh: their bodies and 64 B each.
    weight: u64,
    /// Changed since it was last written to the trees.
    pub(crate) dirty: bool,
    /// The bodies in the trees are these.
    pub(crate) bodies_stored: bool,
    /// The trees hold something under this page's keys.
    pub(crate) stored: bool,
}

/// What is written of a page beside its bodies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PageRecord {
    pub(crate) bodies_bytes: u32,
    pub(crate) clients: Vec<[u8; 16]>,
    /// The live slots and what holds them.
    pub(crate) slots: Vec<(Slot, Hold)>,
}

/// Why a message is not there to be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Hold {
    Free,
    Claimed,
    Delayed,
}

/// What fell due in a page.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fallen {
    pub(crate) expired: u128,
    pub(crate) expired_claimed: u128,
    pub(crate) delays_ended: u128,
}

impl Page {
    pub(crate) fn new(first: u64) -> Self {
        Self {
            first,
            slots: Vec::new(),
            bodies: Arc::default(),
            clients: Vec::new(),
            live: 0,
            claimed: 0,
            delayed: 0,
            due: u64::MAX,
            weight: 0,
            dirty: false,
            bodies_stored: false,
            stored: false,
        }
    }

    /// A page to follow `full`, with room for as much.
    pub(crate) fn following(full: &Self, first: u64) -> Self {
        let mut page = Self::new(first);
        if full.slots.len() > 1 {
            page.slots.reserve_exact(full.slots.len());
            page.bodies = Arc::new(Vec::with_capacity(full.bodies.len()));
        }
        page
    }

    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    pub(crate) fn due(&self) -> u64 {
        self.due
    }

    pub(crate) fn live(&self) -> u128 {
        self.live
    }

    pub(crate) fn claimed(&self) -> u128 {
        self.claimed
    }

    pub(crate) fn delayed(&self) -> u128 {
        self.delayed
    }

    /// The messages a claim may take.
    pub(crate) fn ready(&self) -> u128 {
        self.live & !self.claimed & !self.delayed
    }

    /// Whether a message of `body_bytes` at `sequence` still fits.
    pub(crate) fn has_room(&self, sequence: u64, body_bytes: usize) -> bool {
        let near = sequence.checked_sub(self.first).is_some_and(|distance| u32::try_from(distance).is_ok());
        let small = self.slots.is_empty() || self.bodies.len().saturating_add(body_bytes) <= PAGE_BYTES;
        near && small && self.slots.len() < PAGE_MESSAGES
    }

    /// Appends a message; [`Self::has_room`] has said that it fits.
    pub(crate) fn push(&mut self, sequence: u64, message: &Arrival<'_>) {
        let index = self.slots.len();
        let bodies = Arc::make_mut(&mut self.bodies);
        let start = bodies.len();
        let flags = message.checksum.map_or(0, |checksum| {
            bodies.extend_from_slice(&checksum);
            CHECKSUMMED
        });
        bodies.extend_from_slice(message.body);
        let len = bodies.len().saturating_sub(start);
        let delayed = message.ready_at > message.created;
        let slot = Slot {
            created: message.created,
            expires: message.expires,
            ttl: message.ttl,
            hold: if delayed { message.ready_at } else { 0 },
            distance: narrow(sequence.saturating_sub(self.first)),
            start: narrow(start as u64),
            len: narrow(len as u64),
            claim_count: message.claim_count,
            client: self.intern(message.client),
            flags,
        };
        self.weight = self.weight.saturating_add(weight(&slot));
        self.slots.push(slot);
        self.live |= bit(index);
        if delayed {
            self.delayed |= bit(index);
            self.due = self.due.min(message.ready_at);
        }
        self.due = self.due.min(message.expires);
        self.bodies_stored = false;
    }

    fn intern(&mut self, client: [u8; 16]) -> u8 {
        // Most pages have one poster, and the last one is the likeliest.
        let known = self.clients.iter().rposition(|known| *known == client);
        let index = known.unwrap_or_else(|| {
            self.clients.push(client);
            self.clients.len().saturating_sub(1)
        });
        u8::try_from(index).unwrap_or(u8::MAX)
    }

    /// The index of the live message at `sequence`.
    pub(crate) fn find(&self, sequence: u64) -> Option<usize> {
        let distance = u32::try_from(sequence.checked_sub(self.first)?).ok()?;
        let guess = distance as usize;
        let index = match self.slots.get(guess) {
            Some(slot) if slot.distance == distance => guess,
            _ => self.slots.binary_search_by_key(&distance, |slot| slot.distance).ok()?,
        };
        (self.live & bit(index) != 0).then_some(index)
    }

    pub(crate) fn slot(&self, index: usize) -> Option<&Slot> {
        self.slots.get(index)
    }

    pub(crate) fn sequence(&self, index: usize) -> u64 {
        let distance = self.slots.get(index).map_or(0, |slot| slot.distance);
        self.first.saturating_add(u64::from(distance))
    }

    pub(crate) fn client(&self, slot: &Slot) -> [u8; 16] {
        self.clients.get(usize::from(slot.client)).copied().unwrap_or_default()
    }

    pub(crate) fn checksum(&self, slot: &Slot) -> Option<[u8; 16]> {
        if slot.flags & CHECKSUMMED == 0 {
            return None;
        }
        self.stored_bytes(slot).first_chunk().copied()
    }

    pub(crate) fn body(&self, slot: &Slot) -> &[u8] {
        let skip = if slot.flags & CHECKSUMMED == 0 { 0 } else { CHECKSUM_BYTES };
        self.stored_bytes(slot).get(skip..).unwrap_or_default()
    }

    fn stored_bytes(&self, slot: &Slot) -> &[u8] {
        let start = slot.start as usize;
        self.bodies.get(start..start.saturating_add(slot.len as usize)).unwrap_or_default()
    }

    /// The bodies as one allocation, and where in it the body of `slot` lies: for sharing a large one.
    pub(crate) fn shared_body(&self, slot: &Slot) -> (Arc<Vec<u8>>, std::ops::Range<usize>) {
        let end = (slot.start as usize).saturating_add(slot.len as usize).min(self.bodies.len());
        (self.bodies.clone(), end.saturating_sub(self.body(slot).len())..end)
    }

    pub(crate) fn bodies(&self) -> &Arc<Vec<u8>> {
        &self.bodies
    }

    pub(crate) fn weight(&self) -> u64 {
        self.weight
    }

    /// What [`Self::weight`] has to be.
    pub(crate) fn recount_weight(&self) -> u64 {
        bits(self.live).filter_map(|index| self.slots.get(index)).map(weight).sum()
    }

    /// Puts a free message under the claim `number`; by the extension rule (contract 7.1) one that would expire before
    /// the claim does lives on for its grace.
    pub(crate) fn claim(&mut self, index: usize, number: u64, lease: Lease) {
        self.claimed |= bit(index);
        if let Some(slot) = self.slots.get_mut(index) {
            slot.hold = number;
            slot.claim_count = slot.claim_count.saturating_add(1);
            lease.extend(slot);
        }
    }

    /// Runs the extension rule again for a claimed message.
    pub(crate) fn renew(&mut self, index: usize, lease: Lease) {
        if let Some(slot) = self.slots.get_mut(index) {
            lease.extend(slot);
        }
    }

    /// Frees a claimed message.
    pub(crate) fn release(&mut self, index: usize) {
        self.claimed &= !bit(index);
        if let Some(slot) = self.slots.get_mut(index) {
            slot.hold = 0;
        }
    }

    /// Takes a live message out; returns the number of its claim.
    pub(crate) fn remove(&mut self, index: usize) -> Option<u64> {
        let claimed = self.claimed & bit(index) != 0;
        self.forget(bit(index));
        self.slots.get(index).filter(|_| claimed).map(|slot| slot.hold)
    }

    fn forget(&mut self, gone: u128) {
        let weight: u64 = bits(gone).filter_map(|index| self.slots.get(index)).map(weight).sum();
        self.weight = self.weight.saturating_sub(weight);
        self.live &= !gone;
        self.claimed &= !gone;
        self.delayed &= !gone;
    }

    /// Lets what is due by `now` expire or become free. The slots of what expired stay readable until the next change.
    pub(crate) fn fall_due(&mut self, now: u64) -> Fallen {
        let mut fallen = Fallen::default();
        let mut due = u64::MAX;
        for index in bits(self.live) {
            let Some(slot) = self.slots.get_mut(index) else { continue };
            if slot.expires <= now {
                fallen.expired |= bit(index);
                continue;
            }
            due = due.min(slot.expires);
            if self.delayed & bit(index) != 0 {
                if slot.hold <= now {
                    slot.hold = 0;
                    self.delayed &= !bit(index);
                    fallen.delays_ended |= bit(index);
                } else {
                    due = due.min(slot.hold);
                }
            }
        }
        fallen.expired_claimed = fallen.expired & self.claimed;
        self.forget(fallen.expired);
        self.due = due;
        fallen
    }

    /// Whether dropping the dead messages would halve the page.
    pub(crate) fn is_sparse(&self) -> bool {
        let live = self.live.count_ones() as usize;
        self.slots.len() >= 16 && live.saturating_mul(2) <= self.slots.len()
    }

    /// The same page without its dead messages, of which the trees hold nothing.
    pub(crate) fn compacted(&self) -> Self {
        let mut page = Self { dirty: self.dirty, weight: self.weight, ..Self::new(self.first) };
        let mut bodies =
            Vec::with_capacity(bits(self.live).filter_map(|i| self.slots.get(i)).map(|s| s.len as usize).sum());
        for (to, from) in bits(self.live).enumerate() {
            let Some(slot) = self.slots.get(from) else { continue };
            let start = narrow(bodies.len() as u64);
            bodies.extend_from_slice(self.stored_bytes(slot));
            let client = page.intern(self.client(slot));
            page.slots.push(Slot { start, client, ..*slot });
            page.live |= bit(to);
            page.claimed |= if self.claimed & bit(from) == 0 { 0 } else { bit(to) };
            page.delayed |= if self.delayed & bit(from) == 0 { 0 } else { bit(to) };
        }
        page.bodies = Arc::new(bodies);
        page.due = self.due;
        page
    }

    /// Whether the message is under the claim `number`.
    pub(crate) fn held_by(&self, index: usize, number: u64) -> bool {
        self.claimed & bit(index) != 0 && self.slots.get(index).is_some_and(|slot| slot.hold == number)
    }

    pub(crate) fn hold(&self, index: usize) -> Hold {
        match bit(index) {
            bit if self.claimed & bit != 0 => Hold::Claimed,
            bit if self.delayed & bit != 0 => Hold::Delayed,
            _ => Hold::Free,
        }
    }

    pub(crate) fn record(&self) -> PageRecord {
        let slots = bits(self.live).filter_map(|index| Some((*self.slots.get(index)?, self.hold(index)))).collect();
        PageRecord { bodies_bytes: narrow(self.bodies.len() as u64), clients: self.clients.clone(), slots }
    }

    /// A page read back; the error says what does not fit.
    pub(crate) fn from_record(first: u64, record: PageRecord, bodies: Vec<u8>) -> Result<Self, &'static str> {
        if record.bodies_bytes as usize != bodies.len() {
            return Err("bodies of another length");
        }
        if record.slots.len() > PAGE_MESSAGES || record.clients.len() > PAGE_MESSAGES {
            return Err("more messages than a page holds");
        }
        let mut page = Self { bodies: Arc::new(bodies), clients: record.clients, ..Self::new(first) };
        for (index, (slot, hold)) in record.slots.into_iter().enumerate() {
            if page.slots.last().is_some_and(|last| last.distance >= slot.distance) {
                return Err("messages out of order");
            }
            let checksum_bytes = if slot.flags & CHECKSUMMED == 0 { 0 } else { CHECKSUM_BYTES };
            let end = (slot.start as usize).saturating_add(slot.len as usize);
            if end > page.bodies.len() || (slot.len as usize) < checksum_bytes {
                return Err("a body outside the bodies");
            }
            if usize::from(slot.client) >= page.clients.len() {
                return Err("an unknown client");
            }
            page.live |= bit(index);
            page.weight = page.weight.saturating_add(weight(&slot));
            page.due = page.due.min(slot.expires);
            match hold {
                Hold::Free => {}
                Hold::Claimed => page.claimed |= bit(index),
                Hold::Delayed => {
                    page.delayed |= bit(index);
                    page.due = page.due.min(slot.hold);
                }
            }
            page.slots.push(slot);
        }
        Ok(page)
    }
}

/// A claim's times, for the extension rule.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lease {
    pub(crate) now: u64,
    pub(crate) ttl: u64,
    pub(crate) grace: u64,
}

impl Lease {
    fn extend(self, slot: &mut Slot) {
        if slot.expires < self.now.saturating_add(self.ttl) {
            slot.ttl = self.ttl.saturating_add(self.grace);
            let latest = crate::model::Timestamp::MAX.as_millis();
            slot.expires = self.now.saturating_add(slot.ttl).min(latest);
        }
    }
}

/// The indexes of the set bits, ascending.
pub(crate) fn bits(mut set: u128) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let index = set.trailing_zeros();
        set &= set.wrapping_sub(1);
        (index < u128::BITS).then_some(index as usize)
    })
}

fn bit(index: usize) -> u128 {
    u32::try_from(index).ok().and_then(|index| 1_u128.checked_shl(index)).unwrap_or(0)
}

fn narrow(value: u64) -> u32 {
    debug_assert!(u32::try_from(value).is_ok(), "checked by has_room and the limits");
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn weight(slot: &Slot) -> u64 {
    u64::from(slot.len).saturating_add(64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(body: &[u8]) -> Arrival<'_> {
        Arrival {
            created: 100,
            expires: 200,
            ttl: 100,
            ready_at: 0,
            claim_count: 0,
            client: [1; 16],
            checksum: None,
            body,
        }
    }

    fn page_of(count: u64) -> Page {
        let mut page = Page::new(50);
        for i in 0..count {
            page.push(50 + i, &arrival(format!("body {i}").as_bytes()));
        }
        page
    }

    #[test]
    fn a_slot_takes_56_bytes() {
        assert!(size_of::<Slot>() <= 56);
    }

    #[test]
    fn compacting_keeps_what_is_alive_and_only_that() {
        let mut page = page_of(40);
        page.claim(5, 77, Lease { now: 100, ttl: 50, grace: 10 });
        (0..40).filter(|i| i % 8 != 5).for_each(|i| {
            page.remove(i);
        });
        assert!(page.is_sparse());
        let small = page.compacted();
        assert_eq!(bits(small.live()).count(), 5);
        for i in [5, 13, 21, 29, 37] {
            let (old, new) = (page.find(50 + i).unwrap(), small.find(50 + i).unwrap());
            assert_eq!(page.body(page.slot(old).unwrap()), small.body(small.slot(new).unwrap()));
            assert_eq!(page.hold(old), small.hold(new));
        }
        assert_eq!(small.find(50), None);
        assert_eq!(small.weight(), page.weight());
    }

    #[test]
    fn a_record_brings_the_live_messages_back() {
        let mut page = page_of(10);
        page.push(70, &Arrival { ready_at: 150, checksum: Some([9; 16]), ..arrival(b"late") });
        page.claim(2, 77, Lease { now: 100, ttl: 50, grace: 10 });
        page.remove(0);
        let back = Page::from_record(50, page.record(), page.bodies().to_vec()).unwrap();
        assert_eq!(back.record(), page.record());
        assert_eq!(back.due(), 150);
        let late = back.slot(back.find(70).unwrap()).unwrap();
        assert_eq!((back.body(late), back.checksum(late)), (b"late".as_slice(), Some([9; 16])));
    }

    #[test]
    fn a_record_that_does_not_fit_its_bodies_is_refused() {
        let page = page_of(3);
        assert!(Page::from_record(50, page.record(), Vec::new()).is_err());
        let mut twice = page.record();
        twice.slots.push(twice.slots[0]);
        assert!(Page::from_record(50, twice, page.bodies().to_vec()).is_err());
        let mut beyond = page.record();
        beyond.slots[0].0.start = 1_000;
        assert!(Page::from_record(50, beyond, page.bodies().to_vec()).is_err());
    }

    #[test]
    fn what_is_due_expires_and_delays_end() {
        let mut page = Page::new(1);
        page.push(1, &arrival(b"a"));
        page.push(2, &Arrival { expires: 300, ready_at: 200, ..arrival(b"b") });
        assert_eq!((page.due(), page.ready()), (200, 0b01));
        let fallen = page.fall_due(200);
        assert_eq!(fallen, Fallen { expired: 0b01, expired_claimed: 0, delays_ended: 0b10 });
        assert_eq!((page.due(), page.ready()), (300, 0b10));
    }
}
