//! The types that callers hold: names, ids, times, bodies, options and answers.
//!
//! 1. A value of these types is valid by construction, except for the store's [`Limits`]; the code
//!    below never checks it again.
//! 2. This module uses no disk, lock or clock.
//! 3. No dependency's type appears in a public signature.
//! 4. Options are built by setters. A setter takes the value that it sets; where `None` is a value, it takes a value or
//!    an `Option`. The setter of an update always sets: what is not set stays as it is.

mod batch;
mod body;
mod bookmark;
mod capabilities;
mod catalogue;
mod claim;
mod claim_rate;
mod durability;
mod envelope;
pub(crate) mod error;
mod explanation;
mod flavor;
mod headers;
mod health;
mod id;
mod json;
pub(crate) mod limits;
mod marker;
mod message;
mod message_listing;
mod metadata;
mod metrics;
mod names;
pub(crate) mod numbering;
mod page;
mod pause;
mod pool;
mod project_quota;
mod python_json;
mod queue;
mod queue_settings;
mod redrive;
pub(crate) mod retry;
pub(crate) mod settings;
mod subscription;
pub(crate) mod time;
mod topic;
pub(crate) mod ttl;
mod uri;

pub use batch::{BatchOutcome, BatchStep};
pub use body::{Body, Checksum};
pub use bookmark::{BookmarkCondition, BookmarkRecord};
pub use capabilities::{Capabilities, Capability};
pub use catalogue::CatalogueEntry;
pub use claim::{ClaimEntry, ClaimOptions, ClaimRecord};
pub use claim_rate::ClaimRate;
pub(crate) use claim_rate::Rate;
pub use durability::Durability;
pub use envelope::DeadLetterOrigin;
pub(crate) use envelope::Envelope;
pub use error::{Error, ExportFault, Result};
pub use explanation::{Availability, Explanation};
pub use flavor::{Flavor, FlavorUpdate, NewFlavor};
pub use headers::Headers;
pub use health::{ControlHealth, GcReport, Health, MessageVolume, OperationStatus, PoolHealth};
pub use id::{ClaimId, ClientId, MessageId, SubscriptionId};
pub use limits::Limits;
pub use marker::{
    BookmarkMarker, ClaimMarker, FlavorMarker, MessageMarker, PoolMarker, QueueMarker, SubscriptionMarker,
};
pub(crate) use message::MAX_BYTES;
pub use message::{Message, NewMessage};
pub use message_listing::{MessageListOptions, Sort};
pub use metadata::{Metadata, MetadataValue};
pub use metrics::{Metrics, Timings};
pub use names::{BookmarkName, FlavorName, PoolGroup, PoolName, Project, QueueName, TopicName};
pub use page::{ListOptions, Page};
pub use pause::Pause;
pub use pool::{NewPool, Pool, PoolUpdate};
pub use project_quota::{ProjectQuota, ProjectUsage};
pub use queue::{MessageStat, Purge, QueueEntry, QueueListOptions, QueueStats};
pub use queue_settings::QueueSettings;
pub use redrive::{RedriveOptions, RedriveOutcome};
pub(crate) use retry::check_reasons;
pub use retry::{Retry, RetryPolicy};
pub use subscription::{Subscriber, Subscription, SubscriptionUpdate};
pub use time::Timestamp;
pub use topic::{TopicEntry, TopicStats};
pub use ttl::Ttl;
pub use uri::PoolUri;

pub(crate) use uri::Location;
