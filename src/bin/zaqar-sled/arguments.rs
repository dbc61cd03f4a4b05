//! The command line's arguments.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use zaqar_sled::Durability;

/// Durable message queues on one directory.
#[derive(Debug, Parser)]
#[command(name = "zaqar-sled", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) task: Task,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Post every line of the input to a queue, and let workers count the line's words or run a command on it.
    ///
    /// A run that was killed continues when it is started again with the same arguments: no line is posted twice, and
    /// every line is processed at least once. A file may have grown since then, but the part that was posted must not
    /// have changed. Standard input must start from the beginning again: the part that was posted is read and skipped.
    ///
    /// A line is up to 64 MiB of bytes; the last line needs no newline. The exit code is 0 when every line is processed
    /// or dead-lettered, and 1 otherwise.
    ///
    /// In the table at the end, the columns marked `+now`, redelivered and lines/s count this run. All other columns
    /// count all runs.
    Work(Work),
}

/// The arguments of `work`.
#[derive(Debug, Args)]
pub(crate) struct Work {
    /// The directory of the store; created if it is missing.
    #[arg(long, value_name = "DIR", default_value = "./zaqar-store")]
    pub(crate) store: PathBuf,

    /// Number of workers [default: one for each core].
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=4096))]
    workers: Option<usize>,

    /// Run `sh -c CMD` for each line, with the line on its standard input; retry a line when the command fails.
    #[arg(long, value_name = "CMD")]
    pub(crate) run: Option<String>,

    /// Number of lines in one post.
    #[arg(long, value_name = "LINES", default_value_t = 100, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub(crate) batch: usize,

    /// Number of lines that a worker claims at once.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub(crate) claim: usize,

    /// Lifetime of a claim. A worker renews its claims; after the death of a worker its lines wait this long.
    #[arg(long, value_name = "SECS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    ttl: u64,

    /// Dead-letter a line after this many claims without success [default: 5 with --run, else never].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_claims: Option<u32>,

    /// A power cut loses nothing (sync), or the last half second (buffered). A killed process loses nothing.
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Survival::Sync)]
    durability: Survival,

    /// The files to read; `-` or no file means standard input.
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

impl Work {
    pub(crate) fn workers(&self) -> usize {
        self.workers.unwrap_or_else(cores)
    }

    pub(crate) fn ttl(&self) -> Duration {
        Duration::from_secs(self.ttl)
    }

    pub(crate) fn max_claims(&self) -> Option<u32> {
        self.max_claims.or(self.run.as_ref().map(|_| MAX_CLAIMS_WITH_RUN))
    }

    pub(crate) fn durability(&self) -> Durability {
        match self.durability {
            Survival::Sync => Durability::Sync,
            Survival::Buffered => Durability::Buffered,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Survival {
    Sync,
    Buffered,
}

pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

const MAX_CLAIMS_WITH_RUN: u32 = 5;
