//! zaqar-sled: an embedded storage engine for message queues.
#![forbid(unsafe_code)]

mod background;
mod base;
mod checkpoint;
mod clock;
mod codec;
mod config;
mod contract;
mod data;
pub mod disk;
mod engine;
mod error;
mod gc;
mod handle;
mod inspect;
mod journal;
mod manifest;
mod model;
mod op;
mod random;
mod recovery;
mod reference;
mod state;
mod status;
mod store;
mod trees;
mod verify;
mod wait;

pub use clock::{Clock, ManualClock, SystemClock};
pub use config::{Config, Durability};
pub use contract::{Claims, DataDriver, Messages, Queues};
pub use disk::{RealDisk, SimulatedDisk};
pub use engine::Engine;
pub use error::{Error, Result};
pub use handle::{Claim, Queue};
pub use inspect::Inspection;
pub use model::{
    Body, Capabilities, Capability, Checksum, ClaimId, ClaimOptions, ClaimRecord, ClientId, GcReport, Health, Limits,
    Message, MessageId, MessageListOptions, MessageMarker, MessageStat, MessageVolume, Metadata, NewMessage,
    OperationStatus, Page, Project, Purge, QueueEntry, QueueListOptions, QueueMarker, QueueName, QueueStats, Sort,
    Timestamp,
};
pub use recovery::{RecoveryReport, RecoverySource};
pub use reference::ReferenceModel;
pub use status::Status;
pub use verify::Verification;
