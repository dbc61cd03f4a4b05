//! `compact`: gives back the disk space that a store and its pools hold beyond need.

use clap::Args;
use serde::Serialize;
use zaqar_sled::{CompactReport, FileSizes, Project};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::grid;
use crate::opened::Opened;
use crate::output::Output;
use crate::quantity::size;
use crate::store_path::StorePath;
use crate::waiting::Waiting;

/// The arguments of `compact`.
#[derive(Debug, Args)]
pub(crate) struct Compact {
    #[command(flatten)]
    store: StorePath,

    #[command(flatten)]
    output: Output,
}

/// The sizes before and after, in bytes.
#[derive(Debug, Serialize)]
struct Report {
    before: Sizes,
    after: Sizes,
}

#[derive(Debug, Serialize)]
struct Sizes {
    journal: u64,
    page_files: u64,
    snapshots: u64,
    archives: u64,
    trees: u64,
    reserve: u64,
    damaged: u64,
    other: u64,
    total: u64,
}

impl Compact {
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        let store = self.store.open(&Project::none(), false)?;
        let waiting = Waiting::on("compacting the store");
        let report = match &store {
            Opened::Engine(engine) => engine.compact(),
            Opened::Pooled(driver) => driver.compact(),
        }?;
        drop(waiting);
        store.close()?;
        self.output.document(&Report::of(&report), Report::shown)?;
        Ok(Exit::Done)
    }
}

impl Report {
    fn of(report: &CompactReport) -> Self {
        Self { before: Sizes::of(report.before()), after: Sizes::of(report.after()) }
    }

    fn shown(&self) -> String {
        let Self { before, after } = self;
        let rows = [
            ("journal", before.journal, after.journal),
            ("page files", before.page_files, after.page_files),
            ("snapshots", before.snapshots, after.snapshots),
            ("archives", before.archives, after.archives),
            ("trees", before.trees, after.trees),
            ("reserve", before.reserve, after.reserve),
            ("damaged", before.damaged, after.damaged),
            ("other files", before.other, after.other),
            ("all files", before.total, after.total),
        ];
        let changed = |(name, before, after): (&'static str, u64, u64)| {
            let sizes = [size(before), size(after)];
            (name, if before == after { size(after) } else { sizes.join(" → ") })
        };
        grid::facts(&rows.map(changed), grid::terminal_width())
    }
}

impl Sizes {
    fn of(sizes: &FileSizes) -> Self {
        Self {
            journal: sizes.journal(),
            page_files: sizes.page_files(),
            snapshots: sizes.snapshots(),
            archives: sizes.archives(),
            trees: sizes.trees(),
            reserve: sizes.reserve(),
            damaged: sizes.damaged(),
            other: sizes.other(),
            total: sizes.total(),
        }
    }
}
