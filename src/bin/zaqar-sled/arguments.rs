//! The command line's arguments.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use zaqar_sled::Durability;

use crate::commands::{
    Backup, Bench, Bookmarks, Claims, Compact, Completions, Dead, Explain, Export, Get, Import, Ls, Man, Pause, Peek,
    Pools, Post, Purge, Quotas, Redrive, Restore, Resume, Rm, Salvage, Stat, Verify,
};
use crate::exit;
use crate::output::Output;
use crate::quantity;

/// Durable message queues on one directory.
#[derive(Debug, Parser)]
#[command(name = "zaqar-sled", version, after_help = exit::TABLE)]
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
    /// A line is up to 64 MiB of bytes. A last line without newline may still be written: it waits until the file ends
    /// it, or until --complete says that the file is done. The end of standard input ends its last line too.
    ///
    /// Ctrl-C or SIGTERM stops the run: lines in work are finished, claimed ones are given back, and the table is
    /// printed. A second signal kills the running commands and gives their lines back too.
    ///
    /// Dead-lettered lines are each named with their reason.
    ///
    /// The table and the progress go to standard error, so that standard output is the command's alone. In the table,
    /// the columns marked `+now`, redelivered and lines/s count this run. All other columns count all runs. With
    /// --json, the table is the last that standard output gets, one line for each file.
    #[command(after_help = exit::TABLE)]
    Work(Work),

    /// List the queues of a store.
    ///
    /// The store may be in use, or closed: nothing in it is written, created or locked. `oldest` is the age of the
    /// oldest message.
    #[command(after_help = exit::TABLE)]
    Ls(Ls),

    /// Show a store, or one queue, in detail.
    ///
    /// The store may be in use, or closed: nothing in it is written, created or locked. The sizes are those of the
    /// files; the journal's files are allocated in advance.
    #[command(after_help = exit::TABLE)]
    Stat(Stat),

    /// Show messages of a queue without claiming them.
    ///
    /// The store may be in use, or closed: nothing in it is written, created or locked. Claimed and delayed messages
    /// are shown too. A body that is not UTF-8 is shown with escapes, and in JSON as `body_base64`.
    #[command(after_help = exit::TABLE)]
    Peek(Peek),

    /// List the live claims of a queue, or the messages of one.
    ///
    /// The store may be in use, or closed: nothing in it is written, created or locked. `age` is the time since the
    /// claim was created or last renewed; it ends when the age reaches the ttl.
    #[command(after_help = exit::TABLE)]
    Claims(Claims),

    /// Say why a message can or cannot be claimed, and since when.
    ///
    /// The store may be in use, or closed: nothing in it is written, created or locked. `since` is left out where the
    /// store does not know it: the end of a claim is not recorded. A message that is gone was deleted, has expired, or
    /// was moved to the dead-letter queue, where it has another id. The exit code is 7 if the message is in a damaged
    /// page, else 0.
    #[command(after_help = exit::TABLE)]
    Explain(Explain),

    /// List the dead letters of a queue, with the reason why each was given up.
    ///
    /// The store may be in use, or closed: nothing in it is written, created or locked. `moved` is the time since the
    /// message was moved to the dead-letter queue; the id is the one that it has there.
    #[command(after_help = exit::TABLE)]
    Dead(Dead),

    /// Put messages of a dead-letter queue back into the queues that they come from, or into another one.
    ///
    /// They move in their order, whole portions at a time, and are as if they had never been claimed. Claimed and
    /// delayed messages stay. The store must not be in use.
    #[command(after_help = exit::TABLE)]
    Redrive(Redrive),

    /// Post messages to a queue.
    ///
    /// All messages are posted in one step and are durable when the command ends; their ids are printed. The store must
    /// not be in use, because one process uses a store at a time. Neither a queue nor a store is made without --create.
    #[command(after_help = exit::TABLE)]
    Post(Post),

    /// Take the oldest messages out of a queue, or put them under a claim with --claim.
    ///
    /// A message is removed only after it has been printed. If the queue has no free message, the exit code is 8. The
    /// store must not be in use.
    #[command(after_help = exit::TABLE)]
    Get(Get),

    /// Remove all messages of a queue, claimed and delayed ones too. The queue stays.
    ///
    /// The store must not be in use.
    #[command(after_help = exit::TABLE)]
    Purge(Purge),

    /// Stop a queue: no message can be claimed, none be posted, or both, until it is resumed.
    ///
    /// The pause is the key `_paused` of the queue's metadata, which `stat` shows. Claimed messages can be finished. The
    /// store must not be in use.
    #[command(after_help = exit::TABLE)]
    Pause(Pause),

    /// End the pause of a queue.
    ///
    /// The store must not be in use.
    #[command(after_help = exit::TABLE)]
    Resume(Resume),

    /// Delete a queue with its messages, or only messages with --message.
    ///
    /// The store must not be in use.
    #[command(after_help = exit::TABLE)]
    Rm(Rm),

    /// List, register and remove the pools over which a store spreads its queues.
    #[command(after_help = exit::TABLE)]
    Pools(Pools),

    /// List, print and delete the bookmarks of a store: small values by which programs remember where they are.
    #[command(after_help = exit::TABLE)]
    Bookmarks(Bookmarks),

    /// List, set and end the quotas of projects: the most queues, messages and bytes that each holds.
    #[command(after_help = exit::TABLE)]
    Quotas(Quotas),

    /// Check a store: all checksums, counters, indexes and claims, and every page of messages.
    ///
    /// The store may be in use, or closed: nothing in it is written, created or locked. The exit code is 0 for a sound
    /// store and 7 for a damaged one.
    #[command(after_help = exit::TABLE)]
    Verify(Verify),

    /// Take a backup of a store and of the stores of its pools, or bring an earlier one up to date.
    ///
    /// The backup is read back before it counts; until then an earlier backup in the directory stays as it was. Files
    /// that the earlier one has are not copied again. The commands that only look work on a backup too, with
    /// --store DIR. The store must not be in use: a program that uses it takes backups itself.
    #[command(after_help = exit::TABLE)]
    Backup(Backup),

    /// Make a store of a backup.
    ///
    /// The store's directory must be missing or empty, and so must those of its pools, which get their former places
    /// unless --pool names others. The exit code is 7 if the backup is damaged.
    #[command(after_help = exit::TABLE)]
    Restore(Restore),

    /// Give back the disk space that a store and the stores of its pools hold beyond need.
    ///
    /// Messages, claims and everything else stay as they are. The sizes are those before and after the compaction; the
    /// trees are written once more when the store is closed. The store must not be in use: a program that uses it does
    /// this itself.
    #[command(after_help = exit::TABLE)]
    Compact(Compact),

    /// Write everything in a store and in the stores of its pools as lines of JSON.
    ///
    /// Each line is a queue, a claim, a message, a subscription, a pool, a flavor or a mapping; the last one has the
    /// numbers of all these. The store must not be in use: a program that uses it writes exports itself.
    #[command(after_help = exit::TABLE)]
    Export(Export),

    /// Make a store of an export, with all ids, times and counts.
    ///
    /// The store's directory must be missing or empty, and so must those of its pools, which get their former places
    /// unless --pool names others. An export that is incomplete or damaged leaves no store; the exit code is then 7.
    #[command(after_help = exit::TABLE)]
    Import(Import),

    /// Open a damaged store with all that is intact, and report the rest.
    ///
    /// Damaged files are moved into a folder of the store. The report names the messages that each queue has lost, as
    /// far as intact records tell. With --json, each store has a line of its own. The exit code is 0 if nothing is lost, else 7. Copy the directory before. The store
    /// must not be in use.
    #[command(after_help = exit::TABLE)]
    Salvage(Salvage),

    /// Measure what this machine and this disk give, beside bare system calls.
    ///
    /// A store is made in a new directory, and removed at the end; nothing else in the directory is touched. Each call is
    /// measured in turns with the system calls that it cannot do without: a write of as many bytes at the end of a file;
    /// with sync, a write and an fdatasync in a file that was written out before, which threads share. `bare/s` are those
    /// per second, `ratio` is calls/s by bare/s. A cycle is a post, a claim and a deletion, while 10000 messages wait.
    ///
    /// Ctrl-C or SIGTERM stops the command, and the store is removed.
    #[command(after_help = exit::TABLE)]
    Bench(Bench),

    /// Print a shell's completions for this program.
    #[command(after_help = exit::TABLE)]
    Completions(Completions),

    /// Print the manual page, or write the pages of all commands into a directory.
    #[command(after_help = exit::TABLE)]
    Man(Man),
}

