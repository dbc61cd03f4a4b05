//! Retries in the model.

use std::collections::BTreeSet;
use std::time::Duration;

use super::ReferenceModel;
use super::claims::no_claim;
use super::queue::QueueModel;
use crate::contract::{
    Batches, Bookmarks, DeadLetters, Diagnostics, ExtendedDriver, FlowControl, Projects, Retries, Topics,
};
use crate::model::error::{Error, Result};
use crate::model::limits::check_times;
use crate::model::{ClaimId, ClaimOptions, ClaimRecord, MessageId, Project, QueueName, Retry, Timestamp};

impl ExtendedDriver for ReferenceModel {
    fn retries(&self) -> &dyn Retries {
        self
    }

    fn batches(&self) -> &dyn Batches {
        self
    }

    fn bookmarks(&self) -> &dyn Bookmarks {
        self
    }

    fn dead_letters(&self) -> &dyn DeadLetters {
        self
    }

    fn flow_control(&self) -> &dyn FlowControl {
        self
    }

    fn diagnostics(&self) -> &dyn Diagnostics {
        self
    }

    fn topics(&self) -> &dyn Topics {
        self
    }

    fn projects(&self) -> &dyn Projects {
        self
    }
}

/// The model has no chance: the jitter of a policy leaves nothing out.
impl Retries for ReferenceModel {
    fn retry(&self, project: &Project, queue: &QueueName, claim: &ClaimId, messages: &[Retry]) -> Result<u64> {
        let (mut store, now) = self.enter_queue(project, queue)?;
        let source = store.contents(project, queue)?.filter(|queue| queue.live_claim(*claim, now).is_some());
        let source = source.ok_or_else(|| no_claim(project, queue, *claim))?;
        self.limits.check_retries(messages)?;
        let mut found: Vec<(u64, Duration, Option<&str>)> = Vec::new();
        for retry in messages {
            let Some(claims) = held(source, claim, &retry.message, now)? else { continue };
            let delay = retry.delay.unwrap_or_else(|| policy_delay(source, claims));
            check_times(now, "delay", &[delay])?;
            found.push((retry.message.sequence, delay, retry.reason.as_deref()));
        }
        check_distinct(source, found.iter().map(|(sequence, ..)| *sequence))?;
        for (sequence, delay, reason) in &found {
            source.give_back(*sequence, *delay, *reason, now);
        }
        Ok(found.len() as u64)
    }

    fn split(
        &self,
        project: &Project,
        queue: &QueueName,
        claim: &ClaimId,
        messages: &[MessageId],
        options: &ClaimOptions,
    ) -> Result<Option<ClaimRecord>> {
        let (mut store, now) = self.enter_queue(project, queue)?;
        let into = store.new_claim_id();
        let source = store.contents(project, queue)?.filter(|queue| queue.live_claim(*claim, now).is_some());
        let source = source.ok_or_else(|| no_claim(project, queue, *claim))?;
        self.limits.check_ids(messages.len())?;
        self.check_claim(&options.clone().limit(1), now)?;
        let mut taken = Vec::new();
        for id in messages {
            taken.extend(held(source, claim, id, now)?.map(|_| id.sequence));
        }
        check_distinct(source, taken.iter().copied())?;
        if taken.is_empty() {
            return Ok(None);
        }
        source.hand_over(&taken, into);
        source.renew(into, options, now);
        Ok(source.claim_record(into, now))
    }
}

/// How often the message has been claimed, if it exists and is under the claim.
fn held(queue: &QueueModel, claim: &ClaimId, id: &MessageId, now: Timestamp) -> Result<Option<u32>> {
    let Some(message) = queue.find(id, now) else { return Ok(None) };
    match queue.claim_of(message, now) {
        Some(holder) if holder == *claim => Ok(Some(message.claim_count)),
        Some(_) => Err(Error::MessageNotClaimedBy { id: *id, claim: *claim }),
        None => Err(Error::MessageNotClaimed { id: *id }),
    }
}

fn policy_delay(queue: &QueueModel, claims: u32) -> Duration {
    let is_worn_out = queue.settings.most_claims().is_some_and(|most| claims >= most);
    let policy = queue.settings.retry.as_ref().filter(|_| !is_worn_out);
    Duration::from_millis(policy.map_or(0, |policy| policy.delay(claims, |_| 0)))
}

/// A message that is named twice is under no claim any more the second time.
fn check_distinct(queue: &QueueModel, sequences: impl Iterator<Item = u64>) -> Result<()> {
    let mut seen = BTreeSet::new();
    let twice = { sequences }.filter(|sequence| !seen.insert(*sequence)).min();
    twice.map_or(Ok(()), |one| Err(Error::MessageNotClaimed { id: MessageId::new(queue.number, one) }))
}
