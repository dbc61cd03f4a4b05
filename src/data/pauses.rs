//! Pauses: a key of a queue's metadata.

use crate::contract::FlowControl;
use crate::model::error::{Error, Result};
use crate::model::settings::PAUSED;
use crate::model::{Metadata, Pause, Project, QueueName};
use crate::state::Description;

use super::backend::Backend;

impl<S: Backend> FlowControl for S {
    fn set_pause(&self, project: &Project, queue: &QueueName, pause: Option<Pause>) -> Result<()> {
        self.redescribe(project, queue, &|metadata| with_pause(metadata, pause))
    }
}

/// The metadata with this pause, or without one.
pub(crate) fn with_pause(metadata: &Metadata, pause: Option<Pause>) -> Result<Metadata> {
    let mut metadata = metadata.clone();
    match pause {
        Some(pause) => metadata.insert(PAUSED, pause.to_string())?,
        None => drop(metadata.remove(PAUSED)),
    }
    Ok(metadata)
}

/// # Errors
/// `QueuePaused`.
pub(crate) fn check_post(description: &Description, project: &Project, queue: &QueueName) -> Result<()> {
    if description.settings.pause.is_some_and(Pause::stops_posts) {
        return Err(Error::QueuePaused { project: project.clone(), queue: queue.clone() });
    }
    Ok(())
}
