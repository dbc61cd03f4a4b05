//! `pools`: the pools that are registered in a store.

use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use serde::Serialize;
use zaqar_sled::{Config, ControlDriver, NewPool, Pool, PoolGroup, PoolName, PoolUri, PooledDriver, Project};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::grid::{Cell, Grid, Kind};
use crate::output::Output;
use crate::plain;
use crate::queue_name;
use crate::store_path::StorePath;

/// The arguments of `pools`.
#[derive(Debug, Args)]
pub(crate) struct Pools {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// List the pools. The store may be in use.
    Ls(List),
    /// Register a pool, or change one.
    Add(Add),
    /// Remove a pool, which must have no queues. Its store stays.
    ///
    /// The data of queues that were deleted or moved is removed from the pool before. Where that is impossible, because
    /// the pool's store is not available, the pool is removed only with --yes.
    Rm(Remove),
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    store: StorePath,

    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct Add {
    #[command(flatten)]
    store: StorePath,

    /// The name of the pool.
    #[arg(value_name = "POOL")]
    name: PoolName,

    /// The place of its store: `sled:` and a directory, or `memory:` and a name.
    #[arg(value_name = "URI")]
    uri: PoolUri,

    /// The pool's share of new queues; 0 gives it none.
    #[arg(long, value_name = "N", default_value_t = 1)]
    weight: i64,

    /// The group that flavors name.
    #[arg(long, value_name = "NAME")]
    group: Option<PoolGroup>,

    /// Make the store with the list of pools if it is missing.
    #[arg(long)]
    create: bool,
}

#[derive(Debug, Args)]
struct Remove {
    #[command(flatten)]
    store: StorePath,

    /// The name of the pool.
    #[arg(value_name = "POOL")]
    name: PoolName,

    /// Even if the data of queues that were deleted or moved cannot be removed from pools now.
    #[arg(long)]
    yes: bool,
}

/// A pool as it is listed.
#[derive(Debug, Serialize)]
struct Row {
    pool: String,
    weight: i64,
    group: Option<String>,
    uri: String,
}

impl Pools {
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        match &self.task {
            Task::Ls(list) => list.run(),
            Task::Add(add) => add.run(),
            Task::Rm(remove) => remove.run(),
        }?;
        Ok(Exit::Done)
    }
}

impl List {
    fn run(&self) -> Result<(), Failure> {
        let rows = self.store.look(|view| Ok(view.store().pools().iter().map(Row::of).collect::<Vec<_>>()))?;
        self.output.list(&rows, grid)
    }
}

impl Add {
    fn run(&self) -> Result<(), Failure> {
        let driver = self.store.open_pooled(Config::new(), self.create)?;
        let pool = NewPool::new(self.uri.clone()).weight(self.weight).group(self.group.clone());
        driver.pools().create(&self.name, &pool)?;
        Ok(driver.close()?)
    }
}

impl Remove {
    fn run(&self) -> Result<(), Failure> {
        let driver = self.store.open_pooled(Config::new(), false)?;
        if !driver.pools().exists(&self.name)? {
            return Err(Failure::NoPool { pool: plain::name(self.name.as_str()) });
        }
        self.check_no_queues(&driver)?;
        self.check_no_leftovers(&driver)?;
        driver.pools().delete(&self.name)?;
        Ok(driver.close()?)
    }

    /// Checks that no queue is in the pool, and none will be when it is created. The store is open, so nobody else
    /// changes it.
    fn check_no_queues(&self, driver: &PooledDriver) -> Result<(), Failure> {
        let (projects, mut queues) = self.store.look(|view| {
            let projects = view.store().queues().iter().map(|queue| queue.project().clone());
            let projects: BTreeSet<Project> = projects.chain([Project::none()]).collect();
            let queues = view.mapped_to(&self.name).map(|queue| queue_name::shown(queue.project(), queue.name()));
            Ok((projects, queues.collect::<BTreeSet<String>>()))
        })?;
        for project in &projects {
            let mapped = driver.catalogue().list(project)?.into_iter().filter(|entry| *entry.pool() == self.name);
            queues.extend(mapped.map(|entry| queue_name::shown(project, entry.queue())));
        }
        match queues.first() {
            Some(queue) => Err(Failure::PoolHasQueues {
                pool: plain::name(self.name.as_str()),
                queues: queues.len() as u64,
                queue: queue.clone(),
            }),
            None => Ok(()),
        }
    }

    /// Checks that no data of deleted queues is left in a pool. The opening has removed what it could.
    fn check_no_leftovers(&self, driver: &PooledDriver) -> Result<(), Failure> {
        match driver.status().leftovers() {
            queues if queues > 0 && !self.yes => {
                Err(Failure::PoolHasLeftovers { pool: plain::name(self.name.as_str()), queues })
            }
            _ => Ok(()),
        }
    }
}

impl Row {
    fn of(pool: &Pool) -> Self {
        Self {
            pool: pool.name().to_string(),
            weight: pool.weight(),
            group: pool.group().map(ToString::to_string),
            uri: pool.uri().as_str().to_owned(),
        }
    }
}

fn grid(rows: &[Row]) -> Grid<4> {
    let [pool, group, uri] = ["pool", "group", "uri"].map(|name| (name, Kind::Text));
    let mut grid = Grid::new([pool, ("weight", Kind::Figure), group, uri]);
    for row in rows {
        let [pool, uri] = [&row.pool, &row.uri].map(|text| Cell::from(plain::name(text)));
        let group = row.group.as_deref().map_or_else(Cell::nothing, |group| plain::name(group).into());
        grid.push([pool, row.weight.to_string().into(), group, uri]);
    }
    grid
}
