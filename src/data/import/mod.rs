//! Imports: a store that is made of an [export](super::export).
//!
//! 1. Nothing is written before the first line was read and the directory was found to be free.
//! 2. The store is marked as unfinished until the last line was read, everything is on the disk, and the store is
//!    closed. So no import that has ended early is taken for a store; the next one begins again.
//! 3. Everything is written as operations of the journal, by the means of a queue that moves from one pool to another.
//! 4. All numbers and ids are kept. The store's own numbers are of a later incarnation than those of the export, by as
//!    much as those of a restored store: so it never assigns an id that the original has assigned since.
//! 5. A line is checked before it is written: ids and names ascend, claims come before their messages, the numbers of
//!    lines are as announced, and no size is over a limit.
//!
//! Memory: that of an open store; the claims of one queue; 16 B for each queue; the longest line.

mod importer;
mod message;
mod open_queue;
mod reader;
mod subscriptions;
mod target;

use std::io::Read;
use std::path::Path;
use std::time::Duration;

pub(crate) use importer::Importer;
pub(crate) use reader::LineReader;
pub(crate) use target::{NewQueueLine, Target, check_queue};

use super::export::ExportReport;
use super::export::line::Header;
use crate::clock::LATEST_BELIEVED;
use crate::config::Config;
use crate::engine::Engine;
use crate::model::error::{Error, Result};
use crate::model::{Durability, ExportFault};
use crate::store::backup::{MarkedDisk, begin, check_own, finish, give_up, incarnation_above};
use crate::store::random::Random;

impl Engine {
    /// Makes a store in the directory `path` of an export, as [`Config::import`] does.
    ///
    /// Cost: as [`Config::import`].
    ///
    /// Durability: the store is on the disk when the call returns.
    ///
    /// # Errors
    /// as [`Config::import`].
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name| directory.path().join(name);
    /// let mut lines = Vec::new();
    /// Engine::open(path("store"))?.export(&mut lines)?;
    /// Engine::import(path("copy"), lines.as_slice())?;
    /// assert!(Engine::open(path("copy"))?.verify()?.is_sound());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn import(path: impl AsRef<Path>, reader: impl Read) -> Result<ExportReport> {
        Config::new().import(path, reader)
    }
}

impl Config {
    /// Makes a store in the directory `path` of the [export](Engine::export) that `reader` gives. The directory is
    /// created if it is missing, and must else be empty. The settings are those with which the store is filled; of the
    /// [`limits`](Self::limits), those of names, metadata, subscriptions and bodies count.
    ///
    /// Everything is as it was exported: ids of messages, claims and subscriptions, times, counts, pauses. What has
    /// expired since, expires. The store has an id of its own, and never assigns an id that the original has assigned
    /// since the export. An export of the imported store has the same lines, except for the first one, until something
    /// changes or expires.
    ///
    /// An import that ended early is begun again by the next one into the same directory. Until an import is finished,
    /// the directory cannot be opened.
    ///
    /// Cost: one read of the export, one write of everything to the journal, and a snapshot. Memory: that of an open
    /// store, 200 B for each claim of one queue, 16 B for each queue, and the longest line, whatever the size of the
    /// export.
    ///
    /// Durability: the store is on the disk when the call returns.
    ///
    /// # Errors
    /// [`InvalidExport`](crate::Error::InvalidExport) with the number of the line, if the export is incomplete, damaged,
    /// reordered, over a limit, or in a later format ([`is_invalid`](crate::Error::is_invalid));
    /// [`is_invalid`](crate::Error::is_invalid) if `path` has a store or any other files;
    /// [`is_busy`](crate::Error::is_busy) if another call uses `path`; [`Exhausted`](crate::Error::Exhausted) after 63
    /// imports, each of an export of the former; [`is_full`](crate::Error::is_full); [`Io`](crate::Error::Io), also if
    /// the reader fails. After a failure `path` has no store.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let config = Config::new().disk(disk);
    /// # let engine = config.clone().open("store")?;
    /// let jobs = engine.queue(Project::none(), "jobs")?;
    /// jobs.create(Metadata::new())?;
    /// jobs.post(ClientId::random(), &[NewMessage::new("work")])?;
    /// let claim = jobs.claim(ClaimOptions::new())?.expect("a message waits");
    /// let mut lines = Vec::new();
    /// engine.export(&mut lines)?;
    ///
    /// config.clone().import("copy", lines.as_slice())?;
    /// let copy = config.clone().open("copy")?;
    /// // The worker that has the message finishes its work in the copy.
    /// let id = claim.messages()[0].id();
    /// copy.messages().delete(jobs.project(), jobs.name(), &id, Some(&claim.id()))?;
    ///
    /// let again = config.import("copy", lines.as_slice()).unwrap_err();
    /// assert!(again.is_invalid()); // there is a store
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn import(self, path: impl AsRef<Path>, mut reader: impl Read) -> Result<ExportReport> {
        let mut lines = LineReader::new(&mut reader);
        let header = checked_header(&mut lines, false)?;
        let disk = self.disk.clone();
        let path = std::path::absolute(path).map_err(|e| Error::io("the store's path", e))?;
        let (config, store) = filling(self);
        let incarnation = incarnation_above(header.incarnation)?;
        begin(&disk, &path, store, incarnation)?;
        let fill = || {
            let engine = config.open(&path)?;
            check_own(&disk, &path, store)?;
            let report = Importer::new(&engine, &header, incarnation).run(&mut lines)?;
            engine.snapshot()?;
            engine.close()?;
            finish(&disk, &path, store)?;
            Ok(report)
        };
        fill().inspect_err(|_| give_up(&disk, &path, store))
    }
}

/// The first line, which has to be of the given kind.
pub(crate) fn checked_header(lines: &mut LineReader<'_>, pooled: bool) -> Result<Header> {
    let header = lines.header()?;
    let reason = match header {
        Header { pooled: true, .. } if !pooled => "it is an export of a pooled driver: import it with import_pooled",
        Header { pooled: false, .. } if pooled => "it is an export of one store: import it with Engine::import",
        Header { time, .. } if time > LATEST_BELIEVED.as_millis() => "its time is too late",
        header => return Ok(header),
    };
    Err(lines.fault(ExportFault::Refused { reason: reason.into() }))
}

/// The settings with which stores are filled that do not count yet, and the id of the first.
pub(crate) fn filling(config: Config) -> (Config, [u8; 16]) {
    let random = config.seed.map_or(Random::System, Random::seeded);
    let store = random.uuid().into_bytes();
    let disk = std::sync::Arc::new(MarkedDisk::new(config.disk.clone()));
    let config = config.disk(disk).shared(false).salvage(false).durability(Durability::Buffered);
    // There is nobody to whom it would be of use if an import ended because the disk is slow.
    (config.busy_timeout(PATIENCE), store)
}

const PATIENCE: Duration = Duration::from_secs(60 * 60);
