//! Batches in the model: every step is called, and after an error the queues are as they were.

use super::{ReferenceModel, Store};
use crate::contract::Batches;
use crate::data::batches::check_size;
use crate::model::error::{Error, Result};
use crate::model::{BatchOutcome, BatchStep, ClaimOptions, Timestamp};

impl Batches for ReferenceModel {
    fn commit(&self, steps: &[BatchStep]) -> Result<BatchOutcome> {
        check_size(steps)?;
        let (mut store, now) = self.enter()?;
        store.check_one_location(steps)?;
        let (before, mut outcome) = (store.queues.clone(), BatchOutcome::default());
        let done = steps.iter().try_for_each(|step| self.take(&mut store, now, step, &mut outcome));
        if done.is_err() {
            store.queues = before;
        }
        done.map(|()| outcome)
    }
}

impl ReferenceModel {
    fn take(&self, store: &mut Store, now: Timestamp, step: &BatchStep, outcome: &mut BatchOutcome) -> Result<()> {
        let (project, queue) = (step.project(), step.queue());
        self.check_name(project, queue)?;
        match step {
            BatchStep::Post { client, messages, .. } => {
                outcome.posted.push(self.post_at(store, now, project, queue, *client, messages)?);
            }
            BatchStep::Delete { messages, claim, .. } => {
                self.limits.check_ids(messages.len())?;
                for id in messages {
                    let is_deleted = store.delete_at(now, project, queue, id, claim.as_ref())?;
                    outcome.deleted = outcome.deleted.saturating_add(is_deleted.into());
                }
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
        }
        Ok(())
    }
}

impl Store {
    /// Refuses steps whose queues have their contents at different locations.
    fn check_one_location(&mut self, steps: &[BatchStep]) -> Result<()> {
        let mut there = Vec::new();
        for step in steps {
            let (project, queue) = (step.project(), step.queue());
            if self.contents(project, queue)?.is_some() {
                there.push((step, self.location(project, queue)?));
            }
        }
        let Some((one, location)) = there.first() else { return Ok(()) };
        if let Some((other, _)) = there.iter().find(|(_, another)| another != location) {
            return Err(Error::NotInOneStore {
                project: one.project().clone(),
                one: one.queue().clone(),
                other_project: other.project().clone(),
                other: other.queue().clone(),
            });
        }
        Ok(())
    }
}
