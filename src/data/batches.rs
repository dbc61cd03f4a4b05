//! Batches: changes of several queues, and of bookmarks, in one operation.
//!
//! The steps are checked one after the other against the queues as they are, together with what the steps before have
//! done: [`Planned`] has that. Then all changes are recorded at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::contract::Batches;
use crate::model::error::{Error, Result};
use crate::model::limits::check_times;
use crate::model::time::millis;
use crate::model::{
    BatchOutcome, BatchStep, ClaimId, ClaimOptions, ClientId, Limits, MessageId, NewMessage, Project, QueueName,
    Timestamp,
};
use crate::state::op::{Posted, Step};
use crate::storage::journal::Growth;
use crate::store::{Balance, Locked, Store, Together};

use super::backend::{Access, Answer, Backend, NamedQueue};
use super::bookmarks::BookmarkPlan;
use super::bounds::{Load, check_bound};
use super::claims::{held, missing as missing_claim};
use super::message_checks::{all_posted, check_claim, check_message_times};
use super::pauses::check_post as check_pause;
use super::projects::collect_expired;
use super::queues::missing;
use super::reach::Reach;

impl<S: Backend> Batches for S {
    fn commit(&self, steps: &[BatchStep]) -> Result<BatchOutcome> {
        commit(self, &steps.iter().collect::<Vec<_>>())
    }
}

pub(crate) fn commit<S: Backend>(backend: &S, steps: &[&BatchStep]) -> Result<BatchOutcome> {
    check_size(steps)?;
    if backend.is_pooled() {
        check_bookmarks_alone(steps)?;
    }
    let mut is_last = false;
    loop {
        let reach = Reach::of(backend, steps)?;
        let places = Places::of(steps, &reach);
        let committed = backend.with_queues(&places.named, |queues| {
            if !places.are_current(queues, &reach, backend.control_store()) {
                return Ok((Answer::at_once(Attempt::Again), Vec::new()));
            }
            let store = backend.control_store();
            let mut plan = Plan::new(store, places.named.len());
            for (number, (step, place)) in steps.iter().zip(&places.steps).enumerate() {
                let Some(place) = place else { continue };
                // Bookmarks are checked last, because no page is read while the registry is locked. But the error is that
                // of the first step that has one.
                plan.add(queues, step, &places.named, place).or_else(|error| {
                    BookmarkPlan::of(store, queues, steps.get(..number).unwrap_or_default())?;
                    Err(error)
                })?;
            }
            plan.record(queues, steps, is_last)
        });
        match committed {
            Ok(Attempt::Done(outcome)) => return Ok(outcome),
            Ok(Attempt::Collect) => is_last = collect_expired(backend, steps.iter().map(|step| step.project()))?,
            Err(error) if !was_created(backend, &error)? => return Err(error),
            // A queue was created, or a topic has got other subscribed queues, since it was looked up.
            Ok(Attempt::Again) | Err(_) => {}
        }
    }
}

/// What came of an attempt.
enum Attempt {
    Done(BatchOutcome),
    /// A queue has changed since it was looked up.
    Again,
    /// Expired messages of projects with a quota have to be collected first.
    Collect,
}

/// Whether a queue that was missing is there now: it was created after it was looked up, and before the other queues
/// were locked.
fn was_created<S: Backend>(backend: &S, error: &Error) -> Result<bool> {
    match error {
        Error::QueueDoesNotExist { project, queue } => exists(backend, project, queue),
        Error::TopicDoesNotExist { project, topic } => exists(backend, project, &topic.to_queue_name()),
        _ => Ok(false),
    }
}

fn exists<S: Backend>(backend: &S, project: &Project, queue: &QueueName) -> Result<bool> {
    Ok(backend.with_queue(project, queue, Access::Read, |_| Ok(Answer::at_once(())))?.is_some())
}

pub(crate) fn check_size(steps: &[&BatchStep]) -> Result<()> {
    if steps.len() > BatchStep::MOST {
        return Err(Error::invalid("steps", format!("{} are more than {}", steps.len(), BatchStep::MOST)));
    }
    let size = steps.iter().fold(0, |sum: u64, step| sum.saturating_add(step.size()));
    if size > BatchStep::MOST_BYTES {
        let what = "bytes of the bodies, headers and bookmarks in a batch";
        return Err(Error::TooLarge { what, size, limit: BatchStep::MOST_BYTES });
    }
    Ok(())
}

