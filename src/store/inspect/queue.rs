//! A queue of an inspected store: its figures, messages and claims.

use std::sync::Arc;

use crate::lock::{Mutex, Rank};
use crate::model::error::Result;
use crate::model::numbering::first_of;
use crate::model::settings::ParsedSettings;
use crate::model::{
    ClaimId, ClaimRate, ClaimRecord, Explanation, Message, MessageId, MessageListOptions, MessageMarker, Metadata,
    Page, PoolName, Project, QueueName, QueueStats, Timestamp,
};
use crate::state::{LoadedQueue, Queue, Reading};
use crate::store::verify::Verification;

use super::claim::InspectedClaim;
use super::origin::Origin;

/// A queue as [`Engine::inspect`](crate::Engine::inspect) found it, at the instant of the
/// [`Inspection`](crate::Inspection).
///
/// Messages are read from the disk when they are asked for. If the store has changed since the
/// inspection, they may be gone; the error is then [`is_busy`](crate::Error::is_busy), and the store is
/// to be inspected again.
///
/// ```
/// # use zaqar_sled::*;
/// # use std::time::Duration;
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path();
/// let engine = Engine::open(path)?;
/// engine.queue(Project::none(), "jobs")?.create(Metadata::new().with("owner", "ann")?)?;
/// let delayed = NewMessage::new("later").delay(Duration::from_secs(60));
/// let ids = engine.queue(Project::none(), "jobs")?.post(ClientId::random(), &[delayed])?;
/// drop(engine);
/// let inspection = Engine::inspect(path)?;
/// let jobs = &inspection.queues()[0];
/// assert_eq!((jobs.project(), jobs.name().as_str()), (&Project::none(), "jobs"));
/// assert_eq!((jobs.messages(), jobs.claimed(), jobs.delayed(), jobs.free()), (1, 0, 1, 0));
/// assert_eq!((jobs.bytes(), jobs.is_archived()), (5 + 64, false));
/// assert!(jobs.metadata().contains("owner") && jobs.claims().is_empty());
/// assert_eq!(jobs.pool(), None);
/// assert_eq!(jobs.stats()?.oldest().map(|oldest| oldest.id()), Some(ids[0]));
///
/// let all = MessageListOptions::new().include_delayed(true);
/// assert_eq!(jobs.list(&all)?.items[0].body(), &Body::from("later"));
/// assert_eq!(jobs.get(&ids[0])?.map(|message| message.id()), Some(ids[0]));
/// let explained = jobs.explain(&ids[0], &jobs.metadata())?;
/// assert!(matches!(explained.availability(), Availability::Delayed { .. }));
/// assert!(jobs.claim(&ClaimId::lossy("none"))?.is_none());
/// assert!(jobs.claim_rate(&jobs.metadata())?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct InspectedQueue {
    project: Project,
    name: QueueName,
    pool: Option<PoolName>,
    archived: bool,
    queue: Mutex<LoadedQueue>,
    time: Timestamp,
    origin: Arc<Origin>,
}

impl InspectedQueue {
    pub(super) fn new(
        (project, name, pool): (Project, QueueName, Option<PoolName>),
        archived: bool,
        queue: LoadedQueue,
        time: Timestamp,
        origin: Arc<Origin>,
    ) -> Self {
        Self { project, name, pool, archived, queue: Mutex::new(Rank::Inspected, queue), time, origin }
    }

    /// Shows the queue as at `time`.
    pub(super) fn advance(&mut self, time: Timestamp) -> Result<()> {
        self.time = time;
        self.read(|queue| queue.advance(time.as_millis()).1)
    }

    /// Reads the queue. A failure counts only if the store still has everything that it had at the inspection.
    fn read<R>(&self, read: impl FnOnce(&mut Queue) -> Result<R>) -> Result<R> {
        let (result, is_doubtful) = self.queue.lock().with(|queue| {
            let result = read(queue);
            queue.evict_read_pages();
            (result, queue.has_damage())
        });
        if is_doubtful || result.is_err() {
            self.origin.check()?;
        }
        result
    }

    /// Recounts the queue and reads all of its pages.
    pub(super) fn verify(&self, verification: &mut Verification) -> Result<()> {
        self.read(|queue| verification.recount(queue))
    }

    /// The queue's project.
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// The queue's name.
    pub fn name(&self) -> &QueueName {
        &self.name
    }

    /// The pool that has the queue's messages and claims: they are in the store of that pool, under the same project
    /// and name. `None` for a queue whose messages are in this store.
    pub fn pool(&self) -> Option<&PoolName> {
        self.pool.as_ref()
    }

    /// The queue's metadata.
    pub fn metadata(&self) -> Metadata {
        self.queue.lock().description().metadata.clone()
    }

