//! The report of a run, as a table.

use std::time::Duration;

use crate::failure::Failure;
use crate::grid::{self, Cell, Grid, Kind};
use crate::job::Job;
use crate::plain;
use crate::run::Run;

/// The table of each file's lines, and the counted words.
pub(crate) fn of(run: &Run, took: Duration) -> Result<String, Failure> {
    let mut grid = Grid::new(HEAD);
    for job in &run.jobs {
        grid.push(row(job, took)?);
    }
    let words = run.words().map(|words| format!("{words} words counted by this run\n"));
    Ok(grid.text(grid::width_of(std::io::stderr())) + &words.unwrap_or_default())
}

fn row(job: &Job, took: Duration) -> Result<[Cell; 9], Failure> {
    let (counts, before) = (job.counts()?, job.before());
    let processed_now = counts.processed().saturating_sub(before.processed());
    let now = |lines: u64| Cell::from(format!("+{lines}"));
    Ok([
        plain::name(job.source.name()).into(),
        Cell::count(counts.posted),
        now(counts.posted.saturating_sub(before.posted)),
        Cell::count(counts.processed()),
        now(processed_now),
        Cell::count(job.redelivered()),
        Cell::count(counts.dead),
        Cell::count(counts.waiting),
        rate(processed_now, took).to_string().into(),
    ])
}

/// Lines a second.
fn rate(lines: u64, took: Duration) -> u128 {
    u128::from(lines) * 1_000_000 / took.as_micros().max(1)
}

/// Columns marked `+`, redelivered and lines/s count this run. All other columns count all runs.
const HEAD: [(&str, Kind); 9] = [
    ("file", Kind::Text),
    ("posted", Kind::Figure),
    ("+now", Kind::Figure),
    ("processed", Kind::Figure),
    ("+now", Kind::Figure),
    ("redelivered", Kind::Figure),
    ("dead-lettered", Kind::Figure),
    ("waiting", Kind::Figure),
    ("lines/s", Kind::Figure),
];
