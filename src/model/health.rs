//! What a driver tells of its own condition.

use std::time::Duration;

/// The outcome of a health check, which really posts, claims and deletes in a queue of its own.
///
/// ```
/// # use zaqar_sled::{Config, DataDriver, SimulatedDisk};
/// # let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
/// let health = engine.health()?;
/// assert!(health.storage_reachable());
/// assert!(health.operations().iter().all(|operation| operation.succeeded()));
/// assert_eq!(health.volume().total, 0);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Health {
    pub(crate) storage_reachable: bool,
    pub(crate) operations: Vec<OperationStatus>,
    pub(crate) volume: MessageVolume,
}

impl Health {
    /// Whether the storage answers.
    pub fn storage_reachable(&self) -> bool {
        self.storage_reachable
    }

    /// How each kind of operation went, in the order they were tried.
    pub fn operations(&self) -> &[OperationStatus] {
        &self.operations
    }

    /// How many messages are stored.
    pub fn volume(&self) -> MessageVolume {
        self.volume
    }
}

/// How one kind of operation went in a health check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OperationStatus {
    pub(crate) name: &'static str,
    pub(crate) succeeded: bool,
    pub(crate) elapsed: Duration,
    pub(crate) reference: Option<String>,
}

impl OperationStatus {
    /// Zaqar's name for it, such as `post_messages`.
    pub fn name(&self) -> &str {
        self.name
    }

    /// Whether it succeeded.
    pub fn succeeded(&self) -> bool {
        self.succeeded
    }

    /// How long it took.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// For a failure, what to look it up by.
    pub fn reference(&self) -> Option<&str> {
        self.reference.as_deref()
    }
}

/// How many live messages all queues hold together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MessageVolume {
    /// Under no live claim.
    pub free: u64,
    /// Under a live claim.
    pub claimed: u64,
    /// Both.
    pub total: u64,
}

/// What a garbage collection gave back. Nothing it frees was visible any more.
///
/// ```
/// # use zaqar_sled::{Config, DataDriver, GcReport, SimulatedDisk};
/// # let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
/// assert_eq!(engine.gc()?, GcReport::default());
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct GcReport {
    pub(crate) messages: u64,
    pub(crate) claims: u64,
    pub(crate) queues: u64,
}

impl GcReport {
    /// Expired messages freed.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Expired claims freed.
    pub fn claims(&self) -> u64 {
        self.claims
    }

    /// Deleted queues whose space was freed.
    pub fn queues(&self) -> u64 {
        self.queues
    }
}
