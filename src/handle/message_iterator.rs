//! An iterator over a queue's messages, page by page.

use super::queue::{ITER_PAGE, Queue, SMALL_ITER_PAGE};
use crate::model::error::Result;
use crate::model::{Message, MessageListOptions};

pub(super) struct MessageIterator {
    queue: Queue,
    options: MessageListOptions,
    page: std::vec::IntoIter<Message>,
    done: bool,
}

impl Queue {
    /// All messages that `options` let through, from their marker on; after an error the iterator ends.
    pub(super) fn into_messages(self, options: MessageListOptions) -> MessageIterator {
        let allowed = self.control_store().limits.check_page_limit(ITER_PAGE).is_ok();
        let options = options.limit(if allowed { ITER_PAGE } else { SMALL_ITER_PAGE });
        MessageIterator { queue: self, options, page: Vec::new().into_iter(), done: false }
    }
}

impl Iterator for MessageIterator {
    type Item = Result<Message>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(message) = self.page.next() {
            return Some(Ok(message));
        }
        if self.done {
            return None;
        }
        match self.queue.list(&self.options) {
            Ok(page) => {
                self.done = page.next.is_none();
                self.options.marker = page.next;
                self.page = page.items.into_iter();
                self.page.next().map(Ok)
            }
            Err(error) => {
                self.done = true;
                Some(Err(error))
            }
        }
    }
}
