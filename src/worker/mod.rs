//! Workers: threads that claim messages, hand them to the caller's code, and do what it decides.
//!
//! 1. One thread at a time claims a batch; all threads take messages from it. So no message waits behind a slow one
//!    while a thread is free.
//! 2. The calling thread renews each lease when half of it is over, whatever the handlers do.
//! 3. A message is deleted or given back only under the claim that it was taken with. A message whose lease was lost is
//!    left to its next holder.
//! 4. No lock is held while a handler runs or the engine is called.

mod backlog;
mod job;
mod keeper;
mod lease;
mod report;
mod run;

use std::thread;
use std::time::Duration;

use crate::handle::QueueSet;
use crate::model::ClaimOptions;
use crate::model::error::{Error, Result};
use crate::store::cancel_token::CancelToken;

pub use job::{Job, Outcome};
pub use report::WorkReport;
use run::Run;

/// Processes the messages of one queue or of many: it claims them, calls a handler for each, renews
/// the leases while the handlers run, and deletes a message or gives it back as its handler decides.
///
/// - **Leases.** A message is under its lease for as long as its handler runs, however long that is.
///   A lease that is lost all the same, because the machine slept or somebody ended the claim, is
///   counted; its message is left to the next holder. [`Job::is_lost`] tells a handler.
/// - **Panics.** A handler that panics does not end the run: its message is given back, with the text
///   of the panic as the reason. (A program that is built with `panic = "abort"` ends, as ever.)
/// - **Delivery** is at least once: after a crash, or a lost lease, another call gets the message.
///
/// A worker runs in threads of its own and needs no async runtime. [The guide](crate::docs::workers)
/// shows how an async program uses one.
///
/// ```
/// use std::time::Duration;
/// use zaqar_sled::{CancelToken, ClaimOptions, ClientId, Config, Metadata, NewMessage};
/// use zaqar_sled::{Outcome, Project, Worker};
///
/// # let disk = std::sync::Arc::new(zaqar_sled::SimulatedDisk::new());
/// let engine = Config::new().disk(disk).open("store")?;
/// let jobs = engine.queue(Project::none(), "jobs")?;
/// jobs.create(Metadata::new())?;
/// jobs.post(ClientId::random(), &[NewMessage::new("2"), NewMessage::new("three")])?;
///
/// let lease = ClaimOptions::new().ttl(Duration::from_secs(30)).limit(10);
/// // Without the timeout, it would wait for more messages.
/// let worker = Worker::new(&jobs, lease).idle_timeout(Duration::ZERO);
/// let report = worker.run(4, &CancelToken::new(), |job| {
///     match String::from_utf8_lossy(job.message().body().as_bytes()).parse::<u64>() {
///         Ok(number) => println!("{}", 2 * number),
///         Err(error) => {
///             let (delay, reason) = (Duration::from_secs(60), error.to_string());
///             return Outcome::Retry { delay: Some(delay), reason: Some(reason) };
///         }
///     }
///     Outcome::Done
/// })?;
/// assert_eq!((report.done, report.retried), (1, 1));
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Worker {
    queues: QueueSet,
    options: ClaimOptions,
    idle_timeout: Duration,
}

