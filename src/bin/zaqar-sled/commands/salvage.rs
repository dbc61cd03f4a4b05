//! `salvage`: opens a damaged store with all that is intact, and reports the rest.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;
use zaqar_sled::{Config, Damaged, LostMessages, PoolName, RecoveryReport};

use crate::exit::Exit;
use crate::failure::{Failure, Unseen};
use crate::grid::{self, Cell, Grid, Kind};
use crate::opened;
use crate::output::Output;
use crate::plain;
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

/// The report of the opening.
#[derive(Debug, Serialize)]
struct Report {
    last_change: u64,
    replayed_changes: u64,
    dropped_changes: u64,
    lost_changes: u64,
    lost: Vec<Loss>,
    damaged: Vec<Place>,
    moved_aside: Vec<String>,
    notes: Vec<String>,
    /// The reports on the stores of pools.
    pools: BTreeMap<String, Report>,
}

/// The lost messages of a queue.
#[derive(Debug, Serialize)]
struct Loss {
    project: Option<String>,
    queue: String,
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
        let engine = self.store.open_engine(Config::new().salvage(true), false)?;
        let (mut report, has_pools) = (Report::of(engine.recovery()), opened::has_pools(&engine)?);
        engine.close()?;
        if has_pools {
            report.pools = self.pools()?;
        }
        self.output.document(&report, Report::shown)?;
        Ok(if report.is_whole() { Exit::Done } else { Exit::Damaged })
    }

    /// Opens the stores of the pools in the same way.
    fn pools(&self) -> Result<BTreeMap<String, Report>, Failure> {
        let driver = self.store.open_pooled(Config::new().salvage(true), false)?;
        let recoveries = driver.pool_recoveries();
        driver.close()?;
        let report = |(pool, recovery): (PoolName, zaqar_sled::Result<RecoveryReport>)| match recovery {
            Ok(report) => Ok((pool.to_string(), Report::of(&report))),
            Err(error) => Err(Failure::Unseen(Unseen::of(&pool, &Failure::Store(error)))),
        };
        recoveries.into_iter().map(report).collect()
    }
}

impl Report {
    fn of(report: &RecoveryReport) -> Self {
        Self {
            last_change: report.last_lsn(),
            replayed_changes: report.replayed(),
            dropped_changes: report.dropped(),
            lost_changes: report.lost_changes(),
            lost: report.lost().iter().map(Loss::of).collect(),
            damaged: report.damaged().iter().map(Place::of).collect(),
            moved_aside: report.moved_aside().iter().map(|path| path.display().to_string()).collect(),
            notes: report.notes().to_vec(),
            pools: BTreeMap::new(),
        }
    }

    /// Whether nothing is lost, as far as is known.
    fn is_whole(&self) -> bool {
        self.lost.is_empty() && self.lost_changes == 0 && self.pools.values().all(Self::is_whole)
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
        for (pool, report) in &self.pools {
            text = format!("{text}\npool {}\n{}", plain::name(pool), report.shown());
        }
        text
    }
}

impl Loss {
    fn of(lost: &LostMessages) -> Self {
        Self {
            project: lost.project().name().map(str::to_owned),
            queue: lost.queue().to_string(),
            messages: lost.messages(),
            shown: [plain::project(lost.project()), plain::name(lost.queue().as_str())],
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
