//! The message controller (contract 6).

use std::collections::BTreeSet;
use std::time::Duration;

use crate::contract::Messages;
use crate::model::error::{Error, Result};
use crate::model::limits::are_long;
use crate::model::{
    ClaimId, ClientId, MAX_BYTES, Message, MessageId, MessageListOptions, MessageMarker, NewMessage, Page, Pause,
    Project, QueueName, Sort, Timestamp,
};
use crate::state::op::Op;
use crate::state::sequences::Sequences;
use crate::state::{self, Allowance, Reading};
use crate::storage::journal::Growth;
use crate::store::Locked;

use super::backend::{Access, Answer, Backend};
use super::batches::NewPost;
use super::bounds::{Load, check_bound};
use super::message_checks::{all_posted, check_claim, check_claims, check_message_times};
use super::pauses::check_post as check_pause;
use super::projects::collect_expired;
use super::queues::{empty, missing};
use super::topics::publish;

impl<S: Backend> Messages for S {
    fn post(
        &self,
        project: &Project,
        queue: &QueueName,
        client: ClientId,
        messages: &[NewMessage],
    ) -> Result<Vec<MessageId>> {
        if queue.is_topic() {
            return publish(self, project, queue, client, messages);
        }
        let control_store = self.control_store();
        control_store.limits.check_post(messages, None)?;
        let is_long = |time: Duration| are_long(&[time]);
        let are_long = |m: &NewMessage| is_long(m.limited_ttl()) || is_long(m.delay.unwrap_or_default());
        if messages.iter().any(are_long) {
            // Before the queue is looked up.
            check_message_times(Timestamp::from_millis(control_store.now()), messages)?;
        }
        let access = if messages.is_empty() { Access::Read } else { Access::Fill };
        let (new, mut is_last) = (NewPost { client, messages }, false);
        loop {
            let post = |locked: &mut Locked<'_>| post_locked(locked, project, queue, new, is_last);
            match self.with_queue(project, queue, access, post)? {
                Some(Some(ids)) => return Ok(ids),
                Some(None) => is_last = collect_expired(self, [project].into_iter())?,
                None => return Err(missing(project, queue)),
            }
        }
    }

    fn list(
        &self,
        project: &Project,
        queue: &QueueName,
        options: &MessageListOptions,
    ) -> Result<Page<Message, MessageMarker>> {
        self.control_store().limits.check_page_limit(options.limit)?;
        let listed = self.with_queue(project, queue, Access::Read, |queue| {
            let now = queue.now();
            queue.state().list(options, now).map(Answer::at_once)
        })?;
        let items = match listed {
            Some(items) => items,
            None if self.is_pooled() => Vec::new(),
            None => return Err(missing(project, queue)),
        };
        let next = items.last().map(Message::marker);
        Ok(Page { items, next })
    }

    fn first(&self, project: &Project, queue: &QueueName, sort: Sort) -> Result<Message> {
        let first = self.with_queue(project, queue, Access::Read, |queue| {
            let place = if sort == Sort::Oldest { queue.oldest()? } else { queue.newest()? };
            Ok(Answer::at_once(place.and_then(|(page, index)| one(queue, page, index))))
        })?;
        match first {
            None if self.is_pooled() => Err(missing(project, queue)),
            first => first.flatten().ok_or_else(|| empty(project, queue)),
        }
    }

    fn get(&self, project: &Project, queue: &QueueName, id: &MessageId) -> Result<Message> {
        let found = self.with_queue(project, queue, Access::Read, |queue| {
            Ok(Answer::at_once(locate(queue, *id)?.and_then(|(page, index)| one(queue, page, index))))
        })?;
        let missing_message = || Error::MessageDoesNotExist { project: project.clone(), queue: queue.clone(), id: *id };
        found.ok_or_else(|| missing(project, queue))?.ok_or_else(missing_message)
    }

    fn bulk_get(&self, project: &Project, queue: &QueueName, ids: &[MessageId]) -> Result<Vec<Message>> {
        self.control_store().limits.check_ids(ids.len())?;
        let found = self.with_queue(project, queue, Access::Read, |queue| {
            let mut reading = Reading::new(queue.now());
            for id in ids {
                locate(queue, *id)?.into_iter().for_each(|(page, index)| reading.push(queue, page, index));
                check_size(reading.bytes())?;
                queue.state().release_read_pages();
            }
            Ok(Answer::at_once(reading.finish()))
        })?;
        Ok(found.unwrap_or_default())
    }

    fn delete(&self, project: &Project, queue: &QueueName, id: &MessageId, claim: Option<&ClaimId>) -> Result<()> {
        let name = queue;
        let deleted = self.with_queue(project, queue, Access::Change, |queue| {
            let Some((page, index)) = locate(queue, *id)? else { return Ok(Answer::seen(())) };
            check_claim(queue, page, index, claim, &BTreeSet::new())
                .map_err(|refusal| refusal.error(project, name, *id))?;
            let op = Op::Delete { queue: queue.number(), messages: [id.sequence].into_iter().collect() };
            Ok(Answer::changed((), queue.record(Growth::Frees, &op)?))
        })?;
        deleted.map_or_else(|| self.wait_missing_durable(), Ok)
    }

