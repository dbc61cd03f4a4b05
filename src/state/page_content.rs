//! A page's content: its messages. The content is in memory while it is needed, and in an image in the page files.
//!
//! 1. Slots ascend by distance. At `start..start + len` of the bodies are, one after the other, a message's checksum, the
//!    length of its envelope and the envelope, if it has them, and its body.
//!
//! Memory: 56 B for each message and its body, and about 200 B for the page.

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::Message;
use crate::model::error::Result;
use crate::storage::budget::{Budget, Charge};
use crate::storage::codec::{self, array_at};

use super::envelope;
pub(crate) use super::message_slot::MessageSlot;
use super::reasons::Reasons;

/// Most messages in a page: one bit each in a `u128`.
pub(crate) const PAGE_MESSAGES: usize = 128;
/// Most body bytes in a page of more than one message.
pub(crate) const PAGE_BYTES: usize = 16 << 10;
const CHECKSUM_BYTES: usize = 16;
/// The bytes of the length of an envelope.
const LENGTH_BYTES: usize = 4;
/// The approximate memory of a page beside its messages.
const OVERHEAD_BYTES: usize = 200;

/// The bytes that are stored of a message: its body, its envelope behind its length, and its checksum, if it has them.
pub(crate) fn stored_bytes(body: usize, envelope: usize, has_checksum: bool) -> usize {
    let envelope = if envelope == 0 { 0 } else { envelope.saturating_add(LENGTH_BYTES) };
    let checksum = if has_checksum { CHECKSUM_BYTES } else { 0 };
    body.saturating_add(envelope).saturating_add(checksum)
}

/// A message that is added to a page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IncomingMessage<'a> {
    pub(crate) created: u64,
    pub(crate) expires: u64,
    pub(crate) ttl: u64,
    /// When its delay ends; not after `created` when it has none.
    pub(crate) ready_at: u64,
    pub(crate) claim_count: u32,
    /// When it was claimed first and last; 0 if it never was.
    pub(crate) claimed: (u64, u64),
    /// Why it was last given back.
    pub(crate) failure: Option<&'a str>,
    pub(crate) client: [u8; 16],
    pub(crate) checksum: Option<[u8; 16]>,
    /// Encoded; empty if there is none.
    pub(crate) envelope: &'a [u8],
    pub(crate) body: &'a [u8],
}

impl<'a> IncomingMessage<'a> {
    /// A message from another page's content: free, or delayed as it was posted.
    pub(crate) fn copied(content: &'a Content, slot: &MessageSlot) -> Self {
        Self {
            created: slot.created(),
            expires: slot.expires(),
            ttl: slot.ttl(),
            ready_at: if slot.waits() { slot.hold } else { 0 },
            claim_count: slot.claim_count,
            claimed: slot.claimed(),
            failure: content.failure(slot),
            client: content.client(slot),
            checksum: content.checksum(slot),
            envelope: content.envelope(slot),
            body: content.body(slot),
        }
    }

    /// Bytes of its body and its envelope.
    pub(crate) fn size(&self) -> usize {
        self.body.len().saturating_add(self.envelope.len())
    }

    pub(crate) fn is_delayed(&self) -> bool {
        self.ready_at > self.created
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Content {
    slots: Vec<MessageSlot>,
    bodies: Arc<Vec<u8>>,
    clients: Vec<[u8; 16]>,
    reasons: Reasons,
    charge: Charge,
}

/// The part of an image before the bodies.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    queue: u64,
    first: u64,
    /// The messages that were alive, by their index. If the page's entry is lost, all others count as deleted.
    live: u128,
    /// Of the queue's project and name: should the queue's record be lost, they are not.
    #[serde(with = "serde_bytes")]
    key: Vec<u8>,
    clients: Vec<[u8; 16]>,
    slots: Vec<MessageSlot>,
    reasons: Reasons,
}

impl Content {
    pub(crate) fn new(budget: &Arc<Budget>) -> Self {
        Self {
            slots: Vec::new(),
            bodies: Arc::default(),
            clients: Vec::new(),
            reasons: Reasons::default(),
            charge: Charge::new(budget, 0),
        }
    }

    /// An empty content with capacity for some of `messages` with bodies of `body_bytes`, as far as a page holds them.
    pub(crate) fn for_messages(budget: &Arc<Budget>, messages: usize, body_bytes: usize) -> Self {
        let mut content = Self::new(budget);
        let messages = messages.min(PAGE_MESSAGES).min(PAGE_BYTES.checked_div(body_bytes).unwrap_or(usize::MAX));
        // A message alone may be the first of many.
        if messages > 1 {
            content.slots.reserve_exact(messages);
            content.bodies = Arc::new(Vec::with_capacity(body_bytes.saturating_mul(messages)));
        }
        content
    }

