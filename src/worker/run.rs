//! One run: its threads, and the thread that renews the leases.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::backlog::{Backlog, Rest, Step, Task};
use super::job::{Job, Outcome};
use super::keeper::Leases;
use super::lease::{Lease, Renewal};
use super::report::{Counts, WorkReport};
use crate::handle::{Claim, QueueSet};
use crate::lock::{Mutex, Rank};
use crate::model::error::{Error, Result};
use crate::model::retry::REASON_BYTES;
use crate::model::{ClaimOptions, Message, Retry};
use crate::store::cancel_token::CancelToken;
use crate::store::waiters::Sleeper;
use crate::sync::atomic::{AtomicUsize, Ordering};

pub(super) struct Run<'a> {
    queues: &'a QueueSet,
    options: &'a ClaimOptions,
    idle_timeout: Duration,
    /// The caller's token.
    stop: &'a CancelToken,
    /// Cancelled when the run fails.
    failed: CancelToken,
    /// The first error.
    error: Mutex<Option<Error>>,
    backlog: Backlog,
    leases: Leases,
    counts: Counts,
    /// The threads that have not ended.
    threads: AtomicUsize,
    /// The sleep of the thread that renews the leases, before and after the run is stopped.
    keeper: [Sleeper<'a>; 2],
}

/// Counts a thread as ended when it is dropped.
struct Leaving<'a, 'b>(&'a Run<'b>);

impl Drop for Leaving<'_, '_> {
    fn drop(&mut self) {
        self.0.leave(1);
    }
}

/// Counts a message as handled when it is dropped.
struct Handling<'a>(&'a Backlog);

impl Drop for Handling<'_> {
    fn drop(&mut self) {
        self.0.finished();
    }
}

/// The turn to claim. A panic ends it, and stops the run, so that no thread waits for the turn's end.
struct Turn<'a, 'b>(&'a Run<'b>);

impl Drop for Turn<'_, '_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.failed.cancel();
            self.0.backlog.claimed(std::iter::empty());
        }
    }
}

impl<'a> Run<'a> {
    pub(super) fn new(
        queues: &'a QueueSet,
        options: &'a ClaimOptions,
        idle_timeout: Duration,
        stop: &'a CancelToken,
        threads: usize,
    ) -> Self {
        Self {
            queues,
            options,
            idle_timeout,
            stop,
            failed: CancelToken::new(),
            error: Mutex::new(Rank::RunError, None),
            backlog: Backlog::default(),
            leases: Leases::default(),
            counts: Counts::default(),
            threads: AtomicUsize::new(threads),
            keeper: [(); 2].map(|()| queues.store().waiters.register_sleeper()),
        }
    }

    /// Works in one thread until the run is over.
    pub(super) fn work(&self, handler: &(impl Fn(&Job) -> Outcome + Sync)) {
        let _leaving = Leaving(self);
        loop {
            match self.backlog.next(|| self.is_stopping()) {
                Step::Handle(task) => {
                    let _handling = Handling(&self.backlog);
                    self.note(self.handle(&task, handler));
                    self.note(self.finish(&task, 1));
                }
                Step::Claim => self.claim(),
                Step::End => return self.give_back(),
            }
        }
    }

    /// Renews the leases until all threads have ended. When the run is stopped, gives back at once what no thread has
    /// begun: the handlers may run for long.
    pub(super) fn keep_leases(&self) {
        let [until_stopped, until_ended] = &self.keeper;
        {
            let _cancellable = [self.stop, &self.failed].map(|token| token.register(until_stopped.waiter()));
            self.renew_while(until_stopped, || !self.is_stopping());
        }
        if self.is_stopping() {
            self.give_back_unless_moving();
        }
        self.renew_while(until_ended, || true);
        // What could not be given back before the last thread ended.
        self.give_back();
    }

    fn renew_while(&self, sleeper: &Sleeper<'_>, goes_on: impl Fn() -> bool) {
        let clock = self.queues.store().clock.source();
        while goes_on() && self.threads.load(Ordering::SeqCst) > 0 {
            let now = clock.monotonic();
            for (number, lease) in self.leases.due(now) {
                self.leases.set(number, self.renew(&lease));
            }
            let left = self.leases.next().map(|next| next.saturating_sub(clock.monotonic()));
            if left != Some(Duration::ZERO) {
                sleeper.sleep(left.and_then(|left| clock.real_wait(left)));
            }
        }
    }

