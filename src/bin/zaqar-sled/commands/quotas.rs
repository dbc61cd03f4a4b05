//! `quotas`: what projects may hold, and what they hold.

use clap::{ArgGroup, Args, Subcommand};
use serde::Serialize;
use zaqar_sled::{InspectedQueue, Project, ProjectQuota};

use crate::exit::Exit;
use crate::failure::{Failure, Unseen};
use crate::grid::{Cell, Grid, Kind};
use crate::output::Output;
use crate::plain;
use crate::quantity;
use crate::queue_name::parse_project;
use crate::say;
use crate::store_path::StorePath;
use crate::view::View;

/// The arguments of `quotas`.
#[derive(Debug, Args)]
pub(crate) struct Quotas {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// List the projects that have a quota, with what they hold. The store may be in use.
    Ls(List),
    /// Set what a project may hold. The store must not be in use.
    ///
    /// What is not given has no limit. A quota below what the project holds removes nothing.
    Set(Set),
    /// End the quota of a project. The store must not be in use.
    Rm(Remove),
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    store: StorePath,

    #[command(flatten)]
    output: Output,

    /// Only that of this project.
    #[arg(long, value_name = "NAME", value_parser = parse_project)]
    project: Option<Project>,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("limit").required(true).multiple(true).args(["queues", "messages", "bytes"]))]
struct Set {
    #[command(flatten)]
    store: StorePath,

    #[command(flatten)]
    owner: Owner,

    /// The most queues and topics.
    #[arg(long, value_name = "N")]
    queues: Option<u64>,

    /// The most messages in all of them.
    #[arg(long, value_name = "N")]
    messages: Option<u64>,

    /// The most bytes that the messages take, as in 64MiB.
    #[arg(long, value_name = "SIZE", value_parser = quantity::parse_size)]
    bytes: Option<u64>,
}

#[derive(Debug, Args)]
struct Remove {
    #[command(flatten)]
    store: StorePath,

    #[command(flatten)]
    owner: Owner,
}

/// The project whose quota is changed.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Owner {
    /// The project.
    #[arg(long, value_name = "NAME", value_parser = parse_project)]
    project: Option<Project>,

    /// The queues without a project.
    #[arg(long)]
    no_project: bool,
}

/// A project as it is listed.
#[derive(Debug, Serialize)]
struct Row {
    project: Option<String>,
    queues: u64,
    max_queues: Option<u64>,
    messages: u64,
    max_messages: Option<u64>,
    bytes: u64,
    max_bytes: Option<u64>,
    #[serde(skip)]
    shown: String,
}

impl Quotas {
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        match &self.task {
            Task::Ls(list) => list.run(),
            Task::Set(set) => set.run(),
            Task::Rm(remove) => change(&remove.store, &remove.owner, &ProjectQuota::new()),
        }
    }
}

impl List {
    fn run(&self) -> Result<Exit, Failure> {
        let (rows, unseen) =
            self.store.look(|view| Ok((self.rows(view), view.unseen().cloned().collect::<Vec<Unseen>>())))?;
        self.output.list(&rows, grid)?;
        let exit = unseen.first().map_or(Exit::Done, |unseen| unseen.exit);
        for unseen in unseen {
            say(format_args!("{}; its messages are not counted", Failure::Unseen(unseen)));
        }
        Ok(exit)
    }

    fn rows(&self, view: &View) -> Vec<Row> {
        let wanted = |project: &Project| self.project.as_ref().is_none_or(|wanted| wanted == project);
        let quotas = view.store().quotas().iter().filter(|(project, _)| wanted(project));
        quotas.map(|(project, quota)| Row::of(view, project, quota)).collect()
    }
}

impl Set {
    fn run(&self) -> Result<Exit, Failure> {
        let quota = ProjectQuota::new().max_queues(self.queues).max_messages(self.messages).max_bytes(self.bytes);
        change(&self.store, &self.owner, &quota)
    }
}

fn change(store: &StorePath, owner: &Owner, quota: &ProjectQuota) -> Result<Exit, Failure> {
    let project = owner.project.clone().unwrap_or_default();
    let store = store.open(&project, false)?;
    let set = store.projects().set_quota(&project, quota);
    store.close()?;
    set?;
    Ok(Exit::Done)
}

impl Row {
    fn of(view: &View, project: &Project, quota: &ProjectQuota) -> Self {
        let is_its = |queue: &&InspectedQueue| queue.project() == project;
        let queues = view.queues();
        let sum = |figure: fn(&InspectedQueue) -> u64| {
            queues.iter().copied().filter(is_its).map(figure).fold(0, u64::saturating_add)
        };
        Self {
            project: project.name().map(str::to_owned),
            // Also those in pools that cannot be seen.
            queues: view.store().queues().iter().filter(is_its).count() as u64,
            max_queues: quota.max_queues,
            messages: sum(InspectedQueue::messages),
            max_messages: quota.max_messages,
            bytes: sum(InspectedQueue::bytes),
            max_bytes: quota.max_bytes,
            shown: plain::project(project),
        }
    }
}

fn grid(rows: &[Row]) -> Grid<7> {
    let mut grid = Grid::new([
        ("project", Kind::Text),
        ("queues", Kind::Figure),
        ("of", Kind::Figure),
        ("messages", Kind::Figure),
        ("of", Kind::Figure),
        ("bytes", Kind::Figure),
        ("of", Kind::Figure),
    ]);
    for row in rows {
        let most = |limit: Option<u64>| limit.map_or_else(Cell::nothing, Cell::count);
        let most_bytes = row.max_bytes.map_or_else(Cell::nothing, |bytes| quantity::size(bytes).into());
        let [queues, messages] = [row.queues, row.messages].map(Cell::count);
        let bytes = quantity::size(row.bytes).into();
        let (project, max_queues, max_messages) =
            (row.shown.clone().into(), most(row.max_queues), most(row.max_messages));
        grid.push([project, queues, max_queues, messages, max_messages, bytes, most_bytes]);
    }
    grid
}
