//! The operations of callers, of the clock and of the environment. Names, times and ids are small numbers, so that they
//! repeat.

use std::time::Duration;

use arbitrary::Arbitrary;
use zaqar_sled::{ClientId, Metadata, NewMessage, Project, Purge, QueueName, TopicName, Ttl};

use crate::batching::Step;
use crate::bookmarking::BookmarkCall;
use crate::limiting::ProjectCall;
use crate::registration::{Few, Flavoring, Mapping, Pooling, Subscribing};

#[derive(Debug, Clone, Arbitrary)]
pub enum Operation {
    Create {
        queue: Name,
        metadata: Settings,
    },
    SetMetadata {
        queue: Name,
        metadata: Settings,
    },
    Get {
        queue: Name,
    },
    Exists {
        queue: Name,
    },
    Delete {
        queue: Name,
    },
    ListQueues {
        project: bool,
        limit: u8,
        detailed: bool,
    },
    Stats {
        queue: Name,
    },
    Count {
        project: bool,
    },
    Purge {
        queue: Name,
        what: What,
    },
    Post {
        queue: Name,
        client: bool,
        messages: Vec<MessageSpec>,
    },
    List {
        queue: Name,
        marker: Option<Known>,
        limit: u8,
        echo: bool,
        claimed: bool,
        delayed: bool,
    },
    First {
        queue: Name,
        newest: bool,
    },
    GetMessage {
        queue: Name,
        id: Known,
    },
    BulkGet {
        queue: Name,
        ids: Vec<Known>,
    },
    DeleteMessage {
        queue: Name,
        id: Known,
        claim: Option<Known>,
    },
    BulkDelete {
        queue: Name,
        ids: Vec<Known>,
        claims: Vec<Known>,
    },
    Pop {
        queue: Name,
        limit: u8,
    },
    Claim {
        queue: Name,
        ttl: Time,
        grace: Time,
        limit: u8,
    },
    GetClaim {
        queue: Name,
        claim: Known,
    },
    Renew {
        queue: Name,
        claim: Known,
        ttl: Time,
        grace: Time,
    },
    Release {
        queue: Name,
        claim: Known,
    },
    Retry {
        queue: Name,
        claim: Known,
        messages: Vec<(Known, Option<Time>, Option<u16>)>,
    },
    Split {
        queue: Name,
        claim: Known,
        messages: Vec<Known>,
        ttl: Time,
        grace: Time,
    },
    Batch {
        steps: Vec<Step>,
    },
    Bookmarks(BookmarkCall),
    Projects(ProjectCall),
    SetPause {
        queue: Name,
        pause: Few<4>,
    },
    Redrive {
        queue: Name,
        to: Option<Name>,
        source: Option<Name>,
        older_than: Option<Time>,
        limit: Option<u8>,
        ttl: Option<Time>,
        dry_run: bool,
    },
    Subscriptions {
        queue: Name,
        call: Subscribing,
    },
    Pools(Pooling),
    Flavors(Flavoring),
    Catalogue(Mapping),
    /// Only where there are several stores.
    Move {
        queue: Name,
        to: Few<4>,
    },
    Advance {
        by: Time,
    },
    /// The wall clock steps, forward or back.
    Step {
        by: Time,
        back: bool,
    },
    Gc,
    Housekeep,
    Checkpoint,
    Snapshot,
    Verify,
    Reopen,
    Kill,
    PowerLoss {
        seed: u64,
    },
}

/// One of three names of queues, or a topic, in one of two projects.
#[derive(Debug, Clone, Copy)]
pub struct Name(pub u8);

impl Arbitrary<'_> for Name {
    fn arbitrary(input: &mut arbitrary::Unstructured<'_>) -> arbitrary::Result<Self> {
        Ok(Self(input.arbitrary::<u8>()? % 8))
    }
}

/// An id seen before, counted back from the latest. An id before the first names nothing.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub struct Known(pub u8);

/// The purged content.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum What {
    Messages,
    Subscriptions,
    All,
}

impl From<What> for Purge {
    fn from(what: What) -> Self {
        match what {
            What::Messages => Self::Messages,
            What::Subscriptions => Self::Subscriptions,
            What::All => Self::All,
        }
    }
}

/// Lengths of time that meet and miss one another.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum Time {
    Zero,
    Millisecond,
    Moment,
    Second,
    Minute,
    Hour,
    Exactly(u16),
    /// Past the end of time.
    Ages,
}

