//! The queue that an import is filling.
//!
//! 1. All claims are in the store before the first page that names them.
//! 2. A message is under the claim that lists it: no two claims list the same one. The state relies on that.
//! 3. Pages are full, as far as the sequences allow, whatever their messages were in before.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::message::{Decoded, check_instants};
use crate::data::export::line::{ClaimLine, HandedOut, MessageLine, QueueLine};
use crate::engine::Engine;
use crate::model::error::{Error, Result};
use crate::model::numbering::incarnation_of;
use crate::model::{Limits, MessageId, Project, QueueName};
use crate::state::op::{Address, Import, ImportedPage, Op};
use crate::state::sequences::Sequences;
use crate::state::{Bucket, Claim, PageBuilder};
use crate::storage::journal::Growth;
use crate::store::QueueSlot;

/// A queue of which lines follow.
pub(super) struct OpenQueue {
    engine: Engine,
    slot: Arc<QueueSlot>,
    project: Project,
    name: QueueName,
    /// Behind the sequences of all messages that the queue has had.
    next: u64,
    expired: u64,
    bucket: Option<Bucket>,
    /// The numbers of the claims and messages that are still to come.
    claims: u64,
    messages: u64,
    /// The numbers that the queue's claims have in this store, by their ids.
    by_id: HashMap<[u8; 16], u64>,
    /// The runs of messages that claims list, by their starts: their ends, and the numbers of the claims.
    held: BTreeMap<u64, (u64, u64)>,
    ready_claims: Vec<(u64, Claim)>,
    ready_claim_runs: usize,
    page: Option<PageBuilder>,
    ready_pages: Vec<ImportedPage<'static>>,
    ready_bytes: usize,
    last: Option<u64>,
}

impl OpenQueue {
    pub(super) fn new(
        (engine, slot): (Engine, Arc<QueueSlot>),
        names: (Project, QueueName),
        line: &QueueLine<'_>,
    ) -> Self {
        let (project, name) = names;
        let QueueLine { next, expired, handed_out, claims, messages, .. } = *line;
        let now = engine.store().now();
        Self {
            engine,
            slot,
            project,
            name,
            next: next.sequence,
            expired,
            // Time has been set to that of the export, which may have gone on for a while.
            bucket: handed_out.map(|HandedOut { at, lacks }| Bucket { at: at.min(now), lacks }),
            claims,
            messages,
            by_id: HashMap::new(),
            held: BTreeMap::new(),
            ready_claims: Vec::new(),
            ready_claim_runs: 0,
            page: None,
            ready_pages: Vec::new(),
            ready_bytes: 0,
            last: None,
        }
    }

    /// What is missing, if not all of the announced lines have come.
    pub(super) fn missing(&self) -> Option<String> {
        let missing =
            |count: u64, what: &str| (count > 0).then(|| format!("{count} more {what} of the queue should be here"));
        missing(self.claims, "claims").or_else(|| missing(self.messages, "messages"))
    }

    /// Whether more claims are to come.
    pub(super) fn expects_claim(&self) -> bool {
        self.claims > 0
    }

    /// Whether more messages are to come, and the claims are complete.
    pub(super) fn expects_message(&self) -> bool {
        self.claims == 0 && self.messages > 0
    }

    /// Takes in a claim, which is expected.
    pub(super) fn claim(&mut self, line: &ClaimLine) -> Result<()> {
        check_instants(&[Some(line.ttl), Some(line.expires)])?;
        let sequences = self.sequences(&line.took)?;
        // As many numbers as there are claims below the highest one, which no claim of this store will have.
        let number = u64::MAX.saturating_sub(self.claims);
        self.claims = self.claims.saturating_sub(1);
        let id = *line.id.as_bytes();
        if line.id.is_nil() || self.by_id.insert(id, number).is_some() {
            return Err(Error::invalid("id", "another claim has it"));
        }
        for run in sequences.ranges() {
            let before = self.held.range(..run.end).next_back();
            if before.is_some_and(|(_, (end, _))| *end > run.start) {
                return Err(Error::invalid("took", "another claim lists one of the messages"));
            }
            self.held.insert(run.start, (run.end, number));
        }
        self.ready_claim_runs = self.ready_claim_runs.saturating_add(sequences.runs());
        self.ready_claims.push((number, Claim::new(id, line.ttl, line.expires, sequences, 0)));
        if self.ready_claims.len() >= CLAIMS_AT_ONCE || self.ready_claim_runs >= RUNS_AT_ONCE {
            self.put_claims()?;
        }
        Ok(())
    }

    fn sequences(&self, took: &[(MessageId, u32)]) -> Result<Sequences> {
        let mut behind = 0;
        for (first, count) in took {
            let end = first.sequence.checked_add(u64::from(*count)).filter(|end| *end <= self.next);
            let is_next = first.queue == self.slot.number && first.sequence >= behind && *count > 0;
            behind = end.filter(|_| is_next).ok_or_else(|| {
                Error::invalid("took", "they are not ascending runs of messages that the queue has had")
            })?;
        }
        let runs: Vec<(u64, u32)> = took.iter().map(|(first, count)| (first.sequence, *count)).collect();
        Sequences::try_from(runs).map_err(|reason| Error::invalid("took", reason))
    }

