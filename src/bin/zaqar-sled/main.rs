//! The command-line program: `zaqar-sled work` posts every line of its input to a durable queue, from which workers
//! take it.
//!
//! 1. A line is posted exactly once: each post is atomic and holds a batch of lines and a bookmark of their end.
//! 2. A line is deleted only after it was processed, so it is processed at least once, whenever the program dies.
#![forbid(unsafe_code)]

mod arguments;
mod bookmark;
mod command;
mod dead_lines;
mod failure;
mod job;
mod lease;
mod lines;
mod live_runs;
mod poster;
mod progress;
mod run;
mod source;
mod table;
mod worker;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Task};

fn main() -> ExitCode {
    let Task::Work(work) = Arguments::parse().task;
    match run::work(&work) {
        Ok(code) => code,
        Err(failure) => {
            say(format_args!("{failure}"));
            ExitCode::FAILURE
        }
    }
}

/// Prints a message on standard error. A failure to print cannot be reported.
fn say(what: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr().lock(), "zaqar-sled: {what}");
}
