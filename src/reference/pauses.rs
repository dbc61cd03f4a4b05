//! Pauses in the model.

use super::ReferenceModel;
use super::queues::no_queue;
use crate::contract::{FlowControl, Queues};
use crate::data::pauses::with_pause;
use crate::model::error::{Error, Result};
use crate::model::{Pause, Project, QueueName};

impl FlowControl for ReferenceModel {
    fn set_pause(&self, project: &Project, queue: &QueueName, pause: Option<Pause>) -> Result<()> {
        let metadata = {
            let (store, _) = self.enter_queue(project, queue)?;
            let queue = store.queue(project, queue).ok_or_else(|| no_queue(project, queue))?;
            with_pause(&queue.metadata, pause)?
        };
        self.set_metadata(project, queue, &metadata)
    }
}

/// # Errors
/// `QueuePaused`.
pub(super) fn check_post(pause: Option<Pause>, project: &Project, queue: &QueueName) -> Result<()> {
    if pause.is_some_and(Pause::stops_posts) {
        return Err(Error::QueuePaused { project: project.clone(), queue: queue.clone() });
    }
    Ok(())
}
