//! Diagnostics: answers for the people who operate queues.

use crate::contract::Diagnostics;
use crate::model::error::Result;
use crate::model::{Explanation, MessageId, Project, QueueName};

use super::backend::{Access, Answer, Backend};
use super::queues::missing;

impl<S: Backend> Diagnostics for S {
    fn explain(&self, project: &Project, queue: &QueueName, id: &MessageId) -> Result<Explanation> {
        let explained = self.with_queue(project, queue, Access::Read, |queue| {
            let (description, unassigned) = (queue.description().clone(), queue.unassigned());
            queue.explain(*id, &description.settings, unassigned).map(Answer::at_once)
        })?;
        explained.ok_or_else(|| missing(project, queue))
    }
}
