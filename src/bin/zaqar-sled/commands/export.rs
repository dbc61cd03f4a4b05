//! `export`: writes everything in a store as lines of JSON.

use std::fs::{self, File};
use std::io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use zaqar_sled::{ExportReport, Project};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::grid;
use crate::opened::Opened;
use crate::output::Output;
use crate::quantity::size;
use crate::store_path::StorePath;
use crate::waiting::Waiting;

/// The arguments of `export`.
#[derive(Debug, Args)]
pub(crate) struct Export {
    #[command(flatten)]
    store: StorePath,

    #[command(flatten)]
    output: Output,

    /// The file to write, which replaces one that is there when it is whole; `-` or no file means standard output,
    /// where no report is printed.
    #[arg(value_name = "TO")]
    to: Option<PathBuf>,
}

/// What an export has, or an import has taken in.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    queues: u64,
    messages: u64,
    claims: u64,
    subscriptions: u64,
    pools: u64,
    flavors: u64,
    mappings: u64,
    bookmarks: u64,
    lines: u64,
    bytes: u64,
}

impl Export {
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        let store = self.store.open(&Project::none(), false)?;
        let report = match self.to.as_deref().filter(|to| *to != Path::new("-")) {
            Some(to) => Some(to_file(&store, to)?),
            None => to_writer(&store, io::stdout().lock()).map(|_| None).or_else(unread)?,
        };
        store.close()?;
        if let Some(report) = report {
            self.output.document(&Report::of(&report), Report::shown)?;
        }
        Ok(Exit::Done)
    }
}

/// Writes a file beside `to`, which takes its place when it is whole and on the disk. A device or a pipe is written to.
fn to_file(store: &Opened, to: &Path) -> Result<ExportReport, Failure> {
    let failed = |source| Failure::Path { path: to.to_owned(), source };
    // What is open already may be a file too, to which others write.
    let is_open_file = ["/dev", "/proc"].iter().any(|system| to.starts_with(system));
    if is_open_file || fs::metadata(to).is_ok_and(|found| !found.is_file()) {
        let file = File::options().append(true).open(to).map_err(failed)?;
        return Ok(to_writer(store, file)?);
    }
    let to = behind_links(to);
    let (mut file, part) = create_beside(&to).map_err(failed)?;
    let written = to_writer(store, &mut file).map_err(Failure::from).and_then(|report| {
        let placed = file.sync_all().and_then(|()| fs::rename(&part, &to)).and_then(|()| sync_directory(&to));
        placed.map(|()| report).map_err(failed)
    });
    written.inspect_err(|_| drop(fs::remove_file(&part)))
}

/// The file that a link leads to, which need not exist.
fn behind_links(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| match (fs::read_link(path), path.parent()) {
        (Ok(next), Some(parent)) => parent.join(next),
        _ => path.to_owned(),
    })
}

/// A new file beside `to`. Those that killed exports have left stay.
fn create_beside(to: &Path) -> io::Result<(File, PathBuf)> {
    let mut numbers = 0..MOST_PARTS;
    loop {
        let mut name = to.as_os_str().to_owned();
        name.push(format!(".{}.part", numbers.next().unwrap_or(MOST_PARTS)));
        let part = PathBuf::from(name);
        match File::create_new(&part) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !numbers.is_empty() => {}
            created => return created.map(|file| (file, part)),
        }
    }
}

const MOST_PARTS: u32 = 1000;

/// Makes the file's name durable.
fn sync_directory(file: &Path) -> io::Result<()> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match File::open(directory).and_then(|directory| directory.sync_all()) {
        // Not every directory may be opened, and not every file system syncs them.
        Err(error) if [PermissionDenied, InvalidInput, Unsupported].contains(&error.kind()) => Ok(()),
        synced => synced,
    }
}

fn to_writer(store: &Opened, writer: impl Write) -> zaqar_sled::Result<ExportReport> {
    let waiting = Waiting::on("exporting the store");
    let writer = waiting.counting(writer);
    match store {
        Opened::Engine(engine) => engine.export(writer),
        Opened::Pooled(driver) => driver.export(writer),
    }
}

/// Nobody reads on, as in `zaqar-sled export | head -1`.
fn unread(error: zaqar_sled::Error) -> Result<Option<ExportReport>, Failure> {
    match &error {
        zaqar_sled::Error::Io { source, .. } if source.kind() == io::ErrorKind::BrokenPipe => Ok(None),
        _ => Err(error.into()),
    }
}

impl Report {
    pub(super) fn of(report: &ExportReport) -> Self {
        Self {
            queues: report.queues(),
            messages: report.messages(),
            claims: report.claims(),
            subscriptions: report.subscriptions(),
            pools: report.pools(),
            flavors: report.flavors(),
            mappings: report.mappings(),
            bookmarks: report.bookmarks(),
            lines: report.lines(),
            bytes: report.bytes(),
        }
    }

    pub(super) fn shown(&self) -> String {
        let facts = [
            ("queues", self.queues.to_string()),
            ("messages", self.messages.to_string()),
            ("claims", self.claims.to_string()),
            ("subscriptions", self.subscriptions.to_string()),
            ("bookmarks", self.bookmarks.to_string()),
            ("pools", self.pools.to_string()),
            ("lines", format!("{}, {}", self.lines, size(self.bytes))),
        ];
        grid::facts(&facts, grid::terminal_width())
    }
}