    /// Whether the store has the queue only in its archive; see [`Config::queue_memory`](crate::Config::queue_memory).
    pub fn is_archived(&self) -> bool {
        self.archived
    }

    /// The number of the queue's live messages.
    pub fn messages(&self) -> u64 {
        self.queue.lock().state.totals().total
    }

    /// The number of the queue's messages under a live claim.
    pub fn claimed(&self) -> u64 {
        self.queue.lock().state.totals().claimed
    }

    /// The number of the queue's messages that are delayed and under no claim.
    pub fn delayed(&self) -> u64 {
        self.queue.lock().state.totals().delayed
    }

    /// The number of the queue's messages that a claim could take.
    pub fn free(&self) -> u64 {
        let totals = self.queue.lock().state.totals();
        totals.total.saturating_sub(totals.claimed).saturating_sub(totals.delayed)
    }

    /// The weight of the queue's messages: the bytes of their bodies and 64 bytes each.
    pub fn bytes(&self) -> u64 {
        self.queue.lock().state.totals().weight
    }

    /// The queue's live claims, in the order of their creation, those without messages too.
    pub fn claims(&self) -> Vec<InspectedClaim> {
        self.queue.lock().with(|queue| {
            let claims = queue.claims().iter();
            claims.map(|(_, claim)| InspectedClaim::of(claim, self.time)).collect()
        })
    }

    /// A live claim with its live messages; `None` if there is none of that id. Cost: a read of each page with one of
    /// the messages.
    ///
    /// # Errors
    /// those of [`list`](Self::list).
    pub fn claim(&self, id: &ClaimId) -> Result<Option<ClaimRecord>> {
        self.read(|queue| queue.claim_record(id, self.time.as_millis()))
    }

    /// The numbers of the queue's messages, with the oldest and the newest. Cost: a read of two pages.
    ///
    /// The claim rate among them is that of the queue's own metadata here. If the queue is in a pool, ask
    /// [`claim_rate`](Self::claim_rate) of the pool's inspection, with the metadata of the control store.
    ///
    /// # Errors
    /// those of [`list`](Self::list). A damaged page is passed over.
    pub fn stats(&self) -> Result<QueueStats> {
        self.read(|queue| queue.stats(&queue.description().settings, self.time.as_millis()))
    }

    /// The messages behind a marker, as [`Queue::list`](crate::Queue::list) lists them, of the instant of the
    /// inspection. Nothing is claimed. Cost: a read of each page.
    ///
    /// # Errors
    /// [`is_busy`](crate::Error::is_busy) if the store has changed since and messages are gone: inspect it again;
    /// [`is_corrupt`](crate::Error::is_corrupt) for a damaged page; [`Io`](crate::Error::Io).
    pub fn list(&self, options: &MessageListOptions) -> Result<Page<Message, MessageMarker>> {
        let items = self.read(|queue| queue.list(options, self.time.as_millis()))?;
        let next = items.last().map(Message::marker);
        Ok(Page { items, next })
    }

    /// The live message of that id, claimed and delayed ones too; `None` if there is none. Cost: a read of one page.
    ///
    /// # Errors
    /// those of [`list`](Self::list).
    pub fn get(&self, id: &MessageId) -> Result<Option<Message>> {
        let now = self.time.as_millis();
        self.read(|queue| {
            let place = if id.queue == queue.number() { queue.locate(id.sequence)? } else { None };
            let mut reading = Reading::new(now);
            place.into_iter().for_each(|(page, index)| reading.push(queue, page, index));
            Ok(reading.finish().pop())
        })
    }

    /// Why a message can or could not be claimed at the instant of the inspection, and since when, as
    /// [`Queue::explain`](crate::Queue::explain) says it. `metadata` is the queue's own
    /// [`metadata`](Self::metadata); for a queue in the store of a pool, that of the same queue in the
    /// control store, which alone has the settings that count. Cost: a read of one page.
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) for metadata that no queue can have;
    /// [`is_busy`](crate::Error::is_busy) and [`Io`](crate::Error::Io), as of [`list`](Self::list).
    pub fn explain(&self, id: &MessageId, metadata: &Metadata) -> Result<Explanation> {
        let settings = ParsedSettings::parse(metadata)?;
        let least = first_of(self.origin.incarnation());
        self.read(|queue| queue.explain(*id, &settings, queue.next().max(least), self.time.as_millis()))
    }

    /// The claim rate that `metadata` give the queue, and what claims and pops could take at the instant of the
    /// inspection; `None` without a rate. `metadata` as for [`explain`](Self::explain).
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) for metadata that no queue can have.
    pub fn claim_rate(&self, metadata: &Metadata) -> Result<Option<ClaimRate>> {
        let settings = ParsedSettings::parse(metadata)?;
        Ok(self.queue.lock().with(|queue| queue.claim_rate(&settings, self.time.as_millis())))
    }
}