    /// Takes in a message, which is expected.
    pub(super) fn message(&mut self, line: &MessageLine<'_>, limits: &Limits) -> Result<()> {
        let sequence = self.sequence(line)?;
        let claim = self.claim_of(line, sequence)?;
        let decoded = Decoded::of(line, limits)?;
        let message = decoded.message(line);
        if self.page.as_ref().is_some_and(|page| !page.fits(sequence, message.size())) {
            self.end_page()?;
        }
        let budget = &self.engine.store().budget;
        self.page.get_or_insert_with(|| PageBuilder::new(sequence, budget)).push(sequence, &message, claim);
        self.messages = self.messages.saturating_sub(1);
        Ok(())
    }

    fn sequence(&mut self, line: &MessageLine<'_>) -> Result<u64> {
        let MessageId { queue, sequence } = line.id;
        if queue != self.slot.number || sequence >= self.next {
            return Err(Error::invalid("id", "it is not that of a message that the queue has had"));
        }
        if self.last.replace(sequence).is_some_and(|last| sequence <= last) {
            return Err(Error::invalid("id", "it is not behind that of the message before"));
        }
        Ok(sequence)
    }

    fn claim_of(&self, line: &MessageLine<'_>, sequence: u64) -> Result<Option<u64>> {
        let before = self.held.range(..=sequence).next_back();
        let holder = before.and_then(|(_, (end, number))| (*end > sequence).then_some(*number));
        let Some(claim) = line.claim else {
            let reason = "a claim lists the message, which is not under it";
            return holder.map_or(Ok(None), |_| Err(Error::invalid("claim", reason)));
        };
        match self.by_id.get(claim.as_bytes()) {
            Some(number) if holder == Some(*number) => Ok(holder),
            _ => Err(Error::invalid("claim", "the queue has no such claim on this message")),
        }
    }

    /// Ends the page that is being filled, and writes the full ones if they are many.
    fn end_page(&mut self) -> Result<()> {
        let Some(page) = self.page.take() else { return Ok(()) };
        self.ready_bytes = self.ready_bytes.saturating_add(page.bytes());
        self.ready_pages.push(page.finish());
        if self.ready_bytes >= BYTES_AT_ONCE || self.ready_pages.len() >= PAGES_AT_ONCE {
            self.put_pages()?;
        }
        Ok(())
    }

    fn put_claims(&mut self) -> Result<()> {
        self.ready_claim_runs = 0;
        let claims = std::mem::take(&mut self.ready_claims);
        if claims.is_empty() { Ok(()) } else { self.put(|import| import.claims = claims) }
    }

    fn put_pages(&mut self) -> Result<()> {
        self.put_claims()?;
        self.ready_bytes = 0;
        let pages = std::mem::take(&mut self.ready_pages);
        if pages.is_empty() { Ok(()) } else { self.put(|import| import.pages = pages) }
    }

    /// Writes the rest; all lines have come.
    pub(super) fn finish(mut self) -> Result<()> {
        self.end_page()?;
        self.put_pages()?;
        let is_new = self.next == 0 && self.expired == 0 && self.bucket.is_none();
        // The last one says that no messages follow: a claim that has none has no more.
        let (expired, bucket) = (self.expired, self.bucket);
        if is_new { Ok(()) } else { self.put(|import| (import.expired, import.bucket) = (expired, bucket)) }
    }

    fn put(&self, fill: impl FnOnce(&mut Import<'_>)) -> Result<()> {
        let store = self.engine.store().enter()?;
        store.wait_for_admission()?;
        let mut import = Import {
            queue: self.slot.number,
            next: self.next,
            expired: 0,
            bucket: None,
            claims: Vec::new(),
            pages: Vec::new(),
            address: Address::of(&self.project, &self.name),
            subscriptions: Vec::new(),
        };
        fill(&mut import);
        let Some(mut queue) = store.lock(&self.slot)? else { return Err(Error::Closed) };
        let recorded = store.lock_registry().record(Growth::Grows, &Op::Import(import), &mut [queue.state()]);
        drop(queue);
        store.keep_within_budget();
        recorded.map(drop)
    }
}

/// The highest incarnation of the numbers that a queue's line has.
pub(super) fn incarnation_in(line: &QueueLine<'_>) -> u32 {
    incarnation_of(line.next.queue.max(line.next.sequence))
}

/// What one operation takes in.
const CLAIMS_AT_ONCE: usize = 256;
const RUNS_AT_ONCE: usize = 64 << 10;
const PAGES_AT_ONCE: usize = 256;
const BYTES_AT_ONCE: usize = 1 << 20;
