//! The claim controller (contract 7).

use std::sync::Arc;

use crate::contract::Claims;
use crate::engine::Engine;
use crate::model::error::{Error, Result};
use crate::model::limits::check_times;
use crate::model::numbering::first_of;
use crate::model::time::millis;
use crate::model::{ClaimId, ClaimOptions, ClaimRecord, Durability, Message, Project, QueueName, Timestamp};
use crate::state::op::{DeadLetter, DeadLetters, NewClaim, NewQueue, Op, Source};
use crate::state::sequences::Sequences;
use crate::state::{self, Reading};
use crate::storage::journal::Growth;
use crate::storage::keys;
use crate::store::{Directory, Locked, QueueSlot, Store};

use super::allowance::Allowance;
use super::backend::{Access, Answer, Backend, Claimed};

impl<S: Backend> Claims for S {
    fn create(&self, project: &Project, queue: &QueueName, options: &ClaimOptions) -> Result<Option<ClaimRecord>> {
        create_claim(self, project, queue, options).map(|(claim, _)| claim)
    }

    fn get(&self, project: &Project, queue: &QueueName, id: &ClaimId) -> Result<ClaimRecord> {
        let found = self.with_queue(project, queue, Access::Read, |queue| look_up(queue, id).map(Answer::at_once))?;
        found.flatten().ok_or_else(|| missing(project, queue, *id))
    }

