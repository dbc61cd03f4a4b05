//! The message controller of the model: contract 6.

use super::pauses::check_post as check_pause;
use super::queue::{MessageModel, QueueModel, sequences, within};
use super::queues::no_queue;
use super::{ReferenceModel, Store};
use crate::contract::{Batches, Messages};
use crate::data::bounds::{Load, check_bound};
use crate::model::error::{Error, Result};
use crate::model::limits::check_times;
use crate::model::{
    BatchStep, ClaimId, ClientId, MAX_BYTES, Message, MessageId, MessageListOptions, MessageMarker, NewMessage, Page,
    Pause, Project, QueueName, Sort, Timestamp,
};

impl Messages for ReferenceModel {
    fn post(
        &self,
        project: &Project,
        queue: &QueueName,
        client: ClientId,
        messages: &[NewMessage],
    ) -> Result<Vec<MessageId>> {
        if queue.is_topic() {
            let (project, queue) = (project.clone(), queue.clone());
            let step = BatchStep::Post { project, queue, client, messages: messages.to_vec() };
            return Ok(self.commit(&[step])?.posted.pop().unwrap_or_default());
        }
        let (mut store, now) = self.enter_queue(project, queue)?;
        let before = store.quotas.contains_key(project).then(|| store.queues.clone());
        let posted = self.post_at(&mut store, now, project, queue, client, messages)?;
        if let Some(before) = before.filter(|_| !messages.is_empty())
            && let Err(full) = store.check_quota(project, now)
        {
            store.queues = before;
            return Err(full);
        }
        Ok(posted)
    }

    fn list(
        &self,
        project: &Project,
        queue: &QueueName,
        options: &MessageListOptions,
    ) -> Result<Page<Message, MessageMarker>> {
        let (mut store, now) = self.enter_queue(project, queue)?;
        self.limits.check_page_limit(options.limit)?;
        let pooled = store.pooled;
        let queue = match store.contents(project, queue)? {
            Some(queue) => queue,
            None if pooled => return Ok(Page { items: Vec::new(), next: None }),
            None => return Err(no_queue(project, queue)),
        };
        let bytes = options.max_bytes.unwrap_or(if options.limit == 0 { u64::MAX } else { MAX_BYTES });
        let shown = queue
            .live(now)
            .filter(|message| is_behind(queue, message, options.marker))
            .filter(|message| is_shown(queue, message, options, now))
            .take(if options.limit == 0 { usize::MAX } else { options.limit });
        let items: Vec<_> = within(bytes, shown).map(|message| queue.record(message, now)).collect();
        let next = items.last().map(Message::marker);
        Ok(Page { items, next })
    }

    fn first(&self, project: &Project, queue: &QueueName, sort: Sort) -> Result<Message> {
        let (mut store, now) = self.enter_queue(project, queue)?;
        let empty = || match queue.topic() {
            Some(topic) => Error::TopicIsEmpty { project: project.clone(), topic },
            None => Error::QueueIsEmpty { project: project.clone(), queue: queue.clone() },
        };
        let missing = if store.pooled { no_queue(project, queue) } else { empty() };
        let source = store.contents(project, queue)?.ok_or(missing)?;
        let message = match sort {
            Sort::Oldest => source.live(now).next(),
            Sort::Newest => source.live(now).next_back(),
        };
        Ok(source.record(message.ok_or_else(empty)?, now))
    }

    fn get(&self, project: &Project, queue: &QueueName, id: &MessageId) -> Result<Message> {
        let (mut store, now) = self.enter_queue(project, queue)?;
        let source = store.contents(project, queue)?.ok_or_else(|| no_queue(project, queue))?;
        let missing = || Error::MessageDoesNotExist { project: project.clone(), queue: queue.clone(), id: *id };
        let message = source.find(id, now).ok_or_else(missing)?;
        Ok(source.record(message, now))
    }

    fn bulk_get(&self, project: &Project, queue: &QueueName, ids: &[MessageId]) -> Result<Vec<Message>> {
        let (mut store, now) = self.enter_queue(project, queue)?;
        self.limits.check_ids(ids.len())?;
        let Some(queue) = store.contents(project, queue)? else {
            return Ok(Vec::new());
        };
        let found = ids.iter().filter_map(|id| queue.find(id, now));
        Ok(found.map(|message| queue.record(message, now)).collect())
    }

    fn delete(&self, project: &Project, queue: &QueueName, id: &MessageId, claim: Option<&ClaimId>) -> Result<()> {
        let (mut store, now) = self.enter_queue(project, queue)?;
        store.delete_at(now, project, queue, id, claim).map(drop)
    }

