//! The report of a run, as a table.

use std::time::Duration;

use crate::failure::Failure;
use crate::job::Job;
use crate::run::Run;

type Row = [String; COLUMNS];

/// The table of each file's lines, and the counted words.
pub(crate) fn of(run: &Run, took: Duration) -> Result<String, Failure> {
    let mut rows = vec![HEAD.map(String::from)];
    for job in &run.jobs {
        rows.push(row(job, took)?);
    }
    let mut text = aligned(&rows);
    let words = run.words().map(|words| format!("{words} words counted by this run\n"));
    text.push_str(&words.unwrap_or_default());
    Ok(text)
}

fn row(job: &Job, took: Duration) -> Result<Row, Failure> {
    let (counts, before) = (job.counts()?, job.before());
    let processed_now = counts.processed().saturating_sub(before.processed());
    Ok([
        job.source.name().to_owned(),
        counts.posted.to_string(),
        format!("+{}", counts.posted.saturating_sub(before.posted)),
        counts.processed().to_string(),
        format!("+{processed_now}"),
        job.redelivered().to_string(),
        counts.dead.to_string(),
        counts.waiting.to_string(),
        rate(processed_now, took).to_string(),
    ])
}

/// Lines a second.
fn rate(lines: u64, took: Duration) -> u128 {
    u128::from(lines) * 1_000_000 / took.as_micros().max(1)
}

/// Columns as wide as their widest cell: the first to the left, figures to the right.
fn aligned(rows: &[Row]) -> String {
    let mut widths = [0; COLUMNS];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    rows.iter().map(|row| line(row, &widths)).collect()
}

fn line(row: &Row, widths: &[usize]) -> String {
    let mut cells = row.iter().zip(widths);
    let first = cells.next().map(|(cell, width)| format!("{cell:<width$}")).unwrap_or_default();
    let line = cells.fold(first, |line, (cell, width)| format!("{line}  {cell:>width$}"));
    format!("{line}\n")
}

const COLUMNS: usize = 9;

/// Columns marked `+`, redelivered and lines/s count this run. All other columns count all runs.
const HEAD: [&str; COLUMNS] =
    ["file", "posted", "+now", "processed", "+now", "redelivered", "dead-lettered", "waiting", "lines/s"];
