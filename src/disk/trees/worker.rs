//! A thread that owns a value whose calls may panic or never return.
//!
//! 1. The thread creates, uses and drops the value. A panic in any of these becomes an error.
//! 2. A caller waits for a bounded time. If a call does not return in time, the call, the thread and the value are
//!    abandoned, and every later call fails at once.
//!
//! Cost: each call passes two messages between threads.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::model::error::{Error, Result};

type Job<T> = Box<dyn FnOnce(&mut T) + Send>;

pub(crate) struct Worker<T> {
    /// `None` only while it is dropped.
    jobs: Option<Sender<Job<T>>>,
    /// Disconnected when the thread has dropped the value.
    ended: Receiver<()>,
    /// The longest time that a call may take.
    timeout: Duration,
    /// The longest time that creating or dropping the value may take.
    setup_timeout: Duration,
    given_up: AtomicBool,
}

impl<T: 'static> Worker<T> {
    /// Starts a thread that creates the value.
    pub(crate) fn start(
        timeout: Duration,
        setup_timeout: Duration,
        make: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<Self> {
        let (jobs, to_do) = bounded::<Job<T>>(1);
        let (done, outcome) = bounded(1);
        let (ending, ended) = bounded(0);
        let run = move || {
            match guarded(make) {
                Err(error) => drop(done.send(Err(error))),
                Ok(mut value) => {
                    // If no caller waits any more, there are no jobs either.
                    let _ = done.send(Ok(()));
                    to_do.iter().for_each(|job| job(&mut value));
                    // A destructor may panic too.
                    let _ = catch_unwind(AssertUnwindSafe(move || drop(value)));
                }
            }
            drop(ending);
        };
        let spawned = thread::Builder::new().name("zaqar-trees".into()).spawn(run);
        spawned.map_err(|e| Error::io("starting a thread", e))?;
        let given_up = AtomicBool::new(false);
        let worker = Self { jobs: Some(jobs), ended, timeout, setup_timeout, given_up };
        worker.await_reply(&outcome, setup_timeout)?;
        Ok(worker)
    }

    /// Runs `work` on the value in the thread.
    pub(crate) fn call<R: Send + 'static>(&self, work: impl FnOnce(&mut T) -> Result<R> + Send + 'static) -> Result<R> {
        if self.given_up.load(Ordering::Acquire) {
            return Err(failed("an earlier call has not returned"));
        }
        let (reply, replied) = bounded(1);
        let job: Job<T> = Box::new(move |value| {
            // The caller may have stopped waiting.
            let _ = reply.send(guarded(|| work(value)));
        });
        let jobs = self.jobs.as_ref().ok_or_else(|| failed("their thread has ended"))?;
        jobs.send(job).map_err(|_| failed("their thread has ended"))?;
        self.await_reply(&replied, self.timeout)
    }

    fn await_reply<R>(&self, reply: &Receiver<Result<R>>, timeout: Duration) -> Result<R> {
        match reply.recv_timeout(timeout) {
            Ok(outcome) => outcome,
            Err(RecvTimeoutError::Disconnected) => Err(failed("their thread has ended")),
            Err(RecvTimeoutError::Timeout) => {
                self.given_up.store(true, Ordering::Release);
                Err(failed(&format!("a call has not returned in {timeout:?}")))
            }
        }
    }
}

impl<T> Drop for Worker<T> {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if !self.given_up.load(Ordering::Acquire) {
            // The thread holds files open until then.
            let _ = self.ended.recv_timeout(self.setup_timeout);
        }
    }
}

impl<T> fmt::Debug for Worker<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("given_up", &self.given_up).finish_non_exhaustive()
    }
}

fn failed(reason: &str) -> Error {
    Error::Trees { reason: reason.to_owned() }
}

/// Runs `work` and turns a panic into an error.
fn guarded<R>(work: impl FnOnce() -> Result<R>) -> Result<R> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Err(failed(&format!("a panic: {text}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_hours(1);
    const SHORT: Duration = Duration::from_millis(20);

    /// A value that reports its drop and then panics.
    struct Touchy(Sender<()>);

    impl Drop for Touchy {
        fn drop(&mut self) {
            let _ = self.0.send(());
            panic!("not like this");
        }
    }

    #[test]
    fn a_value_is_created_used_and_dropped_in_one_thread() {
        let worker = Worker::start(LONG, LONG, || Ok((thread::current().id(), 1))).unwrap();
        let (id, number) = worker.call(|value| Ok((value.0 == thread::current().id(), value.1))).unwrap();
        assert!(id && number == 1);
        assert!(worker.call(|_| Err::<(), _>(failed("no"))).unwrap_err().to_string().contains("no"));
    }

    #[test]
    fn a_panic_is_an_error_and_a_panic_of_a_destructor_is_ignored() {
        let made = Worker::<()>::start(LONG, LONG, || panic!("at once"));
        assert!(made.unwrap_err().to_string().contains("at once"));
        let (dropped, is_dropped) = bounded(1);
        let worker = Worker::start(LONG, LONG, || Ok(Touchy(dropped))).unwrap();
        let error = worker.call(|_| -> Result<()> { panic!("later") }).unwrap_err();
        assert!(error.to_string().contains("later"));
        worker.call(|_| Ok(())).unwrap();
        drop(worker);
        is_dropped.try_recv().unwrap();
    }

    #[test]
    fn a_call_that_does_not_return_fails_and_so_does_every_later_call() {
        let (unblock, held) = bounded::<()>(0);
        let worker = Worker::start(SHORT, LONG, || Ok(())).unwrap();
        let stuck = held.clone();
        let error = worker.call(move |()| stuck.recv().map_err(|_| failed("unblocked"))).unwrap_err();
        assert!(error.to_string().contains("not returned"), "{error}");
        assert!(worker.call(|()| Ok(())).is_err());
        // Dropping the worker does not wait for the stuck call either.
        drop(worker);
        drop(unblock);
        drop(held);
        let (unblock, held) = bounded::<()>(0);
        let made = Worker::start(LONG, SHORT, move || held.recv().map_err(|_| failed("unblocked")));
        assert!(made.unwrap_err().to_string().contains("not returned"));
        drop(unblock);
    }
}
