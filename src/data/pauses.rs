//! Pauses: a key of a queue's metadata.

use crate::contract::FlowControl;
use crate::model::error::{Error, Result};
use crate::model::settings::PAUSED;
use crate::model::{Metadata, Pause, Project, QueueName};
use crate::state::Description;
use crate::state::op::Op;
use crate::storage::journal::Growth;
use crate::store::Locked;

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

/// Replaces a queue's metadata by what `change` makes of them. Metadata that do not grow can be set on a full disk too.
pub(crate) fn redescribe(queue: &mut Locked<'_>, change: &dyn Fn(&Metadata) -> Result<Metadata>) -> Result<u64> {
    let text = change(&queue.description().metadata)?.to_json();
    let grows = text.len() > queue.description().metadata.to_json().len();
    if grows {
        queue.store().limits.check_metadata(text.len())?;
    }
    let growth = if grows { Growth::Grows } else { Growth::Leases };
    let lsn = queue.record(growth, &Op::SetMetadata { queue: queue.number(), metadata: text.into() })?;
    queue.note_described();
    Ok(lsn)
}

/// # Errors
/// `QueuePaused`.
pub(crate) fn check_post(description: &Description, project: &Project, queue: &QueueName) -> Result<()> {
    if description.settings.pause.is_some_and(Pause::stops_posts) {
        return Err(Error::QueuePaused { project: project.clone(), queue: queue.clone() });
    }
    Ok(())
}
