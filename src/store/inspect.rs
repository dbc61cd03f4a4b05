//! Reading a store without opening it, also while a process uses it.
//!
//! 1. Nothing is written, created or locked.
//! 2. A store in use changes while it is read. A reading counts only if the manifest is the same afterwards: until then
//!    everything that the manifest needs is kept. A finding counts only if a second reading has the same finding in the
//!    same files; every state of the disk between two writes is sound, so the state of a sound store that stands still
//!    has none.
//! 3. Pages of messages are read when they are asked for. An image that the manifest needs never changes, so what is
//!    read is of the same instant as the rest, or is gone because the store has gone on.

mod claim;
mod file_sizes;
mod origin;
mod queue;

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::LEAST_PAGE_FILES;
use crate::disk::{Disk, list_or_empty};
use crate::model::error::{Error, Result};
use crate::model::{BookmarkName, BookmarkRecord, Pool, PoolName, Project, ProjectQuota, QueueName, Timestamp};
use crate::state::{Contents, OUTBOX, Obstacle, pool_name};
use crate::storage::backup_record::Located;
use crate::storage::budget::Budget;
use crate::storage::journal::naming::JOURNAL;
use crate::storage::journal::scan::{self, Source};
use crate::storage::keys;
use crate::storage::manifest::{self, Manifest, SnapshotMark};
use crate::storage::page_files::{PAGE_FILES, PageFiles};
use crate::store::recovery::{open_archive, read_snapshot};
use crate::store::verify::Verification;

pub use claim::InspectedClaim;
pub use file_sizes::FileSizes;
pub use queue::InspectedQueue;

use origin::Origin;

/// The content of a store at one instant: the result of [`Engine::inspect`](crate::Engine::inspect).
///
/// It is shown as at the store's last change; [`at`](Self::at) shows what time has done since.
///
/// ```
/// # use zaqar_sled::*;
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path();
/// drop(Engine::open(path)?);
/// let now = SystemClock::new().wall();
/// let inspection = Engine::inspect(path)?.at(now)?;
/// assert!(inspection.queues().is_empty() && inspection.was_closed());
/// assert!(inspection.queue(&Project::none(), &"jobs".parse()?).is_none());
/// assert!(inspection.pools().is_empty() && !inspection.is_pool());
/// assert!(inspection.file_sizes().journal() > 0 && inspection.time() >= now);
/// println!("the last change is number {}", inspection.last_lsn());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Inspection {
    queues: Vec<InspectedQueue>,
    pools: Vec<Pool>,
    bookmarks: Vec<(Project, BookmarkRecord)>,
    quotas: Vec<(Project, ProjectQuota)>,
    pool_copies: BTreeMap<PoolName, PathBuf>,
    is_pool: bool,
    last_lsn: u64,
    time: Timestamp,
    clean: bool,
    file_sizes: FileSizes,
    /// The invariants of subscriptions, pools and mappings that do not hold.
    findings: Vec<String>,
}

/// What two readings of a store have to agree on.
#[derive(PartialEq, Eq)]
struct Finding {
    error: String,
    files: Vec<(String, u64)>,
}

