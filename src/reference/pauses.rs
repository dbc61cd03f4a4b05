//! Pauses in the model, and other changes of single keys of the metadata.

use super::ReferenceModel;
use super::queues::no_queue;
use crate::contract::FlowControl;
use crate::data::pauses::with_pause;
use crate::model::error::{Error, Result};
use crate::model::settings::ParsedSettings;
use crate::model::{Metadata, Pause, Project, QueueName};

impl FlowControl for ReferenceModel {
    fn set_pause(&self, project: &Project, queue: &QueueName, pause: Option<Pause>) -> Result<()> {
        self.redescribe(project, queue, &|metadata| with_pause(metadata, pause))
    }
}

impl ReferenceModel {
    /// Replaces a queue's metadata by what `change` makes of them.
    pub(super) fn redescribe(
        &self,
        project: &Project,
        queue: &QueueName,
        change: &dyn Fn(&Metadata) -> Result<Metadata>,
    ) -> Result<()> {
        let (mut store, _) = self.enter_queue(project, queue)?;
        let found = store.queue_mut(project, queue).ok_or_else(|| no_queue(project, queue))?;
        let metadata = change(&found.metadata)?;
        let (before, after) = (found.metadata.to_json().len(), metadata.to_json().len());
        if after > before {
            self.limits.check_metadata(after)?;
        }
        (found.settings, found.metadata) = (ParsedSettings::parse(&metadata)?, metadata);
        Ok(())
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
