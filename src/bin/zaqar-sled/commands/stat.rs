//! `stat`: one store, or one queue, in detail.

use std::ops::Not;

use clap::Args;
use serde::Serialize;
use serde_json::value::RawValue;
use zaqar_sled::{ClaimRate, InspectedQueue, MessageStat, Metadata, Project, QueueName};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::file_facts::FileFacts;
use crate::grid;
use crate::holder::Holder;
use crate::output::Output;
use crate::plain;
use crate::quantity;
use crate::queue_name::{QueueArgs, name_of, parse_project};
use crate::store_path::StorePath;
use crate::view::View;

/// The arguments of `stat`.
#[derive(Debug, Args)]
pub(crate) struct Stat {
    #[command(flatten)]
    store: StorePath,

    #[command(flatten)]
    output: Output,

    /// The queue; without one, the store is shown.
    #[arg(value_name = "QUEUE")]
    queue: Option<QueueName>,

    /// The queue's project [default: none].
    #[arg(long, value_name = "NAME", value_parser = parse_project, requires = "queue")]
    project: Option<Project>,

    /// Show the topic of that name instead of the queue.
    #[arg(long, requires = "queue")]
    topic: bool,
}

/// The store as a whole.
#[derive(Debug, Serialize)]
struct StoreFacts {
    closed_cleanly: bool,
    /// The number of the process that has the store open, if that is known.
    used_by: Option<u32>,
    last_change: u64,
    is_pool: bool,
    pools: usize,
    queues: usize,
    archived_queues: usize,
    free: u64,
    delayed: u64,
    claimed: u64,
    claims: usize,
    bytes: u64,
    files: FileFacts,
    #[serde(skip)]
    state: String,
}

/// One queue.
#[derive(Debug, Serialize)]
struct QueueFacts {
    project: Option<String>,
    queue: String,
    #[serde(skip_serializing_if = "Not::not")]
    topic: bool,
    archived: bool,
    free: u64,
    delayed: u64,
    claimed: u64,
    claims: usize,
    expired: u64,
    bytes: u64,
    oldest: Option<MessageFacts>,
    newest: Option<MessageFacts>,
    claim_rate: Option<RateFacts>,
    metadata: Box<RawValue>,
    #[serde(skip)]
    shown: [String; 2],
}

/// The claim rate of a queue, and what may be taken.
#[derive(Debug, Serialize)]
struct RateFacts {
    per_second: u32,
    burst: u32,
    available: u32,
    next: String,
}

/// The oldest or the newest message.
#[derive(Debug, Serialize)]
struct MessageFacts {
    id: String,
    created: String,
    age_s: u64,
    #[serde(skip)]
    age: String,
}

impl Stat {
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        match &self.queue {
            None => {
                let holder = Holder::of(self.store.path());
                let facts = self.store.look(|view| StoreFacts::of(view, holder.as_ref()))?;
                self.output.document(&facts, |facts| grid::facts(&facts.shown(), grid::terminal_width()))?;
            }
            Some(name) => {
                let queue = QueueArgs { name: name.clone(), project: self.project.clone() }.or_topic(self.topic)?;
                let facts = self
                    .store
                    .look(|view| QueueFacts::of(queue.find(view)?, &view.metadata(&queue.project(), &queue.name)))?;
                self.output.document(&facts, |facts| grid::facts(&facts.shown(), grid::terminal_width()))?;
            }
        }
        Ok(Exit::Done)
    }
}

impl StoreFacts {
    fn of(view: &View, holder: Option<&Holder>) -> Result<Self, Failure> {
        if let Some(unseen) = view.unseen().next() {
            return Err(Failure::Unseen(unseen.clone()));
        }
        let (queues, inspection) = (view.queues(), view.store());
        let sum =
            |count: fn(&InspectedQueue) -> u64| queues.iter().map(|queue| count(queue)).fold(0, u64::saturating_add);
        let closed = inspection.was_closed();
        let state = match holder.filter(|_| !closed) {
            _ if closed => "closed cleanly".to_owned(),
            Some(holder) => format!("in use by {holder}"),
            None => "not in use, as far as is known; the next opening replays the journal".to_owned(),
        };
        Ok(Self {
            closed_cleanly: closed,
            used_by: holder.filter(|_| !closed).map(Holder::pid),
            last_change: inspection.last_lsn(),
            is_pool: inspection.is_pool(),
            pools: inspection.pools().len(),
            queues: queues.len(),
            archived_queues: queues.iter().filter(|queue| queue.is_archived()).count(),
            free: sum(InspectedQueue::free),
            delayed: sum(InspectedQueue::delayed),
            claimed: sum(InspectedQueue::claimed),
            claims: queues.iter().map(|queue| queue.claims().len()).sum(),
            bytes: sum(InspectedQueue::bytes),
            files: FileFacts::of(inspection.file_sizes()),
            state,
        })
    }

