//! Redrives: putting dead letters back. They move as a claim moves dead letters: by the same operation, and on the same
//! way to another store.

use std::collections::BTreeMap;

use crate::contract::DeadLetters;
use crate::model::error::Result;
use crate::model::ttl::FOREVER;
use crate::model::{DeadLetterOrigin, Envelope, Project, QueueName, RedriveOptions, RedriveOutcome, Timestamp, Ttl};
use crate::state::op::{DeadLetter, NewClaim};
use crate::state::page::bit;
use crate::state::sequences::Sequences;
use crate::state::{Page, envelope};
use crate::storage::journal::Growth;
use crate::store::Locked;

use super::backend::{Access, Answer, Backend, Other};
use super::dead_letters::DeadLetterQueue;
use super::queues::missing;

/// The most messages in one portion, and the most bytes, unless the first has more.
const PORTION: usize = 256;
const PORTION_BYTES: usize = 4 << 20;

impl<S: Backend> DeadLetters for S {
    fn redrive(&self, project: &Project, queue: &QueueName, options: &RedriveOptions) -> Result<RedriveOutcome> {
        let store = self.control_store();
        store.limits.check_project(project)?;
        options.check(queue, &store.limits, Timestamp::from_millis(store.now()))?;
        let redrive = Redrive { backend: self, project, queue, options };
        let Some((number, end)) = redrive.with_queue(|queue| Ok((queue.number(), queue.next())))? else {
            return Err(missing(project, queue));
        };
        match &options.to {
            Some(to) if !self.has_queue(project, to)? => Err(missing(project, to)),
            _ => redrive.run(number, end),
        }
    }
}

struct Redrive<'a, S> {
    backend: &'a S,
    project: &'a Project,
    queue: &'a QueueName,
    options: &'a RedriveOptions,
}

/// A part of the queue: up to a number of messages that are neither claimed nor delayed.
struct Portion {
    /// The queue's number. If the queue is deleted and made again, the new one has no message that was there.
    number: u64,
    /// The last sequence in it.
    last: u64,
    /// The messages that the options choose, oldest first, each with the queue that it goes to, if there is one.
    letters: Vec<(u64, Option<QueueName>)>,
}

/// What becomes of the messages up to `last`.
struct Plan {
    number: u64,
    last: u64,
    /// The messages that move to each queue.
    targets: BTreeMap<QueueName, Vec<u64>>,
    /// How many stay, because there is no queue for them.
    stranded: u64,
}

