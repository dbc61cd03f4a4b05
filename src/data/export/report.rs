//! What an export has, or an import has taken in.

use std::fmt;

use serde::Serialize;

use super::line::Counts;

/// What an export has, or an import has taken in. Its `Display` text is one line for a log.
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let config = Config::new().disk(disk);
/// # let engine = config.clone().open("store")?;
/// let jobs = engine.queue(Project::none(), "jobs")?;
/// jobs.create(Metadata::new())?;
/// jobs.post(ClientId::random(), &[NewMessage::new("work")])?;
/// let claim = jobs.claim(ClaimOptions::new())?.expect("a message waits");
/// let mut lines = Vec::new();
/// let exported = engine.export(&mut lines)?;
/// assert_eq!((exported.queues(), exported.messages(), exported.claims()), (1, 1, 1));
/// assert_eq!((exported.subscriptions(), exported.mappings()), (0, 0));
/// assert_eq!((exported.pools(), exported.flavors()), (0, 0));
/// assert_eq!((exported.bookmarks(), exported.quotas()), (0, 0));
/// assert_eq!(exported.lines(), 5); // with the first and the last one
/// assert_eq!(exported.bytes(), lines.len() as u64);
/// assert_eq!(config.import("copy", lines.as_slice())?, exported);
/// println!("{exported}");
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct ExportReport {
    queues: u64,
    messages: u64,
    claims: u64,
    subscriptions: u64,
    pools: u64,
    flavors: u64,
    mappings: u64,
    bookmarks: u64,
    quotas: u64,
    lines: u64,
    bytes: u64,
}

impl ExportReport {
    pub(crate) fn of(counts: &Counts, lines: u64, bytes: u64) -> Self {
        let Counts { pools, flavors, mappings, bookmarks, quotas, queues, claims, messages, subscriptions, .. } =
            *counts;
        Self { queues, messages, claims, subscriptions, pools, flavors, mappings, bookmarks, quotas, lines, bytes }
    }

    /// The number of queues, of all projects.
    pub fn queues(&self) -> u64 {
        self.queues
    }

    /// The number of messages.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// The number of live claims, those without messages too.
    pub fn claims(&self) -> u64 {
        self.claims
    }

    /// The number of subscriptions.
    pub fn subscriptions(&self) -> u64 {
        self.subscriptions
    }

    /// The number of pools.
    pub fn pools(&self) -> u64 {
        self.pools
    }

    /// The number of flavors.
    pub fn flavors(&self) -> u64 {
        self.flavors
    }

    /// The number of entries of the catalogue.
    pub fn mappings(&self) -> u64 {
        self.mappings
    }

    /// The number of bookmarks.
    pub fn bookmarks(&self) -> u64 {
        self.bookmarks
    }

    /// The number of projects with a quota.
    pub fn quotas(&self) -> u64 {
        self.quotas
    }

    /// The number of lines, with the first and the last one.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// The bytes of all lines.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl fmt::Display for ExportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { queues, messages, claims, subscriptions, bytes, .. } = self;
        write!(f, "{queues} queues, {messages} messages, {claims} claims, {subscriptions} subscriptions; {bytes} bytes")
    }
}
