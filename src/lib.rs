//! zaqar-sled: an embedded storage engine for message queues.
#![forbid(unsafe_code)]
#![allow(dead_code)] // until the engine lands

mod clock;
mod codec;
mod contract;
pub mod disk;
mod error;
mod journal;
mod model;
mod op;
mod random;
mod reference;
mod state;
mod trees;

pub use clock::{Clock, ManualClock, SystemClock};
pub use contract::{Claims, DataDriver, Messages, Queues};
pub use error::{Error, Result};
pub use model::{
    Body, Capabilities, Capability, Checksum, ClaimId, ClaimOptions, ClaimRecord, ClientId,
    GcReport, Health, Limits, Message, MessageId, MessageListOptions, MessageMarker, MessageStat,
    MessageVolume, Metadata, NewMessage, OperationStatus, Page, Project, Purge, QueueEntry,
    QueueListOptions, QueueMarker, QueueName, QueueStats, Sort, Timestamp,
};
pub use reference::ReferenceModel;