    /// An empty content with the capacity of `full`.
    pub(crate) fn like(full: &Self) -> Self {
        let mut content = Self::new(full.charge.budget());
        if full.slots.len() > 1 {
            content.slots.reserve_exact(full.slots.len());
            content.bodies = Arc::new(Vec::with_capacity(full.bodies.len()));
        }
        content
    }

    /// A content from another store, or one that was read back; the error says what is inconsistent.
    pub(crate) fn checked(
        budget: &Arc<Budget>,
        clients: Vec<[u8; 16]>,
        slots: Vec<MessageSlot>,
        reasons: Reasons,
        bodies: Vec<u8>,
    ) -> Result<Self, &'static str> {
        if slots.len() > PAGE_MESSAGES || clients.len() > PAGE_MESSAGES {
            return Err("more messages than a page holds");
        }
        if !slots.is_sorted_by(|a, b| a.distance < b.distance) {
            return Err("messages out of order");
        }
        for slot in &slots {
            let end = (slot.start as usize).saturating_add(slot.len as usize);
            let stored = bodies.get(slot.start as usize..end).ok_or("a body outside the bodies")?;
            let parts = Parts::of(slot, stored).ok_or("a body outside the bodies")?;
            envelope::decode(parts.envelope).map_err(|_| "an unknown envelope")?;
            if usize::from(slot.client) >= clients.len() {
                return Err("an unknown client");
            }
        }
        let mut content = Self { slots, bodies: Arc::new(bodies), clients, reasons, charge: Charge::new(budget, 0) };
        if content.reasons.distances().any(|distance| content.position(distance).is_none()) {
            return Err("a reason of an unknown message");
        }
        content.settle_charge();
        Ok(content)
    }

    /// Updates the charge to the current memory.
    pub(crate) fn settle_charge(&mut self) {
        let (slots, clients) = (size_of::<MessageSlot>() * self.slots.capacity(), 16 * self.clients.capacity());
        self.charge.set(slots + clients + self.bodies.capacity() + self.reasons.bytes() + OVERHEAD_BYTES);
    }

    /// Appends a message at `distance` behind the page's first sequence.
    pub(crate) fn push(&mut self, distance: u32, message: &IncomingMessage<'_>) {
        let slot = self.take_body(distance, message);
        self.slots.push(slot);
    }

    /// Inserts a message in order; returns its index, or none if it exists already.
    pub(crate) fn insert(&mut self, distance: u32, message: &IncomingMessage<'_>) -> Option<usize> {
        let index = self.slots.binary_search_by_key(&distance, |slot| slot.distance).err()?;
        let slot = self.take_body(distance, message);
        self.slots.insert(index, slot);
        Some(index)
    }

    /// Appends a message's body; returns the slot for it.
    fn take_body(&mut self, distance: u32, message: &IncomingMessage<'_>) -> MessageSlot {
        let bodies = Arc::make_mut(&mut self.bodies);
        let start = bodies.len();
        let mut slot = MessageSlot::new(message.created, message.expires, message.ttl);
        if let Some(checksum) = message.checksum {
            bodies.extend_from_slice(&checksum);
            slot.set_checksum();
        }
        if !message.envelope.is_empty() {
            bodies.extend_from_slice(&narrow(message.envelope.len() as u64).to_le_bytes());
            bodies.extend_from_slice(message.envelope);
            slot.set_envelope();
        }
        bodies.extend_from_slice(message.body);
        (slot.distance, slot.start) = (distance, narrow(start as u64));
        slot.len = narrow(bodies.len().saturating_sub(start) as u64);
        slot.client = self.intern(message.client);
        slot.claim_count = message.claim_count;
        slot.set_claimed(message.claimed);
        slot.hold = if message.is_delayed() { message.ready_at } else { 0 };
        if message.is_delayed() && message.claim_count > 0 {
            slot.delay_again(message.ready_at);
        }
        if message.failure.is_some() {
            self.set_failure_of(&mut slot, message.failure);
        }
        slot
    }

    /// Why the message was last given back.
    pub(crate) fn failure(&self, slot: &MessageSlot) -> Option<&str> {
        if slot.has_lapsed() { Some(Message::LEASE_RAN_OUT) } else { self.reasons.get(slot.distance) }
    }

    /// Sets why the message at `index` was last given back.
    pub(super) fn set_failure(&mut self, index: usize, failure: Option<&str>) {
        let Some(mut slot) = self.slot(index).copied() else { return };
        self.set_failure_of(&mut slot, failure);
        self.slots.get_mut(index).into_iter().for_each(|place| *place = slot);
    }