impl<S: Backend> Redrive<'_, S> {
    /// Moves messages of the queue of that number whose sequences are below `end`.
    fn run(&self, number: u64, end: u64) -> Result<RedriveOutcome> {
        let (mut outcome, mut after) = (RedriveOutcome::default(), None);
        loop {
            let left = self.options.limit.map(|limit| limit.saturating_sub(outcome.moved));
            if left == Some(0) {
                return Ok(outcome);
            }
            let portion = self.with_queue(|queue| self.portion(queue, number, after, end))?;
            let Some(portion) = portion.flatten() else { return Ok(outcome) };
            let plan = self.plan(portion, left)?;
            after = Some(plan.last);
            outcome.stranded = outcome.stranded.saturating_add(plan.stranded);
            for (target, planned) in &plan.targets {
                let dry_run = self.options.dry_run;
                let moved = if dry_run { planned.len() as u64 } else { self.send(plan.number, target, planned)? };
                outcome.moved = outcome.moved.saturating_add(moved);
            }
        }
    }

    /// Runs a call on the queue; `None` if it does not exist.
    fn with_queue<R>(&self, call: impl FnOnce(&Locked<'_>) -> Result<R>) -> Result<Option<R>> {
        self.backend.with_queue(self.project, self.queue, Access::Read, |queue| call(queue).map(Answer::at_once))
    }

    /// The messages behind `after` and before `end`, as many as a portion holds; `None` if there are none.
    fn portion(&self, queue: &Locked<'_>, number: u64, after: Option<u64>, end: u64) -> Result<Option<Portion>> {
        let mut portion = Portion { number, last: 0, letters: Vec::new() };
        let (mut count, mut bytes) = (0_usize, 0_usize);
        if queue.number() != number {
            return Ok(None);
        }
        for place in queue.claimable_after(after) {
            // Claims skip damaged pages too.
            let Some((page, index)) = readable(place)? else { continue };
            let (Some(slot), sequence) = (page.slot(index), page.sequence(index)) else { continue };
            bytes = bytes.saturating_add(page.body(slot).len()).saturating_add(page.envelope(slot).len());
            if sequence >= end || count >= PORTION || (count > 0 && bytes > PORTION_BYTES) {
                break;
            }
            (portion.last, count) = (sequence, count.saturating_add(1));
            let origin = origin_of(page, index);
            if self.admits(queue, origin.as_ref()) {
                portion.letters.push((sequence, self.options.target(self.queue, origin.as_ref()).cloned()));
            }
        }
        Ok((count > 0).then_some(portion))
    }

    fn admits(&self, queue: &Locked<'_>, origin: Option<&DeadLetterOrigin>) -> bool {
        self.options.admits(origin, Timestamp::from_millis(queue.now()))
    }

    /// Decides where the messages of the portion go; up to `left` move, if there is a limit.
    fn plan(&self, portion: Portion, left: Option<u64>) -> Result<Plan> {
        let Portion { number, last, letters } = portion;
        let mut plan = Plan { number, last, targets: BTreeMap::new(), stranded: 0 };
        let (mut known, mut moved): (BTreeMap<QueueName, bool>, u64) = (BTreeMap::new(), 0);
        for (sequence, target) in letters {
            if left == Some(moved) {
                plan.last = sequence.saturating_sub(1);
                break;
            }
            let exists = match &target {
                None => false,
                Some(target) => match known.get(target).copied() {
                    Some(exists) => exists,
                    None => self.look_up(target, &mut known)?,
                },
            };
            if let Some(target) = target.filter(|_| exists) {
                plan.targets.entry(target).or_default().push(sequence);
                moved = moved.saturating_add(1);
            } else {
                plan.stranded = plan.stranded.saturating_add(1);
            }
        }
        Ok(plan)
    }

    fn look_up(&self, name: &QueueName, known: &mut BTreeMap<QueueName, bool>) -> Result<bool> {
        let exists = self.backend.has_queue(self.project, name)?;
        known.insert(name.clone(), exists);
        Ok(exists)
    }

    /// Moves the planned messages that are still free to `target`; returns how many.
    fn send(&self, number: u64, target: &QueueName, planned: &[u64]) -> Result<u64> {
        loop {
            let call = |queue: &mut Locked<'_>, other: DeadLetterQueue<'_>| {
                let chosen = still_free(queue, number, planned)?;
                self.record(queue, other, chosen)
            };
            let moved = self.backend.with_other_queue(self.project, self.queue, Other::Named(target), call)?;
            // Otherwise a queue was changed, moved or made meanwhile.
            if let Some(moved) = moved.flatten() {
                return Ok(moved);
            }
            for name in [self.queue, target] {
                if !self.backend.has_queue(self.project, name)? {
                    return Ok(0);
                }
            }
        }
    }

    /// Moves the chosen messages; `None`, without a change, if another call has made the outbox that they go to.
    fn record(
        &self,
        queue: &mut Locked<'_>,
        other: DeadLetterQueue<'_>,
        chosen: Sequences,
    ) -> Result<Answer<Option<u64>>> {
        if chosen.is_empty() {
            return Ok(Answer::seen(Some(0)));
        }
        let (count, number) = (chosen.len(), queue.number());
        let taken = Sequences::default();
        let op = NewClaim {
            queue: number,
            claim: [0; 16],
            ttl: 0,
            grace: 0,
            slack: 0,
            taken,
            moved: chosen,
            dead: None,
            lacks: 0,
        };
        let revive = |_: u64, letter: DeadLetter<'static>, now: u64| revived(letter, now, self.options.ttl);
        let Some((_, lsn)) = other.record(queue, op, Growth::Grows, &revive)? else { return Ok(Answer::at_once(None)) };
        queue.store().meters.redriven.add(count as u64);
        Ok(Answer::changed(Some(count as u64), lsn).waking(count))
    }
}

/// The planned messages that are neither claimed nor delayed now; none if the queue is not the one of that number.
fn still_free(queue: &Locked<'_>, number: u64, planned: &[u64]) -> Result<Sequences> {
    let mut chosen = Sequences::default();
    if queue.number() != number {
        return Ok(chosen);
    }
    for sequence in planned {
        let found = match queue.locate(*sequence) {
            Err(error) if error.is_corrupt() => None,
            found => found?,
        };
        if found.is_some_and(|(page, index)| page.ready() & bit(index) != 0) {
            chosen.push(*sequence);
        }
    }
    Ok(chosen)
}

/// A place that could be read; `None` for a page that is damaged.
fn readable(place: Result<(&Page, usize)>) -> Result<Option<(&Page, usize)>> {
    match place {
        Ok(place) => Ok(Some(place)),
        Err(error) if error.is_corrupt() => Ok(None),
        Err(error) => Err(error),
    }
}

fn origin_of(page: &Page, index: usize) -> Option<DeadLetterOrigin> {
    envelope::decode(page.envelope(page.slot(index)?)).ok()?.origin
}

/// A message as it arrives in the queue that it is put back into.
fn revived(letter: DeadLetter<'static>, now: u64, ttl: Option<Ttl>) -> Result<DeadLetter<'static>> {
    let Envelope { headers, origin } = envelope::decode(&letter.envelope).unwrap_or_default();
    let before = origin.map_or(letter.ttl, |origin| origin.ttl);
    let ttl = ttl.map_or(before, Ttl::as_millis);
    let end = || now.saturating_add(ttl).min(Timestamp::MAX.as_millis());
    Ok(DeadLetter {
        expires: if ttl == FOREVER { FOREVER } else { end() },
        ttl,
        claim_count: 0,
        claimed: (0, 0),
        failure: None,
        envelope: envelope::encode(&headers, None)?.into(),
        ..letter
    })
}