    /// Renews a lease; returns when it is to be renewed again. If it could not be renewed, that is soon: the run's handlers
    /// need the lease until they end, also if the run is stopped because of the error.
    fn renew(&self, lease: &Lease) -> Duration {
        match lease.renew(self.options.ttl, self.options.grace) {
            Ok(Renewal::Renewed | Renewal::Lost) => self.half_of(lease),
            Ok(Renewal::Moving) => self.soon(),
            Err(error) => {
                self.fail(error);
                self.soon()
            }
        }
    }

    /// The instant at which half of the ttl is left of a lease, on the monotonic clock.
    fn half_of(&self, lease: &Lease) -> Duration {
        let store = self.queues.store();
        let left = lease.left_at(store.now()).saturating_sub(self.options.ttl / 2);
        store.clock.source().monotonic().saturating_add(left)
    }

    fn soon(&self) -> Duration {
        self.queues.store().clock.source().monotonic().saturating_add((self.options.ttl / 8).min(SOON))
    }

    /// Records that so many threads have ended, or were not started.
    pub(super) fn leave(&self, threads: usize) {
        self.threads.fetch_sub(threads, Ordering::SeqCst);
        self.wake_keeper();
    }

    /// Stops the run with an error; only the first counts.
    pub(super) fn fail(&self, error: Error) {
        self.error.lock().get_or_insert(error);
        self.failed.cancel();
    }

    /// The result, after all threads have ended.
    pub(super) fn report(&self) -> Result<WorkReport> {
        self.error.lock().take().map_or_else(|| Ok(self.counts.report()), Err)
    }

    fn wake_keeper(&self) {
        self.keeper.iter().for_each(Sleeper::wake);
    }

    fn is_stopping(&self) -> bool {
        self.stop.is_cancelled() || self.failed.is_cancelled()
    }

    fn note(&self, result: Result<()>) {
        if let Err(error) = result {
            self.fail(error);
        }
    }

    /// Takes the thread's turn to claim.
    fn claim(&self) {
        let _turn = Turn(self);
        match self.claim_batch() {
            Ok(Some(claim)) => self.backlog.claimed(self.tasks(claim)),
            Ok(None) => self.backlog.claimed(std::iter::empty()),
            Err(error) => {
                self.backlog.claimed(std::iter::empty());
                self.fail(error);
            }
        }
    }

    /// Waits for a claim; `None` if the run is stopped, or is over because nothing has come.
    fn claim_batch(&self) -> Result<Option<Claim>> {
        loop {
            let (stops, handled) = ([self.stop, &self.failed], self.backlog.handled());
            let claim = self.queues.claim_until(self.options, self.idle_timeout, &stops)?;
            if claim.is_some() || self.is_stopping() {
                return Ok(claim);
            }
            let all_finished = match self.backlog.rest(handled) {
                Rest::Over => return Ok(None),
                Rest::Again => continue,
                Rest::Until(all_finished) => all_finished,
            };
            let claim =
                self.queues.claim_until(self.options, Duration::MAX, &[self.stop, &self.failed, &all_finished])?;
            if claim.is_some() {
                return Ok(claim);
            }
        }
    }

    fn tasks(&self, claim: Claim) -> impl Iterator<Item = Task> + use<> {
        let lease = Arc::new(Lease::new(claim, self.options.ttl));
        let (number, is_first) = self.leases.add(lease.clone(), self.half_of(&lease));
        if is_first {
            self.wake_keeper();
        }
        (0..lease.messages().len()).map(move |index| Task { lease: lease.clone(), number, index })
    }