    fn set_failure_of(&mut self, slot: &mut MessageSlot, failure: Option<&str>) {
        // The most frequent reason, of workers that died, takes no memory.
        slot.set_lapsed(failure == Some(Message::LEASE_RAN_OUT));
        self.reasons.set(slot.distance, failure.filter(|_| !slot.has_lapsed()));
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

    /// The index of the message at `distance`, alive or not.
    pub(crate) fn position(&self, distance: u32) -> Option<usize> {
        let guess = distance as usize;
        match self.slots.get(guess) {
            Some(slot) if slot.distance == distance => Some(guess),
            _ => self.slots.binary_search_by_key(&distance, |slot| slot.distance).ok(),
        }
    }

    /// Whether the index of each message is its distance: distances ascend, so the last one tells.
    pub(crate) fn is_dense(&self) -> bool {
        self.slots.last().is_none_or(|last| last.distance as usize == self.slots.len().saturating_sub(1))
    }

    pub(crate) fn slots(&self) -> &[MessageSlot] {
        &self.slots
    }

    pub(crate) fn slot(&self, index: usize) -> Option<&MessageSlot> {
        self.slots.get(index)
    }

    pub(crate) fn slot_mut(&mut self, index: usize) -> Option<&mut MessageSlot> {
        self.slots.get_mut(index)
    }

    pub(crate) fn client(&self, slot: &MessageSlot) -> [u8; 16] {
        self.clients.get(usize::from(slot.client)).copied().unwrap_or_default()
    }

    pub(crate) fn reasons(&self) -> &Reasons {
        &self.reasons
    }

    pub(crate) fn clients(&self) -> &[[u8; 16]] {
        &self.clients
    }

    pub(crate) fn checksum(&self, slot: &MessageSlot) -> Option<[u8; 16]> {
        if slot.has_checksum() { self.stored_bytes(slot).first_chunk().copied() } else { None }
    }

    pub(crate) fn body(&self, slot: &MessageSlot) -> &[u8] {
        Parts::of(slot, self.stored_bytes(slot)).unwrap_or_default().body
    }

    /// The message's envelope as bytes; empty if it has none.
    pub(crate) fn envelope(&self, slot: &MessageSlot) -> &[u8] {
        Parts::of(slot, self.stored_bytes(slot)).unwrap_or_default().envelope
    }

    fn stored_bytes(&self, slot: &MessageSlot) -> &[u8] {
        let start = slot.start as usize;
        self.bodies.get(start..start.saturating_add(slot.len as usize)).unwrap_or_default()
    }

    /// The bodies as one allocation, and the range of the body of `slot`, for sharing a large body.
    pub(crate) fn shared_body(&self, slot: &MessageSlot) -> (Arc<Vec<u8>>, Range<usize>) {
        let end = (slot.start as usize).saturating_add(slot.len as usize).min(self.bodies.len());
        (self.bodies.clone(), end.saturating_sub(self.body(slot).len())..end)
    }

    pub(crate) fn bodies(&self) -> &Arc<Vec<u8>> {
        &self.bodies
    }

    /// The messages at `indexes` alone.
    pub(crate) fn only(&self, indexes: impl Iterator<Item = usize> + Clone) -> Self {
        let chosen = || indexes.clone().filter_map(|index| self.slots.get(index));
        let mut bodies = Vec::with_capacity(chosen().map(|slot| slot.len as usize).sum());
        let mut content = Self::new(self.charge.budget());
        for slot in chosen() {
            let start = narrow(bodies.len() as u64);
            bodies.extend_from_slice(self.stored_bytes(slot));
            let client = content.intern(self.client(slot));
            let mut copy = *slot;
            (copy.start, copy.client) = (start, client);
            content.slots.push(copy);
            content.reasons.set(slot.distance, self.reasons.get(slot.distance));
        }
        content.bodies = Arc::new(bodies);
        content
    }

    /// Appends the image of a page with this content, of which the messages `live` are alive, to `buffer`: the head's
    /// length, the head, the bodies.
    pub(crate) fn write_image(&self, owner: Owner<'_>, first: u64, live: u128, buffer: &mut Vec<u8>) -> Result<()> {
        let start = buffer.len();
        buffer.extend_from_slice(&[0; 4]);
        let Owner { number: queue, key } = owner;
        let head =
            HeadRef { queue, first, live, key, clients: &self.clients, slots: &self.slots, reasons: &self.reasons };
        codec::encode_into(&head, buffer)?;
        let length = narrow(buffer.len().saturating_sub(start).saturating_sub(4) as u64).to_le_bytes();
        buffer.iter_mut().skip(start).zip(length).for_each(|(to, from)| *to = from);
        buffer.extend_from_slice(&self.bodies);
        Ok(())
    }

    /// The content of the page `first` of `queue`, from its image; the error says what is inconsistent.
    pub(crate) fn read_image(budget: &Arc<Budget>, queue: u64, first: u64, image: &[u8]) -> Result<Self, String> {
        let (head, end) = parse_head(image)?;
        if (head.queue, head.first) != (queue, first) {
            return Err("the image of another page".into());
        }
        let bodies = image.get(end..).unwrap_or_default().to_vec();
        Ok(Self::checked(budget, head.clients, head.slots, head.reasons, bodies)?)
    }
}

/// What is stored of a message, without its checksum.
#[derive(Default)]
struct Parts<'a> {
    envelope: &'a [u8],
    body: &'a [u8],
}

