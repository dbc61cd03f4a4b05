//! `pause` and `resume`: a queue stops, and goes on.

use clap::Args;
use serde::Serialize;
use zaqar_sled::Pause as What;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::queue_name::QueueArgs;
use crate::store_path::StorePath;

/// The arguments of `pause`.
#[derive(Debug, Args)]
pub(crate) struct Pause {
    #[command(flatten)]
    target: Target,

    /// What is paused: claims, posts or all.
    #[arg(long, value_name = "WHAT", default_value = "all")]
    only: What,
}

/// The arguments of `resume`.
#[derive(Debug, Args)]
pub(crate) struct Resume {
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
struct Target {
    #[command(flatten)]
    store: StorePath,

    #[command(flatten)]
    output: Output,

    #[command(flatten)]
    queue: QueueArgs,
}

/// What is paused now.
#[derive(Debug, Serialize)]
struct Paused {
    paused: Option<String>,
}

impl Pause {
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        self.target.set(Some(self.only))
    }
}

impl Resume {
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        self.target.set(None)
    }
}

impl Target {
    fn set(&self, pause: Option<What>) -> Result<Exit, Failure> {
        let store = self.store.open(&self.queue.project(), false)?;
        let queue = store.existing(&self.queue)?;
        let set = pause.map_or_else(|| queue.resume(), |pause| queue.pause(pause));
        store.close()?;
        set?;
        let paused = Paused { paused: pause.map(|pause| pause.to_string()) };
        self.output.document(&paused, |paused| {
            paused.paused.as_ref().map_or_else(|| "resumed\n".to_owned(), |what| format!("paused for {what}\n"))
        })?;
        Ok(Exit::Done)
    }
}
