//! `salvage`: opens a damaged store with all that is intact, and reports the rest.
//!
//! 1. The report on a store is printed as soon as the store was opened, whatever fails later: a second salvage does not
//!    report the losses of the first.

use std::io::{self, Write};
use std::ops::Not;

use clap::Args;
use serde::Serialize;
use zaqar_sled::{Config, Damaged, LostMessages, PoolName, RecoveryReport};

use crate::exit::Exit;
use crate::failure::{Failure, Unseen};
use crate::grid::{self, Cell, Grid, Kind};
use crate::opened;
use crate::output::{self, Output};
use crate::plain;
use crate::queue_name::name_of;
use crate::say;
use crate::store_path::StorePath;

/// The arguments of `salvage`.
#[derive(Debug, Args)]
pub(crate) struct Salvage {
    #[command(flatten)]
    store: StorePath,

    #[command(flatten)]
    output: Output,

    /// Do it: what cannot be read is given up.
    #[arg(long)]
    yes: bool,
}

/// How the salvage goes.
#[derive(Debug)]
struct Ending {
    /// Whether nothing is lost, as far as is known.
    is_whole: bool,
    failures: Vec<Failure>,
}

/// The report of an opening.
#[derive(Debug, Serialize)]
struct Report {
    /// `None` for the store itself.
    pool: Option<String>,
    last_change: u64,
    replayed_changes: u64,
    dropped_changes: u64,
    lost_changes: u64,
    lost: Vec<Loss>,
    damaged: Vec<Place>,
    moved_aside: Vec<String>,
    notes: Vec<String>,
}

/// The lost messages of a queue.
#[derive(Debug, Serialize)]
struct Loss {
    project: Option<String>,
    queue: String,
    #[serde(skip_serializing_if = "Not::not")]
    topic: bool,
    messages: u64,
    #[serde(skip)]
    shown: [String; 2],
}

/// A damaged place.
#[derive(Debug, Serialize)]
struct Place {
    file: String,
    offset: u64,
    reason: String,
}

impl Salvage {
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        if !self.yes {
            self.store.check_exists()?;
            return Err(Failure::Unconfirmed { path: self.store.path().to_owned() });
        }
        let mut ending = Ending::default();
        if self.store(&mut ending)? {
            self.pools(&mut ending);
        }
        ending.exit()
    }

    /// Opens the store itself. Returns whether it has pools.
    fn store(&self, ending: &mut Ending) -> Result<bool, Failure> {
        let engine = self.store.open_engine(Config::new().salvage(true), false)?;
        self.tell(&Report::of(None, engine.recovery()), ending);
        let has_pools = ending.take(opened::has_pools(&engine).map_err(Failure::from));
        ending.take(engine.close().map_err(Failure::from));
        Ok(has_pools.unwrap_or(false))
    }

    /// Opens the stores of the pools in the same way.
    fn pools(&self, ending: &mut Ending) {
        let opened = self.store.open_pooled(Config::new().salvage(true), false);
        let Some(driver) = ending.take(opened) else { return };
        for (pool, recovery) in driver.pool_recoveries() {
            let unseen = |error| Failure::Unseen(Unseen::of(&pool, &Failure::Store(error)));
            if let Some(recovery) = ending.take(recovery.map_err(unseen)) {
                self.tell(&Report::of(Some(&pool), &recovery), ending);
            }
        }
        ending.take(driver.close().map_err(Failure::from));
    }

    /// Prints a report, on standard error if standard output does not take it: nothing else tells again what is lost.
    fn tell(&self, report: &Report, ending: &mut Ending) {
        ending.is_whole &= report.is_whole();
        let Some(form) = ending.take(self.output.form(report, Report::shown)) else { return };
        if let Err(failure) = output::print(&form) {
            let _ = io::stderr().lock().write_all(&form);
            ending.take(output::even_unread(Err(failure)));
        }
    }
}

impl Ending {
    /// Notes a failure: what can still be done is done.
    fn take<T>(&mut self, done: Result<T, Failure>) -> Option<T> {
        done.map_err(|failure| self.failures.push(failure)).ok()
    }

    fn exit(self) -> Result<Exit, Failure> {
        let mut failures = self.failures.into_iter();
        let first = if self.is_whole { failures.next() } else { None };
        failures.for_each(|failure| say(format_args!("{failure}")));
        match first {
            Some(failure) => Err(failure),
            None if self.is_whole => Ok(Exit::Done),
            None => Ok(Exit::Damaged),
        }
    }
}

impl Default for Ending {
    fn default() -> Self {
        Self { is_whole: true, failures: Vec::new() }
    }
}

impl Report {
    fn of(pool: Option<&PoolName>, report: &RecoveryReport) -> Self {
        Self {
            pool: pool.map(PoolName::to_string),
            last_change: report.last_lsn(),
            replayed_changes: report.replayed(),
            dropped_changes: report.dropped(),
            lost_changes: report.lost_changes(),
            lost: report.lost().iter().map(Loss::of).collect(),
            damaged: report.damaged().iter().map(Place::of).collect(),
            moved_aside: report.moved_aside().iter().map(|path| path.display().to_string()).collect(),
            notes: report.notes().to_vec(),
        }
    }

    /// Whether nothing is lost, as far as is known.
    fn is_whole(&self) -> bool {
        self.lost.is_empty() && self.lost_changes == 0
    }

    fn shown(&self) -> String {
        let width = grid::terminal_width();
        let mut facts = vec![
            ("changes", format!("{} to number {}", self.replayed_changes, self.last_change)),
            ("lost changes", self.lost_changes.to_string()),
            ("lost messages", self.lost.iter().map(|loss| loss.messages).sum::<u64>().to_string()),
        ];
        facts.extend(self.moved_aside.iter().map(|path| ("moved aside", plain::name(path))));
        facts.extend(self.notes.iter().map(|note| ("note", plain::body(note.as_bytes()))));
        let mut text = grid::facts(&facts, width);
        if !self.lost.is_empty() {
            text = format!("{text}\n{}", losses(&self.lost).text(width));
        }
        if !self.damaged.is_empty() {
            text = format!("{text}\n{}", places(&self.damaged).text(width));
        }
        match &self.pool {
            Some(pool) => format!("\npool {}\n{text}", plain::name(pool)),
            None => text,
        }
    }
}

impl Loss {
    fn of(lost: &LostMessages) -> Self {
        Self {
            project: lost.project().name().map(str::to_owned),
            queue: lost.queue().to_string(),
            topic: lost.queue().topic().is_some(),
            messages: lost.messages(),
            shown: [plain::project(lost.project()), name_of(lost.queue())],
        }
    }
}

impl Place {
    fn of(damaged: &Damaged) -> Self {
        let (file, reason) = (damaged.file().display().to_string(), damaged.reason().to_owned());
        Self { file, offset: damaged.offset(), reason }
    }
}

fn losses(lost: &[Loss]) -> Grid<3> {
    let mut grid = Grid::new([("project", Kind::Text), ("queue", Kind::Text), ("lost", Kind::Figure)]);
    for loss in lost {
        let [project, queue] = loss.shown.clone().map(Cell::from);
        grid.push([project, queue, Cell::count(loss.messages)]);
    }
    grid
}

fn places(damaged: &[Place]) -> Grid<3> {
    let mut grid = Grid::new([("damaged file", Kind::Text), ("at byte", Kind::Figure), ("reason", Kind::Text)]);
    for place in damaged {
        let [file, reason] = [&place.file, &place.reason].map(|text| Cell::from(plain::body(text.as_bytes())));
        grid.push([file, place.offset.to_string().into(), reason]);
    }
    grid
}