    fn bulk_delete(&self, project: &Project, queue: &QueueName, ids: &[MessageId], claims: &[ClaimId]) -> Result<()> {
        let (mut store, now) = self.enter_queue(project, queue)?;
        self.limits.check_ids(ids.len())?;
        let Some(source) = store.contents(project, queue)? else {
            return Ok(());
        };
        let mut found = Vec::new();
        for id in ids {
            let Some(message) = source.find(id, now) else {
                continue;
            };
            match source.claim_of(message, now) {
                _ if claims.is_empty() => {}
                None => return Err(Error::MessageNotClaimed { id: *id }),
                Some(holder) if claims.contains(&holder) => {}
                Some(claim) => {
                    let (project, queue) = (project.clone(), queue.clone());
                    return Err(Error::ClaimDoesNotMatch { project, queue, id: *id, claim });
                }
            }
            found.push(message.sequence);
        }
        source.remove(&found);
        Ok(())
    }

    fn pop(&self, project: &Project, queue: &QueueName, limit: usize) -> Result<Vec<Message>> {
        let (mut store, now) = self.enter_queue(project, queue)?;
        self.limits.check_pop(limit)?;
        let Some(queue) = store.contents(project, queue)? else {
            return Ok(Vec::new());
        };
        let is_paused = queue.settings.pause.is_some_and(Pause::stops_claims);
        let limit = if is_paused { 0 } else { limit.min(queue.allowed(now)) };
        let popped = queue.claimable(limit, MAX_BYTES, now);
        queue.hand_out(popped.len(), now);
        queue.remove(&sequences(&popped));
        Ok(popped.iter().map(|message| queue.record(message, now)).collect())
    }
}

impl ReferenceModel {
    pub(super) fn post_at(
        &self,
        store: &mut Store,
        now: Timestamp,
        project: &Project,
        queue: &QueueName,
        client: ClientId,
        messages: &[NewMessage],
    ) -> Result<Vec<MessageId>> {
        self.limits.check_post(messages, None)?;
        for message in messages {
            check_times(now, "ttl", &[message.limited_ttl()])?;
            check_times(now, "delay", &[message.delay.unwrap_or_default()])?;
        }
        let target = store.contents(project, queue)?.ok_or_else(|| no_queue(project, queue))?;
        check_pause(target.settings.pause, project, queue)?;
        self.limits.check_post(messages, target.settings.max_post_size)?;
        if !messages.is_empty() {
            let load = target.live(now).map(MessageModel::load).fold(Load::of_new(messages, self.checksums), Load::and);
            check_bound(target.settings.bound.as_deref(), load, project, queue)?;
        }
        let post = |message| target.push(MessageModel::posted(message, client, self.checksums, now));
        Ok(messages.iter().map(post).collect())
    }
}

impl Store {
    /// Deletes a message; false if it does not exist.
    pub(super) fn delete_at(
        &mut self,
        now: Timestamp,
        project: &Project,
        queue: &QueueName,
        id: &MessageId,
        claim: Option<&ClaimId>,
    ) -> Result<bool> {
        let Some(source) = self.contents(project, queue)? else {
            return Ok(false);
        };
        let Some(message) = source.find(id, now) else {
            return Ok(false);
        };
        let no_claim = |id| Error::ClaimDoesNotExist { project: project.clone(), queue: queue.clone(), id };
        match (claim, source.claim_of(message, now)) {
            (Some(given), _) if given.is_nil() => return Err(no_claim(*given)),
            (None, None) => {}
            (None, Some(_)) => return Err(Error::MessageIsClaimed { id: *id }),
            (Some(_), None) => return Err(Error::MessageNotClaimed { id: *id }),
            (Some(given), Some(holder)) if *given == holder => {}
            (Some(given), Some(_)) if source.live_claim(*given, now).is_none() => return Err(no_claim(*given)),
            (Some(given), Some(_)) => return Err(Error::MessageNotClaimedBy { id: *id, claim: *given }),
        }
        source.remove(&[id.sequence]);
        Ok(true)
    }
}

/// A marker of an older queue comes before this queue's first message, a malformed marker after its last. The model
/// never restarts, so it has no later incarnations that a later queue's marker would come before.
fn is_behind(queue: &QueueModel, message: &MessageModel, marker: Option<MessageMarker>) -> bool {
    let location = (queue.number, message.sequence);
    marker.is_none_or(|marker| (marker.queue, marker.sequence) < location)
}

fn is_shown(queue: &QueueModel, message: &MessageModel, options: &MessageListOptions, now: Timestamp) -> bool {
    let own = !options.echo && options.client == Some(message.client);
    let claimed = !options.include_claimed && queue.claim_of(message, now).is_some();
    let delayed = !options.include_delayed && message.is_delayed(now);
    !own && !claimed && !delayed
}
