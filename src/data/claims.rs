//! The claim controller (contract 7).

use crate::contract::Claims;
use crate::model::error::{Error, Result};
use crate::model::limits::{are_long, check_times};
use crate::model::time::millis;
use crate::model::{ClaimId, ClaimOptions, ClaimRecord, MessageId, Pause, Project, QueueName, Timestamp};
use crate::state::op::{DeadLetter, NewClaim, Op};
use crate::state::sequences::Sequences;
use crate::state::{Allowance, Quota, Reading};
use crate::storage::journal::Growth;
use crate::store::Locked;

use super::backend::{Access, Answer, Backend, Other};
use super::dead_letters::{DeadLetterQueue, buried};

impl<S: Backend> Claims for S {
    fn create(&self, project: &Project, queue: &QueueName, options: &ClaimOptions) -> Result<Option<ClaimRecord>> {
        create_claim(self, project, queue, options).map(|(claim, _)| claim)
    }

    fn get(&self, project: &Project, queue: &QueueName, id: &ClaimId) -> Result<ClaimRecord> {
        let found = self.with_queue(project, queue, Access::Read, |queue| {
            queue.claim_record(id, queue.now()).map(Answer::at_once)
        })?;
        found.flatten().ok_or_else(|| missing(project, queue, *id))
    }

    fn update(&self, project: &Project, queue: &QueueName, id: &ClaimId, options: &ClaimOptions) -> Result<()> {
        let limits = &self.control_store().limits;
        // A missing claim is reported before wrong times (contract 7.3).
        let renewed = self.with_queue(project, queue, Access::Change, |queue| {
            if queue.claims().number(id.as_bytes()).is_none() {
                return Ok(Answer::at_once(None));
            }
            limits.check_claim(&options.clone().limit(1))?;
            check_times(Timestamp::from_millis(queue.now()), "ttl", &[options.ttl, options.grace])?;
            let (ttl, grace) = (millis(options.ttl), millis(options.grace));
            let slack = queue.slack_for(ttl);
            // Waiters sleep until the claim's former end. If the claim now ends earlier, they have to check again.
            let end = queue.now().saturating_add(ttl).saturating_add(slack.into());
            let hastened = held(queue, id).filter(|(_, expires)| end < *expires);
            let op = Op::RenewClaim { queue: queue.number(), claim: *id.as_bytes(), ttl, grace, slack };
            let lsn = queue.record(Growth::Leases, &op)?;
            Ok(Answer::changed(Some(()), lsn).waking(hastened.map_or(0, |(messages, _)| messages)))
        })?;
        renewed.flatten().ok_or_else(|| missing(project, queue, *id))
    }

    fn delete(&self, project: &Project, queue: &QueueName, id: &ClaimId) -> Result<()> {
        let released = self.with_queue(project, queue, Access::Change, |queue| {
            let Some((messages, _)) = held(queue, id) else { return Ok(Answer::seen(())) };
            let op = Op::ReleaseClaim { queue: queue.number(), claim: *id.as_bytes() };
            Ok(Answer::changed((), queue.record(Growth::Leases, &op)?).waking(messages))
        })?;
        released.map_or_else(|| self.wait_missing_durable(), Ok)
    }
}

pub(super) fn missing(project: &Project, queue: &QueueName, id: ClaimId) -> Error {
    Error::ClaimDoesNotExist { project: project.clone(), queue: queue.clone(), id }
}

/// The number of messages of a live claim, and its end.
pub(super) fn held(queue: &Locked<'_>, id: &ClaimId) -> Option<(usize, u64)> {
    let claims = queue.claims();
    let claim = claims.number(id.as_bytes()).and_then(|number| claims.get(number))?;
    Some((usize::try_from(claim.left).unwrap_or(usize::MAX), claim.expires))
}

/// A claim, if messages were claimable, and the instant at which to check again: now if more are claimable.
type Claimed = (Option<ClaimRecord>, Option<u64>);

/// The messages that a claim takes, and those that the dead-letter rule moves instead.
struct Decision {
    taken: Sequences,
    moved: Sequences,
}