/// The arguments of `work`.
#[derive(Debug, Args)]
pub(crate) struct Work {
    /// The directory of the store; made if it is missing, but not among other files.
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

    /// Number of lines that a worker claims at once [default: 1 with --run, else 10].
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    claim: Option<usize>,

    /// Lifetime of a claim. A worker renews its claims. The lines of a run that died are delivered again at once if
    /// none of its commands is still running, and else after this time.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_lease)]
    ttl: Duration,

    /// Dead-letter a line after this many claims without success [default: 5 with --run, else never].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_claims: Option<u32>,

    /// A power cut loses nothing (sync), or the last half second (buffered). A killed process loses nothing.
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Survival::Sync)]
    durability: Survival,

    #[command(flatten)]
    pub(crate) output: Output,

    /// The files are complete: a last line without newline is a line too.
    #[arg(long)]
    pub(crate) complete: bool,

    /// The files to read; `-` or no file means standard input.
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

impl Work {
    pub(crate) fn workers(&self) -> usize {
        self.workers.unwrap_or_else(cores)
    }

    /// A line that waits behind another one's command is delivered again when the run stops, so with commands a worker
    /// claims one.
    pub(crate) fn claim(&self) -> usize {
        self.claim.unwrap_or(if self.run.is_some() { 1 } else { 10 })
    }

    pub(crate) fn ttl(&self) -> Duration {
        self.ttl
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

/// One second to a year.
fn parse_lease(text: &str) -> Result<Duration, String> {
    let ttl = quantity::parse_duration(text)?;
    let is_fit = (Duration::from_secs(1)..=Duration::from_secs(31_536_000)).contains(&ttl);
    if is_fit { Ok(ttl) } else { Err("not between 1s and a year".into()) }
}

pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

const MAX_CLAIMS_WITH_RUN: u32 = 5;
