//! The command-line program: `zaqar-sled work` puts every line of its input through a durable queue to workers.
//!
//! 1. A line is posted exactly once: each post is one batch of lines and a bookmark of how far they reach, atomically.
//! 2. A line is deleted only after it was processed, so it is processed at least once, whatever dies when.
#![forbid(unsafe_code)]

mod arguments;
mod bookmark;
mod command;
mod failure;
mod job;
mod lease;
mod lines;
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
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say(format_args!("{failure}"));
            ExitCode::FAILURE
        }
    }
}

/// Tells the user something on standard error. Nobody is left to tell when that fails.
fn say(what: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr().lock(), "zaqar-sled: {what}");
}