    fn update(&self, project: &Project, queue: &QueueName, id: &ClaimId, options: &ClaimOptions) -> Result<()> {
        let limits = &self.control_store().limits;
        // A claim that is not there is told before times that are wrong (contract 7.3).
        let renewed = self.with_queue(project, queue, Access::Change, |queue| {
            if queue.claims().number(id.as_bytes()).is_none() {
                return Ok(Answer::at_once(None));
            }
            limits.check_claim(&options.clone().limit(1))?;
            check_times(Timestamp::from_millis(queue.now()), "ttl", &[options.ttl, options.grace])?;
            let (ttl, grace) = (millis(options.ttl), millis(options.grace));
            let slack = queue.slack_for(ttl);
            // Who waits sleeps until the claim's end as it was; one that ends earlier now is to be looked at anew.
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

fn missing(project: &Project, queue: &QueueName, id: ClaimId) -> Error {
    Error::ClaimDoesNotExist { project: project.clone(), queue: queue.clone(), id }
}

/// How many messages a live claim holds, and when it ends.
fn held(queue: &Locked<'_>, id: &ClaimId) -> Option<(usize, u64)> {
    let claims = queue.claims();
    let claim = claims.number(id.as_bytes()).and_then(|number| claims.get(number))?;
    Some((usize::try_from(claim.left).unwrap_or(usize::MAX), claim.expires))
}

fn look_up(queue: &Locked<'_>, id: &ClaimId) -> Result<Option<ClaimRecord>> {
    let Some(number) = queue.claims().number(id.as_bytes()) else { return Ok(None) };
    let Some(claim) = queue.claims().get(number) else { return Ok(None) };
    let mut reading = Reading::new(queue.now());
    for sequence in claim.sequences.iter() {
        let place = queue.locate(sequence)?.filter(|(page, index)| page.held_by(*index, number));
        place.into_iter().for_each(|(page, index)| reading.push(queue, page, index));
    }
    let age = queue.now().saturating_sub(claim.expires.saturating_sub(claim.ttl));
    Ok(Some(ClaimRecord { id: *id, ttl: claim.ttl, age, messages: reading.finish() }))
}

/// What happens to a message on its way to a dead-letter queue.
pub(crate) type Wrap<'a> = dyn Fn(Source, &mut DeadLetter<'static>) -> Result<()> + 'a;

/// What a claim would take, and what the dead-letter rule moves instead.
struct Decision {
    taken: Sequences,
    moved: Sequences,
}

enum Outcome {
    Claimed(Option<ClaimRecord>),
    /// With when something next falls due.
    Nothing(Option<u64>),
    NeedsDeadLetterQueue,
}

/// Makes a claim; beside it, when something in the queue next falls due.
pub(crate) fn create_claim<S: Backend>(
    backend: &S,
    project: &Project,
    queue: &QueueName,
    options: &ClaimOptions,
) -> Result<Claimed> {
    let control_store = backend.control_store();
    control_store.limits.check_claim(options)?;
    check_times(Timestamp::from_millis(control_store.now()), "ttl", &[options.ttl, options.grace])?;
    loop {
        let claimed = backend.with_queue(project, queue, Access::Change, |queue| claim_plainly(queue, options))?;
        match claimed {
            None => return Ok((None, None)),
            Some(Outcome::Nothing(due)) => return Ok((None, due)),
            Some(Outcome::Claimed(claim)) => return Ok((claim, None)),
            // What was seen may have changed by the time that both queues are locked: then it is looked at anew.
            Some(Outcome::NeedsDeadLetterQueue) => {
                if let Some(claimed) = backend.claim_and_move(project, queue, options)? {
                    return Ok(claimed);
                }
            }
        }
    }
}

/// Makes a claim that moves nothing, or says that something has to be moved.
fn claim_plainly(queue: &mut Locked<'_>, options: &ClaimOptions) -> Result<Answer<Outcome>> {
    check_times(Timestamp::from_millis(queue.now()), "ttl", &[options.ttl, options.grace])?;
    let decision = decide(queue, options)?;
    if !decision.moved.is_empty() {
        return Ok(Answer::at_once(Outcome::NeedsDeadLetterQueue));
    }
    if decision.taken.is_empty() {
        return Ok(Answer::at_once(Outcome::Nothing(queue.next_due())));
    }
    let op = Op::Claim(new_claim(queue, options, decision));
    let lsn = queue.record(Growth::Leases, &op)?;
    Ok(Answer::changed(Outcome::Claimed(record_of(queue, &op)?), lsn))
}

fn new_claim(queue: &Locked<'_>, options: &ClaimOptions, decision: Decision) -> NewClaim<'static> {
    NewClaim {
        queue: queue.number(),
        claim: queue.store().random.uuid().into_bytes(),
        ttl: millis(options.ttl),
        grace: millis(options.grace),
        slack: queue.slack_for(millis(options.ttl)),
        taken: decision.taken,
        moved: decision.moved,
        dead: None,
    }
}

impl Engine {
    /// Makes a claim that moves messages to the dead-letter queue in the same store; `None` if what it was to go by has
    /// changed.
    pub(crate) fn move_within(
        &self,
        project: &Project,
        name: &QueueName,
        options: &ClaimOptions,
    ) -> Result<Option<Claimed>> {
        let store = self.store().enter()?;
        let Some(source) = store.find(project, name) else { return Ok(None) };
        let description = source.description();
        let Some(target) = description.as_ref().and_then(|one| one.settings.dead_letter_queue.as_ref()) else {
            return Ok(None);
        };
        let still = |queue: &mut Locked<'_>, _: Option<&mut Locked<'_>>| {
            queue.description().settings.dead_letter_queue.as_ref() == Some(target)
        };
        let key = keys::queue(project, target);
        let slot = store.find(project, target);
        let make = |directory: &Directory| directory.new_queue(&store, project, target, "{}").map(NewQueue::into_owned);
        let to = slot.as_ref().map_or(Destination::Missing { key: &key, make: &make }, Destination::There);
        let Some(moving) = claim_moving(&store, &source, to, &still, &|_, _| Ok(()), options)? else { return Ok(None) };
        if moving.moved > 0 {
            store.waiters.wake(&key, moving.moved);
        }
        moving.wait_durable(&store, self.durability()).map(Some)
    }
}

/// Where messages that were handed out too often go: a queue in the same store.
pub(crate) enum Destination<'a> {
    There(&'a Arc<QueueSlot>),
    /// It is made with the claim, unless there is one under that key by then.
    Missing {
        key: &'a [u8],
        make: &'a dyn Fn(&Directory) -> Result<NewQueue<'static>>,
    },
}

/// A claim that moved messages.
pub(crate) struct Moving {
    claim: Option<ClaimRecord>,
    lsn: Option<u64>,
    pub(crate) moved: usize,
    /// When to look again.
    again: Option<u64>,
}

impl Moving {
    /// The end of the claim, with no lock held.
    pub(crate) fn wait_durable(self, store: &Store, durability: Durability) -> Result<Claimed> {
        self.lsn.map_or(Ok(()), |lsn| store.wait_durable(lsn, durability))?;
        Ok((self.claim, self.again))
    }
}

/// Makes a claim that moves messages, by one decision with both queues locked. `None` if one of the two is not what it was
/// taken for: it has been deleted or made, or `still`, which is asked once both are locked, says so.
///
/// What happens to each message on the way is `wrap`.
pub(crate) fn claim_moving(
    store: &Store,
    source: &Arc<QueueSlot>,
    to: Destination<'_>,
    still: &dyn Fn(&mut Locked<'_>, Option<&mut Locked<'_>>) -> bool,
    wrap: &Wrap<'_>,
    options: &ClaimOptions,
) -> Result<Option<Moving>> {
    let there = if let Destination::There(slot) = to { Some(slot) } else { None };
    let (Some(mut queue), mut target) = lock_both(store, source, there)? else { return Ok(None) };
    if target.is_some() != there.is_some() || !still(&mut queue, target.as_mut()) {
        return Ok(None);
    }
    let now = target.as_ref().map_or(queue.now(), Locked::now).max(queue.now());
    queue.advance_with(target.as_ref())?;
    let decision = decide(&queue, options)?;
    if decision.taken.is_empty() && decision.moved.is_empty() {
        return Ok(Some(Moving { claim: None, lsn: None, moved: 0, again: queue.next_due() }));
    }
    let mut claim = new_claim(&queue, options, decision);
    let moved = claim.moved.len();
    let letters = dead_letters(&queue, &claim.moved, now, wrap)?;
    let (op, lsn) = match (target, to) {
        _ if moved == 0 => {
            let op = Op::Claim(claim);
            let lsn = queue.record(Growth::Leases, &op)?;
            (op, lsn)
        }
        (Some(mut target), _) => {
            let first = target.allot(target.epoch(), moved).ok_or_else(exhausted)?;
            claim.dead = Some(DeadLetters { target: target.number(), create: None, first, messages: letters });
            let op = Op::Claim(claim);
            let lsn = store.record(Growth::Leases, now, &op, &mut [&mut queue, &mut target])?;
            (op, lsn)
        }
        (None, Destination::Missing { key, make }) => {
            match record_making(store, &mut queue, key, make, claim, letters)? {
                Some(recorded) => recorded,
                None => return Ok(None),
            }
        }
        (None, Destination::There(_)) => return Ok(None),
    };
    // What was moved used up places: behind it there may be more to claim at once.
    Ok(Some(Moving { claim: record_of(&queue, &op)?, lsn: Some(lsn), moved, again: Some(now) }))
}

/// Splits the oldest claimable messages by the dead-letter rule; a moved one uses up a place and its bytes. The operation
/// holds what is moved, so that is bounded whatever the caller allows; the rest goes with the next claim.
fn decide(queue: &Locked<'_>, options: &ClaimOptions) -> Result<Decision> {
    let settings = &queue.description().settings;
    let most = settings.max_claim_count.filter(|_| settings.dead_letter_queue.is_some()).unwrap_or(u32::MAX);
    let mut decision = Decision { taken: Sequences::default(), moved: Sequences::default() };
    let (mut all, mut letters) = (Allowance::new(options.max_bytes), Allowance::new(MOVED_BYTES));
    for place in queue.claimable().take(options.limit) {
        let (page, index) = place?;
        let Some(slot) = page.slot(index) else { continue };
        let (worn_out, bytes) = (slot.claim_count >= most, page.body(slot).len());
        if !all.admits(bytes) || (worn_out && !letters.admits(bytes)) {
            break;
        }
        let to = if worn_out { &mut decision.moved } else { &mut decision.taken };
        to.push(page.sequence(index));
    }
    Ok(decision)
}

/// Locks the queue and its dead-letter queue, the lower number first.
fn lock_both<'a>(
    store: &'a Store,
    queue: &'a Arc<QueueSlot>,
    target: Option<&'a Arc<QueueSlot>>,
) -> Result<(Option<Locked<'a>>, Option<Locked<'a>>)> {
    match target {
        Some(target) if target.number < queue.number => {
            let target = store.lock(target)?;
            Ok((store.lock(queue)?, target))
        }
        target => {
            let queue = store.lock(queue)?;
            Ok((queue, target.map_or(Ok(None), |target| store.lock(target))?))
        }
    }
}

/// The messages at `moved`, as they arrive at the dead-letter queue.
fn dead_letters(queue: &Locked<'_>, moved: &Sequences, now: u64, wrap: &Wrap<'_>) -> Result<Vec<DeadLetter<'static>>> {
    let new_ttl = queue.description().settings.dead_letter_ttl.filter(|ttl| *ttl > 0);
    let latest = Timestamp::MAX.as_millis();
    let letter = |(page, index): (&state::Page, usize)| {
        let slot = page.slot(index)?;
        Some(DeadLetter {
            created: slot.created,
            expires: new_ttl.map_or(slot.expires, |ttl| now.saturating_add(ttl).min(latest)),
            ttl: new_ttl.unwrap_or(slot.ttl),
            claim_count: slot.claim_count,
            client: page.client(slot),
            checksum: page.checksum(slot),
            body: page.body(slot).to_vec().into(),
        })
    };
    let mut letters = Vec::with_capacity(moved.len());
    for sequence in moved.iter() {
        if let Some(mut letter) = queue.locate(sequence)?.and_then(letter) {
            wrap((queue.number(), sequence), &mut letter)?;
            letters.push(letter);
        }
    }
    Ok(letters)
}

/// Records a claim that makes the queue its letters go to. `None` if there is one by now. The directory is taken for the
/// insertion alone, when everything has been read.
fn record_making<'a>(
    store: &Store,
    queue: &mut Locked<'_>,
    key: &[u8],
    make: &dyn Fn(&Directory) -> Result<NewQueue<'static>>,
    mut claim: NewClaim<'a>,
    letters: Vec<DeadLetter<'static>>,
) -> Result<Option<(Op<'a>, u64)>> {
    let mut directory = store.directory.write();
    if directory.names.contains(key) {
        return Ok(None);
    }
    let new = make(&directory)?;
    let mut target = state::Queue::from_new(&new, 0, &store.budget)?;
    let (number, first) = (new.number, first_of(store.epoch()));
    claim.dead = Some(DeadLetters { target: number, create: Some(new), first, messages: letters });
    let op = Op::Claim(claim);
    let lsn = store.record(Growth::Leases, queue.now(), &op, &mut [queue, &mut target])?;
    let totals = target.totals();
    let slot = directory.insert(target, &store.budget);
    drop(directory);
    store.adopt(&slot, totals);
    Ok(Some((op, lsn)))
}

fn exhausted() -> Error {
    Error::Unavailable { reason: "this run's sequences are used up: reopen the store".into() }
}

fn record_of(queue: &Locked<'_>, op: &Op<'_>) -> Result<Option<ClaimRecord>> {
    let Op::Claim(op) = op else { return Ok(None) };
    let mut reading = Reading::with_room(queue, queue.now(), op.taken.len());
    for sequence in op.taken.iter() {
        // In memory since the claim was decided.
        queue.locate(sequence)?.into_iter().for_each(|(page, index)| reading.push(queue, page, index));
    }
    let id = ClaimId::from_bytes(op.claim);
    let messages: Vec<Message> = reading.finish().into_iter().map(|message| claimed_by(message, id)).collect();
    Ok((!op.taken.is_empty()).then_some(ClaimRecord { id, ttl: op.ttl, age: 0, messages }))
}

/// A claim of ttl 0 is over when it is made; its result shows it all the same.
fn claimed_by(mut message: Message, id: ClaimId) -> Message {
    message.claim = Some(id);
    message
}

/// Bytes of dead letters that one claim moves at most beyond the first: with that within half of the largest operation.
const MOVED_BYTES: u64 = 64 << 20;
