//! `purge`: removes all messages of a queue.

use clap::Args;
use serde::Serialize;
use zaqar_sled::Purge as What;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::quantity::counted;
use crate::queue_name::QueueArgs;
use crate::store_path::StorePath;

/// The arguments of `purge`.
#[derive(Debug, Args)]
pub(crate) struct Purge {
    #[command(flatten)]
    store: StorePath,

    #[command(flatten)]
    output: Output,

    #[command(flatten)]
    queue: QueueArgs,
}

#[derive(Debug, Serialize)]
struct Purged {
    messages: u64,
}

impl Purge {
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        let store = self.store.open(&self.queue.project(), false)?;
        let queue = store.existing(&self.queue)?;
        let messages = store.driver().queues().purge(queue.project(), queue.name(), What::Messages)?;
        store.close()?;
        self.output.document(&Purged { messages }, |purged| counted(purged.messages, "message") + " removed\n")?;
        Ok(Exit::Done)
    }
}