impl<'a> Parts<'a> {
    /// The parts of a message's stored bytes; `None` if these are too short.
    fn of(slot: &MessageSlot, stored: &'a [u8]) -> Option<Self> {
        let rest = if slot.has_checksum() { stored.get(CHECKSUM_BYTES..)? } else { stored };
        if !slot.has_envelope() {
            return Some(Self { envelope: &[], body: rest });
        }
        let length = u32::from_le_bytes(array_at(rest, 0)?) as usize;
        let (envelope, body) = rest.get(LENGTH_BYTES..)?.split_at_checked(length)?;
        Some(Self { envelope, body })
    }
}

/// The owner of an image, from its head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) queue: u64,
    /// The page's first sequence.
    pub(crate) first: u64,
    /// The last one in it.
    pub(crate) last: u64,
    /// The messages that were alive, by their index.
    pub(crate) live: u128,
    /// Of the queue's project and name.
    pub(crate) key: Vec<u8>,
}

/// Reads the owner of an image; the error says what is inconsistent.
pub(crate) fn label_of(image: &[u8]) -> Result<Label, String> {
    let (head, _) = parse_head(image)?;
    let last = head.slots.last().map_or(head.first, |slot| head.first.saturating_add(slot.distance()));
    Ok(Label { queue: head.queue, first: head.first, last, live: head.live, key: head.key })
}

/// The head of an image, and where the bodies begin.
fn parse_head(image: &[u8]) -> Result<(Head, usize), String> {
    let length = u32::from_le_bytes(array_at(image, 0).ok_or("an image is too short")?) as usize;
    let end = length.checked_add(4).ok_or("an image is too short")?;
    Ok((codec::decode(image.get(4..end).ok_or("an image is too short")?)?, end))
}

/// A queue, as the owner of written pages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner<'a> {
    pub(crate) number: u64,
    /// Of its project and name.
    pub(crate) key: &'a [u8],
}

/// A [`Head`] that borrows.
#[derive(Serialize)]
struct HeadRef<'a> {
    queue: u64,
    first: u64,
    live: u128,
    #[serde(with = "serde_bytes")]
    key: &'a [u8],
    clients: &'a [[u8; 16]],
    slots: &'a [MessageSlot],
    reasons: &'a Reasons,
}

pub(super) fn narrow(value: u64) -> u32 {
    debug_assert!(u32::try_from(value).is_ok(), "checked by fits and the limits");
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
impl<'a> IncomingMessage<'a> {
    /// A message for tests, which expires at once.
    pub(crate) fn sample(body: &'a [u8]) -> Self {
        let (created, expires, ttl, client) = (1, 2, 3, [5; 16]);
        let claimed = (1, 2);
        Self {
            created,
            expires,
            ttl,
            ready_at: 0,
            claim_count: 4,
            claimed,
            failure: None,
            client,
            checksum: None,
            envelope: &[],
            body,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes_of_an_image_and_it_comes_back() {
        let budget = Budget::unlimited();
        let mut content = Content::new(&budget);
        content.push(0, &IncomingMessage::sample(b"ab"));
        let mut image = Vec::new();
        content.write_image(Owner { number: 9, key: b"k" }, 7, 1, &mut image).unwrap();
        let expected = format!("24000000{}{}{}6162", "090701016b01", "05".repeat(16), "0101020300000002040000000100");
        assert_eq!(label_of(&image), Ok(Label { queue: 9, first: 7, last: 7, live: 1, key: b"k".to_vec() }));
        assert_eq!(crate::storage::codec::hex(&image), expected);
        let back = Content::read_image(&budget, 9, 7, &image).unwrap();
        assert_eq!((back.slots(), back.bodies()), (content.slots(), content.bodies()));
        assert!(Content::read_image(&budget, 9, 8, &image).is_err());
        for cut in 0..image.len() {
            assert!(Content::read_image(&budget, 9, 7, &image[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn the_memory_of_a_content_is_charged_until_it_is_dropped() {
        let budget = Budget::unlimited();
        let content = Content::checked(&budget, vec![[0; 16]], Vec::new(), Reasons::default(), vec![0; 1_000]).unwrap();
        assert_eq!(budget.used(), 1_000 + 16 + OVERHEAD_BYTES as u64);
        drop(content);
        assert_eq!(budget.used(), 0);
    }
}
