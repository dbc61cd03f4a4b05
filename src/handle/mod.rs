//! Handles on queues and on one claim. They add to the contract's traits the defaults that a caller expects.

mod batch;
mod bookmark;
mod claim;
mod claims;
mod dead_letters;
mod driver;
mod message_iterator;
mod messages;
mod pauses;
mod posting;
mod queue;
mod queue_set;
mod topic;
mod topic_messages;

pub use batch::Batch;
pub use bookmark::Bookmark;
pub use claim::Claim;
pub use queue::Queue;
pub use queue_set::QueueSet;
pub use topic::Topic;
