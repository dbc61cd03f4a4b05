//! As of the standard library.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[derive(Debug)]
pub struct JoinHandle<T> {
    inner: shuttle::thread::JoinHandle<T>,
    finished: Arc<AtomicBool>,
}

#[derive(Debug)]
pub(crate) struct Builder(shuttle::thread::Builder);

impl<T> JoinHandle<T> {
    pub(crate) fn is_finished(&self) -> bool {
        self.finished.load(Ordering::SeqCst)
    }

    pub(crate) fn join(self) -> std::thread::Result<T> {
        self.inner.join()
    }
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self(shuttle::thread::Builder::new())
    }

    pub(crate) fn name(self, name: String) -> Self {
        Self(self.0.name(name))
    }

    pub(crate) fn spawn<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<JoinHandle<T>> {
        let finished = Arc::new(AtomicBool::new(false));
        let done = finished.clone();
        let inner = self.0.spawn(move || {
            let value = work();
            done.store(true, Ordering::SeqCst);
            value
        })?;
        Ok(JoinHandle { inner, finished })
    }
}

/// Yields to the other threads.
pub(crate) fn sleep(_: Duration) {
    shuttle::thread::yield_now();
}
