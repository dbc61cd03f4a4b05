//! What the command line says.

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
    /// Put every line of the input through a queue to workers that count its words, or run a command on it.
    ///
    /// Killed at any moment and started again with the same arguments, it goes on where it was: no line is posted twice,
    /// and every line is processed at least once. A file may have grown meanwhile; what was posted of it must not have
    /// changed. Standard input is taken to begin anew: what an earlier run has posted of it is read and skipped.
    ///
    /// Lines are bytes, up to 64 MiB of them; the last one need not end. The exit code is 0 once every line is processed
    /// or dead-lettered, 1 otherwise.
    ///
    /// The table at the end is of all runs together, but for what is of this run: the columns marked `+now`, redelivered
    /// and lines/s.
    Work(Work),
}

/// What to put through, and how.
#[derive(Debug, Args)]
pub(crate) struct Work {
    /// The directory the queues are kept in; made if there is none.
    #[arg(long, value_name = "DIR", default_value = "./zaqar-store")]
    pub(crate) store: PathBuf,

    /// How many workers [default: one a core].
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=4096))]
    workers: Option<usize>,

    /// Run `sh -c CMD` for each line, with the line on its standard input; a line it fails on is tried again.
    #[arg(long, value_name = "CMD")]
    pub(crate) run: Option<String>,

    /// How many lines a post.
    #[arg(long, value_name = "LINES", default_value_t = 100, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub(crate) batch: usize,

    /// How many lines a worker claims at once.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub(crate) claim: usize,

    /// How long a claim lasts unless it is renewed, which a worker does in time; how long lines wait whose worker died.
    #[arg(long, value_name = "SECS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    ttl: u64,

    /// Dead-letter a line that was claimed this often and is not done [default: 5 with --run, else never].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_claims: Option<u32>,

    /// What survives a power cut: every step, or all but the last half second's. A killed process loses nothing.
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Survival::Sync)]
    durability: Survival,

    /// The files; `-` or none is standard input.
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