/// Refuses bookmarks beside queues: a pooled driver has them in different stores.
pub(crate) fn check_bookmarks_alone(steps: &[&BatchStep]) -> Result<()> {
    let bookmark = steps.iter().find_map(|step| Some((step.project(), step.bookmark()?)));
    let queue = steps.iter().find_map(|step| Some((step.project(), step.queue()?)));
    let (Some((bookmark_project, bookmark)), Some((project, queue))) = (bookmark, queue) else { return Ok(()) };
    Err(Error::BookmarkNotInStore {
        project: project.clone(),
        queue: queue.clone(),
        bookmark_project: bookmark_project.clone(),
        bookmark: bookmark.clone(),
    })
}

/// The queues that a batch changes.
struct Places<'a> {
    /// Each once.
    named: Vec<NamedQueue<'a>>,
    /// For each step that concerns a queue, which ones.
    steps: Vec<Option<StepPlace>>,
}

/// The indexes of a step's queue, and of the queues that are subscribed to it.
struct StepPlace {
    queue: usize,
    subscribed: Vec<usize>,
}

impl<'a> Places<'a> {
    fn of(steps: &[&'a BatchStep], reach: &'a Reach) -> Self {
        let mut found: BTreeMap<(&Project, &QueueName), usize> = BTreeMap::new();
        let mut named: Vec<NamedQueue<'a>> = Vec::new();
        let mut index = |project: &'a Project, name: &'a QueueName, access| {
            let index = *found.entry((project, name)).or_insert_with(|| {
                named.push(NamedQueue { project, name, access: Access::Read });
                named.len().saturating_sub(1)
            });
            if let Some(queue) = named.get_mut(index) {
                queue.access = queue.access.max(access);
            }
            index
        };
        let places = steps.iter().map(|step| {
            let (project, name, access) = (step.project(), step.queue()?, access_of(step));
            let queue = index(project, name, access);
            let is_post = matches!(step, BatchStep::Post { .. });
            let subscribed = if is_post { reach.of_topic(project, name) } else { &[] };
            let subscribed = subscribed.iter().map(|name| index(project, name, access)).collect();
            Some(StepPlace { queue, subscribed })
        });
        let steps = places.collect();
        Self { named, steps }
    }

    /// Whether the topics, now locked, have the subscribed queues that were looked up, and those that were missing are
    /// missing still.
    fn are_current(&self, queues: &Together<'_>, reach: &Reach, control_store: &Store) -> bool {
        let mut subscribed = self.steps.iter().flatten().flat_map(|place| &place.subscribed);
        let is_any_missing = subscribed.any(|index| queues.queue(*index).is_none());
        let mut named = self.named.iter().enumerate();
        (!is_any_missing || reach.has_all_names(control_store))
            && named.all(|(index, NamedQueue { project, name, .. })| {
                queues.queue(index).is_none_or(|locked| reach.has_same_queues(project, name, locked))
            })
    }
}

fn access_of(step: &BatchStep) -> Access {
    match step {
        BatchStep::Post { messages, .. } if messages.is_empty() => Access::Read,
        BatchStep::Post { .. } => Access::Fill,
        BatchStep::Delete { .. } | BatchStep::Renew { .. } | BatchStep::Release { .. } => Access::Change,
        BatchStep::SetBookmark { .. } | BatchStep::DeleteBookmark { .. } => Access::Read,
    }
}

/// The changes of a batch, as far as its steps have been checked.
struct Plan<'s> {
    control_store: &'s Store,
    queues: Vec<Planned<'s>>,
    outcome: BatchOutcome,
}

/// The changes of one queue.
#[derive(Default)]
struct Planned<'s> {
    /// The claims that have ended, by number.
    ended: BTreeSet<u64>,
    deleted: BTreeSet<u64>,
    /// The number of messages posted.
    posted: usize,
    added: Load,
    freed: Load,
    /// The changes of claims.
    claims: Vec<Step<'s>>,
    posts: Vec<Step<'s>>,
    /// The most waiters to wake.
    wake: usize,
}

/// Messages to post.
#[derive(Clone, Copy)]
pub(super) struct NewPost<'n> {
    pub(super) client: ClientId,
    pub(super) messages: &'n [NewMessage],
}

/// The names in a step.
#[derive(Clone, Copy)]
struct Address<'s> {
    project: &'s Project,
    name: &'s QueueName,
}

impl<'s> Plan<'s> {
    fn new(control_store: &'s Store, queues: usize) -> Self {
        let queues = std::iter::repeat_with(Planned::default).take(queues).collect();
        Self { control_store, queues, outcome: BatchOutcome::default() }
    }