impl Inspection {
    pub(crate) fn of(disk: &Arc<dyn Disk>, path: &Path) -> Result<Self> {
        let path = std::path::absolute(path).map_err(|e| Error::io("the store's path", e))?;
        let mut last: Option<Finding> = None;
        for _ in 0..MOST_READINGS {
            let found = load(&**disk, &path)?;
            match Self::read(disk, &path, &found) {
                Ok(inspection) if load(&**disk, &path)? == found => return Ok(inspection),
                Ok(_) => last = None,
                Err(error) if may_be_passing(&error) => {
                    let finding = Finding { error: error.to_string(), files: files(&**disk, &found.root)? };
                    if last.as_ref() == Some(&finding) {
                        return Err(error);
                    }
                    last = Some(finding);
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::Unavailable { reason: "the store is in use and changes faster than it can be read".into() })
    }

    fn read(disk: &Arc<dyn Disk>, path: &Path, found: &Located) -> Result<Self> {
        let Located { root, manifest, .. } = found;
        let (mut contents, last_lsn) = replay(disk, root, manifest)?;
        let loaded: BTreeSet<u64> = contents.queues.keys().copied().collect();
        contents.load_archived()?;
        let origin = Arc::new(Origin::new(disk.clone(), path, found.clone()));
        let time = Timestamp::from_millis(contents.time);
        let pools = contents.registry.pools.iter().map(|(key, row)| row.pool(pool_name(key)?, true));
        let pools = pools.collect::<Result<_>>()?;
        let bookmarks = contents.registry.bookmarks.iter().filter_map(|(key, row)| {
            let (project, name) = keys::parse_named(key)?;
            Some((project, row.record(BookmarkName::new(name).ok()?)))
        });
        let bookmarks = bookmarks.collect();
        let quotas = contents.registry.quotas.iter();
        let quotas = quotas.filter_map(|(key, row)| Some((keys::parse_quota(key)?, row.quota()))).collect();
        let is_pool = contents.registry.control().is_some();
        let findings = contents.registry.audit().map(|what| format!("registry: {what}"));
        let named = contents.queues.into_values().filter(|queue| queue.number != OUTBOX);
        let queues = named.filter_map(|queue| {
            let (project, name) = keys::parse_queue(&queue.key)?;
            let archived = !loaded.contains(&queue.number);
            let pool = contents.registry.catalogue.get(&queue.key).map(|mapping| mapping.pool.clone());
            Some(InspectedQueue::new((project, name, pool), archived, queue, time, origin.clone()))
        });
        let (queues, clean) = (queues.collect(), manifest.clean.is_some());
        let file_sizes = FileSizes::of(&**disk, root)?;
        let copies = found.pools.iter().map(|(name, root)| Ok((PoolName::new(name)?, root.clone())));
        let (pool_copies, findings) = (copies.collect::<Result<_>>()?, findings.into_iter().collect());
        Ok(Self { queues, pools, bookmarks, quotas, pool_copies, is_pool, last_lsn, time, clean, file_sizes, findings })
    }

    /// The same store at the instant `now`, if that is later than [`time`](Self::time): messages have expired by then,
    /// claims and delays have ended.
    ///
    /// Cost: O(what falls due), and a read of each page in which a part of the messages does.
    ///
    /// # Errors
    /// [`is_busy`](crate::Error::is_busy) if the store has changed since and a page is gone: inspect it again;
    /// [`Io`](crate::Error::Io).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # use std::time::Duration;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path();
    /// let engine = Engine::open(path)?;
    /// let jobs = engine.queue(Project::none(), "jobs")?;
    /// jobs.create(Metadata::new())?;
    /// let minute = NewMessage::new("work").ttl(Duration::from_secs(60));
    /// jobs.post(ClientId::random(), &[minute])?;
    /// let inspection = Engine::inspect(path)?;
    /// assert_eq!(inspection.queues()[0].messages(), 1);
    /// let later = inspection.time().saturating_add(Duration::from_secs(61));
    /// assert_eq!(inspection.at(later)?.queues()[0].messages(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn at(mut self, now: Timestamp) -> Result<Self> {
        self.time = self.time.max(now);
        self.queues.iter_mut().try_for_each(|queue| queue.advance(self.time))?;
        Ok(self)
    }

    /// Checks the store without opening it: recounts every counter, index, deadline and claim, and reads every page of
    /// the page files. Disagreements and damaged pages are in the result, and are not errors. The journal, the snapshot
    /// and the archive were checked by the inspection itself. The trees are not read: only
    /// [`Engine::verify`](crate::Engine::verify) compares them.
    ///
    /// Cost: O(messages): reads every page from disk.
    ///
    /// # Errors
    /// [`is_busy`](crate::Error::is_busy) if the store has changed since and a page is gone: inspect it again;
    /// [`Io`](crate::Error::Io).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path();
    /// let engine = Engine::open(path)?;
    /// let jobs = engine.queue(Project::none(), "jobs")?;
    /// jobs.create(Metadata::new())?;
    /// jobs.post(ClientId::random(), &[NewMessage::new("work")])?;
    /// let verification = Engine::inspect(path)?.verify()?;
    /// assert!(verification.is_sound());
    /// assert_eq!((verification.queues(), verification.messages()), (1, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn verify(&self) -> Result<Verification> {
        let mut verification = Verification::default();
        verification.find(&self.findings);
        self.queues.iter().try_for_each(|queue| queue.verify(&mut verification))?;
        Ok(verification)
    }

    /// The queues of all projects, in the order of their creation. Those that the store has in its archive are there
    /// too.
    pub fn queues(&self) -> &[InspectedQueue] {
        &self.queues
    }

    /// The queue of that name. Cost: O(queues).
    pub fn queue(&self, project: &Project, name: &QueueName) -> Option<&InspectedQueue> {
        self.queues.iter().find(|queue| queue.project() == project && queue.name() == name)
    }

    /// The pools that are registered in this store, by name.
    pub fn pools(&self) -> &[Pool] {
        &self.pools
    }

