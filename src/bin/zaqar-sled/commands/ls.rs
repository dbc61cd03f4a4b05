//! `ls`: the queues of a store.

use std::ops::Not;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use zaqar_sled::{InspectedQueue, MessageStat, Project};

use crate::exit::Exit;
use crate::failure::{Failure, Unseen};
use crate::grid::{Cell, Grid, Kind};
use crate::output::{self, Output};
use crate::plain;
use crate::quantity;
use crate::queue_name::{name_of, parse_project};
use crate::say;
use crate::store_path::StorePath;

/// The arguments of `ls`.
#[derive(Debug, Args)]
pub(crate) struct Ls {
    #[command(flatten)]
    store: StorePath,

    #[command(flatten)]
    output: Output,

    /// Only the queues of this project [default: of all].
    #[arg(long, value_name = "NAME", value_parser = parse_project)]
    project: Option<Project>,

    /// Only the queues without a project.
    #[arg(long, conflicts_with = "project")]
    no_project: bool,

    /// Only the queues whose name contains this text.
    #[arg(long, value_name = "TEXT", default_value = "")]
    contains: String,
}

/// A queue as it is listed.
#[derive(Debug, Serialize)]
struct Row {
    project: Option<String>,
    queue: String,
    #[serde(skip_serializing_if = "Not::not")]
    topic: bool,
    free: u64,
    delayed: u64,
    claimed: u64,
    bytes: u64,
    /// Seconds since the oldest message was posted.
    oldest_s: Option<u64>,
    archived: bool,
    #[serde(skip)]
    shown: [String; 2],
}

impl Ls {
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        let (mut rows, unseen) = self.store.look(|view| {
            let chosen = view.queues().into_iter().filter(|queue| self.is_chosen(queue));
            let rows = chosen.map(Row::of).collect::<Result<Vec<_>, _>>()?;
            Ok((rows, view.unseen().cloned().collect::<Vec<_>>()))
        })?;
        rows.sort_by(|one, other| (&one.project, &one.queue).cmp(&(&other.project, &other.queue)));
        output::even_unread(self.output.list(&rows, grid))?;
        Ok(warn(unseen))
    }

    fn is_chosen(&self, queue: &InspectedQueue) -> bool {
        let none = self.no_project.then(Project::none);
        let is_in = self.project.as_ref().or(none.as_ref()).is_none_or(|project| project == queue.project());
        is_in && queue.name().as_str().contains(&self.contains)
    }
}

/// Tells which queues are not listed.
fn warn(unseen: Vec<Unseen>) -> Exit {
    let exit = unseen.first().map_or(Exit::Done, |unseen| unseen.exit);
    for unseen in unseen {
        say(format_args!("{}; its queues are not listed", Failure::Unseen(unseen)));
    }
    exit
}

impl Row {
    fn of(queue: &InspectedQueue) -> Result<Self, Failure> {
        let oldest = if queue.messages() > 0 { queue.stats()?.oldest().map(MessageStat::age) } else { None };
        Ok(Self {
            project: queue.project().name().map(str::to_owned),
            queue: queue.name().to_string(),
            topic: queue.name().topic().is_some(),
            free: queue.free(),
            delayed: queue.delayed(),
            claimed: queue.claimed(),
            bytes: queue.bytes(),
            oldest_s: oldest.map(|oldest| oldest.as_secs()),
            archived: queue.is_archived(),
            shown: [plain::project(queue.project()), name_of(queue.name())],
        })
    }
}

fn grid(rows: &[Row]) -> Grid<7> {
    let mut grid = Grid::new([
        ("project", Kind::Text),
        ("queue", Kind::Text),
        ("free", Kind::Figure),
        ("delayed", Kind::Figure),
        ("claimed", Kind::Figure),
        ("bytes", Kind::Figure),
        ("oldest", Kind::Figure),
    ]);
    for row in rows {
        let [project, queue] = row.shown.clone().map(Cell::from);
        let oldest = row.oldest_s.map_or_else(Cell::nothing, |seconds| Cell::age(Duration::from_secs(seconds)));
        let [free, delayed, claimed] = [row.free, row.delayed, row.claimed].map(Cell::count);
        grid.push([project, queue, free, delayed, claimed, quantity::size(row.bytes).into(), oldest]);
    }
    grid
}
