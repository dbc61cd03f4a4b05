//! Bounds of a queue: how much it may hold by its own settings.

use crate::model::error::{Error, Result};
use crate::model::settings::Bound;
use crate::model::{Project, QueueName};

pub(crate) use crate::state::Load;

/// What a bound of messages is told by.
pub(crate) const MESSAGES: &str = "messages";

/// Checks that a queue may hold this.
///
/// # Errors
/// `QueueIsFull`.
pub(crate) fn check_bound(bound: Option<&Bound>, load: Load, project: &Project, queue: &QueueName) -> Result<()> {
    let Some(bound) = bound else { return Ok(()) };
    for (what, limit, size) in [(MESSAGES, bound.messages, load.messages), ("bytes", bound.bytes, load.bytes)] {
        if let Some(limit) = limit.filter(|limit| size > *limit) {
            return Err(Error::QueueIsFull { project: project.clone(), queue: queue.clone(), what, limit });
        }
    }
    Ok(())
}
