//! The position up to which a source has been posted. Every post sets a bookmark to it, in the same batch.

use serde::{Deserialize, Serialize};
use zaqar_sled::{Body, Bookmark, Queue};

use crate::failure::Failure;
use crate::source::Source;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Position {
    /// The number of posted bytes of the source.
    pub(crate) offset: u64,
    /// The number of posted lines.
    pub(crate) lines: u64,
    /// The checksum of the posted bytes.
    pub(crate) crc32: u32,
    /// Whether the last posted line had no newline.
    pub(crate) unended: bool,
}

impl Position {
    /// The position that the source's bookmark has: the start before the first post.
    pub(crate) fn read(source: &Source, queue: &Queue, bookmark: &Bookmark) -> Result<Self, Failure> {
        let foreign = || Failure::foreign(source, queue);
        match bookmark.get()? {
            Some(read) => read.value().to_json().map_err(|_| foreign()),
            None if queue.stats()?.total() > 0 => Err(foreign()),
            None => Ok(Self::default()),
        }
    }

    /// The value of the bookmark.
    pub(crate) fn value(&self) -> Result<Body, Failure> {
        Ok(Body::json(self)?)
    }
}