impl Worker {
    /// A worker for a queue or a set of queues. Each claim is made with `options`: its ttl is the time
    /// after which others get the messages of a program that died, its limit the size of a batch.
    ///
    /// A claim counts for every message of its batch, also for those that a run gives back because it
    /// is stopped. With a small `_max_claim_count`, set a limit of a few messages.
    ///
    /// Cost: that of a [`QueueSet`], for a single queue.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let [one, two] = ["one", "two"].map(|name| engine.queue(Project::none(), name));
    /// # let (one, two) = (one?, two?);
    /// let of_one = Worker::new(&one, ClaimOptions::new());
    /// let of_both = Worker::new(QueueSet::new([&one, &two])?, ClaimOptions::new().limit(1));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn new(queues: impl Into<QueueSet>, options: ClaimOptions) -> Self {
        Self { queues: queues.into(), options, idle_timeout: Duration::MAX }
    }

    /// Ends a run when there has been no message for that long and no handler runs, by the engine's
    /// clock. Without it, a run waits for messages until it is stopped. A queue that is over its
    /// [claim rate](crate::QueueSettings::max_claims_per_second) counts as one without a message: a
    /// run that is to empty such a queue needs a longer time than the rate takes for one message.
    ///
    /// Cost: none.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let jobs = engine.queue(Project::none(), "jobs")?;
    /// let no_time = std::time::Duration::ZERO;
    /// let worker = Worker::new(&jobs, ClaimOptions::new()).idle_timeout(no_time);
    /// let report = worker.run(1, &CancelToken::new(), |_: &Job| Outcome::Done)?;
    /// assert_eq!(report, WorkReport::default());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Works in so many threads until `stop` is cancelled, or nothing has come for the
    /// [idle timeout](Self::idle_timeout); returns what was done. The call keeps its own thread busy
    /// with the leases.
    ///
    /// A stopped run begins no further message, lets the running handlers finish, and gives back the
    /// messages it has claimed beside: without a delay and a reason. [`Job::is_stopping`] tells a
    /// handler.
    ///
    /// The handler returns an [`Outcome`], or a `Result` whose error becomes the reason of a retry. A
    /// reason is cut to 1 KiB. A handler that panics may leave its own data half changed; the next
    /// call sees it so.
    ///
    /// Cost: `threads` threads; for each batch a claim, a release, and a renewal at each half of the
    /// ttl; for each message a delete or a retry.
    ///
    /// Durability: as that of the queues' handles: when the call returns, at most what the handlers
    /// were doing was done again.
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) for no threads or a ttl of 0. The first error of the
    /// engine ends the run as `stop` does and is returned: [`is_closed`](crate::Error::is_closed) if it
    /// is closed, [`is_full`](crate::Error::is_full), or [`is_invalid`](crate::Error::is_invalid) for
    /// a delay outside the store's [`Limits`](crate::Limits), for example. What cannot be given back
    /// then comes back when its lease ends. A lost lease is no error.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let jobs = engine.queue(Project::none(), "jobs")?;
    /// # jobs.create(Metadata::new())?;
    /// jobs.post(ClientId::random(), &vec![NewMessage::new("work"); 5])?;
    /// let stop = CancelToken::new();
    /// let running = std::thread::spawn({
    ///     let (worker, stop) = (Worker::new(&jobs, ClaimOptions::new().limit(2)), stop.clone());
    ///     move || {
    ///         worker.run(2, &stop, |job| {
    ///             let text = std::str::from_utf8(job.message().body().as_bytes())?;
    ///             println!("{text}");
    ///             Ok::<(), std::str::Utf8Error>(()) // an error is the reason of a retry
    ///         })
    ///     }
    /// });
    /// while jobs.stats()?.total() > 0 {
    ///     std::thread::yield_now();
    /// }
    /// stop.cancel();
    /// let report = running.join().expect("it does not panic")?;
    /// assert_eq!(report.done, 5);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn run<O: Into<Outcome>>(
        &self,
        threads: usize,
        stop: &CancelToken,
        handler: impl Fn(&Job) -> O + Sync,
    ) -> Result<WorkReport> {
        if threads == 0 {
            return Err(Error::invalid("threads", "there are none"));
        }
        if self.options.ttl.is_zero() {
            return Err(Error::invalid("ttl", "the lease would end before the work begins"));
        }
        let run = Run::new(&self.queues, &self.options, self.idle_timeout, stop, threads);
        let (run, handler) = (&run, &|job: &Job| handler(job).into());
        thread::scope(|scope| {
            for started in 0..threads {
                let named = thread::Builder::new().name("zaqar-worker".into());
                if let Err(error) = named.spawn_scoped(scope, move || run.work(handler)) {
                    run.fail(Error::io("starting a worker's thread", error));
                    run.leave(threads - started);
                    break;
                }
            }
            run.keep_leases();
        });
        run.report()
    }
}