    fn bulk_delete(&self, project: &Project, queue: &QueueName, ids: &[MessageId], claims: &[ClaimId]) -> Result<()> {
        self.control_store().limits.check_ids(ids.len())?;
        let name = queue;
        let deleted = self.with_queue(project, queue, Access::Change, |queue| {
            let mut found = Vec::with_capacity(ids.len());
            let holders: Vec<u64> = claims.iter().filter_map(|claim| queue.claims().number(claim.as_bytes())).collect();
            let mut near = None;
            for id in ids {
                let place = if id.queue == queue.number() { queue.locate_near(near, id.sequence)? } else { None };
                let Some((page, index)) = place else { continue };
                near = Some(page);
                if !claims.is_empty() {
                    check_claims(queue, page, index, &holders).map_err(|refusal| refusal.error(project, name, *id))?;
                }
                found.push(id.sequence);
            }
            if found.is_empty() {
                return Ok(Answer::seen(()));
            }
            found.sort_unstable();
            found.dedup();
            let op = Op::Delete { queue: queue.number(), messages: found.into_iter().collect() };
            Ok(Answer::changed((), queue.record(Growth::Frees, &op)?))
        })?;
        deleted.map_or_else(|| self.wait_missing_durable(), Ok)
    }

    fn pop(&self, project: &Project, queue: &QueueName, limit: usize) -> Result<Vec<Message>> {
        self.control_store().limits.check_pop(limit)?;
        let popped = self.with_queue(project, queue, Access::Change, |queue| {
            let mut reading = Reading::new(queue.now());
            let is_paused = queue.description().settings.pause.is_some_and(Pause::stops_claims);
            let quota = queue.quota();
            let limit = if is_paused { 0 } else { quota.map_or(limit, |quota| limit.min(quota.available())) };
            let (mut messages, mut allowance) = (Sequences::default(), Allowance::new(MAX_BYTES));
            for place in queue.claimable().take(limit) {
                let (page, index) = place?;
                if page.slot(index).is_some_and(|slot| !allowance.admits(page.size(slot))) {
                    break;
                }
                reading.push(queue, page, index);
                messages.push(page.sequence(index));
            }
            let popped = reading.finish();
            if popped.is_empty() {
                return Ok(Answer::at_once(popped));
            }
            let number = queue.number();
            let op = match quota {
                None => Op::Delete { queue: number, messages },
                Some(quota) => Op::Pop { queue: number, messages, lacks: quota.without(popped.len()) },
            };
            let lsn = queue.record(Growth::Frees, &op)?;
            Ok(Answer::changed(popped, lsn))
        })?;
        Ok(popped.unwrap_or_default())
    }
}

/// Posts; `None` if expired messages of the project have to be collected first, unless the attempt `is_last`.
fn post_locked(
    queue: &mut Locked<'_>,
    project: &Project,
    name: &QueueName,
    NewPost { client, messages }: NewPost<'_>,
    is_last: bool,
) -> Result<Answer<Option<Vec<MessageId>>>> {
    let store = queue.store();
    check_pause(queue.description(), project, name)?;
    if let Some(most) = queue.description().settings.max_post_size {
        store.limits.check_post(messages, Some(most))?;
    }
    let now = Timestamp::from_millis(queue.now());
    check_message_times(now, messages)?;
    let checksums = store.checksums;
    let posted = all_posted(messages, checksums)?;
    if posted.is_empty() {
        return Ok(Answer::at_once(Some(Vec::new())));
    }
    let load = Load::of(&posted);
    if let Some(bound) = &queue.description().settings.bound {
        check_bound(Some(bound), Load::from(queue.totals()).and(load), project, name)?;
    }
    let first = queue.allot_here(posted.len())?;
    let key = if matches!(&*posted, [one] if one.is_page()) { queue.key() } else { &[] };
    let (number, client) = (queue.number(), *client.as_bytes());
    let op = Op::Post { queue: number, first, client, key: key.into(), messages: posted };
    let Some(lsn) = queue.record_post(&op, load, is_last)? else { return Ok(Answer::at_once(None)) };
    let ids = (first..).take(messages.len()).map(|sequence| MessageId::new(queue.number(), sequence));
    Ok(Answer::changed(Some(ids.collect()), lsn).waking(messages.len()))
}

/// The live message of that id, if it is this queue's.
pub(super) fn locate<'a>(queue: &'a Locked<'_>, id: MessageId) -> Result<Option<(&'a state::Page, usize)>> {
    if id.queue == queue.number() { queue.locate(id.sequence) } else { Ok(None) }
}

fn one(queue: &Locked<'_>, page: &state::Page, index: usize) -> Option<Message> {
    let mut reading = Reading::new(queue.now());
    reading.push(queue, page, index);
    reading.finish().pop()
}

/// Refuses a read of too many bytes by ids: if messages were left out, the caller would take them for deleted.
fn check_size(bytes: u64) -> Result<()> {
    let what = "bytes of the bodies that are read together";
    if bytes > READ_BYTES { Err(Error::TooLarge { what, size: bytes, limit: READ_BYTES }) } else { Ok(()) }
}

/// Bytes of bodies that are read by their ids at once, as many as may be posted at once by default.
const READ_BYTES: u64 = 128 << 20;