    fn handle(&self, task: &Task, handler: &(impl Fn(&Job) -> Outcome + Sync)) -> Result<()> {
        let Some(message) = task.lease.messages().get(task.index) else { return Ok(()) };
        if task.lease.is_lost() {
            self.counts.add(&self.counts.lost, false, 1);
            return Ok(());
        }
        let job = Job::new(message.clone(), task.lease.clone(), [self.stop, &self.failed].map(Clone::clone));
        // What a panic leaves half done is the handler's own: the run shares nothing else with it.
        let (count, outcome) = match catch_unwind(AssertUnwindSafe(|| handler(&job))) {
            Ok(outcome @ Outcome::Done) => (&self.counts.done, outcome),
            Ok(outcome @ Outcome::Retry { .. }) => (&self.counts.retried, outcome),
            Err(panic) => {
                let reason = Some(text_of(&*panic));
                if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
                    // To drop that too may panic for ever.
                    std::mem::forget(second);
                }
                (&self.counts.panicked, Outcome::Retry { delay: None, reason })
            }
        };
        let has_held = carry_out(&task.lease, message, outcome)?;
        self.counts.add(count, has_held, 1);
        Ok(())
    }

    /// Records that the run is done with messages of a lease.
    fn finish(&self, task: &Task, messages: usize) -> Result<()> {
        if !task.lease.finish(messages) {
            return Ok(());
        }
        self.leases.remove(task.number);
        task.lease.release()
    }

    /// Ends the run, and gives back what no thread has begun.
    fn give_back(&self) {
        batches(self.backlog.end()).for_each(|batch| self.note(self.give_back_batch(&batch, Lease::retry)));
    }

    /// As above, but leaves the messages of a queue that is being moved to the threads that work: they wait.
    fn give_back_unless_moving(&self) {
        for batch in batches(self.backlog.end()) {
            match self.give_back_batch(&batch, Lease::retry_at_once) {
                Err(Error::Moving { .. }) => self.backlog.leave(batch),
                given_back => self.note(given_back),
            }
        }
    }

    /// Gives messages of one lease back, without a delay and a reason.
    fn give_back_batch(&self, batch: &[Task], retry: impl Fn(&Lease, &[Retry]) -> Result<u64>) -> Result<()> {
        let Some(first) = batch.first() else { return Ok(()) };
        let messages = batch.iter().filter_map(|task| task.lease.messages().get(task.index));
        let retries: Vec<Retry> = messages.map(|message| Retry::from(message).delay(Duration::ZERO)).collect();
        let given_back = match retry(&first.lease, &retries) {
            Err(error @ Error::Moving { .. }) => return Err(error),
            other => other,
        };
        if let Ok(count) = &given_back {
            self.counts.add(&self.counts.given_back, true, *count);
            self.counts.add(&self.counts.given_back, false, (batch.len() as u64).saturating_sub(*count));
        }
        // Also after an error: what is left comes back when its lease ends.
        let finished = self.finish(first, batch.len());
        given_back.map(drop).and(finished)
    }
}

/// The tasks, lease by lease.
fn batches(mut tasks: Vec<Task>) -> impl Iterator<Item = Vec<Task>> {
    std::iter::from_fn(move || {
        let number = tasks.first()?.number;
        let (batch, rest) = std::mem::take(&mut tasks).into_iter().partition(|task| task.number == number);
        tasks = rest;
        Some(batch)
    })
}

/// Does to the message what its handler decided; false if the lease was lost.
fn carry_out(lease: &Lease, message: &Message, outcome: Outcome) -> Result<bool> {
    match outcome {
        Outcome::Done => lease.delete(message),
        Outcome::Retry { delay, reason } => {
            let claims = message.claim_count();
            let is_decided = delay.is_some() || lease.queue().decides_delay(claims)?;
            let delay = if is_decided { delay } else { Some(default_delay(claims)) };
            let mut retry = Retry::from(message).delay(delay);
            retry.reason = reason.map(shortened);
            Ok(lease.retry(&[retry])? > 0)
        }
    }
}

/// The delay of a retry that names none, in a queue without a policy: without one, a message that always fails would be
/// handled again at once, before all others.
fn default_delay(claims: u32) -> Duration {
    LEAST_DELAY.saturating_mul(1 << claims.saturating_sub(1).min(6)).min(MOST_DELAY)
}

const LEAST_DELAY: Duration = Duration::from_secs(1);
const MOST_DELAY: Duration = Duration::from_secs(60);
/// The longest time before a renewal that was not possible is tried again.
const SOON: Duration = Duration::from_secs(1);

/// The text of a panic.
fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.map_or_else(|| "the handler panicked".to_owned(), |text| format!("the handler panicked: {text}"))
}

/// At most as long as the reason of a retry may be.
fn shortened(mut reason: String) -> String {
    let mut end = reason.len().min(REASON_BYTES);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason.truncate(end);
    reason
}
