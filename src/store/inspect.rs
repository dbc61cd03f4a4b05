//! Reading a store without opening it, also while a process uses it.
//!
//! 1. Nothing is written, created or locked.
//! 2. A store in use changes while it is read. A reading counts only if the manifest is the same afterwards: until then
//!    everything that the manifest needs is kept. A finding counts only if a second reading has the same finding in the
//!    same files; every state of the disk between two writes is sound, so the state of a sound store that stands still has
//!    none.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use crate::config::LEAST_PAGE_FILES;
use crate::disk::{Disk, list_or_empty};
use crate::model::error::{Error, Result};
use crate::model::{Project, QueueName};
use crate::state::{Contents, OUTBOX, Obstacle, Queue};
use crate::storage::budget::Budget;
use crate::storage::journal::naming::JOURNAL;
use crate::storage::journal::scan::{self, Source};
use crate::storage::manifest::{self, Manifest, SnapshotMark};
use crate::storage::page_files::{PAGE_FILES, PageFiles};
use crate::store::recovery::{open_archive, read_snapshot};

/// The content of a store's snapshot and journal: the result of [`Engine::inspect`](crate::Engine::inspect).
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path();
/// drop(zaqar_sled::Engine::open(path)?);
/// let inspection = zaqar_sled::Engine::inspect(path)?;
/// assert!(inspection.queues().is_empty() && inspection.was_closed());
/// println!("the last change is number {}", inspection.last_lsn());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    queues: Vec<InspectedQueue>,
    last_lsn: u64,
    clean: bool,
}

/// A queue as [`Inspection`] found it, at the time of the store's last change.
///
/// ```
/// # use zaqar_sled::{Engine, Metadata, Project};
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path();
/// let engine = Engine::open(path)?;
/// engine.queue(Project::none(), "jobs")?.create(Metadata::new())?;
/// drop(engine);
/// let inspection = Engine::inspect(path)?;
/// let jobs = &inspection.queues()[0];
/// assert_eq!((jobs.project(), jobs.name().as_str()), (&Project::none(), "jobs"));
/// assert_eq!((jobs.messages(), jobs.claimed(), jobs.bytes()), (0, 0, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InspectedQueue {
    project: Project,
    name: QueueName,
    messages: u64,
    claimed: u64,
    bytes: u64,
}

/// What two readings of a store have to agree on.
#[derive(PartialEq, Eq)]
struct Finding {
    error: String,
    files: Vec<(String, u64)>,
}

impl Inspection {
    pub(crate) fn of(disk: &Arc<dyn Disk>, path: &Path) -> Result<Self> {
        let root = std::path::absolute(path).map_err(|e| Error::io("the store's path", e))?;
        let mut last: Option<Finding> = None;
        for _ in 0..MOST_READINGS {
            let manifest = load(&**disk, &root)?;
            match Self::read(disk, &root, &manifest) {
                Ok(inspection) if load(&**disk, &root)? == manifest => return Ok(inspection),
                Ok(_) => last = None,
                Err(error) if may_be_passing(&error) => {
                    let finding = Finding { error: error.to_string(), files: files(&**disk, &root)? };
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

    fn read(disk: &Arc<dyn Disk>, root: &Path, manifest: &Manifest) -> Result<Self> {
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
            return Err(damage.into());
        }
        contents.finish().map_err(corrupt)?;
        contents.load_archived()?;
        let named = contents.queues.into_values().filter(|queue| queue.number != OUTBOX);
        let queues = named.map(|mut queue| queue.with(|queue| InspectedQueue::of(queue)));
        Ok(Self { queues: queues.collect(), last_lsn: scan.end.last_lsn, clean: manifest.clean.is_some() })
    }

    /// The queues, in the order of their creation.
    pub fn queues(&self) -> &[InspectedQueue] {
        &self.queues
    }

    /// The number of the store's last change.
    pub fn last_lsn(&self) -> u64 {
        self.last_lsn
    }

    /// Whether the store was closed cleanly.
    pub fn was_closed(&self) -> bool {
        self.clean
    }
}

impl InspectedQueue {
    fn of(queue: &Queue) -> Self {
        Self {
            project: queue.project().clone(),
            name: queue.name().clone(),
            messages: queue.totals().total,
            claimed: queue.totals().claimed,
            bytes: queue.totals().weight,
        }
    }

    /// The queue's project.
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// The queue's name.
    pub fn name(&self) -> &QueueName {
        &self.name
    }

    /// The number of the queue's live messages.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// The number of the queue's messages under a live claim.
    pub fn claimed(&self) -> u64 {
        self.claimed
    }

    /// The weight of the queue's messages: the bytes of their bodies and 64 bytes each.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

fn load(disk: &dyn Disk, root: &Path) -> Result<Manifest> {
    Manifest::load(disk, root)?.ok_or_else(|| Error::invalid("path", "there is no store in this directory"))
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
