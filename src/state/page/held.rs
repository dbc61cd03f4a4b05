//! The existing copies of a page's content, and the results of reading its image; see `residency`.

use std::cell::OnceCell;
use std::sync::Arc;

use crate::model::error::Error;
use crate::state::page_content::Content;
use crate::storage::journal::FrameImage;
use crate::storage::page_files::Image;

/// The existing copies of a page's content.
#[derive(Debug)]
pub(super) enum Held {
    Memory(Arc<Content>),
    /// In memory, and in the frame that posted it, which is not an image yet.
    Posted {
        memory: Arc<Content>,
        frame: Arc<FrameImage>,
    },
    /// An image, and the content once it was read, or still is in memory.
    Image {
        image: Image,
        memory: OnceCell<Arc<Content>>,
    },
}

/// How reading an image has ended, the last time or times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    /// Well, or there was none.
    Fine,
    /// The device failed, once.
    FailedOnce,
    /// The device failed, twice in a row.
    FailedTwice,
    /// The image is not what was written, or the device has failed to read it three times in a row.
    Damaged,
}

impl Held {
    pub(super) fn image(image: Image) -> Self {
        Self::Image { image, memory: OnceCell::new() }
    }

    pub(super) fn memory_mut(&mut self) -> Option<&mut Arc<Content>> {
        match self {
            Self::Memory(content) | Self::Posted { memory: content, .. } => Some(content),
            Self::Image { memory, .. } => memory.get_mut(),
        }
    }
}

impl Reads {
    /// The state after another read that failed with `error`.
    pub(super) fn after(self, error: &Error) -> Self {
        if self == Self::Damaged || error.is_corrupt() {
            return Self::Damaged;
        }
        match self {
            // No fault of the device: no descriptor was left, say.
            _ if !error.is_damage() => Self::Fine,
            Self::Fine => Self::FailedOnce,
            Self::FailedOnce => Self::FailedTwice,
            Self::FailedTwice | Self::Damaged => Self::Damaged,
        }
    }
}
