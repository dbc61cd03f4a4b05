//! `get`: takes messages out of a queue, or puts them under a claim.
//!
//! 1. A message is removed only after it has been printed: the program may die, or nobody may read the output.
//! 2. A message is removed only if its whole body has been printed, in a form from which it can be restored.

use std::time::Duration;

use clap::Args;
use zaqar_sled::{Claim, ClaimOptions};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::message_row::MessageRow;
use crate::output::{self, Output};
use crate::quantity;
use crate::queue_name::QueueArgs;
use crate::store_path::StorePath;

/// The arguments of `get`.
#[derive(Debug, Args)]
pub(crate) struct Get {
    #[command(flatten)]
    store: StorePath,

    #[command(flatten)]
    output: Output,

    #[command(flatten)]
    queue: QueueArgs,

    /// The largest number of messages.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,

    /// The most bytes of bodies beyond the first message, as in 64MiB; the others stay.
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = quantity::parse_size)]
    max_bytes: u64,

    /// Leave the messages in the queue under a claim, instead of removing them.
    #[arg(long)]
    claim: bool,

    /// How long the claim lasts. Then the messages can be claimed again.
    #[arg(long, value_name = "TIME", default_value = "5m", requires = "claim", value_parser = quantity::parse_duration)]
    ttl: Duration,

    /// Only the body of each message, byte by byte, each with a newline behind it.
    #[arg(long, conflicts_with = "json")]
    raw: bool,
}

impl Get {
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        let store = self.store.open(&self.queue.project(), false)?;
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let options = ClaimOptions::new().ttl(self.ttl).limit(limit).max_bytes(self.max_bytes);
        let claim = store.existing(&self.queue)?.claim(options)?;
        let given = claim.as_ref().map_or(Ok(Exit::Empty), |claim| self.give(claim));
        store.close()?;
        given
    }

    /// Prints the messages, and removes them unless they are to stay. If they cannot be printed, they are given back.
    fn give(&self, claim: &Claim) -> Result<Exit, Failure> {
        if let Err(failure) = self.print(claim) {
            claim.clone().release()?;
            return Err(failure.after_giving_back());
        }
        if !self.claim {
            claim.delete_all()?;
            claim.clone().release()?;
        }
        Ok(Exit::Done)
    }

    fn print(&self, claim: &Claim) -> Result<(), Failure> {
        let messages = claim.messages().iter();
        if self.raw {
            return messages
                .into_iter()
                .try_for_each(|message| output::print(&[message.body().as_bytes(), b"\n"].concat()));
        }
        if !self.claim {
            let rows: Vec<MessageRow> = messages.cloned().map(MessageRow::taken).collect();
            return self.output.list(&rows, MessageRow::whole_grid);
        }
        if !self.output.json {
            output::text(&format!("claim {} for {}\n", claim.id(), quantity::duration(self.ttl)))?;
        }
        let rows: Vec<MessageRow> = messages.cloned().map(|message| MessageRow::of(message, false)).collect();
        self.output.list(&rows, MessageRow::grid)
    }
}
