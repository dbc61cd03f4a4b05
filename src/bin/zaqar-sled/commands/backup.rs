//! `backup`: takes a backup of a store.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use zaqar_sled::{BackupReport, Project};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::grid;
use crate::opened::Opened;
use crate::output::Output;
use crate::quantity::{counted, size};
use crate::store_path::StorePath;
use crate::waiting::Waiting;

/// The arguments of `backup`.
#[derive(Debug, Args)]
pub(crate) struct Backup {
    #[command(flatten)]
    store: StorePath,

    #[command(flatten)]
    output: Output,

    /// The directory of the backup: missing, empty, or with an earlier backup of the store, which is brought up to date.
    #[arg(value_name = "TO")]
    to: PathBuf,
}

/// What a backup or a restore has done.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    last_change: u64,
    copied: Files,
    cloned: Files,
    reused: Files,
}

#[derive(Debug, Serialize)]
struct Files {
    files: u64,
    bytes: u64,
}

impl Backup {
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        let store = self.store.open(&Project::none(), false)?;
        let waiting = Waiting::on("taking the backup");
        let report = match &store {
            Opened::Engine(engine) => engine.backup(&self.to),
            Opened::Pooled(driver) => driver.backup(&self.to),
        }?;
        drop(waiting);
        store.close()?;
        self.output.document(&Report::of(&report), Report::shown)?;
        Ok(Exit::Done)
    }
}

impl Report {
    pub(super) fn of(report: &BackupReport) -> Self {
        Self {
            last_change: report.last_lsn(),
            copied: Files { files: report.copied_files(), bytes: report.copied_bytes() },
            cloned: Files { files: report.cloned_files(), bytes: report.cloned_bytes() },
            reused: Files { files: report.reused_files(), bytes: report.reused_bytes() },
        }
    }

    pub(super) fn shown(&self) -> String {
        let shown = |files: &Files| format!("{}, {}", counted(files.files, "file"), size(files.bytes));
        let facts = [
            ("last change", self.last_change.to_string()),
            ("copied", shown(&self.copied)),
            ("cloned", shown(&self.cloned)),
            ("reused", shown(&self.reused)),
        ];
        grid::facts(&facts, grid::terminal_width())
    }
}