    /// The bookmarks of all projects, by project and name.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path();
    /// let engine = Engine::open(path)?;
    /// engine.bookmark(Project::named("shop")?, "offset")?.set("17")?;
    /// let inspection = Engine::inspect(path)?;
    /// let (project, record) = &inspection.bookmarks()[0];
    /// assert_eq!((project.name(), record.name().as_str()), (Some("shop"), "offset"));
    /// assert_eq!(record.value().as_bytes(), b"17");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn bookmarks(&self) -> &[(Project, BookmarkRecord)] {
        &self.bookmarks
    }

    /// The projects that have a quota, and what each may hold.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path();
    /// let engine = Engine::open(path)?;
    /// let (shop, quota) = (Project::named("shop")?, ProjectQuota::new().max_queues(8));
    /// engine.projects().set_quota(&shop, &quota)?;
    /// assert_eq!(Engine::inspect(path)?.quotas(), [(shop, quota)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn quotas(&self) -> &[(Project, ProjectQuota)] {
        &self.quotas
    }

    /// In a backup: where the copy of a pool's store is, to be inspected by itself. `None` for a pool whose store is not
    /// in the backup, and outside of a backup.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name| directory.path().join(name);
    /// let driver = PooledDriver::open(path("control"))?;
    /// let one = PoolName::new("one")?;
    /// let uri = PoolUri::new(format!("sled:{}", path("one").display()))?;
    /// driver.pools().create(&one, &NewPool::new(uri))?;
    /// driver.backup(path("backup"))?;
    /// let backup = Engine::inspect(path("backup"))?;
    /// let copy = backup.pool_copy(&one).expect("the pool's store is in the backup");
    /// assert!(Engine::inspect(copy)?.is_pool());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pool_copy(&self, pool: &PoolName) -> Option<&Path> {
        self.pool_copies.get(pool).map(PathBuf::as_path)
    }

    /// Whether the store is a pool of another store, whose [`PooledDriver`](crate::PooledDriver) alone may open it.
    pub fn is_pool(&self) -> bool {
        self.is_pool
    }

    /// The number of the store's last change.
    pub fn last_lsn(&self) -> u64 {
        self.last_lsn
    }

    /// The instant that is shown.
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// Whether the store was closed cleanly.
    pub fn was_closed(&self) -> bool {
        self.clean
    }

    /// The bytes of the store's files, by kind.
    pub fn file_sizes(&self) -> &FileSizes {
        &self.file_sizes
    }
}

/// The content of the snapshot and of the journal behind it, and the number of the last change. The queues of the
/// archive are not loaded.
pub(in crate::store) fn replay(disk: &Arc<dyn Disk>, root: &Path, manifest: &Manifest) -> Result<(Contents, u64)> {
    let files = &**disk;
    // Nothing may be written, so the journal's messages stay in memory.
    let page_files = PageFiles::open(disk, root, manifest.store, 0, LEAST_PAGE_FILES)?;
    let mut contents = Contents::new(Arc::new(page_files), Budget::unlimited());
    if let Some(mark) = manifest.snapshot {
        read_snapshot(files, root, manifest.store, mark, &mut contents)?;
    }
    open_archive(files, root, manifest, &mut contents)?;
    let snapshot = manifest.snapshot.unwrap_or(SnapshotMark { number: 0, from: 0, to: 0 });
    let (journal, clean) = (root.join(JOURNAL), manifest.clean.map_or(0, |clean| clean.lsn));
    let proven = manifest.synced.max(snapshot.to).max(clean);
    let (store, after) = (manifest.store, snapshot.from);
    let source = Source { disk: files, directory: &journal, store, after, proven, named: 0 };
    let corrupt = |reason| Error::Corrupt { file: root.join(manifest::FILE), offset: 0, reason };
    if let Some(error) = contents.lost.take() {
        return Err(error);
    }
    let scan = scan::scan(&source, &mut |lsn, body| {
        contents.replay(lsn, body).map_err(|obstacle| match obstacle {
            Obstacle::Wrong(reason) => corrupt(reason),
            Obstacle::Failed(error) => error,
        })
    })?;
    if let Some(damage) = scan.faults.stopped_early {
        // Changes that were synced meanwhile look like ones that are missing, until they are looked for again.
        if !scan::was_overtaken(&source, &damage, scan.end.last_lsn)? {
            return Err(damage.into());
        }
    }
    contents.finish().map_err(corrupt)?;
    Ok((contents, scan.end.last_lsn))
}

/// The store in the directory, or in the backup there.
fn load(disk: &dyn Disk, path: &Path) -> Result<Located> {
    Located::find(disk, path)?.ok_or_else(|| Error::invalid("path", "there is no store in this directory"))
}

/// Whether a change of the store during the reading explains the error.
fn may_be_passing(error: &Error) -> bool {
    let is_missing = matches!(error, Error::Io { source, .. } if source.kind() == ErrorKind::NotFound);
    error.is_corrupt() || is_missing
}

/// The names and lengths of the store's files.
fn files(disk: &dyn Disk, root: &Path) -> Result<Vec<(String, u64)>> {
    let mut files = Vec::new();
    for directory in [root.to_owned(), root.join(JOURNAL), root.join(PAGE_FILES)] {
        for name in list_or_empty(disk, &directory)? {
            let len = disk.open_read(&directory.join(&name)).and_then(|file| file.len()).unwrap_or(0);
            files.push((name, len));
        }
    }
    Ok(files)
}

/// A snapshot takes longer than to read one, so a few readings find a pause between two.
const MOST_READINGS: usize = 16;