    fn shown(&self) -> Vec<(&'static str, String)> {
        let mut facts = vec![
            ("state", self.state.clone()),
            ("last change", self.last_change.to_string()),
            ("queues", format!("{}, {} of them archived", self.queues, self.archived_queues)),
            ("free", self.free.to_string()),
            ("delayed", self.delayed.to_string()),
            ("claimed", format!("{} by {}", self.claimed, quantity::counted(self.claims as u64, "claim"))),
            ("bytes", quantity::size(self.bytes)),
        ];
        facts.extend(self.files.rows().map(|(name, bytes)| (name, quantity::size(bytes))));
        if self.pools > 0 {
            facts.push(("pools", self.pools.to_string()));
        }
        if self.is_pool {
            facts.push(("pool", "of another store".into()));
        }
        facts
    }
}

impl QueueFacts {
    fn of(queue: &InspectedQueue, metadata: &Metadata) -> Result<Self, Failure> {
        let stats = queue.stats()?;
        Ok(Self {
            project: queue.project().name().map(str::to_owned),
            queue: queue.name().to_string(),
            topic: queue.name().topic().is_some(),
            archived: queue.is_archived(),
            free: queue.free(),
            delayed: queue.delayed(),
            claimed: queue.claimed(),
            claims: queue.claims().len(),
            expired: stats.expired(),
            bytes: queue.bytes(),
            oldest: stats.oldest().map(MessageFacts::of),
            newest: stats.newest().map(MessageFacts::of),
            claim_rate: queue.claim_rate(metadata)?.map(RateFacts::of),
            metadata: RawValue::from_string(metadata.to_json()).map_err(std::io::Error::from)?,
            shown: [plain::project(queue.project()), name_of(queue.name())],
        })
    }

    fn shown(&self) -> Vec<(&'static str, String)> {
        let [project, queue] = self.shown.clone();
        let message = |message: &Option<MessageFacts>| {
            message.as_ref().map_or_else(|| "-".into(), |message| format!("{}, {} old", message.id, message.age))
        };
        let mut facts = vec![
            ("project", project),
            ("queue", queue),
            ("archived", if self.archived { "yes" } else { "no" }.into()),
            ("free", self.free.to_string()),
            ("delayed", self.delayed.to_string()),
            ("claimed", format!("{} by {}", self.claimed, quantity::counted(self.claims as u64, "claim"))),
            ("expired", self.expired.to_string()),
            ("bytes", quantity::size(self.bytes)),
            ("oldest", message(&self.oldest)),
            ("newest", message(&self.newest)),
        ];
        facts.extend(self.claim_rate.iter().map(|rate| ("claim rate", rate.shown())));
        facts.push(("metadata", plain::body(self.metadata.get().as_bytes())));
        facts
    }
}

impl RateFacts {
    fn of(rate: ClaimRate) -> Self {
        let (per_second, burst, available) = (rate.per_second(), rate.burst(), rate.available());
        Self { per_second, burst, available, next: rate.next().to_string() }
    }

    fn shown(&self) -> String {
        let left = if self.available == 0 { format!("none until {}", self.next) } else { self.available.to_string() };
        format!("{} per second, {} at once; now {left}", self.per_second, self.burst)
    }
}

impl MessageFacts {
    fn of(message: &MessageStat) -> Self {
        Self {
            id: message.id().to_string(),
            created: message.created().to_string(),
            age_s: message.age().as_secs(),
            age: quantity::age(message.age()),
        }
    }
}