    /// Checks a step and adds its changes.
    fn add(
        &mut self,
        queues: &Together<'_>,
        step: &'s BatchStep,
        named: &[NamedQueue<'_>],
        place: &StepPlace,
    ) -> Result<()> {
        let limits = &self.control_store.limits;
        let Some(name) = step.queue() else { return Ok(()) };
        let address = Address { project: step.project(), name };
        limits.check_project(address.project)?;
        limits.check_queue_name(address.name)?;
        let Some(planned) = self.queues.get_mut(place.queue) else { return Ok(()) };
        let queue = queues.queue(place.queue);
        match step {
            BatchStep::Post { client, messages, .. } => {
                let now = queue.map_or_else(|| self.control_store.now(), Locked::now);
                limits.check_post(messages, None)?;
                check_message_times(Timestamp::from_millis(now), messages)?;
                let queue = queue.ok_or_else(|| missing(address.project, address.name))?;
                let new = NewPost { client: *client, messages };
                let posted = all_posted(messages, queue.store().checksums)?;
                let copy = if place.subscribed.is_empty() { Vec::new() } else { posted.clone() };
                self.outcome.posted.push(planned.post(queue, address, limits, new, posted)?);
                for index in &place.subscribed {
                    let (Some(planned), Some(queue)) = (self.queues.get_mut(*index), queues.queue(*index)) else {
                        continue;
                    };
                    let Some(NamedQueue { project, name, .. }) = named.get(*index) else { continue };
                    planned.post(queue, Address { project, name }, limits, new, copy.clone())?;
                }
            }
            BatchStep::Delete { messages, claim, .. } => {
                limits.check_ids(messages.len())?;
                let Some(queue) = queue else {
                    let claim = claim.filter(|_| !messages.is_empty());
                    return claim.map_or(Ok(()), |id| Err(missing_claim(address.project, address.name, id)));
                };
                let deleted = planned.delete(queue, address, messages, claim.as_ref())?;
                self.outcome.deleted = self.outcome.deleted.saturating_add(deleted);
            }
            BatchStep::Renew { claim, ttl, grace, .. } => {
                let no_claim = || missing_claim(address.project, address.name, *claim);
                let queue = queue.ok_or_else(no_claim)?;
                let number = planned.live_claim(queue, claim).ok_or_else(no_claim)?;
                limits.check_claim(&ClaimOptions::new().ttl(*ttl).grace(*grace).limit(1))?;
                check_times(Timestamp::from_millis(queue.now()), "ttl", &[*ttl, *grace])?;
                planned.renew(queue, claim, number, *ttl, *grace);
            }
            BatchStep::Release { claim, .. } => {
                if let Some(queue) = queue {
                    planned.release(queue, claim);
                }
            }
            BatchStep::SetBookmark { .. } | BatchStep::DeleteBookmark { .. } => {}
        }
        Ok(())
    }

    /// Records the changes, and those of the bookmarks, if there are any. The answer says how many waiters to wake, by
    /// queue.
    fn record(
        self,
        queues: &mut Together<'_>,
        all: &[&BatchStep],
        is_last: bool,
    ) -> Result<(Answer<Attempt>, Vec<usize>)> {
        let Self { queues: mut planned, outcome, control_store } = self;
        let (mut steps, mut growth) = (Vec::new(), Growth::Frees);
        for index in queues.order() {
            let (Some(one), Some(queue)) = (planned.get_mut(*index), queues.queue(*index)) else { continue };
            if !one.posts.is_empty() {
                growth = Growth::Grows;
            } else if !one.claims.is_empty() {
                growth = growth.min(Growth::Leases);
            }
            steps.append(&mut one.claims);
            // Before the deletion: if that removed the last page, the messages would go to one that was not loaded.
            steps.append(&mut one.posts);
            if !one.deleted.is_empty() {
                steps.push(Step::Delete { queue: queue.number(), messages: one.deleted.iter().copied().collect() });
            }
        }
        let wake = || planned.iter().map(|one| one.wake).collect();
        if all.iter().any(|step| step.bookmark().is_some()) {
            queues.prepare(&steps)?;
        }
        let bookmarks = BookmarkPlan::of(control_store, queues, all)?;
        let balances: Vec<Balance> =
            planned.iter().map(|one| Balance { posts: one.posted > 0, added: one.added, freed: one.freed }).collect();
        let recorded = queues.within_quotas(&balances, is_last, |queues| {
            if let Some(bookmarks) = bookmarks {
                let answer = |version| Attempt::Done(BatchOutcome { bookmark_version: version, ..outcome });
                return Ok((bookmarks.record(queues, growth, steps, answer)?, wake()));
            }
            let Some(store) = queues.store().filter(|_| !steps.is_empty()) else {
                return Ok((Answer::seen(Attempt::Done(outcome)), Vec::new()));
            };
            let lsn = queues.record(store, growth, steps)?;
            Ok((Answer::changed(Attempt::Done(outcome), lsn), wake()))
        })?;
        Ok(recorded.unwrap_or_else(|| (Answer::at_once(Attempt::Collect), Vec::new())))
    }
}

impl<'s> Planned<'s> {
    fn post(
        &mut self,
        queue: &Locked<'_>,
        address: Address<'_>,
        limits: &Limits,
        new: NewPost<'_>,
        posted: Vec<Posted<'s>>,
    ) -> Result<Vec<MessageId>> {
        let NewPost { client, messages } = new;
        check_pause(queue.description(), address.project, address.name)?;
        if let Some(most) = queue.description().settings.max_post_size {
            limits.check_post(messages, Some(most))?;
        }
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let all = self.posted.saturating_add(messages.len());
        let first = queue.allot_here(all)?.saturating_add(self.posted as u64);
        self.added = self.added.and(Load::of(&posted));
        let load = Load::from(queue.totals()).without(self.freed).and(self.added);
        check_bound(queue.description().settings.bound.as_deref(), load, address.project, address.name)?;
        self.posts.push(Step::Post { queue: queue.number(), first, client: *client.as_bytes(), messages: posted });
        self.posted = all;
        self.wake = self.wake.saturating_add(messages.len());
        Ok((first..).take(messages.len()).map(|sequence| MessageId::new(queue.number(), sequence)).collect())
    }

