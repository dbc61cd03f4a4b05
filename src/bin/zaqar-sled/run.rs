//! One run: posters and workers over all jobs, until every line is processed or something fails.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use parking_lot::{Condvar, Mutex};
use zaqar_sled::{Config, Engine};

use crate::arguments::{self, Work};
use crate::command::Command;
use crate::failure::Failure;
use crate::job::Job;
use crate::poster;
use crate::progress::Progress;
use crate::say;
use crate::source::Source;
use crate::table;
use crate::worker::Worker;

pub(crate) struct Run {
    pub(crate) engine: Engine,
    pub(crate) jobs: Vec<Job>,
    pub(crate) command: Option<Command>,
    pub(crate) batch: usize,
    pub(crate) claim: usize,
    pub(crate) ttl: Duration,
    next_job: AtomicUsize,
    words: AtomicU64,
    is_stopped: AtomicBool,
    failures: Mutex<Vec<Failure>>,
    progress: Mutex<()>,
    progressed: Condvar,
}

/// Runs `work`: from the files to the report.
pub(crate) fn work(work: &Work) -> Result<(), Failure> {
    let sources = Source::all(&work.files)?;
    let engine = open(work)?;
    say(format_args!("{}: {}", work.store.display(), engine.recovery()));
    let run = Arc::new(Run::new(work, engine, sources)?);
    let start = Instant::now();
    let done = run.start(work.workers())?;
    Progress::new().show_until(&run, &done);
    report(&run, start.elapsed())?;
    run.finish()
}

fn open(work: &Work) -> Result<Engine, Failure> {
    let path: &Path = &work.store;
    Config::new().durability(work.durability()).open(path).map_err(|source| {
        let path = path.into();
        if source.is_busy() { Failure::InUse { path } } else { Failure::Open { path, source } }
    })
}

fn report(run: &Run, took: Duration) -> Result<(), Failure> {
    let table = table::of(run, took)?;
    std::io::stdout().lock().write_all(table.as_bytes()).map_err(Failure::Report)
}

impl Run {
    fn new(work: &Work, engine: Engine, sources: Vec<Source>) -> Result<Self, Failure> {
        let open = |source| Job::open(&engine, source, work.max_claims());
        let jobs: Vec<Job> = sources.into_iter().map(open).collect::<Result<_, _>>()?;
        let command = work.run.clone().map(Command::new);
        if command.is_none() {
            // A command of a run that died may still be running. Its lines stay claimed until their claims end.
            jobs.iter().try_for_each(|job| job.release_all(&engine))?;
        }
        Ok(Self {
            engine,
            jobs,
            command,
            batch: work.batch,
            claim: work.claim,
            ttl: work.ttl(),
            next_job: AtomicUsize::new(0),
            words: AtomicU64::new(0),
            is_stopped: AtomicBool::new(false),
            failures: Mutex::default(),
            progress: Mutex::default(),
            progressed: Condvar::new(),
        })
    }

    /// Starts posters and workers. The channel closes when the workers have ended. The posters have then ended too,
    /// unless the run failed while a poster waits for input.
    fn start(self: &Arc<Self>, workers: usize) -> Result<Receiver<()>, Failure> {
        let (working, done) = crossbeam_channel::bounded(0);
        for _ in 0..self.jobs.len().min(arguments::cores()) {
            let run = self.clone();
            spawn("poster", move || poster::post_jobs(&run))?;
        }
        for number in 0..workers {
            let (run, working) = (self.clone(), working.clone());
            spawn("worker", move || run.work(number, working))?;
        }
        Ok(done)
    }

    fn work(&self, number: usize, working: Sender<()>) {
        if let Err(failure) = Worker::new(self, number).work() {
            self.fail(failure);
        }
        drop(working);
    }

    /// Closes the store and returns the first failure; others are printed when they happen.
    fn finish(&self) -> Result<(), Failure> {
        let waiting = self.jobs.iter().map(|job| Ok(job.counts()?.waiting)).sum::<Result<u64, Failure>>();
        let closed = self.engine.close();
        let mut failures = std::mem::take(&mut *self.failures.lock()).into_iter();
        if let Some(first) = failures.next() {
            failures.for_each(|failure| say(format_args!("{failure}")));
            return Err(first);
        }
        closed?;
        match waiting? {
            0 => Ok(()),
            waiting => Err(Failure::Unfinished(waiting)),
        }
    }

    /// The next job that no poster has taken.
    pub(crate) fn next_job(&self) -> Option<&Job> {
        self.jobs.get(self.next_job.fetch_add(1, Ordering::Relaxed)).filter(|_| !self.is_stopped())
    }

    /// Stores a failure, and stops the run unless the failure concerns one file.
    pub(crate) fn fail(&self, failure: Failure) {
        if !failure.is_of_one_file() {
            if self.is_stopped.swap(true, Ordering::Relaxed) {
                return; // The failure that stopped the run makes the other threads fail too.
            }
            self.progressed.notify_all();
        }
        self.failures.lock().push(failure);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }

    pub(crate) fn add_words(&self, words: u64) {
        self.words.fetch_add(words, Ordering::Relaxed);
    }

    /// Words counted by this run; `None` if a command ran instead.
    pub(crate) fn words(&self) -> Option<u64> {
        self.command.is_none().then(|| self.words.load(Ordering::Relaxed))
    }

    /// Signals that lines have been deleted or moved.
    pub(crate) fn note_progress(&self) {
        self.progressed.notify_all();
    }

    /// Waits for progress, or a short time, because a line may be deleted without a signal.
    pub(crate) fn wait_for_progress(&self) {
        self.progressed.wait_for(&mut self.progress.lock(), A_LITTLE);
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    thread::Builder::new().name(name.into()).spawn(body).map(drop).map_err(Failure::Thread)
}

const A_LITTLE: Duration = Duration::from_millis(50);
