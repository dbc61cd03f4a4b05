//! The lines of a queue, its claims and its messages.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::body::BodyForm;
use super::line::{ClaimLine, HandedOut, Line, MessageLine, OriginLine, QueueLine, hex, raw};
use super::source::{Export, Scope};
use super::writer::LineWriter;
use crate::data::backend::{Access, Answer, Backend};
use crate::disk::trees::Tree;
use crate::model::error::{Error, Result};
use crate::model::ttl::FOREVER;
use crate::model::{ClaimId, ClientId, Message, MessageId, Project, QueueName};
use crate::state::entries::QueueRecord;
use crate::state::page_content::{Content, MessageSlot};
use crate::state::{Bucket, Claim, FrozenPage, FrozenQueue, Hold, envelope};
use crate::storage::budget::Budget;
use crate::storage::{codec, keys, records};
use crate::store::{Listed, Locked};

/// A queue at one instant.
pub(super) struct QueueExport {
    project: Project,
    name: QueueName,
    number: u64,
    next: u64,
    expired: u64,
    bucket: Option<Bucket>,
    metadata: String,
    content: Option<QueueContent>,
}

struct QueueContent {
    pages: Vec<FrozenPage>,
    /// By number, so that they come in the order in which listings have them.
    claims: BTreeMap<u64, Claim>,
    messages: u64,
    budget: Arc<Budget>,
}

/// Whether callers know the queue with this key: not so the outbox.
pub(super) fn is_named(key: &[u8]) -> bool {
    keys::parse_queue(key).is_some_and(|(_, name)| !name.as_str().is_empty())
}

impl QueueExport {
    /// The queue as it is now; `None` if it has been deleted.
    pub(super) fn freeze<B: Backend>(export: &Export<'_, B>, scope: &Scope, listed: &Listed) -> Result<Option<Self>> {
        let key = listed.key();
        let Some((project, name)) = keys::parse_queue(key) else { return Ok(None) };
        if let (Listed::Archived((key, value)), false) = (listed, export.backend.is_pooled()) {
            return Self::archived(project, name, key, value).map(Some);
        }
        let is_old = |queue: &Self| !export.backend.is_pooled() || queue.number < scope.first_new;
        if !scope.is_lost(export, key) {
            export.backend.write_out(&project, &name)?;
            let frozen = export
                .backend
                .with_queue(&project, &name, Access::Read, |queue| Ok(Answer::at_once(Self::whole(queue))))?;
            if frozen.is_some() {
                return Ok(frozen.filter(is_old));
            }
        }
        // The record alone, of a queue whose content is left out, or that has lost its pool. What is in no pool, because
        // the driver that has put it there had a virtual one, is in the control store.
        let control = export.backend.control_store();
        let is_mapped = control.registry.read().catalogue.contains(key);
        let seen = |queue: &Locked<'_>| if is_mapped { Self::of(queue, None) } else { Self::whole(queue) };
        let frozen = control.with_queue(&project, &name, |queue| Ok(seen(queue)))?;
        Ok(frozen.filter(|queue| export.backend.is_pooled() && is_old(queue)))
    }

    fn of(queue: &Locked<'_>, content: Option<QueueContent>) -> Self {
        Self {
            project: queue.project().clone(),
            name: queue.name().clone(),
            number: queue.number(),
            next: queue.next(),
            expired: queue.totals().expired,
            bucket: queue.bucket(),
            metadata: queue.description().metadata.to_json(),
            content,
        }
    }

    fn whole(queue: &Locked<'_>) -> Self {
        let FrozenQueue { pages, claims, spent, .. } = FrozenQueue::of(queue, queue.lsn());
        let spent = spent.into_iter().flat_map(|(_, claims)| claims);
        let (messages, budget) = (queue.totals().total, queue.store().budget.clone());
        let claims = claims.into_iter().chain(spent).collect();
        let pages = pages.into_iter().map(FrozenPage::in_its_image).collect();
        Self::of(queue, Some(QueueContent { pages, claims, messages, budget }))
    }

