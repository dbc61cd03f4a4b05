//! Redrives in the model.

use super::ReferenceModel;
use super::queue::{MessageModel, sequences};
use super::queues::no_queue;
use crate::contract::DeadLetters;
use crate::model::error::Result;
use crate::model::{Project, QueueName, RedriveOptions, RedriveOutcome};

impl DeadLetters for ReferenceModel {
    fn redrive(&self, project: &Project, queue: &QueueName, options: &RedriveOptions) -> Result<RedriveOutcome> {
        let (mut store, now) = self.enter()?;
        self.limits.check_project(project)?;
        options.check(queue, &self.limits, now)?;
        let source = store.contents(project, queue)?.ok_or_else(|| no_queue(project, queue))?;
        let free = source.claimable(usize::MAX, u64::MAX, now);
        if let Some(to) = options.to.as_ref().filter(|to| !store.is_mapped(project, to)) {
            return Err(no_queue(project, to));
        }
        let mut outcome = RedriveOutcome::default();
        for letter in free.into_iter().filter(|letter| options.admits(letter.origin(), now)) {
            if options.limit.is_some_and(|limit| outcome.moved >= limit) {
                break;
            }
            let target = options.target(queue, letter.origin()).cloned();
            let Some(target) = target.filter(|target| store.is_mapped(project, target)) else {
                outcome.stranded = outcome.stranded.saturating_add(1);
                continue;
            };
            outcome.moved = outcome.moved.saturating_add(1);
            if options.dry_run {
                continue;
            }
            if let Some(source) = store.contents(project, queue)? {
                source.remove(&sequences(std::slice::from_ref(&letter)));
            }
            store.send(project, &target, vec![MessageModel::revived(letter, options.ttl, now)], now);
        }
        Ok(outcome)
    }
}
