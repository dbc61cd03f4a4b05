//! What callers hold: names, ids, times, bodies, options and answers.
//!
//! 1. A value of these types is valid by construction, as far as it can be without knowing the
//!    store's [`Limits`]; the code below never checks again.
//! 2. Nothing here touches a disk, a lock or a clock.
//! 3. No dependency's type appears in a public signature.

mod body;
mod capabilities;
mod claim;
mod health;
mod id;
pub(crate) mod limits;
mod marker;
mod message;
mod metadata;
mod names;
mod page;
mod python_json;
mod queue;
pub(crate) mod settings;
pub(crate) mod time;

pub use body::{Body, Checksum};
pub use capabilities::{Capabilities, Capability};
pub use claim::{ClaimOptions, ClaimRecord};
pub use health::{GcReport, Health, MessageVolume, OperationStatus};
pub use id::{ClaimId, ClientId, MessageId};
pub use limits::Limits;
pub use marker::{MessageMarker, QueueMarker};
pub use message::{Message, MessageListOptions, NewMessage, Sort};
pub use metadata::Metadata;
pub use names::{Project, QueueName};
pub use page::Page;
pub use queue::{MessageStat, Purge, QueueEntry, QueueListOptions, QueueStats};
pub use time::Timestamp;
