//! `bookmarks`: the bookmarks of a store.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::{Args, Subcommand};
use serde::Serialize;
use zaqar_sled::{BookmarkName, BookmarkRecord, Project};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::grid::{Cell, Grid, Kind};
use crate::output::{self, Output};
use crate::plain;
use crate::queue_name::parse_project;
use crate::store_path::StorePath;
use crate::view::View;

/// The arguments of `bookmarks`.
#[derive(Debug, Args)]
pub(crate) struct Bookmarks {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// List the bookmarks. The store may be in use.
    Ls(List),
    /// Print the value of a bookmark, byte for byte, with a newline behind it. The store may be in use.
    Get(Get),
    /// Delete a bookmark. The store must not be in use.
    ///
    /// What goes by it starts over. `work` refuses to start over with a source whose lines are still in its queue; `rm`
    /// deletes that.
    Rm(Remove),
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    store: StorePath,

    #[command(flatten)]
    output: Output,

    /// Only those of this project.
    #[arg(long, value_name = "NAME", value_parser = parse_project)]
    project: Option<Project>,
}

#[derive(Debug, Args)]
struct Get {
    #[command(flatten)]
    store: StorePath,

    #[command(flatten)]
    output: Output,

    #[command(flatten)]
    bookmark: BookmarkArgs,
}

#[derive(Debug, Args)]
struct Remove {
    #[command(flatten)]
    store: StorePath,

    #[command(flatten)]
    bookmark: BookmarkArgs,
}

/// A bookmark's name and project.
#[derive(Debug, Args)]
struct BookmarkArgs {
    /// The name of the bookmark.
    #[arg(value_name = "BOOKMARK")]
    name: BookmarkName,

    /// The bookmark's project [default: none].
    #[arg(long, value_name = "NAME", value_parser = parse_project)]
    project: Option<Project>,
}

/// A bookmark as it is shown.
#[derive(Debug, Serialize)]
struct Row {
    project: Option<String>,
    bookmark: String,
    /// In hexadecimal, as in an export.
    version: String,
    changed: String,
    age_s: u64,
    bytes: usize,
    /// The value, if it is UTF-8.
    value: Option<String>,
    /// The value, if it is not.
    value_base64: Option<String>,
    #[serde(skip)]
    record: BookmarkRecord,
    #[serde(skip)]
    owner: Project,
}

impl Bookmarks {
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        match &self.task {
            Task::Ls(list) => list.run(),
            Task::Get(get) => get.run(),
            Task::Rm(remove) => remove.run(),
        }?;
        Ok(Exit::Done)
    }
}

impl List {
    fn run(&self) -> Result<(), Failure> {
        let rows = self.store.look(|view| Ok(rows(view, self.project.as_ref())))?;
        self.output.list(&rows, grid)
    }
}

impl Get {
    fn run(&self) -> Result<(), Failure> {
        let found = self.store.look(|view| {
            let mut rows = rows(view, Some(&self.bookmark.project())).into_iter();
            rows.find(|row| *row.record.name() == self.bookmark.name).ok_or_else(|| self.bookmark.missing())
        })?;
        let raw = |row: &Row| [row.record.value().as_bytes(), b"\n"].concat();
        output::print(&self.output.form(&found, raw)?)
    }
}

impl Remove {
    fn run(&self) -> Result<(), Failure> {
        let project = self.bookmark.project();
        let store = self.store.open(&project, false)?;
        let was_there = store.bookmark(project, &self.bookmark.name)?.delete()?;
        store.close()?;
        if was_there { Ok(()) } else { Err(self.bookmark.missing()) }
    }
}

impl BookmarkArgs {
    fn project(&self) -> Project {
        self.project.clone().unwrap_or_default()
    }

    fn missing(&self) -> Failure {
        let project = self.project().name().map(|project| format!(" of project {}", plain::name(project)));
        let bookmark = plain::name(self.name.as_str()) + &project.unwrap_or_default();
        Failure::NoBookmark { bookmark }
    }
}

/// The bookmarks of the project, or of all.
fn rows(view: &View, project: Option<&Project>) -> Vec<Row> {
    let store = view.store();
    let wanted = store.bookmarks().iter().filter(|(owner, _)| project.is_none_or(|project| project == owner));
    wanted.map(|(owner, record)| Row::of(owner, record, store.time().since(record.changed()).as_secs())).collect()
}

impl Row {
    fn of(owner: &Project, record: &BookmarkRecord, age_s: u64) -> Self {
        let bytes = record.value().as_bytes();
        let text = std::str::from_utf8(bytes).ok();
        Self {
            project: owner.name().map(str::to_owned),
            bookmark: record.name().to_string(),
            version: format!("{:016x}", record.version()),
            changed: record.changed().to_string(),
            age_s,
            bytes: bytes.len(),
            value: text.map(str::to_owned),
            value_base64: text.is_none().then(|| BASE64.encode(bytes)),
            record: record.clone(),
            owner: owner.clone(),
        }
    }
}

fn grid(rows: &[Row]) -> Grid<4> {
    let mut grid =
        Grid::new([("project", Kind::Text), ("bookmark", Kind::Text), ("age", Kind::Figure), ("value", Kind::Text)]);
    for row in rows {
        grid.push([
            plain::project(&row.owner).into(),
            plain::name(row.record.name().as_str()).into(),
            Cell::age(Duration::from_secs(row.age_s)),
            plain::body(row.record.value().as_bytes()).into(),
        ]);
    }
    grid
}
