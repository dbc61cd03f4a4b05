//! The position up to which a source has been posted. Every post ends with a bookmark, so the bookmark is the queue's
//! newest message, unless lines that were dead were put back behind it.
//!
//! 1. A bookmark is delayed for its whole life: no claim ever takes it.
//! 2. A bookmark names the bookmark before it, which is deleted after the post. A run that died before the deletion
//!    left at most that one.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use zaqar_sled::{Message, MessageId, MessageListOptions, NewMessage, Queue, Sort, Ttl};

use crate::failure::Failure;
use crate::source::Source;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Bookmark {
    /// The number of posted bytes of the source.
    pub(crate) offset: u64,
    /// The number of posted lines.
    pub(crate) lines: u64,
    /// The checksum of the posted bytes.
    pub(crate) crc32: u32,
    /// Whether the last posted line had no newline.
    #[serde(default)]
    pub(crate) unended: bool,
    /// The bookmark before this one.
    pub(crate) previous: Option<MessageId>,
}

impl Bookmark {
    /// The bookmark of the source's queue; `None` before the first post.
    pub(crate) fn read(source: &Source, queue: &Queue) -> Result<Option<(MessageId, Self)>, Failure> {
        let foreign = || Failure::foreign(source, queue);
        let newest = match queue.first(Sort::Newest) {
            Err(zaqar_sled::Error::QueueIsEmpty { .. }) => return Ok(None),
            newest => newest?,
        };
        let message = if is_bookmark(&newest) { newest } else { last_of(queue)?.ok_or_else(foreign)? };
        let bookmark = message.body().to_json().map_err(|_| foreign())?;
        Ok(Some((message.id(), bookmark)))
    }

    pub(crate) fn message(&self) -> Result<NewMessage, Failure> {
        Ok(NewMessage::json(self)?.ttl(Ttl::Forever).delay(WHOLE_LIFE).header(HEADER, ""))
    }
}

/// The last bookmark among the messages of a queue. Cost: reads all of them.
fn last_of(queue: &Queue) -> Result<Option<Message>, Failure> {
    let mut last = None;
    for message in queue.iter(MessageListOptions::new().include_claimed(true).include_delayed(true)) {
        let message = message?;
        if is_bookmark(&message) {
            last = Some(message);
        }
    }
    Ok(last)
}

fn is_bookmark(message: &Message) -> bool {
    message.headers().get(HEADER).is_some()
}

/// The header of a bookmark, which no line has.
const HEADER: &str = "bookmark";

/// A thousand years.
const WHOLE_LIFE: Duration = Duration::from_secs(1000 * 365 * 24 * 60 * 60);
