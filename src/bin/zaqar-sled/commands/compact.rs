//! `compact`: gives back the disk space that a store and its pools hold beyond need.

use clap::Args;
use serde::Serialize;
use zaqar_sled::{CompactReport, Project};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::file_facts::FileFacts;
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
    before: FileFacts,
    after: FileFacts,
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
        Self { before: FileFacts::of(report.before()), after: FileFacts::of(report.after()) }
    }

    fn shown(&self) -> String {
        let changed = |((name, before), (_, after))| {
            let sizes = [size(before), size(after)];
            (name, if before == after { size(after) } else { sizes.join(" → ") })
        };
        let rows: Vec<_> = self.before.rows().into_iter().zip(self.after.rows()).map(changed).collect();
        grid::facts(&rows, grid::terminal_width())
    }
}
