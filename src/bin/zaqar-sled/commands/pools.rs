//! `pools`: the pools that are registered in a store.

use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use serde::Serialize;
use zaqar_sled::{
    Config, ControlDriver, NewPool, Pool, PoolGroup, PoolName, PoolUpdate, PoolUri, PooledDriver, Project,
};

use crate::exit::Exit;
use crate::failure::{Failure, Unseen};
use crate::grid::{Cell, Grid, Kind};
use crate::opened;
use crate::output::Output;
use crate::plain;
use crate::queue_name;
use crate::store_path::StorePath;
use crate::view::MANIFEST;

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
    ///
    /// A pool that is registered keeps whatever is not given. Its place is changed only if it has no queues: their
    /// messages do not move. If its directory was moved, --yes changes the place.
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

    /// The pool's share of new queues; 0 gives it none [default for a new pool: 1].
    #[arg(long, value_name = "N")]
    weight: Option<i64>,

    /// The group that flavors name.
    #[arg(long, value_name = "NAME")]
    group: Option<PoolGroup>,

    /// Take the pool out of its group.
    #[arg(long, conflicts_with = "group")]
    no_group: bool,

    /// Change the place of a pool that has queues.
    #[arg(long)]
    yes: bool,

    /// Make the pool's store, and the store with the list of pools, if they are missing.
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
        if driver.pools().exists(&self.name)? { self.change(&driver) } else { self.register(&driver) }?;
        Ok(driver.close()?)
    }

    fn register(&self, driver: &PooledDriver) -> Result<(), Failure> {
        self.check_directory()?;
        let pool = NewPool::new(self.uri.clone()).weight(self.weight.unwrap_or(1)).group(self.group.clone());
        driver.pools().create(&self.name, &pool)?;
        let opened = self.open_store(driver);
        if opened.is_err() {
            driver.pools().delete(&self.name)?;
        }
        opened
    }

    fn change(&self, driver: &PooledDriver) -> Result<(), Failure> {
        let before = driver.pools().get(&self.name, false)?;
        if is_same_place(before.uri(), &self.uri) {
            return Ok(driver.pools().update(&self.name, &self.update())?);
        }
        self.check_no_queues(driver, &before)?;
        self.check_directory()?;
        driver.pools().update(&self.name, &self.update())?;
        self.open_store(driver)
    }

    /// Checks that the pool's directory has a store, or that one may be made there.
    fn check_directory(&self) -> Result<(), Failure> {
        let Some(path) = self.uri.directory() else { return Ok(()) };
        if !self.create && !path.join(MANIFEST).exists() {
            return Err(Failure::NoPoolStore { path: path.to_owned() });
        }
        opened::check_free(path)
    }

    /// Opens the pool's store, so that it is known from now on and made at no other time.
    fn open_store(&self, driver: &PooledDriver) -> Result<(), Failure> {
        let mut openings = driver.pool_recoveries().into_iter();
        match openings.find(|(pool, _)| *pool == self.name) {
            Some((pool, Err(error))) => Err(Failure::Unseen(Unseen::of(&pool, &Failure::Store(error)))),
            _ => Ok(()),
        }
    }

    fn update(&self) -> PoolUpdate {
        let update = PoolUpdate::new().uri(self.uri.clone());
        let update = if let Some(weight) = self.weight { update.weight(weight) } else { update };
        if self.no_group || self.group.is_some() { update.group(self.group.clone()) } else { update }
    }

    /// Checks that no queue's messages stay behind at the pool's former place.
    fn check_no_queues(&self, driver: &PooledDriver, before: &Pool) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        let queues = queues_in(&self.store, driver, &self.name)?.len() as u64;
        let [pool, place] = [self.name.as_str(), before.uri().as_str()].map(plain::name);
        if queues > 0 { Err(Failure::PoolWouldMove { pool, place, queues }) } else { Ok(()) }
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

    fn check_no_queues(&self, driver: &PooledDriver) -> Result<(), Failure> {
        let queues = queues_in(&self.store, driver, &self.name)?;
        let (pool, count) = (plain::name(self.name.as_str()), queues.len() as u64);
        let failure = |queue| Failure::PoolHasQueues { pool, queues: count, queue };
        queues.into_iter().next().map_or(Ok(()), |queue| Err(failure(queue)))
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

/// The queues that are in the pool, or will be when they are created. The store is open, so nobody else changes it.
fn queues_in(store: &StorePath, driver: &PooledDriver, pool: &PoolName) -> Result<BTreeSet<String>, Failure> {
    let (projects, mut queues) = store.look(|view| {
        let projects = view.store().queues().iter().map(|queue| queue.project().clone());
        let projects: BTreeSet<Project> = projects.chain([Project::none()]).collect();
        let queues = view.mapped_to(pool).map(|queue| queue_name::shown(queue.project(), queue.name()));
        Ok((projects, queues.collect::<BTreeSet<String>>()))
    })?;
    for project in &projects {
        let mapped = driver.catalogue().list(project)?.into_iter().filter(|entry| entry.pool() == pool);
        queues.extend(mapped.map(|entry| queue_name::shown(project, entry.queue())));
    }
    Ok(queues)
}

/// Whether both name the same directory, or are the same.
fn is_same_place(one: &PoolUri, other: &PoolUri) -> bool {
    one == other || one.directory().is_some_and(|directory| other.directory() == Some(directory))
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
