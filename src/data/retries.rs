//! Retries: giving back and renewing some messages of a claim.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::contract::{
    Batches, Bookmarks, DeadLetters, Diagnostics, ExtendedDriver, FlowControl, Projects, Retries, Topics,
};
use crate::engine::Engine;
use crate::model::error::{Error, Result};
use crate::model::limits::check_times;
use crate::model::time::millis;
use crate::model::{ClaimId, ClaimOptions, ClaimRecord, MessageId, Project, QueueName, Retry, Timestamp};
use crate::state::Reading;
use crate::state::op::{GivenBack, Op, Retried, SplitClaim};
use crate::state::sequences::Sequences;
use crate::storage::journal::Growth;
use crate::store::Locked;

use super::backend::{Access, Answer, Backend};
use super::claims::missing;
use super::message_checks::check_claim;
use super::messages::locate;

impl ExtendedDriver for Engine {
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

impl<S: Backend> Retries for S {
    fn retry(&self, project: &Project, queue: &QueueName, claim: &ClaimId, messages: &[Retry]) -> Result<u64> {
        let (name, limits) = (queue, &self.control_store().limits);
        let given_back = self.with_queue(project, queue, Access::Change, |queue| {
            if queue.claims().number(claim.as_bytes()).is_none() {
                return Err(missing(project, name, *claim));
            }
            limits.check_retries(messages)?;
            let groups = give_back(queue, project, name, claim, messages)?;
            let count: usize = groups.iter().map(|group| group.messages.len()).sum();
            if count == 0 {
                return Ok(Answer::seen(0));
            }
            let op = Op::Retry(Retried { queue: queue.number(), claim: *claim.as_bytes(), groups });
            let lsn = queue.record(Growth::Leases, &op)?;
            // The waiters of delayed messages have to learn of the end of the delay.
            Ok(Answer::changed(count as u64, lsn).waking(count))
        })?;
        given_back.ok_or_else(|| missing(project, queue, *claim))
    }

    fn split(
        &self,
        project: &Project,
        queue: &QueueName,
        claim: &ClaimId,
        messages: &[MessageId],
        options: &ClaimOptions,
    ) -> Result<Option<ClaimRecord>> {
        let (name, limits) = (queue, &self.control_store().limits);
        let split = self.with_queue(project, queue, Access::Change, |queue| {
            if queue.claims().number(claim.as_bytes()).is_none() {
                return Err(missing(project, name, *claim));
            }
            limits.check_ids(messages.len())?;
            limits.check_claim(&options.clone().limit(1))?;
            check_times(Timestamp::from_millis(queue.now()), "ttl", &[options.ttl, options.grace])?;
            let mut taken = Vec::with_capacity(messages.len());
            for id in messages {
                taken.extend(held(queue, project, name, claim, *id)?.map(|_| (id.sequence, ())));
            }
            let taken = sorted(queue, taken)?.into_iter().map(|(sequence, ())| sequence).collect();
            split_claim(queue, claim, taken, options)
        })?;
        split.ok_or_else(|| missing(project, queue, *claim))
    }
}

/// Splits the messages by delay and reason, as one operation gives them back.
fn give_back<'a>(
    queue: &Locked<'_>,
    project: &Project,
    name: &QueueName,
    claim: &ClaimId,
    retries: &'a [Retry],
) -> Result<Vec<GivenBack<'a>>> {
    let now = Timestamp::from_millis(queue.now());
    let mut found = Vec::with_capacity(retries.len());
    for retry in retries {
        let Some(claims) = held(queue, project, name, claim, retry.message)? else { continue };
        let delay = retry.delay.map_or_else(|| policy_delay(queue, claims), millis);
        check_times(now, "delay", &[Duration::from_millis(delay)])?;
        found.push((retry.message.sequence, (delay, retry.reason.as_deref())));
    }
    let mut groups: BTreeMap<(u64, Option<&str>), Sequences> = BTreeMap::new();
    for (sequence, terms) in sorted(queue, found)? {
        groups.entry(terms).or_default().push(sequence);
    }
    let group = |((delay, reason), messages): ((u64, Option<&'a str>), Sequences)| GivenBack {
        messages,
        delay,
        reason: reason.map(Into::into),
    };
    Ok(groups.into_iter().map(group).collect())
}

/// How often the message has been claimed, if it exists and is under the claim.
fn held(
    queue: &Locked<'_>,
    project: &Project,
    name: &QueueName,
    claim: &ClaimId,
    id: MessageId,
) -> Result<Option<u32>> {
    let Some((page, index)) = locate(queue, id)? else { return Ok(None) };
    check_claim(queue, page, index, Some(claim), &BTreeSet::new())
        .map_err(|refusal| refusal.error(project, name, id))?;
    Ok(page.slot(index).map(|slot| slot.claim_count))
}

/// The delay by the queue's policy; none for a message that the next claim moves to the dead-letter queue.
fn policy_delay(queue: &Locked<'_>, claims: u32) -> u64 {
    let settings = &queue.description().settings;
    let is_worn_out = settings.most_claims().is_some_and(|most| claims >= most);
    let policy = settings.retry.as_ref().filter(|_| !is_worn_out);
    let below = |end| queue.store().random.below(end).unwrap_or_default();
    policy.map_or(0, |policy| policy.delay(claims, below))
}

/// In order. A message that is named twice is under no claim any more the second time.
fn sorted<T>(queue: &Locked<'_>, mut found: Vec<(u64, T)>) -> Result<Vec<(u64, T)>> {
    found.sort_by_key(|(sequence, _)| *sequence);
    for pair in found.windows(2) {
        if let [(one, _), (next, _)] = pair
            && one == next
        {
            return Err(Error::MessageNotClaimed { id: MessageId::new(queue.number(), *one) });
        }
    }
    Ok(found)
}

fn split_claim(
    queue: &mut Locked<'_>,
    claim: &ClaimId,
    taken: Sequences,
    options: &ClaimOptions,
) -> Result<Answer<Option<ClaimRecord>>> {
    if taken.is_empty() {
        return Ok(Answer::seen(None));
    }
    let (ttl, grace) = (millis(options.ttl), millis(options.grace));
    let (slack, count) = (queue.slack_for(ttl), taken.len());
    let into = queue.store().random.uuid().into_bytes();
    let split = SplitClaim { queue: queue.number(), claim: *claim.as_bytes(), into, ttl, grace, slack, taken };
    let op = Op::SplitClaim(split);
    let lsn = queue.record(Growth::Leases, &op)?;
    let Op::SplitClaim(SplitClaim { taken, .. }) = &op else { return Ok(Answer::seen(None)) };
    let (mut reading, id) = (Reading::with_capacity(queue, queue.now(), count), ClaimId::from_bytes(into));
    queue.visit(taken, |page, index| reading.push_with(queue, page, index, Some(id)))?;
    let record = ClaimRecord { id, ttl, age: 0, messages: reading.finish() };
    // The new claim may end before the old one.
    Ok(Answer::changed(Some(record), lsn).waking(count))
}