/// Creates a claim; also returns the instant at which to check again.
///
/// First only the queue is locked. If the claim then meets a message that has to move, it changes nothing and starts
/// again with both queues locked. So every claim is one decision at one instant.
pub(crate) fn create_claim<S: Backend>(
    backend: &S,
    project: &Project,
    queue: &QueueName,
    options: &ClaimOptions,
) -> Result<Claimed> {
    check_claimable(queue)?;
    let control_store = backend.control_store();
    control_store.limits.check_claim(options)?;
    if are_long(&[options.ttl, options.grace]) {
        // Before the queue is looked up.
        check_times(Timestamp::from_millis(control_store.now()), "ttl", &[options.ttl, options.grace])?;
    }
    loop {
        match backend.with_queue(project, queue, Access::Change, |locked| claim(locked, queue, None, options))? {
            None => return Ok((None, None)),
            Some(Some(claimed)) => return Ok(claimed),
            Some(None) => {}
        }
        let call = |locked: &mut Locked<'_>, dead: DeadLetterQueue<'_>| claim(locked, queue, Some(dead), options);
        if let Some(claimed) = backend.with_other_queue(project, queue, Other::DeadLetters, call)?.flatten() {
            return Ok(claimed);
        }
    }
}

/// Refuses a topic: nobody claims its messages.
pub(crate) fn check_claimable(queue: &QueueName) -> Result<()> {
    if queue.is_topic() { Err(Error::invalid("queue", "is a topic, which has no claims")) } else { Ok(()) }
}

/// Creates a claim by one decision. `None`, without a change, if it meets messages that have to move and their
/// dead-letter queue is not locked, or was created by another call meanwhile.
fn claim(
    queue: &mut Locked<'_>,
    name: &QueueName,
    dead: Option<DeadLetterQueue<'_>>,
    options: &ClaimOptions,
) -> Result<Answer<Option<Claimed>>> {
    check_times(Timestamp::from_millis(queue.now()), "ttl", &[options.ttl, options.grace])?;
    if queue.description().settings.pause.is_some_and(Pause::stops_claims) {
        // The end of the pause wakes those that wait.
        return Ok(Answer::at_once(Some((None, None))));
    }
    let quota = queue.quota();
    if quota.is_some_and(|quota| quota.available() == 0) {
        return Ok(Answer::at_once(Some((None, next_claimable(queue)))));
    }
    let decision = decide(queue, name, options, quota)?;
    let moved = decision.moved.len();
    if moved == 0 && decision.taken.is_empty() {
        return Ok(Answer::at_once(Some((None, queue.next_due()))));
    }
    if moved > 0 && dead.is_none() {
        return Ok(Answer::at_once(None));
    }
    let claim = new_claim(queue, options, decision, quota);
    let recorded = if let Some(dead) = dead.filter(|_| moved > 0) {
        let (number, new_ttl) = (queue.number(), queue.description().settings.dead_letter_ttl);
        let bury = |sequence: u64, message: DeadLetter<'static>, now: u64| {
            buried(name, MessageId::new(number, sequence), message, new_ttl, now)
        };
        dead.record(queue, claim, Growth::Leases, &bury)?
    } else {
        let op = Op::Claim(claim);
        let lsn = queue.record(Growth::Leases, &op)?;
        Some((op, lsn))
    };
    let Some((op, lsn)) = recorded else { return Ok(Answer::at_once(None)) };
    queue.store().meters.dead_lettered.add(moved as u64);
    // Moved messages counted toward the limit.
    let again = next_claimable(queue);
    let record = record_of(queue, &op)?;
    note_claimed(queue, record.as_ref());
    Ok(Answer::changed(Some((record, again)), lsn).waking(moved))
}

fn note_claimed(queue: &Locked<'_>, claimed: Option<&ClaimRecord>) {
    let (messages, meters) = (claimed.map_or(&[][..], ClaimRecord::messages), &queue.store().meters);
    meters.claimed.add(messages.len() as u64);
    meters.redelivered.add(messages.iter().filter(|message| message.claim_count() > 1).count() as u64);
}

