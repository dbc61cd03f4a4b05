//! The progress of a run: a bar on a terminal, otherwise one line a second.

use std::io::{IsTerminal, stderr};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use indicatif::{ProgressBar, ProgressStyle};

use crate::run::Run;
use crate::say;

pub(crate) struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { bar: stderr().is_terminal().then(bar) }
    }

    /// Shows the run's progress until `done` is disconnected.
    pub(crate) fn show_until(self, run: &Run, done: &Receiver<()>) {
        let pause = if self.bar.is_some() { FRAME } else { LINE };
        while done.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            self.show(&Sum::of(run));
        }
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }

    fn show(&self, sum: &Sum) {
        let Some(bar) = &self.bar else {
            return say(format_args!("{} of {} lines processed, {}", sum.processed, sum.posted, sum.rest()));
        };
        bar.set_length(sum.posted);
        bar.set_position(sum.processed);
        bar.set_message(sum.rest());
    }
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {pos} of {len} lines processed, {msg} [{elapsed}]");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// All jobs together.
#[derive(Debug, Default)]
struct Sum {
    posted: u64,
    processed: u64,
    claimed: u64,
    dead: u64,
    bytes: u64,
    of_bytes: u64,
}

impl Sum {
    fn of(run: &Run) -> Self {
        let mut sum = Self::default();
        for job in &run.jobs {
            // A failing store ends the run, which prints the failure.
            let (Ok(counts), Ok(stats)) = (job.counts(), job.stats()) else { continue };
            sum.posted += counts.posted;
            sum.processed += counts.processed();
            sum.claimed += stats.claimed();
            sum.dead += counts.dead;
            if let Some(len) = job.source.len() {
                sum.bytes += job.position().offset.min(len);
                sum.of_bytes += len;
            }
        }
        sum
    }

    /// The length of a stream is unknown, so streams have no percentage.
    fn rest(&self) -> String {
        let percent = (self.bytes * 100).checked_div(self.of_bytes);
        let read = percent.map_or_else(String::new, |percent| format!(", {percent}% read"));
        format!("{} claimed, {} dead-lettered{read}", self.claimed, self.dead)
    }
}

const FRAME: Duration = Duration::from_millis(100);
const LINE: Duration = Duration::from_secs(1);
