//! The report of a run: the lines of each file.

use std::time::Duration;

use serde::Serialize;

use crate::failure::Failure;
use crate::grid::{Cell, Grid, Kind};
use crate::job::Job;
use crate::plain;
use crate::run::Run;

/// The lines of a file.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    file: String,
    posted: u64,
    posted_now: u64,
    processed: u64,
    processed_now: u64,
    redelivered: u64,
    dead_lettered: u64,
    waiting: u64,
    lines_per_s: u64,
}

/// The lines of each file, after a run that took so long.
pub(crate) fn rows(run: &Run, took: Duration) -> Result<Vec<Row>, Failure> {
    run.jobs.iter().map(|job| Row::of(job, took)).collect()
}

impl Row {
    fn of(job: &Job, took: Duration) -> Result<Self, Failure> {
        let (counts, before) = (job.counts()?, job.before());
        let processed_now = counts.processed().saturating_sub(before.processed());
        Ok(Self {
            file: job.source.name().to_owned(),
            posted: counts.posted,
            posted_now: counts.posted.saturating_sub(before.posted),
            processed: counts.processed(),
            processed_now,
            redelivered: job.redelivered(),
            dead_lettered: counts.dead,
            waiting: counts.waiting,
            lines_per_s: rate(processed_now, took),
        })
    }

    fn cells(&self) -> [Cell; 9] {
        let now = |lines: u64| Cell::from(format!("+{lines}"));
        [
            plain::name(&self.file).into(),
            Cell::count(self.posted),
            now(self.posted_now),
            Cell::count(self.processed),
            now(self.processed_now),
            Cell::count(self.redelivered),
            Cell::count(self.dead_lettered),
            Cell::count(self.waiting),
            Cell::count(self.lines_per_s),
        ]
    }
}

/// The rows as a table.
pub(crate) fn grid(rows: &[Row]) -> Grid<9> {
    let mut grid = Grid::new(HEAD);
    rows.iter().for_each(|row| grid.push(row.cells()));
    grid
}

/// Lines a second.
fn rate(lines: u64, took: Duration) -> u64 {
    u64::try_from(u128::from(lines) * 1_000_000 / took.as_micros().max(1)).unwrap_or(u64::MAX)
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
