//! What a run has done.

use crate::sync::atomic::{AtomicU64, Ordering};

/// What a [`Worker`](crate::Worker) has done with the messages of a run. Each message that was handed
/// to a handler, or was to be, counts once for each time.
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// # let jobs = engine.queue(Project::none(), "jobs")?;
/// # jobs.create(Metadata::new())?;
/// jobs.post(ClientId::random(), &[NewMessage::new("work")])?;
/// let no_time = std::time::Duration::ZERO;
/// let worker = Worker::new(&jobs, ClaimOptions::new()).idle_timeout(no_time);
/// let report = worker.run(1, &CancelToken::new(), |_: &Job| Outcome::Done)?;
/// assert_eq!((report.done, report.retried, report.panicked), (1, 0, 0));
/// assert_eq!((report.lost, report.given_back), (0, 0));
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WorkReport {
    /// The messages that were processed and deleted.
    pub done: u64,
    /// The messages that their handlers gave back.
    pub retried: u64,
    /// The messages that were given back because their handlers panicked.
    pub panicked: u64,
    /// The messages whose lease was lost before the run was done with them: others get them, or have
    /// got them.
    pub lost: u64,
    /// The messages that no handler saw, because the run was stopped.
    pub given_back: u64,
}

/// The counts while the run lasts.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) done: AtomicU64,
    pub(super) retried: AtomicU64,
    pub(super) panicked: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) given_back: AtomicU64,
}

impl Counts {
    pub(super) fn report(&self) -> WorkReport {
        let read = |count: &AtomicU64| count.load(Ordering::SeqCst);
        WorkReport {
            done: read(&self.done),
            retried: read(&self.retried),
            panicked: read(&self.panicked),
            lost: read(&self.lost),
            given_back: read(&self.given_back),
        }
    }

    /// Counts messages as `kept` if their lease held, otherwise as lost.
    pub(super) fn add(&self, kept: &AtomicU64, has_held: bool, messages: u64) {
        let count = if has_held { kept } else { &self.lost };
        count.fetch_add(messages, Ordering::SeqCst);
    }
}