impl From<Time> for Duration {
    fn from(time: Time) -> Self {
        match time {
            Time::Zero => Self::ZERO,
            Time::Millisecond => Self::from_millis(1),
            Time::Moment => Self::from_millis(500),
            Time::Second => Self::from_secs(1),
            Time::Minute => Self::from_secs(60),
            Time::Hour => Self::from_secs(3600),
            Time::Exactly(millis) => Self::from_millis(millis.into()),
            Time::Ages => Self::from_secs(1 << 38),
        }
    }
}

#[derive(Debug, Clone, Arbitrary)]
pub struct MessageSpec {
    /// None is forever.
    pub ttl: Option<Time>,
    pub delay: Option<Time>,
    pub bytes: u16,
    pub headers: Vec<(u8, u8)>,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum Settings {
    None,
    /// Worn-out messages move to a queue of the same project.
    DeadLetters {
        after: u8,
        to: u8,
        ttl: Option<u8>,
    },
    Largest(u16),
    Bound {
        messages: u8,
        bytes: Option<u16>,
    },
    Rate {
        per_second: u16,
        burst: u8,
    },
    /// One of the pools of a flavor.
    Flavor(Few<3>),
    /// Of a topic.
    Subscribed(u8),
    Invalid,
}

impl Name {
    pub(crate) fn parts(self) -> (Project, QueueName) {
        let project = project_of(self.0 >= 4);
        match ["a", "b", "c"].get(usize::from(self.0 % 4)) {
            Some(name) => (project, QueueName::new(name).expect("a valid name")),
            None => (project, TopicName::new("a").expect("a valid name").to_queue_name()),
        }
    }
}

impl MessageSpec {
    pub(crate) fn message(&self) -> NewMessage {
        let body = vec![self.bytes as u8; usize::from(self.bytes % 3000)];
        let ttl = self.ttl.map_or(Ttl::Forever, |ttl| Duration::from(ttl).into());
        // Some names are empty, some headers too long, and some too many.
        let header =
            |(name, value): &(u8, u8)| ("n".repeat(usize::from(name % 8)), "v".repeat(usize::from(*value) * 8));
        let headers = self.headers.iter().map(header).collect();
        NewMessage::new(body).ttl(ttl).delay(self.delay.map(Duration::from)).headers(headers)
    }
}

impl Settings {
    pub(crate) fn metadata(self) -> Metadata {
        let made = match self {
            Self::None => Ok(Metadata::new()),
            Self::DeadLetters { after, to, ttl } => {
                let to = ["a", "b", "c"][usize::from(to % 3)];
                let metadata = Metadata::new().with("_max_claim_count", after % 3);
                let metadata = metadata.and_then(|metadata| metadata.with("_dead_letter_queue", to));
                let ttl = ttl.map(|seconds| u32::from(seconds) + 60);
                metadata.and_then(|metadata| metadata.with("_dead_letter_queue_messages_ttl", ttl))
            }
            Self::Flavor(flavor) => Metadata::new().with("_flavor", flavor.flavor().as_str()),
            Self::Largest(bytes) => Metadata::new().with("_max_messages_post_size", bytes),
            // A bound of 0 is refused.
            Self::Bound { messages, bytes } => Metadata::new()
                .with("_max_queue_messages", messages)
                .and_then(|metadata| metadata.with("_max_queue_bytes", bytes)),
            Self::Subscribed(which) => {
                let queues = ["a", "b", "c"].iter().enumerate().filter(|(at, _)| which & (1 << at) != 0);
                Metadata::new().with("_subscribed_queues", queues.map(|(_, name)| *name).collect::<Vec<_>>())
            }
            // A rate of 0 is refused.
            Self::Rate { per_second, burst } => Metadata::new()
                .with("_max_claims_per_second", per_second)
                .and_then(|metadata| metadata.with("_max_claims_burst", u16::from(burst) + 1)),
            Self::Invalid => Metadata::new().with("_max_claim_count", "many"),
        };
        made.expect("plain values")
    }
}

pub(crate) fn project_of(named: bool) -> Project {
    if named { Project::named("p").expect("a valid name") } else { Project::none() }
}

pub(crate) fn client_of(one: bool) -> ClientId {
    ClientId::from_bytes([u8::from(one); 16])
}
