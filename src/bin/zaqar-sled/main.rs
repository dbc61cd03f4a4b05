//! The command-line program. `zaqar-sled work` posts every line of its input to a durable queue, from which workers
//! take it. The other commands look into a store, or change one that is not in use; `bench` measures in a store of
//! its own.
//!
//! 1. A line is posted exactly once: each batch posts lines and moves the bookmark to their end.
//! 2. A line is deleted only after it was processed, so it is processed at least once, whenever the program dies.
#![forbid(unsafe_code)]

mod arguments;
mod bench;
mod command;
mod commands;
mod dead_lines;
mod exit;
mod failure;
mod file_facts;
mod grid;
mod holder;
mod job;
mod lease;
mod lines;
mod live_runs;
mod message_row;
mod opened;
mod output;
mod plain;
mod position;
mod poster;
mod progress;
mod quantity;
mod queue_name;
mod run;
mod source;
mod store_path;
mod table;
mod view;
mod waiting;
mod worker;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Task};
use crate::exit::Exit;
use crate::failure::Failure;

fn main() -> ExitCode {
    let ended = match Arguments::parse().task {
        Task::Work(work) => return run::work(&work).unwrap_or_else(failed),
        Task::Bench(bench) => return bench.run().unwrap_or_else(failed),
        Task::Ls(ls) => ls.run(),
        Task::Stat(stat) => stat.run(),
        Task::Peek(peek) => peek.run(),
        Task::Claims(claims) => claims.run(),
        Task::Explain(explain) => explain.run(),
        Task::Dead(dead) => dead.run(),
        Task::Redrive(redrive) => redrive.run(),
        Task::Pause(pause) => pause.run(),
        Task::Resume(resume) => resume.run(),
        Task::Post(post) => post.run(),
        Task::Get(get) => get.run(),
        Task::Purge(purge) => purge.run(),
        Task::Rm(rm) => rm.run(),
        Task::Pools(pools) => pools.run(),
        Task::Bookmarks(bookmarks) => bookmarks.run(),
        Task::Quotas(quotas) => quotas.run(),
        Task::Verify(verify) => verify.run(),
        Task::Backup(backup) => backup.run(),
        Task::Restore(restore) => restore.run(),
        Task::Compact(compact) => compact.run(),
        Task::Export(export) => export.run(),
        Task::Import(import) => import.run(),
        Task::Salvage(salvage) => salvage.run(),
        Task::Completions(completions) => completions.run(),
        Task::Man(man) => man.run(),
    };
    ended.map_or_else(failed, ExitCode::from)
}

/// Says why a command failed.
fn failed(failure: Failure) -> ExitCode {
    let exit = failure.exit();
    if exit != Exit::Done {
        say(format_args!("{failure}"));
    }
    exit.into()
}

/// Prints a message on standard error. A failure to print cannot be reported.
fn say(what: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr().lock(), "zaqar-sled: {}", plain::message(&what.to_string()));
}