/// The instant at which a claim may get messages: now, unless the queue has none or its claim rate is used up. Messages
/// that fall due before the rate allows any are not waited for.
fn next_claimable(queue: &Locked<'_>) -> Option<u64> {
    if queue.ready().is_empty() {
        return queue.next_due();
    }
    let Some(quota) = queue.quota() else { return Some(queue.now()) };
    // The last instant of the clock is followed by none at which there is more.
    (quota.available() > 0 || quota.next() > queue.now()).then(|| quota.next())
}

fn new_claim(
    queue: &Locked<'_>,
    options: &ClaimOptions,
    decision: Decision,
    quota: Option<Quota>,
) -> NewClaim<'static> {
    let handed_out = decision.taken.len();
    NewClaim {
        queue: queue.number(),
        claim: queue.store().random.uuid().into_bytes(),
        ttl: millis(options.ttl),
        grace: millis(options.grace),
        slack: queue.slack_for(millis(options.ttl)),
        taken: decision.taken,
        moved: decision.moved,
        dead: None,
        lacks: quota.filter(|_| handed_out > 0).map_or(0, |quota| quota.without(handed_out)),
    }
}

/// Splits the oldest claimable messages by the dead-letter rule. A moved message counts toward the limit and the bytes.
/// The operation contains the moved messages, so their bytes are bounded whatever the caller allows; the next claim
/// moves the rest. The claim ends before the first message that the claim rate does not allow.
fn decide(queue: &Locked<'_>, name: &QueueName, options: &ClaimOptions, quota: Option<Quota>) -> Result<Decision> {
    let allowed = quota.map_or(usize::MAX, Quota::available);
    let most = queue.description().settings.most_claims();
    // Without dead letters, no page is read for messages that are not taken.
    let limit = if most.is_some() { options.limit } else { options.limit.min(allowed) };
    let most = most.unwrap_or(u32::MAX);
    let mut decision = Decision { taken: Sequences::default(), moved: Sequences::default() };
    let (mut all, mut dead) = (Allowance::new(options.max_bytes), Allowance::new(MOVED_BYTES));
    let mut taken = 0;
    for place in queue.claimable().take(limit) {
        let (page, index) = place?;
        let Some(slot) = page.slot(index) else { continue };
        let (claimed_too_often, bytes) = (slot.claim_count >= most, page.size(slot));
        // The reason is kept twice: as the last failure, and in the origin.
        let moved_bytes = || {
            let reason = page.failure(index).map_or(0, str::len);
            page.body(slot).len() + page.envelope(slot).len() + 2 * reason + name.as_str().len() + MOVED_OVERHEAD
        };
        if !all.admits(bytes) || (claimed_too_often && !dead.admits(moved_bytes())) {
            break;
        }
        if claimed_too_often {
            decision.moved.push(page.sequence(index));
            continue;
        }
        if taken == allowed {
            break;
        }
        taken += 1;
        decision.taken.push(page.sequence(index));
    }
    Ok(decision)
}

fn record_of(queue: &Locked<'_>, op: &Op<'_>) -> Result<Option<ClaimRecord>> {
    let Op::Claim(op) = op else { return Ok(None) };
    let mut reading = Reading::with_capacity(queue, queue.now(), op.taken.len());
    let id = ClaimId::from_bytes(op.claim);
    // The pages are in memory since the claim was decided. A claim of ttl 0 has ended when it is created, but its
    // result still shows it.
    queue.visit(&op.taken, |page, index| reading.push_with(queue, page, index, Some(id)))?;
    Ok((!op.taken.is_empty()).then_some(ClaimRecord { id, ttl: op.ttl, age: 0, messages: reading.finish() }))
}

/// The most bytes of dead letters, with their reasons, that one claim moves beyond the first. With these the operation
/// is at most half of the largest.
const MOVED_BYTES: u64 = 64 << 20;
/// The bytes that a dead letter takes in an operation beside its body, its headers, its queue's name and its reason: in an
/// outbox, the project and the name of its destination are among them.
const MOVED_OVERHEAD: usize = 1_280;
