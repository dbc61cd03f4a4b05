//! `redrive`: puts dead letters back.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use zaqar_sled::{QueueName, RedriveOptions, RedriveOutcome, Ttl};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::quantity::{self, counted};
use crate::queue_name::QueueArgs;
use crate::store_path::StorePath;

/// The arguments of `redrive`.
#[derive(Debug, Args)]
pub(crate) struct Redrive {
    #[command(flatten)]
    store: StorePath,

    #[command(flatten)]
    output: Output,

    #[command(flatten)]
    queue: QueueArgs,

    /// Move the messages to this queue [default: each to the queue that it comes from].
    #[arg(long, value_name = "QUEUE")]
    to: Option<QueueName>,

    /// Only dead letters of this queue.
    #[arg(long, value_name = "QUEUE")]
    source: Option<QueueName>,

    /// Only dead letters that were moved at least this long ago.
    #[arg(long, value_name = "TIME", value_parser = quantity::parse_duration)]
    older_than: Option<Duration>,

    /// Only dead letters with this text in their reason.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// The largest number of messages.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,

    /// How long the messages live from now on; `forever` means until they are deleted [default: as long as before].
    #[arg(long, value_name = "TIME", value_parser = quantity::parse_ttl)]
    ttl: Option<Ttl>,

    /// Only count the messages.
    #[arg(long)]
    dry_run: bool,
}

/// What was moved, or would be.
#[derive(Debug, Serialize)]
struct Redriven {
    dry_run: bool,
    #[serde(flatten)]
    outcome: RedriveOutcome,
}

impl Redrive {
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        let store = self.store.open(&self.queue.project(), false)?;
        let outcome = store.existing(&self.queue)?.redrive(&self.options());
        store.close()?;
        let redriven = Redriven { dry_run: self.dry_run, outcome: outcome? };
        self.output.document(&redriven, Redriven::text)?;
        Ok(Exit::Done)
    }

    fn options(&self) -> RedriveOptions {
        let mut options = RedriveOptions::new().to(self.to.clone()).source(self.source.clone()).limit(self.limit);
        options.reason.clone_from(&self.reason);
        options.older_than(self.older_than).ttl(self.ttl).dry_run(self.dry_run)
    }
}

impl Redriven {
    fn text(&self) -> String {
        let what = if self.dry_run { "would move" } else { "moved" };
        let moved = counted(self.outcome.moved(), "message");
        match self.outcome.stranded() {
            0 => format!("{moved} {what}\n"),
            stranded => {
                let stay = counted(stranded, "message");
                format!("{moved} {what}\n{stay} without a queue to go to; --to names one\n")
            }
        }
    }
}
