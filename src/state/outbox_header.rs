//! The header of a dead letter in an outbox. It is stored before the body, and names the source, the destination and
//! the store that the dead letter is assigned to.

use serde::{Deserialize, Serialize};

use crate::model::error::Result;
use crate::model::{Project, QueueName};
use crate::state::op::{DeadLetter, Source};
use crate::storage::codec;

/// The destination of a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Destination {
    project: Option<String>,
    /// As it is [stored](QueueName::stored).
    queue: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OutboxHeader {
    pub(crate) source: Source,
    pub(crate) destination: Destination,
    /// The store that the dead letter is assigned to, and that may have it already; none while the pool of its
    /// destination is out of reach.
    pub(crate) assigned: Option<[u8; 16]>,
}

impl Destination {
    pub(crate) fn of(project: &Project, queue: &QueueName) -> Self {
        Self { project: project.name().map(str::to_owned), queue: queue.stored().into_owned() }
    }

    pub(crate) fn name(&self) -> Result<(Project, QueueName)> {
        let project = self.project.as_ref().map_or_else(|| Ok(Project::none()), Project::named)?;
        Ok((project, QueueName::from_stored(&self.queue)?))
    }
}

impl OutboxHeader {
    /// Writes the header before the body of a dead letter.
    pub(crate) fn prepend_to(&self, dead_letter: &mut DeadLetter<'static>) -> Result<()> {
        let mut head = Vec::new();
        codec::encode_into(self, &mut head)?;
        let length = u32::try_from(head.len()).unwrap_or(u32::MAX);
        let body = [&length.to_le_bytes(), head.as_slice(), &dead_letter.body].concat();
        dead_letter.body = body.into();
        Ok(())
    }

    /// The header, and the offset of the body behind it.
    pub(crate) fn split(body: &[u8]) -> Option<(Self, usize)> {
        let length = u32::from_le_bytes(codec::array_at(body, 0)?) as usize;
        let end = length.checked_add(4)?;
        Some((codec::decode(body.get(4..end)?).ok()?, end))
    }
}
