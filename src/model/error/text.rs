//! Parts of the texts of errors.

use crate::model::{Project, QueueName};

/// A queue or a topic in the text of an error.
pub(super) fn named(name: &QueueName) -> String {
    let kind = if name.is_topic() { "topic" } else { "queue" };
    format!("{kind} {name:?}")
}

pub(super) fn within(project: &Project) -> String {
    project.name().map_or_else(String::new, |name| format!(" in project {name:?}"))
}

/// A project as the subject of an error.
pub(super) fn tenant(project: &Project) -> String {
    project.name().map_or_else(|| "the project without a name".into(), |name| format!("project {name:?}"))
}

/// The text of an id in an error. The nil id stands for a malformed text, so it is not shown.
pub(super) fn shown(id: &impl ToString) -> String {
    let text = id.to_string();
    if text.bytes().all(|byte| matches!(byte, b'0' | b'-')) { "with a malformed id".into() } else { text }
}
