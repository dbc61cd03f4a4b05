//! One run: posters and workers over all jobs, until every line is processed or something fails.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use parking_lot::{Condvar, Mutex};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use zaqar_sled::{Config, Engine};

use crate::arguments::{self, Work};
use crate::command::Command;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::grid;
use crate::job::Job;
use crate::live_runs::LiveRuns;
use crate::opened;
use crate::output::{self, Output};
use crate::poster;
use crate::progress::Progress;
use crate::say;
use crate::source::Source;
use crate::table;
use crate::worker::Worker;

pub(crate) struct Run {
    #[expect(dead_code, reason = "it is held")]
    live_runs: LiveRuns,
    pub(crate) engine: Engine,
    pub(crate) jobs: Vec<Job>,
    pub(crate) command: Option<Command>,
    pub(crate) batch: usize,
    pub(crate) claim: usize,
    pub(crate) ttl: Duration,
    /// Whether a last line without newline is a line.
    pub(crate) is_complete: bool,
    next_job: AtomicUsize,
    words: AtomicU64,
    is_stopped: AtomicBool,
    is_failed: AtomicBool,
    /// The first signal that stopped the run; 0 before.
    signal: AtomicI32,
    is_killed: AtomicBool,
    failures: Mutex<Vec<Failure>>,
    progress: Mutex<()>,
    progressed: Condvar,
}

/// Runs `work`: from the files to the report, and to the exit code.
pub(crate) fn work(work: &Work) -> Result<ExitCode, Failure> {
    let sources = Source::all(&work.files)?;
    let engine = open(work)?;
    say(format_args!("{}: {}", work.store.display(), engine.recovery()));
    let run = Arc::new(Run::new(work, engine, sources)?);
    run.watch_signals()?;
    let start = Instant::now();
    let done = run.start(work.workers())?;
    Progress::new().show_until(&run, &done);
    report(&run, &work.output, start.elapsed())?;
    run.finish()
}

fn open(work: &Work) -> Result<Engine, Failure> {
    let path: &Path = &work.store;
    opened::check_free(path)?;
    Config::new().durability(work.durability()).open(path).map_err(|source| Failure::of_store(path, source))
}

/// The table and what is not in it, on standard error; as JSON, the table is on standard output.
fn report(run: &Run, output: &Output, took: Duration) -> Result<(), Failure> {
    let rows = table::rows(run, took)?;
    if output.json {
        output::even_unread(output.list(&rows, table::grid))?;
    } else {
        let table = table::grid(&rows).text(grid::width_of(std::io::stderr()));
        let _ = std::io::stderr().lock().write_all(table.as_bytes());
    }
    if let Some(words) = run.words() {
        let _ = writeln!(std::io::stderr().lock(), "{words} words counted by this run");
    }
    for job in &run.jobs {
        let name = job.source.name();
        let died = job.counts()?.dead.saturating_sub(job.before().dead);
        for line in if died > 0 { job.dead_lines(MOST_NAMED)? } else { Vec::new() } {
            say(format_args!("{name}: {line}"));
        }
        if died > MOST_NAMED as u64 {
            say(format_args!("{name}: and {} more", died - MOST_NAMED as u64));
        }
        if job.is_held_back() {
            say(format_args!("{name}: the last line has no newline and waits for it; --complete makes it a line"));
        }
    }
    Ok(())
}

impl Run {
    fn new(work: &Work, engine: Engine, sources: Vec<Source>) -> Result<Self, Failure> {
        let open = |source| Job::open(&engine, source, work.max_claims());
        let jobs: Vec<Job> = sources.into_iter().map(open).collect::<Result<_, _>>()?;
        let command = work.run.clone().map(Command::new);
        let (live_runs, are_dead) = LiveRuns::enter(&work.store).map_err(Failure::Lock)?;
        if are_dead {
            jobs.iter().try_for_each(|job| job.release_all(&engine))?;
        } else {
            say(format_args!("a command of an earlier run still runs: its lines wait until their claims end"));
        }
        Ok(Self {
            live_runs,
            engine,
            jobs,
            command,
            batch: work.batch,
            claim: work.claim(),
            ttl: work.ttl(),
            is_complete: work.complete,
            next_job: AtomicUsize::new(0),
            words: AtomicU64::new(0),
            is_stopped: AtomicBool::new(false),
            is_failed: AtomicBool::new(false),
            signal: AtomicI32::new(0),
            is_killed: AtomicBool::new(false),
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

    /// Closes the store and says how the run ended. Of several failures the first is returned; the others are printed.
    fn finish(&self) -> Result<ExitCode, Failure> {
        let ended = self.ending();
        let closed = self.engine.close();
        let mut failures = std::mem::take(&mut *self.failures.lock()).into_iter();
        if let Some(first) = failures.next() {
            failures.for_each(|failure| say(format_args!("{failure}")));
            return Err(first);
        }
        closed?;
        ended
    }

    fn ending(&self) -> Result<ExitCode, Failure> {
        let counts = self.jobs.iter().map(Job::counts).collect::<Result<Vec<_>, _>>()?;
        let waiting: u64 = counts.iter().map(|counts| counts.waiting).sum();
        let signal = self.signal.load(Ordering::Relaxed);
        if signal != 0 {
            say(format_args!("stopped; {waiting} posted lines wait for the next run"));
            return Ok(ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX)));
        }
        if waiting > 0 {
            say(format_args!("{waiting} lines are still waiting"));
        }
        Ok(ExitCode::from(if waiting > 0 || self.jobs.iter().any(Job::is_held_back) {
            Exit::LeftLines
        } else if counts.iter().any(|counts| counts.dead > 0) {
            Exit::DeadLines
        } else {
            Exit::Done
        }))
    }

    /// Stops the run at the first SIGINT or SIGTERM, and kills its commands at the second.
    fn watch_signals(self: &Arc<Self>) -> Result<(), Failure> {
        let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(Failure::Signals)?;
        let run = self.clone();
        spawn("signals", move || signals.forever().for_each(|signal| run.interrupt(signal)))
    }

    fn interrupt(&self, signal: i32) {
        let is_first = self.signal.compare_exchange(0, signal, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if is_first && self.command.is_some() {
            say(format_args!("stopping when the running commands have ended; once more kills them"));
        }
        self.is_killed.fetch_or(!is_first, Ordering::Relaxed);
        self.is_stopped.store(true, Ordering::Relaxed);
        self.progressed.notify_all();
    }

    /// The next job that no poster has taken.
    pub(crate) fn next_job(&self) -> Option<&Job> {
        self.jobs.get(self.next_job.fetch_add(1, Ordering::Relaxed)).filter(|_| !self.is_stopped())
    }

    /// Stores a failure, and stops the run unless the failure concerns one file.
    pub(crate) fn fail(&self, failure: Failure) {
        if !failure.is_of_one_file() {
            if self.is_failed.swap(true, Ordering::Relaxed) {
                return; // The failure that stopped the run makes the other threads fail too.
            }
            self.is_stopped.store(true, Ordering::Relaxed);
            self.progressed.notify_all();
        }
        self.failures.lock().push(failure);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }

    /// Whether the running commands are to be killed.
    pub(crate) fn is_killed(&self) -> bool {
        self.is_killed.load(Ordering::Relaxed)
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

/// The most dead lines of a file that are named.
const MOST_NAMED: usize = 20;