    /// Returns the number of messages that are there to be deleted. With a claim, all have to be there: if one is missing,
    /// somebody else may have processed it.
    fn delete(
        &mut self,
        queue: &Locked<'_>,
        address: Address<'_>,
        ids: &[MessageId],
        claim: Option<&ClaimId>,
    ) -> Result<u64> {
        let (mut near, mut count) = (None, 0_u64);
        for id in ids {
            let is_own = id.queue == queue.number();
            if is_own && self.deleted.contains(&id.sequence) {
                continue;
            }
            let place = if is_own { queue.locate_near(near, id.sequence)? } else { None };
            let Some((page, index)) = place else {
                claim.map_or(Ok(()), |claim| Err(self.lost(queue, address, *id, claim)))?;
                continue;
            };
            near = Some(page);
            check_claim(queue, page, index, claim, &self.ended)
                .map_err(|refusal| refusal.error(address.project, address.name, *id))?;
            let slot = page.slot(index);
            self.freed = self.freed.and(slot.map_or_else(Load::default, |slot| Load::default().plus(slot.size())));
            self.deleted.insert(id.sequence);
            count = count.saturating_add(1);
        }
        Ok(count)
    }

    /// The error for a message that a claim should hold and that does not exist.
    fn lost(&self, queue: &Locked<'_>, address: Address<'_>, id: MessageId, claim: &ClaimId) -> Error {
        let Address { project, name } = address;
        match self.live_claim(queue, claim) {
            None => missing_claim(project, name, *claim),
            Some(_) => Error::MessageDoesNotExist { project: project.clone(), queue: name.clone(), id },
        }
    }

    /// The number of a claim that has not ended.
    fn live_claim(&self, queue: &Locked<'_>, claim: &ClaimId) -> Option<u64> {
        queue.claims().number(claim.as_bytes()).filter(|number| !self.ended.contains(number))
    }

    fn renew(&mut self, queue: &Locked<'_>, claim: &ClaimId, number: u64, ttl: Duration, grace: Duration) {
        let (ttl, grace) = (millis(ttl), millis(grace));
        let slack = queue.slack_for(ttl);
        let end = queue.now().saturating_add(ttl).saturating_add(slack.into());
        if let Some((messages, _)) = held(queue, claim).filter(|(_, expires)| end < *expires) {
            self.wake = self.wake.saturating_add(messages);
        }
        if end <= queue.now() {
            self.ended.insert(number);
        }
        self.claims.push(Step::Renew { queue: queue.number(), claim: *claim.as_bytes(), ttl, grace, slack });
    }

    fn release(&mut self, queue: &Locked<'_>, claim: &ClaimId) {
        let Some(number) = self.live_claim(queue, claim) else { return };
        self.ended.insert(number);
        self.wake = self.wake.saturating_add(held(queue, claim).map_or(0, |(messages, _)| messages));
        self.claims.push(Step::Release { queue: queue.number(), claim: *claim.as_bytes() });
    }
}
