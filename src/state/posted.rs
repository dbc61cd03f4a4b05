//! A posted message as the journal has it, and the post of one message as its page's image.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::page_content::{Content, IncomingMessage, PAGE_BYTES};
use crate::storage::budget::Budget;
use crate::storage::codec;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Posted<'a> {
    pub(crate) ttl: u64,
    pub(crate) delay: u64,
    pub(crate) checksum: Option<[u8; 16]>,
    /// Encoded; empty if there is none.
    #[serde(borrow, with = "serde_bytes")]
    pub(crate) envelope: Cow<'a, [u8]>,
    #[serde(borrow, with = "serde_bytes")]
    pub(crate) body: Cow<'a, [u8]>,
}

impl Posted<'_> {
    pub(super) fn by_ref(&self) -> Posted<'_> {
        let (envelope, body) = (Cow::Borrowed(&*self.envelope), Cow::Borrowed(&*self.body));
        Posted { ttl: self.ttl, delay: self.delay, checksum: self.checksum, envelope, body }
    }

    /// Whether it is so large that no other message is in its page.
    pub(crate) fn is_page(&self) -> bool {
        self.size() > PAGE_BYTES
    }

    /// Bytes of its body and its envelope.
    pub(crate) fn size(&self) -> usize {
        self.body.len().saturating_add(self.envelope.len())
    }
}

impl<'a> IncomingMessage<'a> {
    /// A message posted at `time`.
    pub(crate) fn posted(time: u64, client: [u8; 16], message: &'a Posted<'_>) -> Self {
        Self {
            created: time,
            // A ttl without an end is the largest number, and so is the expiry.
            expires: time.saturating_add(message.ttl),
            ttl: message.ttl,
            ready_at: time.saturating_add(message.delay),
            claim_count: 0,
            claimed: (0, 0),
            failure: None,
            client,
            checksum: message.checksum,
            envelope: &message.envelope,
            body: &message.body,
        }
    }
}

/// A journal entry whose operation is a post: its fields in their order on disk.
#[derive(Deserialize)]
struct PostEntry<'a> {
    time: u64,
    /// Of the operation.
    variant: u32,
    queue: u64,
    first: u64,
    client: [u8; 16],
    #[serde(borrow, with = "serde_bytes")]
    key: &'a [u8],
    #[serde(borrow)]
    messages: Vec<Posted<'a>>,
}

/// The number of the operation `Post`.
const POST: u32 = 5;

/// The owner of the page that the post of one message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PostLabel<'a> {
    pub(crate) queue: u64,
    /// The page's only sequence.
    pub(crate) first: u64,
    /// Of the queue's project and name.
    pub(crate) key: &'a [u8],
}

/// The page that a journal entry is everything about, if it is the post of one message that is a page of its own.
pub(crate) fn label_of_post(entry: &[u8]) -> Option<PostLabel<'_>> {
    let PostEntry { variant, queue, first, key, .. } = codec::decode(entry).ok()?;
    (variant == POST && !key.is_empty()).then_some(PostLabel { queue, first, key })
}

/// The content of the page `first` of `queue` as it was posted, from the journal entry of the post of its only message;
/// the error says what is inconsistent.
pub(crate) fn read_post(budget: &Arc<Budget>, queue: u64, first: u64, entry: &[u8]) -> Result<Content, String> {
    let entry: PostEntry<'_> = codec::decode(entry)?;
    let is_this = (entry.variant, entry.queue, entry.first) == (POST, queue, first);
    let [message] = &*entry.messages else { return Err("an operation that posts more than a page".into()) };
    if !is_this {
        return Err("the image of another page".into());
    }
    let mut content = Content::new(budget);
    content.push(0, &IncomingMessage::posted(entry.time, entry.client, message));
    content.settle_charge();
    Ok(content)
}
