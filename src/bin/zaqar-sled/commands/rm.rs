//! `rm`: deletes a queue, or messages of it.

use clap::Args;
use serde::Serialize;
use zaqar_sled::{ClaimId, Error, MessageId, Queue};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::opened::Opened;
use crate::output::Output;
use crate::quantity::counted;
use crate::queue_name::QueueArgs;
use crate::store_path::StorePath;

/// The arguments of `rm`.
#[derive(Debug, Args)]
pub(crate) struct Rm {
    #[command(flatten)]
    store: StorePath,

    #[command(flatten)]
    output: Output,

    #[command(flatten)]
    queue: QueueArgs,

    /// Delete this message and leave the queue; may be given again.
    #[arg(long, value_name = "ID")]
    message: Vec<MessageId>,

    /// The claim that the messages are under.
    #[arg(long, value_name = "CLAIM", requires = "message")]
    claim: Option<ClaimId>,
}

#[derive(Debug, Serialize)]
struct Removed {
    messages: u64,
    queue: bool,
}

impl Rm {
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        let store = self.store.open(&self.queue.project(), false)?;
        let queue = store.existing(&self.queue)?;
        let removed = if self.message.is_empty() {
            let messages = queue.stats()?.total();
            queue.delete()?;
            Removed { messages, queue: true }
        } else {
            self.message.iter().try_for_each(|id| self.delete(&store, &queue, id))?;
            Removed { messages: self.message.len() as u64, queue: false }
        };
        store.close()?;
        self.output.document(&removed, Removed::shown)?;
        Ok(Exit::Done)
    }

    fn delete(&self, store: &Opened, queue: &Queue, id: &MessageId) -> Result<(), Failure> {
        queue.get(id).map_err(|error| match error {
            Error::MessageDoesNotExist { .. } => Failure::NotThere { what: "message", id: id.to_string() },
            error => error.into(),
        })?;
        let deleted = store.driver().messages().delete(queue.project(), queue.name(), id, self.claim.as_ref());
        deleted.map_err(|error| match error {
            Error::MessageIsClaimed { id } => Failure::Claimed { id },
            error => error.into(),
        })
    }
}

impl Removed {
    fn shown(&self) -> String {
        let what = if self.queue { "the queue and its " } else { "" };
        format!("deleted {what}{}\n", counted(self.messages, "message"))
    }
}
