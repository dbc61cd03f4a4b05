//! Batches in the model: every step is called, and after an error the queues are as they were.

use std::collections::BTreeSet;
use std::iter;

use super::claims::no_claim;
use super::{ReferenceModel, Store};
use crate::contract::Batches;
use crate::data::batches::{check_bookmarks_alone, check_size};
use crate::data::bookmarks::named_twice;
use crate::data::reach::{Copies, posted_topic};
use crate::model::error::{Error, Result};
use crate::model::{
    BatchOutcome, BatchStep, BookmarkName, ClaimId, ClaimOptions, MessageId, Project, QueueName, Timestamp,
};

impl Batches for ReferenceModel {
    fn commit(&self, steps: &[BatchStep]) -> Result<BatchOutcome> {
        let named: Vec<&BatchStep> = steps.iter().collect();
        check_size(&named)?;
        if self.store.lock().pooled {
            check_bookmarks_alone(&named)?;
        }
        let (mut store, now) = self.enter()?;
        let mut copies = Copies::default();
        for step in steps {
            let project = step.project();
            // A topic is looked up before all queues.
            posted_topic(step).map_or(Ok(()), |topic| store.contents(project, topic).map(drop))?;
            let subscribed = store.subscribed_to(step);
            let is_left =
                |queue: &&QueueName| store.queue(project, queue).is_some() && !store.is_mapped(project, queue);
            if let Some(queue) = subscribed.iter().find(is_left) {
                return Err(Error::QueueNotMapped { project: project.clone(), queue: queue.clone() });
            }
            copies.add(step, subscribed.len())?;
        }
        store.check_one_location(steps)?;
        let (before, mut progress) = ((store.queues.clone(), store.bookmarks.clone()), Progress::default());
        let done = steps.iter().try_for_each(|step| self.take(&mut store, now, step, &mut progress));
        let done = done.and_then(|()| store.check_quotas(steps, now));
        if done.is_err() {
            (store.queues, store.bookmarks) = before;
        } else if steps.iter().any(|step| matches!(step, BatchStep::SetBookmark { .. })) {
            store.bookmarks_set = store.bookmarks_set.saturating_add(1);
            progress.outcome.bookmark_version = Some(store.bookmarks_set);
        }
        done.map(|()| progress.outcome)
    }
}

/// What the steps of a batch have done so far.
#[derive(Default)]
struct Progress<'s> {
    outcome: BatchOutcome,
    deleted: BTreeSet<(&'s Project, &'s QueueName, MessageId)>,
    bookmarks: BTreeSet<(&'s Project, &'s BookmarkName)>,
}

impl ReferenceModel {
    fn take<'s>(
        &self,
        store: &mut Store,
        now: Timestamp,
        step: &'s BatchStep,
        progress: &mut Progress<'s>,
    ) -> Result<()> {
        let Some(queue) = step.queue() else { return self.take_bookmark(store, now, step, progress) };
        let project = step.project();
        self.check_name(project, queue)?;
        match step {
            BatchStep::Post { client, messages, .. } => {
                let ids = self.post_at(store, now, project, queue, *client, messages)?;
                for subscribed in store.subscribed_to(step) {
                    if store.contents(project, &subscribed)?.is_some() {
                        self.post_at(store, now, project, &subscribed, *client, messages)?;
                    }
                }
                progress.outcome.posted.push(ids);
            }
            BatchStep::Delete { messages, claim, .. } => {
                self.limits.check_ids(messages.len())?;
                messages
                    .iter()
                    .try_for_each(|id| progress.delete(store, now, (project, queue, *id), claim.as_ref()))?;
            }
            BatchStep::Renew { claim, ttl, grace, .. } => {
                let options = ClaimOptions::new().ttl(*ttl).grace(*grace);
                self.renew_at(store, now, project, queue, *claim, &options)?;
            }
            BatchStep::Release { claim, .. } => {
                if let Some(queue) = store.contents(project, queue)? {
                    queue.release(*claim, now);
                }
            }
            BatchStep::SetBookmark { .. } | BatchStep::DeleteBookmark { .. } => {}
        }
        Ok(())
    }

    fn take_bookmark<'s>(
        &self,
        store: &mut Store,
        now: Timestamp,
        step: &'s BatchStep,
        progress: &mut Progress<'s>,
    ) -> Result<()> {
        let (name, value, condition) = match step {
            BatchStep::SetBookmark { bookmark, value, condition, .. } => (bookmark, Some(value), *condition),
            BatchStep::DeleteBookmark { bookmark, condition, .. } => (bookmark, None, *condition),
            _ => return Ok(()),
        };
        if !progress.bookmarks.insert((step.project(), name)) {
            return Err(named_twice(name));
        }
        self.change_at(store, now, (step.project(), name), value, condition).map(drop)
    }
}

impl<'s> Progress<'s> {
    /// Deletes a message. Under a claim, it has to exist, unless a step before has deleted it.
    fn delete(
        &mut self,
        store: &mut Store,
        now: Timestamp,
        (project, queue, id): (&'s Project, &'s QueueName, MessageId),
        claim: Option<&ClaimId>,
    ) -> Result<()> {
        if self.deleted.contains(&(project, queue, id)) {
            return Ok(());
        }
        // The messages of the batch itself have no ids yet.
        let is_new = self.outcome.posted.iter().flatten().any(|posted| *posted == id);
        if !is_new && store.delete_at(now, project, queue, &id, claim)? {
            self.deleted.insert((project, queue, id));
            self.outcome.deleted = self.outcome.deleted.saturating_add(1);
            return Ok(());
        }
        let Some(claim) = claim else { return Ok(()) };
        let source = store.contents(project, queue)?;
        Err(match source.filter(|queue| queue.live_claim(*claim, now).is_some()) {
            Some(_) => Error::MessageDoesNotExist { project: project.clone(), queue: queue.clone(), id },
            None => no_claim(project, queue, *claim),
        })
    }
}

impl Store {
    /// The queues that get what the step posts beside the step's own, whether or not they exist.
    fn subscribed_to(&self, step: &BatchStep) -> Vec<QueueName> {
        let topic = posted_topic(step).filter(|topic| self.is_mapped(step.project(), topic));
        let topic = topic.and_then(|topic| self.queue(step.project(), topic));
        topic.and_then(|topic| topic.settings.subscribed.as_deref()).unwrap_or_default().to_vec()
    }

    /// Refuses steps whose queues have their contents at different locations.
    fn check_one_location(&mut self, steps: &[BatchStep]) -> Result<()> {
        let mut there = Vec::new();
        for (project, queue, step) in steps.iter().filter_map(|step| Some((step.project(), step.queue()?, step))) {
            for queue in iter::once(queue.clone()).chain(self.subscribed_to(step)) {
                if self.contents(project, &queue)?.is_some() {
                    let location = self.location(project, &queue)?;
                    there.push((project, queue, location));
                }
            }
        }
        let Some((project, one, location)) = there.first() else { return Ok(()) };
        if let Some((other_project, other, _)) = there.iter().find(|(_, _, another)| another != location) {
            return Err(Error::NotInOneStore {
                project: (*project).clone(),
                one: (*one).clone(),
                other_project: (*other_project).clone(),
                other: (*other).clone(),
            });
        }
        Ok(())
    }
}
