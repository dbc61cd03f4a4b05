//! zaqar-sled: an embedded storage engine for message queues.
#![forbid(unsafe_code)]
#![allow(dead_code)] // until the engine lands

mod contract;
mod error;
mod model;

pub use contract::{Claims, DataDriver, Messages, Queues};
pub use error::{Error, Result};
pub use model::{
    Body, Capabilities, Capability, Checksum, ClaimId, ClaimOptions, ClaimRecord, ClientId,
    GcReport, Health, Limits, Message, MessageId, MessageListOptions, MessageMarker, MessageStat,
    MessageVolume, Metadata, NewMessage, OperationStatus, Page, Project, Purge, QueueEntry,
    QueueListOptions, QueueMarker, QueueName, QueueStats, Sort, Timestamp,
};
