//! Messages that go from one queue to another, whole.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::NewQueue;
use crate::state::page::Page;
use crate::state::page_content::IncomingMessage;

/// The moved messages, whole, at consecutive sequences from `first` of the queue `target`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DeadLetters<'a> {
    pub(crate) target: u64,
    /// Set if the claim creates the dead-letter queue.
    #[serde(borrow)]
    pub(crate) create: Option<NewQueue<'a>>,
    pub(crate) first: u64,
    pub(crate) messages: Vec<DeadLetter<'a>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DeadLetter<'a> {
    pub(crate) created: u64,
    pub(crate) expires: u64,
    pub(crate) ttl: u64,
    pub(crate) claim_count: u32,
    /// When it was claimed first and last.
    pub(crate) claimed: (u64, u64),
    /// Why it was last given back.
    pub(crate) failure: Option<Cow<'a, str>>,
    pub(crate) client: [u8; 16],
    pub(crate) checksum: Option<[u8; 16]>,
    /// Encoded, with its origin.
    #[serde(borrow, with = "serde_bytes")]
    pub(crate) envelope: Cow<'a, [u8]>,
    #[serde(borrow, with = "serde_bytes")]
    pub(crate) body: Cow<'a, [u8]>,
}

/// Dead letters of other stores, at consecutive sequences from `first`; each is taken in once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Received<'a> {
    pub(crate) queue: u64,
    pub(crate) first: u64,
    /// The store that the dead letters come from, and their ids there.
    pub(crate) from: [u8; 16],
    pub(crate) sources: Vec<Source>,
    #[serde(borrow)]
    pub(crate) messages: Vec<DeadLetter<'a>>,
}

/// Queue number and sequence of a message in its source store.
pub(crate) type Source = (u64, u64);

impl DeadLetter<'static> {
    /// The message at `index` of a page in memory, as it is.
    pub(crate) fn copied(page: &Page, index: usize) -> Option<Self> {
        let slot = page.slot(index)?;
        Some(Self {
            created: slot.created(),
            expires: slot.expires(),
            ttl: slot.ttl(),
            claim_count: slot.claim_count,
            claimed: slot.claimed(),
            failure: page.failure(index).map(|failure| failure.to_owned().into()),
            client: page.client(slot),
            checksum: page.checksum(slot),
            envelope: page.envelope(slot).to_vec().into(),
            body: page.body(slot).to_vec().into(),
        })
    }
}

impl DeadLetter<'_> {
    /// Bytes of its body and its envelope.
    pub(crate) fn size(&self) -> usize {
        self.body.len().saturating_add(self.envelope.len())
    }
}

impl<'a> IncomingMessage<'a> {
    /// A message that comes from another queue.
    pub(crate) fn moved(dead_letter: &'a DeadLetter<'_>) -> Self {
        Self {
            created: dead_letter.created,
            expires: dead_letter.expires,
            ttl: dead_letter.ttl,
            ready_at: 0,
            claim_count: dead_letter.claim_count,
            claimed: dead_letter.claimed,
            failure: dead_letter.failure.as_deref(),
            client: dead_letter.client,
            checksum: dead_letter.checksum,
            envelope: &dead_letter.envelope,
            body: &dead_letter.body,
        }
    }
}