    /// A queue that is only in the archive. It has no content.
    fn archived(project: Project, name: QueueName, key: &[u8], value: &[u8]) -> Result<Self> {
        let corrupt = |reason: String| Error::Corrupt { file: "the archive".into(), offset: 0, reason };
        let body = records::open(Tree::Queues, key, value).map_err(|reason| corrupt(reason.into()))?;
        let QueueRecord { number, next, expired, bucket, metadata, .. } = codec::decode(body).map_err(corrupt)?;
        Ok(Self { project, name, number, next, expired, bucket, metadata: metadata.into_owned(), content: None })
    }

    /// Writes the queue, its claims and its messages.
    pub(super) fn write(self, goes_on: &dyn Fn() -> Result<()>, output: &mut LineWriter<'_>) -> Result<()> {
        let content = self.content.as_ref();
        output.write(&Line::Queue(QueueLine {
            project: self.project.name().map(Into::into),
            queue: self.name.as_str().into(),
            topic: self.name.is_topic(),
            next: MessageId::new(self.number, self.next),
            expired: self.expired,
            handed_out: self.bucket.map(|Bucket { at, lacks }| HandedOut { at, lacks }),
            claims: content.map_or(0, |content| content.claims.len() as u64),
            messages: content.map_or(0, |content| content.messages),
            metadata: raw(&self.metadata)?,
        }))?;
        let Some(QueueContent { pages, claims, budget, .. }) = self.content else { return Ok(()) };
        for claim in claims.values() {
            let took = claim.sequences.ranges().map(|run| {
                let count = u32::try_from(run.end.saturating_sub(run.start)).unwrap_or(u32::MAX);
                (MessageId::new(self.number, run.start), count)
            });
            let (id, ttl, expires, took) = (ClaimId::from_bytes(claim.id), claim.ttl, claim.expires, took.collect());
            output.write(&Line::Claim(ClaimLine { id, ttl, expires, took }))?;
        }
        for page in pages {
            goes_on()?;
            let content = page.read(&budget, self.number)?;
            for (slot, hold) in page.messages(&content) {
                let id = MessageId::new(self.number, page.first.saturating_add(slot.distance()));
                write_message(id, (&content, slot), hold, &claims, output)?;
            }
        }
        Ok(())
    }
}

fn write_message(
    id: MessageId,
    (content, slot): (&Content, &MessageSlot),
    hold: Hold,
    claims: &BTreeMap<u64, Claim>,
    output: &mut LineWriter<'_>,
) -> Result<()> {
    let claim = if hold == Hold::Claimed { claims.get(&slot.hold) } else { None };
    let has_lapsed = hold == Hold::Lapsed || hold == Hold::Claimed && claim.is_none();
    let was_claimed = slot.claim_count > 0;
    let (first, last) = slot.claimed();
    let failure = if has_lapsed { Some(Message::LEASE_RAN_OUT) } else { content.failure(slot) };
    let corrupt = |reason| Error::Corrupt { file: "a page".into(), offset: 0, reason };
    let envelope = envelope::decode(content.envelope(slot)).map_err(corrupt)?;
    let origin = envelope.origin.as_ref().map(|origin| OriginLine {
        queue: origin.queue.as_str().into(),
        id: origin.id,
        claim_count: origin.claim_count,
        reason: origin.reason.as_deref().map(Into::into),
        moved: origin.moved.as_millis(),
        ttl: limited(origin.ttl),
    });
    let waits = claim.is_none() && !has_lapsed && slot.waits();
    output.write(&Line::Message(Box::new(MessageLine {
        id,
        client: ClientId::from_bytes(content.client(slot)),
        created: slot.created(),
        ttl: limited(slot.ttl()),
        expires: limited(slot.expires()),
        delayed_until: waits.then_some(slot.hold),
        claim: claim.map(|claim| ClaimId::from_bytes(claim.id)),
        claim_count: slot.claim_count,
        first_claimed: was_claimed.then_some(first),
        last_claimed: was_claimed.then_some(last),
        last_failure: failure.filter(|_| was_claimed).map(Into::into),
        md5: content.checksum(slot).map(|sum| hex(sum).into()),
        headers: envelope.headers,
        origin,
        body: BodyForm::of(content.body(slot)),
    })))
}

/// A time that has an end.
fn limited(millis: u64) -> Option<u64> {
    (millis != FOREVER).then_some(millis)
}
