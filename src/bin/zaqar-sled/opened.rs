//! The store that a command works on, opened for changes.
//!
//! 1. A command that opens a store makes none, unless it is asked to with `--create`, and then only where nothing else
//!    is.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use zaqar_sled::{
    Bookmark, BookmarkName, Config, ControlDriver, DataDriver, Engine, ExtendedDriver, ListOptions, PooledDriver,
    Project, Projects, Queue,
};

use crate::failure::Failure;
use crate::queue_name::QueueArgs;
use crate::store_path::StorePath;
use crate::view::MANIFEST;
use crate::waiting::Waiting;

/// An open store.
#[derive(Debug)]
pub(crate) enum Opened {
    Engine(Engine),
    /// A store in which pools are registered, or whose queues are in pools.
    Pooled(PooledDriver),
}

impl StorePath {
    /// Opens the store for changes of the project's queues.
    pub(crate) fn open(&self, project: &Project, create: bool) -> Result<Opened, Failure> {
        let engine = self.open_engine(Config::new(), create)?;
        let failed = |error| Failure::of_store(self.path(), error);
        if !has_pools(&engine).map_err(failed)? && ControlDriver::catalogue(&engine).list(project)?.is_empty() {
            return Ok(Opened::Engine(engine));
        }
        engine.close().map_err(failed)?;
        self.open_pooled(Config::new(), false).map(Opened::Pooled)
    }

    /// Opens this one store, whether or not pools are registered in it.
    pub(crate) fn open_engine(&self, config: Config, create: bool) -> Result<Engine, Failure> {
        self.check_may_open(create)?;
        let _waiting = Waiting::on("opening the store");
        config.open(self.path()).map_err(|error| Failure::of_store(self.path(), error))
    }

    /// Opens the store for changes of its pools.
    pub(crate) fn open_pooled(&self, config: Config, create: bool) -> Result<PooledDriver, Failure> {
        self.check_may_open(create)?;
        let _waiting = Waiting::on("opening the store");
        config.open_pooled(self.path()).map_err(|error| Failure::of_store(self.path(), error))
    }

    fn check_may_open(&self, create: bool) -> Result<(), Failure> {
        if create { check_free(self.path()) } else { self.check_exists() }
    }
}

/// Whether pools are registered in the store.
pub(crate) fn has_pools(engine: &Engine) -> zaqar_sled::Result<bool> {
    Ok(!ControlDriver::pools(engine).list(&ListOptions::new().limit(1))?.items.is_empty())
}

/// Checks that the directory has a store, one whose creation was interrupted, or nothing.
pub(crate) fn check_free(path: &Path) -> Result<(), Failure> {
    let failed = |source| Failure::Path { path: path.to_owned(), source };
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        // Opening tells what is wrong.
        Err(error) if error.kind() == ErrorKind::NotADirectory => return Ok(()),
        entries => entries.map_err(failed)?,
    };
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let names = names.collect::<io::Result<Vec<_>>>().map_err(failed)?;
    let stranger = names.iter().find(|name| !OWN.contains(&name.as_str()));
    match stranger.filter(|_| !names.iter().any(|name| name == MANIFEST)) {
        Some(name) => Err(Failure::Strangers { path: path.to_owned(), name: name.clone() }),
        None => Ok(()),
    }
}

impl Opened {
    pub(crate) fn driver(&self) -> &dyn DataDriver {
        match self {
            Self::Engine(engine) => engine,
            Self::Pooled(driver) => driver,
        }
    }

    pub(crate) fn queue(&self, project: Project, name: &str) -> Result<Queue, Failure> {
        Ok(match self {
            Self::Engine(engine) => engine.queue(project, name),
            Self::Pooled(driver) => driver.queue(project, name),
        }?)
    }

    pub(crate) fn bookmark(&self, project: Project, name: &BookmarkName) -> Result<Bookmark, Failure> {
        Ok(match self {
            Self::Engine(engine) => engine.bookmark(project, name),
            Self::Pooled(driver) => driver.bookmark(project, name),
        }?)
    }

    pub(crate) fn projects(&self) -> &dyn Projects {
        match self {
            Self::Engine(engine) => engine.projects(),
            Self::Pooled(driver) => driver.projects(),
        }
    }

    /// A queue that must exist.
    pub(crate) fn existing(&self, args: &QueueArgs) -> Result<Queue, Failure> {
        let queue = self.queue(args.project(), args.name.as_str())?;
        if queue.exists()? { Ok(queue) } else { Err(args.missing()) }
    }

    /// Closes the store, so that what the command did is in place when it ends.
    pub(crate) fn close(self) -> Result<(), Failure> {
        Ok(match self {
            Self::Engine(engine) => engine.close(),
            Self::Pooled(driver) => driver.close(),
        }?)
    }
}

/// The files that an interrupted creation may leave.
const OWN: [&str; 5] = ["LOCK", "RESERVE", "MANIFEST.new", "journal", "heap"];
